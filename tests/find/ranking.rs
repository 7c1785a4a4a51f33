//! The order in which `find` prints the sessions of a search, held to a slow oracle.

use std::cmp::Reverse;

use serde_json::Value;

use crate::ls::foreign_rows::database;
use crate::world::{Dice, World, json};

const WORDS: [&str; 6] = ["parser", "Login", "kůň", "main", "a", "fix it"];

/// A home whose sessions have the words anywhere, by chance.
fn home(dice: &mut Dice) -> World {
    let world = World::with_home("0.171.0");
    let rows = database(&world);
    let mut ids = rows.prepare("SELECT id FROM threads").unwrap();
    let ids: Vec<String> = ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let text = |dice: &mut Dice| {
        let count = dice.upto(4);
        let words: Vec<&str> =
            (0..count).map(|_| dice.pick(&["PARSER", "login", "KŮŇ", "x", "fix it", "zz"])).collect();
        // A word behind the part of a title that tables show.
        let pad = if dice.one_in(3) { "é".repeat(90 + dice.upto(20)) } else { String::new() };
        format!("{pad}{}", words.join(" "))
    };
    for id in ids {
        let title = format!("t{}", text(dice));
        let message = if dice.one_in(2) { title.clone() } else { format!("m{}", text(dice)) };
        let name = dice.one_in(3).then(|| format!("n{}", text(dice)));
        let branch = dice.pick(&["main", "parser", "feature/login"]);
        let cwd = format!("/src/{}", dice.pick(&["login-app", "alpha", "kůň"]));
        let sql = "UPDATE threads SET title = ?2, first_user_message = ?3, name = ?4, git_branch = ?5, cwd = ?6 WHERE id = ?1";
        rows.execute(sql, rusqlite::params![id, title, message, name, branch, cwd]).unwrap();
    }
    world
}

/// The sum over the words of 0, 1 or 2 for the best field, by trying each.
fn rank(record: &Value, words: &[&str]) -> Option<usize> {
    let lower = |text: &Value| text.as_str().unwrap_or("").to_lowercase();
    let title = lower(&record["title"]);
    let mut sum = 0;
    for word in words {
        let word = word.to_lowercase();
        let in_title = title.match_indices(&word).any(|(at, _)| title[..at].chars().count() <= 100);
        let classes = [
            lower(&record["name"]).contains(&word) || in_title,
            lower(&record["first_user_message"]).contains(&word) || title.contains(&word),
            lower(&record["cwd"]).contains(&word) || lower(&record["git"]["branch"]).contains(&word),
        ];
        sum += classes.iter().position(|fits| *fits)?;
    }
    Some(sum)
}

#[test]
fn the_best_answers_come_first_and_then_the_newest() {
    let (mut found, mut ranks) = (0, std::collections::BTreeSet::new());
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let world = home(&mut dice);
        let all = json(&world.ok(&["codex-agent-ls", "--json"]));
        for _ in 0..25 {
            let words: Vec<&str> = (0..1 + dice.upto(2)).map(|_| dice.pick(&WORDS)).collect();
            let (limit, offset) =
                (dice.one_in(2).then(|| dice.upto(6)), if dice.one_in(3) { dice.upto(4) } else { 0 });
            let by_title = dice.one_in(5);
            let mut fit: Vec<(usize, &Value)> =
                all.iter().filter_map(|record| Some((rank(record, &words)?, record))).collect();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            match by_title {
                true => fit.sort_by_key(|(_, record)| (text(&record["title"]), text(&record["id"]))),
                false => fit.sort_by_key(|(rank, record)| {
                    (*rank, Reverse(text(&record["updated_at"])), Reverse(text(&record["id"])))
                }),
            }
            let page = fit.iter().skip(offset).take(limit.unwrap_or(usize::MAX));
            let want: Vec<&str> = page.map(|(_, record)| record["id"].as_str().unwrap()).collect();
            let mut line = vec!["codex-agent-find", "--words", "--fields", "id"];
            line.extend(by_title.then_some("--sort=title"));
            let (limit, offset) =
                (limit.map(|limit| format!("--limit={limit}")), format!("--offset={offset}"));
            line.extend(limit.as_deref());
            line.push(&offset);
            line.extend(&words);
            let ran = world.run(&line);
            assert_eq!(ran.out.lines().collect::<Vec<_>>(), want, "seed {seed}: {line:?}");
            assert_eq!(ran.code, i32::from(want.is_empty()), "seed {seed}: {line:?}");
            found += want.len();
            ranks.extend(fit.iter().map(|(rank, _)| *rank));
        }
    }
    assert!(found > 300 && ranks.len() >= 4, "{found} {ranks:?}");
}
