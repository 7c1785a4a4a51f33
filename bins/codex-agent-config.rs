//! codex-agent-config: show settings, where each is set, and problems of config.toml.
//!
//! The file is the user's: it is opened in an editor, and never written by a verb, which would have to keep
//! comments, order and blank lines as they are.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use codex_agent_engine::process::command;
use codex_agent_shared::child;
use codex_agent_shared::cli;
use codex_agent_shared::cli::{Command, Completes, Tool, flags};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::config;
use codex_agent_shared::config::alias;
use codex_agent_shared::config::alias::Alias;
use codex_agent_shared::config::records::{ProblemRecord, SettingRecord, SettingValue};
use codex_agent_shared::config::{Config, Kind, SETTINGS, Setting, Source};
use codex_agent_shared::error::{Context, Error, Exit, Result, note, reason, warn, warn_of};
use codex_agent_shared::exec::is_executable;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin::SearchPath;
use codex_agent_shared::store::private;
use codex_agent_shared::terminal::{Color, Look, columns, is_terminal, line};
use codex_agent_shared::text::{cell, harmless, nearest, path_cell, tsv, width};

type Args = cli::Args;
type Flag = cli::Flag<Args>;

fn setting_flags() -> [Flag; 4] {
    [
        flags::json("setting and alias records, one a line"),
        flags::codex_home(),
        flags::codex(),
        flags::color(),
    ]
}

fn commands() -> [Command<Args>; 6] {
    [
        Command::new(list)
            .hint("'codex-agent config get KEY' prints one setting")
            .flags("Options", setting_flags()),
        Command::verb("list", "list the settings and where each comes from", list)
            .hint("'codex-agent config get KEY' prints one setting")
            .details(&[
                "The same as without a verb. In a pipe: key, value, source (flag, environment, file or built-in), and the flag, the variable, or the place in the file, separated by TABs.",
            ])
            .flags("Options", setting_flags()),
        Command::verb("get", "print one setting", get)
            .operands("KEY", &[Completes::Settings, Completes::Nothing])
            .details(&[
                "Prints the value alone, or with --json its record. alias.NAME is the key of an alias.",
            ])
            .flags("Options", setting_flags()),
        Command::verb("path", "print the path of config.toml", path),
        Command::verb("check", "report problems in config.toml", check)
            .details(&[
                "Reports every problem in the file: syntax errors, unknown keys, invalid values, aliases of tools that do not exist. In a pipe: file, line, column, error or warning, and the problem, separated by TABs.",
            ])
            .flags("Options", [flags::json("records of type config.problem, one a line")]),
        Command::verb("edit", "open config.toml in an editor, then check it", edit).details(&[
            "If there is no file, a template is created in which everything is commented out; it is removed if it was not changed. Problems are reported as by 'config check'.",
        ]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-config")
        .description(description())
        .commands(commands())
        .exit_status(&[
            (0, "Done; for check: no problem was found."),
            (1, "For get: there is no such key, or it has no value. For check: there are only warnings."),
            (2, "Bad usage, or an error in the file. The valid settings are listed."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_CONFIG_HOME, XDG_CONFIG_HOME",
                "The directory of config.toml; see codex-agent-files(5).",
            ),
            ("VISUAL, EDITOR", "The editor of 'config edit'; vi if neither is set."),
        ])
        .files(&[("~/.config/codex-agent/config.toml", "The settings; see codex-agent-files(5).")])
        .examples(&[
            ("List the settings:", "codex-agent config"),
            ("Print Codex's home, for a script:", "codex-agent config get codex.home"),
            ("Try an alias with another config.toml:", ALIAS_EXAMPLE),
        ])
        .see_also(["codex-agent(1)", "codex-agent-records(5)", "codex-agent-files(5)", "codex-agent(7)"])
        .writes(["setting", "alias", "config.problem"])
}

const ALIAS_EXAMPLE: &str = "mkdir try
printf '[alias]\\nnewest = \"ls -n 3\"\\n' > try/config.toml
codex-agent --config-home try newest";

/// The paragraphs of the manual page; those about settings come from their table.
fn description() -> Vec<String> {
    let mut paragraphs = vec![
        "Shows the settings and where each is set: by a flag, an environment variable, or config.toml, in this order, or nowhere, so that the default holds. The tool also shows codex.database, config.folder and state.folder, which are derived from the settings and cannot be set.".to_owned(),
        "config.toml is TOML. For an unknown key a warning is printed. With a syntax error or an invalid value, a tool that needs a setting exits with status 2, and prints line and column; a tool that needs only ui.color prints a warning.".to_owned(),
    ];
    for setting in SETTINGS {
        let before: Vec<&str> =
            setting.flag.into_iter().chain(setting.variables.iter().map(|(name, _)| *name)).collect();
        let beaten = match before[..] {
            [] => String::new(),
            [one] => format!(" {one} overrides it."),
            _ => format!(" {} override it.", before.join(", ")),
        };
        let Setting { key, about, default, more, .. } = setting;
        let takes = setting.kind.expected();
        paragraphs.push(format!("{key}: {about}. Value: {takes} [default: {default}].{beaten} {more}"));
    }
    paragraphs.push("The table alias defines short names for tools with arguments: a value is a string that is split into words as by a shell, or an array of strings. A string with a leading '!' is a shell command, to which the arguments are appended. A tool of the same name is preferred. An alias may refer to another alias.".to_owned());
    paragraphs.push("    [codex]\n    home = \"~/work/codex\"\n    [runs]\n    keep = \"90d\"\n    [alias]\n    today = \"ls --since 1d\"\n    mine = [\"ls\", \"--under\", \"/home/me/my projects\"]\n    pick = \"!codex-agent ls | fzf | codex-agent resume -\"".to_owned());
    paragraphs
}

fn main() -> ExitCode {
    cli::main(tool())
}

/// The record with a path, or with the problem that there is none.
fn trying<P: AsRef<Path>>(
    record: SettingRecord,
    path: &Result<P>,
    otherwise: Option<OsString>,
) -> SettingRecord {
    match path {
        Ok(path) => SettingRecord { value: Some(shown_path(path.as_ref())), ..record },
        Err(error) => {
            let whole = |path: OsString| std::path::absolute(&path).unwrap_or_else(|_| path.into());
            let value = otherwise.map(|path| shown_path(&whole(path)));
            SettingRecord { value, problem: Some(error.to_string()), ..record }
        }
    }
}

fn shown_path(path: &Path) -> SettingValue {
    SettingValue::Text(path.to_string_lossy().into_owned())
}

/// The settings, and what follows from them.
fn rows(args: &Args, config: &Config) -> Vec<SettingRecord> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.clone().into_os_string());
    let home = Home::find(args.common.codex_home.as_deref());
    let mut rows = Vec::new();
    for setting in SETTINGS {
        let flag = match setting.key {
            "codex.home" => path(&args.common.codex_home),
            "codex.binary" => path(&args.common.codex),
            "ui.color" => match args.common.color {
                Color::Unset => None,
                Color::Auto => Some("auto".into()),
                Color::Always => Some("always".into()),
                Color::Never => Some("never".into()),
            },
            _ => None,
        };
        let (value, said) = config.chosen(setting, flag).unzip();
        let row = SettingRecord::of(setting, said, config);
        rows.push(match setting.key {
            "codex.home" => trying(row, &home.as_ref().map(Home::path).map_err(again), value),
            "codex.binary" => {
                let found = command::find(args.common.codex.as_deref());
                let said = said.or(found.as_ref().ok().map(|_| Source::Environment("PATH")));
                trying(SettingRecord::of(setting, said, config), &found, value)
            }
            _ => {
                let text =
                    value.map_or(setting.default.to_owned(), |value| value.to_string_lossy().into_owned());
                let number = text.parse().ok().filter(|_| matches!(setting.kind, Kind::Number(_)));
                SettingRecord {
                    value: Some(number.map_or(SettingValue::Text(text), SettingValue::Number)),
                    ..row
                }
            }
        });
    }
    if let Ok(home) = &home {
        let said = |said| SettingRecord::new("codex.database", "Codex's database", said, config);
        let row = match home.database_moved_by() {
            None => said(None),
            Some("sqlite_home") => {
                let file = home.path().join("config.toml").to_string_lossy().into_owned();
                SettingRecord { source: "file", by: Some(file), ..said(None) }
            }
            Some(variable) => said(Some(Source::Environment(variable))),
        };
        rows.push(SettingRecord { value: home.database().map(shown_path), ..row });
    }
    for (key, about, found) in [
        ("config.folder", "groups, queues and config.toml", config::where_config_is()),
        ("state.folder", "runs and locks", config::where_state_is()),
    ] {
        let said = found.as_ref().ok().and_then(|(_, by)| by.map(Source::Environment));
        let row = SettingRecord::new(key, about, said, config);
        rows.push(trying(row, &found.map(|(dir, _)| dir), None));
    }
    rows
}

fn again(error: &Error) -> Error {
    Error::new(error.to_string())
}

/// The search path, read once where there are aliases that may be shadowed.
fn search_path(config: &Config) -> SearchPath {
    let path = SearchPath::from_env();
    if !config.aliases().is_empty() {
        path.list();
    }
    path
}

fn list(args: Args) -> Result<Exit> {
    let config = config::once();
    let rows = rows(&args, config);
    let path = search_path(config);
    let shadow = |alias: &Alias| alias::shadow(&alias.name, &path);
    let aliases: Vec<_> = config.aliases().iter().map(|alias| (alias, shadow(alias))).collect();
    let mut output = Output::stdout();
    if args.common.json {
        rows.iter().try_for_each(|row| output.record(row))?;
        let mut all = aliases.iter();
        all.try_for_each(|(alias, by)| output.record(&alias.record(config, by.as_deref())))?;
    } else {
        let aliases = aliases.iter().map(|(alias, _)| {
            let place = config.location(Some(alias.place));
            [format!("alias.{}", alias.name), alias.text.clone(), "file".to_owned(), place]
        });
        let cells =
            rows.iter().map(|row| [row.key.to_owned(), row.text(), row.source.to_owned(), row.origin()]);
        show(&mut output, &cells.chain(aliases).collect::<Vec<_>>(), args.common.color.is_on())?;
    }
    output.flush()?;
    for row in &rows {
        match &row.problem {
            // A missing Codex is no problem of the settings.
            Some(problem) if row.source == "built-in" => note(problem),
            Some(problem) => warn(problem),
            None => {}
        }
    }
    aliases.iter().filter_map(|(alias, by)| Some(alias.shadowed(config, by.as_deref()?))).for_each(warn);
    match config.valid() {
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            warn_of(&error);
            Ok(Exit::Trouble)
        }
    }
}

/// Key, value and source: on a terminal a table, else with TABs between.
fn show(output: &mut Output, rows: &[[String; 4]], color: bool) -> Result<()> {
    if !is_terminal() {
        for row in rows {
            output.text(row.each_ref().map(|cell| tsv(cell)).join("\t").as_bytes(), b"\n")?;
        }
        return Ok(());
    }
    let home = std::env::var("HOME").ok();
    let first = rows.iter().map(|row| width(&row[0])).max().unwrap_or(0).min(30);
    let left = columns().saturating_sub(first + 4);
    let from = |row: &[String; 4]| match (row[2].as_str(), row[3].as_str()) {
        ("built-in", _) => "built in".to_owned(),
        (_, by) => path_cell(by, home.as_deref(), left / 2),
    };
    let last = rows.iter().map(|row| width(&from(row))).max().unwrap_or(0);
    let second =
        rows.iter().map(|row| width(&path_cell(&row[1], home.as_deref(), usize::MAX))).max().unwrap_or(0);
    let second = second.min(left.saturating_sub(last));
    for row in rows {
        let value = match row[1].as_str() {
            "" => "none".to_owned(),
            path if path.starts_with('/') => path_cell(path, home.as_deref(), second),
            text => cell(text, second),
        };
        let (key, from) = (cell(&row[0], first), from(row));
        let cells = [(key.as_str(), Look::Bold, first), (&value, Look::Plain, second), (&from, Look::Dim, 0)];
        output.text(line(&cells, color).as_bytes(), b"\n")?;
    }
    Ok(())
}

fn get(args: Args) -> Result<Exit> {
    let [key] = &args.operands[..] else {
        return Err(match args.operands.get(1) {
            None => Error::usage("the key is missing").hint("'codex-agent config list' lists them"),
            Some(operand) => Error::usage(format!("unexpected operand '{operand}'")),
        });
    };
    let config = config::once().valid_for(key)?;
    let rows = rows(&args, config);
    let aliases = || config.aliases().iter();
    let mut output = Output::stdout();
    if let Some(row) = rows.iter().find(|row| row.key == key) {
        match (&row.value, args.common.json) {
            (_, true) => output.record(row)?,
            (Some(_), false) => output.text(shown(&row.text()).as_bytes(), b"\n")?,
            (None, false) => {}
        }
        if let Some(problem) = &row.problem {
            warn(problem);
        }
        output.flush()?;
        return Ok(if row.value.is_some() { Exit::Done } else { Exit::Negative });
    }
    let alias = key.strip_prefix("alias.").and_then(|name| aliases().find(|alias| alias.name == name));
    let Some(alias) = alias else {
        let names: Vec<String> = aliases().map(|alias| format!("alias.{}", alias.name)).collect();
        let known = rows.iter().map(|row| row.key).chain(names.iter().map(String::as_str));
        let error = Error::not_found(format!("there is no setting '{key}'"));
        return Err(match nearest(key, known).first() {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint("'codex-agent config list' lists them"),
        });
    };
    match args.common.json {
        true => {
            let by = alias::shadow(&alias.name, &SearchPath::from_env());
            output.record(&alias.record(config, by.as_deref()))?;
        }
        false => output.text(shown(&alias.text).as_bytes(), b"\n")?,
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// A value alone: a terminal gets it harmless, a script as it is.
fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    if is_terminal() { harmless(text) } else { text.into() }
}

fn path(_args: Args) -> Result<Exit> {
    let path = config::config_folder()?.join(config::NAME);
    cli::print(&format!("{}\n", shown(&path.to_string_lossy())))
}

/// Everything that is wrong, in the order of the file.
fn problems(config: &Config) -> Vec<ProblemRecord> {
    let problem = |word, place, detail, is_error| ProblemRecord::new(config, word, is_error, place, detail);
    let mut problems = Vec::new();
    for fault in config.faults() {
        let hint = fault.hint.iter().map(|hint| format!("; {hint}")).collect::<String>();
        problems.push(problem(fault.word, fault.place, format!("{}{hint}", fault.message), fault.is_error));
    }
    if let Some((home, place)) = config.value_in_file(&config::CODEX_HOME) {
        let why = match Path::new(home).metadata() {
            Ok(meta) if meta.is_dir() => None,
            Ok(_) => Some("it is not a directory".to_owned()),
            Err(error) => Some(reason(&error)),
        };
        problems.extend(why.map(|why| {
            let detail = format!("cannot open Codex's home '{}': {why}", home.display());
            problem("bad_value", Some(place), detail, true)
        }));
    }
    if let Some((codex, place)) = config.value_in_file(&config::CODEX_BINARY)
        && !is_executable(Path::new(codex))
    {
        let detail = format!("cannot run codex at '{}': it is not an executable file", codex.display());
        problems.push(problem("bad_value", Some(place), detail, true));
    }
    let path = search_path(config);
    for alias in config.aliases() {
        let place = Some(alias.place);
        if let Some(by) = alias::shadow(&alias.name, &path) {
            problems.push(problem("alias_shadowed", place, alias.shadowed(config, &by), false));
        } else if let Err(error) = alias::follow(config, &[alias.name.clone().into()], &path) {
            let leads = format!("alias '{}' leads nowhere", alias.name);
            let error = error.to_string();
            let detail = if error.starts_with("alias") { error } else { format!("{leads}: {error}") };
            problems.push(problem("alias_to_nothing", place, detail, false));
        }
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
}

fn check(args: Args) -> Result<Exit> {
    let config = Config::read(&config::config_folder()?);
    let problems = problems(&config);
    let mut output = Output::stdout();
    for problem in &problems {
        let level = problem.level;
        let number = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
        let (row, column) = (number(problem.line), number(problem.column));
        if args.common.json {
            output.record(problem)?;
        } else if is_terminal() {
            let place: String = [&row, &column]
                .into_iter()
                .filter(|part| !part.is_empty())
                .map(|part| format!(":{part}"))
                .collect();
            let text = format!("{}{place}: {level}: {}", problem.path, problem.detail);
            output.text(harmless(&text).as_bytes(), b"\n")?;
        } else {
            let cells = [&problem.path, &row, &column, level, &problem.detail];
            output.text(cells.map(|cell| tsv(cell)).join("\t").as_bytes(), b"\n")?;
        }
    }
    output.flush()?;
    Ok(match (problems.is_empty(), problems.iter().any(|problem| problem.level == "error")) {
        (true, _) => {
            let path = config.path().display();
            match config.is_there() {
                true => note(format_args!("nothing is wrong with '{path}'")),
                false => note(format_args!("there is no '{path}', and what is built in holds")),
            }
            Exit::Done
        }
        (false, false) => Exit::Negative,
        (false, true) => Exit::Trouble,
    })
}

/// A file in which everything is commented out, made from the table of settings.
fn template() -> String {
    let mut text = "# Settings of codex-agent; see codex-agent-config(1).\n".to_owned();
    let mut table = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if of != table {
            table = of;
            text.push_str(&format!("\n[{table}]\n"));
        }
        let value = match setting.kind {
            Kind::Number(_) => setting.default.to_owned(),
            Kind::Path if !setting.default.starts_with('~') => "\"/path/to/it\"".to_owned(),
            _ => format!("\"{}\"", setting.default),
        };
        let takes = setting.kind.expected();
        text.push_str(&format!("# {}: {takes}\n# {name} = {value}\n", setting.about));
    }
    text.push_str(
        "\n[alias]\n# today = \"ls --since 1d\"\n# pick = \"!codex-agent ls | fzf | codex-agent resume -\"\n",
    );
    text
}

fn edit(args: Args) -> Result<Exit> {
    let Some(editor) = child::editor() else {
        return Err(Error::usage("there is no terminal to edit on").hint("VISUAL or EDITOR names an editor"));
    };
    let dir = config::config_folder()?;
    let path = dir.join(config::NAME);
    let template = template();
    let is_new = path.symlink_metadata().is_err();
    let is_new_dir = dir.symlink_metadata().is_err();
    if is_new {
        private::create_dir(&dir)?;
        let mut file =
            private::open(std::fs::File::options().write(true).create_new(true), "the file", &path)?;
        file.write_all(template.as_bytes()).context("make", &path)?;
    }
    let edited = child::edit(&editor, &path);
    if is_new && std::fs::read(&path).is_ok_and(|bytes| bytes == template.as_bytes()) {
        std::fs::remove_file(&path).context("remove", &path)?;
        if is_new_dir {
            // Another process may have put something into it meanwhile.
            let _ = std::fs::remove_dir(&dir);
        }
    }
    edited?;
    check(args)
}
