//! Version numbers of Codex, and the sessions that a version would damage.

use crate::error::{Error, Result};
use crate::record::Session;

/// The major and minor number of a version; `None` if the text is not a version.
pub fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether a version is older than this; a malformed version is not.
pub fn is_before(version: &str, first: (u32, u32)) -> bool {
    numbers(version).is_some_and(|version| version < first)
}

/// Refuse a session of a format that this Codex cannot read and would damage for later versions.
pub fn check_writer_version(version: &str, session: &Session<'_>) -> Result<()> {
    if session.history.as_deref() != Some("paginated") || !is_before(version, (0, 148)) {
        return Ok(());
    }
    let by = session.cli_version.as_deref().unwrap_or("0.148 or later");
    let id = session.id.map(|id| id.to_string()).unwrap_or_default();
    Err(Error::new(format!("Codex {version} is too old: it would damage session '{id}' of Codex {by}"))
        .hint("Codex 0.148 is the first version that can read the session; --codex names another Codex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_versions() {
        assert_eq!(numbers("0.169.0"), Some((0, 169)));
        assert_eq!(numbers("1.2.0-alpha.3"), Some((1, 2)));
        assert_eq!(numbers("garbage"), None);
        assert_eq!(numbers("0.x"), None);
        assert!(is_before("0.99.0", (0, 148)) && !is_before("0.148.0", (0, 148)));
        assert!(!is_before("from source", (0, 148)));
    }
}
