//! Directories of codex-agent and the files in them: private to the user, opened without following links.
//!
//! **Guarantees.** A directory that belongs to another user, or that other users may write to, is refused: a user
//! who can create files and links in it decides which files are written. If the group of a directory has no
//! member but the user, as is usual with a umask of 002, the group may write. A directory may be a symbolic link,
//! if the link belongs to the user. The parents of the directory are not checked. Only a regular file is opened,
//! and never through a link. Errors are marked ([`Error::is_of_place`]), as other jobs would meet them too.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Context, Error, Result, reason};

/// Creates a directory with its parents. Refuses a directory that other users may write to.
pub fn create_dir(path: &Path) -> Result<()> {
    // Every job needs such a directory; an existing one costs one call of the kernel.
    if check_dir(path)? {
        return Ok(());
    }
    check_home(path)?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.context("create the directory", path).map_err(Error::of_place)?;
    check_dir(path).map(drop)
}

/// Refuses a directory in a home directory that does not exist: some users, such as `nobody`, have none, and root would
/// create it.
pub fn check_home(path: &Path) -> Result<()> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    match home.filter(|home| path.starts_with(home) && !home.exists()) {
        None => Ok(()),
        Some(home) => {
            let why = format!("the home directory '{}' does not exist", home.display());
            Err(Error::new(format!("cannot create the directory '{}': {why}", path.display()))
                .hint("set HOME to a directory that exists")
                .of_place())
        }
    }
}

/// Refuses a directory that other users may write to. Returns whether the directory exists.
pub fn check_dir(path: &Path) -> Result<bool> {
    let look = |meta: std::io::Result<fs::Metadata>| match meta {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        meta => meta.map(Some).context("examine the directory", path).map_err(Error::of_place),
    };
    let Some(meta) = look(path.symlink_metadata())? else { return Ok(false) };
    check_owner(path, &meta)?;
    if !meta.is_symlink() {
        return Ok(meta.is_dir());
    }
    let Some(target) = look(fs::metadata(path))? else { return Ok(false) };
    check_owner(path, &target)?;
    Ok(target.is_dir())
}

/// Refuses a directory, or a link to a directory, that another user owns or may write to.
fn check_owner(path: &Path, meta: &fs::Metadata) -> Result<()> {
    let refused = |why: &str, hint: String| {
        let message = format!("cannot use the directory '{}': {why}", path.display());
        Err(Error::new(message).hint(hint).of_place())
    };
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own {
        let what = if meta.is_symlink() { "the link to it" } else { "it" };
        let why = format!("{what} belongs to user {}, and this is user {own}", meta.uid());
        let elsewhere = "set CODEX_AGENT_CONFIG_HOME and CODEX_AGENT_STATE_HOME to other directories";
        return refused(&why, format!("run as that user; {elsewhere}"));
    }
    let by_group = meta.mode() & 0o020 != 0 && !is_own_group(own, meta.gid());
    if !meta.is_symlink() && (by_group || meta.mode() & 0o002 != 0) {
        return refused("other users may write to it", format!("chmod go-w '{}'", path.display()));
    }
    Ok(())
}

/// Whether a group is the private group of a user. A group that is not in the files of the system may have other
/// members.
fn is_own_group(user: u32, group: u32) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    is_private(&read("/etc/passwd"), &read("/etc/group"), user, group)
}

/// Whether the group has the name of the user and no other member, neither by its own row (`name:x:gid:members`)
/// nor by that of another user (`name:x:uid:gid:...`).
fn is_private(users: &str, groups: &str, user: u32, group: u32) -> bool {
    let (user, group) = (user.to_string(), group.to_string());
    let cells = |row: &'_ str| row.splitn(5, ':').map(str::to_owned).collect::<Vec<_>>();
    let rows = |text: &str| text.lines().map(cells).filter(|row| row.len() >= 4).collect::<Vec<_>>();
    let users = rows(users);
    let Some(name) = users.iter().find(|row| row[2] == user).map(|row| &row[0]) else { return false };
    let mut groups = rows(groups).into_iter().filter(|row| row[2] == group).peekable();
    let is_alone = |row: Vec<String>| {
        row[0] == *name && row[3].split(',').all(|member| member.is_empty() || member == name)
    };
    groups.peek().is_some()
        && groups.all(is_alone)
        && users.iter().all(|row| row[3] != group || row[2] == user)
}

/// Opens a regular file without following a link. A new file is private to the user. `what` is the noun for
/// errors: `the lock`.
pub fn open(options: &mut OpenOptions, what: &str, path: &Path) -> Result<File> {
    // Opening a pipe would wait for its other end.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let refused = |why: &str| {
        let message = format!("cannot open {what} '{}': {why}", path.display());
        Error::new(message).hint(format!("move '{}' away", path.display())).of_place()
    };
    let file = match options.mode(0o600).custom_flags(flags).open(path) {
        Err(_) if path.is_symlink() => return Err(refused("it is a symbolic link")),
        opened => opened.context(&format!("open {what}"), path).map_err(Error::of_place)?,
    };
    let meta = file.metadata().context("examine", path).map_err(Error::of_place)?;
    if meta.is_file() { Ok(file) } else { Err(refused("it is not a regular file")) }
}

/// Writes a file that only the user may read. An earlier file is replaced in its place.
pub fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let mut file = open(OpenOptions::new().write(true).create(true).truncate(true), "the file", path)?;
    file.write_all(contents).map_err(|failure| error("write", path, &failure))
}

/// An error in reading or writing a file of codex-agent, marked as such.
pub fn error(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("cannot {verb} '{}': {}", path.display(), reason(error))).of_place()
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn a_group_is_private_if_it_has_the_name_of_its_user_and_no_other_member() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:\nbob:x:1001:1001::/:\neve:x:1002:1002::/:\n";
        let groups = "root:x:0:\nann:x:1000:ann\nbob:x:1001:\neve:x:1002:eve,ann\nusers:x:100:\ntwo:x:7:\nann:x:7:\n+\n";
        let is = |user, group| is_private(users, groups, user, group);
        assert!(is(0, 0) && is(1000, 1000));
        // The first group of another user, another member, another name, two names, and unknown ids.
        for (user, group) in [(1001, 1001), (1002, 1002), (1000, 100), (1000, 7), (1000, 9), (9, 1000)] {
            assert!(!is(user, group), "{user} {group}");
        }
    }
}
