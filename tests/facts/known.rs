//! The known state of a version: sorted lines `key = value`, a file for each area; and the differences of
//! two states.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::lab::{Outcome, said};

/// An area, its keys, their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    pub version: String,
    areas: BTreeMap<String, BTreeMap<String, String>>,
}

/// Separates a key from its value.
const SIGN: &str = " = ";

/// The value of a key that has none.
const NOTHING: &str = "()";

impl Known {
    pub fn new(version: &str) -> Known {
        Known { version: version.to_owned(), areas: BTreeMap::new() }
    }

    /// Adds a line. A second value of a key is added to the first.
    pub fn add(&mut self, area: &str, key: &str, value: &str) {
        let key = key.replace(SIGN, " is ").replace('\n', " ");
        let value = value.trim().replace('\n', "\\n");
        let value = if value.is_empty() { NOTHING.to_owned() } else { value };
        let kept = self.areas.entry(area.to_owned()).or_default().entry(key).or_default();
        match kept.is_empty() {
            true => *kept = value,
            false if kept.split(" | ").any(|one| one == value) => {}
            false => {
                let mut all: Vec<&str> = kept.split(" | ").chain([value.as_str()]).collect();
                all.sort_unstable();
                *kept = all.join(" | ");
            }
        }
    }

    pub fn area(&self, area: &str) -> Option<&BTreeMap<String, String>> {
        self.areas.get(area)
    }

    /// Adds all that another state has.
    pub fn join(&mut self, other: Known) {
        self.areas.extend(other.areas);
    }

    /// Reads a state from a directory.
    pub fn read(directory: &Path) -> Outcome<Known> {
        let trouble = |path: &Path, error| format!("cannot read '{}': {error}", path.display());
        let text = |path: &Path| fs::read_to_string(path).map_err(|error| trouble(path, error));
        let mut known = Known::new(text(&directory.join("version"))?.trim());
        for entry in fs::read_dir(directory).map_err(|error| trouble(directory, error))?.flatten() {
            let path = entry.path();
            let Some(area) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".txt")) else {
                continue;
            };
            for (at, line) in text(&path)?.lines().enumerate() {
                let Some((key, value)) = line.split_once(SIGN) else {
                    return Err(format!("'{}', line {}: no '{SIGN}' in it", path.display(), at + 1));
                };
                known.add(area, key, value);
            }
        }
        Ok(known)
    }

    /// Replaces the state in a directory.
    pub fn write(&self, directory: &Path) -> Outcome {
        fs::create_dir_all(directory).map_err(said)?;
        for entry in fs::read_dir(directory).map_err(said)?.flatten() {
            fs::remove_file(entry.path()).map_err(said)?;
        }
        fs::write(directory.join("version"), format!("{}\n", self.version)).map_err(said)?;
        for (area, lines) in &self.areas {
            let text: String = lines.iter().map(|(key, value)| format!("{key}{SIGN}{value}\n")).collect();
            fs::write(directory.join(format!("{area}.txt")), text).map_err(said)?;
        }
        Ok(())
    }

    /// The differences of `now`, by area, for people; empty where there is none.
    pub fn differences(&self, now: &Known) -> String {
        let none = BTreeMap::new();
        let mut text = String::new();
        let mut areas: Vec<&String> = self.areas.keys().chain(now.areas.keys()).collect();
        areas.sort();
        areas.dedup();
        for area in areas {
            let before = self.area(area).unwrap_or(&none);
            let after = now.area(area).unwrap_or(&none);
            let mut lines = Vec::new();
            for (key, value) in before {
                match after.get(key) {
                    None => lines.push(format!("  - {key}{SIGN}{value}")),
                    Some(other) if other != value => {
                        lines.push(format!("  ~ {key}: {}", changed(value, other)));
                    }
                    Some(_) => {}
                }
            }
            let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
            lines.extend(added.map(|(key, value)| format!("  + {key}{SIGN}{value}")));
            if !lines.is_empty() {
                // By key, and an addition behind the removal that it replaces.
                lines.sort_by(|a, b| a[4..].cmp(&b[4..]).then_with(|| b.cmp(a)));
                let noun = if lines.len() == 1 { "change" } else { "changes" };
                let _ = writeln!(text, "{area}: {} {noun}", lines.len());
                let _ = writeln!(text, "{}", lines.join("\n"));
            }
        }
        text
    }
}

/// The difference of two values: the words that came and went, where they are lists of words.
fn changed(before: &str, after: &str) -> String {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (words(before), words(after));
    let less = |a: &[String], b: &[String], sign: &str| {
        a.iter().filter(|word| !b.contains(word)).map(|word| format!("{sign}{word}")).collect::<Vec<_>>()
    };
    let (gone, come) = (less(&old, &new, "-"), less(&new, &old, "+"));
    if old.len().min(new.len()) > 4 && gone.len() + come.len() < old.len() {
        return [gone, come].concat().join(" ");
    }
    format!("{before} -> {after}")
}
