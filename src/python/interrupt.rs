//! Work without the interpreter's lock, which an exception of a signal handler ends.

use crate::parallel::Stopped;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::cell::Cell;
use std::thread;

/// Do work that asks now and then whether to go on, without holding the interpreter's lock. If a signal handler raises an
/// exception meanwhile, the work ends and the exception is raised.
pub(super) fn interruptible<E: Into<Stopped>>(
    py: Python<'_>,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<(), E> + Send,
) -> PyResult<()> {
    py.detach(|| {
        let raised = Cell::new(None);
        let proceed = || match Python::try_attach(|py| py.check_signals()) {
            Some(checked) => checked.map_err(|error| raised.set(Some(error))).is_ok(),
            // The interpreter is gone, and the process soon will be: there is no caller to return to.
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
