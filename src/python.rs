//! The extension module `seedbed._core`, the only module that knows Python.
//!
//! Its functions check arguments, release the interpreter's lock, call the engine, and convert errors to exceptions.
//! `python/seedbed/_core.pyi` declares them with their types.

mod arrays;
mod counter;
mod interrupt;
mod matrices;
mod recipe;
mod tables;

use crate::float_state;
use crate::keystream::Keystream;
use crate::parallel::{Interrupted, SIGNAL_POLL_INTERVAL, at_most_every};
use crate::xla_ffi;
use arrays::{slice_of, writable};
use interrupt::interruptible;
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyTuple};
use std::num::NonZero;

fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn keystream((key, stream): (&[u8], u64)) -> PyResult<Keystream> {
    let key = key.try_into().map_err(|_| value_error("key must have 32 bytes"))?;
    Ok(Keystream::new(key, stream))
}

/// The name of the backend in use.
#[pyfunction]
fn backend() -> PyResult<&'static str> {
    crate::backend::name().map_err(value_error)
}

/// Number of CPUs that the process may use, by its affinity and the quotas of its control groups.
#[pyfunction]
fn available_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Call a function in the default floating point state.
#[pyfunction]
#[pyo3(signature = (function, /, *args, **kwargs))]
fn in_default_state<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    float_state::in_default_state(|| function.call(args, kwargs))
}

/// The address of the handler that XLA calls, for the platform "cpu" and version 1 of XLA's interface for handlers.
#[pyfunction]
fn xla_handler() -> usize {
    xla_ffi::handler as *const () as usize
}

/// The number of elements that calls by XLA have evaluated so far.
#[pyfunction]
fn xla_evaluated() -> u64 {
    xla_ffi::evaluated()
}

/// Set the number of threads that a call by XLA may use, the calling one included.
#[pyfunction]
fn set_xla_threads(threads: NonZero<usize>) {
    xla_ffi::set_threads(threads);
}

/// Number of words between two looks at the clock. They take some tens of microseconds.
const WORDS_AT_ONCE: usize = 1 << 18;

/// Fill `out` with the words of the keystream at (key, stream), from number `start` on.
#[pyfunction]
fn words(out: &Bound<'_, PyArray1<u32>>, address: (&[u8], u64), start: u128) -> PyResult<()> {
    backend()?;
    let keystream = keystream(address)?;
    let mut array = writable(out)?;
    let words = slice_of(&mut array)?;
    interruptible(out.py(), |proceed| {
        let proceed = at_most_every(SIGNAL_POLL_INTERVAL, proceed);
        for (i, part) in words.chunks_mut(WORDS_AT_ONCE).enumerate() {
            keystream.words(start.wrapping_add((i * WORDS_AT_ONCE) as u128), part);
            if !proceed() {
                return Err(Interrupted);
            }
        }
        Ok(())
    })
}

/// Make the `numpy` crate do the lookups of its first use now. They run Python code under a lock. A trace function that
/// used this module during that code would wait for its own thread forever, and a first use while the interpreter shuts
/// down would panic.
fn look_up_numpy(py: Python<'_>) -> PyResult<()> {
    py.import("numpy")?;
    writable(&PyArray1::<f32>::zeros(py, 0, false)).map(drop)
}

// The module is safe without the GIL: fills borrow their arrays through the `numpy` crate, which refuses a second
// writer, and classes are immutable or atomic. `tests/test_free_threading.py` tests this.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    look_up_numpy(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MAX_BOUND", crate::quantile::between::MAX_BOUND)?;
    module.add("MAX_SOFTPLUS", crate::quantile::curve::MAX_SOFTPLUS)?;
    module.add("MIN_OF_LOG", crate::recipe::MIN_OF_LOG)?;
    module.add_class::<counter::Counter>()?;
    module.add_class::<recipe::PyRecipe>()?;
    module.add_class::<matrices::PyOrthogonal>()?;
    module.add_function(wrap_pyfunction!(available_cpus, module)?)?;
    module.add_function(wrap_pyfunction!(backend, module)?)?;
    module.add_function(wrap_pyfunction!(in_default_state, module)?)?;
    module.add_function(wrap_pyfunction!(matrices::matmul, module)?)?;
    module.add_function(wrap_pyfunction!(recipe::round_float8, module)?)?;
    module.add_function(wrap_pyfunction!(tables::float32_tables, module)?)?;
    module.add_function(wrap_pyfunction!(set_xla_threads, module)?)?;
    module.add_function(wrap_pyfunction!(words, module)?)?;
    module.add_function(wrap_pyfunction!(xla_evaluated, module)?)?;
    module.add_function(wrap_pyfunction!(xla_handler, module)?)
}
