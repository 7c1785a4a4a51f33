//! codex-agent: run a tool.
//!
//! The normal path reads no directory: the executable is looked up by its name in each directory of the search
//! path, and replaces this process, so that exit codes, signals and the terminal are the tool's own. Directories
//! are only read to list the tools, or to suggest a name for a typo; aliases are looked up where no tool has the
//! name; descriptions of external tools are read only to list them, or to open their manuals.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode, Stdio};

use codex_agent_shared::cli;
use codex_agent_shared::cli::candidates::Candidates;
use codex_agent_shared::cli::complete;
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, generate};
use codex_agent_shared::config::alias;
use codex_agent_shared::config::alias::{Alias, Resolved};
use codex_agent_shared::config::{ALIAS, Config, config_folder, named_config_folder};
use codex_agent_shared::error;
use codex_agent_shared::error::{Error, Exit, Result, reason, warn_of};
use codex_agent_shared::exec::{find_program, wrong_interpreter};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin;
use codex_agent_shared::plugin::SearchPath;
use codex_agent_shared::plugin::description::{self, Description};
use codex_agent_shared::plugin::record::ToolRecord;
use codex_agent_shared::terminal::{Look, columns, is_terminal, line};
use codex_agent_shared::text::{cell, harmless, path_cell, tsv, width};

#[derive(Default)]
struct Args {
    directory: Option<PathBuf>,
    codex_home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    exec_path: bool,
    list: Option<bool>,
    words: Vec<OsString>,
}

type Flag = cli::Flag<Args>;

fn flags() -> Vec<Flag> {
    vec![
        Flag::directory("directory", "change to DIR first", |args| &mut args.directory).short('C'),
        Flag::directory(
            "codex-home",
            "Codex's home, for the tool: sets CODEX_HOME",
            |args| &mut args.codex_home,
        ),
        Flag::directory(
            "config-home",
            "the directory of settings and groups: sets CODEX_AGENT_CONFIG_HOME",
            |args| &mut args.config_home,
        ),
        Flag::new(
            "list",
            Takes::Perhaps("json", || vec![("json", "")]),
            "list the tools",
            |args, value| value.perhaps().map(|word| args.list = Some(word.is_some())),
        )
        .more("In a pipe: name, summary, path, and the paths that the tool shadows, separated by TABs; with =json records of type tool. No tool is run for the list: the summary of an external tool is in its description, see codex-agent-plugin(1). Aliases follow the tools, as records of type alias; a warning is printed for an alias that a tool shadows."),
        Flag::switch(
            "exec-path",
            "print the directories that are searched for tools",
            |args| &mut args.exec_path,
        ),
    ]
}

fn tool() -> Tool {
    Tool::new("codex-agent", "run a codex-agent tool")
        .description([
            "codex-agent is git for Codex sessions: small programs that each do one thing, joined by pipes of newline-delimited JSON. 'codex-agent ls' runs the executable codex-agent-ls, which can also be run directly.",
            "Any executable called codex-agent-NAME is a tool, in whatever language it is written. NAME is lower case letters, digits and dashes. Tools are searched for in the directory of codex-agent itself, then in CODEX_AGENT_EXEC_PATH, then in PATH. Empty and relative entries of these are skipped, so that a tool is never run from the current directory by accident. The first one found is run; --list prints the ones that it shadows.",
            "If there is no tool of a name, the name may be an alias: the table alias in config.toml defines short names for a tool with arguments, or, with a leading '!', for a shell command. See codex-agent(7). The file is read only if there is no such tool.",
            "The environment of a tool also has CODEX_AGENT, the path of this codex-agent, and CODEX_AGENT_PROTOCOL, which is 1. --quiet before the name of a tool of this package is passed on to it.",
            "'codex-agent help TOOL' opens the manual page of a tool, or prints its --help if there is none; for an alias it prints the definition. 'codex-agent help guide', 'help records', 'help files' and 'help plugins' open codex-agent(7), codex-agent-records(5), codex-agent-files(5) and codex-agent-plugins(7), which describes how to write a tool.",
            "The tools of this package:",
        ])
        .description([tool_lines("    ")])
        .command(
            Command::new(run)
                .operand("TOOL [ARGUMENT...]", &[Completes::Tools], |args, word| {
                    args.words.push(word);
                    Ok(())
                })
                .greedy()
                .complete(complete)
                .flags("Options", flags()),
        )
        .exit_status(&[
            (0, "Done. Otherwise the exit status is that of the tool."),
            (
                2,
                "Bad usage, an alias that refers to itself, or an error in config.toml when an alias is looked up.",
            ),
            (126, "The tool was found, but cannot be run."),
            (127, "There is no such tool."),
        ])
        .environment(&[("CODEX_AGENT_EXEC_PATH", "Directories with tools, separated by colons; searched before PATH.")])
        .files(&[
            ("~/.config/codex-agent/config.toml", "Aliases, among other settings; see codex-agent-files(5)."),
            (
                "~/.local/share/codex-agent/tools/NAME.json",
                "The description of an external tool; see codex-agent-plugin(1).",
            ),
        ])
        .examples(&[
            ("Put all sessions into a group:", "codex-agent ls --json | codex-agent group add work"),
            ("List the tools:", "codex-agent --list"),
            ("Open the manual page of a tool:", "codex-agent help ls"),
            ("Use another home for one command:", "codex-agent --codex-home \"$CODEX_HOME\" ls --count"),
            ("Install manual pages and completion without a package:", "codex-agent setup --dry-run"),
            ("Try everything on a sample home:", "codex-agent demo"),
        ])
        .see_also(plugin::TOOLS.iter().map(|(name, ..)| format!("codex-agent-{name}(1)")).chain(
            ["codex-agent-records(5)", "codex-agent-files(5)", "codex-agent(7)", "codex-agent-plugins(7)"]
                .map(str::to_owned),
        ))
        .writes(["tool", "alias"])
        .epilogue(format!(
            "{}\n'codex-agent help ls' opens the manual page of a tool.",
            tool_lines("")
        ))
        .completions([
            include_str!("../completions/codex-agent.bash"),
            include_str!("../completions/codex-agent.zsh"),
            include_str!("../completions/codex-agent.fish"),
        ])
}

/// The tools and their NAME lines, under their headings.
fn tool_lines(margin: &str) -> String {
    let mut lines = Vec::new();
    let mut last = "";
    for (name, about, heading) in plugin::TOOLS {
        if heading != std::mem::replace(&mut last, heading) {
            lines.push(format!("{margin}{heading}:"));
        }
        lines.push(format!("{margin}  {name:7} {about}"));
    }
    lines.join("\n")
}

/// Pages by hand, so that 'help' has them where no manual is installed.
const PAGES: [(&str, &str, &str, &str); 4] = [
    ("guide", "codex-agent.7", include_str!("../man/codex-agent.7"), "the map of all tools"),
    ("records", "codex-agent-records.5", include_str!("../man/codex-agent-records.5"), "the records"),
    ("files", "codex-agent-files.5", include_str!("../man/codex-agent-files.5"), "the files"),
    ("plugins", "codex-agent-plugins.7", include_str!("../man/codex-agent-plugins.7"), "how to write a tool"),
];

fn main() -> ExitCode {
    cli::main(tool())
}

/// Enters the directory of `-C`.
fn enter(args: &Args) -> Result<()> {
    let Some(directory) = &args.directory else { return Ok(()) };
    env::set_current_dir(directory).map_err(|error| {
        Error::new(format!("cannot change to '{}': {}", directory.display(), reason(&error)))
    })
}

fn run(args: Args) -> Result<Exit> {
    enter(&args)?;
    if let (Some(flag), Some(extra)) =
        (args.exec_path.then_some("--exec-path").or(args.list.map(|_| "--list")), args.words.first())
    {
        return Err(Error::usage(format!("unexpected operand '{}' beside {flag}", extra.to_string_lossy())));
    }
    if args.exec_path {
        let path = SearchPath::from_env();
        let lines = path.directories().iter().map(|directory| format!("{}\n", directory.display()));
        return cli::print(&lines.collect::<String>());
    }
    if let Some(json) = args.list {
        return list(&args, json);
    }
    let Some(name) = args.words.first() else {
        return cli::print(&generate::help(&tool(), None));
    };
    let name = name.to_string_lossy();
    if name == "help" {
        return help(&args);
    }
    let search = SearchPath::from_env();
    let path = search.find(&name).map_err(|error| {
        if error.exit() == Exit::NoSuchTool && !plugin::is_name(&name) {
            error.hint("codex-agent --list lists the tools")
        } else {
            error
        }
    })?;
    match path {
        Some(path) => Err(become_tool(&args, &path, &args.words[1..])),
        None => follow(args, &search),
    }
}

/// Follows an alias, as there is no tool of that name.
fn follow(mut args: Args, path: &SearchPath) -> Result<Exit> {
    let config = config(&args)?;
    let name = args.words[0].to_string_lossy().into_owned();
    let key = format!("{ALIAS}.{name}");
    let is_known = config.faults().iter().any(|fault| fault.key.as_ref() == Some(&key));
    config.valid_for(&key).map_err(|error| match is_known {
        true => error,
        false => error.hint(format!("there is no tool '{name}', and whether it is an alias is unknown")),
    })?;
    match alias::follow(&config, &args.words, path)? {
        Resolved::Tool(path, arguments) => Err(become_tool(&args, &path, &arguments)),
        Resolved::Help(topic) => {
            args.words = std::iter::once("help".into()).chain(topic).collect();
            help(&args)
        }
        Resolved::Shell(arguments, way) => {
            let shell = alias::shell();
            Err(replace(process(&args, &shell, &arguments).env(alias::CHAIN_VAR, way), &shell))
        }
    }
}

/// Prints the candidates for the last word behind the name of a tool, or of an alias for one. A tool of the package
/// prints them itself; an external one is asked if its description allows that.
fn complete(args: Args) -> Result<Exit> {
    enter(&args)?;
    let search = SearchPath::from_env();
    let typed = args.words.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let mut found = Candidates::new(&typed);
    let help = |mut found: Candidates<'_>| {
        found.instruct("nothing");
        complete::offer_tools(&mut found, true);
        PAGES.iter().for_each(|(name, _, _, about)| found.offer(name, about));
        found.print()
    };
    let name = args.words[0].to_string_lossy();
    let (path, words) = match search.find(&name) {
        _ if name == plugin::OWN_WORD => return help(found),
        Ok(Some(path)) => {
            let is_ours = plugin::is_ours(&name, &path);
            if !is_ours {
                found.instruct(&format!("external {}", args.words.len()));
            }
            (path, args.words[1..].to_vec())
        }
        _ => match alias::follow(&config(&args)?, &args.words, &search)? {
            Resolved::Tool(path, words) => (path, words),
            Resolved::Help(_) => return help(found),
            Resolved::Shell(..) => (PathBuf::new(), Vec::new()),
        },
    };
    let tool_name = plugin::name_of(&path);
    if plugin::is_ours(&tool_name, &path) {
        let asked = ["--generate", "complete", "--"].map(OsString::from).into_iter().chain(words);
        return Err(become_tool(&args, &path, &asked.collect::<Vec<_>>()));
    }
    let known = Description::find(&tool_name);
    let has_script =
        known.as_ref().is_some_and(|known| generate::SHELLS.iter().any(|shell| known.has(shell)));
    if has_script {
        found.instruct("script");
    }
    if known.is_some_and(|known| known.completes) && (name != tool_name || !has_script) {
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        description::candidates(&path, &words, |word, meaning| found.offer(word, meaning))?;
    }
    if found.count() == 0 {
        found.instruct("files");
    }
    found.print()
}

/// The configuration that the tool would have. Without a home there is none.
fn config(args: &Args) -> Result<Config> {
    let folder = match &args.config_home {
        Some(folder) => std::path::absolute(folder).unwrap_or(folder.clone()),
        None => match named_config_folder()?.map_or_else(config_folder, Ok) {
            Ok(folder) => folder,
            Err(_) => return Ok(Config::default()),
        },
    };
    Ok(Config::read(&folder))
}

fn process(args: &Args, path: &Path, arguments: &[OsString]) -> Process {
    let mut process = Process::new(path);
    let name = path.file_name().and_then(|name| name.to_str()?.strip_prefix(plugin::PREFIX));
    // An external tool may not know the flag.
    if error::is_quiet() && name.is_some_and(|name| plugin::is_ours(name, path)) {
        process.arg("--quiet");
    }
    process.args(arguments);
    if let Ok(own) = env::current_exe() {
        plugin::set_env(&mut process, &own);
    }
    for (name, value) in [("CODEX_HOME", &args.codex_home), ("CODEX_AGENT_CONFIG_HOME", &args.config_home)] {
        if let Some(folder) = value {
            process.env(name, std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
        }
    }
    process
}

/// Replaces this process by a tool. What it returns is why it could not.
fn become_tool(args: &Args, path: &Path, arguments: &[OsString]) -> Error {
    replace(&mut process(args, path, arguments), path)
}

fn replace(process: &mut Process, path: &Path) -> Error {
    let error = process.exec();
    let shown = path.display();
    let message = match error.kind() {
        // The file is there, so what is not there is what its first line names.
        std::io::ErrorKind::NotFound => {
            let why = wrong_interpreter(path);
            let why = why.unwrap_or_else(|| "the interpreter in its first line is not there".to_owned());
            format!("cannot run '{shown}': {why}")
        }
        _ => format!("cannot run '{shown}': {}", reason(&error)),
    };
    Error::new(message).with_exit(Exit::CannotRun)
}

fn help(args: &Args) -> Result<Exit> {
    if let Some(extra) = args.words.get(2) {
        let (topic, extra) = (args.words[1].to_string_lossy(), extra.to_string_lossy());
        return Err(Error::usage(format!("unexpected operand '{extra}': help opens one manual"))
            .hint(format!("codex-agent {topic} {extra} --help describes the verb")));
    }
    let topic = match args.words.get(1).map(|word| word.to_string_lossy().into_owned()) {
        None => return show_page("codex-agent.1", &generate::document(&tool(), "man").unwrap_or_default()),
        Some(topic) => topic.strip_prefix(plugin::PREFIX).map(str::to_owned).unwrap_or(topic),
    };
    if topic == "codex-agent" || topic == "help" {
        return show_page("codex-agent.1", &generate::document(&tool(), "man").unwrap_or_default());
    }
    if let Some((_, page, text, _)) = PAGES.iter().find(|(name, ..)| *name == topic) {
        return show_page(page, text);
    }
    let search = SearchPath::from_env();
    let path = match search.find(&topic)? {
        Some(path) => path,
        None => return explain(args, &topic, &search),
    };
    let man = find_program("man");
    if let Some(man) = &man {
        let page = format!("{}{topic}", plugin::PREFIX);
        let is_installed =
            Process::new(man).args(["-w", &page]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if is_installed.is_ok_and(|status| status.success()) {
            return Err(become_tool(args, man, &[page.into()]));
        }
    }
    if man.is_some() && prints_a_page(&topic, &path) {
        match description::generate(&path, "man", description::PATIENCE) {
            Ok(page) => return show_page(&format!("{}{topic}.1", plugin::PREFIX), &page),
            Err(error) => warn_of(&error),
        }
    }
    Err(become_tool(args, &path, &["--help".into()]))
}

/// Says what an alias stands for.
fn explain(args: &Args, name: &str, path: &SearchPath) -> Result<Exit> {
    let config = config(args)?;
    let Some(found) = config.aliases().iter().find(|alias| alias.name == name) else {
        config.valid()?;
        let names: Vec<&str> = config.aliases().iter().map(|alias| alias.name.as_str()).collect();
        return Err(path.unknown(name, &names));
    };
    cli::print(&format!(
        "'{name}' is an alias for '{}' ({})\n",
        harmless(&found.text),
        config.location(Some(found.place))
    ))
}

/// Whether a tool prints its manual page: tools of this package do, an external one by its description.
fn prints_a_page(name: &str, path: &Path) -> bool {
    plugin::is_ours(name, path) || Description::find(name).is_some_and(|known| known.has("man"))
}

/// Opens a page with man(1), from a file that is gone when it is closed; without man(1) as it stands.
fn show_page(name: &str, text: &str) -> Result<Exit> {
    let Some(man) = find_program("man") else { return cli::print(&plain(text)) };
    let folder = tempfile::tempdir()
        .map_err(|error| Error::new(format!("cannot make a directory for '{name}': {error}")))?;
    let page = folder.path().join(name);
    #[allow(clippy::disallowed_methods)] // A temporary directory of our own.
    std::fs::write(&page, text)
        .map_err(|error| Error::new(format!("cannot write '{}': {}", page.display(), reason(&error))))?;
    let mut process = Process::new(man);
    process.arg(&page).stderr(Stdio::null());
    if is_terminal() {
        let status = process.status();
        return if status.is_ok_and(|status| status.success()) {
            Ok(Exit::Done)
        } else {
            cli::print(&plain(text))
        };
    }
    // It does not say whether its output was taken.
    match process.output() {
        Ok(output) if output.status.success() => cli::print(&String::from_utf8_lossy(&output.stdout)),
        _ => cli::print(&plain(text)),
    }
}

/// A page as text that can be read, where nothing sets it: requests are dropped, escapes resolved.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (request, rest) = match line.strip_prefix('.') {
            Some(line) => line.split_once(' ').unwrap_or((line, "")),
            None => ("", line),
        };
        let rest = rest.trim_matches('"');
        match request {
            "" | "B" | "I" | "BR" | "IR" => out.push_str(&format!("{rest}\n")),
            "TH" => out.push_str(&format!("{}\n", rest.split(' ').next().unwrap_or(""))),
            "SH" | "SS" => out.push_str(&format!("\n{rest}\n")),
            "PP" | "TP" => out.push('\n'),
            _ => {}
        }
    }
    for (escape, character) in [
        ("\\-", "-"),
        ("\\fB", ""),
        ("\\fI", ""),
        ("\\fR", ""),
        ("\\&", ""),
        ("\\(aq", "'"),
        ("\\(ha", "^"),
        ("\\(ti", "~"),
        ("\\e", "\\"),
    ] {
        out = out.replace(escape, character);
    }
    out
}

fn list(args: &Args, json: bool) -> Result<Exit> {
    let path = SearchPath::from_env();
    let known = description::with_descriptions(&path.list().tools);
    let mut output = Output::stdout();
    let records: Vec<ToolRecord<'_>> =
        known.iter().map(|(tool, about)| description::listed(tool, about.as_ref())).collect();
    if json {
        for record in &records {
            output.record(record)?;
        }
        return list_aliases(args, &path, output, json);
    }
    if is_terminal() {
        for row in table(&records) {
            output.text(row.as_bytes(), b"\n")?;
        }
        let exit = list_aliases(args, &path, output, json)?;
        for tool in &path.list().tools {
            for shadowed in &tool.shadows {
                error::warn(format_args!(
                    "'{}' is shadowed by '{}'",
                    shadowed.display(),
                    tool.path.display()
                ));
            }
        }
        return Ok(exit);
    }
    for record in &records {
        let cells = [
            record.name.to_owned(),
            record.about.unwrap_or("").to_owned(),
            record.path.clone().unwrap_or_default(),
            record.shadows.clone().unwrap_or_default().join(":"),
        ];
        output.text(cells.map(|cell| tsv(&cell).into_owned()).join("\t").as_bytes(), b"\n")?;
    }
    list_aliases(args, &path, output, json)
}

/// The aliases, after the tools. One that a tool shadows is a record, and in a list only a warning: its
/// name stands there already.
fn list_aliases(args: &Args, path: &SearchPath, mut output: Output, json: bool) -> Result<Exit> {
    let config = config(args)?;
    let shadow = |alias: &Alias| alias::shadow(&alias.name, path);
    let shown: Vec<_> = config.aliases().iter().map(|alias| (alias, shadow(alias))).collect();
    let names = shown.iter().map(|(alias, _)| alias.name.as_str());
    let first =
        names.chain(path.list().tools.iter().map(|tool| tool.name.as_str())).map(width).max().unwrap_or(0);
    for (alias, shadow) in &shown {
        let told = format!("alias for {}", alias.text);
        match shadow {
            _ if json => output.record(&alias.record(&config, shadow.as_deref()))?,
            Some(_) => {}
            None if is_terminal() => {
                let what = cell(&told, columns().saturating_sub(first + 2));
                let cells = [(alias.name.as_str(), Look::Plain, first), (&what, Look::Plain, 0)];
                output.text(line(&cells, false).as_bytes(), b"\n")?;
            }
            None => {
                let cells = [&alias.name, &told, &*config.path().to_string_lossy(), ""];
                output.text(cells.map(|cell| tsv(cell).into_owned()).join("\t").as_bytes(), b"\n")?;
            }
        }
    }
    output.flush()?;
    let told = |(alias, by): &(&Alias, Option<PathBuf>)| Some(alias.shadowed(&config, by.as_deref()?));
    shown.iter().filter_map(told).for_each(error::warn);
    if let Err(error) = config.valid() {
        error::warn_of(&error);
        return Ok(Exit::Trouble);
    }
    Ok(Exit::Done)
}

/// Names, what the tools are for, and, where there is room, where they are.
fn table(tools: &[ToolRecord<'_>]) -> Vec<String> {
    let widest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| width(&text)).max().unwrap_or(0);
    let first = widest(&mut tools.iter().map(|tool| tool.name.to_owned()));
    let left = columns().saturating_sub(first + 2);
    let second = widest(&mut tools.iter().map(|tool| cell(tool.about.unwrap_or(""), left)));
    let third = left.saturating_sub(second + 2);
    let home = env::var("HOME").ok();
    let row = |tool: &ToolRecord<'_>| {
        let path = tool.path.as_deref().unwrap_or("");
        let what = cell(tool.about.unwrap_or(""), left);
        let (what, place) = match (what.is_empty(), third < 20) {
            (true, true) => (path_cell(path, home.as_deref(), left), String::new()),
            (false, true) => (what, String::new()),
            (_, false) => (what, path_cell(path, home.as_deref(), third)),
        };
        line(
            &[(tool.name, Look::Plain, first), (&what, Look::Plain, second), (&place, Look::Plain, 0)],
            false,
        )
    };
    tools.iter().map(row).collect()
}
