//! Work on several threads, whose results are passed on in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The size of results that wait for their turn, from which on the threads wait, too.
const HELD: usize = 8 << 20;
/// The number of results on their way to the receiver.
const SENT: usize = 64;
/// The number of results and ends of jobs on their way.
const SENT_WITH_ENDS: usize = 512;
/// The time for which ends of jobs are collected, since to wake the receiver for each of them takes longer than a short job.
/// The first ones are passed on soon, as one of them may be the end of all.
const COLLECTED: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// The greatest number of threads: more of them wait for the memory.
const THREADS: usize = 8;

/// A result of a job, or the end of the job.
pub enum Found<R, E> {
    /// A result, and its size in memory.
    Result(R, usize),
    /// The end of the job.
    End(E),
}

/// The jobs, and how far they are.
struct State<J> {
    jobs: Vec<Option<J>>,
    next: usize,
    /// The number of threads that wait for a job.
    idle: usize,
    is_complete: bool,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
    /// The job whose results are passed on, and the size of those that wait.
    head: AtomicUsize,
    held: AtomicUsize,
    /// The number of threads that wait since too much is held.
    waiting: AtomicUsize,
    is_over: AtomicBool,
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.notify();
    }

    fn notify(&self) {
        // A thread that is about to wait has the lock.
        drop(self.lock());
        self.changed.notify_all();
    }
}

/// Results on their way to the receiver, each with the number of its job.
struct Mail<R, E> {
    inside: Mutex<Inside<R, E>>,
    arrived: Condvar,
    emptied: Condvar,
}

struct Inside<R, E> {
    found: Vec<(usize, Found<R, E>)>,
    /// The number of results among them.
    results: usize,
    /// How long ends are collected next.
    patience: Duration,
    senders: usize,
    /// Whether the receiver waits until it is woken.
    is_asleep: bool,
    is_closed: bool,
}

impl<R, E> Inside<R, E> {
    fn is_full(&self) -> bool {
        self.results >= SENT || self.found.len() >= SENT_WITH_ENDS
    }
}

impl<R, E> Mail<R, E> {
    fn new(senders: usize) -> Mail<R, E> {
        let inside = Inside {
            found: Vec::new(),
            results: 0,
            patience: COLLECTED.0,
            senders,
            is_asleep: false,
            is_closed: false,
        };
        Mail { inside: Mutex::new(inside), arrived: Condvar::new(), emptied: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inside<R, E>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a result; `false` if nobody receives it. The end of a job may arrive a little later.
    fn send(&self, number: usize, found: Found<R, E>) -> bool {
        let mut inside = self.lock();
        while inside.is_full() && !inside.is_closed {
            inside = self.emptied.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        let is_result = matches!(found, Found::Result(..));
        inside.results += usize::from(is_result);
        inside.found.push((number, found));
        if is_result || inside.is_asleep || inside.found.len() >= SENT_WITH_ENDS / 2 {
            self.arrived.notify_one();
        }
        !inside.is_closed
    }

    /// Wakes the receiver, which then takes what was collected.
    fn hurry(&self) {
        drop(self.lock());
        self.arrived.notify_one();
    }

    /// A sender sends no more.
    fn leave(&self) {
        self.lock().senders -= 1;
        self.arrived.notify_one();
    }

    fn take(&self, mut inside: MutexGuard<'_, Inside<R, E>>) -> Vec<(usize, Found<R, E>)> {
        if inside.is_full() {
            self.emptied.notify_all();
        }
        inside.results = 0;
        std::mem::take(&mut inside.found)
    }

    fn available(&self) -> Vec<(usize, Found<R, E>)> {
        self.take(self.lock())
    }

    /// The next results; none if all senders left.
    fn receive(&self) -> Vec<(usize, Found<R, E>)> {
        let mut inside = self.lock();
        if inside.found.is_empty() && inside.senders > 0 {
            let patience = inside.patience;
            inside.patience = (2 * patience).min(COLLECTED.1);
            inside = self.arrived.wait_timeout(inside, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        while inside.found.is_empty() && inside.senders > 0 {
            inside.is_asleep = true;
            inside = self.arrived.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        inside.is_asleep = false;
        self.take(inside)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.emptied.notify_all();
    }
}

/// Adds jobs while others are done; `false` if no further one is needed.
type Add<'a, J> = &'a mut dyn FnMut(J) -> bool;

/// Does jobs on as many threads as there are processors, and passes the results on in the order of the jobs, on the thread
/// of the caller.
///
/// `feed` adds the jobs; the results so far are passed on while it does. `work` does a job, and gives each result to its
/// last argument, which returns `false` if no further one is needed. `take` is given each result and the end of each job;
/// it returns `false` to end all.
pub fn in_order<J: Send, R: Send, E: Send, F>(
    feed: impl FnOnce(Add<'_, J>) -> Result<(), F>,
    work: impl Fn(J, &mut dyn FnMut(R, usize) -> bool) -> E + Sync,
    take: impl FnMut(Found<R, E>) -> Result<bool, F>,
) -> Result<(), F> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    in_order_on(threads, feed, work, take)
}

fn in_order_on<J: Send, R: Send, E: Send, F>(
    threads: usize,
    feed: impl FnOnce(Add<'_, J>) -> Result<(), F>,
    work: impl Fn(J, &mut dyn FnMut(R, usize) -> bool) -> E + Sync,
    mut take: impl FnMut(Found<R, E>) -> Result<bool, F>,
) -> Result<(), F> {
    let shared = Shared {
        state: Mutex::new(State { jobs: Vec::new(), next: 0, idle: 0, is_complete: false }),
        changed: Condvar::new(),
        head: AtomicUsize::new(0),
        held: AtomicUsize::new(0),
        waiting: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    let threads = threads.max(1);
    let mail = Mail::new(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (mail, shared, work) = (&mail, &shared, &work);
            scope.spawn(move || {
                // The receiver would wait for a thread that panics.
                let _leaving = Leaving(mail);
                do_jobs(shared, mail, work);
            });
        }
        let mut order = Order { shared: &shared, waiting: BTreeMap::new(), take: &mut take };
        let mut failure = Ok(());
        let fed = feed(&mut |job| {
            let has_idle = {
                let mut state = shared.lock();
                state.jobs.push(Some(job));
                state.idle > 0
            };
            // To wake a thread costs a call of the kernel, also where none waits.
            if has_idle {
                shared.changed.notify_one();
            }
            if failure.is_ok() {
                failure = order.add_all(mail.available());
            }
            failure.is_ok() && !shared.is_over.load(Ordering::SeqCst)
        });
        shared.lock().is_complete = true;
        shared.changed.notify_all();
        let all = fed.and(failure).and_then(|()| order.receive_all(&mail));
        shared.stop();
        // A thread may wait for its result to be received.
        mail.close();
        all
    })
}

/// A thread that ends.
struct Leaving<'m, R, E>(&'m Mail<R, E>);

impl<R, E> Drop for Leaving<'_, R, E> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn do_jobs<J, R, E>(
    shared: &Shared<J>,
    mail: &Mail<R, E>,
    work: &impl Fn(J, &mut dyn FnMut(R, usize) -> bool) -> E,
) {
    loop {
        let (number, job) = {
            let mut state = shared.lock();
            loop {
                if shared.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let next = state.next;
                if let Some(job) = state.jobs.get_mut(next).and_then(Option::take) {
                    state.next += 1;
                    break (next, job);
                }
                if state.is_complete {
                    return;
                }
                state.idle += 1;
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        };
        let end = work(job, &mut |result, size| {
            let must_wait = || {
                shared.held.load(Ordering::SeqCst) > HELD
                    && shared.head.load(Ordering::SeqCst) < number
                    && !shared.is_over.load(Ordering::SeqCst)
            };
            if must_wait() {
                let mut state = shared.lock();
                shared.waiting.fetch_add(1, Ordering::SeqCst);
                mail.hurry();
                while must_wait() {
                    state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                shared.waiting.fetch_sub(1, Ordering::SeqCst);
            }
            shared.held.fetch_add(size, Ordering::SeqCst);
            !shared.is_over.load(Ordering::SeqCst) && mail.send(number, Found::Result(result, size))
        });
        if !mail.send(number, Found::End(end)) {
            return;
        }
        if shared.waiting.load(Ordering::SeqCst) > 0 {
            mail.hurry();
        }
    }
}

/// Passes results on in the order of the jobs.
struct Order<'o, J, R, E, T> {
    shared: &'o Shared<J>,
    /// The results of later jobs.
    waiting: BTreeMap<usize, Vec<Found<R, E>>>,
    take: &'o mut T,
}

impl<J, R, E, F, T: FnMut(Found<R, E>) -> Result<bool, F>> Order<'_, J, R, E, T> {
    fn add_all(&mut self, all: Vec<(usize, Found<R, E>)>) -> Result<(), F> {
        all.into_iter().try_for_each(|(number, found)| self.add(number, found))
    }

    fn receive_all(&mut self, mail: &Mail<R, E>) -> Result<(), F> {
        while !self.shared.is_over.load(Ordering::SeqCst) {
            let all = mail.receive();
            if all.is_empty() {
                break;
            }
            self.add_all(all)?;
        }
        Ok(())
    }

    fn add(&mut self, number: usize, found: Found<R, E>) -> Result<(), F> {
        if number != self.shared.head.load(Ordering::SeqCst) {
            self.waiting.entry(number).or_default().push(found);
            return Ok(());
        }
        let mut is_end = self.pass(found)?;
        while is_end {
            let head = self.shared.head.fetch_add(1, Ordering::SeqCst) + 1;
            if self.shared.waiting.load(Ordering::SeqCst) > 0 {
                self.shared.notify();
            }
            is_end = false;
            for found in self.waiting.remove(&head).unwrap_or_default() {
                is_end = self.pass(found)?;
            }
        }
        Ok(())
    }

    /// Passes a result on; returns whether it was the end of its job.
    fn pass(&mut self, found: Found<R, E>) -> Result<bool, F> {
        if self.shared.is_over.load(Ordering::SeqCst) {
            return Ok(false);
        }
        let is_end = match &found {
            Found::Result(_, size) => {
                self.shared.held.fetch_sub(*size, Ordering::SeqCst);
                false
            }
            Found::End(_) => true,
        };
        if !(self.take)(found)? {
            self.shared.stop();
        }
        Ok(is_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_jobs() {
        for threads in [1, 2, 5] {
            let mut seen = Vec::new();
            let done: Result<(), ()> = in_order_on(
                threads,
                |add| {
                    (0..500).for_each(|job| {
                        add(job);
                    });
                    Ok(())
                },
                |job: usize, give| {
                    // Results of some jobs are greater than what is held.
                    (0..job % 4).all(|at| give((job, at), if job.is_multiple_of(7) { HELD } else { 1 }));
                    job
                },
                |found| {
                    seen.push(match found {
                        Found::Result((job, at), _) => (job, at),
                        Found::End(job) => (job, 9),
                    });
                    Ok(true)
                },
            );
            assert!(done.is_ok());
            let expected: Vec<_> =
                (0..500).flat_map(|job| (0..job % 4).chain([9]).map(move |at| (job, at))).collect();
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn an_end_or_an_error_stops_all_threads() {
        for stop in [3, 40] {
            let mut seen = 0;
            let done = in_order_on(
                3,
                |add| {
                    while add(()) {}
                    Ok(())
                },
                |(), give| {
                    while give((), 1 << 20) {}
                },
                |_| {
                    seen += 1;
                    if seen == 41 { Err("failed") } else { Ok(seen < stop || stop == 40) }
                },
            );
            assert_eq!(done.is_err(), stop == 40);
        }
    }
}
