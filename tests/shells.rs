//! Pressing TAB in real shells: bash and zsh on a terminal, fish through its `complete -C`.
//!
//! What TAB offers comes from other people: groups and sessions may be called anything. In this world
//! they are called things that leave a file behind if a shell ever runs them.

use std::collections::BTreeSet;
use std::fs;

use crate::terminal::Terminal;
use crate::world::*;

const TOOLS: [&str; 7] = [
    "codex-agent",
    "codex-agent-ls",
    "codex-agent-find",
    "codex-agent-group",
    "codex-agent-schema",
    "codex-agent-config",
    "codex-agent-demo",
];

/// Names of groups, and what is typed of each before TAB is pressed.
const NAMES: [(&str, &[&str]); 13] = [
    ("work", &["wo", "'wo", "\"wo"]),
    ("two words", &["tw", "two\\ w", "'two w", "\"two w"]),
    ("team:alpha", &["team:a", "'team:a", "te", "team\\:a"]),
    ("team:ålso wide, 日本", &["team:å", "'team:å"]),
    ("me@work", &["me", "me@", "me@w", "'me@w", "me\\@w"]),
    ("you@a:b@c", &["yo", "you@", "you@a", "you@a:", "you@a:b@"]),
    ("it's \"quoted\"", &["it", "\"it", "'it", "it\\'"]),
    ("rock 'n'", &["ro", "'ro", "\"ro"]),
    ("~", &["\\~", "'~"]),
    ("$(touch leak)", &["\\$", "'$", "'$(t"]),
    ("`touch leak`", &["\\`", "'`"]),
    ("semi;touch leak", &["se", "'semi;", "\"semi;"]),
    ("back\\slash *", &["ba", "'ba", "back\\\\s"]),
];

/// A session of the world, the only one with a harmless title.
const SESSION: &str = "01a202e0-8d5d-7d62-82ce-fdb2cd6d1b0c";

/// As tables show it.
const SHORT: &str = "cd6d1b0c";

/// Lines, what they offer, and what they do not.
const OFFERS: [(&str, &[&str], &[&str]); 35] = [
    (
        "codex-agent ",
        &["ls", "find", "group", "demo", "help", "foo", "today", "evil"],
        &["codex-agent-ls", "--list", "Bad"],
    ),
    ("codex-agent -", &["--directory", "--codex-home", "--list"], &["ls"]),
    ("codex-agent help ", &["ls", "find", "foo", "today"], &[]),
    ("codex-agent ls --so", &["--sort", "--source"], &["--since", "--json"]),
    ("codex-agent-ls --so", &["--sort", "--source"], &["--since"]),
    ("codex-agent -C projects ls --so", &["--sort", "--source"], &[]),
    ("codex-agent --codex-home=projects ls --so", &["--sort", "--source"], &[]),
    ("codex-agent-ls --color ", &["auto", "always", "never"], &["--json", "work"]),
    ("codex-agent ls --sort ", &["updated", "tokens", "cwd"], &["projects", "work"]),
    ("codex-agent-ls --fields ", &["id", "updated_at", "branch", "short"], &["projects", "work"]),
    ("codex-agent group run work --on-busy ", &["wait", "skip", "fork", "fail"], &["projects"]),
    ("codex-agent ls --limit ", &[], &["projects"]),
    ("codex-agent ls --color=", &["auto", "always", "never"], &["work"]),
    ("codex-agent ls --color=a", &["auto", "always"], &["never"]),
    ("codex-agent-ls --group ", &["work", "team:alpha"], &["auto"]),
    (
        "codex-agent group ",
        &["create", "list", "show", "add", "remove", "rename", "delete", "pause", "unpause"],
        &["--help"],
    ),
    ("codex-agent group -", &["--help", "--version"], &["add"]),
    ("codex-agent group re", &["remove", "rename"], &["create"]),
    ("codex-agent group add ", &["work", "team:alpha"], &[SESSION]),
    ("codex-agent group add --codex-home home/.codex ", &["work"], &[SESSION]),
    ("codex-agent group add work ", &[SHORT, "@@"], &["team:alpha", SESSION]),
    ("codex-agent group add team:alpha --json @@ ", &[SHORT, "@@"], &[]),
    ("codex-agent group add me@work ", &[SHORT, "@@"], &["team:alpha"]),
    ("codex-agent group add me@work @ ", &[SHORT, "@@"], &["team:alpha"]),
    ("codex-agent group rename @ ", &[], &["work", SHORT]),
    ("codex-agent -C at@home ls --so", &["--sort", "--source"], &[]),
    ("codex-agent ls --cwd at@home/", &["three", "four"], &["one"]),
    ("codex-agent group list --", &["--json", "--format"], &["--existing"]),
    ("codex-agent find ", &[SHORT, "@@"], &["team:alpha", SESSION]),
    ("codex-agent config get ", &["runs.keep", "codex.database", "alias.today"], &["work"]),
    ("codex-agent config get runs.", &["runs.keep", "runs.max_concurrent"], &["ui.color"]),
    ("codex-agent-find 01a202e0-", &[SESSION], &["@@"]),
    ("codex-agent schema session job.s", &["job.started", "job.session"], &["job.failed", "work"]),
    ("codex-agent ls --cwd projects/", &["one", "other one"], &["file"]),
    ("codex-agent --codex-home projects/", &["one", "other one"], &["file"]),
];

/// Lines that TAB completes without a question, and what becomes of them.
const COMPLETED: [(&str, &str); 11] = [
    ("codex-agent tod", "codex-agent today "),
    ("codex-agent gr", "codex-agent group "),
    ("codex-agent find logi", "codex-agent find login\\ work "),
    ("codex-agent-find cd6d", "codex-agent-find cd6d1b0c "),
    ("codex-agent-ls --archived=", "codex-agent-ls --archived=only "),
    ("codex-agent ls --archived=o", "codex-agent ls --archived=only "),
    ("codex-agent ls --color=al", "codex-agent ls --color=always "),
    ("codex-agent ls --color ne", "codex-agent ls --color never "),
    ("codex-agent --list=", "codex-agent --list=json "),
    ("codex-agent ls --cwd projects/oth", "codex-agent ls --cwd projects/other\\ one/"),
    ("codex-agent ls --cwd=projects/oth", "codex-agent ls --cwd=projects/other\\ one/"),
];

/// A world with groups, sessions and a stranger's tool, and with every completion in files.
fn world() -> World {
    let mut world = World::with_home("0.169.0");
    for (name, _) in NAMES {
        assert_eq!(world.run(&["codex-agent-group", "create", name]).code, 0, "{name}");
    }
    let database = rusqlite::Connection::open(world.codex_home().join("state_5.sqlite")).unwrap();
    let title = "$(touch leak) `touch leak` ';touch leak;' \" \u{1b}[31m [a] : %F{red} ${(e):-$(touch leak)}";
    for column in ["name", "title", "first_user_message", "preview"] {
        database
            .execute(&format!("UPDATE threads SET {column} = ?1 WHERE id <> ?2"), [title, SESSION])
            .unwrap();
    }
    for folder in ["projects/one", "projects/other one", "at@home/three", "at@home/four"] {
        fs::create_dir_all(world.path(folder)).unwrap();
    }
    world.write("projects/file", "");
    world.write(
        "home/.config/codex-agent/config.toml",
        "[alias]\ntoday = 'ls --since 1d'\nevil = '!touch leak; $(touch leak) `touch leak` [a] : %F{red}'\n\
         ls = 'find'\n'Bad name' = 'ls'\n",
    );
    world.script("strangers/codex-agent-foo", "#!/bin/sh\ntouch leak\n");
    let path =
        format!("{}:{}:/usr/local/bin:/usr/bin:/bin", bins().display(), world.path("strangers").display());
    world.set("PATH", path);
    for tool in TOOLS {
        for (kind, file) in
            [("bash", format!("{tool}.bash")), ("zsh", format!("_{tool}")), ("fish", format!("{tool}.fish"))]
        {
            let text = world.ok(&[tool, "--generate", kind]);
            world.write(&format!("completions/{kind}/{file}"), text);
        }
    }
    world
}

pub fn has(world: &World, shell: &str) -> bool {
    let there = world.sh(&format!("command -v {shell}")).out.contains('/');
    if !there {
        eprintln!("SKIPPED: there is no {shell} to press TAB in");
    }
    there
}

/// What became of a line, and what was shown below it.
pub struct Tab {
    pub line: String,
    pub shown: String,
}

impl Tab {
    pub fn offers(&self, word: &str) -> bool {
        let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c == '/');
        self.shown.match_indices(word).any(|(at, _)| {
            is_edge(self.shown[..at].chars().next_back())
                && is_edge(self.shown[at + word.len()..].chars().next())
        })
    }
}

/// A shell that somebody types into. Its start must bind `^Xr` to print `<line>`, the line, `<end>`,
/// and to empty the line: keys are taken one after the other, so that TAB is done by then.
pub struct Shell(Terminal);

impl Shell {
    fn start(world: &World, words: &[&str], variables: &[(&str, String)]) -> Shell {
        let mut command = world.command(words[0]);
        command.args(&words[1..]).envs(variables.iter().map(|(name, value)| (name, value)));
        let mut terminal = Terminal::open(command, 200, 1000);
        terminal.until("ready> ");
        Shell(terminal)
    }

    pub fn tab(&mut self, line: &str) -> Tab {
        self.0.press(&format!("{line}\t\x18r"));
        let all = self.0.until("<end>");
        // A key that came before the prompt is back would be shown by the terminal itself.
        self.0.until("ready> ");
        let (shown, line) = all.split_once("<line>").unwrap();
        // Every movement of the cursor begins something else; the line as it is typed is no offer.
        let mut rows = String::new();
        let mut letters = shown.chars();
        while let Some(c) = letters.next() {
            match c {
                '\x1b' => {
                    if letters.next() == Some('[') && letters.find(|c| ('@'..='~').contains(c)) != Some('m') {
                        rows.push('\n');
                    }
                }
                '\r' => rows.push('\n'),
                '\x07' => {}
                c => rows.push(c),
            }
        }
        let offers = rows.split('\n').skip(1).filter(|row| !row.contains("ready> "));
        let shown = offers.collect::<Vec<_>>().join("\n");
        Tab { line: line.trim_end_matches("<end>").to_owned(), shown }
    }
}

/// bash on a terminal, after these lines; `None` where it cannot be asked for its line.
pub fn bash(world: &World, lines: &str) -> Option<Shell> {
    let start = world.write(
        "bashrc",
        format!(
            "PS1='ready> '\nunset HISTFILE\n{lines}\n\
             report() {{ printf '<line>%s<end>\\n' \"$READLINE_LINE\"; READLINE_LINE= READLINE_POINT=0; }}\n\
             bind -x '\"\\C-xr\": report'\n"
        ),
    );
    let settings = world.write(
        "inputrc",
        "set bell-style none\nset enable-bracketed-paste off\nset show-all-if-ambiguous on\n\
         set completion-query-items -1\nset page-completions off\nset completion-display-width 0\n",
    );
    // The scripts are written for older ones too, but only bash 4 can bind a function to ^Xr.
    if world.sh("bash -c '[ ${BASH_VERSINFO[0]} -ge 4 ]'").code != 0 {
        eprintln!("SKIPPED: this bash cannot be asked for its line");
        return None;
    }
    Some(Shell::start(
        world,
        &["bash", "--noprofile", "--rcfile", start.to_str().unwrap(), "-i"],
        &[("INPUTRC", settings.display().to_string())],
    ))
}

/// zsh on a terminal, with these lines after those that load the completions.
pub fn zsh(world: &World, lines: &str) -> Shell {
    world.write(
        "zdot/.zshrc",
        format!(
            "PROMPT='ready> '\nunset HISTFILE zle_bracketed_paste\nLISTMAX=100000\nsetopt no_beep no_prompt_sp no_list_ambiguous\n\
             fpath=($PWD/completions/zsh $fpath)\nautoload -Uz compinit\ncompinit -u -D\n{lines}\n\
             report() {{ zle -I; print -r -- \"<line>$BUFFER<end>\"; zle send-break }}\nzle -N report\nbindkey -e\nbindkey '^Xr' report\n"
        ),
    );
    Shell::start(world, &["zsh", "-d", "-i"], &[("ZDOTDIR", world.path("zdot").display().to_string())])
}

/// What fish offers for a line, after these lines.
pub fn fish(world: &World, lines: &str, line: &str) -> String {
    let script =
        format!("for file in completions/fish/*.fish; source $file; end; {lines}; complete -C $argv[1]");
    let ran = world.run(&["fish", "-N", "-c", &script, line]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
    ran.out
}

fn check_offers(shell: &str, mut tab: impl FnMut(&str) -> Tab) {
    let mut wrong = Vec::new();
    for (line, offered, others) in OFFERS {
        let tab = tab(line);
        let missing: Vec<_> = offered.iter().filter(|word| !tab.offers(word)).collect();
        let extra: Vec<_> = others.iter().filter(|word| tab.offers(word)).collect();
        if !missing.is_empty() || !extra.is_empty() {
            wrong.push(format!(
                "{shell}: {line}<TAB> lacks {missing:?}, must not have {extra:?}: {}",
                tab.shown
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Presses TAB where one completion is possible. What it makes of a name must be that very name to
/// the shell.
fn check_lines(world: &World, shell: &mut Shell, name: &str) {
    let mut wrong = Vec::new();
    for (typed, wanted) in COMPLETED {
        let line = shell.tab(typed).line;
        if line != wanted {
            wrong.push(format!("{name}: {typed}<TAB> became {line:?}, not {wanted:?}"));
        }
    }
    // More words may come, and some shells say so.
    for (typed, wanted) in [
        ("codex-agent ls --fields id,nam", "codex-agent ls --fields id,name"),
        ("codex-agent ls --fields=id,title,cr", "codex-agent ls --fields=id,title,created_at"),
    ] {
        let line = shell.tab(typed).line;
        if line.trim_end_matches([',', ' ']) != wanted {
            wrong.push(format!("{name}: {typed}<TAB> became {line:?}, not {wanted:?}"));
        }
    }
    for (group, typed) in NAMES {
        for typed in typed {
            for command in ["codex-agent group add", "codex-agent-group show", "codex-agent ls --group"] {
                let before = format!("{command} {typed}");
                let line = shell.tab(&before).line;
                // Of several with one beginning only that is there.
                let script = format!(
                    "print_last() {{ for last in \"$@\"; do :; done; printf '%s' \"$last\"; }}\nprint_last {line}"
                );
                let ran = world.run(&[name, "-c", &script]);
                let is_part = *typed == "te" && ran.out == "team:";
                if ran.out != group && !is_part {
                    wrong.push(format!("{name}: {before}<TAB> became {line:?}: {:?} {}", ran.out, ran.err));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The folders in which something that ran would have left its file.
fn check_leaks(world: &World) {
    for folder in ["", "home", "projects"] {
        assert!(!world.path(folder).join("leak").exists(), "a name was run");
    }
}

#[test]
fn scripts_load_in_silence() {
    let world = world();
    let shells: [(&str, &[&str]); 3] = [
        (
            "bash",
            &[
                "bash -n \"$1\"",
                "bash --norc --noprofile -c '. \"$1\"' bash \"$1\"",
                "bash --posix -c '. \"$1\"' bash \"$1\"",
            ],
        ),
        (
            "zsh",
            &[
                "zsh -n \"$1\"",
                "zsh -f -c 'fpath=(${1:h} $fpath); autoload -Uz compinit; compinit -u -D; autoload +X ${1:t}' zsh \"$1\"",
            ],
        ),
        ("fish", &["fish -N -n \"$1\"", "fish -N -c 'source $argv[1]' \"$1\""]),
    ];
    for (shell, lines) in shells {
        if !has(&world, shell) {
            continue;
        }
        for file in fs::read_dir(world.path("completions").join(shell)).unwrap().flatten() {
            for line in lines {
                let ran = world.run(&["sh", "-c", line, "sh", file.path().to_str().unwrap()]);
                assert_eq!(
                    (ran.code, ran.out.as_str(), ran.err.as_str()),
                    (0, "", ""),
                    "{line} {:?}",
                    file.path()
                );
            }
        }
    }
}

#[test]
fn bash_completes() {
    let world = world();
    if !has(&world, "bash") {
        return;
    }
    let tools = "for tool in '' -ls -find -group -schema -config -demo; do . completions/bash/codex-agent$tool.bash; done";
    let Some(mut shell) = bash(&world, tools) else { return };
    check_offers("bash", |line| shell.tab(line));
    check_lines(&world, &mut shell, "bash");
    check_leaks(&world);
}

#[test]
fn bash_loads_the_tool_beside_the_dispatcher() {
    let world = world();
    if !has(&world, "bash") {
        return;
    }
    let beside = |file: &str| {
        let script = format!(
            ". {file}\nCOMP_WORDS=(codex-agent ls --so) COMP_CWORD=2\n_codex_agent codex-agent --so ls\necho \"${{COMPREPLY[@]}}\""
        );
        world.ok(&["bash", "-c", &script])
    };
    assert_eq!(
        beside(&format!("'{}'", world.path("completions/bash/codex-agent.bash").display())),
        "--source --sort\n"
    );
    // Never from where one happens to stand: then the tool is asked for its script.
    let own = world.path("completions/bash/codex-agent-ls.bash");
    let hostile = fs::read_to_string(&own).unwrap() + "\ntouch leak\n";
    fs::write(&own, hostile).unwrap();
    assert_eq!(beside("completions/bash/codex-agent.bash"), "--source --sort\n");
    check_leaks(&world);
}

#[test]
fn zsh_completes() {
    let world = world();
    if !has(&world, "zsh") {
        return;
    }
    let mut shell = zsh(&world, "");
    // zsh shows the names of files as it would insert them.
    check_offers("zsh", |line| {
        let tab = shell.tab(line);
        Tab { shown: tab.shown.replace("\\ ", " "), ..tab }
    });
    check_lines(&world, &mut shell, "zsh");
    check_leaks(&world);
}

#[test]
fn fish_completes() {
    let world = world();
    if !has(&world, "fish") {
        return;
    }
    let complete = |line: &str| fish(&world, "", line);
    let flag =
        |line: &str| line.rsplit(' ').next().unwrap().split_once('=').map(|(flag, _)| format!("{flag}="));
    check_offers("fish", |line| {
        let printed = complete(line);
        let offers = printed.lines().map(|offer| {
            let word = offer.split('\t').next().unwrap();
            let word = flag(line)
                .and_then(|flag| word.strip_prefix(&flag).map(str::to_owned))
                .unwrap_or(word.to_owned());
            word.trim_start_matches("projects/").trim_end_matches('/').to_owned()
        });
        let shown = offers.collect::<Vec<_>>().join("\n");
        Tab { line: line.to_owned(), shown }
    });
    assert_eq!(
        complete("codex-agent-ls --archived="),
        "--archived=only\tarchived sessions too, or only them\n"
    );
    // fish itself quotes what it inserts, so that it must be given names as they are.
    for line in ["codex-agent group add ", "codex-agent-group show ", "codex-agent ls --group "] {
        let offers = complete(line);
        let offers: BTreeSet<&str> = offers.lines().map(|offer| offer.split('\t').next().unwrap()).collect();
        assert_eq!(offers, NAMES.iter().map(|(name, _)| *name).collect(), "{line}");
    }
    let sessions = complete("codex-agent find ");
    assert!(sessions.contains("$(touch leak)") && !sessions.contains('\x1b'), "{sessions}");
    check_leaks(&world);
}

#[test]
fn zsh_may_evaluate_what_it_would_load() {
    let world = World::new();
    if !world.sh("command -v zsh").out.contains('/') {
        eprintln!("SKIPPED: there is no zsh");
        return;
    }
    let line = "autoload -U compinit; compinit -u -d \"$HOME/zcd\"\n\
                for tool in codex-agent codex-agent-ls codex-agent-group; do eval \"$($tool --generate zsh)\"; done\n\
                print $_comps[codex-agent] $_comps[codex-agent-ls] $_comps[codex-agent-group]";
    assert_eq!(world.ok(&["zsh", "-fc", line]), "_codex-agent _codex-agent-ls _codex-agent-group\n");
}
