//! Directories as users name them.

use std::path::{Component, Path, PathBuf};

/// A directory that a user names: as typed (made absolute), and without symbolic links, which is the form that Codex
/// stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(Vec<String>);

impl Directory {
    /// Resolves a directory, which need not exist any more. Bytes that are not UTF-8 are replaced as in records.
    pub fn new(path: &Path) -> Directory {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let real = std::fs::canonicalize(&absolute).ok();
        // In a directory that does not exist any more, '..' can only be resolved by its text.
        let without_dots = without_dots(&absolute);
        let mut equivalent_paths = Vec::new();
        for form in [absolute].into_iter().chain(real).chain([without_dots]) {
            let form = trimmed(&form.to_string_lossy());
            if !equivalent_paths.contains(&form) {
                equivalent_paths.push(form);
            }
        }
        Directory(equivalent_paths)
    }

    /// All forms of the directory.
    pub fn equivalent_paths(&self) -> &[String] {
        &self.0
    }

    /// Whether a path, as Codex stores it, is this directory.
    pub fn is(&self, cwd: &str) -> bool {
        self.0.iter().any(|form| form == cwd.strip_suffix('/').filter(|c| !c.is_empty()).unwrap_or(cwd))
    }

    /// Whether a path, as Codex stores it, is this directory or below it.
    pub fn contains(&self, cwd: &str) -> bool {
        let below =
            |form: &str| cwd.strip_prefix(form).is_some_and(|rest| form == "/" || rest.starts_with('/'));
        self.is(cwd) || self.0.iter().any(|form| below(form))
    }
}

fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

fn trimmed(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_hold_what_is_below_them() {
        let directory = Directory(vec!["/src/a".to_owned()]);
        assert!(directory.is("/src/a") && directory.is("/src/a/"));
        assert!(directory.contains("/src/a/b") && directory.contains("/src/a"));
        assert!(!directory.contains("/src/ab") && !directory.contains("/src"));
        assert!(Directory(vec!["/".to_owned()]).contains("/x"));
    }
}
