//! The pending jobs of sessions: a session that is archived or deleted before would let them fail.

use std::collections::HashMap;

use crate::disk::progress::RunProgress;
use crate::disk::run_dir::RunDir;
use crate::queue::Queues;
use codex_agent_shared::error::{Result, warn_once};
use codex_agent_shared::record::Id;
use codex_agent_shared::text::{counted, quoted};

/// The pending work of a session.
#[derive(Debug)]
pub struct PendingWork {
    /// A clause that names the run or the queue, and the number of its pending jobs.
    pub clause: String,
    /// The command that does the work.
    pub command: String,
}

/// The sessions for which a run or a queue has pending jobs. Of several runs and queues of a session one is named. A run
/// that cannot be read is reported, and the others are still found.
pub fn find_pending_work() -> Result<HashMap<Id, PendingWork>> {
    let mut found = HashMap::new();
    for dir in RunDir::all()? {
        let tasks = match RunProgress::read_existing(&dir) {
            Some(Ok(tasks)) => tasks,
            Some(Err(error)) => {
                warn_once(error.message());
                continue;
            }
            None => continue,
        };
        // The list of the queue has the prompts that its run has not planned yet too.
        if tasks.kind == "queue" || !tasks.is_unfinished(&dir) {
            continue;
        }
        let mut counts: HashMap<Id, usize> = HashMap::new();
        for job in &tasks.all {
            if job.state.is_left()
                && let Some(id) = job.session_needed()
            {
                *counts.entry(id).or_default() += 1;
            }
        }
        let name = dir.name();
        let command = match dir.is_running() {
            true => format!("'codex-agent run watch {name}' follows the run"),
            false => format!("'codex-agent run continue {name}' continues the run"),
        };
        for (id, count) in counts {
            let clause = format!("run '{name}' has {} of the session", counted(count, "pending job"));
            found.insert(id, PendingWork { clause, command: command.clone() });
        }
    }
    let (queues, _) = Queues::read()?;
    for queue in queues.queues.iter().filter(|queue| queue.one_session) {
        let count = queue.counts().pending;
        if let Some(id) = queue.session.filter(|_| count > 0) {
            let clause =
                format!("queue '{}' has {} for the session", queue.name, counted(count, "pending prompt"));
            let command = format!("'codex-agent queue run {}' sends the prompts", quoted(&queue.name));
            found.insert(id, PendingWork { clause, command });
        }
    }
    Ok(found)
}
