//! The rows of the list: what is shown of a session, and the text that a query is matched against.
//!
//! Everything in a row is harmless for a terminal, and short: a title may have 100,000 characters.

use codex_agent_shared::host::HERE;
use codex_agent_shared::output::label;
use codex_agent_shared::record::{Id, RawRecord, Session};
use codex_agent_shared::terminal::Look;
use codex_agent_shared::text::cell;
use codex_agent_shared::time::Timestamp;

/// The columns of a title that are kept and matched, more than a screen has.
const TITLE: usize = 400;
/// The columns of a project and of a branch that are kept.
const PLACE: usize = 100;

/// A session in the list.
pub(super) struct Row {
    /// The reference by which other tools know the session: its id, with its host in front. A record of another program
    /// may have any.
    pub(super) id: String,
    /// The host of the session; empty for this machine.
    pub(super) host: String,
    /// The start of the last turn.
    pub(super) updated_at: Option<Timestamp>,
    /// The look of a title that is no text of the user.
    pub(super) look: Look,
    /// Whether the session belongs to the repository of the current directory.
    pub(super) is_here: bool,
    /// The record as standard input had it.
    pub(super) raw: Option<RawRecord>,
    /// Title, project and branch, with a TAB between them, which none of them has.
    text: String,
    /// Where the title and the project end in the text.
    ends: [usize; 2],
}

impl Row {
    /// The row of a session.
    pub(super) fn new(session: &Session<'_>, is_here: bool) -> Row {
        let (shown, look) = label(session);
        let mut title = match (session.archived_at.is_some(), session.is_subagent()) {
            (true, _) => "archived: ".to_owned(),
            (_, true) => "subagent: ".to_owned(),
            _ => String::new(),
        };
        title.push_str(&cell(&shown, TITLE));
        // A query finds a session by its name and by its title. A fork has the name of the session that was forked.
        let own = session.title.as_deref().or(session.parent_title.as_deref());
        if let (Some(name), Some(text)) = (session.name.as_deref(), own)
            && name != text
        {
            title.push_str(" · ");
            title.push_str(&cell(text, TITLE));
        }
        let project = cell(&project(session.cwd.as_deref().unwrap_or("")), PLACE);
        let branch = session.git.as_ref().and_then(|git| git.branch.as_deref()).unwrap_or("");
        let ends = [title.len(), title.len() + 1 + project.len()];
        let host = session.host.as_deref().filter(|host| *host != HERE).unwrap_or_default();
        Row {
            id: reference(&session.id.map(|id| id.to_string()).unwrap_or_default(), host),
            host: cell(host, PLACE),
            updated_at: session.updated_at,
            look,
            is_here,
            raw: None,
            text: format!("{title}\t{project}\t{}", cell(branch, PLACE)),
            ends,
        }
    }

    /// A row with a title and nothing else.
    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Row {
        let mut row = Row::new(&Session::default(), true);
        row.text = text.to_owned();
        row
    }

    /// The text that a query is matched against.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Title, project and branch, each with its offset in the text.
    pub(super) fn parts(&self) -> [(usize, &str); 3] {
        let [title, project] = self.ends;
        [
            (0, &self.text[..title]),
            (title + 1, &self.text[title + 1..project]),
            (project + 1, &self.text[project + 1..]),
        ]
    }

    /// The last digits of the id, as tables show them.
    pub(super) fn short(&self) -> String {
        self.own_id().map(Id::short).unwrap_or_default()
    }

    /// The id without the host.
    pub(super) fn own_id(&self) -> Option<Id> {
        Id::parse(self.id.rsplit(':').next().unwrap_or_default())
    }

    /// Sets the id of a record of another program.
    pub(super) fn set_id(&mut self, id: &str) {
        self.id = reference(id, &self.host);
    }
}

/// The reference to a session, on a host if there is one.
fn reference(id: &str, host: &str) -> String {
    if host.is_empty() { id.to_owned() } else { format!("{host}:{id}") }
}

/// The last two parts of a directory: the name of a project is often that of its repository and a directory in it.
fn project(cwd: &str) -> String {
    let parts: Vec<&str> = cwd.split('/').filter(|part| !part.is_empty()).collect();
    match &parts[..] {
        [] => cwd.to_owned(),
        [one] => format!("/{one}"),
        [.., first, last] => format!("{first}/{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex_agent_shared::record::Git;

    #[test]
    fn a_row_is_short_and_harmless() {
        let mut session = Session::default();
        session.title = Some(format!("\u{1b}[2J\t日本{}", "x".repeat(100_000)).into());
        session.name = Some("a\tname".into());
        session.cwd = Some("/home/me/src/\u{1b}alpha".into());
        session.git = Some(Git::default());
        let row = Row::new(&session, true);
        let [title, project, branch] = row.parts().map(|(_, part)| part);
        assert!(title.starts_with("a name · \\x1b[2J 日本xxx"), "{title}");
        assert!(title.len() < 3 * TITLE && !row.text().contains('\u{1b}'));
        assert_eq!((project, branch), ("src/\\x1balpha", ""));
        assert_eq!(row.text().matches('\t').count(), 2);
    }

    #[test]
    fn projects_are_the_last_two_parts() {
        for (cwd, want) in [("/home/me/src/a", "src/a"), ("/a", "/a"), ("/", "/"), ("", ""), ("/x/y/", "x/y")]
        {
            assert_eq!(project(cwd), want);
        }
    }
}
