//! The kinds of documents: where each goes, what it is, and whether a package has installed it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use codex_agent_shared::child::limited;
use codex_agent_shared::child::limited::{EndKind, Limits};
use codex_agent_shared::config;
use codex_agent_shared::error::{Error, Result, status};
use codex_agent_shared::exec::find_program;
use codex_agent_shared::plugin::description::{PATIENCE, generate};
use codex_agent_shared::plugin::{PREFIX, TOOLS};
use codex_agent_shared::text::quoted;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Man,
    Bash,
    Zsh,
    Fish,
}

/// The pages about all tools.
const PAGES: [(&str, &str); 4] = [
    ("man7/codex-agent.7", include_str!("../../man/codex-agent.7")),
    ("man7/codex-agent-plugins.7", include_str!("../../man/codex-agent-plugins.7")),
    ("man5/codex-agent-records.5", include_str!("../../man/codex-agent-records.5")),
    ("man5/codex-agent-files.5", include_str!("../../man/codex-agent-files.5")),
];

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Man, Kind::Bash, Kind::Zsh, Kind::Fish];

    /// The word of `--generate`, of `--only` and of the record.
    pub(super) fn word(self) -> &'static str {
        ["man", "bash", "zsh", "fish"][self as usize]
    }

    pub(super) fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The name for messages.
    pub(super) fn name(self) -> String {
        if self == Kind::Man { "manual pages".to_owned() } else { format!("completions for {}", self.word()) }
    }

    /// Manual pages, and the shells that are there.
    pub(super) fn found() -> Vec<Kind> {
        let is_there = |kind: &Kind| *kind == Kind::Man || find_program(kind.word()).is_some();
        Kind::ALL.into_iter().filter(is_there).collect()
    }

    /// The directory of a package that has the documents of this kind already.
    pub(super) fn installed(self) -> Result<Option<PathBuf>> {
        let beside = beside()?;
        let own = folder(self, &beside)?;
        let prefix = beside.parent().filter(|_| beside.ends_with("bin")).map(|prefix| prefix.join("share"));
        let shares: Vec<PathBuf> = config::data_dirs().into_iter().chain(prefix).collect();
        let (directories, file): (&[&str], _) = match self {
            Kind::Man => (&["man"], "man1/codex-agent.1"),
            Kind::Bash => (&["bash-completion/completions"], "codex-agent"),
            Kind::Zsh => (&["zsh/vendor-completions", "zsh/site-functions"], "_codex-agent"),
            Kind::Fish => (&["fish/vendor_completions.d"], "codex-agent.fish"),
        };
        let all = shares.iter().flat_map(|share| directories.iter().map(move |inside| share.join(inside)));
        // Where this program writes, only a packed page is a package's.
        let has = |directory: &PathBuf| {
            (*directory != own && directory.join(file).exists())
                || directory.join(format!("{file}.gz")).exists()
        };
        Ok(all.chain([own.clone()]).find(has))
    }

    /// The documents of this kind, of the tools that lie beside this one, with their paths.
    pub(super) fn documents(self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let beside = beside()?;
        let folder = folder(self, &beside)?;
        let names = TOOLS.iter().map(|(name, ..)| format!("{PREFIX}{name}"));
        let tools =
            std::iter::once("codex-agent".to_owned()).chain(names).filter(|tool| beside.join(tool).is_file());
        let print = |tool: &str| generate(&beside.join(tool), self.word(), PATIENCE).map(String::into_bytes);
        let mut all = Vec::new();
        for tool in tools {
            // bash and fish look for a file by the name of a command; zsh finds all of them in one.
            let text = match self {
                Kind::Bash if tool != "codex-agent" => b". \"${BASH_SOURCE[0]%/*}/codex-agent\"\n".to_vec(),
                Kind::Fish if tool != "codex-agent" => b"source (status dirname)/codex-agent.fish\n".to_vec(),
                Kind::Zsh if tool != "codex-agent" => continue,
                _ => print(&tool)?,
            };
            let file = match self {
                Kind::Man => format!("man1/{tool}.1"),
                Kind::Bash => tool,
                Kind::Zsh => format!("_{tool}"),
                Kind::Fish => format!("{tool}.fish"),
            };
            all.push((folder.join(file), text));
        }
        let pages = PAGES.iter().filter(|_| self == Kind::Man);
        all.extend(pages.map(|(name, text)| (folder.join(name), text.as_bytes().to_vec())));
        Ok(all)
    }

    /// Prints the line that the user has to add by hand, for the shell or man(1) to find the documents.
    pub(super) fn advise(self) {
        let Ok(folder) = beside().and_then(|beside| folder(self, &beside)) else { return };
        let place = quoted(&folder.to_string_lossy());
        match self {
            // The empty part stands for where man looks by itself.
            Kind::Man if !is_page_found() => status(format_args!(
                "man does not look there: put 'export MANPATH={place}:$MANPATH' into your shell's startup file"
            )),
            Kind::Bash if !has_bash_completion() => status(format_args!(
                "there is no bash-completion, which finds the script: put '. {place}/codex-agent' into ~/.bashrc"
            )),
            Kind::Zsh => {
                let own = env::var_os("ZDOTDIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
                let file = own.map_or("~/.zshrc".to_owned(), |own| own.join(".zshrc").display().to_string());
                status(format_args!("zsh: put 'fpath=({place} $fpath)' into {file}, before compinit"));
            }
            _ => {}
        }
    }
}

/// The directory of the executables.
fn beside() -> Result<PathBuf> {
    let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    own.ok_or_else(|| Error::new("cannot find the directory of this executable"))
}

/// Where the documents of a kind go. `beside` is the folder of the executables.
fn folder(kind: Kind, beside: &Path) -> Result<PathBuf> {
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

/// Whether man(1) finds the pages by itself. Without it, or where it takes long, nobody can tell, and nobody asks.
fn is_page_found() -> bool {
    let Some(man) = find_program("man") else { return true };
    let mut look = Command::new(man);
    look.args(["-w", "codex-agent"]);
    match limited::run(&mut look, Limits::new(Duration::from_secs(5), 64 << 10)) {
        Ok(ended) => matches!(ended.how, EndKind::Code(0) | EndKind::Late),
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
