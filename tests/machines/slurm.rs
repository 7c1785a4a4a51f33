//! Jobs run by Slurm, with the commands of codex-agent-distributed(7).

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::{example, prepare};
use crate::world::fake::{Fake, failures, of_type, wait_until};
use crate::world::hosts::Hosts;
use crate::world::json as records;

/// An example, with the script of the source.
fn command(part: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/share/slurm-array.sh");
    example(part).replace("/usr/share/codex-agent/slurm-array.sh", script)
}

/// The events of all tasks.
fn events(hosts: &Hosts<Fake>) -> Vec<Value> {
    let files = fs::read_dir(hosts.planner.0.path("work")).unwrap().flatten().map(|file| file.path());
    let files = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("events-"));
    files.flat_map(|path| records(&fs::read_to_string(path).unwrap())).collect()
}

/// The nodes share the home of the planner, as those of a cluster do.
#[test]
fn an_array_runs_each_record_once() {
    let Some(hosts) = Hosts::over_slurm() else { return };
    let prompts = prepare(&hosts, 6);
    hosts.sh(&example("dry-run")).succeeds();
    hosts.sh(&command("sbatch --wait")).succeeds();
    assert_eq!(hosts.all_prompts(), prompts);
    assert_eq!(of_type(&events(&hosts), "job.completed").len(), 6);
    // The same array again reports the outcomes, and so does srun.
    hosts.sh(&command("sbatch --wait")).succeeds();
    assert_eq!(of_type(&events(&hosts), "job.completed").len(), 12);
    let ran = hosts.sh(&example("srun -Q"));
    ran.succeeds();
    assert_eq!(of_type(&records(&ran.out), "job.completed").len(), 6);
    assert_eq!(hosts.all_prompts(), prompts);
    // A task that cannot do its job fails.
    fs::write(hosts.planner.0.path("work/jobs.ndjson"), "{\"type\":\"job\",\"prompt\":\"p\"}\n").unwrap();
    hosts.sh(&command("sbatch --wait")).exits(2);
    let errors = fs::read_to_string(hosts.planner.0.path("work/errors-1.txt")).unwrap();
    assert!(errors.contains("the job has no field 'id'"), "{errors}");
}

/// Slurm starts a task again two minutes later.
#[test]
fn a_requeued_task_sends_no_prompt_twice() {
    if !crate::world::is_long() {
        println!("not tried: CODEX_AGENT_TEST_LONG=1 waits two minutes for Slurm");
        return;
    }
    let Some(hosts) = Hosts::over_slurm() else { return };
    let job = |id: u32, prompt: &str| {
        format!("{{\"type\":\"job\",\"run\":\"r\",\"id\":\"{id}\",\"prompt\":\"{prompt}\"}}\n")
    };
    fs::write(hosts.planner.0.path("work/jobs.ndjson"), job(1, "HANG one") + &job(2, "two")).unwrap();
    let submitted = hosts.sh(&command("sbatch --wait").replace("--wait", "--parsable"));
    let id = submitted.succeeds().out.trim().to_owned();
    hosts.wait_for_prompts(2);
    wait_until(|| of_type(&events(&hosts), "job.session").len() == 2);
    hosts.run(&["scontrol", "requeue", &format!("{id}_1")]).succeeds();
    let deadline = std::time::Instant::now() + Duration::from_secs(240);
    let has_ended = || {
        let shown = hosts.run(&["scontrol", "show", "job", &format!("{id}_1")]).out;
        shown.contains("Restarts=1")
            && (shown.contains("JobState=FAILED") || shown.contains("JobState=COMPLETED"))
    };
    while !has_ended() {
        assert!(std::time::Instant::now() < deadline, "Slurm does not start the task again");
        std::thread::sleep(Duration::from_secs(1));
    }
    let failed = failures(&events(&hosts));
    assert!(!failed.is_empty() && failed.iter().all(|class| class == "interrupted"), "{failed:?}");
    assert_eq!(hosts.all_prompts(), ["HANG one", "two"]);
}
