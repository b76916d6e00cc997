//! Work that releases the interpreter's lock, and that a signal handler can interrupt.

use crate::parallel::Stopped;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::cell::Cell;
use std::thread;

/// Call `work` with the interpreter's lock released. `work` gets a predicate that runs pending signal handlers, and
/// returns false if one of them raised an exception. This function then raises that exception.
pub(super) fn interruptible<E: Into<Stopped>>(
    py: Python<'_>,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<(), E> + Send,
) -> PyResult<()> {
    py.detach(|| {
        let raised = Cell::new(None);
        let proceed = || match Python::try_attach(|py| py.check_signals()) {
            Some(checked) => checked.map_err(|error| raised.set(Some(error))).is_ok(),
            // The interpreter has shut down, so there is no caller to return to. Wait until the process ends.
            None => loop {
                thread::park();
            },
        };
        let done = work(&proceed).map_err(Into::into);
        raised.take().map_or(Ok(()), Err)?;
        done.map_err(|stopped| match stopped {
            Stopped::OutOfMemory => PyMemoryError::new_err(stopped.to_string()),
            Stopped::Interrupted => unreachable!("only a raised exception interrupts"),
        })
    })
}
