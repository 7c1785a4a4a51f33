//! Shells of the demo: the user's own, with the completion of codex-agent and `(demo)` in the prompt.
//!
//! The shell reads the startup files of the user first. Then a file of the demo sets the variables of the sample once
//! more, since a startup file may change PATH. Histories are not written.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use codex_agent_shared::error::{Context, Result};
use codex_agent_shared::exec::find_program;
use codex_agent_shared::text::quoted;

/// The word that stands for the user's own shell. `sh` does too, where it is interactive.
const OWN: &str = "shell";

/// A shell that has a startup file of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bash,
    Zsh,
    Fish,
    /// Any shell that reads the file of `ENV`.
    Posix,
}

impl Kind {
    fn of(program: &OsStr) -> Option<Kind> {
        match Path::new(program).file_name()?.to_str()? {
            "bash" => Some(Kind::Bash),
            "zsh" => Some(Kind::Zsh),
            "fish" => Some(Kind::Fish),
            "sh" | "ash" | "dash" => Some(Kind::Posix),
            _ => None,
        }
    }
}

/// The shell of the user: `$SHELL`, if it is bash, zsh or fish. Without one, bash, since `sh` may be unable to edit a
/// line.
fn own_shell() -> PathBuf {
    let set = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let is_known = |shell: &OsString| matches!(Kind::of(shell), Some(Kind::Bash | Kind::Zsh | Kind::Fish));
    let installed = || find_program("bash").unwrap_or_else(|| PathBuf::from("sh"));
    match set {
        Some(shell) if is_known(&shell) && Path::new(&shell).is_file() => shell.into(),
        Some(shell) if Kind::of(&shell).is_none() => PathBuf::from("sh"),
        _ => installed(),
    }
}

/// Replaces `shell`, and an interactive `sh`, by the shell of the user.
pub(crate) fn resolve(command: &[OsString]) -> Vec<OsString> {
    let mut command = command.to_vec();
    let is_own = command[0] == OWN && find_program(OWN).is_none();
    if is_own || command[0] == "sh" && is_interactive(&command) {
        command[0] = own_shell().into();
    }
    command
}

/// Whether the command is a shell without a script and without a command line, on a terminal.
pub(crate) fn is_interactive(command: &[OsString]) -> bool {
    const SHELLS: [&str; 9] = ["sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh", "nu"];
    let name = Path::new(&command[0]).file_name().unwrap_or_default();
    let own = std::env::var_os("SHELL").map(PathBuf::from);
    let is_shell = SHELLS.iter().any(|shell| *shell == name)
        || own.is_some_and(|own| own.file_name().is_some_and(|own| own == name));
    let is_line = |word: &str| !word.starts_with('-') || (!word.starts_with("--") && word.contains('c'));
    let has_line = command[1..].iter().any(|word| is_line(&word.to_string_lossy()));
    is_shell && !has_line && std::io::stdin().is_terminal()
}

/// The environment of the sample, which a startup file of the user may have changed.
pub(crate) struct Environment {
    /// Variables that are set, or that are removed.
    pub(crate) variables: Vec<(String, Option<String>)>,
    /// The directories that are first on PATH.
    pub(crate) path: Vec<String>,
}

impl Environment {
    /// The lines of a POSIX shell that set the variables.
    pub(crate) fn posix(&self) -> String {
        self.variables.iter().map(|(name, value)| variable(Kind::Posix, name, value.as_deref())).collect()
    }

    fn lines(&self, kind: Kind) -> String {
        let path: Vec<String> = self.path.iter().map(|directory| quoted(directory)).collect();
        let mut lines: String =
            self.variables.iter().map(|(name, value)| variable(kind, name, value.as_deref())).collect();
        lines.push_str(&match kind {
            Kind::Fish => format!("set -gx PATH {} $PATH\n", path.join(" ")),
            _ => format!("export PATH={}:\"$PATH\"\n", path.join(":")),
        });
        lines
    }
}

/// The line of a shell that sets or removes a variable.
fn variable(kind: Kind, name: &str, value: Option<&str>) -> String {
    match (kind, value.map(quoted)) {
        (Kind::Fish, Some(value)) => format!("set -gx {name} {value}\n"),
        (Kind::Fish, None) => format!("set -e {name}\n"),
        (_, Some(value)) => format!("export {name}={value}\n"),
        (_, None) => format!("unset {name}\n"),
    }
}

/// The process of an interactive shell, whose startup files are written into `directory`.
pub(crate) fn process(command: &[OsString], environment: &Environment, directory: &Path) -> Result<Process> {
    let mut process = Process::new(&command[0]);
    let kind = Kind::of(&command[0]).filter(|_| command.len() == 1);
    let variables = kind.map_or_else(String::new, |kind| environment.lines(kind));
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = directory.join(name);
        #[allow(clippy::disallowed_methods)] // A temporary directory of our own.
        fs::write(&path, text).context("write", &path)?;
        Ok(path)
    };
    match kind {
        Some(Kind::Bash) => {
            process
                .arg("--rcfile")
                .arg(write("bashrc", &format!("{BASH_FIRST}{variables}{BASH}"))?)
                .arg("-i");
        }
        Some(Kind::Zsh) => {
            write(".zshenv", ZSHENV)?;
            write(".zshrc", &format!("{ZSH_FIRST}{variables}{ZSH}"))?;
            let own = std::env::var_os("ZDOTDIR");
            process
                .env("CODEX_AGENT_DEMO_ZDOTDIR", own.unwrap_or_default())
                .env("ZDOTDIR", directory)
                .arg("-i");
        }
        Some(Kind::Fish) => {
            let path = write("demo.fish", &format!("{variables}{FISH}"))?;
            process
                .arg("--private")
                .arg("--init-command")
                .arg(format!("source {}", path.display()))
                .arg("-i");
        }
        Some(Kind::Posix) => {
            process.env("ENV", write("shrc", &format!("{variables}{POSIX}"))?).arg("-i");
        }
        None => {
            process.args(&command[1..]);
        }
    }
    Ok(process)
}

const BASH_FIRST: &str = "[ -r ~/.bashrc ] && . ~/.bashrc\n";

/// Frameworks for prompts set PS1 before each prompt.
const BASH: &str = r#"unset HISTFILE
eval "$(codex-agent --generate bash)"
__codex_agent_demo() {
    local status=$?
    case $PS1 in '(demo) '*) ;; *) PS1="(demo) $PS1" ;; esac
    return "$status"
}
__codex_agent_demo
PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}__codex_agent_demo"
"#;

const ZSHENV: &str = r#"__codex_agent_demo_dir=$ZDOTDIR
ZDOTDIR=${CODEX_AGENT_DEMO_ZDOTDIR:-$HOME}
[[ -r $ZDOTDIR/.zshenv ]] && . "$ZDOTDIR/.zshenv"
__codex_agent_demo_user=$ZDOTDIR
ZDOTDIR=$__codex_agent_demo_dir
"#;

const ZSH_FIRST: &str = r#"ZDOTDIR=$__codex_agent_demo_user
[[ -r $ZDOTDIR/.zshrc ]] && . "$ZDOTDIR/.zshrc"
[[ -n $CODEX_AGENT_DEMO_ZDOTDIR ]] || unset ZDOTDIR
unset CODEX_AGENT_DEMO_ZDOTDIR
"#;

const ZSH: &str = r#"unset HISTFILE
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D -u }
eval "$(codex-agent --generate zsh)"
__codex_agent_demo() {
    [[ $PROMPT == '(demo) '* ]] || PROMPT="(demo) $PROMPT"
}
typeset -ga precmd_functions
precmd_functions+=(__codex_agent_demo)
"#;

const FISH: &str = r#"codex-agent --generate fish | source
functions -q fish_prompt; or function fish_prompt; printf '> '; end
functions -c fish_prompt __codex_agent_demo_prompt
function __codex_agent_demo_status; return $argv[1]; end
function fish_prompt
    set -l last $status
    printf '(demo) '
    __codex_agent_demo_status $last
    __codex_agent_demo_prompt
end
"#;

const POSIX: &str = "PS1='(demo) $ '\n";
