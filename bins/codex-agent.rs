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

use codex_agent_shared::cli::candidates::Candidates;
use codex_agent_shared::cli::{self, Command, Completes, Takes, Tool, complete, generate};
use codex_agent_shared::config::alias::{self, Alias, AliasResolution};
use codex_agent_shared::config::{ALIAS, CONFIG_DIRECTORY, Config, config_directory};
use codex_agent_shared::error::{self, Context, Error, Exit, Result, reason, warn_of};
use codex_agent_shared::exec::{find_program, wrong_interpreter};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::plugin::description::{self, Description};
use codex_agent_shared::plugin::{self, SearchPath};
use codex_agent_shared::terminal::{Cell, Color, Cut, Look, Table, disable_pager, is_terminal, page};
use codex_agent_shared::text::harmless;

#[derive(Default)]
struct Args {
    directory: Option<PathBuf>,
    codex_home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    exec_path: bool,
    list: Option<bool>,
    no_pager: bool,
    words: Vec<OsString>,
}

type Flag = cli::Flag<Args>;

fn flags() -> Vec<Flag> {
    vec![
        Flag::directory("directory", "run the tool in the directory DIR", |args| &mut args.directory).short('C'),
        Flag::directory(
            "codex-home",
            "Codex's home directory, for the tool: sets CODEX_HOME",
            |args| &mut args.codex_home,
        ),
        Flag::directory(
            "config-home",
            "the directory of settings, groups and queues: sets CODEX_AGENT_CONFIG_HOME",
            |args| &mut args.config_home,
        ),
        Flag::new(
            "list",
            Takes::Perhaps("json", || vec![("json", "")]),
            "list the tools",
            |args, value| value.perhaps().map(|word| args.list = Some(word.is_some())),
        )
        .more("In a pipe, each tool is one line with these columns, separated by TABs: name; summary; path; paths of executables of the same name that are not run (shadowed). With --list=json, each tool is a record of type tool, and each alias is a record of type alias after them. No tool is run for the list: the summary of an external tool is read from its description; see codex-agent-plugin(1). If a tool has the name of an alias, a warning is printed."),
        Flag::switch("no-pager", "do not send the output of the tool to a pager: sets CODEX_AGENT_PAGER", |args| {
            &mut args.no_pager
        }),
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
            "codex-agent is git for Codex sessions: a set of small programs (tools) that each do one thing, and are connected by pipes in which each line is a JSON object. 'codex-agent TOOL' runs the executable codex-agent-TOOL, which can also be run directly: 'codex-agent ls' runs codex-agent-ls.",
            "Any executable called codex-agent-NAME, in any programming language, is a tool. NAME consists of lower case letters, digits and dashes. Tools are searched for in the directory of the executable codex-agent, then in the directories of CODEX_AGENT_EXEC_PATH, then in the directories of PATH. Empty and relative entries of these variables are skipped, so that a tool in the current directory is never run by accident. The first executable that is found is run; --list prints later executables of the same name, which are not run.",
            "If the tool TOOL does not exist, TOOL may be an alias: the table alias in config.toml defines short names for a tool with arguments, or, for a value that begins with '!', for a shell command. See codex-agent(7). The aliases in config.toml are read only if no tool has the name.",
            "In the environment of a tool, CODEX_AGENT is the path of the executable codex-agent that runs the tool, CODEX_AGENT_VERSION its version, and CODEX_AGENT_PROTOCOL is 1. If --quiet precedes the name of a tool of the package codex-agent, the option is passed on to the tool.",
            "'codex-agent help TOOL' opens the manual page of a tool, or, for a tool without a manual page, runs the tool with --help; for an alias, it prints the definition of the alias. 'codex-agent help guide' opens codex-agent(7), 'codex-agent help records' opens codex-agent-records(5), 'codex-agent help files' opens codex-agent-files(5), 'codex-agent help transcripts' opens codex-agent-transcripts(7), 'codex-agent help distributed' opens codex-agent-distributed(7), and 'codex-agent help plugins' opens codex-agent-plugins(7), which describes how to write a tool.",
            "The tools of the package codex-agent are:",
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
            (0, "Done. If a tool was run, the exit status is that of the tool."),
            (
                2,
                "Bad usage, an alias that refers to itself, or an error in config.toml when an alias is looked up.",
            ),
            (126, "The tool was found, but cannot be run."),
            (127, "The tool does not exist, and no alias has this name."),
        ])
        .environment(&[("CODEX_AGENT_EXEC_PATH", "Directories with tools, separated by colons; searched before PATH.")])
        .files(&[
            ("~/.config/codex-agent/config.toml", "The settings, which include the aliases; see codex-agent-files(5)."),
            (
                "~/.local/share/codex-agent/tools/NAME.json",
                "The description of an external tool; see codex-agent-plugin(1).",
            ),
        ])
        .examples(&[
            ("Put all sessions into a group:", "codex-agent ls --json | codex-agent group add work"),
            ("List the tools:", "codex-agent --list"),
            ("Open the manual page of a tool:", "codex-agent help ls"),
            ("Use another home directory of Codex for one command:", "codex-agent --codex-home \"$CODEX_HOME\" ls --count"),
            ("List the manual pages and completion scripts that setup would install:", "codex-agent setup --dry-run"),
            ("Try the tools on a sample of Codex's home directory:", "codex-agent demo"),
        ])
        .see_also(plugin::TOOLS.iter().map(|(name, ..)| format!("codex-agent-{name}(1)")).chain(
            ["codex-agent-records(5)", "codex-agent-files(5)", "codex-agent(7)", "codex-agent-distributed(7)", "codex-agent-plugins(7)", "codex-agent-transcripts(7)"]
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

/// The topics of 'help' that are no tools: word, file, text and meaning.
const PAGES: [(&str, &str, &str, &str); 6] = [
    ("guide", "codex-agent.7", include_str!("../man/codex-agent.7"), "the map of all tools"),
    ("records", "codex-agent-records.5", include_str!("../man/codex-agent-records.5"), "the records"),
    ("files", "codex-agent-files.5", include_str!("../man/codex-agent-files.5"), "the files"),
    ("plugins", "codex-agent-plugins.7", include_str!("../man/codex-agent-plugins.7"), "how to write a tool"),
    (
        "transcripts",
        "codex-agent-transcripts.7",
        include_str!("../man/codex-agent-transcripts.7"),
        "how Codex writes transcripts",
    ),
    (
        "distributed",
        "codex-agent-distributed.7",
        include_str!("../man/codex-agent-distributed.7"),
        "how to run jobs on several machines",
    ),
];

fn main() -> ExitCode {
    cli::main(tool())
}

/// Changes to the directory of `-C`.
fn change_directory(args: &Args) -> Result<()> {
    let Some(directory) = &args.directory else { return Ok(()) };
    env::set_current_dir(directory).context("change to", directory)
}

fn run(args: Args) -> Result<Exit> {
    change_directory(&args)?;
    if args.no_pager {
        disable_pager();
    }
    if let (Some(flag), Some(extra)) =
        (args.exec_path.then_some("--exec-path").or(args.list.map(|_| "--list")), args.words.first())
    {
        return Err(Error::usage(format!("unexpected operand '{}' after {flag}", extra.to_string_lossy())));
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
    let path = search.find(&name).map_err(|error| match error.exit() {
        Exit::NoSuchTool => error.hint("'codex-agent --list' lists the tools"),
        _ => error,
    })?;
    match path {
        Some(path) => Err(run_tool(&args, &path, &args.words[1..])),
        None => run_alias(args, &search),
    }
}

/// Runs an alias, where no tool has the name.
fn run_alias(mut args: Args, path: &SearchPath) -> Result<Exit> {
    let config = config(&args)?;
    let name = args.words[0].to_string_lossy().into_owned();
    let key = format!("{ALIAS}.{name}");
    let is_reported = config.problems().iter().any(|problem| problem.key.as_ref() == Some(&key));
    config.valid_for(&key).map_err(|error| match is_reported {
        true => error,
        false => error.hint(format!("there is no tool '{name}', and config.toml may have an alias '{name}'")),
    })?;
    match alias::resolve(&config, &args.words, path)? {
        AliasResolution::Tool(path, arguments) => Err(run_tool(&args, &path, &arguments)),
        AliasResolution::Help(topic) => {
            args.words = std::iter::once("help".into()).chain(topic).collect();
            help(&args)
        }
        AliasResolution::Shell(arguments, way) => {
            let shell = alias::shell();
            Err(replace(tool_process(&args, &shell, &arguments).env(alias::CHAIN_VAR, way), &shell))
        }
    }
}

/// Prints the candidates for the last word, after the name of a tool or of an alias. A tool of the package prints its
/// candidates itself; an external tool is run for them only if its description allows that.
fn complete(args: Args) -> Result<Exit> {
    change_directory(&args)?;
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
        _ => match alias::resolve(&config(&args)?, &args.words, &search)? {
            AliasResolution::Tool(path, words) => (path, words),
            AliasResolution::Help(_) => return help(found),
            AliasResolution::Shell(..) => (PathBuf::new(), Vec::new()),
        },
    };
    let tool_name = plugin::tool_name(&path);
    if plugin::is_ours(&tool_name, &path) {
        let asked = ["--generate", "complete", "--"].map(OsString::from).into_iter().chain(words);
        return Err(run_tool(&args, &path, &asked.collect::<Vec<_>>()));
    }
    let known = Description::find(&tool_name, &path);
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

/// The configuration that the tool would read. Without a home directory it is empty.
fn config(args: &Args) -> Result<Config> {
    let directory = match &args.config_home {
        Some(directory) => Ok(absolute(directory)),
        None => CONFIG_DIRECTORY.from_env()?.map_or_else(config_directory, Ok),
    };
    Ok(directory.map_or_else(|_| Config::default(), |directory| Config::read(&directory)))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn tool_process(args: &Args, path: &Path, arguments: &[OsString]) -> Process {
    let mut process = Process::new(path);
    let name = path.file_name().and_then(|name| name.to_str()?.strip_prefix(plugin::PREFIX));
    // An external tool may not know --quiet.
    if error::is_quiet() && name.is_some_and(|name| plugin::is_ours(name, path)) {
        process.arg("--quiet");
    }
    process.args(arguments);
    if let Ok(own) = env::current_exe() {
        plugin::set_env(&mut process, &own);
    }
    if args.no_pager {
        process.env("CODEX_AGENT_PAGER", "cat").env("MANPAGER", "cat");
    }
    for (name, value) in [("CODEX_HOME", &args.codex_home), ("CODEX_AGENT_CONFIG_HOME", &args.config_home)] {
        if let Some(directory) = value {
            process.env(name, absolute(directory));
        }
    }
    process
}

/// Replaces this process by a tool. The result is the error of a failure.
fn run_tool(args: &Args, path: &Path, arguments: &[OsString]) -> Error {
    replace(&mut tool_process(args, path, arguments), path)
}

fn replace(process: &mut Process, path: &Path) -> Error {
    let error = process.exec();
    let why = match error.kind() {
        // The executable exists, so that its interpreter is missing.
        std::io::ErrorKind::NotFound => wrong_interpreter(path)
            .unwrap_or_else(|| "the interpreter of the script does not exist".to_owned()),
        _ => reason(&error),
    };
    Error::new(format!("cannot run '{}': {why}", path.display())).with_exit(Exit::CannotRun)
}

fn help(args: &Args) -> Result<Exit> {
    let word = |at: usize| args.words.get(at).map(|word| word.to_string_lossy());
    if let (Some(topic), Some(extra)) = (word(1), word(2)) {
        return Err(Error::usage(format!("unexpected operand '{extra}': help opens one manual page"))
            .hint(format!("'codex-agent {topic} {extra} --help' describes a verb of {topic}")));
    }
    let topic = word(1).unwrap_or(plugin::OWN_WORD.into());
    let topic = topic.strip_prefix(plugin::PREFIX).unwrap_or(&topic);
    if topic == "codex-agent" || topic == plugin::OWN_WORD {
        return show_page(args, "codex-agent.1", &generate::document(&tool(), "man").unwrap_or_default());
    }
    let page = |topic: &str| PAGES.iter().find(|(name, ..)| *name == topic);
    if let Some((_, page, text, _)) = page(topic) {
        return show_page(args, page, text);
    }
    let search = SearchPath::from_env();
    let Some(path) = search.find(topic)? else {
        return match page("distributed")
            .filter(|_| ["host", "hosts", "ssh", "slurm", "worker"].contains(&topic))
        {
            Some((_, page, text, _)) => show_page(args, page, text),
            None => print_alias(args, topic, &search),
        };
    };
    if let Some(man) = find_program("man") {
        let page = format!("{}{topic}", plugin::PREFIX);
        let is_installed =
            Process::new(&man).args(["-w", &page]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if is_installed.is_ok_and(|status| status.success()) {
            return Err(run_tool(args, &man, &[page.into()]));
        }
        if plugin::is_ours(topic, &path)
            || Description::find(topic, &path).is_some_and(|known| known.has("man"))
        {
            match description::generate(&path, "man", description::PATIENCE) {
                Ok(text) => return show_page(args, &format!("{page}.1"), &text),
                Err(error) => warn_of(&error),
            }
        }
    }
    Err(run_tool(args, &path, &["--help".into()]))
}

/// Prints the definition of an alias.
fn print_alias(args: &Args, name: &str, path: &SearchPath) -> Result<Exit> {
    let config = config(args)?;
    let Some(found) = config.aliases().iter().find(|alias| alias.name == name) else {
        config.valid()?;
        let names: Vec<&str> = config.aliases().iter().map(|alias| alias.name.as_str()).collect();
        return Err(path.unknown(name, None, &names));
    };
    cli::print(&format!(
        "'{name}' is an alias for '{}' ({})\n",
        harmless(&found.text),
        config.location(Some(found.place))
    ))
}

/// Opens a manual page with man(1), from a temporary file; prints it as plain text if man(1) cannot.
fn show_page(args: &Args, name: &str, text: &str) -> Result<Exit> {
    let Some(man) = find_program("man") else { return cli::print(&plain(text)) };
    let directory = tempfile::tempdir().context("make a directory in", &env::temp_dir())?;
    let page = directory.path().join(name);
    #[allow(clippy::disallowed_methods)] // A temporary directory of our own.
    std::fs::write(&page, text).context("write", &page)?;
    let mut process = Process::new(man);
    process.arg(&page).stderr(Stdio::null());
    if args.no_pager {
        process.env("MANPAGER", "cat");
    }
    // man(1) does not report whether its output was read, so that its output in a pipe is printed here.
    let ended = match is_terminal() {
        true => process.status().map(|status| (status, Vec::new())),
        false => process.output().map(|output| (output.status, output.stdout)),
    };
    match ended {
        Ok((status, out)) if status.success() => cli::print(&String::from_utf8_lossy(&out)),
        _ => cli::print(&plain(text)),
    }
}

/// The plain text of a manual page: requests are dropped, and escapes are resolved.
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
    for font in ["\\fB", "\\fI", "\\fR", "\\&"] {
        out = out.replace(font, "");
    }
    for (escape, character) in [("\\-", "-"), ("\\(aq", "'"), ("\\(ha", "^"), ("\\(ti", "~"), ("\\e", "\\")] {
        out = out.replace(escape, character);
    }
    out
}

/// Prints the tools, and after them the aliases. An alias that a tool shadows is a record with --json, and otherwise only
/// a warning, since the tool has a row of the same name.
fn list(args: &Args, json: bool) -> Result<Exit> {
    let (path, config) = (SearchPath::from_env(), config(args)?);
    let tools = &path.list().tools;
    let mut output = Output::stdout();
    page();
    let mut table = Table::new().column("NAME", Look::Plain).column("KIND", Look::Waiting).optional(3, 8);
    table = table.column("SUMMARY", Look::Plain).gives_way(2, 1);
    table = table.column("PATH", Look::Dim).cut(Cut::Front).optional(1, 20);
    for (tool, description) in description::with_descriptions(tools) {
        let record = description::listed(tool, description.as_ref());
        let [about, place] = [record.about, record.path.as_deref()].map(Option::unwrap_or_default);
        if json {
            output.record(&record)?;
        } else if !is_terminal() {
            output.row([
                record.name,
                about,
                place,
                &record.shadows.as_deref().unwrap_or_default().join(":"),
            ])?;
        } else {
            let kind = if record.ours == Some(true) { "" } else { "external" };
            let summary = match about {
                "" => Cell::with_cut(place, Cut::Front),
                about => about.into(),
            };
            let place = if about.is_empty() { "" } else { place };
            table.row([record.name.into(), kind.into(), summary, place.into()]);
        }
    }
    let aliases = config.aliases().iter().map(|alias| (alias, alias::shadow(&alias.name, &path)));
    let aliases: Vec<(&Alias, Option<PathBuf>)> = aliases.collect();
    for (alias, shadow) in &aliases {
        let about = format!("alias for {}", alias.text);
        if json {
            output.record(&alias.record(&config, shadow.as_deref()))?;
        } else if shadow.is_none() && is_terminal() {
            table.row([&alias.name, "alias", &about, ""]);
        } else if shadow.is_none() {
            output.row([&alias.name, &about, &*config.path().to_string_lossy(), ""])?;
        }
    }
    // The configuration that decides on colours is read for a table alone.
    if is_terminal() && !json {
        table.write(&mut output, Color::Unset.is_on())?;
    }
    output.flush()?;
    let shadowed = |(alias, by): &(&Alias, Option<PathBuf>)| Some(alias.shadowed(&config, by.as_deref()?));
    aliases.iter().filter_map(shadowed).for_each(error::warn);
    for tool in tools.iter().filter(|_| is_terminal() && !json) {
        for shadowed in &tool.shadows {
            let (shadowed, tool) = (shadowed.display(), tool.path.display());
            error::warn(format_args!("'{shadowed}' is shadowed by '{tool}'"));
        }
    }
    match config.valid() {
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            warn_of(&error);
            Ok(Exit::Trouble)
        }
    }
}
