//! codex-agent-grep: search the transcripts of Codex sessions.

use std::process::ExitCode;

use codex_agent_shared::cli;
use codex_agent_shared::cli::flags::ListingHelp;
use codex_agent_shared::cli::remote::{Operands, Style};
use codex_agent_shared::cli::{Command, Completes, Takes, Tool, Value, filters, flags};
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::transcript::Role;
use codex_agent_shared::transcript::search::{Case, Pattern, Search, Syntax};

mod excerpt;
mod forms;
mod sessions;

/// The arguments of this tool alone.
#[derive(Default)]
struct Own {
    patterns: Vec<String>,
    literal: bool,
    ignore_case: bool,
    smart_case: bool,
    word: bool,
    invert: bool,
    all_of: bool,
    roles: Vec<Role>,
    inherited: bool,
    list: bool,
    count: bool,
    most: Option<usize>,
    after: Option<usize>,
    before: Option<usize>,
    context: Option<usize>,
}

type Args = cli::Args<Own>;
type Flag = cli::Flag<Args>;

fn pattern_flags() -> [Flag; 7] {
    [
        Flag::new("regexp", Takes::Text("PATTERN"), "search for this pattern; all operands are references then", |args: &mut Args, value: Value| {
            args.own.patterns.push(value.text()?);
            Ok(())
        })
        .short('e')
        .more("May be given more than once: a message matches if one of the patterns does."),
        Flag::switch("fixed-strings", "search for the text of PATTERN, which is no regular expression", |args| &mut args.own.literal)
            .short('F')
            .more("A newline in it is a newline of the message."),
        Flag::switch("ignore-case", "do not distinguish upper and lower case", |args| &mut args.own.ignore_case).short('i'),
        Flag::switch("smart-case", "distinguish upper and lower case only if PATTERN has an upper-case letter", |args| &mut args.own.smart_case)
            .short('S'),
        Flag::switch("word-regexp", "match only whole words", |args| &mut args.own.word).short('w'),
        Flag::switch("invert-match", "print the messages that do not match", |args| &mut args.own.invert)
            .short('v')
            .more("Of each message all lines are printed."),
        Flag::switch("all-of", "search for sessions that have all words of PATTERN, each in any message", |args| &mut args.own.all_of)
            .more("PATTERN is divided at white space into several patterns; with -e, each PATTERN is one. Messages with any of them are printed. Upper and lower case are distinguished unless -i or -S is given, other than by codex-agent-find --said."),
    ]
}

fn place_flags() -> [Flag; 2] {
    [
        Flag::new("in", Takes::Text("ROLES|all"), "search items of these roles, such as command,output,patch", |args: &mut Args, value: Value| {
            let text = value.text()?;
            args.own.roles = match text.trim() {
                "all" => Role::ALL.to_vec(),
                list => Role::parse_list(list)?,
            };
            Ok(())
        })
        .default("user,assistant")
        .more("ROLES are names of roles with commas between them: user, assistant, reasoning, plan, command, output, script, patch, todo, search, tool, image, question, agent, review, compaction, goal. See codex-agent-records(5)."),
        Flag::switch("inherited", "also search the turns that a fork or a subagent begins with", |args| &mut args.own.inherited)
            .more("They are turns of the session that was forked, too, and are found there."),
    ]
}

fn form_flags() -> [Flag; 6] {
    [
        Flag::switch(
            "sessions-with-matches",
            "print the sessions with a match, as codex-agent-ls(1) does",
            |args| &mut args.own.list,
        )
        .short('l')
        .more("With --json, session records are printed, for other tools of codex-agent."),
        Flag::switch("count", "print the number of matching items of each session", |args| {
            &mut args.own.count
        })
        .short('c'),
        Flag::number("max-count", "N", 1.., "print at most N items of each session", |args: &mut Args| {
            &mut args.own.most
        })
        .short('m'),
        Flag::number(
            "after-context",
            "N",
            0..=100_000,
            "print N lines of the message after each matching line",
            |args: &mut Args| &mut args.own.after,
        )
        .short('A'),
        Flag::number(
            "before-context",
            "N",
            0..=100_000,
            "print N lines of the message before each matching line",
            |args: &mut Args| &mut args.own.before,
        )
        .short('B'),
        Flag::number(
            "context",
            "N",
            0..=100_000,
            "print N lines of the message before and after each matching line",
            |args: &mut Args| &mut args.own.context,
        )
        .short('C')
        .more("The items around a match are printed by codex-agent show --around ADDRESS."),
    ]
}

fn help() -> ListingHelp {
    ListingHelp {
        json: "print match records, one per line; with -l, session records",
        format: "a template such as '{address}\\t{title}'",
        limit: "print at most N items, or sessions with -l or -c",
        fields: || flags::fields_of(&["match"], &forms::MORE),
    }
}

fn tool() -> Tool {
    Tool::ours("codex-agent-grep")
        .description([
            "Searches the transcripts of sessions: the messages of the user and of the model, or with --in the items of other roles, such as commands and their outputs. PATTERN is a regular expression in the syntax of Rust's crate regex, which is that of ripgrep; ^ and $ match at the lines of a message.",
            "    codex-agent grep 'rate limit' --since 30d",
            "Without REF, which may be an address of a turn, all sessions that the filters select are searched, the newest first. There is no index: the rollouts are read, about as fast as ripgrep does. With '-', sessions are read from standard input: session records, JSON strings, or lines up to their first TAB.",
            "Each message is found once, although Codex writes it several times, and again into forks and compactions. Text that Codex or the TUI added to a message, such as the contents of AGENTS.md, is not searched. Inherited turns of a fork are found in the session that was forked; they are searched in the fork if REF names it and not the other one. Messages of turns that were rolled back or reverted are found, and marked as undone; their addresses have Codex's id of the turn, which a terminal does not show. A message that Codex wrote in several parts is found by the words of each part. Archived sessions and subagents are searched, too, but unless --archived or --subagents is given, their matches are only counted, in a last line on standard error if that is a terminal.",
            "With --quiet nothing is printed, and the search ends at the first match. Each match has an address, SESSION:TURN:ITEM, which codex-agent-show(1) prints in its place, and before which codex-agent-fork(1) forks. On a terminal the matching lines are printed below the title of their session. In a pipe a row is printed for each item, with these columns, separated by TABs: address, time, role (with 'undone' behind it), and the matching lines, with their context, in which a newline is \\n.",
        ])
        .command(
            Command::new(run)
                .operands("PATTERN [REF...] [-]", &[Completes::Nothing, Completes::Sessions])
                .flags("Patterns", pattern_flags())
                .flags("Items", place_flags())
                .flags("Filters", filters::filters())
                .flags("Forms", form_flags())
                .flags("Output options", flags::listing_output(&help()))
                .flags("Sources", [flags::host(), flags::codex_home(), flags::no_database()])
                .on_hosts(),
        )
        .exit_status(&[
            (0, "There is a match."),
            (1, "There is none, or only in archived sessions and subagents, which were not asked for; or a session of REF does not exist."),
            (2, "Bad usage, such as an invalid pattern, or a rollout could not be read, or that of REF does not exist; the others were searched."),
        ])
        .files(&[("~/.codex/sessions/, ~/.codex/archived_sessions/", "The rollouts of sessions.")])
        .examples(&[
            ("Find messages about a function:", "codex-agent grep -w login"),
            ("Find a text as it is, also in commands and outputs:", "codex-agent grep -F 'files SHELL{ls' --in all"),
            ("Find the sessions that have both words, and add them to a group:", "codex-agent grep --all-of -i 'session expiry' -l --json | codex-agent group add work"),
            ("Find the sessions whose commands ran ls, and how often:", "codex-agent grep -c ls --in command"),
            ("Show the newest match:", "codex-agent grep -n 1 login --format '{address}' | codex-agent show -"),
            ("Choose a match with fzf, with a preview:", "codex-agent grep login | fzf --no-mouse -d '\\t' --with-nth 2.. --preview 'codex-agent show --color=always --width=$FZF_PREVIEW_COLUMNS --around {1}'"),
            ("Search the newest session of the current directory:", "codex-agent grep -S approach @"),
        ])
        .see_also("codex-agent(1) codex-agent-find(1) codex-agent-ls(1) codex-agent-show(1) codex-agent-records(5) codex-agent(7)".split(' '))
        .reads(&["session"])
        .writes(["match", "session"])
}

fn main() -> ExitCode {
    cli::main(tool())
}

fn run(mut args: Args) -> Result<Exit> {
    check_usage(&args)?;
    let skip = usize::from(args.own.patterns.is_empty());
    let search = search_of(&mut args)?;
    let operands =
        Operands { skip, input: args.operands.iter().any(|operand| operand == "-"), ..Operands::default() };
    if let Some(remote) = args.common.on_hosts("grep", operands)? {
        return remote.print(Style::Address);
    }
    sessions::search_all(&args, &search)
}

/// An error for options that exclude each other.
fn check_usage(args: &Args) -> Result<()> {
    let own = &args.own;
    if args.common.limit == Some(0) {
        return Err(Error::usage("invalid value '0' for '--limit': it must be 1 or more"));
    }
    let context = own.after.or(own.before).or(own.context).is_some();
    let pairs = [
        ("a context", context, "--json", args.common.json),
        ("a context", context, "--count", own.count),
        ("a context", context, "--sessions-with-matches", own.list),
        ("--sessions-with-matches", own.list, "--count", own.count),
        ("--sessions-with-matches", own.list, "--max-count", own.most.is_some()),
        ("--ignore-case", own.ignore_case, "--smart-case", own.smart_case),
        ("--invert-match", own.invert, "--all-of", own.all_of),
        ("--count", own.count, "--json", args.common.json),
        ("--count", own.count, "--format", args.common.template.is_some()),
        ("--count", own.count, "--fields", args.common.fields.is_some()),
    ];
    let Some((first, _, second, _)) = pairs.into_iter().find(|(_, first, _, second)| *first && *second)
    else {
        return Ok(());
    };
    let error = Error::usage(format!("{first} and {second} cannot be combined"));
    Err(match own.count && first == "--count" {
        true => error.hint("in a pipe, -c prints rows: id, number of matches and title, separated by TABs"),
        false => error,
    })
}

/// The search; takes the pattern off the operands.
fn search_of(args: &mut Args) -> Result<Search> {
    let own = &mut args.own;
    let mut texts = std::mem::take(&mut own.patterns);
    if texts.is_empty() {
        if args.operands.is_empty() {
            return Err(Error::usage("the pattern is missing").hint("codex-agent grep PATTERN [REF...]"));
        }
        let text = args.operands.remove(0);
        match own.all_of {
            true => texts.extend(text.split_whitespace().map(str::to_owned)),
            false => texts.push(text),
        }
    }
    if texts.is_empty() {
        return Err(Error::usage("the words of the pattern are missing"));
    }
    let case = match (own.ignore_case, own.smart_case) {
        (true, _) => Case::Insensitive,
        (_, true) => Case::Smart,
        _ => Case::Sensitive,
    };
    let syntax = Syntax { is_literal: own.literal, is_word: own.word, case };
    let patterns = texts.iter().map(|text| Pattern::new(text, syntax)).collect::<Result<_>>()?;
    let search = Search::new(patterns).needs_all(own.all_of).inverted(own.invert);
    Ok(if own.roles.is_empty() { search } else { search.roles(&own.roles) })
}
