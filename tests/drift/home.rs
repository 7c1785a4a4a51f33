//! Homes that have drifted, from recorded ones and a seed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use codex_agent_shared::time::Timestamp;
use rusqlite::Connection;

use crate::world::{Dice, HOMES, World, copy, data};

/// Where the recorded projects were.
const RECORDED: [&str; 2] = ["/tmp/codex-fixture/projects", "/tmp/rec/fx/projects"];

/// A home whose database and files disagree.
pub struct Drifted {
    pub world: World,
    /// Ids that have a row.
    pub rows: BTreeSet<String>,
    /// Ids whose row says that they are archived.
    pub archived_rows: BTreeSet<String>,
    /// Ids that have a rollout.
    pub files: BTreeSet<String>,
    /// Whether times of rows are whole seconds (databases before 0.122).
    pub whole_seconds: bool,
    /// What was done to it.
    pub story: String,
}

impl Drifted {
    /// Of any recorded version, or with the rollouts of all of them, as after years of upgrades.
    pub fn new(dice: &mut Dice) -> Drifted {
        let version = HOMES.get(dice.upto(HOMES.len() + 2)).copied();
        Drifted::with_rollouts_of(version, dice)
    }

    /// Of a recorded version; without one, with the rollouts of all of them.
    pub fn with_rollouts_of(version: Option<&'static str>, dice: &mut Dice) -> Drifted {
        let world = World::new();
        let home = world.codex_home();
        match version {
            Some(version) => copy(&data(&format!("homes/{version}")), &home),
            None => grow(&home),
        }
        let mut story = version.unwrap_or("grown").to_owned();
        if dice.one_in(8) && !story.ends_with("odd") {
            // A home that was copied without its log: rows of the last minutes are gone.
            for name in ["state_5.sqlite-wal", "state_5.sqlite-shm"] {
                drop(fs::remove_file(home.join(name)));
            }
            story.push_str(", without -wal");
        }
        let projects = world.path("projects");
        for name in ["alpha", "beta", "notes"] {
            fs::create_dir_all(projects.join(name)).unwrap();
        }
        let projects = fs::canonicalize(projects).unwrap();
        for path in rollouts(&home) {
            rewrite(&path, |text| {
                RECORDED.iter().fold(text, |text, from| text.replace(from, projects.to_str().unwrap()))
            });
        }
        let mut drifted = Drifted {
            world,
            rows: BTreeSet::new(),
            archived_rows: BTreeSet::new(),
            files: BTreeSet::new(),
            whole_seconds: false,
            story,
        };
        drifted.spoil_rows(dice, &projects);
        drifted.spoil_files(dice);
        if let Some(database) = drifted.database() {
            let ids = |which: &str| -> BTreeSet<String> {
                let mut rows = database.prepare(&format!("SELECT id FROM threads {which}")).unwrap();
                let ids = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
                ids.map(Result::unwrap).collect()
            };
            drifted.rows = ids("");
            drifted.archived_rows = ids("WHERE archived = 1");
            drifted.whole_seconds = database.prepare("SELECT updated_at_ms FROM threads").is_err();
        }
        drifted.files = rollouts(&drifted.world.codex_home()).iter().map(|path| id_of(path)).collect();
        drifted
    }

    /// Sources that can be asked: both, files alone, and the database alone where there is one.
    pub fn sources(&self) -> Vec<usize> {
        if self.database().is_some() { vec![0, 1, 2] } else { vec![0, 1] }
    }

    fn database(&self) -> Option<Connection> {
        let path = self.world.codex_home().join("state_5.sqlite");
        path.exists().then(|| Connection::open(path).unwrap())
    }

    fn spoil_rows(&mut self, dice: &mut Dice, projects: &Path) {
        let Some(database) = self.database() else { return };
        let mut run = |sql: &str| {
            let done = database.execute(sql, []).unwrap_or_else(|error| panic!("{error}: {sql}"));
            if done > 0 {
                self.story.push_str(&format!(", {done} x {sql}"));
            }
        };
        for from in RECORDED {
            let to = projects.display();
            database
                .execute(&format!("UPDATE threads SET cwd = replace(cwd, '{from}', '{to}')"), [])
                .unwrap();
        }
        let count: u32 = database.query_row("SELECT count(*) FROM threads", [], |row| row.get(0)).unwrap();
        let some = dice.below(u64::from(count) + 1);
        let which =
            |order: &str, some: u64| format!("id IN (SELECT id FROM threads ORDER BY {order} LIMIT {some})");
        match dice.below(6) {
            0 => run(&format!("DELETE FROM threads WHERE {}", which("updated_at DESC", some))),
            1 => run(&format!("DELETE FROM threads WHERE {}", which("updated_at", some))),
            2 | 3 => {
                let salt = 1 + dice.below(1000);
                let order = format!("(rowid * 7919 * {salt}) % 10007");
                run(&format!("DELETE FROM threads WHERE {}", which(&order, some)));
            }
            4 if dice.one_in(3) => run("DELETE FROM threads"),
            _ => {}
        }
        let salt = 1 + dice.below(1000);
        let chance = |n: u64| format!("(rowid * 7907 * {salt}) % {n} = 0");
        if dice.one_in(3) {
            // Turned in the row alone: the file stays where it is.
            run(&format!(
                "UPDATE threads SET archived = 1 - archived, archived_at = updated_at + 5 WHERE {}",
                chance(5)
            ));
        }
        match dice.below(6) {
            0 => run(&format!(
                "UPDATE threads SET rollout_path = replace(rollout_path, '/sessions/', '/gone/sessions/') WHERE {}",
                chance(3)
            )),
            1 => run(&format!("UPDATE threads SET rollout_path = '' WHERE {}", chance(7))),
            2 => run(&format!(
                "UPDATE threads SET rollout_path = '\\\\?\\C:\\Users\\a\\.codex\\' || replace(rollout_path, '/', '\\') WHERE {}",
                chance(4)
            )),
            _ => {}
        }
        if dice.one_in(4) {
            // Of another system, or none: the rollout knows better.
            let cwd = dice.pick(&["'C:' || replace(cwd, '/', '\\')", "''", "'projects/alpha'"]);
            run(&format!("UPDATE threads SET cwd = {cwd} WHERE {}", chance(3)));
        }
        if dice.one_in(4) {
            // Several of one moment: the id decides.
            let has = |column: &str| database.prepare(&format!("SELECT {column} FROM threads")).is_ok();
            let times =
                [("updated_at", 600), ("created_at", 500), ("recency_at", 600)].map(|(column, at)| {
                    let ms = if has(&format!("{column}_ms")) {
                        format!(", {column}_ms = 1795344{at}123")
                    } else {
                        String::new()
                    };
                    if has(column) { format!("{column} = 1795344{at}{ms}") } else { "id = id".to_owned() }
                });
            let times = times.join(", ");
            run(&format!("UPDATE threads SET {times} WHERE {}", chance(3)));
        }
        if dice.one_in(6) {
            run(&format!("UPDATE threads SET tokens_used = 0 WHERE {}", chance(2)));
        }
    }

    fn spoil_files(&mut self, dice: &mut Dice) {
        let home = self.world.codex_home();
        let mut gone = if dice.one_in(3) { dice.below(6) } else { 0 };
        if dice.one_in(20) {
            gone = 1000;
        }
        let (days, rarely) = (dice.pick(&[2, 6, 80]), dice.pick(&[1, 1, 3, 20]));
        for path in rollouts(&home) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if gone > 0 && (gone == 1000 || dice.one_in(3)) {
                fs::remove_file(&path).unwrap();
                gone -= u64::from(gone < 1000);
                self.story.push_str(&format!(", removed {name}"));
                continue;
            }
            if dice.one_in(15) {
                let to = elsewhere(&home, &path);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::rename(&path, &to).unwrap();
                self.story.push_str(&format!(", moved {name}"));
            } else if dice.one_in(15) && !name.ends_with(".zst") {
                let bytes = zstd::encode_all(&fs::read(&path).unwrap()[..], 1).unwrap();
                let packed = path.with_file_name(format!("{name}.zst"));
                fs::write(&packed, bytes).unwrap();
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                fs::File::options().write(true).open(&packed).unwrap().set_modified(modified).unwrap();
                fs::remove_file(&path).unwrap();
                self.story.push_str(&format!(", compressed {name}"));
            } else if dice.one_in(20) && !name.contains('_') {
                self.story.push_str(&format!(", reverted {name}"));
                revert(dice, &path);
            } else if dice.one_in(rarely) {
                let to = begin_at_another_time(dice, days, &home, &path);
                self.story.push_str(&format!(", {name} begins as {}", to.display()));
            }
        }
    }
}

/// The rollouts of every version under the database of the newest, and their names.
fn grow(home: &Path) {
    let newest = HOMES.iter().rev().find(|version| !version.ends_with("odd")).unwrap();
    copy(&data(&format!("homes/{newest}")), home);
    let mut names = fs::read_to_string(home.join("session_index.jsonl")).unwrap_or_default();
    for version in HOMES.iter().filter(|version| *version != newest) {
        for folder in ["sessions", "archived_sessions"] {
            let from = data(&format!("homes/{version}/{folder}"));
            if from.exists() {
                copy(&from, &home.join(folder));
            }
        }
        names +=
            &fs::read_to_string(data(&format!("homes/{version}/session_index.jsonl"))).unwrap_or_default();
    }
    fs::write(home.join("session_index.jsonl"), names).unwrap();
}

/// A further file of a session, in the shape in which Codex left one: its text, under another id.
fn revert(dice: &mut Dice, path: &Path) {
    let day = data("homes/0.169.0-odd/sessions/2026/11/22");
    let recorded = "01a20307-24fb-7b81-b2ee-030bb2fa1e54";
    let segment = fs::read_dir(day)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_str().unwrap().contains(&format!("{recorded}_")))
        .unwrap();
    let id = id_of(path);
    let text = fs::read_to_string(segment).unwrap().replace(recorded, &id);
    let segment = format!("01a30307-2abe-7a31-b2c8-{:012x}", dice.below(1 << 30));
    fs::write(path.with_file_name(format!("rollout-2026-11-25T11-32-11-{id}_{segment}.jsonl")), text)
        .unwrap();
}

/// Gives a rollout another time of its first line, a name of that time in any time zone, and the directory of its name,
/// so that name and id contradict each other. Some first lines contradict the name as well: those of copied rollouts are
/// older, and the youngest have the last time that the name can mean. Some rollouts stay where they were, too.
fn begin_at_another_time(dice: &mut Dice, days: u64, home: &Path, path: &Path) -> PathBuf {
    const HOUR: i64 = 3_600_000;
    let name = path.file_name().unwrap().to_str().unwrap();
    let zone = i64::try_from(dice.below(27)).unwrap() - 12;
    let second = 1_795_344_000_000 + i64::try_from(dice.below(days * 24 * 3600)).unwrap() * 1000;
    // Codex writes milliseconds there; only rows of old databases have whole seconds.
    let begun = second + 1 + i64::try_from(dice.below(999)).unwrap();
    let stamp = Timestamp(begun + zone * HOUR).to_string()[..19].replace(':', "-");
    let first = match dice.below(6) {
        0 => begun - 30 * 24 * HOUR,
        1 => second + zone * HOUR + 12 * HOUR + 999,
        _ => begun,
    };
    let folder = match path.starts_with(home.join("archived_sessions")) {
        true => home.join("archived_sessions"),
        false => home.join("sessions").join(stamp[..10].replace('-', "/")),
    };
    fs::create_dir_all(&folder).unwrap();
    let to = folder.join(format!("rollout-{stamp}{}", &name[27..]));
    if to == path {
        return to;
    }
    fs::copy(path, &to).unwrap();
    rewrite(&to, |text| {
        let end = text.find('\n').unwrap_or(text.len());
        let (line, rest) = text.split_at(end);
        // The time of the session is the second one of its line.
        let at = line.match_indices("\"timestamp\":\"").last().unwrap().0 + 13;
        format!("{}{}{}{rest}", &line[..at], Timestamp(first), &line[at + 24..])
    });
    if !dice.one_in(5) {
        fs::remove_file(path).unwrap();
    }
    to
}

/// The place of a rollout if it were archived, or not.
fn elsewhere(home: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    match path.starts_with(home.join("archived_sessions")) {
        true => home.join("sessions").join(name[8..18].replace('-', "/")).join(name),
        false => home.join("archived_sessions").join(name),
    }
}

/// All rollouts of a home, sorted.
fn rollouts(home: &Path) -> Vec<PathBuf> {
    fn look(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => look(&entry.path(), all),
                false => all.push(entry.path()),
            }
        }
    }
    let mut all = Vec::new();
    look(&home.join("sessions"), &mut all);
    look(&home.join("archived_sessions"), &mut all);
    all.sort();
    all
}

fn id_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap()[28..64].to_owned()
}

/// Changes the text of a rollout and keeps its time.
fn rewrite(path: &Path, change: impl Fn(String) -> String) {
    let packed = path.extension().is_some_and(|extension| extension == "zst");
    let bytes = fs::read(path).unwrap();
    let bytes = if packed { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
    let text = change(String::from_utf8(bytes).unwrap());
    let bytes = if packed { zstd::encode_all(text.as_bytes(), 1).unwrap() } else { text.into_bytes() };
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}
