//! Threads that take the items of a work list in turn.
//!
//! The result does not depend on which thread takes which item: items write to disjoint memory, and each is a function
//! of its address. Threads are started for one call and joined at its end. A pool of threads would live longer, but its
//! threads would be missing in a child process after `fork`, and would still run when the interpreter ends.

use crate::float_state::in_default_state;
use std::cell::Cell;
use std::collections::TryReserveError;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Least time between two calls of `proceed`: about how long Python's signal handlers wait.
pub(crate) const SIGNAL_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Address space that a thread may take, in bytes: 2 MiB of stack, and 64 MiB that glibc reserves for a thread that
/// allocates.
const THREAD_SPACE: usize = (2 + 64) << 20;

/// Larger than any allocator's reserve, in bytes, so that a refusal means that the system has no memory left.
const ALLOCATOR_RESERVE: usize = 33 << 20;

/// The caller asked for the work to stop. Part of it is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the work was interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Why work that allocates memory stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The caller asked for the work to stop.
    Interrupted,
    /// There is not enough memory.
    OutOfMemory,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => Interrupted.fmt(f),
            Self::OutOfMemory => f.write_str("there is not enough memory to compute a matrix"),
        }
    }
}

impl std::error::Error for Stopped {}

impl From<Interrupted> for Stopped {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<TryReserveError> for Stopped {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

/// A function that long work calls often. If it returns an error, the work must stop.
pub(crate) type Proceed<'a> = dyn Fn() -> Result<(), Interrupted> + 'a;

/// Call `work` for each item, on up to `threads` threads, the calling one included.
///
/// `proceed` is called on the calling thread, every [`SIGNAL_POLL_INTERVAL`]. If it returns false, or if `work` fails
/// for one item, all threads stop soon, and the error is returned. `work` gets a [`Proceed`] to call if an item takes
/// long.
///
/// Every thread works in the default floating point state, whatever the state of the caller is.
pub(crate) fn for_each<I: Iterator + Send, E: From<Interrupted> + Send>(
    items: I,
    threads: usize,
    proceed: impl Fn() -> bool,
    work: impl Fn(I::Item, &Proceed<'_>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    // A lock is cheap enough, since the work for an item takes much longer than taking the item. If several threads
    // fail, the first error is returned.
    let (items, failure, stop) = (Mutex::new(items), Mutex::new(None), AtomicBool::new(false));
    let worker = |caller_agrees: &dyn Fn() -> bool| {
        let proceed = || if !stop.load(Ordering::Relaxed) && caller_agrees() { Ok(()) } else { Err(Interrupted) };
        loop {
            let done = proceed().map_err(E::from).and_then(|()| {
                let item = items.lock().expect("no thread panics with the lock").next();
                item.map(|item| work(item, &proceed)).transpose()
            });
            match done {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(error) => {
                    failure.lock().expect("no thread panics with the lock").get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                    break;
                }
            }
        }
    };
    let on_this_thread = || in_default_state(|| worker(&at_most_every(SIGNAL_POLL_INTERVAL, &proceed)));
    match affordable_threads(threads) {
        ..=1 => on_this_thread(),
        threads => thread::scope(|scope| {
            for _ in 1..threads {
                // If the system refuses a thread, those that have started do all of the work.
                if thread::Builder::new().spawn_scoped(scope, || in_default_state(|| worker(&|| true))).is_err() {
                    break;
                }
            }
            on_this_thread();
        }),
    }
    failure.into_inner().expect("no thread panics with the lock").map_or(Ok(()), Err)
}

/// The number of threads, up to `threads`, for which the process has address space.
///
/// If address space is scarce, a thread may start, but then glibc fails to map its thread-local memory and ends the
/// process. To find out before, this function allocates the space of all threads and releases it at once.
fn affordable_threads(mut threads: usize) -> usize {
    while threads > 1 {
        let mut space = Vec::<u8>::new();
        if space.try_reserve_exact(threads.saturating_mul(THREAD_SPACE).saturating_add(ALLOCATOR_RESERVE)).is_ok() {
            std::hint::black_box(&space); // without this, the compiler would remove the allocation
            break;
        }
        threads /= 2;
    }
    threads
}

/// A predicate that calls `proceed` at most once in each `interval`, and otherwise returns true. A call of `proceed`
/// may take the interpreter's lock, which costs more than a look at the clock.
pub(crate) fn at_most_every(interval: Duration, proceed: &dyn Fn() -> bool) -> impl Fn() -> bool {
    let last_call = Cell::new(Instant::now());
    move || {
        if last_call.get().elapsed() < interval {
            return true;
        }
        last_call.set(Instant::now());
        proceed()
    }
}
