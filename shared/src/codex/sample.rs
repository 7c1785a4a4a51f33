//! The sample home: thirteen sessions that Codex 0.169 made of the words of nobody, so that everything
//! can be tried where there is no Codex. A test holds it to the recording it was made from.

use std::io::{self, Read};
use std::path::Path;

use super::rollout::decompressed;
use crate::error::{Context, Error, Result};

/// Path, NUL, length, NUL, bytes; for each file; compressed.
const PACKED: &[u8] = include_bytes!("sample-home.zst");

/// A directory that some sessions of the sample worked in. It need not be there.
pub const PROJECT: &str = "/tmp/codex-fixture/projects/beta";

/// Unpacks the sample home into a folder, which is made.
pub fn unpack(into: &Path) -> Result<()> {
    for (name, bytes) in
        files().map_err(|error| Error::new(format!("the sample home is damaged: {error}")))?
    {
        let path = into.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context("make the folder", folder)?;
        }
        #[allow(clippy::disallowed_methods)] // A folder of our own that nobody else looks into yet.
        std::fs::write(&path, bytes).context("write", &path)?;
    }
    Ok(())
}

fn files() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    decompressed(PACKED)?.read_to_end(&mut all)?;
    let mut rest = &all[..];
    let mut files = Vec::new();
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    while !rest.is_empty() {
        let mut word = || -> io::Result<String> {
            let end = memchr::memchr(0, rest).ok_or_else(damaged)?;
            let word = String::from_utf8(rest[..end].to_vec()).map_err(|_| damaged())?;
            rest = &rest[end + 1..];
            Ok(word)
        };
        let name = word()?;
        let length: usize = word()?.parse().map_err(|_| damaged())?;
        files.push((name, rest.get(..length).ok_or_else(damaged)?.to_vec()));
        rest = &rest[length..];
    }
    Ok(files)
}
