//! Words in a prompt that say how its turn goes.
//!
//! A word counts only where it stands alone (`EXECUTE` is not `CUT`), and several may be combined.
//!
//! | word | what happens |
//! |---|---|
//! | `SLEEPn`, `MSn` | n seconds, n milliseconds pass before the answer |
//! | `SHELL{cmd}`, `SPAWNSHELL{cmd}` | the command is run and told as an item (braces inside must pair) |
//! | `FAIL400` `FAIL401` `FAIL403` `FAIL500` | the turn fails with that status |
//! | `OVERLOADED` `CONTEXT` `NOMODEL` `RATELIMIT` | the turn fails as the name says |
//! | `LIMITn` | a usage limit, which ends n seconds after the first such answer in this home |
//! | `LIMITX` | a usage limit that does not say when it ends, for ever |
//! | `CUT` | the answer comes, but the stream ends before it is complete |
//! | `LATEn` | n milliseconds pass between `thread.started` and what is recorded of the prompt |
//! | `UNSAVED` | nothing of the turn is recorded, as on a full disk, and Codex says so beside |
//! | `EXITS` | it ends with 3 before it has begun |
//! | `HANGSTART`, `HANG` | it stops for ever before `thread.started`, or in the turn |
//! | `QUIET` | a minute without output, then the answer |
//! | `NETWORK` | no connection: an `error` line every tenth of a second, for ever |
//! | `DEAF` | a minute without output, in which only SIGKILL helps |
//! | `DIES` | SIGKILL in the turn |
//! | `OTHER` | where a session was to be resumed, another is begun |
//! | `GARBAGE` | lines that are no JSON, no UTF-8, no known event |
//! | `LONGLINE` | an item of 100 MB |
//! | `BADEND` | it ends with 4, after the turn |
//! | `LINGERS` | it stays a minute after the turn |
//! | `LEAVES` | it leaves a process behind that holds standard output for a minute |

use std::time::Duration;

pub(super) struct Words<'p> {
    words: Vec<&'p str>,
    pub(super) command: Option<&'p str>,
}

impl<'p> Words<'p> {
    pub(super) fn of(prompt: &'p str) -> Words<'p> {
        let (before, command, after) = split_shell(prompt);
        let split = |text: &'p str| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
        };
        Words { words: split(before).chain(split(after)).collect(), command }
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn number(&self, word: &str) -> Option<u64> {
        self.words.iter().find_map(|w| w.strip_prefix(word)?.parse().ok())
    }

    /// How long the answer takes.
    pub(super) fn wait(&self) -> Duration {
        Duration::from_secs(self.number("SLEEP").unwrap_or(0))
            + Duration::from_millis(self.number("MS").unwrap_or(0))
    }

    /// How long after `thread.started` the prompt is recorded.
    pub(super) fn late(&self) -> Duration {
        Duration::from_millis(self.number("LATE").unwrap_or(0))
    }

    /// The seconds of a usage limit.
    pub(super) fn limit(&self) -> Option<u64> {
        self.number("LIMIT")
    }
}

/// What stands before `SHELL{…}`, in its braces, and behind it.
fn split_shell(prompt: &str) -> (&str, Option<&str>, &str) {
    let Some(at) = prompt.find("SHELL{") else { return (prompt, None, "") };
    let inside = &prompt[at + 6..];
    let mut depth = 1;
    for (end, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&prompt[..at], Some(&inside[..end]), &inside[end + 1..]);
        }
    }
    (prompt, None, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_alone() {
        let words = Words::of("say SLEEP2, MS30 SPAWNSHELL{echo {CUT}} and LIMIT5. EXECUTE FAIL4000");
        assert_eq!(words.command, Some("echo {CUT}"));
        assert_eq!(words.wait(), Duration::from_millis(2030));
        assert_eq!(words.limit(), Some(5));
        assert!(!words.has("CUT") && !words.has("FAIL400") && words.has("EXECUTE"));
        assert_eq!(Words::of("LIMITX SHELL{open").limit(), None);
    }
}
