//! Reads a complete file, but no pipe, which may never end, and no device.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use crate::error::reason;

/// The contents of a file; `None` if the file is missing. The error is the reason, as a clause.
pub fn read_capped(path: &Path, most: u64) -> std::result::Result<Option<Vec<u8>>, String> {
    let why = |error: io::Error| reason(&error);
    // Opening a pipe would wait for its writer.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(why)?,
    };
    let meta = file.metadata().map_err(why)?;
    let kind = meta.file_type();
    if kind.is_dir() {
        return Err("it is a directory".to_owned());
    }
    if kind.is_fifo() {
        return Err("it is a pipe".to_owned());
    }
    // Of all devices only /dev/null is read, as it has no contents.
    let most = if kind.is_file() { most } else { 0 };
    let mut bytes = Vec::new();
    if meta.len() <= most {
        file.take(most + 1).read_to_end(&mut bytes).map_err(why)?;
    }
    match meta.len().max(bytes.len() as u64) > most {
        true if !kind.is_file() => Err("it is a device".to_owned()),
        true => Err(format!("it is larger than {} MiB", most >> 20)),
        false => Ok(Some(bytes)),
    }
}
