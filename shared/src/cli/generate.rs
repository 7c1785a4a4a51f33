//! Documents from the table of a tool: help, manual page, completions, description.

use std::fmt::{Display, Write};

use super::flag::{Row, Takes};
use super::table::{Tool, Verb};
use crate::plugin::record::ToolRecord;
use crate::plugin::{PREFIX, PROTOCOL};
use crate::terminal::{columns, is_terminal};
use crate::text::lines;

/// The values of `--generate`. Only the dispatcher has the scripts for shells, which serve all tools.
pub fn kinds(tool: &Tool) -> Vec<&'static str> {
    let scripts: &[&str] = if tool.completions.is_some() { &SHELLS } else { &[] };
    [&["man", "describe", "complete"], scripts].concat()
}

fn kind_meaning(kind: &str) -> String {
    match kind {
        "man" => "this manual page (man)".to_owned(),
        "describe" => "the description of the tool as JSON (describe)".to_owned(),
        "complete" => "completions of the last word behind -- (complete)".to_owned(),
        shell => format!("the completion script for {shell} ({shell})"),
    }
}

/// The shells that have a script, in the order of [`Tool::completions`].
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The longest line of help, and the width of help without a terminal.
const WIDTH: usize = 78;

/// The longest line of an example: a manual page indents it by eleven columns.
const EXAMPLE: usize = 68;

/// The date of the manual pages of this package, which is that of the release: a build does not change it.
const DATE: &str = "2026-11-28";

/// A document of a tool, or `None` for an unknown kind.
pub fn document(tool: &Tool, kind: &str) -> Option<String> {
    let shell = SHELLS.iter().position(|shell| kind.strip_prefix("complete-").unwrap_or(kind) == *shell);
    Some(match kind {
        "man" => man(tool),
        "describe" => describe(tool),
        _ => tool.completions?[shell?].to_owned(),
    })
}

fn has_no_verbs(tool: &Tool) -> bool {
    tool.nameless().is_some() && tool.verbs().is_empty()
}

/// The flags of every command.
pub(super) static STANDARD: [Row; 3] = [
    standard('h', "help", "show this help"),
    standard('V', "version", "show the version"),
    standard('q', "quiet", "print only warnings and errors on standard error, and no status"),
];

/// The forms of a reference, below the usage of commands that take one.
const REFERENCE: &str = "REF is an id or a part of one, a name, @ (the newest session of the directory), @2 (the one before), or @@ (the newest of all); see codex-agent(7).";

const fn standard(short: char, long: &'static str, help: &'static str) -> Row {
    Row { short: Some(short), ..Row::new(long, Takes::Nothing, help) }
}

fn synopsis(tool: &Tool, verb: &Verb) -> String {
    let options = if verb.sections.is_empty() { "" } else { "[OPTION...]" };
    let parts = [tool.name, verb.name, options, verb.operands];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The value of a flag after its name, with the placeholder in a style.
fn placeholder(takes: Takes, style: impl Fn(&str) -> String) -> String {
    match (takes.is_optional(), takes.placeholder()) {
        (true, Some(name)) => format!("[={}]", style(name)),
        (_, Some(name)) => format!(" {}", style(name)),
        (_, None) => String::new(),
    }
}

/// The text of `--help`, of the tool or of one verb, wrapped to the width of the terminal.
pub fn help(tool: &Tool, verb: Option<&Verb>) -> String {
    help_in(tool, verb, if is_terminal() { columns().saturating_sub(1).min(WIDTH) } else { WIDTH })
}

fn help_in(tool: &Tool, verb: Option<&Verb>, width: usize) -> String {
    let mut out = String::new();
    let name = tool.name;
    match verb {
        Some(verb) => wrapped(&mut out, "", &format!("{name} {} - {}", verb.name, verb.about), 2, width),
        None => wrapped(&mut out, "", &format!("{name} - {}", tool.about), 2, width),
    }
    out.push('\n');
    let any_verb = format!("{name} VERB [OPTION...] [OPERAND...]");
    if verb.is_none() && tool.nameless().is_none() {
        wrapped(&mut out, "Usage: ", &any_verb, 7, width);
        verbs(&mut out, tool, width);
    } else if let Some(command) = verb.or(tool.nameless()) {
        wrapped(&mut out, "Usage: ", &synopsis(tool, command), 7, width);
        if verb.is_none() && !has_no_verbs(tool) {
            wrapped(&mut out, "       ", &any_verb, 7, width);
            verbs(&mut out, tool, width);
        }
        if command.operands.contains("REF") {
            out.push('\n');
            wrapped(&mut out, "", REFERENCE, 0, width);
        }
        let standard = [("Other options", STANDARD.to_vec())];
        for (heading, rows) in command.sections.iter().chain(&standard) {
            let _ = writeln!(out, "\n{heading}:");
            for row in rows {
                let mut help = row.help.to_owned();
                if let Some(values) = row.takes.closed() {
                    let _ = write!(help, " [values: {}]", values.join(", "));
                }
                if !row.default.is_empty() {
                    let _ = write!(help, " [default: {}]", row.default);
                }
                let short = row.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
                let words = format!("  {short}--{}{}", row.long, placeholder(row.takes, str::to_owned));
                definition(&mut out, &words, 26.min(width / 2), &help, width);
            }
        }
    }
    let topic = name.strip_prefix(PREFIX).map_or(String::new(), |name| format!(" {name}"));
    let more = format!("'codex-agent help{topic}' opens the manual page.");
    for text in [&tool.epilogue, &more].into_iter().filter(|text| !text.is_empty()) {
        out.push('\n');
        text.lines().for_each(|line| wrapped(&mut out, "", line, hanging(line), width));
    }
    out
}

/// The indentation of the second line of a row such as `  ls      list sessions`: that of the text; otherwise none.
fn hanging(line: &str) -> usize {
    let Some(row) = line.strip_prefix("  ") else { return 0 };
    let name = row.find(' ').unwrap_or(row.len());
    2 + row[name..].find(|c| c != ' ').map_or(0, |blanks| name + blanks)
}

fn verbs(out: &mut String, tool: &Tool, width: usize) {
    out.push_str("\nVerbs:\n");
    let widest = tool.verbs().iter().map(|verb| verb.name.len()).max().unwrap_or(0);
    for verb in tool.verbs() {
        let other = match verb.aliases {
            [] => String::new(),
            aliases => format!(" (also {})", aliases.join(", ")),
        };
        let about = format!("{}{other}", verb.about);
        definition(out, &format!("  {:widest$}", verb.name), widest + 4, &about, width);
    }
    out.push('\n');
    wrapped(out, "", &format!("'{} VERB --help' prints the options of a verb.", tool.name), 0, width);
}

/// A term and its wrapped text, which begins in a fixed column.
fn definition(out: &mut String, term: &str, column: usize, text: &str, width: usize) {
    let mut start = format!("{term:column$}");
    if term.len() + 2 > column {
        let _ = writeln!(out, "{term}");
        start = " ".repeat(column);
    }
    wrapped(out, &start, text, column, width);
}

fn wrapped(out: &mut String, start: &str, text: &str, indent: usize, width: usize) {
    for line in lines(start, text, indent, width) {
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Text as roff: backslashes, hyphens that must stay ASCII, and lines that begin like a request are escaped.
fn roff(text: &str) -> String {
    let escapes = [('\\', "\\e"), ('-', "\\-"), ('\'', "\\(aq"), ('^', "\\(ha"), ('~', "\\(ti")];
    let text = escapes.iter().fold(text.to_owned(), |text, (c, escape)| text.replace(*c, escape));
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

/// Prose as roff. Each sentence begins a line, so that roff sets the space between sentences.
fn prose(text: &str) -> String {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').map(roff) {
        let ends = line.ends_with(['.', '?', '!']) && !line.ends_with("...");
        if !line.is_empty() && (ends || line.len() + word.len() >= WIDTH) {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // A word inside of a line cannot be read as a request.
        line.push_str(if line.is_empty() { &word } else { word.strip_prefix("\\&").unwrap_or(&word) });
    }
    lines.push(line);
    lines.join("\n")
}

/// Paragraphs. A paragraph that begins with a blank is preformatted.
fn paragraphs<'a>(out: &mut String, paragraphs: impl Iterator<Item = &'a str>) {
    for (at, paragraph) in paragraphs.enumerate() {
        if at > 0 {
            out.push_str(".PP\n");
        }
        if paragraph.starts_with(' ') {
            let lines = paragraph.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
            preformatted(out, lines.flat_map(|line| shell_lines(line, EXAMPLE)));
        } else {
            let _ = writeln!(out, "{}", prose(paragraph));
        }
    }
}

/// A line of shell in lines of about `most` columns: it is continued after a pipe or `&&`, or else before an option.
fn shell_lines(line: &str, most: usize) -> Vec<String> {
    const INDENT: &str = "    ";
    let (mut lines, mut rest) = (Vec::new(), line.to_owned());
    while rest.len() > most {
        // What is in quotes is text.
        let is_outside = |at: &usize| rest[..*at].matches('\'').count() % 2 == 0;
        let all = |mark: &'static str| rest.match_indices(mark).map(|(at, _)| at).filter(is_outside);
        let operators = || all(" | ").map(|at| at + 2).chain(all(" && ").map(|at| at + 3));
        let options = || all(" -").filter(|at| *at > INDENT.len() && rest.len() - at < most);
        let fitting = operators().filter(|end| *end <= most).max().or_else(|| operators().min());
        let Some(end) = fitting.or_else(|| options().filter(|end| end + 2 <= most).max()) else { break };
        let mark = if rest[..end].ends_with(['|', '&']) { "" } else { " \\" };
        let next = format!("{INDENT}{}", rest[end..].trim_start());
        lines.push(format!("{}{mark}", rest[..end].trim_end()));
        rest = next;
    }
    lines.push(rest);
    lines
}

fn preformatted(out: &mut String, lines: impl Iterator<Item = impl AsRef<str>>) {
    out.push_str(".nf\n.RS 4\n");
    for line in lines {
        let _ = writeln!(out, "{}", roff(line.as_ref()));
    }
    out.push_str(".RE\n.fi\n");
}

/// A section of terms and their texts, if there are any.
fn definitions<'a, T: Display>(
    out: &mut String,
    heading: &str,
    font: &str,
    terms: impl Iterator<Item = (T, &'a str)>,
) {
    for (at, (term, text)) in terms.enumerate() {
        if at == 0 {
            let _ = writeln!(out, ".SH {heading}");
        }
        let _ = writeln!(out, ".TP\n.{font} {}\n{}", roff(&term.to_string()), prose(text));
    }
}

fn man(tool: &Tool) -> String {
    let mut out = String::new();
    let version = tool.version.map(|version| format!("{} {version}", tool.name));
    let date = if version.is_none() { DATE } else { "" };
    let version = version.unwrap_or_else(|| format!("codex-agent {}", env!("CARGO_PKG_VERSION")));
    let (title, version) = (roff(&tool.name.to_uppercase()), roff(&version));
    let _ = writeln!(out, ".TH {title} 1 \"{date}\" \"{version}\" \"codex\\-agent manual\"");
    // Readers search for names of variables and flags, and copy them: roff must not hyphenate.
    out.push_str(".nh\n.ad l\n");
    let _ = writeln!(out, ".SH NAME\n{} \\- {}\n.SH SYNOPSIS", roff(tool.name), roff(tool.about));
    for (at, verb) in tool.commands.iter().enumerate() {
        if at > 0 {
            out.push_str(".br\n");
        }
        let name = format!("{} {}", tool.name, verb.name);
        let _ = writeln!(out, ".B {}", roff(name.trim_end()));
        let synopsis = synopsis(tool, verb);
        let rest = synopsis.get(name.trim_end().len()..).unwrap_or("").trim();
        if !rest.is_empty() {
            let _ = writeln!(out, "{}", roff(rest));
        }
    }
    out.push_str(".SH DESCRIPTION\n");
    paragraphs(&mut out, tool.description.iter().map(|text| &**text));
    for (at, (text, command)) in tool.examples.iter().enumerate() {
        let start = if at == 0 { ".SH EXAMPLES" } else { ".PP" };
        let _ = writeln!(out, "{start}\n{}\n.PP", prose(text));
        preformatted(&mut out, command.lines().flat_map(|line| shell_lines(line, EXAMPLE)));
    }
    if !has_no_verbs(tool) {
        out.push_str(".SH VERBS\n");
        for verb in tool.verbs() {
            let synopsis = synopsis(tool, verb);
            let _ = writeln!(out, ".SS {}", roff(synopsis.get(tool.name.len() + 1..).unwrap_or("")));
            let other = match verb.aliases {
                [] => String::new(),
                aliases => format!(" Also called {}.", aliases.join(", ")),
            };
            let _ = writeln!(out, "{}", prose(&format!("{}{other}", sentence(verb.about))));
            for detail in verb.details {
                let _ = writeln!(out, ".PP\n{}", prose(detail));
            }
            for (heading, rows) in &verb.sections {
                section(&mut out, heading, rows, false);
            }
        }
    }
    out.push_str(".SH OPTIONS\n");
    for (heading, rows) in tool.nameless().iter().flat_map(|nameless| &nameless.sections) {
        section(&mut out, heading, rows, true);
    }
    section(&mut out, "Common to all tools", &STANDARD, true);
    let _ = writeln!(
        out,
        ".TP\n\\fB\\-\\-generate\\fR \\fIKIND\\fR\nPrint {}.",
        kinds(tool).into_iter().map(kind_meaning).collect::<Vec<_>>().join(", or ")
    );
    definitions(&mut out, "\"EXIT STATUS\"", "B", tool.exit_status.iter().copied());
    definitions(&mut out, "FILES", "I", tool.files.iter().copied());
    let flags: Vec<&str> = tool.commands.iter().flat_map(Verb::rows).map(|row| row.long).collect();
    let of_flags = OF_FLAGS.iter().filter(|(flag, ..)| flags.contains(flag));
    let environment = tool.environment.iter().copied().chain(of_flags.map(|(_, name, text)| (*name, *text)));
    definitions(&mut out, "ENVIRONMENT", "B", environment);
    let pages = tool.see_also.iter().map(|page| match page.split_once('(') {
        Some((name, section)) => format!(".BR {} ({section}", roff(name)),
        None => format!(".B {}", roff(page)),
    });
    let _ = writeln!(out, ".SH \"SEE ALSO\"\n{}", pages.collect::<Vec<_>>().join(" ,\n"));
    out
}

/// Variables that a flag overrides: a tool reads them exactly if it has the flag.
const OF_FLAGS: [(&str, &str, &str); 5] = [
    ("codex", "CODEX_AGENT_CODEX", "The executable of Codex, unless --codex is given."),
    ("codex-home", "CODEX_HOME", "Codex's home directory, unless --codex-home is given."),
    (
        "codex-home",
        "CODEX_SQLITE_HOME",
        "The directory of Codex's database, unless the key sqlite_home is set in Codex's config.toml.",
    ),
    (
        "no-pager",
        "CODEX_AGENT_PAGER, PAGER",
        "The pager; see --no-pager. An empty value, or cat, means no pager.",
    ),
    ("color", "NO_COLOR, CLICOLOR_FORCE", "Disable colours, or force colours; see --color."),
];

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let stop = if clause.ends_with('.') { "" } else { "." };
    format!("{}{}{stop}", first.collect::<String>(), letters.as_str())
}

/// The flags of a section. If the heading refers to another manual page, only their names.
fn section(out: &mut String, heading: &str, rows: &[Row], has_title: bool) {
    if heading.contains("; see ") {
        let names: Vec<String> = rows.iter().map(|row| format!("--{}", row.long)).collect();
        let _ = writeln!(out, ".PP\n{}", prose(&format!("{heading}: {}.", names.join(", "))));
        return;
    }
    if has_title {
        let _ = writeln!(out, ".SS {}", roff(heading));
    }
    for row in rows {
        let short = row.short.map_or(String::new(), |letter| format!("\\fB\\-{letter}\\fR, "));
        let value = placeholder(row.takes, |name| format!("\\fI{}\\fR", roff(name)));
        let _ = writeln!(out, ".TP\n{short}\\fB\\-\\-{}\\fR{value}", roff(row.long));
        let mut text = sentence(row.help);
        let values = row.takes.values();
        let is_explained = values.iter().any(|(_, meaning)| !meaning.is_empty());
        if let Some(values) = row.takes.closed().filter(|_| !is_explained) {
            let _ = write!(text, " Values: {}.", values.join(", "));
        }
        if !row.default.is_empty() {
            let _ = write!(text, " The default is {}.", row.default);
        }
        if !row.more.is_empty() {
            let _ = write!(text, " {}", row.more);
        }
        let _ = writeln!(out, "{}", prose(&text));
        if is_explained {
            out.push_str(".RS\n");
            // The values without a meaning are described by the text.
            for (word, meaning) in values.iter().filter(|(_, meaning)| !meaning.is_empty()) {
                let _ = writeln!(out, ".IP \\fB{}\\fR\n{}", roff(word), prose(&sentence(meaning)));
            }
            out.push_str(".RE\n");
        }
    }
}

fn describe(tool: &Tool) -> String {
    let record = ToolRecord {
        version: Some(tool.version.unwrap_or(env!("CARGO_PKG_VERSION"))),
        pipe: tool.pipe.map(<[&str]>::to_vec),
        protocol: Some(PROTOCOL),
        reads: Some(tool.reads.to_vec()),
        writes: Some(tool.writes.clone()),
        generates: Some(vec!["man", "describe"]),
        completes: Some(true),
        ..ToolRecord::new(tool.name.strip_prefix(PREFIX).unwrap_or(tool.name), Some(tool.about))
    };
    // The record has nothing that JSON lacks.
    let record = serde_json::to_string(&record).unwrap_or_default();
    format!("{record}\n")
}
