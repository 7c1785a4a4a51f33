//! Queries by chance, and their answers the slow way.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::PathBuf;

use codex_agent_shared::time::Timestamp;
use serde_json::Value;

use super::home::Drifted;
use super::id;
use crate::world::{Dice, json};

/// Where a listing looks.
const SOURCES: [&[&str]; 3] = [&[], &["--no-database"], &["--no-files"]];

/// Flags that take patterns, and the fields that they are about.
const PATTERNS: [(&str, &[&str]); 8] = [
    ("--repo", &["git", "origin_url"]),
    ("--branch", &["git", "branch"]),
    ("--source", &["source"]),
    ("--originator", &["originator"]),
    ("--provider", &["model_provider"]),
    ("--model", &["model"]),
    ("--cli-version", &["cli_version"]),
    ("--name", &["name"]),
];

/// Keys of an order, and the fields that they are about.
const KEYS: [Key; 14] = [
    ("updated", &["updated_at"]),
    ("created", &["created_at"]),
    ("tokens", &["tokens_used"]),
    ("title", &["title"]),
    ("cwd", &["cwd"]),
    ("updated_at", &["updated_at"]),
    ("tokens_used", &["tokens_used"]),
    ("name", &["name"]),
    ("git.branch", &["git", "branch"]),
    ("model", &["model"]),
    ("archived_at", &["archived_at"]),
    ("pinned", &["pinned"]),
    ("rollout_path", &["rollout_path"]),
    ("id", &["id"]),
];

type Key = (&'static str, &'static [&'static str]);

/// A query as a user asks it.
#[derive(Default)]
pub struct Asked {
    sort: Option<(Key, Option<bool>)>,
    limit: Option<usize>,
    offset: usize,
    archived: Option<bool>,
    subagents: bool,
    cwd: Vec<String>,
    under: Vec<String>,
    patterns: Vec<(&'static str, &'static [&'static str], String)>,
    named: bool,
    by_creation: bool,
    since: Option<i64>,
    until: Option<i64>,
    group: Option<Vec<String>>,
    forks_of: Option<String>,
    status: Option<String>,
}

impl Asked {
    pub fn new(dice: &mut Dice, home: &Drifted, oracle: &Oracle) -> Asked {
        let mut asked = Asked { archived: [None, Some(false), Some(true)][dice.upto(3)], ..Asked::default() };
        asked.subagents = dice.one_in(2);
        let all = oracle.records.len();
        if !dice.one_in(4) {
            asked.sort = Some((KEYS[dice.upto(KEYS.len())], [None, Some(false), Some(true)][dice.upto(3)]));
        }
        if !dice.one_in(4) {
            asked.limit = Some(if dice.one_in(2) { dice.upto(4) } else { dice.upto(all + 2) });
        }
        if dice.one_in(3) {
            asked.offset = dice.upto(all + 2);
        }
        // Half of the queries ask for an order and a page alone: there the merge is seen best.
        if dice.one_in(2) {
            return asked;
        }
        let Some(session) = (all > 0).then(|| &oracle.records[dice.upto(all)]) else { return asked };
        // A relative one would be taken from the directory that the tool is called in.
        let cwd = session["cwd"].as_str().filter(|cwd| cwd.starts_with('/')).unwrap_or("/").to_owned();
        match dice.below(12) {
            0 => asked.cwd.push(cwd),
            1 => asked.cwd.extend([cwd, home.world.path("projects/notes").display().to_string()]),
            2 => asked.under.push(cwd),
            3 => asked.under.push(home.world.path("projects").display().to_string()),
            4 => asked.under.push(home.world.path("project").display().to_string()),
            _ => {}
        }
        if dice.one_in(3) {
            let (flag, path) = PATTERNS[dice.upto(PATTERNS.len())];
            if let Some(value) = path.iter().fold(session, |value, key| &value[*key]).as_str() {
                let value = match dice.below(4) {
                    0 => format!("{}*", value.chars().take(3).collect::<String>()),
                    1 => format!("*{}", value.chars().skip(1).collect::<String>()),
                    2 => "nothing has this".to_owned(),
                    _ => value.to_owned(),
                };
                asked.patterns.push((flag, path, value));
            }
        }
        asked.named = dice.one_in(10);
        if dice.one_in(3) {
            asked.by_creation = dice.one_in(3);
            let at = time(session, asked.by_creation).unwrap_or(0);
            let near = at + i64::try_from(dice.below(4000)).unwrap() - 2000;
            let bound = [near, at, at / 1000 * 1000][dice.upto(3)];
            match dice.below(3) {
                0 => asked.since = Some(bound),
                1 => asked.until = Some(bound),
                _ => (asked.since, asked.until) = (Some(bound), Some(bound + 20_000)),
            }
        }
        if dice.one_in(8) {
            let ids = oracle.records.iter().filter(|_| dice.one_in(2)).map(|r| id(r).to_owned()).collect();
            asked.group = Some(ids);
        }
        if dice.one_in(12) {
            let forks: Vec<&str> =
                oracle.records.iter().filter_map(|record| record["forked_from"].as_str()).collect();
            let ids: Vec<&str> = oracle.records.iter().map(id).collect();
            let parents: Vec<&str> = forks.into_iter().filter(|id| ids.contains(id)).collect();
            if !parents.is_empty() {
                asked.forks_of = Some(parents[dice.upto(parents.len())].to_owned());
            }
        }
        if dice.one_in(8) {
            asked.status = session["status"].as_str().map(str::to_owned);
        }
        if let Some(ids) = &asked.group {
            let config = home.world.config("groups.json");
            drop(std::fs::remove_file(config));
            let added = home.world.feed(&["codex-agent-group", "create", "g"], "");
            assert_eq!(added.code, 0, "{}", added.err);
            if !ids.is_empty() {
                let added = home.world.feed(&["codex-agent-group", "add", "g"], ids.join("\n"));
                assert_eq!(added.code, 0, "{}", added.err);
            }
        }
        asked
    }

    /// A page of a query in the order of creation.
    pub fn sorted_by_creation(dice: &mut Dice, home: &Drifted, oracle: &Oracle) -> Asked {
        let mut asked = Asked::new(dice, home, oracle);
        asked.sort = Some((KEYS[1], dice.pick(&[None, Some(false), Some(true)])));
        asked.limit = asked.limit.or(Some(dice.upto(20)));
        if !dice.one_in(3) {
            asked.archived = None;
        }
        asked
    }

    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut say = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
        if let Some(((key, _), descending)) = self.sort {
            let (before, order) = match descending {
                None => ("", ""),
                // Both forms of the same.
                Some(true) if self.offset % 2 == 1 => ("-", ""),
                Some(true) => ("", ":desc"),
                Some(false) => ("", ":asc"),
            };
            say("--sort", &format!("{before}{key}{order}"));
        }
        if let Some(limit) = self.limit {
            say("--limit", &limit.to_string());
        }
        if self.offset > 0 {
            say("--offset", &self.offset.to_string());
        }
        self.cwd.iter().for_each(|cwd| say("--cwd", cwd));
        self.under.iter().for_each(|under| say("--under", under));
        self.patterns.iter().for_each(|(flag, _, pattern)| say(flag, pattern));
        if self.by_creation {
            say("--time", "created");
        }
        if let Some(since) = self.since {
            say("--since", &Timestamp(since).to_string());
        }
        if let Some(until) = self.until {
            say("--until", &Timestamp(until).to_string());
        }
        if self.group.is_some() {
            say("--group", "g");
        }
        if let Some(parent) = &self.forks_of {
            say("--forks-of", parent);
        }
        if let Some(status) = &self.status {
            say("--status", status);
        }
        let alone = [
            (self.archived == Some(false), "--archived"),
            (self.archived == Some(true), "--archived=only"),
            (self.subagents, "--subagents"),
            (self.named, "--named"),
        ];
        words.extend(alone.iter().filter(|(said, _)| *said).map(|(_, flag)| (*flag).to_owned()));
        words
    }
}

/// What is known of every session of a home, by one listing of everything.
pub struct Oracle {
    pub records: Vec<Value>,
    whole_seconds: bool,
    source: usize,
    full: bool,
}

impl Oracle {
    pub fn new(home: &Drifted, source: usize, full: bool) -> Oracle {
        let mut oracle = Oracle { records: Vec::new(), whole_seconds: home.whole_seconds, source, full };
        if !home.sources().contains(&source) {
            return oracle;
        }
        let listed = |more: &[&str]| {
            let words =
                [&["codex-agent-ls", "--archived", "--subagents", "--json"], &oracle.flags()[..], more];
            json(&home.world.ok(&words.concat()))
        };
        let mut records = listed(&[]);
        let looked = listed(&["--fields", "id,status,forked_from,resume_command"]);
        let mut looked: BTreeMap<String, Value> =
            looked.into_iter().map(|record| (id(&record).to_owned(), record)).collect();
        for record in &mut records {
            let more = looked.remove(id(record)).unwrap();
            for field in ["status", "forked_from", "resume_command"] {
                record[field] = more[field].clone();
            }
        }
        // The order of this listing is not relied on.
        records.sort_by(|a, b| id(a).cmp(id(b)));
        oracle.records = records;
        oracle
    }

    /// Flags that every question to this oracle has.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = SOURCES[self.source].to_vec();
        flags.extend(self.full.then_some("--full"));
        flags
    }

    /// Filters everything, sorts everything, and cuts the page out.
    pub fn answer(&self, asked: &Asked) -> Vec<&Value> {
        let mut fit: Vec<&Value> = self.records.iter().filter(|record| self.fits(record, asked)).collect();
        let ((_, path), descending) = asked.sort.unwrap_or((KEYS[0], None));
        let greatest_first = ["updated_at", "created_at", "archived_at", "tokens_used", "pinned"];
        let descending = descending.unwrap_or(greatest_first.contains(&path[0]));
        fn at<'r>(record: &'r Value, path: &[&str]) -> &'r Value {
            path.iter().fold(record, |value, key| &value[*key])
        }
        fit.sort_by(|a, b| {
            by_value(at(a, path), at(b, path), descending).then_with(|| {
                let order = id(a).cmp(id(b));
                if descending { order.reverse() } else { order }
            })
        });
        fit.into_iter().skip(asked.offset).take(asked.limit.unwrap_or(usize::MAX)).collect()
    }

    fn fits(&self, record: &Value, asked: &Asked) -> bool {
        let is_archived = !record["archived_at"].is_null();
        let cwd = record["cwd"].as_str().unwrap_or("");
        let at = time(record, asked.by_creation);
        // A row of whole seconds may be of any moment of its second.
        let whole = self.whole_seconds && record["found_in"] != "files";
        let latest = at.map(|at| if whole { at + 999 } else { at });
        (match asked.archived {
            None => !is_archived,
            Some(false) => true,
            Some(true) => is_archived,
        }) && (asked.subagents || record["subagent"].is_null())
            && (asked.cwd.is_empty() || asked.cwd.iter().any(|wanted| wanted == cwd))
            && (asked.under.is_empty()
                || asked.under.iter().any(|top| std::path::Path::new(cwd).starts_with(top)))
            && asked.patterns.iter().all(|(_, path, pattern)| {
                path.iter().fold(record, |value, key| &value[*key]).as_str().is_some_and(|v| like(pattern, v))
            })
            && (!asked.named || !record["name"].is_null())
            && asked.since.is_none_or(|since| latest.is_some_and(|at| at >= since))
            && asked.until.is_none_or(|until| at.is_some_and(|at| at <= until))
            && asked.group.as_ref().is_none_or(|ids| ids.iter().any(|wanted| wanted == id(record)))
            && asked.forks_of.as_ref().is_none_or(|parent| record["forked_from"] == parent.as_str())
            && asked.status.as_ref().is_none_or(|status| record["status"] == status.as_str())
    }

    /// A reference by chance: its text, the directory that it is typed in, and the ids that it means.
    pub fn reference(&self, dice: &mut Dice, home: &Drifted) -> (String, PathBuf, Vec<String>) {
        let project =
            |dice: &mut Dice| home.world.path("projects").join(["alpha", "beta", "notes"][dice.upto(3)]);
        let here = project(dice);
        let visible: Vec<&Value> = self.answer(&Asked::default());
        if dice.one_in(2) || self.records.is_empty() {
            let nth = 1 + dice.upto(8);
            if dice.one_in(3) {
                let want = visible.first().map(|record| id(record).to_owned());
                return ("@@".to_owned(), here, want.into_iter().collect());
            }
            let asked = Asked { cwd: vec![here.display().to_string()], ..Asked::default() };
            let want = self.answer(&asked).get(nth - 1).map(|record| id(record).to_owned());
            let text = if nth == 1 && dice.one_in(2) { "@".to_owned() } else { format!("@{nth}") };
            return (text, here, want.into_iter().collect());
        }
        let whole = id(&self.records[dice.upto(self.records.len())]).to_owned();
        if dice.one_in(4) {
            return (whole.clone(), here, vec![whole]);
        }
        let digits: String = whole.chars().filter(|c| *c != '-').collect();
        let length = 4 + dice.upto(20);
        let part = match dice.below(3) {
            0 => digits[..length].to_owned(),
            1 => digits[32 - length..].to_owned(),
            _ => digits[24..24 + 4 + dice.upto(5)].to_owned(),
        };
        let mut asked = Asked { archived: Some(false), subagents: true, ..Asked::default() };
        let fits = |record: &&Value| {
            let digits: String = id(record).chars().filter(|c| *c != '-').collect();
            digits.starts_with(&part) || digits.ends_with(&part) || digits[24..].starts_with(&part)
        };
        let mut found: Vec<&Value> = self.answer(&asked).into_iter().filter(fits).collect();
        asked = Asked::default();
        if found.iter().any(|record| self.fits(record, &asked)) {
            found.retain(|record| self.fits(record, &asked));
        }
        let want = found.into_iter().map(|record| id(record).to_owned()).collect();
        (format!("id:{part}"), here, want)
    }
}

fn time(record: &Value, by_creation: bool) -> Option<i64> {
    let text = record[if by_creation { "created_at" } else { "updated_at" }].as_str()?;
    Timestamp::parse(text).map(|at| at.0)
}

/// Null stands last in either direction.
fn by_value(a: &Value, b: &Value, descending: bool) -> Ordering {
    let order = match (a.is_null(), b.is_null()) {
        (false, false) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ if a.is_boolean() => a.as_bool().cmp(&b.as_bool()),
            _ => a.as_str().unwrap().cmp(b.as_str().unwrap()),
        },
        (true, true) => return Ordering::Equal,
        (a, _) => return if a { Ordering::Greater } else { Ordering::Less },
    };
    if descending { order.reverse() } else { order }
}

/// Whether a pattern with stars is like the whole of a text, by trying every way.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| like(after, &rest[at..]))
        }),
    }
}
