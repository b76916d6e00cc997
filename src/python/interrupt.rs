//! Work without the interpreter's lock that signal handlers can interrupt.

use crate::parallel::Stopped;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::cell::Cell;
use std::thread;

/// Call `work` without holding the interpreter's lock. The predicate that it gets runs pending signal handlers, and
/// returns false if one raised an exception, which is then raised here.
pub(super) fn interruptible<E: Into<Stopped>>(
    py: Python<'_>,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<(), E> + Send,
) -> PyResult<()> {
    py.detach(|| {
        let raised = Cell::new(None);
        let proceed = || match Python::try_attach(|py| py.check_signals()) {
            Some(checked) => checked.map_err(|error| raised.set(Some(error))).is_ok(),
            // The interpreter has shut down, and the process ends soon: there is no caller to return to.
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
