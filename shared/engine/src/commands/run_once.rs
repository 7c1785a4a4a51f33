//! Jobs of `--once`: a job is known by its id and the name of its run, and is started once, however often its record is
//! given. So a program that hands records out again after a lost connection or a lost machine sends no prompt twice.
//!
//! The first command that is given a job claims it for its own run ([`crate::disk::claims`]). A later command prints the
//! events of the job again: it follows the run while the run has a runner, and adopts it otherwise, as after any crash. A
//! job that this run has not started, or of which nothing was sent, is started then, by its new record.
//!
//! **Crash.** All records are in the journal of a plan before a job is claimed, and all claims are on disk before a job is
//! started. A crash before the claims leaves a plan that owns nothing; a crash after them leaves a run that the next
//! command with the same records begins.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use crate::commands::expiry::prune_expired;
use crate::commands::flags::Jobs;
use crate::commands::on_end;
use crate::commands::start::Planned;
use crate::commands::watch::RunWatcher;
use crate::disk::claims::{Claims, LockedClaims, Subject};
use crate::disk::journal::{Journal, JournalReader};
use crate::disk::progress::{JobState, ONCE, RunProgress, State};
use crate::disk::run_dir::RunDir;
use crate::record::event::{Counts, Event, JobRef, RunEvent};
use crate::record::failure::{Class, Failure};
use crate::record::job::Job;
use crate::record::settings::Settings;
use crate::run::engine::{RunEnd, supervise};
use crate::run::given::{GivenJobs, Records};
use crate::run::observer::{Observer, RunningJob};
use crate::run::plan::Plan;
use crate::show::end::{GivenEnds, report_given};
use crate::show::events::Show;
use codex_agent_shared::cli::flags::CommonOptions;
use codex_agent_shared::error::{Error, Exit, Result, status, warn};
use codex_agent_shared::ndjson::Output;
use codex_agent_shared::text::cell;

/// The interval at which a run of another process is read.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Runs the jobs that `read` passes to its function, each once; with `--dry-run` prints those that no command was given
/// before. An error in one record means that no job is started.
pub fn run_once(
    common: &CommonOptions,
    jobs: &Jobs,
    home: Option<String>,
    read: impl FnOnce(&mut dyn FnMut(Job) -> Result<()>) -> Result<()>,
) -> Result<Exit> {
    let options = jobs.show_options(common)?;
    let mut given = Given::new(home);
    if jobs.dry_run {
        let mut output = Output::stdout();
        read(&mut |job| match given.identify(job)? {
            (job, None) => output.record(&job),
            (_, Some(_)) => Ok(()),
        })?;
        output.flush()?;
        return Ok(Exit::Done);
    }
    let settings = jobs.settings(common)?;
    // A run that owns a given job must not expire after it was found.
    prune_expired();
    let planned = read(&mut |job| given.add(job))
        .and_then(|()| std::mem::take(&mut given.planned).announce(common, jobs, settings.max_concurrent))
        .and_then(|is_confirmed| if is_confirmed { given.claim().map(|()| true) } else { Ok(false) });
    match planned {
        Ok(true) => {}
        Ok(false) => {
            given.discard();
            return Ok(Exit::Negative);
        }
        Err(error) => {
            given.discard();
            return Err(error.or_hint("nothing was started"));
        }
    }
    let count = given.fresh.len() + given.owners.values().map(|owner| owner.jobs.len()).sum::<usize>();
    if count == 0 {
        status("the input has no jobs; nothing was started");
        return Ok(Exit::Done);
    }
    let mut shown = Show::new(options, count);
    let mut given = Carried { given, settings, ends: GivenEnds::default(), logs: Vec::new() };
    given.carry_out(&mut shown)?;
    shown.finish()?;
    Ok(report_given(&given.ends, &given.logs))
}

/// The jobs of which this command was given records.
struct Given {
    home: Option<String>,
    /// The name of the run in the records.
    run: Option<String>,
    claims: Claims,
    /// The records of all jobs that have not ended: the jobs of a new run, and those of the runs that own them.
    plan: Plan,
    /// The jobs that no run owns, in their order.
    fresh: Vec<String>,
    /// The runs that own the other jobs, the oldest first.
    owners: BTreeMap<String, Owner>,
    planned: Planned,
    has_claimed: bool,
}

/// A run that owns given jobs.
#[derive(Default)]
struct Owner {
    /// `None` if the run was removed.
    dir: Option<RunDir>,
    progress: RunProgress,
    jobs: HashSet<String>,
}

impl Owner {
    fn open(name: &str) -> Result<Owner> {
        let dir = RunDir::named(name)?;
        let progress = dir.as_ref().map(RunProgress::read).transpose()?.unwrap_or_default();
        Ok(Owner { dir, progress, jobs: HashSet::new() })
    }

    /// Whether all given jobs have ended, or nothing more can be learnt of them.
    fn is_over(&self) -> bool {
        self.dir.is_none() || self.jobs.iter().all(|job| has_ended(&self.progress, job))
    }
}

fn find<'p>(progress: &'p RunProgress, job: &str) -> Option<&'p JobState> {
    progress.position(job).and_then(|at| progress.all.get(at))
}

fn has_ended(progress: &RunProgress, job: &str) -> bool {
    find(progress, job).is_some_and(JobState::has_ended)
}

impl Given {
    fn new(home: Option<String>) -> Given {
        Given {
            plan: Plan::new(ONCE, "", home.clone()),
            home,
            run: None,
            claims: Claims::default(),
            fresh: Vec::new(),
            owners: BTreeMap::new(),
            planned: Planned::default(),
            has_claimed: false,
        }
    }

    /// Validates a job, and returns it with the name of the run that owns it.
    fn identify(&mut self, job: Job) -> Result<(Job, Option<String>)> {
        let shown =
            if job.id.is_empty() { "the job".to_owned() } else { format!("job '{}'", cell(&job.id, 60)) };
        let missing = |field: &str| {
            Error::new(format!("{shown} has no field '{field}', and --once knows a job by its run and its id"))
                .hint("'codex-agent run --dry-run' sets the ids of jobs, and jq '.run = \"NAME\"' the name of their run")
        };
        if job.id.is_empty() {
            return Err(missing("id"));
        }
        if let Some(host) = &job.host {
            return Err(Error::new(format!(
                "{shown} names host '{}', and --once runs jobs here",
                cell(host, 60)
            ))
            .hint("remove the field 'host', or use 'run --jobs' without --once"));
        }
        let run = job.run.clone().filter(|run| !run.is_empty()).ok_or_else(|| missing("run"))?;
        if run.contains(|c: char| c.is_control()) {
            return Err(Error::new(format!("the run of {shown} contains a control character")));
        }
        match &self.run {
            Some(other) if *other != run => {
                let (other, run) = (cell(other, 60), cell(&run, 60));
                return Err(Error::new(format!(
                    "{shown} is of run '{run}', and the jobs before of run '{other}'"
                ))
                .hint("with --once all jobs of a command are of one run"));
            }
            Some(_) => {}
            None => {
                self.claims = Claims::read(&run)?;
                self.plan = Plan::new(ONCE, &run, self.home.clone());
                self.run = Some(run.clone());
            }
        }
        let mut job = self.plan.name(job)?;
        job.run = Some(run);
        let owner = self.claims.owner(&Subject::job(&job.id)).map(str::to_owned);
        if let Some(owner) = &owner {
            self.check_same(&job, owner)?;
        }
        Ok((job, owner))
    }

    fn owner(&mut self, name: &str) -> Result<&mut Owner> {
        if !self.owners.contains_key(name) {
            self.owners.insert(name.to_owned(), Owner::open(name)?);
        }
        Ok(self.owners.entry(name.to_owned()).or_default())
    }

    /// Refuses a record of a known job that is another job: its id was used before.
    fn check_same(&mut self, job: &Job, owner: &str) -> Result<()> {
        let progress = &self.owner(owner)?.progress;
        let Some(known) = find(progress, &job.id) else { return Ok(()) };
        if known.has_prompt(&job.prompt) && known.asked == job.asked() {
            return Ok(());
        }
        let (id, run) = (cell(&job.id, 60), cell(job.run.as_deref().unwrap_or_default(), 60));
        let what = if known.has_prompt(&job.prompt) { "session" } else { "prompt" };
        Err(Error::new(format!("job '{id}' of run '{run}' is known with another {what}"))
            .hint("give the job another id, or another name of a run"))
    }

    /// Adds a job to those that this command carries out.
    fn add(&mut self, job: Job) -> Result<()> {
        let (job, owner) = self.identify(job)?;
        if let Some(owner) = owner {
            let owner = self.owner(&owner)?;
            owner.jobs.insert(job.id.clone());
            if owner.dir.is_none() || has_ended(&owner.progress, &job.id) {
                return Ok(());
            }
        } else {
            self.planned.add(&job);
            self.fresh.push(job.id.clone());
        }
        self.plan.add_named(job)
    }

    /// Claims the jobs that have no owner for the plan. Another command may have claimed some of them meanwhile.
    fn claim(&mut self) -> Result<()> {
        let (Some(run), Some(dir)) = (self.run.clone(), self.plan.dir().cloned()) else { return Ok(()) };
        if self.fresh.is_empty() {
            return Ok(());
        }
        let mut claims = LockedClaims::lock(&run)?;
        let owner_of = |id: &String| claims.owner(&Subject::job(id)).map(str::to_owned);
        let owners: Vec<_> = self.fresh.iter().map(owner_of).collect();
        let (mut own, mut taken) = (Vec::new(), Vec::new());
        for (id, owner) in std::mem::take(&mut self.fresh).into_iter().zip(owners) {
            match owner {
                Some(owner) => taken.push((id, owner)),
                None => own.push(id),
            }
        }
        let subjects: Vec<Subject> = own.iter().map(|id| Subject::job(id)).collect();
        claims.add(&subjects, &dir)?;
        (self.fresh, self.has_claimed) = (own, true);
        drop(claims);
        for (id, owner) in taken {
            self.owner(&owner)?.jobs.insert(id);
        }
        Ok(())
    }

    /// The records of the given jobs, for a run that owns some of them.
    fn records(&self) -> Result<Option<Records>> {
        let Some(dir) = self.plan.dir() else { return Ok(None) };
        let reader = Rc::new(JournalReader::open(&dir.journal())?);
        let places = self.plan.places().map(|(job, place)| (job.to_owned(), place)).collect();
        Ok(Some(Records { reader, places }))
    }

    /// Removes the plan, unless it owns jobs.
    fn discard(self) {
        if !self.has_claimed {
            self.plan.discard();
        }
    }
}

/// The given jobs while they are carried out.
struct Carried {
    given: Given,
    settings: Settings,
    ends: GivenEnds,
    /// The runs with failed jobs.
    logs: Vec<RunDir>,
}

/// Whether further runs are worked on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Next,
    Stop,
}

impl Carried {
    fn carry_out(&mut self, show: &mut Show) -> Result<()> {
        let owners = std::mem::take(&mut self.given.owners);
        let (over, open): (Vec<Owner>, Vec<Owner>) = owners.into_values().partition(Owner::is_over);
        for owner in over {
            self.print_ended(owner, show)?;
        }
        let mut then = Then::Next;
        let records = if open.is_empty() { None } else { self.given.records()? };
        let plan = std::mem::replace(&mut self.given.plan, Plan::new(ONCE, "", None));
        if !self.given.has_claimed {
            // Its journal stays open for the records.
            plan.discard();
        } else if let Some((dir, journal, tasks)) = plan.open() {
            let jobs = self.given.fresh.iter().cloned().collect();
            then = self.supervise(Owned { dir, journal, tasks, jobs }, None, show)?;
        }
        for owner in open {
            if then == Then::Stop {
                self.ends.left += owner.jobs.len();
                continue;
            }
            then = self.follow(owner, &records, show)?;
        }
        Ok(())
    }

    /// Prints the events of jobs that have ended.
    fn print_ended(&mut self, owner: Owner, show: &mut Show) -> Result<()> {
        let Owner { dir, progress, jobs } = owner;
        let Some(dir) = dir else {
            for job in &jobs {
                self.report_lost(job, show);
            }
            return Ok(());
        };
        RunWatcher::of_jobs(dir.clone(), jobs.clone())?.refresh(show)?;
        self.count(dir, &progress, &jobs);
        Ok(())
    }

    /// Reports a job whose run was removed.
    fn report_lost(&mut self, job: &str, show: &mut Show) {
        let message = "the run that owned the job was removed, and the outcome of the job is unknown";
        let of = JobRef { job: job.to_owned(), ..JobRef::default() };
        let what = RunEvent::failed(of, Failure::new(Class::Interrupted, message));
        show.event(&Event::new(self.given.run.as_deref().unwrap_or_default(), what));
        self.ends.failed += 1;
    }

    /// Follows a run while it has a runner, and then does what is left of the given jobs.
    fn follow(&mut self, owner: Owner, records: &Option<Records>, show: &mut Show) -> Result<Then> {
        let Owner { dir: Some(dir), jobs, .. } = owner else { return Ok(Then::Next) };
        let mut watcher = RunWatcher::of_jobs(dir.clone(), jobs.clone())?;
        let journal = loop {
            let is_active = watcher.refresh(show)?;
            if jobs.iter().all(|job| has_ended(watcher.progress(), job)) {
                self.count(dir, watcher.progress(), &jobs);
                return Ok(Then::Next);
            }
            if show.is_closed() && is_active {
                // The runner does not depend on this command.
                self.ends.left += jobs.len();
                return Ok(Then::Stop);
            }
            if !is_active && let Some(journal) = Journal::open(&dir.journal())? {
                break journal;
            }
            std::thread::sleep(POLL_INTERVAL);
        };
        // The lock is held, so nothing changes any more.
        watcher.refresh(show)?;
        let mut tasks = RunProgress::read(&dir)?;
        if tasks.kind.is_empty() {
            tasks = RunProgress::new(ONCE, self.given.run.as_deref().unwrap_or_default(), None);
        }
        let mut owned = Owned { dir, journal, tasks, jobs };
        // A power failure may have left claims and no plan. Nothing was started then.
        if !owned.tasks.is_begun()
            && let Some(records) = records
        {
            for id in &owned.jobs {
                let Some(place) = records.places.get(id) else { continue };
                if owned.tasks.position(id).is_some() {
                    continue;
                }
                let mut job = records.reader.job(*place)?;
                job.run = Some(owned.dir.name().to_owned());
                let place = owned.journal.append(&job, false)?;
                owned.tasks.add(&job, place);
            }
        }
        self.supervise(owned, records.clone(), show)
    }

    /// Runs the given jobs of a run that this process has locked.
    fn supervise(&mut self, owned: Owned, records: Option<Records>, show: &mut Show) -> Result<Then> {
        let Owned { dir, journal, mut tasks, jobs } = owned;
        // The usage limit depends on the home.
        tasks.codex_home.clone_from(&self.given.home);
        tasks.reoffer(&jobs);
        let mut feed = GivenJobs::new(jobs.clone(), records);
        let mut only = Only { show, jobs: &jobs };
        let ended = supervise(&dir, journal, &mut tasks, self.settings.clone(), &mut feed, &mut only);
        let ended = ended.map_err(|error| {
            error.or_hint("jobs may still be running; the same command follows them and starts what is left")
        })?;
        on_end::run(&dir);
        let mut then = Then::Next;
        match ended {
            RunEnd::Completed { killed, .. } => self.ends.killed |= killed,
            RunEnd::Stopped { why, until, killed, .. } => {
                self.ends.killed |= killed;
                if why == "signal" || killed {
                    then = Then::Stop;
                }
                self.ends.stopped.get_or_insert((why, until));
            }
            RunEnd::Left { running } => {
                warn(format_args!(
                    "{running} of the jobs may still be running; the same command follows them"
                ));
                self.ends.killed = true;
                then = Then::Stop;
            }
        }
        self.count(dir, &tasks, &jobs);
        Ok(then)
    }

    /// Adds the outcomes of given jobs.
    fn count(&mut self, dir: RunDir, progress: &RunProgress, jobs: &HashSet<String>) {
        let states = jobs.iter().map(|job| find(progress, job));
        let mut failed = 0;
        for state in states {
            match state {
                Some(job) if !job.has_ended() => self.ends.left += 1,
                Some(JobState { state: State::Failed { .. }, .. }) => failed += 1,
                Some(_) => {}
                None => self.ends.left += 1,
            }
        }
        self.ends.failed += failed;
        if failed > 0 {
            self.logs.push(dir);
        }
    }
}

/// A run that this process has locked, and those of its jobs that were given.
struct Owned {
    dir: RunDir,
    journal: Journal,
    tasks: RunProgress,
    jobs: HashSet<String>,
}

/// Shows the events of a run and of the given jobs.
struct Only<'o> {
    show: &'o mut Show,
    jobs: &'o HashSet<String>,
}

impl Observer for Only<'_> {
    fn event(&mut self, event: &Event) {
        if event.what.job_ref().is_none_or(|of| self.jobs.contains(&of.job)) {
            self.show.event(event);
        }
    }

    fn wants_about(&self) -> bool {
        self.show.wants_about()
    }

    fn label(&mut self, run: &str, job: &str, about: &str) {
        self.show.label(run, job, about);
    }

    fn wants_lines(&self) -> bool {
        self.show.wants_lines()
    }

    fn line(&mut self, run: &str, of: &JobRef, line: &[u8]) {
        if self.jobs.contains(&of.job) {
            self.show.line(run, of, line);
        }
    }

    fn status(&mut self, text: &str) {
        self.show.status(text);
    }

    fn wait(&mut self, text: &str) {
        self.show.wait(text);
    }

    fn warn(&mut self, text: &str) {
        self.show.warn(text);
    }

    fn show_running(&mut self, counts: Counts, jobs: &mut dyn Iterator<Item = RunningJob<'_>>) {
        self.show.show_running(counts, jobs);
    }
}
