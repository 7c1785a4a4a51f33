//! A report on a file system that does not answer, such as that of a server that is gone. A call to it waits without end,
//! and no error is returned.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::error::{status, warn};

/// The time after which a call counts as one without an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The interval between looks at the current call.
const INTERVAL: Duration = Duration::from_secs(1);

/// A file that is read, or a directory.
struct Call {
    path: PathBuf,
    since: Instant,
    is_reported: bool,
}

type Current = Mutex<Option<Call>>;

/// The observer of calls to a file system. It has a thread, which ends after it.
#[derive(Clone)]
pub(super) struct StallObserver {
    current: Arc<Current>,
}

fn lock(current: &Current) -> MutexGuard<'_, Option<Call>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StallObserver {
    pub(super) fn start() -> StallObserver {
        let current = Arc::new(Mutex::new(None));
        let observed = Arc::downgrade(&current);
        // Without the thread nothing is reported, and everything else works.
        let _ = std::thread::Builder::new().name("stall".to_owned()).spawn(move || observe(&observed));
        StallObserver { current }
    }

    /// Notes that calls to the file system of this path follow.
    pub(super) fn begin(&self, path: &Path) {
        self.end();
        let call = Call { path: path.to_owned(), since: Instant::now(), is_reported: false };
        *lock(&self.current) = Some(call);
    }

    /// Notes that the calls have ended.
    pub(super) fn end(&self) {
        let ended = lock(&self.current).take();
        if let Some(Call { path, is_reported: true, .. }) = ended {
            status(format_args!("the file system answers again: '{}'", path.display()));
        }
    }

    /// Notes that a call has returned, and that others follow.
    pub(super) fn progress(&self) {
        if let Some(call) = &mut *lock(&self.current) {
            call.since = Instant::now();
        }
    }

    /// Does something else in the middle of the calls, such as writing, which a reader may delay.
    pub(super) fn pause<T>(&self, work: impl FnOnce() -> T) -> T {
        let path = lock(&self.current).as_ref().map(|call| call.path.clone());
        self.end();
        let done = work();
        if let Some(path) = path {
            self.begin(&path);
        }
        done
    }

    /// Calls the file system of another path in the middle of the calls.
    pub(super) fn during<T>(&self, path: &Path, work: impl FnOnce() -> T) -> T {
        self.pause(|| {
            self.begin(path);
            let done = work();
            self.end();
            done
        })
    }
}

fn observe(current: &Weak<Current>) {
    loop {
        std::thread::sleep(INTERVAL);
        let Some(current) = current.upgrade() else { return };
        // The reader of standard error may wait, and the calls do not wait for it.
        if let Some(path) = report(&current) {
            let seconds = PATIENCE.as_secs();
            warn(format_args!(
                "no answer of the file system for {seconds} seconds, waiting: '{}'",
                path.display()
            ));
        }
    }
}

/// The path of a call without an answer, once.
fn report(current: &Current) -> Option<PathBuf> {
    let mut current = lock(current);
    let call = current.as_mut().filter(|call| !call.is_reported && call.since.elapsed() >= PATIENCE)?;
    call.is_reported = true;
    Some(call.path.clone())
}
