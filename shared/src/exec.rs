//! Executables: programs on `PATH`, and the reasons why a file cannot be run.
//!
//! ```
//! use codex_agent_shared::exec::{find_program, is_executable};
//!
//! assert!(is_executable(&find_program("sh").unwrap()));
//! assert_eq!(find_program("no-such-program-at-all"), None);
//! ```

mod script;

pub use script::wrong_interpreter;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::reason;

/// The path of a program, such as `man`, in the absolute directories of `PATH`.
pub fn find_program(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let absolute = env::split_paths(&path).filter(|directory| directory.is_absolute());
    which::which_in(name, env::join_paths(absolute).ok(), "/").ok()
}

/// Whether the user can run a file. The path is absolute.
pub fn is_executable(path: &Path) -> bool {
    which::which_in(path, None::<&OsStr>, "/").is_ok()
}

pub(crate) const NOT_EXECUTABLE: &str = "it is not executable";

/// The reason why a file that is not executable cannot be run, as a clause.
pub(crate) fn why_not(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => "it is a directory".to_owned(),
        Ok(meta) if !meta.is_file() => "it is not a regular file".to_owned(),
        Ok(_) => NOT_EXECUTABLE.to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "it is a symbolic link to a file that does not exist".to_owned()
        }
        Err(error) => reason(&error),
    }
}
