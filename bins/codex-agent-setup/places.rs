//! Where documents go, for which shells, and what has to be done by hand.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use codex_agent_shared::child::limited;
use codex_agent_shared::child::limited::{How, Limits};
use codex_agent_shared::config;
use codex_agent_shared::error::{Error, Result, warn};
use codex_agent_shared::exec::find_program;
use codex_agent_shared::text::quoted;

use super::documents::Kind;

/// Manual pages, and the shells that are there.
pub(super) fn found() -> Vec<Kind> {
    let is_there = |kind: &Kind| *kind == Kind::Man || find_program(kind.word()).is_some();
    Kind::ALL.into_iter().filter(is_there).collect()
}

/// Where the documents of a kind go. `beside` is the folder of the executables.
pub(super) fn folder(kind: Kind, beside: &Path) -> Result<PathBuf> {
    let own = |name: &str, default: &str| -> Result<PathBuf> {
        // A relative folder is to be ignored, says the standard that made these.
        match env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(path) => Ok(path),
            None => Ok(home()?.join(default)),
        }
    };
    let data = || own("XDG_DATA_HOME", ".local/share");
    Ok(match kind {
        // man(1) looks beside the folders of PATH by itself.
        Kind::Man => match beside.parent().filter(|_| beside.ends_with("bin")) {
            // In a container the home may be /, and then nothing there is the user's alone.
            Some(prefix) if home()? != Path::new("/") && prefix.starts_with(home()?) => {
                prefix.join("share/man")
            }
            _ => data()?.join("man"),
        },
        // It may be a list, of which the first is the user's own.
        Kind::Bash => match env::var_os("BASH_COMPLETION_USER_DIR")
            .and_then(|list| env::split_paths(&list).find(|path| path.is_absolute()))
        {
            Some(path) => path.join("completions"),
            None => data()?.join("bash-completion/completions"),
        },
        Kind::Zsh => data()?.join("zsh/site-functions"),
        Kind::Fish => own("XDG_CONFIG_HOME", ".config")?.join("fish/completions"),
    })
}

fn home() -> Result<PathBuf> {
    config::home()
        .map_err(|why| Error::new(format!("cannot tell where your home is: {why}")).hint("set HOME"))
}

/// Says what has to be done by hand, for what was installed to be found.
pub(super) fn advise(kinds: &[Kind]) {
    let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_default();
    for kind in kinds {
        let Ok(folder) = folder(*kind, &beside) else { continue };
        let place = quoted(&folder.to_string_lossy());
        match kind {
            Kind::Man if !is_page_found() => {
                // The empty part stands for where man looks by itself.
                let line = format!("export MANPATH={place}:$MANPATH");
                warn(format_args!("man does not look there: put '{line}' into your shell's startup file"));
            }
            Kind::Bash if !has_bash_completion() => {
                let line = format!("for f in {place}/*; do . \"$f\"; done");
                warn(format_args!(
                    "there is no bash-completion, which finds them: put '{line}' into ~/.bashrc"
                ));
            }
            Kind::Zsh => {
                let line = format!("fpath=({place} $fpath)");
                let own = env::var_os("ZDOTDIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
                let file = own.map_or("~/.zshrc".to_owned(), |own| own.join(".zshrc").display().to_string());
                warn(format_args!("zsh: put '{line}' into {file}, before compinit"));
            }
            _ => {}
        }
    }
}

/// Whether man(1) finds the pages by itself. Without it, or where it takes long, nobody can tell, and nobody asks.
fn is_page_found() -> bool {
    let Some(man) = find_program("man") else { return true };
    let mut look = Command::new(man);
    look.args(["-w", "codex-agent"]);
    match limited::run(&mut look, Limits::new(Duration::from_secs(5), 64 << 10)) {
        Ok(ended) => matches!(ended.how, How::Code(0) | How::Late),
        Err(_) => false,
    }
}

fn has_bash_completion() -> bool {
    const PLACES: [&str; 4] = [
        "/usr/share/bash-completion/bash_completion",
        "/usr/local/share/bash-completion/bash_completion",
        "/opt/homebrew/share/bash-completion/bash_completion",
        "/etc/profile.d/bash_completion.sh",
    ];
    PLACES.iter().any(|place| Path::new(place).exists())
}
