//! Documents made from a tool's table: help, man page, completions, description.

use std::fmt::Write;

use super::{Completes, Row, Takes, Tool, Verb};
use crate::plugin::{PREFIX, ToolRecord};

/// What `--generate` can print.
pub const KINDS: [&str; 5] = ["man", "bash", "zsh", "fish", "describe"];

/// Where the width of help ends.
const WIDTH: usize = 78;

/// A document of a tool, or `None` for a kind that there is not.
pub fn document(tool: &Tool, kind: &str) -> Option<String> {
    let by_hand = |at: usize| tool.completions.map(|scripts| scripts[at].to_owned());
    Some(match kind {
        "man" => man(tool),
        "bash" if tool.completions.is_some() => by_hand(0)?,
        "zsh" if tool.completions.is_some() => by_hand(1)?,
        "fish" if tool.completions.is_some() => by_hand(2)?,
        "bash" => bash(tool),
        "zsh" => zsh(tool),
        "fish" => fish(tool),
        "describe" => describe(tool),
        _ => return None,
    })
}

fn is_plain(tool: &Tool) -> bool {
    matches!(tool.commands, [only] if only.name().is_empty())
}

/// The flags that every command has.
fn standard() -> [Row; 2] {
    let row = |short, long, help| Row {
        section: "",
        short: Some(short),
        long,
        takes: Takes::Nothing,
        help,
        more: "",
    };
    [row('h', "help", "show this help"), row('V', "version", "show the version")]
}

fn synopsis(tool: &Tool, command: &dyn Verb) -> String {
    let mut text = tool.name.to_owned();
    for part in
        [command.name(), if command.rows().is_empty() { "" } else { "[OPTION...]" }, command.operands()]
    {
        if !part.is_empty() {
            text.push(' ');
            text.push_str(part);
        }
    }
    text
}

/// The text of `--help`: of the whole tool, or of one verb.
pub fn help(tool: &Tool, verb: Option<&dyn Verb>) -> String {
    let mut out = String::new();
    match verb {
        Some(verb) => {
            let _ = writeln!(out, "{} {} - {}\n", tool.name, verb.name(), verb.about());
        }
        None => {
            let _ = writeln!(out, "{} - {}\n", tool.name, tool.about);
        }
    }
    if verb.is_none() && !is_plain(tool) {
        let _ = writeln!(out, "Usage: {} VERB [OPTION...] [OPERAND...]\n\nVerbs:", tool.name);
        let widest = tool.commands.iter().map(|command| command.name().len()).max().unwrap_or(0);
        for command in tool.commands {
            let other = match command.aliases() {
                [] => String::new(),
                aliases => format!(" (also {})", aliases.join(", ")),
            };
            let about = format!("{}{other}", command.about());
            definition(&mut out, &format!("  {:widest$}", command.name()), widest + 4, &about);
        }
        let _ = writeln!(out, "\n'{} VERB --help' tells the options of a verb.", tool.name);
    } else if let Some(command) = verb.or(tool.commands.first().copied()) {
        let _ = writeln!(out, "Usage: {}", synopsis(tool, command));
        let mut section = None;
        for row in command.rows().iter().chain(&standard()) {
            let heading = if row.section.is_empty() { "Other options" } else { row.section };
            if section != Some(heading) {
                let _ = writeln!(out, "\n{heading}:");
                section = Some(heading);
            }
            definition(&mut out, &format!("  {}", flag_words(row)), 26, row.help);
        }
    }
    if !tool.epilogue.is_empty() {
        let _ = writeln!(out, "\n{}", tool.epilogue);
    }
    let topic = tool.name.strip_prefix(PREFIX).unwrap_or(tool.name);
    let _ = writeln!(out, "\n'codex-agent help {topic}' tells more.");
    out
}

fn flag_words(row: &Row) -> String {
    let short = row.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    match (row.takes, row.takes.placeholder()) {
        (Takes::Perhaps(..), Some(name)) => format!("{short}--{}[={name}]", row.long),
        (_, Some(name)) => format!("{short}--{} {name}", row.long),
        (_, None) => format!("{short}--{}", row.long),
    }
}

/// A term and its text, wrapped, with the text beginning in one column.
fn definition(out: &mut String, term: &str, column: usize, text: &str) {
    let mut line = format!("{term:column$}");
    if term.len() >= column {
        let _ = writeln!(out, "{term}");
        line = " ".repeat(column);
    }
    for word in text.split(' ') {
        let blank = usize::from(line.len() > column);
        if line.len() + blank + word.len() > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(column);
        }
        if line.len() > column {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

/// Text as roff: backslashes, hyphens that must stay ASCII, and lines that begin like a request.
fn roff(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('^', "\\(ha")
        .replace('~', "\\(ti");
    match text.starts_with('.') {
        true => format!("\\&{text}"),
        false => text,
    }
}

/// Paragraphs; one with lines that begin with a blank is shown as it stands.
fn paragraphs(out: &mut String, paragraphs: &[&str]) {
    for (at, paragraph) in paragraphs.iter().enumerate() {
        if at > 0 {
            out.push_str(".PP\n");
        }
        if paragraph.starts_with(' ') {
            out.push_str(".nf\n.RS 4\n");
            for line in paragraph.lines() {
                let _ = writeln!(out, "{}", roff(line.strip_prefix("    ").unwrap_or(line)));
            }
            out.push_str(".RE\n.fi\n");
        } else {
            let _ = writeln!(out, "{}", roff(paragraph));
        }
    }
}

fn man(tool: &Tool) -> String {
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(
        out,
        ".TH {} 1 \"\" \"codex\\-agent {version}\" \"codex\\-agent manual\"",
        roff(&tool.name.to_uppercase())
    );
    let _ = writeln!(out, ".SH NAME\n{} \\- {}\n.SH SYNOPSIS", roff(tool.name), roff(tool.about));
    for (at, command) in tool.commands.iter().enumerate() {
        if at > 0 {
            out.push_str(".br\n");
        }
        let _ = writeln!(out, ".B {}", roff(&format!("{} {}", tool.name, command.name())).trim_end());
        let rest = synopsis(tool, *command);
        let from = tool.name.len() + 1 + command.name().len();
        let _ = writeln!(out, "{}", roff(rest.get(from..).unwrap_or("").trim()));
    }
    out.push_str(".SH DESCRIPTION\n");
    paragraphs(&mut out, tool.description);
    if is_plain(tool) {
        out.push_str(".SH OPTIONS\n");
        options(&mut out, &tool.commands[0].rows(), ".SS");
        standard_options(&mut out);
    } else {
        out.push_str(".SH VERBS\n");
        for command in tool.commands {
            let synopsis = synopsis(tool, *command);
            let _ = writeln!(out, ".SS {}", roff(synopsis.get(tool.name.len() + 1..).unwrap_or("")));
            let other = match command.aliases() {
                [] => String::new(),
                aliases => format!(" Also called {}.", aliases.join(", ")),
            };
            let _ = writeln!(out, "{}.{}", roff(&capital(command.about())), roff(&other));
            for detail in command.details() {
                let _ = writeln!(out, ".PP\n{}", roff(detail));
            }
            options(&mut out, &command.rows(), "");
        }
        out.push_str(".SH OPTIONS\n");
        standard_options(&mut out);
    }
    out.push_str(".SH \"EXIT STATUS\"\n");
    for (code, text) in tool.exit_status {
        let _ = writeln!(out, ".TP\n.B {code}\n{}", roff(text));
    }
    out.push_str(".SH ENVIRONMENT\n");
    for (name, text) in tool.environment.iter().chain(&ENVIRONMENT) {
        let _ = writeln!(out, ".TP\n.B {}\n{}", roff(name), roff(text));
    }
    if !tool.files.is_empty() {
        out.push_str(".SH FILES\n");
        for (name, text) in tool.files {
            let _ = writeln!(out, ".TP\n.I {}\n{}", roff(name), roff(text));
        }
    }
    out.push_str(".SH EXAMPLES\n");
    for example in tool.examples {
        let _ = writeln!(out, ".PP\n{}\n.PP\n.nf\n.RS 4", roff(example.text));
        for line in example.command.lines() {
            let _ = writeln!(out, "{}", roff(line));
        }
        out.push_str(".RE\n.fi\n");
    }
    out.push_str(".SH \"SEE ALSO\"\n");
    let pages: Vec<String> = tool
        .see_also
        .iter()
        .map(|page| match page.split_once('(') {
            Some((name, section)) => format!(".BR {} ({section}", roff(name)),
            None => format!(".B {}", roff(page)),
        })
        .collect();
    let _ = writeln!(out, "{}", pages.join(" ,\n"));
    out
}

/// What every tool heeds.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("CODEX_HOME", "Codex's home, where --codex-home does not name one."),
    ("CODEX_SQLITE_HOME", "Where Codex keeps its database, where its config.toml does not say."),
    ("NO_COLOR, CLICOLOR_FORCE", "No colours, or colours everywhere; see --color."),
];

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn options(out: &mut String, rows: &[Row], heading: &str) {
    let mut section = "";
    for row in rows {
        if row.section != section && !heading.is_empty() {
            let _ = writeln!(out, "{heading} {}", roff(row.section));
            section = row.section;
        }
        let short = row.short.map_or(String::new(), |letter| format!("\\fB\\-{letter}\\fR, "));
        let value = match (row.takes, row.takes.placeholder()) {
            (Takes::Perhaps(..), Some(name)) => format!("[=\\fI{}\\fR]", roff(name)),
            (_, Some(name)) => format!(" \\fI{}\\fR", roff(name)),
            (_, None) => String::new(),
        };
        let _ = writeln!(out, ".TP\n{short}\\fB\\-\\-{}\\fR{value}", roff(row.long));
        let more = if row.more.is_empty() { String::new() } else { format!(" {}", row.more) };
        let _ = writeln!(out, "{}.{}", roff(&capital(row.help)), roff(&more));
    }
}

fn standard_options(out: &mut String) {
    out.push_str(".SS Common to all tools\n");
    options(out, &standard(), "");
    let _ = writeln!(
        out,
        ".TP\n\\fB\\-\\-generate\\fR \\fIKIND\\fR\nPrint one of the tool\\(aqs own documents: {}.",
        KINDS.join(", ")
    );
}

fn describe(tool: &Tool) -> String {
    let record = ToolRecord {
        version: Some(env!("CARGO_PKG_VERSION")),
        protocol: Some(1),
        reads: Some(tool.reads),
        writes: Some(tool.writes),
        generates: Some(&KINDS),
        ..ToolRecord::new(tool.name.strip_prefix(PREFIX).unwrap_or(tool.name), Some(tool.about))
    };
    // Nothing in it that JSON has not.
    let record = serde_json::to_string(&record).unwrap_or_default();
    format!("{record}\n")
}

// Completions. Sessions and groups are asked for when TAB is pressed; everything else is fixed.

const SESSIONS: &str = "codex-agent-ls -n 200 --no-files --format '{id}' 2>/dev/null";
const GROUPS: &str = "codex-agent-group list --format '{name}' 2>/dev/null";

fn function(tool: &Tool) -> String {
    format!("_{}", tool.name.replace('-', "_"))
}

fn words(rows: &[Row]) -> String {
    let mut words = Vec::new();
    for row in rows.iter().chain(&standard()) {
        words.extend(row.short.map(|letter| format!("-{letter}")));
        words.push(format!("--{}", row.long));
    }
    words.join(" ")
}

fn bash_operand(completes: Completes) -> &'static str {
    match completes {
        Completes::Nothing => ":",
        Completes::Sessions => "_words=\"@ @@ $(SESSIONS)\"",
        Completes::Groups => "_words=$(GROUPS)",
        Completes::Tools => "_words=$(codex-agent --list 2>/dev/null | cut -f1)",
        Completes::Commands => "COMPREPLY=($(compgen -c -- \"$cur\")); return",
    }
}

fn bash_value(takes: Takes) -> String {
    match takes {
        Takes::OneOf(_, choices) | Takes::Perhaps(_, choices) => format!("_words=\"{}\"", choices.join(" ")),
        Takes::Directory(_) => "COMPREPLY=($(compgen -d -- \"$cur\")); return".to_owned(),
        Takes::File(_) => "COMPREPLY=($(compgen -f -- \"$cur\")); return".to_owned(),
        Takes::Session(_) => bash_operand(Completes::Sessions).to_owned(),
        Takes::Group(_) => bash_operand(Completes::Groups).to_owned(),
        Takes::Nothing | Takes::Text(_) => "return".to_owned(),
    }
}

/// One command's part: what follows a flag, flags, operands by their place. bash 3.2 is enough.
fn bash_command(out: &mut String, command: &dyn Verb, indent: &str, first: usize) {
    let rows = command.rows();
    let _ = writeln!(out, "{indent}case \"$prev\" in");
    for row in rows.iter().filter(|row| !matches!(row.takes, Takes::Nothing | Takes::Perhaps(..))) {
        let short = row.short.map_or(String::new(), |letter| format!("-{letter}|"));
        let _ = writeln!(out, "{indent}{short}--{}) {} ;;", row.long, bash_value(row.takes));
    }
    let _ = writeln!(out, "{indent}*) case \"$cur\" in");
    let _ = writeln!(out, "{indent}   -*) _words=\"{}\" ;;", words(&rows));
    let _ = writeln!(out, "{indent}   *) case $_place in");
    let places = command.completes();
    for (at, completes) in places.iter().enumerate() {
        let place = if at + 1 == places.len() { "*".to_owned() } else { format!("{}", at + first) };
        let _ = writeln!(out, "{indent}      {place}) {} ;;", bash_operand(*completes));
    }
    let _ = writeln!(out, "{indent}      esac ;;\n{indent}   esac ;;\n{indent}esac");
}

fn bash(tool: &Tool) -> String {
    let function = function(tool);
    let mut out = format!("# bash completion for {}; made by '{} --generate bash'\n", tool.name, tool.name);
    let _ = writeln!(out, "{function}() {{");
    out.push_str(
        "    local cur prev _words _place _at\n    cur=${COMP_WORDS[COMP_CWORD]}\n    prev=${COMP_WORDS[COMP_CWORD-1]}\n",
    );
    // bash hands '--flag=value' over in three words.
    out.push_str("    if [ \"$cur\" = = ]; then cur=; else\n");
    out.push_str("        if [ \"$prev\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n    fi\n");
    out.push_str("    _place=0 _at=1\n");
    out.push_str("    while [ \"$_at\" -lt \"$COMP_CWORD\" ]; do\n");
    out.push_str("        case ${COMP_WORDS[_at]} in -*|=) ;; *) _place=$((_place + 1)) ;; esac\n");
    out.push_str("        _at=$((_at + 1))\n    done\n");
    if is_plain(tool) {
        bash_command(&mut out, tool.commands[0], "    ", 0);
    } else {
        let verbs: Vec<&str> = tool.commands.iter().map(|command| command.name()).collect();
        let _ = writeln!(out, "    if [ \"$COMP_CWORD\" -le 1 ]; then");
        let _ = writeln!(out, "        _words=\"{} --help --version\"\n    else", verbs.join(" "));
        out.push_str("        case ${COMP_WORDS[1]} in\n");
        for command in tool.commands {
            let names = std::iter::once(command.name()).chain(command.aliases().iter().copied());
            let _ = writeln!(out, "        {})", names.collect::<Vec<_>>().join("|"));
            bash_command(&mut out, *command, "            ", 1);
            out.push_str("            ;;\n");
        }
        out.push_str("        esac\n    fi\n");
    }
    out.push_str("    COMPREPLY=($(compgen -W \"$_words\" -- \"$cur\"))\n}\n");
    let _ = writeln!(out, "complete -o default -F {function} {}", tool.name);
    out.replace("$(SESSIONS)", &format!("$({SESSIONS})")).replace("$(GROUPS)", &format!("$({GROUPS})"))
}

fn zsh_text(text: &str) -> String {
    text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:")
}

fn zsh_operand(completes: Completes) -> &'static str {
    match completes {
        Completes::Nothing => " ",
        Completes::Sessions => "_codex_agent_sessions",
        Completes::Groups => "_codex_agent_groups",
        Completes::Tools => "_codex_agent_tools",
        Completes::Commands => "_command_names -e",
    }
}

fn zsh_arguments(command: &dyn Verb) -> Vec<String> {
    let mut arguments = Vec::new();
    for row in command.rows().iter().chain(&standard()) {
        let name = row.takes.placeholder().unwrap_or("");
        let (mark, value) = match row.takes {
            Takes::Nothing => ("", String::new()),
            Takes::Text(_) => ("=", format!(":{name}: ")),
            Takes::File(_) => ("=", format!(":{name}:_files")),
            Takes::Directory(_) => ("=", format!(":{name}:_files -/")),
            Takes::OneOf(_, choices) => ("=", format!(":{name}:({})", choices.join(" "))),
            Takes::Perhaps(_, choices) => ("=-", format!("::{name}:({})", choices.join(" "))),
            Takes::Session(_) => ("=", format!(":{name}:_codex_agent_sessions")),
            Takes::Group(_) => ("=", format!(":{name}:_codex_agent_groups")),
        };
        let help = zsh_text(row.help);
        match row.short {
            Some(letter) => {
                let plus = if mark == "=" { "+" } else { "" };
                arguments.push(format!(
                    "'(-{letter} --{0})'{{-{letter}{plus},--{0}{mark}}}'[{help}]{value}'",
                    row.long
                ));
            }
            None => arguments.push(format!("'*--{}{mark}[{help}]{value}'", row.long)),
        }
    }
    let places = command.completes();
    for (at, completes) in places.iter().enumerate() {
        let place = if at + 1 == places.len() { "*".to_owned() } else { (at + 1).to_string() };
        arguments.push(format!("'{place}:operand:{}'", zsh_operand(*completes)));
    }
    arguments
}

fn zsh(tool: &Tool) -> String {
    let mut out = format!("#compdef {}\n# made by '{} --generate zsh'\n\n", tool.name, tool.name);
    let uses = |wanted: &str| {
        tool.commands.iter().any(|command| zsh_arguments(*command).iter().any(|a| a.contains(wanted)))
    };
    if uses("_codex_agent_sessions") {
        let list = SESSIONS.replace("{id}", "{id}\\t{title}");
        let _ = writeln!(
            out,
            "_codex_agent_sessions() {{\n    local -a found\n    found=(${{(f)\"$({list} | cut -c1-100 | sed 's/:/\\\\:/g; s/\\t/:/')\"}})\n    \
             found+=('@:the newest here' '@@:the newest')\n    _describe -V session found\n}}\n"
        );
    }
    if uses("_codex_agent_groups") {
        let _ = writeln!(
            out,
            "_codex_agent_groups() {{\n    local -a found\n    found=(${{(f)\"$({GROUPS} | sed 's/:/\\\\:/g')\"}})\n    _describe group found\n}}\n"
        );
    }
    if uses("_codex_agent_tools") {
        out.push_str("_codex_agent_tools() {\n    local -a found\n    found=(${(f)\"$(codex-agent --list 2>/dev/null | cut -f1)\"})\n    _describe tool found\n}\n\n");
    }
    if is_plain(tool) {
        let _ = writeln!(out, "_arguments -S \\\n    {}", zsh_arguments(tool.commands[0]).join(" \\\n    "));
        return out;
    }
    out.push_str("local curcontext=$curcontext state line\n");
    out.push_str("_arguments -C '(-h --help)'{-h,--help}'[show this help]' '(-V --version)'{-V,--version}'[show the version]' '1:verb:->verb' '*::operand:->operands'\n");
    out.push_str("case $state in\nverb)\n    local -a verbs\n    verbs=(\n");
    for command in tool.commands {
        let _ = writeln!(out, "        '{}:{}'", command.name(), zsh_text(command.about()));
    }
    out.push_str("    )\n    _describe verb verbs\n    ;;\noperands)\n    case $words[1] in\n");
    for command in tool.commands {
        let names = std::iter::once(command.name()).chain(command.aliases().iter().copied());
        let _ = writeln!(out, "    {})", names.collect::<Vec<_>>().join("|"));
        let _ = writeln!(
            out,
            "        _arguments -S \\\n            {}",
            zsh_arguments(*command).join(" \\\n            ")
        );
        out.push_str("        ;;\n");
    }
    out.push_str("    esac\n    ;;\nesac\n");
    out
}

fn fish_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn fish_operand(completes: Completes) -> String {
    let sessions = SESSIONS.replace("{id}", "{id}\\t{title}");
    match completes {
        Completes::Nothing => String::new(),
        Completes::Sessions => format!("({sessions})"),
        Completes::Groups => format!("({GROUPS})"),
        Completes::Tools => "(codex-agent --list 2>/dev/null)".to_owned(),
        Completes::Commands => "(complete -C (commandline -ct))".to_owned(),
    }
}

fn fish_rows(out: &mut String, tool: &Tool, command: &dyn Verb, condition: &str) {
    let and = if condition.is_empty() { String::new() } else { format!(" -n '{condition}'") };
    for row in command.rows().iter().chain(&standard()) {
        let short = row.short.map_or(String::new(), |letter| format!(" -s {letter}"));
        let value = match row.takes {
            Takes::Nothing => String::new(),
            Takes::Text(_) => " -x".to_owned(),
            Takes::File(_) => " -r -F".to_owned(),
            Takes::Directory(_) => " -x -a '(__fish_complete_directories)'".to_owned(),
            Takes::OneOf(_, choices) => format!(" -x -a '{}'", choices.join(" ")),
            Takes::Perhaps(_, choices) => format!(" -f -a '{}'", choices.join(" ")),
            Takes::Session(_) => format!(" -x -a \"{}\"", fish_operand(Completes::Sessions)),
            Takes::Group(_) => format!(" -x -a \"{}\"", fish_operand(Completes::Groups)),
        };
        let help = fish_text(row.help);
        let _ = writeln!(out, "complete -c {}{and}{short} -l {}{value} -d '{help}'", tool.name, row.long);
    }
    for completes in command.completes() {
        let offered = fish_operand(*completes);
        if !offered.is_empty() {
            let _ = writeln!(out, "complete -c {}{and} -f -a \"{offered}\"", tool.name);
        }
    }
}

fn fish(tool: &Tool) -> String {
    let mut out = format!("# fish completion for {}; made by '{} --generate fish'\n", tool.name, tool.name);
    if is_plain(tool) {
        fish_rows(&mut out, tool, tool.commands[0], "");
        return out;
    }
    let _ = writeln!(out, "complete -c {} -f", tool.name);
    for command in tool.commands {
        let about = fish_text(command.about());
        let _ = writeln!(
            out,
            "complete -c {} -n __fish_use_subcommand -a {} -d '{about}'",
            tool.name,
            command.name()
        );
    }
    for command in tool.commands {
        let names: Vec<&str> =
            std::iter::once(command.name()).chain(command.aliases().iter().copied()).collect();
        fish_rows(&mut out, tool, *command, &format!("__fish_seen_subcommand_from {}", names.join(" ")));
    }
    out
}
