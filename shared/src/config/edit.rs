//! Changing one key of `config.toml`: comments, order and blank lines are kept.
//!
//! The file is read, changed and replaced atomically under its lock ([`mod@crate::store`]): concurrent changes are made
//! one after the other. A file that cannot be parsed is never overwritten, and a symbolic link is kept. The changed
//! text is read again before it is saved, and must have the old entries and the new value.

use std::path::Path;

use toml_edit::{DocumentMut, Item, RawString, TableLike};

use super::alias::Target;
use super::document::{self, Invalid, TomlEntry, Value};
use super::{ALIAS, Config, Kind, LONGEST, NAME, SETTINGS, Setting};
use crate::error::{Error, Result};
use crate::plugin::is_name;
use crate::store::{Store, read_capped};
use crate::text::nearest;

/// Sets a key, such as `runs.keep` or `alias.today`, in the file of a directory. The text is checked as when the file
/// is read.
pub fn set(directory: &Path, key: &str, text: &str) -> Result<()> {
    let value = match find(key)? {
        Some(setting) => parse_setting(setting, text),
        None => parse_alias(text),
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

/// The setting with this key; `None` for the key of an alias.
fn find(key: &str) -> Result<Option<&'static Setting>> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
        return Ok(Some(setting));
    }
    match key.split_once('.') {
        Some((ALIAS, name)) if is_name(name) => Ok(None),
        Some((ALIAS, name)) => Err(Error::usage(format!(
            "invalid alias name '{name}': use lower case letters, digits and dashes"
        ))),
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
    let value = match (setting.kind, text.parse::<i64>()) {
        (Kind::Number(..), Ok(number)) => Value::Number(Some(number)),
        (Kind::Number(..), Err(_)) => return Err(format!("expected {}", setting.kind.expected())),
        _ => Value::Text(text.to_owned()),
    };
    setting.kind.read(&value).map(|_| value).map_err(reason_of)
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
    let unchanged = "nothing was changed";
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
    let (table, name) = key.split_once('.').ok_or("the key has no table")?;
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut document: DocumentMut = plain.parse().map_err(|error: toml_edit::TomlError| {
        error.message().lines().next().unwrap_or_default().to_owned()
    })?;
    let entry = document.entry(table);
    match value {
        None => {
            let item = entry.or_insert(Item::None);
            let Some(entries) = item.as_table_like_mut().filter(|entries| entries.contains_key(name)) else {
                return Ok(None);
            };
            let comments = remove(entries, name);
            if !comments.is_empty() {
                put_back(&mut document, table, &comments);
            }
        }
        Some(value) => {
            let new: toml_edit::Value = match value {
                Value::Number(Some(number)) => (*number).into(),
                Value::Text(text) => text.as_str().into(),
                other => return Err(format!("cannot write {}", other.type_name())),
            };
            let item = entry.or_insert_with(toml_edit::table);
            let entries = item.as_table_like_mut().ok_or(format!("'{table}' is not a table"))?;
            match entries.get_mut(name).and_then(Item::as_value_mut) {
                Some(old) => {
                    let decor = old.decor().clone();
                    *old = new;
                    *old.decor_mut() = decor;
                }
                None => drop(entries.insert(name, toml_edit::value(new))),
            }
        }
    }
    let mut changed = document.to_string();
    // The library writes plain line ends, and no byte order mark.
    if plain.contains('\n') && plain.matches('\n').count() == plain.matches("\r\n").count() {
        changed = changed.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    if plain.len() < text.len() {
        changed.insert(0, '\u{feff}');
    }
    match is_as_meant(text, &changed, (table, name), value) {
        true => Ok(Some(changed)),
        false => Err("the change would damage other parts of the file".to_owned()),
    }
}

/// Removes a key, and returns the comments above it.
fn remove(entries: &mut dyn TableLike, name: &str) -> String {
    let above = entries.key(name).and_then(|key| key.leaf_decor().prefix()).and_then(RawString::as_str);
    let comments = above.filter(|above| above.contains('#')).unwrap_or_default().to_owned();
    let next = entries.iter().skip_while(|(key, _)| *key != name).nth(1).map(|(key, _)| key.to_owned());
    entries.remove(name);
    let Some(mut next) = next.as_deref().and_then(|next| entries.key_mut(next)) else { return comments };
    if comments.is_empty() {
        return comments;
    }
    let below = next.leaf_decor().prefix().and_then(RawString::as_str).unwrap_or_default().to_owned();
    next.leaf_decor_mut().set_prefix(format!("{comments}{below}"));
    String::new()
}

/// Puts the comments of a removed last key before the next table, or at the end of the file.
fn put_back(document: &mut DocumentMut, table: &str, comments: &str) {
    let next = document.iter().skip_while(|(key, _)| *key != table).nth(1).map(|(key, _)| key.to_owned());
    let prepend = |below: Option<&RawString>| {
        format!("{comments}{}", below.and_then(RawString::as_str).unwrap_or_default())
    };
    match next.as_deref().and_then(|next| document.get_mut(next)).and_then(Item::as_table_mut) {
        Some(next) if !next.is_dotted() => {
            let text = prepend(next.decor().prefix());
            next.decor_mut().set_prefix(text);
        }
        _ => {
            let text = prepend(Some(document.trailing()));
            document.set_trailing(text);
        }
    }
}

/// Whether the texts have the same entries, but for the changed one.
fn is_as_meant(before: &str, after: &str, (table, name): (&str, &str), value: Option<&Value>) -> bool {
    let ((before, _), (after, faults)) = (document::parse(before), document::parse(after));
    fn find<'e>(entries: &'e [TomlEntry], name: &str) -> Option<&'e Value> {
        entries.iter().find(|entry| entry.name == name).map(|entry| &entry.value)
    }
    fn others<'e>(entries: &'e [TomlEntry], but: &str) -> Vec<&'e TomlEntry> {
        let mut others: Vec<&TomlEntry> = entries.iter().filter(|entry| entry.name != but).collect();
        others.sort_by(|one, other| one.name.cmp(&other.name));
        others
    }
    fn inside<'e>(entries: &'e [TomlEntry], table: &str) -> &'e [TomlEntry] {
        match find(entries, table) {
            Some(Value::Table(inside)) => inside,
            _ => &[],
        }
    }
    let (old, new) = (inside(&before, table), inside(&after, table));
    faults.is_empty()
        && others(&before, table) == others(&after, table)
        && others(old, name) == others(new, name)
        && find(new, name) == value
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
