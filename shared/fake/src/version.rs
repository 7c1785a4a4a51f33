//! The version of this Codex, and the differences between versions.

/// The default version: the newest that was recorded.
const NEWEST: &str = "0.171.0";

/// The first minor number with a feature, or the first without it.
pub(super) mod since {
    pub(crate) const NAME_SET: u32 = 94;
    pub(crate) const DATABASE: u32 = 105;
    pub(crate) const PHASE: u32 = 105;
    /// Up to 0.106 an unknown id starts a new session, and SIGINT ends with 0.
    pub(crate) const STRICT: u32 = 107;
    /// Up to 0.106 a session must be loaded to be named, and the lines of a turn have no times.
    pub(crate) const NAME_UNLOADED: u32 = 107;
    /// A name replaces the title, until 0.145 has a column for names.
    pub(crate) const NAME_IN_TITLE: u32 = 107;
    pub(crate) const NAME_IN_ROLLOUT: (u32, u32) = (107, 132);
    /// Standard input is appended to a prompt in the arguments.
    pub(crate) const STDIN_BLOCK: u32 = 107;
    /// Errors of the app-server include their code.
    pub(crate) const ERROR_CODE: u32 = 121;
    pub(crate) const TURNS_LIST: u32 = 122;
    pub(crate) const REASONING_TOKENS: u32 = 128;
    pub(crate) const ARCHIVE_COMMAND: u32 = 136;
    pub(crate) const DELETE: u32 = 140;
    pub(crate) const CACHE_WRITE_TOKENS: u32 = 145;
    pub(crate) const BEFORE_TURN: u32 = 145;
    pub(crate) const NAME_COLUMN: u32 = 145;
    pub(crate) const WRITER_LOCK: u32 = 147;
    /// The row follows the session into the directory that it is resumed in.
    pub(crate) const MOVES_CWD: u32 = 147;
    pub(crate) const PAGINATED: u32 = 148;
    pub(crate) const EXEC_FORK: u32 = 148;
    /// Failures have other words, with a typographic apostrophe.
    pub(crate) const NEW_WORDS: u32 = 148;
    pub(crate) const ROOT_TURNS: u32 = 151;
    pub(crate) const TOKEN_RECORDS: u32 = 153;
    pub(crate) const NO_FULL_AUTO: u32 = 150;
    pub(crate) const WORKTREES: u32 = 156;
    pub(crate) const NO_ROLLBACK: u32 = 156;
}

pub(super) struct Version {
    pub(super) text: String,
    minor: u32,
}

impl Version {
    pub(super) fn from_environment() -> Version {
        let asked = std::env::var("CODEX_FAKE_VERSION").ok().filter(|text| !text.is_empty());
        let text = asked.unwrap_or_else(|| NEWEST.to_owned());
        let (major, minor) = codex_agent_shared::codex::version::numbers(&text).unwrap_or_default();
        Version { text, minor: if major > 0 { u32::MAX } else { minor } }
    }

    /// Whether this is version 0.`minor` or a later version.
    pub(super) fn has(&self, minor: u32) -> bool {
        self.minor >= minor
    }

    pub(super) fn is_within(&self, (from, before): (u32, u32)) -> bool {
        self.has(from) && !self.has(before)
    }
}
