//! Work that threads take in turn. Who does what changes nothing of what is done.

use crate::float_state::in_default_state;
use std::cell::Cell;
use std::collections::TryReserveError;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often the calling thread asks whether to go on.
pub(crate) const PATIENCE: Duration = Duration::from_millis(20);

/// The address space that a thread may want: its stack, and what an allocator keeps for one that allocates.
const THREAD_ROOM: usize = (2 + 64) << 20;

/// More than any allocator has in store: asking for it tells whether the system has any.
const MORE_ROOM: usize = 33 << 20;

/// The work was told to stop, and part of it was left undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the work was interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Why work that needs memory of its own is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was told to stop.
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

/// Whether to go on: to be asked in the course of long work.
pub(crate) type GoOn<'a> = dyn Fn() -> Result<(), Interrupted> + 'a;

/// Do the work of each item, on up to `threads` threads, the calling one among them.
///
/// `proceed` is called there now and then; where it says no, and where an item's work fails, all of it ends soon. Every
/// thread works in the default floating point state, whatever that of the caller is.
pub(crate) fn share<I: Iterator + Send, E: From<Interrupted> + Send>(
    items: I,
    threads: usize,
    proceed: impl Fn() -> bool,
    work: impl Fn(I::Item, &GoOn<'_>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (items, failure, stop) = (Mutex::new(items), Mutex::new(None), AtomicBool::new(false));
    let labour = |proceed: &dyn Fn() -> bool| {
        let go_on = || if !stop.load(Ordering::Relaxed) && proceed() { Ok(()) } else { Err(Interrupted) };
        loop {
            let done = go_on().map_err(E::from).and_then(|()| {
                let item = items.lock().expect("no thread panics here").next();
                item.map(|item| work(item, &go_on)).transpose()
            });
            match done {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(error) => {
                    failure.lock().expect("no thread panics here").get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                    break;
                }
            }
        }
    };
    let on_this_thread = || in_default_state(|| labour(&every(PATIENCE, &proceed)));
    match with_room(threads) {
        ..=1 => on_this_thread(),
        threads => thread::scope(|scope| {
            for _ in 1..threads {
                // Threads live as long as the work: nothing is left running for a fork() to break. Where the system has no
                // more threads to give, those that there are do the work.
                if thread::Builder::new().spawn_scoped(scope, || in_default_state(|| labour(&|| true))).is_err() {
                    break;
                }
            }
            on_this_thread();
        }),
    }
    failure.into_inner().expect("no thread panics here").map_or(Ok(()), Err)
}

/// As many of the threads as there is address space for. Where that is scarce, a thread may still start, and then want a
/// page of thread-local memory: glibc ends the process that has none left.
fn with_room(mut threads: usize) -> usize {
    while threads > 1 {
        let mut room = Vec::<u8>::new();
        if room.try_reserve_exact(threads.saturating_mul(THREAD_ROOM).saturating_add(MORE_ROOM)).is_ok() {
            std::hint::black_box(&room); // asked for, not optimized away
            break;
        }
        threads /= 2;
    }
    threads
}

/// Ask at most once in a while, and say yes between.
pub(crate) fn every(pause: Duration, proceed: &dyn Fn() -> bool) -> impl Fn() -> bool {
    let asked = Cell::new(Instant::now());
    move || {
        if asked.get().elapsed() < pause {
            return true;
        }
        asked.set(Instant::now());
        proceed()
    }
}
