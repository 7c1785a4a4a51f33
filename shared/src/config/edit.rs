//! Changing one key of `config.toml`: every other line is kept, and so are comments, order and blank lines.
//!
//! The file is read, changed and replaced atomically under its lock ([`mod@crate::store`]): concurrent changes are made
//! one after the other. A file that cannot be parsed is never overwritten, a table never replaced by a value, and a
//! symbolic link is kept. The lines of the key are changed in the text, at the positions that the parser gives; only a
//! key that is added to an inline table, or removed from one, is written by the package. The changed text is read
//! again before it is saved, and must have the old entries and the new value.

use std::path::Path;

use toml_edit::{DocumentMut, Item};

use super::alias::Target;
use super::document::{self, Invalid, TomlEntry, Value};
use super::host::{self, HostTable};
use super::{ALIAS, Config, HOST, Kind, LONGEST, NAME, SETTINGS, Setting};
use crate::error::{Error, Result};
use crate::plugin::is_name;
use crate::store::{Store, read_capped};
use crate::text::nearest;

/// Sets a key, such as `runs.keep`, `alias.today` or `host.gpu.via`, in the file of a directory. The text is checked as when the file
/// is read.
pub fn set(directory: &Path, key: &str, text: &str) -> Result<()> {
    let value = match find(key)? {
        Owner::Setting(setting) => parse_setting(setting, text),
        Owner::Alias => parse_alias(text),
        Owner::Host(names) => parse_host(&names, text),
    };
    let value = value.map_err(|why| Error::usage(format!("invalid value '{text}' for '{key}': {why}")))?;
    change(directory, key, Some(&value)).map(drop)
}

/// Removes a key from the file of a directory.
pub fn unset(directory: &Path, key: &str) -> Result<()> {
    find(key)?;
    match change(directory, key, None)? {
        true => Ok(()),
        false => {
            let path = directory.join(NAME);
            Err(Error::not_found(format!("'{}' does not set '{key}'", path.display())))
        }
    }
}

/// The owner of a key.
enum Owner<'k> {
    /// A setting.
    Setting(&'static Setting),
    /// An alias.
    Alias,
    /// A host: the names of the key within it.
    Host(Vec<&'k str>),
}

fn find(key: &str) -> Result<Owner<'_>> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
        return Ok(Owner::Setting(setting));
    }
    if let Some((name, names)) = host::split_key(key) {
        host::check_key(name, &names)?;
        return Ok(Owner::Host(names));
    }
    match key.split_once('.') {
        Some((ALIAS, name)) if is_name(name) => Ok(Owner::Alias),
        Some((ALIAS, name)) => Err(Error::usage(format!(
            "invalid alias name '{name}': use lower case letters, digits and dashes"
        ))),
        Some((HOST, _)) => Err(Error::not_found(format!("config.toml has no setting '{key}'"))
            .hint("keys of a host: host.NAME.via, .command, .max_concurrent, .connect_timeout, .paths.DIRECTORY")
            .hint("'codex-agent config edit' opens the file, to remove a table")),
        _ => {
            let near = nearest(key, SETTINGS.iter().map(|setting| setting.key));
            let hint = near.first().map(|near| format!("did you mean '{near}'?"));
            let list = || "'codex-agent config list' lists the settings".to_owned();
            Err(Error::not_found(format!("config.toml has no setting '{key}'"))
                .hint(hint.unwrap_or_else(list)))
        }
    }
}

fn parse_setting(setting: &Setting, text: &str) -> std::result::Result<Value, String> {
    let value = typed(setting.kind, text)?;
    setting.kind.read(&value).map(|_| value).map_err(reason_of)
}

/// The value of a text: a number where one is expected.
fn typed(kind: Kind, text: &str) -> std::result::Result<Value, String> {
    match (kind, text.parse::<i64>()) {
        (Kind::Number(..), Ok(number)) => Ok(Value::Number(Some(number))),
        (Kind::Number(..), Err(_)) => Err(format!("expected {}", kind.expected())),
        // The form that config.toml has.
        (Kind::Command, _) if text.trim_start().starts_with('[') => serde_json::from_str(text)
            .map(Value::Texts)
            .map_err(|_| "expected words, or an array of strings in double quotes".to_owned()),
        _ => Ok(Value::Text(text.to_owned())),
    }
}

fn parse_host(names: &[&str], text: &str) -> std::result::Result<Value, String> {
    let kind = match names {
        ["max_concurrent"] => host::MAX_CONCURRENT,
        ["connect_timeout"] => Kind::Time,
        _ => Kind::Command,
    };
    let value = typed(kind, text)?;
    HostTable::default().read(names, &value).map(|_| value).map_err(reason_of)
}

fn parse_alias(text: &str) -> std::result::Result<Value, String> {
    let value = Value::Text(text.to_owned());
    Target::read(&value).map(|_| value).map_err(reason_of)
}

fn reason_of(invalid: Invalid) -> String {
    match invalid {
        Invalid::Type(expected, _) => format!("expected {expected}"),
        Invalid::Value(why) => why,
    }
}

fn change(directory: &Path, key: &str, value: Option<&Value>) -> Result<bool> {
    let path = directory.join(NAME);
    let unchanged = "nothing was changed; 'codex-agent config edit' opens the file";
    if value.is_none() && path.symlink_metadata().is_err() {
        return Ok(false);
    }
    // Nothing is created for a file that is refused.
    Config::read(directory).check_editable()?;
    let held = Store::new(path.clone()).lock()?;
    Config::read(directory).check_editable()?;
    let refused = |why: &str| {
        Error::new(format!("cannot change '{key}' in '{}': {why}", path.display())).hint(unchanged)
    };
    let bytes = read_capped(&path, LONGEST).map_err(|why| refused(&why))?.unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|_| refused("the file is not UTF-8"))?;
    let Some(changed) = changed_text(&text, key, value).map_err(|why| refused(&why))? else {
        return Ok(false);
    };
    if changed.len() as u64 > LONGEST {
        return Err(refused("the file would be larger than 1 MiB"));
    }
    held.write_text(&changed)?;
    Ok(true)
}

/// The text with a key set or removed; `None` if a key that is to be removed is absent.
fn changed_text(text: &str, key: &str, value: Option<&Value>) -> std::result::Result<Option<String>, String> {
    let place = Place::of(key).ok_or("the key has no table")?;
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: DocumentMut = plain.parse().map_err(|error: toml_edit::TomlError| {
        error.message().lines().next().unwrap_or_default().to_owned()
    })?;
    let new = match value {
        None => None,
        Some(Value::Number(Some(number))) => Some(toml_edit::Value::from(*number)),
        Some(Value::Text(text)) => Some(text.as_str().into()),
        Some(other) => return Err(format!("cannot write {}", other.type_name())),
    };
    let mut is_inline = false;
    let mut outer = Some(document.as_item());
    for (depth, table) in place.tables.iter().enumerate() {
        outer = outer.and_then(|outer| outer.get(table));
        is_inline |= outer.is_some_and(Item::is_value);
        if outer.is_some_and(|outer| !outer.is_table_like()) {
            let table = place.tables[..=depth].join(".");
            return if new.is_some() { Err(format!("'{table}' is not a table")) } else { Ok(None) };
        }
    }
    let entries = outer.and_then(Item::as_table_like);
    let is_there = match entries.and_then(|entries| entries.get(place.name)) {
        Some(item) if item.is_table_like() || item.is_array_of_tables() => {
            return Err(format!("'{key}' is a table, and not a value"));
        }
        item => item.is_some(),
    };
    let changed = match (new, is_there) {
        (None, false) => return Ok(None),
        (Some(new), true) => with_value(plain, &place, &new.to_string()),
        (new, _) if is_inline => Some(match has_crlf(plain) {
            // The package writes plain line ends.
            true => with_inline(document, &place, new).replace("\r\n", "\n").replace('\n', "\r\n"),
            false => with_inline(document, &place, new),
        }),
        (None, true) => without_lines(plain, &place),
        (Some(new), false) => with_line(plain, outer, &place, &new.to_string()),
    };
    let damaged = || "the change would damage other parts of the file".to_owned();
    let mut changed = changed.ok_or_else(damaged)?;
    if plain.len() < text.len() {
        changed.insert(0, '\u{feff}');
    }
    match (!is_inline || has_one_other_line(plain, &changed)) && is_as_meant(text, &changed, &place, value) {
        true => Ok(Some(changed)),
        false => Err(damaged()),
    }
}

/// Whether every line ends in a carriage return and a newline.
fn has_crlf(text: &str) -> bool {
    text.contains('\n') && text.matches('\n').count() == text.matches("\r\n").count()
}

/// The place of a key: its tables from the outermost one, and its name.
#[derive(Debug)]
struct Place<'k> {
    tables: Vec<&'k str>,
    name: &'k str,
}

impl<'k> Place<'k> {
    fn of(key: &'k str) -> Option<Place<'k>> {
        if let Some((host, mut names)) = host::split_key(key) {
            let name = names.pop()?;
            return Some(Place { tables: [&[HOST, host], &names[..]].concat(), name });
        }
        let (table, name) = key.split_once('.')?;
        Some(Place { tables: vec![table], name })
    }

    /// The heading of the table.
    fn heading(&self) -> String {
        format!("[{}]", self.tables.iter().map(|table| written(table)).collect::<Vec<_>>().join("."))
    }
}

/// A name as a TOML document has it: in quotes, unless it is a bare one.
fn written(name: &str) -> String {
    toml_edit::Key::new(name).display_repr().into_owned()
}

/// The entry at the end of a path of names.
fn entry_at<'e>(entries: &'e [TomlEntry], names: &[&str]) -> Option<&'e TomlEntry> {
    let (first, rest) = names.split_first()?;
    let entry = entries.iter().find(|entry| entry.name == *first)?;
    match &entry.value {
        _ if rest.is_empty() => Some(entry),
        Value::Table(inside) => entry_at(inside, rest),
        _ => None,
    }
}

/// The entries of a table.
fn inside<'e>(entries: &'e [TomlEntry], tables: &[&str]) -> &'e [TomlEntry] {
    match entry_at(entries, tables).map(|entry| &entry.value) {
        Some(Value::Table(inside)) => inside,
        _ => &[],
    }
}

impl Place<'_> {
    /// The entry of the key.
    fn entry<'e>(&self, entries: &'e [TomlEntry]) -> Option<&'e TomlEntry> {
        inside(entries, &self.tables).iter().find(|entry| entry.name == self.name)
    }
}

/// The bytes of the lines from one byte to another, with the last line end.
fn lines_of(text: &str, from: usize, to: usize) -> Option<std::ops::Range<usize>> {
    let start = text.get(..from)?.rfind('\n').map_or(0, |end| end + 1);
    let end = text.get(to..)?.find('\n').map_or(text.len(), |end| to + end + 1);
    Some(start..end)
}

/// The text with another value of an existing key; a comment behind the value is kept.
fn with_value(text: &str, place: &Place<'_>, value: &str) -> Option<String> {
    let (entries, _) = document::parse(text);
    let entry = place.entry(&entries)?;
    Some(format!("{}{value}{}", text.get(..entry.value_at)?, text.get(entry.value_end..)?))
}

/// The text without the lines of an existing key.
fn without_lines(text: &str, place: &Place<'_>) -> Option<String> {
    let (entries, _) = document::parse(text);
    let entry = place.entry(&entries)?;
    let lines = lines_of(text, entry.at, entry.value_end)?;
    Some(format!("{}{}", text.get(..lines.start)?, text.get(lines.end..)?))
}

/// The text with a line for a new key: behind the last key of its table, behind the heading of an empty table, or in a
/// new table at the end of the text.
fn with_line(text: &str, old: Option<&Item>, place: &Place<'_>, value: &str) -> Option<String> {
    let end = if has_crlf(text) { "\r\n" } else { "\n" };
    let old = old.and_then(Item::as_table);
    let name = written(place.name);
    let (all, _) = document::parse(text);
    let keys = inside(&all, &place.tables);
    // A table inside may have a heading of its own, behind which the line would belong to that table.
    let is_plain = |entry: &&TomlEntry| !matches!(entry.value, Value::Table(_) | Value::Other("an array"));
    let last = keys.iter().filter(is_plain).max_by_key(|entry| entry.at);
    let (at, line) = if let Some(last) = last {
        let lines = lines_of(text, last.at, last.value_end)?;
        // The indent, and of a dotted key the table.
        (lines.end, format!("{}{name} = {value}{end}", text.get(lines.start..last.at)?))
    } else if old.is_some_and(|old| !old.is_implicit() && !old.is_dotted()) {
        let heading = entry_at(&all, &place.tables)?.at;
        (lines_of(text, heading, heading)?.end, format!("{name} = {value}{end}"))
    } else {
        let blank = if text.trim().is_empty() { "" } else { end };
        (text.len(), format!("{blank}{}{end}{name} = {value}{end}", place.heading()))
    };
    let before = text.get(..at)?;
    let ended = if before.is_empty() || before.ends_with('\n') { "" } else { end };
    Some(format!("{before}{ended}{line}{}", text.get(at..)?))
}

/// Whether the texts have the same lines, except for one line at most.
fn has_one_other_line(before: &str, after: &str) -> bool {
    let differing = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
    before.lines().count() == after.lines().count() && differing.count() <= 1
}

/// The text with a key added to an inline table, or removed from one.
fn with_inline(mut document: DocumentMut, place: &Place<'_>, value: Option<toml_edit::Value>) -> String {
    let mut item = Some(document.as_item_mut());
    for table in &place.tables {
        let new = || Item::Value(toml_edit::InlineTable::new().into());
        item = item.and_then(|item| Some(item.as_table_like_mut()?.entry(table).or_insert_with(new)));
    }
    if let Some(entries) = item.and_then(Item::as_table_like_mut) {
        match value {
            Some(value) => drop(entries.insert(place.name, toml_edit::value(value))),
            None => drop(entries.remove(place.name)),
        }
    }
    document.to_string()
}

/// Whether the texts have the same entries, but for the changed one.
fn is_as_meant(before: &str, after: &str, place: &Place<'_>, value: Option<&Value>) -> bool {
    let ((before, _), (after, faults)) = (document::parse(before), document::parse(after));
    faults.is_empty()
        && is_same_but(&before, &after, &[&place.tables[..], &[place.name]].concat())
        && place.entry(&after).map(|entry| &entry.value) == value
}

/// Whether two tables have the same entries, but for the one at the end of a path of names. A table on the path may be
/// new.
fn is_same_but(before: &[TomlEntry], after: &[TomlEntry], names: &[&str]) -> bool {
    let Some((first, rest)) = names.split_first() else { return true };
    fn others<'e>(entries: &'e [TomlEntry], but: &str) -> Vec<&'e TomlEntry> {
        let mut others: Vec<&TomlEntry> = entries.iter().filter(|entry| entry.name != but).collect();
        others.sort_by(|one, other| one.name.cmp(&other.name));
        others
    }
    others(before, first) == others(after, first)
        && (rest.is_empty() || is_same_but(inside(before, &[first]), inside(after, &[first]), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, key: &str, value: &str) -> String {
        changed_text(text, key, Some(&Value::Text(value.to_owned()))).unwrap().unwrap()
    }

    fn unset(text: &str, key: &str) -> Option<String> {
        changed_text(text, key, None).unwrap()
    }

    #[test]
    fn comments_order_and_line_ends_are_kept() {
        let text = "# mine\n\n[runs] # of runs\n# how long\nkeep = '30d'   # days\n\n# colours\n[ui]\ncolor = \"auto\"\n# the end\n";
        assert_eq!(set(text, "runs.keep", "9d"), text.replace("'30d'", "\"9d\""));
        let added = set(text, "codex.home", "/x");
        assert_eq!(
            added.replace("[codex]\nhome = \"/x\"\n", "").replace("\n\n", "\n"),
            text.replace("\n\n", "\n")
        );
        let windows = text.replace('\n', "\r\n");
        assert_eq!(set(&windows, "runs.keep", "9d"), windows.replace("'30d'", "\"9d\""));
        assert_eq!(set(&format!("\u{feff}{text}"), "runs.keep", "9d").chars().next(), Some('\u{feff}'));
        assert_eq!(unset(text, "runs.keep").unwrap(), text.replace("keep = '30d'   # days\n", ""));
        assert_eq!(unset(text, "ui.color").unwrap(), text.replace("color = \"auto\"\n", ""));
        assert_eq!(unset(text, "ui.other"), None);
        assert_eq!(unset(text, "alias.x"), None);
        assert_eq!(set("", "alias.a", "ls \"x\" \\"), "[alias]\na = 'ls \"x\" \\'\n");
    }

    /// Every document of these parts, and every key: all lines but that of the key are unchanged, in their order.
    #[test]
    fn every_other_line_is_unchanged() {
        let heads = ["", "# top\n", "# top\n\n"];
        let runs = [
            "",
            "[runs]\n",
            "[runs] # of runs\n# how long\nkeep = '30d' # days\n# after keep\n",
            "runs.keep = '30d'\n# after keep\n",
            "runs = { keep = '30d' } # inline\n# after keep\n",
            "[runs]\n  # indented\n  keep = \"\"\"30d\"\"\"\n\n  max_concurrent = 3\n# after max\n",
            "[ \"runs\" ]\n'keep'   =   '30d'\n\n\n",
        ];
        let aliases = [
            "",
            "# short names\n[alias]\nlast = 'ls' # only\n# after last\n",
            "[alias]\n# one\none = 'ls'\n# two\nlast = [\n  'ls', # list\n  '-n',\n  '2',\n]\n\n# after last\n",
            "[alias]\n# nothing yet\n",
        ];
        let ends = ["", "\n# the end\n", "[ui]\n# colours\ncolor = 'auto'\n# the end"];
        let mut count = 0;
        let parts = heads.iter().flat_map(|head| runs.iter().map(move |runs| (head, runs)));
        let parts = parts.flat_map(|(head, runs)| aliases.iter().map(move |alias| (head, runs, alias)));
        for (head, runs, alias) in parts {
            for end in ends {
                let text = format!("{head}{runs}{alias}{end}");
                for text in [text.replace('\n', "\r\n"), text] {
                    for key in ["runs.keep", "runs.on_end", "alias.last", "alias.new", "ui.color", "ui.pager"]
                    {
                        count += usize::from(unset(&text, key).is_some_and(|after| {
                            check(&text, &after, key);
                            assert_eq!(unset(&after, key), None, "{text}");
                            true
                        }));
                        let after = set(&text, key, "ls -n 3");
                        check(&text, &after, key);
                        assert_eq!(set(&after, key, "ls -n 3"), after, "{text}");
                        assert_eq!(
                            text.contains("\r\n"),
                            after.contains("\r\n") && text.contains('\n'),
                            "{text}"
                        );
                    }
                }
            }
        }
        assert!(count > 500, "{count}");
    }

    /// Without the lines of a key, and without the table and the blank line that a new key may need, two texts have the
    /// same lines.
    fn check(before: &str, after: &str, key: &str) {
        let (table, name) = key.split_once('.').unwrap();
        let others = |text: &str| {
            let (entries, _) = document::parse(text);
            let entry = Place { tables: vec![table], name }.entry(&entries);
            let lines = entry.map(|entry| lines_of(text, entry.at, entry.value_end).unwrap());
            let rest = match lines {
                Some(lines) => format!("{}{}", &text[..lines.start], &text[lines.end..]),
                None => text.to_owned(),
            };
            // The line of an inline table stays, with other keys.
            let lines = rest.lines().filter(|line| !line.contains('{'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (old, mut new) = (others(before), others(after));
        if new.last().is_some_and(|line| *line == format!("[{table}]")) && new.len() > old.len() {
            new.pop();
            new.pop_if(|line| line.is_empty() && !old.is_empty());
        }
        assert_eq!(new, old, "{key}\n{before}\n{after}");
    }

    #[test]
    fn a_table_is_never_replaced() {
        for text in [
            "[runs.keep]\na = 1\n",
            "runs.keep.a = 1\n",
            "[runs]\nkeep = { a = 1 }\n",
            "[[runs.keep]]\na = 1\n",
        ] {
            for value in [Some(Value::Text("9d".to_owned())), None] {
                let why = changed_text(text, "runs.keep", value.as_ref()).unwrap_err();
                assert_eq!(why, "'runs.keep' is a table, and not a value", "{text}");
            }
            // Another key of the same table is set, where the table has a heading.
            if text.contains('[') {
                let after = set(text, "runs.on_end", "true");
                assert!(text.lines().all(|line| after.contains(line)), "{after}");
            }
        }
    }

    #[test]
    fn keys_of_hosts_are_changed_in_every_form_of_their_table() {
        let text = "# mine\n[host.gpu]\nvia = 'x' # there\n\n[host.\"a.org\".paths]\n'/here' = '/there'\n";
        assert_eq!(set(text, "host.gpu.via", "y"), text.replace("'x'", "\"y\""));
        let added = text.replace("# there\n", "# there\ncommand = \"c\"\n");
        assert_eq!(set(text, "host.gpu.command", "c"), added);
        assert_eq!(unset(text, "host.gpu.via").unwrap(), text.replace("via = 'x' # there\n", ""));
        assert_eq!(set(text, "host.a.org.paths./here", "/y"), text.replace("'/there'", "\"/y\""));
        assert_eq!(set(text, "host.a.org.paths./n.w", "/y"), format!("{text}\"/n.w\" = \"/y\"\n"));
        assert_eq!(set(text, "host.a.org.via", "v"), format!("{text}\n[host.\"a.org\"]\nvia = \"v\"\n"));
        assert_eq!(set("", "host.a.paths./x", "/y"), "[host.a.paths]\n\"/x\" = \"/y\"\n");
        assert_eq!(unset(text, "host.other.via"), None);
        for text in [
            "host.gpu.via = 'x'\n",
            "host = { gpu = { via = 'x' } }\n",
            "[host]\ngpu = { via = 'x' }\n",
            "[host]\ngpu.via = 'x'\n",
        ] {
            for key in ["host.gpu.via", "host.gpu.command", "host.gpu.paths./here", "host.b.via"] {
                let after = set(text, key, "/y");
                assert_eq!(set(&after, key, "/y"), after, "{text}");
                assert!(unset(&after, key).is_some_and(|left| !left.contains("/y")), "{after}");
            }
        }
        for text in ["host = 5\n", "[host]\ngpu = 'x'\n", "[host.gpu]\nvia.x = 1\n"] {
            let new = Value::Text("y".to_owned());
            assert!(changed_text(text, "host.gpu.via", Some(&new)).is_err(), "{text}");
        }
    }

    #[test]
    fn every_form_of_a_table_is_changed() {
        for text in [
            "runs.keep = '30d'\n",
            "runs = { keep = '30d' }\n",
            "[runs]\nkeep = '30d'",
            "\"runs\".'keep'='30d'",
        ] {
            assert!(set(text, "runs.keep", "9d").contains("\"9d\""), "{text}");
            let both = set(text, "runs.more", "x");
            let (entries, faults) = document::parse(&both);
            assert!(faults.is_empty() && entries.len() == 1, "{both}");
            assert!(unset(text, "runs.keep").is_some_and(|left| !left.contains("30d")), "{text}");
        }
        for text in ["runs = 5\n", "[[runs]]\nkeep = '1d'\n", "runs = [1]\n", "[runs\n"] {
            assert!(changed_text(text, "runs.keep", Some(&Value::Text("9d".to_owned()))).is_err(), "{text}");
        }
        assert_eq!(unset("runs = 5\n", "runs.keep"), None);
    }
}
