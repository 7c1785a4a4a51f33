//! Git repositories: that of a directory, and those that a URL names in any of its forms.
//!
//! Only the files of git are read; git is not run.

use std::fs;
use std::path::{Path, PathBuf};

use super::Directory;
use crate::error::{Error, Result};
use crate::record::{Needs, Session};
use crate::text::matches;

/// A condition on the repository of a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Repository {
    /// The URL of `origin` matches this pattern, which has a star.
    Pattern(String),
    /// The URL of `origin` names this repository: host and path, the path, or the end of the path.
    Named(String),
    /// The repository of a directory.
    Local {
        /// The host and path of its `origin`.
        origin: Option<String>,
        /// Its working trees. A session there belongs to it if Codex did not record another origin.
        directories: Vec<Directory>,
    },
}

impl Repository {
    /// Parses `owner/name`, a URL, a pattern of a URL with stars, or the path of a directory, which begins with a dot or a
    /// slash. An absolute path that is in no repository is the URL of a remote on the same machine.
    pub fn parse(text: &str) -> Result<Repository> {
        if text.contains('*') {
            return Ok(Repository::Pattern(text.to_owned()));
        }
        let is_absolute = text.starts_with('/');
        if is_absolute || matches!(text.split('/').next(), Some("." | "..")) {
            return match Repository::of_directory(Path::new(text)) {
                Some(repository) => Ok(repository),
                None if is_absolute => Ok(Repository::Named(identity(text))),
                None => Err(Error::usage(format!(
                    "invalid value '{text}': the directory is in no git repository"
                ))
                .hint("name a repository by owner/name, by its URL, or by a pattern such as '*acme/alpha*'")),
            };
        }
        Ok(Repository::Named(identity(text)))
    }

    /// The repository of a directory; `None` if the directory is in no repository.
    pub fn of_directory(directory: &Path) -> Option<Repository> {
        let root = root_of(directory)?;
        let common = common_directory(&root);
        let mut trees = vec![root];
        // The main working tree, and the linked ones, of which git has the paths of their '.git' files.
        trees.extend(
            common.file_name().filter(|name| *name == ".git").and(common.parent().map(Path::to_owned)),
        );
        for linked in fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(linked.path().join("gitdir")).unwrap_or_default();
            trees.extend(
                Path::new(text.trim()).parent().filter(|tree| tree.is_absolute()).map(Path::to_owned),
            );
        }
        let mut directories: Vec<Directory> = Vec::new();
        for tree in trees.iter().map(|tree| Directory::new(tree)) {
            if !directories.contains(&tree) {
                directories.push(tree);
            }
        }
        let config = fs::read_to_string(common.join("config")).unwrap_or_default();
        Some(Repository::Local { origin: origin_of(&config).map(|url| identity(&url)), directories })
    }

    /// The parts of a session that decide.
    pub(super) fn needs(&self) -> Needs {
        match self {
            Repository::Pattern(_) | Repository::Named(_) => Needs::META,
            Repository::Local { .. } => Needs::META | Needs::START,
        }
    }

    /// The end of the URL, in lower case, that every session of the repository has somewhere in its URL; `None` if there
    /// is none.
    #[cfg(feature = "sqlite")]
    pub(crate) fn part_of_url(&self) -> Option<&str> {
        match self {
            Repository::Named(name) => Some(name.rsplit('/').next().unwrap_or(name)),
            _ => None,
        }
    }

    /// Whether a session belongs to the repository.
    pub(super) fn has(&self, session: &Session<'_>) -> bool {
        let url = session.git.as_ref().and_then(|git| git.origin_url.as_deref());
        match (self, url) {
            (Repository::Pattern(pattern), Some(url)) => matches(pattern, url),
            (Repository::Named(name), Some(url)) => {
                let identity = identity(url);
                identity
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            }
            (Repository::Local { origin: Some(origin), .. }, Some(url)) => identity(url) == *origin,
            // The session began before the repository had a remote, or the remote was removed since.
            (Repository::Local { directories, .. }, _) => {
                let cwd = session.cwd.as_deref().unwrap_or("");
                directories.iter().any(|directory| directory.contains(cwd))
            }
            (Repository::Pattern(_) | Repository::Named(_), None) => false,
        }
    }
}

/// The working tree that a directory is in: the nearest directory at or above it that has `.git`.
pub fn root_of(directory: &Path) -> Option<PathBuf> {
    let absolute = fs::canonicalize(directory).or_else(|_| std::path::absolute(directory)).ok()?;
    absolute.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
}

/// The directory with the configuration of a repository, which its working trees have in common.
fn common_directory(root: &Path) -> PathBuf {
    let git = root.join(".git");
    let Ok(text) = fs::read_to_string(&git) else { return git };
    // The '.git' of a linked working tree or of a submodule is a file.
    let git = root.join(text.trim().strip_prefix("gitdir:").unwrap_or("").trim());
    let common = fs::read_to_string(git.join("commondir")).ok().map(|text| git.join(text.trim()));
    let common = common.unwrap_or(git);
    fs::canonicalize(&common).unwrap_or(common)
}

/// The URL of the remote `origin` in a configuration of git.
fn origin_of(config: &str) -> Option<String> {
    let mut is_origin = false;
    let mut url = None;
    for line in config.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.split(']').next().unwrap_or("");
            let (kind, name) = section.split_once(char::is_whitespace).unwrap_or((section, ""));
            is_origin = kind.eq_ignore_ascii_case("remote") && name.trim() == "\"origin\"";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_origin)
            && key.trim().eq_ignore_ascii_case("url")
        {
            // As in git, the last value counts.
            let value = value.trim();
            let quoted = value.strip_prefix('"').and_then(|rest| rest.split('"').next());
            url = Some(
                quoted.unwrap_or_else(|| value.split([';', '#']).next().unwrap_or("").trim()).to_owned(),
            );
        }
    }
    url.filter(|url| !url.is_empty())
}

/// The host and the path of a URL in lower case, in one form for all of these: `https://host/owner/name.git`,
/// `ssh://git@host:22/owner/name`, `git@host:owner/name.git`, `owner/name`.
fn identity(url: &str) -> String {
    let url = url.trim();
    let joined = match url.split_once("://") {
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or("");
            let host = match host.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
                _ => host,
            };
            format!("{host}/{path}")
        }
        None => match url.split_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/')) {
            Some((host, path)) => format!("{}/{path}", host.rsplit('@').next().unwrap_or("")),
            None => url.to_owned(),
        },
    };
    let parts: Vec<&str> = joined.split('/').filter(|part| !part.is_empty()).collect();
    let path = parts.join("/");
    path.strip_suffix(".git").unwrap_or(&path).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Git;

    fn of_url(url: &str) -> Session<'static> {
        let git = Git { origin_url: Some(url.to_owned().into()), ..Git::default() };
        Session { git: Some(git), cwd: Some("/elsewhere".into()), ..Session::default() }
    }

    /// Every name of a repository means every URL of it, and no URL of another one.
    #[test]
    fn a_name_means_every_url_of_the_repository() {
        let forms = |host: &str, path: &str| {
            let mut all = Vec::new();
            for end in ["", ".git", "/", ".git/"] {
                all.push(format!("https://{host}/{path}{end}"));
                all.push(format!("http://user:secret@{host}/{path}{end}"));
                all.push(format!("ssh://git@{host}:22/{path}{end}"));
                all.push(format!("ssh://{host}/{path}{end}"));
                all.push(format!("git://{host}/{path}{end}"));
                all.push(format!("git@{host}:{path}{end}"));
                all.push(format!("{host}:/{path}{end}"));
                all.push(format!("HTTPS://{}/{path}{end}", host.to_uppercase()));
            }
            all
        };
        let all = [
            ("example.com", "acme/alpha"),
            ("example.com", "acme/alpha-2"),
            ("example.com", "other/alpha"),
            ("example.org", "acme/alpha"),
            ("example.org", "group/acme/alpha"),
            ("example.org", "acme/alpha.github.io"),
        ];
        let mut judged = 0;
        for (host, path) in all {
            let mut names = forms(host, path);
            let exact = names.len();
            names.extend([
                path.to_owned(),
                format!("{path}.git"),
                path.to_uppercase(),
                format!("{host}/{path}"),
            ]);
            for (at, name) in names.iter().enumerate() {
                let repository = Repository::parse(name).unwrap();
                for (other_host, other_path) in all {
                    let ends = format!("/{other_path}").ends_with(&format!("/{path}"));
                    let means = if at < exact || at == exact + 3 {
                        host == other_host && path == other_path
                    } else {
                        ends
                    };
                    for url in forms(other_host, other_path) {
                        assert_eq!(repository.has(&of_url(&url)), means, "{name} {url}");
                        judged += 1;
                    }
                }
            }
        }
        assert!(judged > 40_000, "{judged}");
        assert!(!Repository::parse("acme/alpha").unwrap().has(&Session::default()));
        assert!(Repository::parse("*acme/al*").unwrap().has(&of_url("x:acme/alpha")));
        assert!(Repository::parse("alpha").unwrap().has(&of_url("git@h:acme/alpha")));
    }

    #[test]
    fn the_origin_is_read_as_git_reads_it() {
        let config = "[core]\n\turl = no\n[remote \"other\"]\n\turl = no\n[Remote \"origin\"]\n\tfetch = +x\n\tURL = a ; why\n\
                      \turl = \"git@h:o/n.git\" # this\n[branch \"main\"]\n\tremote = origin\n";
        assert_eq!(origin_of(config).as_deref(), Some("git@h:o/n.git"));
        assert_eq!(origin_of("[remote \"origin\"]\n url = https://h/o/n"), Some("https://h/o/n".to_owned()));
        assert_eq!(origin_of("[remote \"origin\"]\n url =\n"), None);
        assert_eq!(origin_of(""), None);
    }
}
