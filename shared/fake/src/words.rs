//! Words of a prompt that control its turn.
//!
//! A word counts only as a separate word (`EXECUTE` is not `CUT`). Words may be combined.
//!
//! | word | effect |
//! |---|---|
//! | `SLEEPn`, `MSn` | wait n seconds, n milliseconds before the answer |
//! | `SHELL{cmd}`, `SPAWNSHELL{cmd}` | run the command, and report it as an item (braces in it must pair) |
//! | `FAIL400` `FAIL401` `FAIL403` `FAIL500` | fail the turn with that HTTP status |
//! | `OVERLOADED` `CONTEXT` `NOMODEL` `RATELIMIT` | fail the turn with that error of the service |
//! | `LIMITn` | fail with a usage limit, which resets n seconds after the first such failure in this home |
//! | `LIMITX` | fail with a usage limit without a reset time, forever |
//! | `CUT` | answer, but end the stream before it is complete |
//! | `LATEn` | wait n milliseconds between `thread.started` and the recording of the prompt |
//! | `UNSAVED` | record nothing of the turn, as on a full disk, and report that |
//! | `EXITS` | exit with status 3 before the turn begins |
//! | `HANGSTART`, `HANG` | hang before `thread.started`, or in the turn |
//! | `QUIET` | print nothing for a minute, then answer |
//! | `NETWORK` | have no connection: print an `error` every tenth of a second, forever |
//! | `DEAF` | print nothing for a minute, and ignore all signals but SIGKILL |
//! | `DIES` | end by SIGKILL in the turn |
//! | `OTHER` | begin another session instead of the one to resume |
//! | `GARBAGE` | print lines that are not JSON, not UTF-8, and of an unknown type |
//! | `LONGLINE` | print an item of 100 MB |
//! | `BADEND` | exit with status 4 after the turn |
//! | `LINGERS` | keep running for a minute after the turn |
//! | `LEAVES` | leave a process behind that holds standard output for a minute |

use std::time::Duration;

pub(super) struct Words<'p> {
    words: Vec<&'p str>,
    pub(super) command: Option<&'p str>,
}

impl<'p> Words<'p> {
    pub(super) fn parse(prompt: &'p str) -> Words<'p> {
        let (before, command, after) = split_shell(prompt);
        let split = |text: &'p str| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
        };
        Words { words: split(before).chain(split(after)).collect(), command }
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.words.iter().copied()
    }

    fn number(&self, word: &str) -> Option<u64> {
        self.words.iter().find_map(|w| w.strip_prefix(word)?.parse().ok())
    }

    /// The time before the answer.
    pub(super) fn answer_delay(&self) -> Duration {
        Duration::from_secs(self.number("SLEEP").unwrap_or(0))
            + Duration::from_millis(self.number("MS").unwrap_or(0))
    }

    /// The time between `thread.started` and the recording of the prompt.
    pub(super) fn recording_delay(&self) -> Duration {
        Duration::from_millis(self.number("LATE").unwrap_or(0))
    }

    /// The duration of a usage limit, in seconds.
    pub(super) fn limit(&self) -> Option<u64> {
        self.number("LIMIT")
    }
}

/// The text before `SHELL{…}`, in its braces and after them.
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
        let words = Words::parse("say SLEEP2, MS30 SPAWNSHELL{echo {CUT}} and LIMIT5. EXECUTE FAIL4000");
        assert_eq!(words.command, Some("echo {CUT}"));
        assert_eq!(words.answer_delay(), Duration::from_millis(2030));
        assert_eq!(words.limit(), Some(5));
        assert!(!words.has("CUT") && !words.has("FAIL400") && words.has("EXECUTE"));
        assert_eq!(Words::parse("LIMITX SHELL{open").limit(), None);
    }
}
