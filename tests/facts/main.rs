//! Compares a version of Codex with the last known one, and tests the facts that the code relies on.
//! `tests/facts/run` starts it.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::exit,
    clippy::disallowed_methods
)]

mod kept;
mod known;
mod lab;
mod learn;
mod list;
#[path = "../world/model.rs"]
mod model;
mod runs;
mod screen;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use known::Known;
use lab::{Lab, Outcome};
use story::say;

fn main() {
    let mut words = std::env::args().skip(1);
    let (Some(codex), Some(version)) = (words.next().map(PathBuf::from), words.next()) else {
        eprintln!(
            "facts: the path of a Codex and its version are missing\nhint: start it with tests/facts/run"
        );
        std::process::exit(2);
    };
    let accept = words.next().as_deref() == Some("--accept");
    std::process::exit(match run(&codex, &version, accept) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(why) => {
            eprintln!("facts: {why}");
            2
        }
    });
}

/// The directory of the known state.
fn known_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/known")
}

/// Compares and tests; true where every fact holds.
fn run(codex: &Path, version: &str, accept: bool) -> Outcome<bool> {
    let before = if accept && !known_directory().exists() {
        Known::default()
    } else {
        Known::read(&known_directory())?
    };
    let since = Instant::now();
    let lab = Lab::new(codex, version)?;
    let now = observe(&lab)?;
    say(&format!("observed in {} s", since.elapsed().as_secs()));
    let differences = before.differences(&now);
    match (differences.is_empty(), before.version == version) {
        _ if before.version.is_empty() => {}
        (true, _) => println!("Codex {version} is the same as the known {}.", before.version),
        (false, true) => println!("Codex {version} differs from its known state:\n\n{differences}"),
        (false, false) => {
            println!("Changes from Codex {} to {version}:\n\n{differences}", before.version)
        }
    }
    let mut wrong = 0;
    for fact in list::facts() {
        if let Err(why) = (fact.proof)(&lab) {
            wrong += 1;
            let why: String = lab.plain(&why).chars().take(500).collect();
            println!("NO LONGER TRUE: {}\n  {}", fact.holds, why.trim().replace('\n', "\n  "));
            fact.needed_by.iter().for_each(|(file, item)| println!("  needed by {item} in {file}"));
        }
    }
    println!(
        "{} facts, {wrong} of which do not hold; {} s.",
        list::facts().count(),
        since.elapsed().as_secs()
    );
    if accept {
        now.write(&known_directory())?;
        println!("The known state is now that of {}.", version);
    }
    Ok(wrong == 0)
}

/// Runs all groups of steps, and reads the state of this version.
fn observe(lab: &Lab) -> Outcome<Known> {
    let waiting: Mutex<Vec<story::Group>> = Mutex::new(story::GROUPS.iter().rev().copied().collect());
    let known = Mutex::new(Known::new(&lab.version));
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let group = waiting.lock().ok().and_then(|mut all| all.pop());
                let Some((name, steps)) = group else { return };
                let since = Instant::now();
                let result = steps(lab);
                say(&format!("{name}: {} s", since.elapsed().as_secs()));
                if let Err(why) = result {
                    let why = lab.plain(&why);
                    say(&format!("{name} stopped: {why}"));
                    let line: String = why.chars().take(300).collect();
                    let _ =
                        known.lock().map(|mut known| known.add("cases", &format!("{name} stopped"), &line));
                }
            }
        };
        let asked = scope.spawn(|| -> Outcome<Known> {
            let mut known = Known::new(&lab.version);
            learn::help(&mut known, lab)?;
            learn::features(&mut known, lab)?;
            learn::schema(&mut known, lab)?;
            Ok(known)
        });
        let workers = [scope.spawn(work), scope.spawn(work)];
        for worker in workers {
            let _ = worker.join();
        }
        let asked = asked.join().map_err(|_| "reading --help or the schema panicked".to_owned())??;
        let mut known = known.lock().map_err(lab::said)?;
        known.join(asked);
        learn::rollouts(&mut known, &story::HOMES.map(|home| lab.home(home)))?;
        learn::databases(&mut known, &lab.home("main"))?;
        learn::cases(&mut known, lab);
        Ok(known.clone())
    })
}
