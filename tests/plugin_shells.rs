//! Pressing TAB behind the name of an external tool: it is run only where its description allows that, and nothing
//! that it prints is run by a shell.

use std::fs;
use std::os::unix::fs::symlink;

use crate::shells::{Shell, bash, fish, has, zsh};
use crate::world::{World, bin, bins};

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

fn world() -> World {
    let mut world = World::new();
    for (name, line) in BROKEN {
        let describe =
            format!(r#"{{"type":"tool","name":"{name}","about":"x","generates":["bash","zsh","fish"]}}"#);
        let script = format!("#!/bin/sh\n[ \"$2\" != describe ] || exec echo '{describe}'\n{line}\n");
        world.script(&format!("bin/codex-agent-{name}"), &script);
    }
    world.script("bin/codex-agent-hook", HOOK);
    world.script("bin/codex-agent-my-plain", PLAIN);
    world.script("bin/codex-agent-scripted", SCRIPTED);
    world.script("bin/codex-agent-installed", PLAIN);
    symlink(bin("examples/codex-agent-tokens"), world.path("bin/codex-agent-tokens")).unwrap();
    world.write("a file", "");
    let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", bins().display(), world.path("bin").display());
    world.set("PATH", path);
    for (kind, file) in [("bash", "codex-agent.bash"), ("zsh", "_codex-agent"), ("fish", "codex-agent.fish")]
    {
        let text = world.ok(&["codex-agent", "--generate", kind]);
        world.write(&format!("completions/{kind}/{file}"), text);
    }
    let ran = world.run(&["codex-agent", "plugin", "add", "hook", "scripted", "tokens"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = world.run(&["codex-agent", "plugin", "add", "garbage", "leaver", "hangs"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    fs::remove_file(world.path("bin/codex-agent-scripted.words")).unwrap();
    world
}

/// The words that the hook got, the last time first.
fn words(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("bin/codex-agent-hook.words")).unwrap_or_default();
    text.lines().rev().map(str::to_owned).collect()
}

/// Nothing was run but hooks and what prints scripts.
fn check_leaks(world: &World) {
    assert!(!world.path("leak").exists() && !world.path("home/leak").exists(), "a candidate was run");
    for name in ["hook", "my-plain", "installed"] {
        assert!(!world.path(&format!("bin/codex-agent-{name}.ran")).exists(), "{name} was run");
    }
}

/// What TAB makes of a line, and what the shell then reads as its last word.
fn last(world: &World, shell: &mut Shell, name: &str, typed: &str) -> String {
    let line = shell.tab(typed).line;
    let script = format!("for last in {line}; do :; done; printf '%s' \"$last\"");
    let ran = world.run(&[name, "-c", &script]);
    assert_eq!(ran.code, 0, "{name}: {typed}<TAB> became {line:?}: {}", ran.err);
    ran.out
}

/// What bash and zsh have in common.
fn press(world: &World, shell: &mut Shell, name: &str) {
    for (typed, wanted) in [
        ("codex-agent hook al", "alpha"),
        ("codex-agent hook tw", "two words"),
        ("codex-agent hook 'tw", "two words"),
        ("codex-agent hook two\\ w", "two words"),
        ("codex-agent hook \\$", "$(touch leak)"),
        ("codex-agent hook ba", "back\\slash"),
        ("codex-agent hook team:o", "team:one"),
        ("codex-agent hook me@h", "me@host"),
        ("codex-agent hook --color=al", "--color=always"),
        ("codex-agent -C bin hook x al", "alpha"),
        ("codex-agent scripted scripted-t", "scripted-two"),
        ("codex-agent tokens --by mod", "model"),
        ("codex-agent installed by", "by-hand"),
        // Where nobody knows more, names of files.
        ("codex-agent my-plain a\\ f", "a file"),
        ("codex-agent hook none a\\ f", "a file"),
        // Of the package's own tools, which bring their scripts themselves.
        ("codex-agent ls --archived=o", "--archived=only"),
    ] {
        assert_eq!(last(world, shell, name, typed), wanted, "{name}: {typed}<TAB>");
    }
    for (tool, _) in BROKEN {
        let start = std::time::Instant::now();
        let tab = shell.tab(&format!("codex-agent {tool} a\\ f"));
        let shown = tab.shown.trim();
        assert!(tab.line.contains(&format!("codex-agent {tool} a")), "{name}: {tool}: {}", tab.line);
        let is_noise = ["error", "noise", "unexpected", "if (("].iter().any(|word| shown.contains(word));
        assert!(!is_noise, "{name}: {tool}: {shown}");
        assert!(start.elapsed() < std::time::Duration::from_millis(4500), "{name}: {tool}");
    }
    let tab = shell.tab("codex-agent hook one \"two words\" th\\ ree x");
    assert!(!tab.offers("alpha"), "{name}: {}", tab.shown);
    assert_eq!(words(world)[0], "[one][two words][th ree][x]", "{name}");
    // bash has other words where these stand in one.
    shell.tab("codex-agent hook me@host --x= @ @@ a:@b=c x");
    assert_eq!(words(world)[0], "[me@host][--x=][@][@@][a:@b=c][x]", "{name}");
    let tab = shell.tab("codex-agent hook ");
    for word in ["alpha", "--color=always"] {
        assert!(tab.offers(word), "{name} lacks {word}: {}", tab.shown);
    }
    assert_eq!(words(world)[0], "[]", "{name}");
    let tab = shell.tab("codex-agent help plug");
    assert!(tab.offers("plugin") && tab.offers("plugins"), "{name}: {}", tab.shown);
    let tab = shell.tab("codex-agent ");
    assert!(tab.offers("hook") && tab.offers("my-plain"), "{name}: {}", tab.shown);
    for tool in
        ["'$(touch leak)'", "$(touch leak)", "\\`touch leak\\`", "'x[$(touch leak)]'", "../hook", "Big", "--"]
    {
        shell.tab(&format!("codex-agent {tool} a"));
    }
    // A script is asked for once in a shell.
    let asked = fs::read_to_string(world.path("bin/codex-agent-scripted.words")).unwrap();
    assert_eq!(asked, format!("--generate {name}\n"));
    // Without its description the hook is not run.
    let before = words(world).len();
    assert_eq!(world.run(&["codex-agent", "plugin", "remove", "hook"]).code, 0);
    assert_eq!(last(world, shell, name, "codex-agent hook a\\ f"), "a file", "{name}");
    assert_eq!(words(world).len(), before, "{name}: a hook without a description was run");
    assert_eq!(world.run(&["codex-agent", "plugin", "add", "hook"]).code, 0);
    assert_eq!(last(world, shell, name, "codex-agent hook al"), "alpha", "{name}");
    check_leaks(world);
}

#[test]
fn bash_completes_external_tools() {
    let world = world();
    if !has(&world, "bash") {
        return;
    }
    let lines = ". completions/bash/codex-agent.bash\n_codex_agent_installed() { COMPREPLY=(by-hand); }";
    let Some(mut shell) = bash(&world, lines) else { return };
    press(&world, &mut shell, "bash");
}

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
        let lines = format!("{lines}\n. completions/bash/codex-agent.bash");
        let Some(mut shell) = bash(&world, &lines) else { return };
        for (typed, wanted) in [
            ("codex-agent hook al", "alpha"),
            ("codex-agent hook team:o", "team:one"),
            ("codex-agent scripted scripted-t", "scripted-two"),
            ("codex-agent tokens --by mod", "model"),
            ("codex-agent my-plain a\\ f", "a file"),
        ] {
            assert_eq!(last(&world, &mut shell, "bash", typed), wanted, "{lines}: {typed}<TAB>");
        }
        check_leaks(&world);
    }
}

#[test]
fn zsh_completes_external_tools() {
    let world = world();
    if !has(&world, "zsh") {
        return;
    }
    let mut shell = zsh(&world, "_installed() { compadd by-hand }\ncompdef _installed codex-agent-installed");
    press(&world, &mut shell, "zsh");
}

#[test]
fn fish_completes_external_tools() {
    let world = world();
    if !has(&world, "fish") {
        return;
    }
    let offers = |line: &str| {
        let printed = fish(&world, "complete -c codex-agent-installed -f -a by-hand", line);
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (line, wanted) in [
        ("codex-agent hook al", "alpha\tthe first"),
        ("codex-agent hook tw", "two words\tof two"),
        ("codex-agent hook '$", "$(touch leak)\tnasty"),
        ("codex-agent hook ba", "back\\slash"),
        ("codex-agent -C bin hook x al", "alpha\tthe first"),
        ("codex-agent scripted scripted-t", "scripted-two"),
        ("codex-agent tokens --by mode", "model"),
        ("codex-agent installed by", "by-hand"),
        ("codex-agent my-plain 'a f", "a file"),
        ("codex-agent hook none 'a f", "a file"),
        ("codex-agent help plugins", "plugins\thow to write a tool"),
    ] {
        let offered = offers(line);
        let found = offered.iter().any(|offer| offer == wanted || offer.split('\t').next() == Some(wanted));
        assert!(found, "{line}<TAB> lacks {wanted:?}: {offered:?}");
    }
    for (tool, _) in BROKEN {
        let line = format!("codex-agent {tool} 'a f");
        let script =
            "for file in completions/fish/*.fish; source $file; end; complete -C $argv[1]; echo alive";
        let ran = world.run(&["fish", "-c", script, &line]);
        assert!(ran.out.ends_with("alive\n") && ran.err.is_empty(), "{tool}: {} {}", ran.out, ran.err);
    }
    offers("codex-agent hook one \"two words\" th\\ ree x");
    assert_eq!(words(&world)[0], "[one][two words][th ree][x]");
    assert!(offers("codex-agent ls --archived=o").iter().any(|offer| offer.starts_with("--archived=only")));
    let before = words(&world).len();
    assert_eq!(world.run(&["codex-agent", "plugin", "remove", "hook"]).code, 0);
    assert!(!offers("codex-agent hook al").iter().any(|offer| offer.starts_with("alpha")));
    assert_eq!(words(&world).len(), before, "a hook without a description was run");
    for line in ["codex-agent $(touch leak) ", "codex-agent '$(touch leak)' a", "codex-agent ../hook a"] {
        offers(line);
    }
    check_leaks(&world);
}
