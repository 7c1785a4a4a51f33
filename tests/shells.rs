//! Pressing TAB in real shells: bash and zsh on a terminal, fish through its `complete -C`. One matrix: what is typed,
//! and what each of the three makes of it.
//!
//! What TAB offers comes from other people: groups, sessions and candidates of external tools may be called anything.
//! In this world they are called things that leave a file behind if a shell ever runs them. An external tool is run only
//! where its description allows that.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use crate::world::*;

mod driver;
mod many;

pub use driver::{Shell, Tab, bash, fish, has, zsh};

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
const OFFERS: &[(&str, &[&str], &[&str])] = &[
    (
        "codex-agent ",
        &["ls", "find", "group", "demo", "help", "foo", "today", "evil"],
        &["codex-agent-ls", "--list", "Bad"],
    ),
    ("codex-agent -", &["--directory", "--codex-home", "--list"], &["ls"]),
    ("codex-agent today --f", &["--fields", "--format"], &["--since", "work"]),
    ("codex-agent today --color ", &["auto", "always", "never"], &["work"]),
    ("codex-agent work ", &[SHORT, "@@"], &["team:alpha"]),
    ("codex-agent ls --branch ", &["main"], &["projects"]),
    ("codex-agent help ", &["ls", "find", "foo", "today"], &[]),
    ("codex-agent ls --so", &["--sort", "--source"], &["--since", "--json"]),
    ("codex-agent-ls --so", &["--sort", "--source"], &["--since"]),
    ("codex-agent -C projects ls --so", &["--sort", "--source"], &[]),
    ("codex-agent --codex-home=projects ls --so", &["--sort", "--source"], &[]),
    ("codex-agent-ls --color ", &["auto", "always", "never"], &["--json", "work"]),
    ("codex-agent ls --sort ", &["updated", "tokens", "cwd"], &["projects", "work"]),
    ("codex-agent ls --sort -", &["-updated", "-created"], &["updated", "--json"]),
    ("codex-agent ls --since ", &["yesterday", "monday", "1h"], &["projects"]),
    ("codex-agent find x --until 3", &["3h", "3d", "3w"], &["yesterday", "projects"]),
    ("codex-agent ls --repo ", &["acme/alpha"], &["projects"]),
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
    ("codex-agent config get ", &["runs.keep", "codex.database", "alias.today"], &["team:alpha"]),
    ("codex-agent config get runs.", &["runs.keep", "runs.max_concurrent"], &["ui.color"]),
    ("codex-agent-find 01a202e0-", &[SESSION], &["@@"]),
    ("codex-agent schema session job.s", &["job.started", "job.session"], &["job.failed", "work"]),
    ("codex-agent ls --cwd projects/", &["one", "other one"], &["file"]),
    ("codex-agent --codex-home projects/", &["one", "other one"], &["file"]),
];

/// Lines that TAB completes without a question, and what becomes of them.
const COMPLETED: [(&str, &str); 17] = [
    ("codex-agent tod", "codex-agent today "),
    ("codex-agent gro", "codex-agent group "),
    ("codex-agent find logi", "codex-agent find login\\ work "),
    ("codex-agent-find cd6d", "codex-agent-find cd6d1b0c "),
    ("codex-agent-ls --archived=", "codex-agent-ls --archived=only "),
    ("codex-agent ls --archived=o", "codex-agent ls --archived=only "),
    ("codex-agent ls --sort created:d", "codex-agent ls --sort created:desc "),
    ("codex-agent ls --cli-version ", "codex-agent ls --cli-version 0.169.0 "),
    ("codex-agent ls --originator=", "codex-agent ls --originator=codex_exec "),
    ("codex-agent ls --repo htt", "codex-agent ls --repo https://example.com/acme/alpha.git "),
    ("codex-agent ls --since last", "codex-agent ls --since last\\ week "),
    ("codex-agent ls --name log", "codex-agent ls --name login\\ work "),
    ("codex-agent ls --color=al", "codex-agent ls --color=always "),
    ("codex-agent ls --color ne", "codex-agent ls --color never "),
    ("codex-agent --list=", "codex-agent --list=json "),
    ("codex-agent ls --cwd projects/oth", "codex-agent ls --cwd projects/other\\ one/"),
    ("codex-agent ls --cwd=projects/oth", "codex-agent ls --cwd=projects/other\\ one/"),
];

/// A tool with a hook. Its candidates leave a file behind if a shell ever runs them.
const HOOK: &str = r#"#!/bin/sh
case "$1 $2" in
'--generate describe') echo '{"type":"tool","name":"hook","about":"offer things","completes":true}' ;;
'--generate complete')
    shift 3
    printf '[%s]' "$@" >> "$0.words"; echo >> "$0.words"
    [ "$1" != none ] || exit 0
    printf '%s\n' '--color=always' '--color=never' 'alpha	the first' 'two words	of two' '$(touch leak)	nasty' \
        'back\slash' "it's" 'team:one' 'team:two' 'me@host' ;;
*) touch "$0.ran" ;;
esac
"#;

/// One that knows nothing, and must never be run.
const PLAIN: &str = "#!/bin/sh\ntouch \"$0.ran\" leak\n";

/// A tool that comes with a script for each shell, in the style of others than ours.
const SCRIPTED: &str = r#"#!/bin/sh
echo "$*" >> "$0.words"
case "$1 $2" in
'--generate describe')
    echo '{"type":"tool","name":"scripted","about":"x","generates":["bash","zsh","fish"],"completes":true}' ;;
'--generate bash')
    cat <<'END'
_complete_scripted_thing() {
    COMPREPLY=($(compgen -W "scripted-one scripted-two" -- "$2"))
}
complete -F _complete_scripted_thing codex-agent-scripted
END
    ;;
'--generate zsh') printf '#compdef codex-agent-scripted\n_codex-agent-scripted() { compadd scripted-one scripted-two }\n' ;;
'--generate fish') echo "complete -c codex-agent-scripted -f -a 'scripted-one scripted-two'" ;;
*) exit 2 ;;
esac
"#;

/// Tools whose scripts no shell can read, or ought to run.
const BROKEN: [(&str, &str); 3] = [
    ("garbage", "printf 'if ((( \\033[31m <<\\n[[ end ;; )\\n'"),
    ("leaver", "echo 'echo noise; echo noise >&2; exit 3'"),
    ("hangs", "exec sleep 600"),
];

/// A world with groups, sessions and external tools, and with the three scripts in files.
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
        "[alias]\ntoday = 'ls --since 1d'\noffer = 'hook x'\nevil = '!touch leak; $(touch leak) `touch leak` [a] : %F{red}'\n\
         work = 'group add work'\nls = 'find'\n'Bad name' = 'ls'\n",
    );
    for (name, line) in BROKEN {
        let describe =
            format!(r#"{{"type":"tool","name":"{name}","about":"x","generates":["bash","zsh","fish"]}}"#);
        let script = format!("#!/bin/sh\n[ \"$2\" != describe ] || exec echo '{describe}'\n{line}\n");
        world.script(&format!("bin/codex-agent-{name}"), &script);
    }
    world.script("bin/codex-agent-hook", HOOK);
    world.script("bin/codex-agent-scripted", SCRIPTED);
    for name in ["my-plain", "installed", "foo"] {
        world.script(&format!("bin/codex-agent-{name}"), PLAIN);
    }
    symlink(bin("examples/codex-agent-tokens"), world.path("bin/codex-agent-tokens")).unwrap();
    world.write("a file", "");
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", bins().display(), world.path("bin").display());
    world.set("PATH", path);
    let described = ["hook", "scripted", "tokens", "garbage", "leaver", "hangs"];
    let ran = world.run(&[&["codex-agent", "plugin", "add"][..], &described].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    fs::remove_file(world.path("bin/codex-agent-scripted.words")).unwrap();
    for (shell, file) in FILES {
        world.write(file, world.ok(&["codex-agent", "--generate", shell]));
    }
    world
}

/// The script of each shell, where the shell would load it.
const FILES: [(&str, &str); 3] = [
    ("bash", "completions/codex-agent"),
    ("zsh", "completions/zsh/_codex-agent"),
    ("fish", "completions/codex-agent.fish"),
];

fn check_offers(shell: &str, mut tab: impl FnMut(&str) -> Tab) {
    let mut wrong = Vec::new();
    for (line, offered, others) in OFFERS.iter().copied() {
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

/// A shell of the matrix.
enum Kind<'w> {
    Terminal(&'w World, &'static str, Shell),
    Fish(&'w World, &'static str),
}

impl Kind<'_> {
    fn name(&self) -> &'static str {
        match self {
            Kind::Terminal(_, name, _) => name,
            Kind::Fish(..) => "fish",
        }
    }

    fn tab(&mut self, line: &str) -> Tab {
        match self {
            Kind::Terminal(_, _, shell) => {
                let tab = shell.tab(line);
                // Names of files are shown as they would be inserted, and zsh shows values with their flag.
                Tab { shown: tab.shown.replace("\\ ", " ").replace("--color=", " "), ..tab }
            }
            Kind::Fish(world, lines) => {
                let last = line.rsplit(' ').next().unwrap();
                let flag = last.split_once('=').map_or(String::new(), |(flag, _)| format!("{flag}="));
                let words = fish(world, lines, line);
                let word = |offer: &str| {
                    let word = offer.split('\t').next().unwrap();
                    let word = word.strip_prefix(&flag).unwrap_or(word);
                    word.trim_start_matches("projects/").trim_end_matches('/').to_owned()
                };
                Tab { line: words.clone(), shown: words.lines().map(word).collect::<Vec<_>>().join("\n") }
            }
        }
    }

    /// The last word as the shell reads it after TAB.
    fn last(&mut self, typed: &str) -> String {
        let line = self.tab(typed).line;
        match self {
            Kind::Terminal(world, name, _) => {
                let script = format!("for last in {line}; do :; done; printf '%s' \"$last\"");
                let ran = world.run(&[name, "-c", &script]);
                assert_eq!(ran.code, 0, "{name}: {typed}<TAB> became {line:?}: {}", ran.err);
                ran.out
            }
            // fish inserts the only candidate, and quotes it itself.
            Kind::Fish(..) => match line.lines().collect::<Vec<_>>()[..] {
                [only] => only.split('\t').next().unwrap().to_owned(),
                _ => line,
            },
        }
    }
}

/// Runs a check in each shell that is there, in a world of its own.
fn matrix(check: impl Fn(&World, &mut Kind<'_>)) {
    for name in ["bash", "zsh", "fish"] {
        let world = world();
        if !has(&world, name) {
            continue;
        }
        let own = "_codex_agent_installed() { COMPREPLY=(by-hand); }";
        let mut kind = match name {
            "bash" => match bash(&world, &format!(". completions/codex-agent\n{own}")) {
                Some(shell) => Kind::Terminal(&world, name, shell),
                None => continue,
            },
            "zsh" => {
                let own = "_installed() { compadd by-hand }\ncompdef _installed codex-agent-installed";
                Kind::Terminal(&world, name, zsh(&world, own))
            }
            _ => Kind::Fish(
                &world,
                "complete -c codex-agent-installed -e; complete -c codex-agent-installed -f -a by-hand",
            ),
        };
        check(&world, &mut kind);
        check_leaks(&world);
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
                "zsh -f -c 'autoload -U compinit; compinit -u -D; eval \"$(<$1)\"; [[ $_comps[codex-agent] == _codex-agent ]]' zsh \"$1\"",
            ],
        ),
        ("fish", &["fish -N -n \"$1\"", "fish -N -c 'source $argv[1]' \"$1\""]),
    ];
    for ((shell, lines), (_, file)) in shells.into_iter().zip(FILES) {
        for line in lines.iter().filter(|_| has(&world, shell)) {
            let ran = world.run(&["sh", "-c", line, "sh", file]);
            assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""), "{line}");
        }
    }
}

#[test]
fn every_shell_offers_what_fits_and_nothing_else() {
    matrix(|_, shell| check_offers(shell.name(), |line| shell.tab(line)));
}

#[test]
fn every_shell_inserts_names_quoted_and_runs_none() {
    matrix(|world, kind| match kind {
        Kind::Terminal(_, name, shell) => check_lines(world, shell, name),
        Kind::Fish(..) => {
            assert!(kind.tab("codex-agent-ls --archived=").line.starts_with("--archived=only"));
            for line in ["codex-agent group add ", "codex-agent-group show ", "codex-agent ls --group "] {
                let offers = kind.tab(line).line;
                let offers: BTreeSet<&str> =
                    offers.lines().map(|offer| offer.split('\t').next().unwrap()).collect();
                assert_eq!(offers, NAMES.iter().map(|(name, _)| *name).collect(), "{line}");
            }
            let sessions = kind.tab("codex-agent find ").line;
            assert!(sessions.contains("$(touch leak)") && !sessions.contains('\x1b'), "{sessions}");
        }
    });
}

#[test]
fn every_shell_completes_external_tools_by_their_descriptions() {
    matrix(|world, shell| {
        let name = shell.name();
        let quoted = |typed: &str| match name {
            "fish" => typed.replace("a\\ f", "'a f").replace("\\$", "'$"),
            _ => typed.to_owned(),
        };
        for (typed, wanted) in EXTERNAL {
            let last = shell.last(&quoted(typed));
            assert_eq!(last, *wanted, "{name}: {typed}<TAB>");
        }
        for (typed, wanted) in [
            ("codex-agent hook one \"two words\" th\\ ree x", "[one][two words][th ree][x]"),
            // bash has other words where these stand in one.
            ("codex-agent hook me@host --x= @ @@ a:@b=c x", "[me@host][--x=][@][@@][a:@b=c][x]"),
            ("codex-agent hook ", "[]"),
        ] {
            shell.tab(typed);
            assert_eq!(words(world)[0], wanted, "{name} {:?}", words(world));
        }
        for (tool, _) in BROKEN {
            let start = std::time::Instant::now();
            let tab = shell.tab(&quoted(&format!("codex-agent {tool} a\\ f")));
            let is_noise =
                ["error", "noise", "unexpected", "if (("].iter().any(|word| tab.shown.contains(word));
            assert!(!is_noise, "{name}: {tool}: {}", tab.shown);
            assert!(start.elapsed() < std::time::Duration::from_secs(10), "{name}: {tool}");
        }
        for tool in ["'$(touch leak)'", "$(touch leak)", "'x[$(touch leak)]'", "../hook", "Big", "--"] {
            shell.tab(&format!("codex-agent {tool} a"));
        }
        if name != "fish" {
            // A script is asked for once in a shell.
            let asked = fs::read_to_string(world.path("bin/codex-agent-scripted.words")).unwrap();
            assert_eq!(asked, format!("--generate {name}\n"));
        }
        for tool in ["hook", "my-plain", "installed", "foo"] {
            assert!(!world.path(&format!("bin/codex-agent-{tool}.ran")).exists(), "{name}: {tool} was run");
        }
    });
}

/// What is typed behind external tools, and the word that it becomes.
const EXTERNAL: &[(&str, &str)] = &[
    ("codex-agent hook al", "alpha"),
    ("codex-agent-hook al", "alpha"),
    ("codex-agent offer al", "alpha"),
    ("codex-agent hook tw", "two words"),
    ("codex-agent hook 'tw", "two words"),
    ("codex-agent hook \\$", "$(touch leak)"),
    ("codex-agent hook ba", "back\\slash"),
    ("codex-agent hook team:o", "team:one"),
    ("codex-agent hook me@h", "me@host"),
    ("codex-agent hook --color=al", "--color=always"),
    ("codex-agent -C bin hook x al", "alpha"),
    ("codex-agent scripted scripted-t", "scripted-two"),
    ("codex-agent tokens --by mod", "model"),
    ("codex-agent installed by", "by-hand"),
    // Where no tool knows more, names of files.
    ("codex-agent my-plain a\\ f", "a file"),
    ("codex-agent hook none a\\ f", "a file"),
    ("codex-agent ls --archived=o", "--archived=only"),
    ("codex-agent help plugins", "plugins"),
];

#[test]
fn bash_completes_external_tools_beside_bash_completion() {
    let world = world();
    if !has(&world, "bash") {
        return;
    }
    // What it does for a command that it does not know, and the real one, where it is installed.
    let like_it = "_minimal() { COMPREPLY=(minimal); }\n_completion_loader() { complete -F _minimal -- \"$1\"; return 124; }";
    let real = "/usr/share/bash-completion/bash_completion";
    let real = std::path::Path::new(real).exists().then(|| format!(". {real}"));
    for lines in std::iter::once(like_it.to_owned()).chain(real) {
        let lines = format!(
            "{lines}\n. completions/codex-agent\n_codex_agent_installed() {{ COMPREPLY=(by-hand); }}"
        );
        let Some(shell) = bash(&world, &lines) else { return };
        let mut shell = Kind::Terminal(&world, "bash", shell);
        for (typed, wanted) in EXTERNAL {
            assert_eq!(shell.last(typed), *wanted, "{lines}: {typed}<TAB>");
        }
        check_leaks(&world);
    }
}

/// The words that the hook got, the last time first.
fn words(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("bin/codex-agent-hook.words")).unwrap_or_default();
    text.lines().rev().map(str::to_owned).collect()
}

/// Every beginning of an id or a name offers the word: for databases with and without a column of names, and without
/// the file of names.
#[test]
fn every_beginning_of_an_id_and_a_name_is_completed() {
    for (version, has_file) in [("0.169.0", true), ("0.169.0", false), ("0.120.0", true), ("0.106.0", true)] {
        let world = World::with_home(version);
        if !has_file {
            fs::remove_file(world.codex_home().join("session_index.jsonl")).unwrap();
        }
        let (mut words, mut names) = (0, 0);
        for session in json(&world.ok(&["codex-agent-ls", "--json", "--archived"])) {
            let id = session["id"].as_str().unwrap();
            let name = session["name"].as_str().unwrap_or("");
            names += usize::from(!name.is_empty());
            for word in [id, &id[28..], name] {
                for (at, _) in word.char_indices().skip(1).step_by(3) {
                    let typed = &word[..at];
                    let offered = world.ok(&["codex-agent", "--generate", "complete", "--", "find", typed]);
                    assert!(
                        offered.lines().any(|line| line.split('\t').next() == Some(word)),
                        "{version} {typed}: no {word} in {offered}"
                    );
                    words += 1;
                }
            }
        }
        assert!(words > 50 && names > 0, "{version}: {words} {names}");
    }
}
