//! What a job needs on its host: its files, and its directory.

use rustix::process::Signal;

use crate::machines::homes::{Homes, of_type, prompts};
use crate::world::fake::wait_until;

#[test]
fn what_a_job_needs_travels_and_its_paths_are_mapped() {
    let homes = Homes::new(&["a"]);
    let (here, there) = (homes.0.0.path("work"), homes.0.0.path("there"));
    std::fs::create_dir_all(there.join("deep")).unwrap();
    std::fs::create_dir_all(here.join("deep")).unwrap();
    homes.append(&format!("[host.a.paths]\n\"{}\" = \"{}\"\n", here.display(), there.display()));
    let image = homes.0.0.write("picture.png", "not a picture");
    let words = ["--on", "a", "--cwd", "deep", "--image", image.to_str().unwrap()];
    let (ran, events) = homes.run(&words, &prompts(1, ""));
    ran.exits(0);
    let started = of_type(&events, "job.started")[0];
    assert_eq!(started["cwd"], there.join("deep").to_str().unwrap(), "{}", ran.out);
    assert_eq!(started["host"], "a");
    let runs = homes.0.0.path("a/state/runs");
    let run = std::fs::read_dir(runs).unwrap().flatten().next().unwrap().path();
    let copies: Vec<String> = std::fs::read_dir(run.join("jobs/1"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with("image-1"))
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
        .collect();
    assert_eq!(copies, ["not a picture"]);
    // A directory that is not there is no reason to work elsewhere.
    std::fs::remove_dir_all(there.join("deep")).unwrap();
    let (ran, events) = homes.run(&["--on", "a", "--cwd", "deep"], &prompts(1, ""));
    ran.exits(1);
    assert_eq!(of_type(&events, "job.failed")[0]["failure"]["class"], "cwd");
    assert_eq!(homes.prompts("a").len(), 1);
}

/// What a job was begun with is on its host, so the host begins it again although the image is gone here.
#[test]
fn a_job_that_was_begun_and_not_sent_keeps_its_files() {
    let homes = Homes::new(&["a"]);
    let codex = homes.0.0.path("bin/codex").display().to_string();
    let wrapper = homes.0.0.write(
        "wrapper",
        format!(
            "#!/bin/sh\n[ -e {0} ] || [ \"$1\" = --version ] || exec sleep 60\nexec {codex} \"$@\"\n",
            homes.0.0.path("go").display()
        ),
    );
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let own = format!("{}, \"CODEX_AGENT_CODEX={}\"", homes.via("b"), wrapper.display());
    std::fs::create_dir_all(homes.0.0.path("b/codex")).unwrap();
    homes.configure("b", &own);
    let image = homes.0.0.write("picture.png", "not a picture");
    let mut runner = homes.start(&["--on", "b", "--image", image.to_str().unwrap()], &prompts(1, ""));
    let runs = |part: &str| homes.processes().iter().any(|process| process.command.contains(part));
    wait_until(|| homes.0.journal().iter().any(|line| line["type"] == "job.spawned") && runs("sleep 60"));
    runner.kill().unwrap();
    runner.wait().unwrap();
    for part in ["--worker", "sleep 60"] {
        homes.signal(part, Signal::KILL);
        wait_until(|| !runs(part));
    }
    // The state after a crash between the start and the spawn.
    let runs = homes.0.0.path("b/state/runs");
    let run = std::fs::read_dir(runs).unwrap().flatten().next().unwrap().path();
    for journal in [run.join("journal.ndjson"), homes.0.runs()[0].join("journal.ndjson")] {
        let text = std::fs::read_to_string(&journal).unwrap();
        let kept = text.split_inclusive('\n').filter(|line| !line.contains("\"job.spawned\""));
        std::fs::write(&journal, kept.collect::<String>()).unwrap();
    }
    std::fs::remove_dir_all(run.join("jobs/1")).unwrap();
    std::fs::remove_file(image).unwrap();
    homes.0.0.write("go", "");
    let ran = homes.0.tool(&["run", "continue", "--yes", "--json"]);
    ran.exits(0);
    assert_eq!(homes.prompts("b"), prompts(1, ""));
    let copies = std::fs::read_dir(run.join("jobs/1")).unwrap().flatten();
    let copies = copies.filter(|entry| entry.file_name().to_str().unwrap().starts_with("image-1"));
    assert_eq!(copies.count(), 1, "{}", ran.out);
}
