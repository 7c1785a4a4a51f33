//! The documents that are installed: what the tools print of themselves, and the pages about all of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use codex_agent_shared::error::{Error, Result, reason};
use codex_agent_shared::plugin::{PREFIX, TOOLS};

use super::places;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Man,
    Bash,
    Zsh,
    Fish,
}

impl Kind {
    pub(super) const WORDS: [&'static str; 4] = ["man", "bash", "zsh", "fish"];
    pub(super) const ALL: [Kind; 4] = [Kind::Man, Kind::Bash, Kind::Zsh, Kind::Fish];

    /// The word of `--generate`, of `--only` and of the record.
    pub(super) fn word(self) -> &'static str {
        Kind::WORDS[self as usize]
    }

    pub(super) fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What the file of a tool is called, where the shell or man(1) looks for it.
    fn file(self, tool: &str) -> String {
        match self {
            Kind::Man => format!("man1/{tool}.1"),
            Kind::Bash => tool.to_owned(),
            Kind::Zsh => format!("_{tool}"),
            Kind::Fish => format!("{tool}.fish"),
        }
    }
}

/// The pages about all tools.
const PAGES: [(&str, &str); 4] = [
    ("man7/codex-agent.7", include_str!("../../man/codex-agent.7")),
    ("man7/codex-agent-plugins.7", include_str!("../../man/codex-agent-plugins.7")),
    ("man5/codex-agent-records.5", include_str!("../../man/codex-agent-records.5")),
    ("man5/codex-agent-files.5", include_str!("../../man/codex-agent-files.5")),
];

/// A file that is to be there.
pub(super) struct Document {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    pub(super) text: Vec<u8>,
}

/// All documents of these kinds, of the tools that lie beside this one.
pub(super) fn all(kinds: &[Kind]) -> Result<Vec<Document>> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let beside = beside.ok_or_else(|| Error::new("cannot tell where this executable is"))?;
    let names = TOOLS.iter().map(|(name, ..)| format!("{PREFIX}{name}"));
    let tools: Vec<String> = std::iter::once("codex-agent".to_owned())
        .chain(names)
        .filter(|tool| beside.join(tool).is_file())
        .collect();
    let mut all = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        let folder = places::folder(kind, &beside)?;
        for tool in &tools {
            let text = print(&beside.join(tool), kind.word())?;
            all.push(Document { kind, path: folder.join(kind.file(tool)), text });
        }
        if kind == Kind::Man {
            let page = |(name, text): &(&str, &str)| Document {
                kind,
                path: folder.join(name),
                text: text.as_bytes().to_vec(),
            };
            all.extend(PAGES.iter().map(page));
        }
    }
    Ok(all)
}

/// What a tool prints of itself.
fn print(tool: &Path, kind: &str) -> Result<Vec<u8>> {
    let wrong = |why: String| Error::new(format!("cannot get the documents of '{}': {why}", tool.display()));
    let output = Command::new(tool)
        .args(["--generate", kind])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| wrong(reason(&error)))?;
    if !output.status.success() || output.stdout.is_empty() {
        return Err(wrong(format!("'--generate {kind}' failed")).hint("is it of another release?"));
    }
    Ok(output.stdout)
}
