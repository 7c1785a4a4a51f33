//! codex-agent-config: show settings, where each is set, and problems of config.toml.
//!
//! The file belongs to the user: `edit` opens it in an editor, and `set` and `unset` change one key and keep comments,
//! order and blank lines.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use codex_agent_engine::process::command;
use codex_agent_shared::child;
use codex_agent_shared::choice::Choice;
use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
use codex_agent_shared::cli::{Command, Completes, Tool, flags};
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::config;
use codex_agent_shared::config::alias;
use codex_agent_shared::config::alias::Alias;
use codex_agent_shared::config::records::{ProblemRecord, SettingRecord, SettingValue};
use codex_agent_shared::config::{Config, Kind, SETTINGS, Setting, Source};
use codex_agent_shared::error::{Context, Error, Exit, Result, note, reason, status, warn, warn_of};
use codex_agent_shared::exec::is_executable;
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::output::{Listing, Rows};
use codex_agent_shared::plugin::SearchPath;
use codex_agent_shared::store::private;
use codex_agent_shared::terminal::{Cell, Cut, Look, Table, is_terminal};
use codex_agent_shared::text::{harmless, nearest, quoted};

type Args = cli::Args;
type Flag = cli::Flag<Args>;

fn listing() -> impl Iterator<Item = Flag> {
    let help = ListingHelp {
        json: "print setting and alias records, one per line",
        format: "a template such as '{key}={value}'",
        limit: "list at most N settings and aliases",
        fields: || flags::fields_of(&["setting", "alias"], &[]),
    };
    flags::listing_output(&help).into_iter().chain([flags::codex_home(), flags::codex()])
}

fn setting_flags() -> [Flag; 4] {
    [
        flags::json("print setting and alias records, one per line"),
        flags::codex_home(),
        flags::codex(),
        flags::color(),
    ]
}

fn commands() -> [Command<Args>; 8] {
    [
        Command::new(list)
            .hint("'codex-agent config get KEY' prints one setting")
            .flags("Options", listing()),
        Command::verb("list", "list the settings and where each comes from", list)
            .hint("'codex-agent config get KEY' prints one setting")
            .details(&[
                "This verb does the same as 'codex-agent config' without a verb. In a pipe, each setting is one line with these columns, separated by TABs: key; value; source (flag, environment, file or built-in); name of the flag or the variable, or place in the file. An alias has the key alias.NAME.",
            ])
            .flags("Options", listing()),
        Command::verb("get", "print one setting", get)
            .operands("KEY", &[Completes::Settings, Completes::Nothing])
            .details(&[
                "KEY is the key of a setting, such as codex.home, alias.NAME for the alias NAME, or a key of a host, such as host.NAME.via. Only the value is printed; with --json, the record of the setting is printed.",
            ])
            .flags("Options", setting_flags()),
        Command::verb("set", "set one setting in config.toml", set)
            .operands("KEY VALUE", &[Completes::Settings, Completes::Nothing])
            .details(&[
                "KEY is the key of a setting, such as runs.keep, alias.NAME for the alias NAME, or a key of a host, such as host.NAME.via or host.NAME.paths./work. VALUE is checked as when config.toml is read. If config.toml does not exist, it is created. Comments, order and blank lines of config.toml are kept, and the file is replaced atomically; a symbolic link is kept, and its target is replaced. A config.toml that cannot be parsed is not changed.",
                "A flag or an environment variable that overrides the setting is reported.",
            ])
            .flags("Options", [flags::json("print the record of the setting")]),
        Command::verb("unset", "remove one setting from config.toml", unset)
            .operands("KEY", &[Completes::Settings, Completes::Nothing])
            .details(&[
                "KEY is the key of a setting, alias.NAME, or a key of a host. The setting has its default again, unless a flag or an environment variable sets it. The comments above it are kept.",
            ])
            .flags("Options", [flags::json("print the record of the setting")]),
        Command::verb("path", "print the path of config.toml", path),
        Command::verb("check", "report problems in config.toml", check)
            .details(&[
                "Every problem in config.toml is reported: syntax errors, unknown keys, invalid values, aliases of tools that do not exist. In a pipe, each problem is one line with these columns, separated by TABs: file; line; column; error or warning; explanation of the problem.",
            ])
            .flags("Options", [flags::json("print records of type config.problem, one per line")]),
        Command::verb("edit", "open config.toml in an editor, then check it", edit).details(&[
            "If config.toml does not exist, it is created with every setting commented out, and is removed again if the editor did not change it. After the editor has ended, problems are reported as by 'codex-agent config check'.",
        ]),
    ]
}

fn tool() -> Tool {
    Tool::ours("codex-agent-config")
        .description(description())
        .commands(commands())
        .exit_status(&[
            (0, "Done; for check: no problem was found."),
            (1, "For get: the key does not exist, or has no value. For set and unset: there is no such setting, or config.toml does not have the key. For check: the file has warnings, and no errors."),
            (2, "Bad usage, or an error in config.toml. Without a verb and for list, the valid settings are nevertheless printed."),
        ])
        .environment(&[
            (
                "CODEX_AGENT_CONFIG_HOME, XDG_CONFIG_HOME",
                "The directory of config.toml; see codex-agent-files(5).",
            ),
            ("VISUAL, EDITOR", "The editor that 'codex-agent config edit' opens; vi if neither variable is set."),
        ])
        .files(&[("~/.config/codex-agent/config.toml", "The settings; see codex-agent-files(5).")])
        .examples(&[
            ("List the settings:", "codex-agent config"),
            ("Print the path of Codex's home directory, for a script:", "codex-agent config get codex.home"),
            ("Keep finished runs for 90 days:", "codex-agent config set runs.keep 90d"),
            ("Define an alias:", "codex-agent config set alias.today 'ls --since 1d'"),
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
        "Shows the settings of codex-agent, and where each setting is set. A flag overrides an environment variable, an environment variable overrides config.toml, and config.toml overrides the default. The tool also shows codex.database, config.folder and state.folder, the paths of Codex's database and of the configuration and state directories of codex-agent, which cannot be set in config.toml.".to_owned(),
        "The file config.toml is in the TOML format. For an unknown key, a warning is printed. If the file has a syntax error or an invalid value, a tool that needs a setting from the file prints the line and the column, and exits with status 2; a tool that needs only ui.color prints a warning.".to_owned(),
    ];
    for setting in SETTINGS {
        let before: Vec<&str> =
            setting.flag.into_iter().chain(setting.variables.iter().map(|(name, _)| *name)).collect();
        let beaten = match before[..] {
            [] => String::new(),
            [one] => format!(" {one} overrides the setting."),
            _ => format!(" {} override the setting.", before.join(" and ")),
        };
        let Setting { key, about, default, more, .. } = setting;
        let takes = setting.kind.expected();
        paragraphs.push(format!("{key}: {about}. Value: {takes} [default: {default}].{beaten} {more}"));
    }
    paragraphs.push("The table alias defines aliases, which are short names for a tool with arguments. The value of an alias is a string that is split into words as by a shell, or an array of strings. If the string begins with '!', the rest of the string is a shell command, to which the arguments of the alias are appended. A tool overrides an alias of the same name. An alias may refer to another alias.".to_owned());
    paragraphs.push("Each table host.NAME describes a host: another machine, or another Codex home of this machine. host.NAME.via is the command that runs a command on the host, a string or an array of strings as for an alias [default: ssh, with options that let it never ask and notice a lost connection]; ssh gives the words of host.NAME.command to the shell of the host. host.NAME.command is the command codex-agent of the host [default: codex-agent]. host.NAME.max_concurrent is the number of concurrent jobs on the host. host.NAME.connect_timeout is the time that the host may take until codex-agent answers there [default: 30s for jobs, 3s to read sessions]; a scheduler such as Slurm may need longer. The table host.NAME.paths has directories of this machine, each with the directory of the host that has the same files.".to_owned());
    paragraphs.push("    [codex]\n    home = \"~/work/codex\"\n    [runs]\n    keep = \"90d\"\n    [alias]\n    today = \"ls --since 1d\"\n    mine = [\"ls\", \"--under\", \"/home/me/my projects\"]\n    fz = \"!codex-agent ls --fields id,title,cwd | fzf -d '\\\\t' --with-nth 2,3 | codex-agent resume -\"\n    [host.gpu]\n    command = \"~/.cargo/bin/codex-agent\"\n    [host.gpu.paths]\n    \"/home/me/work\" = \"/data/me/work\"\n    [host.second]\n    via = [\"env\", \"CODEX_HOME=/home/me/.codex-2\"]".to_owned());
    paragraphs
}

fn main() -> ExitCode {
    cli::main(tool())
}

/// The record with a path, or with the reason why there is none and the value that was set.
fn with_path(
    record: SettingRecord,
    path: std::result::Result<&Path, &Error>,
    set: Option<OsString>,
) -> SettingRecord {
    let text = |path: &Path| SettingValue::Text(path.to_string_lossy().into_owned());
    match path {
        Ok(path) => SettingRecord { value: Some(text(path)), ..record },
        Err(error) => {
            let absolute = |path: OsString| std::path::absolute(&path).unwrap_or_else(|_| path.into());
            let value = set.map(|path| text(&absolute(path)));
            SettingRecord { value, problem: Some(error.to_string()), ..record }
        }
    }
}

/// The settings, and the paths that follow from them.
fn rows(args: &Args, config: &Config) -> Vec<SettingRecord> {
    let common = &args.common;
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.clone().into_os_string());
    let home = Home::find(common.codex_home.as_deref());
    let mut rows = Vec::new();
    for setting in SETTINGS {
        let flag = match setting.key {
            "codex.home" => path(&common.codex_home),
            "codex.binary" => path(&common.codex),
            "ui.color" => Some(common.color.word().into()).filter(|word: &OsString| !word.is_empty()),
            _ => None,
        };
        let (value, source) = config.chosen(setting, flag).unzip();
        let row = |source| SettingRecord::of_setting(setting, source, config);
        rows.push(match setting.key {
            "codex.home" => with_path(row(source), home.as_ref().map(Home::path), value),
            "ui.pager" if value.is_none() => {
                let by_pager = std::env::var("PAGER").ok();
                let source = by_pager.as_ref().map(|_| Source::Environment("PAGER"));
                let text = by_pager.unwrap_or_else(|| setting.default.to_owned());
                SettingRecord { value: Some(SettingValue::Text(text)), ..row(source) }
            }
            "codex.binary" => {
                let found = command::find(common.codex.as_deref());
                let source = source.or(found.as_ref().ok().map(|_| Source::Environment("PATH")));
                with_path(row(source), found.as_ref().map(AsRef::as_ref), value)
            }
            _ => {
                let text = value.map_or(setting.default.into(), |value| value.to_string_lossy().into_owned());
                let number = text.parse().ok().filter(|_| matches!(setting.kind, Kind::Number(..)));
                let value = number.map_or(SettingValue::Text(text), SettingValue::Number);
                SettingRecord { value: Some(value), ..row(source) }
            }
        });
    }
    if let Ok(home) = &home {
        let row = |source| SettingRecord::new("codex.database", "Codex's database", source, config);
        let row = match home.database_moved_by() {
            None => row(None),
            Some("sqlite_home") => {
                let file = home.path().join("config.toml").to_string_lossy().into_owned();
                SettingRecord { source: "file", by: Some(file), ..row(None) }
            }
            Some(variable) => row(Some(Source::Environment(variable))),
        };
        rows.push(match home.database() {
            Some(path) => with_path(row, Ok(path), None),
            None => row,
        });
    }
    for (key, about, directory) in [
        ("config.folder", "groups, queues and config.toml", &config::CONFIG_DIRECTORY),
        ("state.folder", "runs and locks", &config::STATE_DIRECTORY),
    ] {
        let found = directory.locate();
        let source = found.as_ref().ok().and_then(|(_, by)| by.map(Source::Environment));
        let row = SettingRecord::new(key, about, source, config);
        rows.push(with_path(row, found.as_ref().map(|(path, _)| path.as_path()), None));
    }
    let keys = config.hosts().iter().flat_map(|host| &host.set);
    rows.extend(keys.map(|key| SettingRecord::of_host(key, config)));
    rows
}

/// The search path; its directories are read once if there are aliases, which a tool may shadow.
fn search_path(config: &Config) -> SearchPath {
    let path = SearchPath::from_env();
    if !config.aliases().is_empty() {
        path.list();
    }
    path
}

fn list(args: Args) -> Result<Exit> {
    let shape = args.common.shape_of(&["setting", "alias"], &[])?;
    let config = config::as_far_as_valid();
    let rows = rows(&args, config);
    let path = search_path(config);
    let shadow = |alias: &Alias| alias::shadow(&alias.name, &path);
    let aliases: Vec<_> = config.aliases().iter().map(|alias| (alias, shadow(alias))).collect();
    let mut listing = Listing::new(shape, table());
    for row in &rows {
        let cells = [row.key.to_string(), row.text(), row.source.to_owned(), row.origin()];
        let plain = || cells.to_vec();
        listing.add(row, &[("value", &cells[1])], Rows { plain, table: |_| table_row(&cells) })?;
    }
    for (alias, by) in &aliases {
        let (key, place) = (format!("alias.{}", alias.name), config.location(Some(alias.place)));
        let more = [("key", key.as_str()), ("value", &alias.text), ("source", "file")];
        let cells = [key.clone(), alias.text.clone(), "file".to_owned(), place];
        let plain = || cells.to_vec();
        let record = alias.record(config, by.as_deref());
        listing.add(&record, &more, Rows { plain, table: |_| table_row(&cells) })?;
    }
    listing.finish()?;
    for row in &rows {
        match &row.problem {
            // A missing Codex is not a problem of the settings.
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

/// The table of key, value and source.
fn table() -> Table {
    let table = Table::new().column("KEY", Look::Bold).most(30);
    let table = table.column("VALUE", Look::Plain).gives_way(2, 12);
    table.column("SOURCE", Look::Dim).cut(Cut::Front).gives_way(1, 16)
}

fn table_row([key, value, source, origin]: &[String; 4]) -> Vec<Cell> {
    let value = match value.as_str() {
        "" => Cell::with_look("none", Look::Dim),
        path if path.starts_with('/') => Cell::with_cut(path, Cut::Front),
        text => text.into(),
    };
    let origin = if source == "built-in" { "built in" } else { origin };
    vec![key.as_str().into(), value, origin.into()]
}

const LIST_HINT: &str = "'codex-agent config list' lists the settings";

fn get(args: Args) -> Result<Exit> {
    let [key] = &args.operands[..] else {
        return Err(match args.operands.get(1) {
            None => Error::usage("the key of a setting is missing").hint(LIST_HINT),
            Some(operand) => Error::usage(format!("unexpected operand '{operand}'")),
        });
    };
    let config = config::as_far_as_valid().valid_for(key)?;
    let rows = rows(&args, config);
    let mut output = Output::stdout();
    let mut exit = Exit::Done;
    if let Some(row) = rows.iter().find(|row| row.key == *key) {
        if args.common.json {
            output.record(row)?;
        } else if row.value.is_some() {
            output.text(printable(&row.text()).as_bytes(), b"\n")?;
        }
        if let Some(problem) = &row.problem {
            warn(problem);
        }
        exit = if row.value.is_some() { Exit::Done } else { Exit::Negative };
    } else if let Some(alias) = key.strip_prefix("alias.").and_then(|name| config.alias(name)) {
        if args.common.json {
            let by = alias::shadow(&alias.name, &SearchPath::from_env());
            output.record(&alias.record(config, by.as_deref()))?;
        } else {
            output.text(printable(&alias.text).as_bytes(), b"\n")?;
        }
    } else {
        let names: Vec<String> =
            config.aliases().iter().map(|alias| format!("alias.{}", alias.name)).collect();
        let known = rows.iter().map(|row| &*row.key).chain(names.iter().map(String::as_str));
        let near = nearest(key, known).first().map(|near| format!("did you mean '{near}'?"));
        let error = Error::not_found(format!("there is no setting '{key}'"));
        return Err(error.hint(near.unwrap_or_else(|| LIST_HINT.to_owned())));
    }
    output.flush()?;
    Ok(exit)
}

fn set(args: Args) -> Result<Exit> {
    let (key, text) = match &args.operands[..] {
        [key, value] => (key, value),
        [pair] => {
            let hint = match pair.split_once('=') {
                Some((key, value)) => format!("did you mean '{key} {}'?", quoted(value)),
                None => format!("'codex-agent config unset {}' removes the setting", quoted(pair)),
            };
            return Err(Error::usage("the value of the setting is missing").hint(hint));
        }
        [] => return Err(Error::usage("expected the operands KEY VALUE").hint(LIST_HINT)),
        [key, words @ ..] => {
            let hint = format!("a value of several words needs quotes: {key} {}", quoted(&words.join(" ")));
            return Err(Error::usage(format!("unexpected operand '{}'", words[1])).hint(hint));
        }
    };
    let directory = config::config_directory()?;
    config::edit::set(&directory, key, text)?;
    report(&args, &directory, key, &format!("set {key} to '{text}'"))
}

fn unset(args: Args) -> Result<Exit> {
    let [key] = &args.operands[..] else {
        return Err(match args.operands.get(1) {
            None => Error::usage("the key of a setting is missing").hint(LIST_HINT),
            Some(operand) => Error::usage(format!("unexpected operand '{operand}'")),
        });
    };
    let directory = config::config_directory()?;
    config::edit::unset(&directory, key)?;
    report(&args, &directory, key, &format!("removed {key}"))
}

/// Reports a change of the file, what overrides it, and problems of the new value.
fn report(args: &Args, directory: &Path, key: &str, change: &str) -> Result<Exit> {
    let config = Config::read(directory);
    status(format_args!("{change} in '{}'", config.path().display()));
    let alias = key.strip_prefix("alias.").and_then(|name| config.alias(name));
    let setting = SETTINGS.iter().find(|setting| setting.key == key);
    if let Some((_, Source::Environment(variable))) = setting.and_then(|setting| config.chosen(setting, None))
    {
        status(format_args!("the variable {variable} overrides the setting"));
    }
    let place = setting.and_then(|setting| config.value_in_file(setting)).map(|(_, place)| place);
    let host_key = config.hosts().iter().flat_map(|host| &host.set).find(|set| set.key == key);
    let place = place
        .or(alias.map(|alias| alias.place))
        .or(host_key.map(|set| set.place))
        .map(|place| (Some(place.line), Some(place.column)));
    let here = problems(&config).into_iter().filter(|problem| place == Some((problem.line, problem.column)));
    here.for_each(|problem| warn(&problem.detail));
    let mut output = Output::stdout();
    if args.common.json {
        let row = rows(args, &config).into_iter().find(|row| row.key == *key);
        row.iter().try_for_each(|row| output.record(row))?;
        let by = alias.and_then(|alias| alias::shadow(&alias.name, &SearchPath::from_env()));
        alias.iter().try_for_each(|alias| output.record(&alias.record(&config, by.as_deref())))?;
    }
    output.flush().map(|()| Exit::Done)
}

/// A value without a row: harmless on a terminal, unchanged for a script.
fn printable(text: &str) -> Cow<'_, str> {
    if is_terminal() { harmless(text) } else { text.into() }
}

fn path(_args: Args) -> Result<Exit> {
    let path = config::config_directory()?.join(config::NAME);
    cli::print(&format!("{}\n", printable(&path.to_string_lossy())))
}

/// All problems, in the order of the file.
fn problems(config: &Config) -> Vec<ProblemRecord> {
    let record = |kind, place, detail, is_error| ProblemRecord::new(config, kind, is_error, place, detail);
    let problems = config.problems().iter();
    let mut records: Vec<ProblemRecord> = problems
        .map(|problem| record(problem.kind, problem.place, problem.detail(), problem.is_error))
        .collect();
    if let Some((home, place)) = config.value_in_file(&config::CODEX_HOME) {
        let why = match Path::new(home).metadata() {
            Ok(meta) if meta.is_dir() => None,
            Ok(_) => Some("it is not a directory".to_owned()),
            Err(error) => Some(reason(&error)),
        };
        records.extend(why.map(|why| {
            let detail = format!("cannot open Codex's home '{}': {why}", home.display());
            record("bad_value", Some(place), detail, true)
        }));
    }
    if let Some((codex, place)) = config.value_in_file(&config::CODEX_BINARY)
        && !is_executable(Path::new(codex))
    {
        let detail = format!("cannot run codex at '{}': it is not an executable file", codex.display());
        records.push(record("bad_value", Some(place), detail, true));
    }
    let path = search_path(config);
    for alias in config.aliases() {
        let place = Some(alias.place);
        if let Some(by) = alias::shadow(&alias.name, &path) {
            records.push(record("alias_shadowed", place, alias.shadowed(config, &by), false));
        } else if let Err(error) = alias::resolve(config, &[alias.name.clone().into()], &path) {
            let mut detail = error.to_string();
            if !detail.starts_with("alias") {
                detail = format!("alias '{}' refers to no tool: {detail}", alias.name);
            }
            records.push(record("alias_to_nothing", place, detail, false));
        }
    }
    records.sort_by_key(|record| (record.line, record.column));
    records
}

fn check(args: Args) -> Result<Exit> {
    let config = Config::read(&config::config_directory()?);
    let problems = problems(&config);
    let mut output = Output::stdout();
    for problem in &problems {
        let ProblemRecord { path, level, detail, .. } = problem;
        let place = [problem.line, problem.column];
        if args.common.json {
            output.record(problem)?;
        } else if is_terminal() {
            let place: String = place.iter().flatten().map(|number| format!(":{number}")).collect();
            let text = format!("{path}{place}: {level}: {detail}");
            output.text(harmless(&text).as_bytes(), b"\n")?;
        } else {
            let [line, column] =
                place.map(|number| number.map(|number| number.to_string()).unwrap_or_default());
            output.row([path, &line, &column, *level, detail])?;
        }
    }
    output.flush()?;
    if problems.is_empty() {
        let path = config.path().display();
        note(match config.exists() {
            true => format!("nothing is wrong with '{path}'"),
            false => format!("there is no '{path}': all settings have their defaults"),
        });
        return Ok(Exit::Done);
    }
    let has_error = problems.iter().any(|problem| problem.level == "error");
    Ok(if has_error { Exit::Trouble } else { Exit::Negative })
}

/// The template of a file, made from the table of settings: everything is commented out.
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
            Kind::Number(..) => setting.default.to_owned(),
            Kind::Command if setting.key == "runs.on_end" => {
                "\"notify-send codex-agent 'a run has ended'\"".to_owned()
            }
            Kind::Path if !setting.default.starts_with('~') => "\"/path/to/it\"".to_owned(),
            _ => format!("\"{}\"", setting.default),
        };
        let takes = setting.kind.expected();
        text.push_str(&format!("# {}: {takes}\n# {name} = {value}\n", setting.about));
    }
    text.push_str(
        "\n[alias]\n# today = \"ls --since 1d\"\n# fz = \"!codex-agent ls --fields id,title,cwd | fzf -d '\\\\t' --with-nth 2,3 | codex-agent resume -\"\n",
    );
    text.push_str(
        "\n# [host.gpu]\n# via = [\"ssh\", \"gpu.example.org\"]\n# command = \"~/.cargo/bin/codex-agent\"\n# max_concurrent = 4\n# connect_timeout = \"10m\"\n# [host.gpu.paths]\n# \"/home/me\" = \"/data/me\"\n",
    );
    text
}

fn edit(args: Args) -> Result<Exit> {
    let Some(editor) = child::editor() else {
        return Err(Error::usage("cannot open an editor: standard input is not a terminal")
            .hint("set the variable VISUAL or EDITOR to an editor"));
    };
    let dir = config::config_directory()?;
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
            // Another process may have created a file in the directory meanwhile.
            let _ = std::fs::remove_dir(&dir);
        }
    }
    edited?;
    check(args)
}
