//! A counter without a lock, for the draws of a `SeedGenerator`.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counts from a number to 2^64 - 1. Each call of `take` returns another number. A call is one atomic step, so that no
/// thread, trace function or signal handler can take the same number, and none can wait for a lock that it blocks
/// itself.
#[pyclass(frozen, module = "seedbed._core")]
pub(super) struct Counter {
    /// The number that the next `take` returns.
    next: AtomicU64,
    /// Whether `next` is 2^64 - 1 and has been taken.
    exhausted: AtomicBool,
}

#[pymethods]
impl Counter {
    #[new]
    fn new(start: u64) -> Self {
        Self { next: AtomicU64::new(start), exhausted: AtomicBool::new(false) }
    }

    /// The number that the next `take` returns.
    #[getter]
    fn next(&self) -> u128 {
        u128::from(self.next.load(Relaxed)) + u128::from(self.exhausted.load(Relaxed))
    }

    /// Return a number, and add 1. OverflowError after 2^64 - 1.
    fn take(&self) -> PyResult<u64> {
        match self.next.fetch_update(Relaxed, Relaxed, |next| next.checked_add(1)) {
            Ok(taken) => Ok(taken),
            Err(last) if !self.exhausted.swap(true, Relaxed) => Ok(last),
            Err(_) => Err(PyOverflowError::new_err("a generator has 2**64 draws. Received: one more")),
        }
    }
}
