//! The files of a job by content, in a record for another machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use codex_agent_shared::error::{Error, Result};
use codex_agent_shared::text::fingerprint;

/// The use of a file of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileUse {
    /// An image that is sent with the prompt.
    Image,
    /// The JSON Schema of the last message.
    Schema,
}

/// A file of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobFile {
    /// The use of the file.
    #[serde(rename = "use")]
    pub purpose: FileUse,
    /// The name of the file, without directories.
    pub name: String,
    /// The length in bytes.
    pub bytes: usize,
    /// A hash of the contents, of 16 hexadecimal digits.
    pub hash: String,
    /// The contents in base64.
    pub base64: String,
}

impl JobFile {
    /// The file of this name with these contents.
    pub fn new(purpose: FileUse, name: &str, contents: &[u8]) -> JobFile {
        let hash = fingerprint(contents);
        JobFile {
            purpose,
            name: name.to_owned(),
            bytes: contents.len(),
            hash,
            base64: STANDARD.encode(contents),
        }
    }

    /// The contents; an error if they were damaged on their way.
    pub fn contents(&self) -> Result<Vec<u8>> {
        let contents = STANDARD
            .decode(&self.base64)
            .ok()
            .filter(|contents| contents.len() == self.bytes && fingerprint(contents) == self.hash);
        contents
            .ok_or_else(|| Error::new(format!("the file '{}' of a job was damaged on its way", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_of_files_survive_their_way() {
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize
        };
        for _ in 0..2000 {
            let contents: Vec<u8> = (0..next() % 40).map(|_| next() as u8).collect();
            let mut file = JobFile::new(FileUse::Image, "a.png", &contents);
            assert_eq!(file.contents().unwrap(), contents);
            if let Some(at) = (next() % 41 < file.base64.len()).then(|| next() % file.base64.len().max(1)) {
                file.base64.replace_range(at..=at, if &file.base64[at..=at] == "A" { "B" } else { "A" });
                assert!(file.contents().is_err() || file.contents().unwrap() == contents);
            }
        }
    }
}
