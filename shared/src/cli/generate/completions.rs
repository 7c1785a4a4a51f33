//! Completions for bash, zsh and fish. Sessions and groups are asked for when TAB is pressed;
//! everything else is fixed.
//!
//! What they are called is anybody's text, so that no script may let its shell expand it: bash never
//! hands it to `compgen -W`, which would run a `$(...)` in it, and inserts it quoted.

use std::fmt::Write;

use super::{STANDARD, is_plain};
use crate::cli::flag::{Completes, Row, Takes};
use crate::cli::table::{Tool, Verb};

/// Sessions in the format of the variable `format`, as a line that each of the three shells can read. The
/// database alone is the fastest; where there is none, the files are listed.
///
/// Offered are the names and the short ids that tables show; whole ids to whoever has begun to type.
const SESSIONS: &str = "codex-agent ls -n 200 --no-files --format \"$format\" 2>/dev/null || \
                        codex-agent ls -n 200 --format \"$format\" 2>/dev/null";

/// What has a name of ours, and the lines that name them all.
const NAMED: [(&str, &str); 4] = [
    ("group", "codex-agent group list --format '{name}' 2>/dev/null"),
    ("queue", "codex-agent queue list 2>/dev/null | cut -f1"),
    ("run", "codex-agent run list 2>/dev/null | cut -f1"),
    ("type", "codex-agent schema 2>/dev/null | cut -f1"),
];

fn listed(of: &str) -> &'static str {
    NAMED.iter().find(|(what, _)| *what == of).map_or("", |(_, list)| list)
}

const TOOLS: &str = "codex-agent --list 2>/dev/null | cut -f1";

/// The keys of settings: their names are as harmless as those of tools.
const SETTINGS: &str = "codex-agent-config list 2>/dev/null | cut -f1";

/// Drops control characters other than the ends of lines and cells: a title may hold any.
const HARMLESS: &str = r"LC_ALL=C tr -d '\001-\010\013-\037\177'";

fn function(tool: &Tool) -> String {
    format!("_{}", tool.name.replace('-', "_"))
}

fn words<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let mut words = Vec::new();
    for row in rows.chain(&STANDARD) {
        words.extend(row.short.map(|letter| format!("-{letter}")));
        words.push(format!("--{}", row.long));
    }
    words.join(" ")
}

/// The flags whose value is the next word.
fn with_value<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    let names = |row: &Row| {
        let short = row.short.map(|letter| format!("-{letter}"));
        short.into_iter().chain([format!("--{}", row.long)]).collect::<Vec<_>>()
    };
    rows.filter(|row| row.takes.has_value()).flat_map(names).collect()
}

fn names(verb: &Verb) -> Vec<&'static str> {
    std::iter::once(verb.name).chain(verb.aliases.iter().copied()).collect()
}

fn joined(takes: Takes) -> String {
    takes.values().into_iter().map(|(word, _)| word).collect::<Vec<_>>().join(" ")
}

/// The place from which on everything belongs to another command, flags too.
fn command_place(command: &Verb) -> Option<usize> {
    command.completes.iter().position(|completes| *completes == Completes::Commands)
}

/// What every bash script brings. bash 3.2, which macOS has, is enough for it.
pub(super) const BASH: &str = r#"
# The words up to the cursor. bash splits them at ':', '=' and '@' too, which names, references and
# flags may hold; the line tells which of the parts stand apart.
__codex_agent_words() {
    local at=0 last=-1 rest=$COMP_LINE blank=$' \t\n' part mark= before apart
    words=()
    while [ "$at" -le "$COMP_CWORD" ]; do
        part=${COMP_WORDS[at]} before=$mark mark= apart=
        case $part in ''|*[!:=@]*) ;; *) mark=1 ;; esac
        case $rest in [$blank]*) apart=1 rest=${rest#"${rest%%[!$blank]*}"} ;; esac
        if [ "$at" -eq 0 ] || [ -n "$apart" ] || [ -z "$before$mark" ]; then
            last=$((last + 1)) words[last]=
        fi
        words[last]=${words[last]}$part rest=${rest#"$part"}
        at=$((at + 1))
    done
    cur=${words[last]}
}

# How many operands stand between a word and the cursor. The other arguments are the flags whose
# value is the next word.
__codex_agent_place() {
    local at=$1 flags=" ${*:2} "
    place=0
    while [ "$at" -lt "$last" ]; do
        case ${words[at]} in
        -?*) case $flags in *" ${words[at]} "*) at=$((at + 1)) ;; esac ;;
        *) place=$((place + 1)) ;;
        esac
        at=$((at + 1))
    done
}

# Takes the quoting from a word that is begun.
__codex_agent_plain() {
    local rest=$1
    plain=
    while [ "$open" != "'" ] && [ "$rest" != "${rest%%\\*}" ]; do
        plain=$plain${rest%%\\*} rest=${rest#*\\}
        plain=$plain${rest:0:1} rest=${rest:1}
    done
    plain=$plain$rest
}

# Offers, of lines as codex-agent prints them, those that begin with what is typed. They are quoted,
# as they may hold blanks and worse; "compgen -W" would even run what they hold.
__codex_agent_offer() {
    local open= kept= typed plain line name apostrophe="'\\''"
    case $cur in
    \'*|\"*) open=${cur:0:1} typed=${cur:1} ;;
    *) typed=$cur ;;
    esac
    # Only what follows the last ':', or begins with the last '@', is replaced.
    case $typed in *"$part") __codex_agent_plain "${typed%"$part"}"; kept=$plain ;; esac
    __codex_agent_plain "$typed"; typed=$plain
    while IFS= read -r line; do
        printf -v name %b "$line"
        case $name in "$typed"*) ;; *) continue ;; esac
        name=${name#"$kept"}
        [ -n "$name" ] || continue
        case $open in
        \') name=${name//\'/$apostrophe} ;;
        \")
            name=${name//\\/\\\\} name=${name//\"/\\\"}
            name=${name//\$/\\\$} name=${name//\`/\\\`} ;;
        *) printf -v name %q "$name" ;;
        esac
        # bash does not close a quotation that seems to be closed.
        [ -z "$open" ] || case $name in *"$open") name=$name$open ;; esac
        COMPREPLY[${#COMPREPLY[@]}]=$name
    done <<< "$(printf '%s\n' "$@")"
}

# bash 3.2 cannot be told that what is typed is no file.
__codex_agent_no_files() {
    type compopt >/dev/null 2>&1 && compopt +o default 2>/dev/null
}

# Words of ours with commas between.
__codex_agent_list() {
    local word before=
    case $cur in *,*) before=${cur%,*}, ;; esac
    for word in "$@"; do
        case $before$word in "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$before$word ;; esac
    done
    type compopt >/dev/null 2>&1 && compopt -o nospace 2>/dev/null
    __codex_agent_no_files
}

# Where bash cannot be told that these are file names it would not quote them; offering nothing makes
# it complete files by itself.
__codex_agent_folders() {
    local line
    type compopt >/dev/null 2>&1 || return 0
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do
        [ -z "$line" ] || COMPREPLY[${#COMPREPLY[@]}]=${line#"${cur%"$part"}"}
    done <<< "$(compgen -d -- "$cur")"
}

"#;

const BASH_SESSIONS: &str = r#"# Names and short ids; whole ones to whoever has begun to type.
__codex_agent_sessions() {
    local format='{short}\n{name}'
    [ -z "$cur" ] || format="{id}\n$format"
    SESSIONS
}

"#;

fn bash_operand(completes: Completes) -> String {
    match completes {
        Completes::Nothing => ":".to_owned(),
        Completes::Sessions => "__codex_agent_offer @ @@ \"$(__codex_agent_sessions)\"".to_owned(),
        Completes::Groups => format!("__codex_agent_offer \"$({})\"", listed("group")),
        Completes::Queues => format!("__codex_agent_offer \"$({})\"", listed("queue")),
        Completes::Runs => format!("__codex_agent_offer \"$({})\"", listed("run")),
        Completes::Types => format!("__codex_agent_offer \"$({})\"", listed("type")),
        Completes::Tools => format!("__codex_agent_offer \"$({TOOLS})\""),
        Completes::Settings => format!("__codex_agent_offer \"$({SETTINGS})\""),
        Completes::Commands => "__codex_agent_offer \"$(compgen -c -- \"$part\")\"".to_owned(),
    }
}

fn bash_value(takes: Takes) -> String {
    match takes {
        Takes::OneOf(..) | Takes::Perhaps(..) => format!("__codex_agent_offer {}", joined(takes)),
        Takes::Words(..) => format!("__codex_agent_offer {}; __codex_agent_no_files", joined(takes)),
        Takes::List(..) => format!("__codex_agent_list {}", joined(takes)),
        Takes::Text(_) => "__codex_agent_no_files".to_owned(),
        Takes::Directory(_) => "__codex_agent_folders".to_owned(),
        Takes::Session(_) => bash_operand(Completes::Sessions),
        Takes::Group(_) => bash_operand(Completes::Groups),
        // bash completes files by itself where nothing is offered.
        Takes::File(_) | Takes::Nothing => ":".to_owned(),
    }
}

/// One command's part: operands before the cursor, then what follows a flag, flags, operands.
fn bash_command(out: &mut String, command: &Verb, indent: &str, first: usize) {
    let place = format!("__codex_agent_place {first} {}", with_value(command.rows()).join(" "));
    let _ = writeln!(out, "{indent}{}", place.trim_end());
    if let Some(place) = command_place(command) {
        let _ = writeln!(out, "{indent}[ \"$place\" -le {place} ] || return 0");
    }
    let _ = writeln!(out, "{indent}case $flag in");
    for row in command.rows().filter(|row| !matches!(row.takes, Takes::Nothing)) {
        let mut names = with_value(std::iter::once(row));
        names.push(format!("--{}=", row.long));
        let _ = writeln!(out, "{indent}{}) {} ;;", names.join("|"), bash_value(row.takes));
    }
    let _ = writeln!(out, "{indent}*)\n{indent}    case $cur in");
    let _ = writeln!(out, "{indent}    -*) __codex_agent_offer {} ;;\n{indent}    *)", words(command.rows()));
    let _ = writeln!(out, "{indent}        case $place in");
    let places = command.completes;
    for (at, completes) in places.iter().enumerate() {
        let place = if at + 1 == places.len() { "*".to_owned() } else { at.to_string() };
        let _ = writeln!(out, "{indent}        {place}) {} ;;", bash_operand(*completes));
    }
    let _ = writeln!(out, "{indent}        esac ;;\n{indent}    esac ;;\n{indent}esac");
}

pub(super) fn bash(tool: &Tool) -> String {
    let function = function(tool);
    let sessions = BASH_SESSIONS.replace("SESSIONS", SESSIONS);
    let mut out = format!(
        "# bash completion for {}; made by '{} --generate bash'\n{BASH}{sessions}",
        tool.name, tool.name
    );
    let _ = writeln!(out, "{function}() {{");
    out.push_str("    local words cur part=$2 last flag place\n    COMPREPLY=()\n    __codex_agent_words\n");
    out.push_str("    last=$((${#words[@]} - 1)) flag=${words[last-1]}\n");
    out.push_str("    case $cur in --*=*) flag=${cur%%=*}= cur=${cur#*=} ;; esac\n");
    if is_plain(tool) {
        bash_command(&mut out, &tool.commands[0], "    ", 1);
    } else {
        let verbs: Vec<&str> = tool.verbs().iter().map(|command| command.name).collect();
        let flags = tool.nameless().into_iter().flat_map(Verb::rows);
        out.push_str("    if [ \"$last\" -le 1 ]; then\n        case $cur in\n");
        let _ = writeln!(out, "        -*) __codex_agent_offer {} ;;", words(flags));
        let _ = writeln!(
            out,
            "        *) __codex_agent_offer {} ;;\n        esac\n        return 0\n    fi",
            verbs.join(" ")
        );
        out.push_str("    case ${words[1]} in\n");
        for command in tool.verbs() {
            let _ = writeln!(out, "    {})", names(command).join("|"));
            bash_command(&mut out, command, "        ", 2);
            out.push_str("        ;;\n");
        }
        if let Some(nameless) = tool.nameless() {
            out.push_str("    *)\n");
            bash_command(&mut out, nameless, "        ", 1);
            out.push_str("        ;;\n");
        }
        out.push_str("    esac\n");
    }
    let _ = writeln!(out, "}}\ncomplete -o default -F {function} {}", tool.name);
    out
}

fn zsh_text(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\'', "'\\''")
        .replace('[', "\\[")
        .replace(']', "\\]")
        .replace(':', "\\:")
}

fn zsh_operand(completes: Completes) -> &'static str {
    match completes {
        Completes::Nothing => " ",
        Completes::Sessions => "_codex_agent_sessions",
        Completes::Groups => "_codex_agent_groups",
        Completes::Queues => "_codex_agent_queues",
        Completes::Runs => "_codex_agent_runs",
        Completes::Types => "_codex_agent_types",
        Completes::Tools => "_codex_agent_tools",
        Completes::Settings => "_codex_agent_settings",
        Completes::Commands => "_command_names -e",
    }
}

fn zsh_arguments(command: &Verb) -> Vec<String> {
    let mut arguments = Vec::new();
    for row in command.rows().chain(&STANDARD) {
        let name = row.takes.placeholder().unwrap_or("");
        let (mark, value) = match row.takes {
            Takes::Nothing => ("", String::new()),
            Takes::Text(_) => ("=", format!(":{}: ", zsh_text(name))),
            Takes::File(_) => ("=", format!(":{name}:_files")),
            Takes::Directory(_) => ("=", format!(":{name}:_files -/")),
            Takes::OneOf(..) | Takes::Words(..) => {
                ("=", format!(":{}:({})", zsh_text(name), joined(row.takes)))
            }
            Takes::List(..) => ("=", format!(":{name}:_values -s , {name} {}", joined(row.takes))),
            Takes::Perhaps(..) => ("=-", format!("::{name}:({})", joined(row.takes))),
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
    let places = command.completes;
    for (at, completes) in places.iter().enumerate() {
        if *completes == Completes::Commands {
            arguments.push(format!("'(-){}:command:{}'", at + 1, zsh_operand(*completes)));
            arguments.push("'*::argument:_normal'".to_owned());
            continue;
        }
        let place = if at + 1 == places.len() { "*".to_owned() } else { (at + 1).to_string() };
        arguments.push(format!("'{place}:operand:{}'", zsh_operand(*completes)));
    }
    arguments
}

/// A file for `fpath`, which may as well be evaluated: in the one place it is the body of the function, in
/// the other it makes it known.
pub(super) fn zsh(tool: &Tool) -> String {
    let name = tool.name;
    let body = zsh_body(tool);
    format!(
        "#compdef {name}\n# made by '{name} --generate zsh'\n\n_{name}() {{\n{body}}}\n\n\
         if [[ $funcstack[1] == _{name} ]]; then\n    _{name} \"$@\"\nelse\n    compdef _{name} {name}\nfi\n"
    )
}

fn zsh_body(tool: &Tool) -> String {
    let mut out = String::new();
    let uses = |wanted: &str| {
        tool.commands.iter().any(|command| zsh_arguments(command).iter().any(|a| a.contains(wanted)))
    };
    if uses("_codex_agent_sessions") {
        // What _describe shows is read like its words: a backslash would be gone.
        let _ = writeln!(
            out,
            "_codex_agent_sessions() {{\n    local line format='{{short}}:{{title}}'\n    local -a found named\n    \
             [[ -z $PREFIX ]] || format+='\\n{{id}}:{{title}}'\n    \
             for line in ${{(f)\"$({{ {SESSIONS} }} | {HARMLESS})\"}}; do\n        \
             line=${{line[1,120]}}\n        found+=(\"${{line//\\\\/\\\\\\\\}}\")\n    done\n    found+=('@:the newest here' '@@:the newest')\n    \
             format='{{name}}'\n    named=(${{(f)\"$({SESSIONS})\"}})\n    \
             named=(\"${{(@)named//\\\\\\\\/\\\\}}\")\n    \
             _describe -V session found\n    compadd -J names -a named\n}}\n"
        );
    }
    for (what, list) in NAMED.iter().filter(|(what, _)| uses(&format!("_codex_agent_{what}s"))) {
        // A backslash comes doubled.
        let _ = writeln!(
            out,
            "_codex_agent_{what}s() {{\n    local expl\n    local -a found\n    found=(${{(f)\"$({list})\"}})\n    \
             found=(\"${{(@)found//\\\\\\\\/\\\\}}\")\n    _wanted {what} expl {what} compadd -a found\n}}\n"
        );
    }
    for (what, lines) in [("tool", TOOLS), ("setting", SETTINGS)] {
        if uses(&format!("_codex_agent_{what}s")) {
            let _ = writeln!(
                out,
                "_codex_agent_{what}s() {{\n    local expl\n    local -a found\n    found=(${{(f)\"$({lines})\"}})\n    \
                 _wanted {what} expl {what} compadd -a found\n}}\n"
            );
        }
    }
    if is_plain(tool) {
        let _ = writeln!(out, "_arguments -S \\\n    {}", zsh_arguments(&tool.commands[0]).join(" \\\n    "));
        return out;
    }
    if let Some(nameless) = tool.nameless() {
        // A verb is one as the first word alone.
        let verbs: Vec<&str> = tool.verbs().iter().flat_map(|verb| names(verb)).collect();
        let _ = writeln!(
            out,
            "if [[ $words[2] == -* ]] || {{ (( CURRENT > 2 )) && [[ $words[2] != ({}) ]] }}; then\n    _arguments -S \\\n        {}\n    return\nfi",
            verbs.join("|"),
            zsh_arguments(nameless).join(" \\\n        ")
        );
    }
    out.push_str("local curcontext=$curcontext state line\n");
    out.push_str("_arguments -C '(-h --help)'{-h,--help}'[show this help]' '(-V --version)'{-V,--version}'[show the version]' '1:verb:->verb' '*::operand:->operands'\n");
    out.push_str("case $state in\nverb)\n    local -a verbs\n    verbs=(\n");
    for command in tool.verbs() {
        let _ = writeln!(out, "        '{}:{}'", command.name, zsh_text(command.about));
    }
    out.push_str("    )\n    _describe verb verbs\n    ;;\noperands)\n    case $words[1] in\n");
    for command in tool.verbs() {
        let _ = writeln!(out, "    {})", names(command).join("|"));
        let _ = writeln!(
            out,
            "        _arguments -S \\\n            {}",
            zsh_arguments(command).join(" \\\n            ")
        );
        out.push_str("        ;;\n");
    }
    out.push_str("    esac\n    ;;\nesac\n");
    out
}

/// What every fish script brings.
const FISH: &str = r#"
function __codex_agent_sessions
    set -l format '{short}\t{title}'
    set -l token (commandline -ct)
    test -n "$token"; and set format "$format\n{id}\t{title}"
    begin; SESSIONS; end | HARMLESS | string sub -l 130
    set format '{name}'
    begin; SESSIONS; end | string match -r . | string replace -a '\\\\' '\\'
    printf '%s\t%s\n' @ 'the newest here' @@ 'the newest'
end

# Words of ours with commas between.
function __codex_agent_list
    set -l before (commandline -ct | string replace -r '^--[^=]*=' '' | string match -r '^.*,')
    set -q before[1]; or set before ''
    printf '%s\n' $before$argv
end

NAMED
# How many operands stand before the cursor. The arguments are the flags that have a value.
function __codex_agent_place
    set -l count 0
    set -l skips
    for word in (commandline -opc)[2..-1]
        if set -q skips[1]
            set -e skips[1]
        else if contains -- $word $argv
            set skips 1
        else if not string match -qr -- '^-.' $word
            set count (math $count + 1)
        end
    end
    echo $count
end

"#;

fn fish_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn fish_operand(completes: Completes) -> &'static str {
    match completes {
        Completes::Nothing => "",
        Completes::Sessions => "(__codex_agent_sessions)",
        Completes::Groups => "(__codex_agent_groups)",
        Completes::Queues => "(__codex_agent_queues)",
        Completes::Runs => "(__codex_agent_runs)",
        Completes::Types => "(__codex_agent_types)",
        Completes::Tools => "(codex-agent --list 2>/dev/null | cut -f1,2)",
        Completes::Settings => "(codex-agent-config list 2>/dev/null | cut -f1,2)",
        Completes::Commands => "(__fish_complete_subcommand)",
    }
}

/// `verb` holds the words for the verb, if there are any: it is the first operand.
fn fish_rows(out: &mut String, tool: &Tool, command: &Verb, verb: &str) {
    // The command without a verb is meant where none of the verbs is.
    let is_mixed = verb.is_empty() && !is_plain(tool);
    let is_verb = match (verb, is_mixed) {
        ("", false) => String::new(),
        ("", true) => {
            let verbs: Vec<&str> = tool.verbs().iter().flat_map(|verb| names(verb)).collect();
            format!("not __fish_seen_subcommand_from {}", verbs.join(" "))
        }
        (verb, _) => format!("__fish_seen_subcommand_from {verb}"),
    };
    let and = if is_verb.is_empty() { String::new() } else { format!(" -n '{is_verb}'") };
    for row in command.rows().chain(&STANDARD) {
        let short = row.short.map_or(String::new(), |letter| format!(" -s {letter}"));
        let value = match row.takes {
            Takes::Nothing => String::new(),
            Takes::Text(_) => " -x".to_owned(),
            Takes::File(_) => " -r -F".to_owned(),
            Takes::Directory(_) => " -x -a '(__fish_complete_directories)'".to_owned(),
            Takes::OneOf(..) | Takes::Words(..) => format!(" -x -a '{}'", joined(row.takes)),
            Takes::List(..) => format!(" -x -a '(__codex_agent_list {})'", joined(row.takes)),
            Takes::Perhaps(..) => format!(" -f -a '{}'", joined(row.takes)),
            Takes::Session(_) => format!(" -x -a '{}'", fish_operand(Completes::Sessions)),
            Takes::Group(_) => format!(" -x -a '{}'", fish_operand(Completes::Groups)),
        };
        let help = fish_text(row.help);
        let _ = writeln!(out, "complete -c {}{and}{short} -l {}{value} -d '{help}'", tool.name, row.long);
    }
    let places = command.completes;
    let before = usize::from(!verb.is_empty());
    for (at, completes) in
        places.iter().enumerate().filter(|(_, completes)| **completes != Completes::Nothing)
    {
        let skipped = with_value(command.rows());
        let place = ["__codex_agent_place"].into_iter().chain(skipped.iter().map(String::as_str));
        let compare = if at + 1 == places.len() { "ge" } else { "eq" };
        let count = format!("test ({}) -{compare} {}", place.collect::<Vec<_>>().join(" "), at + before);
        let condition = match (is_verb.as_str(), places.len()) {
            ("", 1) => String::new(),
            ("", _) => format!(" -n '{count}'"),
            (_, 1) => and.clone(),
            _ => format!(" -n '{is_verb}; and {count}'"),
        };
        let _ = writeln!(out, "complete -c {}{condition} -f -a '{}'", tool.name, fish_operand(*completes));
    }
}

pub(super) fn fish(tool: &Tool) -> String {
    let named = |(what, list): &(&str, &str)| {
        // A backslash comes doubled.
        format!("function __codex_agent_{what}s\n    {list} | string replace -a '\\\\\\\\' '\\\\'\nend\n")
    };
    let named: Vec<String> = NAMED.iter().map(named).collect();
    let helpers =
        FISH.replace("SESSIONS", SESSIONS).replace("HARMLESS", HARMLESS).replace("NAMED", &named.join("\n"));
    let mut out =
        format!("# fish completion for {}; made by '{} --generate fish'\n{helpers}", tool.name, tool.name);
    let _ = writeln!(out, "complete -c {} -f", tool.name);
    if is_plain(tool) {
        fish_rows(&mut out, tool, &tool.commands[0], "");
        return out;
    }
    for command in tool.verbs() {
        let about = fish_text(command.about);
        let _ = writeln!(
            out,
            "complete -c {} -n __fish_use_subcommand -a {} -d '{about}'",
            tool.name, command.name
        );
    }
    if let Some(nameless) = tool.nameless() {
        fish_rows(&mut out, tool, nameless, "");
    }
    for row in STANDARD.iter().filter(|_| tool.nameless().is_none()) {
        let letter = row.short.unwrap_or_default();
        let _ = writeln!(
            out,
            "complete -c {} -n __fish_use_subcommand -s {letter} -l {} -d '{}'",
            tool.name,
            row.long,
            fish_text(row.help)
        );
    }
    for command in tool.verbs() {
        fish_rows(&mut out, tool, command, &names(command).join(" "));
    }
    out
}
