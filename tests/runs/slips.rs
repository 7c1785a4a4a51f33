//! Words that are probably a command and not a prompt: none of them starts a session. Texts that are prompts are sent.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use codex_agent_shared::plugin::TOOLS;

use crate::queue::queue;
use crate::world::bin;
use crate::world::fake::Fake;
use crate::world::terminal::Terminal;

/// A group, a queue, an alias, an external tool, a run, a file and a directory.
fn world() -> (Fake, String) {
    let fake = Fake::newest();
    let id = fake.begin("first");
    fake.good(&["run", "-p", "the run"]);
    fake.good(&["group", "add", "work", &id]);
    queue(&fake, "book", &["chapter one"]);
    fake.0.write("home/.config/codex-agent/config.toml", "[alias]\ntoday = 'ls --since 1d'\n");
    fake.0.write("work/chores.txt", "Mend the tests\nUpdate the notes\n");
    fs::create_dir(fake.0.path("work/sources")).unwrap();
    (fake, id)
}

/// Command lines that are slips, what the error says, and the command that was meant.
const SLIPS: &[(&[&str], &str)] = &[
    (&["run", "status"], "codex-agent status"),
    (&["run", "resume"], "codex-agent resume REF"),
    (&["run", "delete"], "codex-agent queue delete NAME"),
    (&["run", "remove"], "codex-agent queue remove NAME"),
    (&["run", "pause"], "codex-agent queue pause NAME"),
    (&["run", "cancel"], "codex-agent run stop RUN"),
    (&["run", "kill"], "codex-agent run stop RUN"),
    (&["run", "ps"], "codex-agent run list"),
    (&["run", "tail"], "codex-agent run watch"),
    (&["run", "rm"], "codex-agent run prune"),
    (&["run", "start"], "codex-agent run -p TEXT"),
    (&["run", "restart"], "codex-agent run retry"),
    (&["run", "branch"], "codex-agent fork"),
    (&["run", "show"], "codex-agent run log"),
    (&["run", "grep"], "codex-agent grep"),
    (&["run", "stats"], "codex-agent stats"),
    (&["run", "archive"], "codex-agent archive REF"),
    (&["run", "help"], "codex-agent help"),
    (&["run", "version"], "codex-agent --version"),
    (&["run", "pick"], "codex-agent pick"),
    (&["run", "session"], "codex-agent ls"),
    (&["run", "history"], "codex-agent run log"),
    (&["run", "-j2", "list"], "codex-agent run list"),
    (&["run", "--json", "watch"], "codex-agent run watch"),
    (&["run", "Status"], "codex-agent status"),
    (&["run", "stauts"], "codex-agent status"),
    (&["run", "lsit"], "codex-agent run list"),
    (&["run", "pasue"], "codex-agent queue pause NAME"),
    (&["run", "work"], "codex-agent group run work -p TEXT"),
    (&["run", "wrok"], "codex-agent group run work -p TEXT"),
    (&["run", "book"], "codex-agent queue run book"),
    (&["run", "boko"], "codex-agent queue run book"),
    (&["run", "today"], "codex-agent today"),
    (&["run", "chores.txt"], "codex-agent run --prompt-file chores.txt"),
    (&["run", "prompts.txt"], "the name of a file that does not exist"),
    (&["run", "failed"], "codex-agent status"),
    (&["run", "retry-failed"], "codex-agent run retry"),
    (&["run", "list-runs"], "codex-agent run list"),
    (&["run", "status", "all", "runs"], "codex-agent status"),
    (&["run", "sources"], "is a directory"),
    (&["run", "@"], "codex-agent resume @"),
    (&["run", "@@2"], "codex-agent resume @@2"),
    (&["run", "ID"], "codex-agent resume ID"),
    (&["run", "SHORT"], "codex-agent resume SHORT"),
    (&["run", "RUN"], "codex-agent run log RUN"),
    (&["run", "3"], "probably not a prompt"),
    (&["run", "kill", "RUN"], "codex-agent run stop RUN"),
    (&["run", "wacth", "RUN"], "unknown verb 'wacth'"),
    (&["run", "resume", "work"], "codex-agent group unpause work"),
    (&["run", "delete", "book"], "codex-agent queue delete book"),
    (&["run", "resume", "@"], "codex-agent resume @"),
    (&["run", "rm", "ID"], "codex-agent group remove NAME ID"),
    (&["run", "rm", "ID"], "codex-agent archive --delete ID"),
    (&["run", "rm", "RUN"], "codex-agent run prune"),
    (&["run", "delete", "RUN"], "codex-agent run prune"),
    (&["run", "queue", "book"], "codex-agent queue run book"),
    (&["run", "group", "work"], "codex-agent group run work -p TEXT"),
    (&["run", "-j", "4", "retry", "failed"], "codex-agent run retry"),
    (&["run", "--json", "list", "all"], "codex-agent run list"),
    (&["run", "--json", "stop", "it"], "codex-agent run stop RUN"),
    (&["run", "--cwd", ".", "watch", "last"], "codex-agent run watch"),
    (&["run", "-s", "read-only", "log", "RUN"], "codex-agent run log RUN"),
    (&["run", "--json", "retry", "failed", "jobs"], "codex-agent run retry"),
    (&["run", "retry", "failed"], "there is no run 'failed'"),
    (&["run", "kil"], "codex-agent run stop RUN"),
    (&["run", "cancle"], "codex-agent run stop RUN"),
    (&["run", "verson"], "codex-agent --version"),
    (&["run", "hsitory"], "codex-agent run log"),
    (&["run", "serach"], "codex-agent find WORD"),
    (&["run", "sesion"], "codex-agent ls"),
    (&["run", "conversaton"], "codex-agent ls"),
    (&["run", "settigns"], "codex-agent config list"),
    (&["run", "y"], "--yes answers it"),
    (&["run", "yes"], "--yes answers it"),
    (&["run", "no"], "'no' is an answer to a question"),
    (&["run", "n"], "probably not a prompt"),
    (&["run", "cd"], "codex-agent run --cwd DIR"),
    (&["run", "quit"], "codex-agent run stop RUN"),
    (&["run", "exit"], "codex-agent run stop RUN"),
    (&["run", "undo"], "codex-agent archive --undo REF"),
    (&["run", "codex"], "'codex' starts a session in the Codex TUI"),
    (&["run", "codex-agent-ls"], "did you mean 'codex-agent ls'?"),
    (&["run", "codex-agent"], "codex-agent help"),
    (&["run", "set"], "codex-agent config set KEY VALUE"),
    (&["run", "set", "runs.keep", "90d"], "codex-agent config set KEY VALUE"),
    (&["run", "get", "runs.keep"], "codex-agent config get runs.keep"),
    (&["run", "90d"], "probably not a prompt"),
    (&["run", "2026-11-22"], "probably not a prompt"),
    (&["run", "/compact"], "a command of the Codex TUI"),
    (&["run", "~/src"], "a path"),
    (&["run", "./make.sh"], "a path"),
    (&["run", "git"], "a program of a shell"),
    (&["run", "ok"], "'ok' is an answer to a question"),
    (&["run", "1", "2"], "'1 2' is numbers"),
    (&["run", "@", "hello"], "codex-agent resume @ -p hello"),
    (&["run", "queue", "add", "book", "chapter"], "codex-agent queue list"),
    (&["run", "session", "list"], "codex-agent run list"),
    (&["run", "make"], "probably not a prompt"),
    (&["run", "vim"], "a program of a shell"),
    (&["run", "find", "parser"], "did you mean 'codex-agent find parser'?"),
    (&["run", "find", "login", "parser"], "did you mean 'codex-agent find login parser'?"),
    (&["run", "ls", "."], "unexpected operand '.'"),
    (&["run", "--json", "ls", "sources"], "codex-agent ls --under sources"),
    (&["run", "status", "book"], "codex-agent status"),
    (&["run", "fork", "parser"], "codex-agent fork REF"),
    (&["run", "archive", "parser"], "codex-agent archive REF"),
    (&["run", "config", "edit"], "codex-agent config edit"),
    (&["run", "queue", "list"], "codex-agent queue list"),
    (&["run", "group", "add", "work"], "like a command of codex-agent"),
    (&["run", "git", "status"], "like a command of a shell"),
    (&["run", "git", "commit", "now"], "like a command of a shell"),
    (&["run", "git", "add", "."], "like a command of a shell"),
    (&["run", "cargo", "test"], "like a command of a shell"),
    (&["run", "npm", "run", "build"], "like a command of a shell"),
    (&["run", "npm", "install"], "like a command of a shell"),
    (&["run", "cd", "sources"], "like a command of a shell"),
    (&["run", "cat", "chores.txt"], "like a command of a shell"),
    (&["run", "rm", "old.txt"], "like a command of a shell"),
    (&["run", "grep", "TODO", "src/main.rs"], "codex-agent grep PATTERN"),
    (&["run", "docker", "ps"], "like a command of a shell"),
    (&["run", "make", "install"], "like a command of a shell"),
    (&["run", "kill", "server"], "like a command of a shell"),
    (&["run", "tail", "server.log"], "like a command of a shell"),
    (&["run", "codex", "resume"], "like a command of"),
    (&["run", "ls", "-la"], "unknown flag '-l'"),
    (&["queue", "add", "book", "git", "status"], "like a command of a shell"),
    (&["queue", "add", "book", "find", "parser"], "did you mean 'codex-agent find parser'?"),
    (&["queue", "add", "book", "yes"], "probably not a prompt"),
    (&["queue", "add", "book", "verson"], "codex-agent --version"),
    (&["run", "group", "run"], "codex-agent group run"),
    (&["run", "group", "run", "work"], "probably not a prompt"),
    (&["run", "queue", "run", "book"], "probably not a prompt"),
    (&["run", "help", "list"], "verbs: list"),
    (&["run", "-n", "hello", "there"], "did you mean '--dry-run'?"),
    (&["run", "-n", "5", "hello"], "did you mean '--dry-run'?"),
    (&["run", "hello", "\u{2013}json"], "'--json' is a flag"),
    (&["run", "-p", "fix", "the", "login", "bug"], "-p 'fix the login bug'"),
    (&["run", "Mend the tests", "Update the notes"], "-p 'Mend the tests' -p 'Update the notes'"),
    (&["run", "fix", "the login bug"], "-p 'fix the login bug'"),
    (&["run", "fix", ""], "one of several operands is empty"),
    (&["run", "fix", "it", "-"], "the operand - cannot be combined"),
    (&["run", "--prompt-file", "chores.txt", "now"], "unexpected operand 'now' beside --prompt-file"),
    (&["run", "list", "the", "open", "bugs"], "unexpected operand"),
    (&["queue", "add", "book", "list"], "did you mean 'codex-agent queue list'"),
    (&["queue", "add", "book", "retry"], "codex-agent queue retry book --failed"),
    (&["queue", "add", "book", "rm"], "codex-agent queue remove book PROMPT"),
    (&["queue", "add", "book", "work"], "codex-agent group run work -p TEXT"),
    (&["queue", "add", "book", "chores.txt"], "codex-agent queue add book < chores.txt"),
    (&["queue", "add", "book", "one two", "three"], "codex-agent queue add book -p 'one two' -p three"),
    (&["queue", "add", "book", "-p", "Write", "chapter", "one"], "-p 'Write chapter one'"),
    (&["queue", "run", "work"], "there is no queue 'work'"),
    (&["queue", "run", "-n", "book"], "did you mean '--dry-run'?"),
    (&["queue", "run", "book", "now"], "unexpected operand 'now'"),
    (&["group", "run", "work"], "the prompt is missing"),
    (&["group", "run", "work", "fix", "it"], "--prompt 'fix it' sends this text"),
    (&["group", "run", "work", "-p", "fix", "it"], "unexpected operand 'it'"),
    (&["group", "run", "book", "-p", "fix"], "there is no group 'book'"),
    (&["group", "run", "work", "-n", "-p", "fix"], "did you mean '--dry-run'?"),
    (&["resume", "ID", "-p", "fix", "it"], "'it'"),
    (&["resume", "work", "-p", "fix"], "'work'"),
    (&["fork", "ID", "-n", "1001"], "from 1 to 1000"),
    (&["fork", "ID", "-n"], "needs a value"),
];

#[test]
fn no_slip_starts_a_session() {
    let (fake, id) = world();
    let run = fake.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let sent = fake.prompts();
    assert!(SLIPS.len() >= 100, "{}", SLIPS.len());
    let real = |text: &str| text.replace("SHORT", &id[28..]).replace("ID", &id).replace("RUN", &run);
    for (words, says) in SLIPS {
        let given: Vec<String> = words
            .iter()
            .map(|word| if ["ID", "SHORT", "RUN"].contains(word) { real(word) } else { (*word).to_owned() })
            .collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let ran = fake.tool(&given);
        ran.case(words);
        assert!([1, 2].contains(&ran.code), "{words:?}: exit status {}, {}", ran.code, ran.err);
        let says = if words.contains(&"ID") || words.contains(&"SHORT") || words.contains(&"RUN") {
            real(says)
        } else {
            (*says).to_owned()
        };
        assert!(ran.err.contains(&says), "{words:?} lacks {says:?}: {}", ran.err);
        assert_eq!(fake.prompts(), sent, "{words:?}");
    }
    assert_eq!((fake.runs().len(), fake.each("book", "prompt")), (1, vec!["chapter one".to_owned()]));
}

#[test]
fn a_pipe_to_the_wrong_tool_starts_no_session() {
    let (fake, id) = world();
    let sent = fake.prompts();
    for line in [
        "codex-agent ls | codex-agent run".to_owned(),
        "codex-agent ls --table | codex-agent run".to_owned(),
        "codex-agent ls --table | tail -n +2 | codex-agent run".to_owned(),
        "codex-agent ls --table --fields short,title | codex-agent run".to_owned(),
        "codex-agent ls --table --fields short,title | tail -n +2 | codex-agent run".to_owned(),
        "codex-agent ls --fields short,title | codex-agent run".to_owned(),
        "codex-agent ls --fields title,branch | codex-agent run".to_owned(),
        "codex-agent ls --fields short | codex-agent run".to_owned(),
        "codex-agent ls --fields cwd | codex-agent run".to_owned(),
        "codex-agent ls --fields model --table | codex-agent run".to_owned(),
        "codex-agent ls --fields updated_at | codex-agent run".to_owned(),
        "codex-agent ls -c | codex-agent run".to_owned(),
        "codex-agent find --table first | codex-agent run".to_owned(),
        "codex-agent run list --table | codex-agent run".to_owned(),
        "codex-agent run list --table | tail -n 1 | codex-agent run".to_owned(),
        "codex-agent run log | codex-agent run".to_owned(),
        "codex-agent queue list --table | codex-agent run".to_owned(),
        "codex-agent queue list --table | tail -n 1 | codex-agent run".to_owned(),
        "codex-agent queue show book | codex-agent run".to_owned(),
        "codex-agent queue show book --table | codex-agent run".to_owned(),
        "codex-agent group list --table | codex-agent run".to_owned(),
        "codex-agent group list --table | tail -n 1 | codex-agent run".to_owned(),
        "codex-agent group show work --table | codex-agent run".to_owned(),
        "codex-agent status | codex-agent run".to_owned(),
        "codex-agent config | codex-agent run".to_owned(),
        "codex-agent config --table | codex-agent run".to_owned(),
        "codex-agent config --table | tail -n +2 | codex-agent run".to_owned(),
        "codex-agent config path | codex-agent run".to_owned(),
        "codex-agent config get runs.keep | codex-agent run".to_owned(),
        "codex-agent --list | codex-agent run".to_owned(),
        "codex-agent plugin list | codex-agent run".to_owned(),
        "codex-agent plugin list --table | codex-agent run".to_owned(),
        "ls | codex-agent run".to_owned(),
        "printf 'help\\n' | codex-agent run".to_owned(),
        "printf 'mend the tests\\nyes\\n' | codex-agent run".to_owned(),
        "printf 'mend the tests\\n12\\n' | codex-agent queue add book".to_owned(),
        "printf 'mend the tests\\nverson\\n' | codex-agent run -".to_owned(),
        "codex-agent ls --fields id | codex-agent run -".to_owned(),
        "codex-agent ls --json | codex-agent run".to_owned(),
        "codex-agent ls --json | codex-agent run --jobs".to_owned(),
        "codex-agent run list | codex-agent run".to_owned(),
        "codex-agent queue list | codex-agent run".to_owned(),
        "codex-agent group list | codex-agent run".to_owned(),
        "codex-agent queue show book | codex-agent queue add book".to_owned(),
        "echo '[\"one\", \"two\"]' | codex-agent run".to_owned(),
        "echo not json | codex-agent run --jobs".to_owned(),
        format!("echo {id} | codex-agent run"),
        ": | codex-agent group run work".to_owned(),
    ] {
        let ran = fake.0.sh(&line);
        ran.case(&line).exits(2);
        assert!(
            !ran.err.contains("missing field") && !ran.err.contains("expected ident"),
            "{line}: {}",
            ran.err
        );
        assert_eq!(fake.prompts(), sent, "{line}");
    }
    let ran = fake.0.sh("codex-agent ls --json | codex-agent run --jobs");
    ran.reports("expected a job record, not one of type 'session'")
        .reports("codex-agent resume --prompt TEXT -");
    fake.0.sh("echo not json | codex-agent run --jobs").reports("expected a job record, not 'not json'");
    assert_eq!((fake.runs().len(), fake.each("book", "prompt")), (1, vec!["chapter one".to_owned()]));
    // Sentences are prompts, with two blanks behind a full stop too, and so is a lone word that has no meaning.
    let prompts = "Mend the tests.  Then update the notes.  Then stop.\nRefactor\n  - fix  the typo\n";
    fake.feed(&["run", "-j1"], prompts).succeeds();
    let all = fake.prompts();
    assert_eq!(all[sent.len()..], prompts.lines().collect::<Vec<_>>()[..]);
    // Nothing is a mistake with --text.
    fake.feed(&["run", "--text"], format!("{id}\n")).succeeds();
    assert_eq!(fake.prompts().last(), Some(&id));
}

#[test]
fn prompts_are_sent() {
    let (fake, _) = world();
    let all: &[(&[&str], &str)] = &[
        (&["run", "fix", "the", "login", "bug"], "fix the login bug"),
        (&["run", "fix the login bug"], "fix the login bug"),
        (&["run", "--", "list"], "list"),
        (&["run", "-j2", "--", "list", "it"], "list it"),
        (&["run", "-p", "retry"], "retry"),
        (&["run", "--prompt", "work"], "work"),
        (&["run", "lint", "the", "code"], "lint the code"),
        (&["run", "show", "me", "the", "open", "tasks"], "show me the open tasks"),
        (&["run", "add", "tests"], "add tests"),
        (&["run", "work", "on", "the", "parser"], "work on the parser"),
        (&["run", "find", "the", "bug", "in", "parser"], "find the bug in parser"),
        (&["run", "list files of src please"], "list files of src please"),
        (&["run", "-j2", "list", "all", "files"], "list all files"),
        (&["run", "fix", "it"], "fix it"),
        (&["run", "explain", "this"], "explain this"),
        (&["run", "run", "tests"], "run tests"),
        (&["run", "run", "all", "tests"], "run all tests"),
        (&["run", "find", "all", "bugs"], "find all bugs"),
        (&["run", "find", "it"], "find it"),
        (&["run", "git status shows conflicts, resolve them"], "git status shows conflicts, resolve them"),
        (&["run", "git", "bisect", "the", "regression"], "git bisect the regression"),
        (&["run", "make", "it", "faster"], "make it faster"),
        (&["run", "make", "tests", "pass"], "make tests pass"),
        (&["run", "cargo", "test", "fails,", "why?"], "cargo test fails, why?"),
        (&["run", "remove", "dead", "code"], "remove dead code"),
        (&["run", "create", "README"], "create README"),
        (&["run", "print", "todos"], "print todos"),
        (&["run", "review", "pull", "request", "12"], "review pull request 12"),
        (&["run", "update", "dependencies"], "update dependencies"),
        (&["run", "sort", "imports"], "sort imports"),
        (&["run", "rename", "Foo", "to", "Bar"], "rename Foo to Bar"),
        (&["run", "add", "2fa"], "add 2fa"),
        (&["run", "hello"], "hello"),
        (&["run", "four"], "four"),
        (&["run", "hi"], "hi"),
        (&["run", "simplify"], "simplify"),
        (&["run", "document", "src/main.rs"], "document src/main.rs"),
        (&["run", "Status", "of", "the", "build?"], "Status of the build?"),
        (&["run", "kill", "all", "warnings"], "kill all warnings"),
        (&["run", "-j2", "--", "git", "status"], "git status"),
        (&["run", "Refactor"], "Refactor"),
        (&["run", "Why does 'retry' fail?"], "Why does 'retry' fail?"),
    ];
    assert!(all.len() >= 25, "{}", all.len());
    for (words, prompt) in all {
        let before = fake.prompts().len();
        let ran = fake.tool(words);
        ran.case(words).succeeds();
        assert_eq!(fake.prompts()[before..], [(*prompt).to_owned()], "{words:?}");
    }
    for (words, prompt) in [
        (&["queue", "add", "book", "Write", "chapter", "two"][..], "Write chapter two"),
        (&["queue", "add", "book", "--", "list"], "list"),
        (&["queue", "add", "book", "-p", "retry"], "retry"),
    ] {
        fake.good(words);
        assert_eq!(fake.each("book", "prompt").last().unwrap(), prompt);
    }
}

/// The verbs of a tool, of its help.
fn verbs(fake: &Fake, tool: &str) -> BTreeSet<String> {
    let words = format!("codex-agent-{tool} --generate complete -- ''");
    let lines = fake.0.sh(&words).out;
    let is_verb = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let words = lines.lines().filter_map(|line| line.split('\t').next()).filter(is_verb);
    let has_help = |word: &&str| {
        let help = Command::new(bin(&format!("codex-agent-{tool}"))).args([word, "--help"]).output().unwrap();
        String::from_utf8_lossy(&help.stdout).contains(&format!("codex-agent-{tool} {word}"))
    };
    words.filter(has_help).map(str::to_owned).collect()
}

#[test]
fn each_verb_and_tool_is_known_as_a_word() {
    let (fake, _) = world();
    let mut count = 0;
    for (tool, ..) in TOOLS {
        let own = if tool == "run" { BTreeSet::new() } else { verbs(&fake, tool) };
        for word in own.iter().map(String::as_str).chain([tool]) {
            for words in [&["run", "--json", word][..], &["queue", "add", "book", word]] {
                let ran = fake.tool(words);
                ran.case(words).exits(2).reports("is a word of codex-agent");
                check_commands(&fake, &ran.err);
                count += 1;
            }
        }
    }
    assert!(count > 60, "{count}");
    assert_eq!(fake.prompts().len(), 2);
}

/// Each command that an error offers has a tool and a verb that exist.
fn check_commands(fake: &Fake, err: &str) {
    let hint = err.lines().find(|line| line.contains("did you mean")).unwrap_or_default();
    for command in hint.split('\'').filter(|part| part.starts_with("codex-agent ")) {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        if ["help", "--version", "pick", "retry"].iter().any(|word| words.contains(word)) {
            continue;
        }
        let is_verb = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        let words: Vec<&str> = words.iter().take_while(is_verb).take(2).copied().collect();
        let ran = fake.0.run(&[&["codex-agent"], &words[..], &["--help"]].concat());
        ran.case(command).succeeds();
        let name = words.join(" ");
        assert!(ran.out.contains(&format!("codex-agent-{name}")), "{command}: {}", ran.out);
    }
}

fn on_terminal(fake: &Fake, words: &[&str], keys: &str) -> (String, i32) {
    let mut terminal = Terminal::open(fake.started(words), 120, 24);
    if !keys.is_empty() {
        terminal.until("[y/N] ");
        terminal.press(keys);
    }
    terminal.end()
}

#[test]
fn a_run_of_many_sessions_asks_once_on_a_terminal() {
    let fake = Fake::newest();
    fake.0.write("home/.config/codex-agent/config.toml", "[runs]\nconfirm_above = 2\n");
    let three = ["run", "-p", "a", "-p", "b", "-p", "c", "-s", "read-only", "-j", "2"];
    // No, the end of the input, and an interrupt start nothing.
    for keys in ["\n", "n\n", "maybe\n", "\u{4}"] {
        let mut terminal = Terminal::open(fake.started(&three), 120, 24);
        let question = terminal.until("[y/N] ");
        assert!(question.contains("Start 3 sessions in "), "{question}");
        assert!(question.contains("/work, 2 at a time, sandbox read-only?"), "{question}");
        terminal.press(keys);
        let (shown, code) = terminal.end();
        assert_eq!(code, 1, "{shown}");
        assert!(shown.contains("nothing was started"), "{shown}");
    }
    assert_eq!((fake.sent().len(), fake.runs().len()), (0, 0));
    assert_eq!(on_terminal(&fake, &three, "y\n").1, 0);
    assert_eq!(fake.sent().len(), 3);
    // Two are not too many; --yes and a standard input that is no terminal are not asked.
    assert_eq!(on_terminal(&fake, &three[..5], "").1, 0);
    assert_eq!(on_terminal(&fake, &[&three[..], &["--yes"]].concat(), "").1, 0);
    fake.tool(&three).succeeds();
    fake.feed(&["run"], "do 1\ndo 2\ndo 3\n").succeeds();
    assert_eq!(fake.sent().len(), 14);
    fake.0.write("home/.config/codex-agent/config.toml", "[runs]\nconfirm_above = 0\n");
    assert_eq!(on_terminal(&fake, &["run", "one more"], "n\n").1, 1);
    assert_eq!(fake.sent().len(), 14);
}

#[test]
fn groups_queues_and_forks_ask_too() {
    let fake = Fake::newest();
    let ids: Vec<String> = ["one", "two", "three"].iter().map(|prompt| fake.begin(prompt)).collect();
    for id in &ids {
        fake.good(&["group", "add", "g", id]);
    }
    queue(&fake, "q", &["a", "b", "c"]);
    fake.0.write("home/.config/codex-agent/config.toml", "runs.confirm_above = 2\n");
    for (words, question) in [
        (&["group", "run", "g", "-p", "x"][..], "Send a prompt to 3 sessions in "),
        (&["resume", &ids[0], &ids[1], &ids[2], "-p", "x"], "Send a prompt to 3 sessions in "),
        (&["queue", "run", "q"], "Send 3 prompts of queue 'q' to 3 sessions in "),
        (&["fork", &ids[0], "-n", "3"], "Create 3 forks of 1 session in "),
        (
            &["fork", &ids[0], "-n", "3", "-p", "x"],
            "and send a prompt to each, 3 at a time, sandbox of the last turn?",
        ),
        (&["queue", "delete", "q"], "Delete queue 'q' with 3 prompts that were not sent?"),
    ] {
        let mut terminal = Terminal::open(fake.started(words), 200, 24);
        let shown = terminal.until("[y/N] ");
        assert!(shown.contains(question), "{shown}");
        terminal.press("\n");
        let (shown, code) = terminal.end();
        assert_eq!(code, 1, "{words:?}: {shown}");
        assert!(shown.contains("nothing was "), "{words:?}: {shown}");
    }
    assert_eq!((fake.sent().len(), fake.runs().len(), fake.list().len()), (3, 0, 3));
    assert_eq!(on_terminal(&fake, &["fork", &ids[0], "-n", "3", "--yes"], "").1, 0);
    assert_eq!(on_terminal(&fake, &["group", "run", "g", "-p", "x"], "yes\n").1, 0);
    assert_eq!((fake.sent().len(), fake.list().len()), (6, 6));
    let (shown, code) = on_terminal(&fake, &["queue", "delete", "-y", "q"], "");
    assert_eq!(code, 0, "{shown}");
    let closed = fake.0.sh(&format!("codex-agent fork {} -n 3 <&-", ids[0]));
    closed.succeeds();
}

#[test]
fn an_empty_group_has_one_message() {
    let fake = Fake::newest();
    fake.good(&["group", "create", "empty"]);
    let ran = fake.tool(&["group", "run", "empty", "-p", "hi"]);
    ran.succeeds();
    ran.reports_exactly("codex-agent-group: group 'empty' has no sessions; nothing was started\n");
}
