//! Lists of hosts on the command line: `gpu,build` or `all`, and with numbers of concurrent jobs `gpu:4,build`.

use std::collections::HashSet;

use super::{ALL, HERE, Host, check_name, configured};
use crate::config::host::MAX_CONCURRENT;
use crate::config::{Kind, as_far_as_valid};
use crate::error::{Error, Result};
use crate::text::nearest;

/// Hosts that the user named, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostList {
    entries: Vec<(String, Option<usize>)>,
}

impl HostList {
    /// The hosts of a list such as `gpu,build`. `all` stands for every host of `config.toml`, `.` for this machine.
    pub fn parse(text: &str) -> Result<HostList> {
        let mut list = HostList::default();
        for word in text.split(',').map(str::trim) {
            if ![HERE, ALL].contains(&word) {
                check_name(word)?;
            }
            list.add(word, None);
        }
        Ok(list)
    }

    /// The hosts of a list such as `gpu:4,build`, where 4 is the number of concurrent jobs on the host. `all` stands
    /// for every host of `config.toml`.
    pub fn parse_with_slots(text: &str) -> Result<HostList> {
        let mut list = HostList::default();
        for (name, slots) in parse_slots(text)? {
            list.add(&name, slots);
        }
        Ok(list)
    }

    /// Adds the hosts of another list.
    pub fn extend(&mut self, more: HostList) {
        more.entries.iter().for_each(|(name, slots)| self.add(name, *slots));
    }

    fn add(&mut self, name: &str, slots: Option<usize>) {
        if !self.entries.iter().any(|(known, _)| known == name) {
            self.entries.push((name.to_owned(), slots));
        }
    }

    /// The names, as the user wrote them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// The hosts, each once, with the number of concurrent jobs that the list gives. Reads `config.toml`.
    pub fn hosts(&self) -> Result<Vec<(Host, Option<usize>)>> {
        let mut hosts = Vec::new();
        for (name, slots) in &self.entries {
            match name.as_str() {
                HERE => hosts.push((Host::here(), *slots)),
                // A host that is also named by itself has the number that is given there.
                ALL => hosts.extend(configured()?.into_iter().map(|host| {
                    let own = self.entries.iter().find(|(name, _)| *name == host.name);
                    let slots = own.and_then(|(_, own)| *own).or(*slots);
                    (host, slots)
                })),
                name => {
                    check_slip(name)?;
                    hosts.push((Host::named(name)?, *slots));
                }
            }
        }
        if hosts.is_empty() {
            return Err(Error::usage("there is no host in config.toml")
                .hint("'codex-agent config set host.NAME.via \"ssh NAME\"' adds a host"));
        }
        let mut seen = HashSet::new();
        hosts.retain(|(host, _)| seen.insert(host.name.clone()));
        Ok(hosts)
    }
}

/// Refuses a name that is probably one of `config.toml`, misspelt. Names that differ in their digits are those of two
/// hosts.
fn check_slip(name: &str) -> Result<()> {
    let letters = |name: &str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let config = as_far_as_valid();
    let known: Vec<&str> = config.hosts().iter().map(|host| host.name.as_str()).collect();
    if known.contains(&name) {
        return Ok(());
    }
    let near = nearest(name, known.iter().copied());
    match near.first().filter(|near| letters(near) != letters(name)) {
        Some(near) => {
            Err(Error::usage(format!("unknown host '{name}'")).hint(format!("did you mean '{near}'?")).hint(
                format!("'codex-agent config set host.{name}.via \"ssh {name}\"' adds a host of this name"),
            ))
        }
        None => Ok(()),
    }
}

/// The names of a list such as `gpu:4,build`, each with its number of concurrent jobs.
pub fn parse_slots(text: &str) -> Result<Vec<(String, Option<usize>)>> {
    text.split(',').map(|word| one(word.trim())).collect()
}

fn one(word: &str) -> Result<(String, Option<usize>)> {
    let (name, slots) = match word.split_once(':') {
        Some((name, slots)) => (name, Some(slots)),
        None => (word, None),
    };
    if name != ALL {
        check_name(name)?;
    }
    let Kind::Number(least, most) = MAX_CONCURRENT else { return Ok((name.to_owned(), None)) };
    let number = |text: &str| text.parse().ok().filter(|number| (least..=most).contains(number));
    match slots.map(|text| (text, number(text))) {
        None => Ok((name.to_owned(), None)),
        Some((_, Some(number))) => Ok((name.to_owned(), Some(number))),
        Some((text, None)) => Err(Error::usage(format!(
            "invalid number of jobs '{text}' for host '{name}': expected {}",
            MAX_CONCURRENT.expected()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_each_host_once() {
        let names =
            |text: &str| HostList::parse(text).unwrap().names().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names("a, b,a"), ["a", "b"]);
        assert_eq!(names(".,all"), [".", "all"]);
        for text in ["", ",", "a,", "-x", "a b", "id", "a:1", ".."] {
            assert!(HostList::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_of_jobs_follow_a_colon() {
        let of = |text: &str| parse_slots(text).unwrap();
        assert_eq!(of("a:4,b"), [("a".to_owned(), Some(4)), ("b".to_owned(), None)]);
        assert_eq!(of("me@a.org:256")[0].1, Some(256));
        for text in ["a:0", "a:257", "a:", "a:x", "a:1:2", ":1", ".:1", "-a:1", "id:1", "."] {
            assert!(parse_slots(text).is_err(), "{text}");
        }
    }
}
