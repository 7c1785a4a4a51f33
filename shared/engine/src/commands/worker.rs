//! `run --worker`: carries out jobs of a run of another machine.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::codex::version::Versions;
use crate::commands::flags::Jobs;
use crate::disk::claims::{LockedClaims, Subject};
use crate::disk::journal::Journal;
use crate::disk::progress::{RunProgress, WORKER};
use crate::disk::run_dir::{RunDir, state_dir};
use crate::liveness;
use crate::process::command;
use crate::record::event::{Codex, Event, RunEvent};
use crate::record::settings::{OnBusy, Settings};
use crate::record::worker::WorkerHello;
use crate::run::engine::supervise_with;
use crate::run::worker::{Input, Order, Orders, WorkerFeed};
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::codex::home::Home;
use codex_agent_shared::error::{Error, Exit, Result};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::record::Id;
use codex_agent_shared::store::{Changed, Store};
use codex_agent_shared::text::fingerprint;
use serde::{Deserialize, Serialize};

/// The number of concurrent jobs of a worker, more than any run gives it.
const MOST: usize = 1024;
/// How long another worker of the same run may take to leave.
const LEAVE: Duration = Duration::from_secs(3);

/// The random id of a state directory.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    place: Option<String>,
}

/// The id of the state directory, which is made once, and of the Codex home: what a worker knows is of both.
fn find_place(home: &Home) -> Result<String> {
    let state = find_state()?;
    Ok(fingerprint(format!("{state}\0{}", real_path(home.path())).as_bytes()))
}

fn real_path(path: &Path) -> String {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

fn find_state() -> Result<String> {
    let store = Store::new(state_dir("locks")?.join("place"));
    if let Some(place) = store.read::<Place>()?.place {
        return Ok(place);
    }
    store.update(|saved: &mut Place| {
        let place = saved.place.get_or_insert_with(|| Id::random().hex()).clone();
        Ok((place, Changed::Yes))
    })
}

/// Reads job records from standard input, carries them out and prints their events, until the input ends.
pub fn work(common: &CommonOptions, jobs: &Jobs) -> Result<Exit> {
    let home = Home::find(common.codex_home.as_deref())?;
    let settings = jobs.settings(common);
    let mut versions = Versions::default();
    let codex = match &settings {
        Ok(settings) => command::describe_codex(&settings.codex, None, &mut versions),
        Err(_) => Codex::default(),
    };
    let mut output = Output::nonblocking();
    // What a shell printed before must not be a part of the record.
    output.text(b"", b"\n")?;
    output.record(&WorkerHello::new(codex.clone(), find_place(&home)?, liveness::boot_id()))?;
    output.flush()?;
    let settings = settings?;
    let mut orders = Orders::new(Input::stdin());
    let Some(first) = orders.wait()? else { return Ok(Exit::Done) };
    let (run, host, saved) = match &first {
        Order::Job(job) => (job.run.clone(), job.host.clone(), job.settings.as_deref().cloned()),
        Order::Stop(stop) => (Some(stop.run.clone()), Some(stop.host.clone()), None),
    };
    let (Some(run), Some(host)) = (run, host) else {
        return Err(Error::new("a job for a worker must have the fields 'run' and 'host'")
            .hint("'codex-agent run --jobs' carries out other jobs"));
    };
    let saved = saved.unwrap_or_default();
    let settings = Settings {
        patience: saved.patience(),
        on_limit: saved.on_limit,
        retries: saved.retries,
        on_busy: OnBusy::Fail,
        // The other machine counts.
        max_concurrent: MOST,
        max_failures: None,
        ..settings
    };
    let (dir, journal) = open(&run, &host, home.path())?;
    let mut progress = RunProgress::read(&dir)?;
    let (mut feed, mut printer) = WorkerFeed::new(orders, output, &dir, (&run, &host), first);
    let known = (codex, versions);
    supervise_with(&dir, journal, &mut progress, settings, &mut feed, &mut printer, known)?;
    Ok(Exit::Done)
}

/// Opens the run of the worker for a run of another machine, a name of this host and a Codex home: it has one, however
/// often a worker is started.
fn open(run: &str, host: &str, home: &Path) -> Result<(RunDir, Journal)> {
    let subject = Subject::worker(host, &real_path(home));
    let mut claims = LockedClaims::lock(run)?;
    let Some(owner) = claims.owner(&subject).map(str::to_owned) else {
        let (dir, mut journal) = RunDir::create(WORKER, host)?;
        let (kind, name) = (WORKER.to_owned(), format!("{host}, {run}"));
        let what = RunEvent::RunPlanned { kind, name, settings: None, retry_of: None };
        journal.append(&Event::new(dir.name(), what), true)?;
        // A crash before the claim leaves a plan without jobs.
        claims.add(&[subject], &dir)?;
        return Ok((dir, journal));
    };
    drop(claims);
    let Some(dir) = RunDir::named(&owner)? else {
        return Err(Error::new(format!("run '{owner}', which had the jobs of run '{run}', was removed"))
            .hint("'codex-agent run continue --give-up HOST' counts these jobs as interrupted"));
    };
    let journal = take_over(&dir)?;
    Ok((dir, journal))
}

/// Opens the journal of a worker. Another worker, whose connection is lost without its knowledge, is asked to leave.
fn take_over(dir: &RunDir) -> Result<Journal> {
    let begun = Instant::now();
    let mut is_asked = false;
    loop {
        if let Some(journal) = Journal::open(&dir.journal())? {
            return Ok(journal);
        }
        let runner = RunProgress::read(dir).ok().and_then(|progress| progress.runner);
        if let Some(runner) = runner {
            // Its jobs live on, whatever becomes of it.
            match begun.elapsed() > LEAVE {
                true => liveness::kill_runner(&runner),
                false if !is_asked => liveness::ask_to_leave(&runner),
                false => {}
            }
            is_asked = true;
        }
        if begun.elapsed() > 4 * LEAVE {
            let message =
                format!("another worker of the same run does not leave: '{}' is locked", dir.name());
            return Err(Error::new(message));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
