//! The extension module `seedbed._core`: check, detach, call, wrap.

use crate::fill::Fill;
use crate::keystream::Keystream;
use crate::matmul::product;
use crate::narrow::Element;
use crate::orthogonal::{Orthogonal, Stopped};
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use crate::share::{Interrupted, PATIENCE, every};
use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use numpy::ndarray::Dimension;
use numpy::{
    Element as NumpyElement, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray2, PyReadwriteArray,
    PyReadwriteArray2, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyModule;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn keystream((key, stream): (&[u8], u64)) -> PyResult<Keystream> {
    let key = key.try_into().map_err(|_| value_error("key must have 32 bytes"))?;
    Ok(Keystream::new(key, stream))
}

fn array_of<'a, 'py, T: Held>(array: &'a Bound<'py, PyUntypedArray>) -> PyResult<&'a Bound<'py, PyArrayDyn<T::Held>>> {
    array.cast().map_err(|_| value_error(format!("out must hold {} elements", T::NAME)))
}

/// Room for one writer: nobody else may be filling the same memory.
fn writable<'py, T: NumpyElement, D: Dimension>(
    array: &Bound<'py, numpy::PyArray<T, D>>,
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    array.try_readwrite().map_err(|error| {
        value_error(format!("out must be writable, and no other fill may be writing to it. Received: {error}"))
    })
}

fn slice_of<'a, T: NumpyElement, D: Dimension>(array: &'a mut PyReadwriteArray<'_, T, D>) -> PyResult<&'a mut [T]> {
    let in_order = array.is_c_contiguous(); // a slice may be in any other
    let slice = array.as_slice_mut().ok().filter(|_| in_order);
    slice.ok_or_else(|| value_error("out must be aligned, contiguous and in C order"))
}

/// An element, and what NumPy has it as: a 16-bit float as its bits.
trait Held: Element {
    type Held: NumpyElement;
    fn elements(held: &mut [Self::Held]) -> &mut [Self];
}

impl Held for f16 {
    type Held = u16;
    fn elements(held: &mut [u16]) -> &mut [Self] {
        held.reinterpret_cast_mut()
    }
}

impl Held for bf16 {
    type Held = u16;
    fn elements(held: &mut [u16]) -> &mut [Self] {
        held.reinterpret_cast_mut()
    }
}

impl Held for f32 {
    type Held = f32;
    fn elements(held: &mut [f32]) -> &mut [Self] {
        held
    }
}

impl Held for f64 {
    type Held = f64;
    fn elements(held: &mut [f64]) -> &mut [Self] {
        held
    }
}

/// Work for the element type of a name, which it knows as `T`.
macro_rules! by_dtype {
    ($name:expr, $T:ident => $work:expr) => {
        by_dtype!($name, $T => $work; f16 bf16 f32 f64)
    };
    ($name:expr, $T:ident => $work:expr; $($element:ident)+) => {
        match $name {
            $(<$element as Element>::NAME => {
                type $T = $element;
                $work
            })+
            name => Err(value_error(format!("dtype must be float16, bfloat16, float32 or float64. Received: {name}"))),
        }
    };
}

/// The name of a distribution and its parameters, those of [`Distribution`] in their order.
type NamedDistribution<'a> = (&'a str, Vec<f64>);

fn distribution((name, parameters): NamedDistribution<'_>) -> PyResult<Distribution> {
    Ok(match (name, parameters.as_slice()) {
        ("uniform", &[minval, maxval]) => Distribution::Uniform { minval, maxval },
        ("normal", &[mean, stddev]) => Distribution::Normal { mean, stddev },
        ("truncated_normal", &[mean, stddev]) => Distribution::TruncatedNormal { mean, stddev },
        ("disk", &[radius]) => Distribution::Disk { radius },
        ("complex_truncated_normal", &[stddev]) => Distribution::ComplexTruncatedNormal { stddev },
        ("normal_between", &[mean, stddev, lower, upper]) => Distribution::NormalBetween { mean, stddev, lower, upper },
        _ => {
            return Err(value_error(format!(
                "distribution must be uniform, normal or truncated_normal with two parameters, normal_between with \
                 four, or disk or complex_truncated_normal with one. Received: {name} with {}",
                parameters.len()
            )));
        }
    })
}

/// The name of the backend in use.
#[pyfunction]
fn backend() -> PyResult<&'static str> {
    crate::backend::name().map_err(value_error)
}

/// Whether a distribution has a recipe for a dtype: the ValueError that `fill` would raise, without filling.
#[pyfunction]
fn check(named: NamedDistribution<'_>, dtype: &str) -> PyResult<()> {
    let distribution = distribution(named)?;
    by_dtype!(dtype, T => Recipe::new::<T>(distribution).map(drop).map_err(value_error))
}

/// Fill `out` with a region of the tensor at (key, stream). Axes are (length, start, step, count); without them `out` is
/// the whole tensor. 16-bit floats come as their bits.
#[pyfunction]
fn fill(
    out: &Bound<'_, PyUntypedArray>,
    dtype: &str,
    named: NamedDistribution<'_>,
    key_and_stream: (&[u8], u64),
    axes: Option<Vec<(u64, u64, i64, u64)>>,
    threads: NonZero<usize>,
) -> PyResult<()> {
    backend()?;
    let region = match axes {
        None => Region::whole(&[out.len() as u64]),
        Some(axes) => {
            let axes = axes.into_iter().map(|(length, start, step, count)| Axis { length, start, step, count });
            Region::new(&axes.collect::<Vec<_>>())
        }
    }
    .map_err(value_error)?;
    let (keystream, distribution) = (keystream(key_and_stream)?, distribution(named)?);
    by_dtype!(dtype, T => {
        let recipe = Recipe::new::<T>(distribution).map_err(value_error)?;
        fill_array::<T>(out, &Fill { keystream, recipe, region: &region }, threads)
    })
}

fn fill_array<T: Held>(array: &Bound<'_, PyUntypedArray>, fill: &Fill<'_>, threads: NonZero<usize>) -> PyResult<()> {
    if fill.recipe.makes_pairs() && !fill.region.keeps_pairs() {
        return Err(value_error("the region of a complex tensor must have whole numbers: a last axis of 2, all of it"));
    }
    let py = array.py();
    let mut array = writable(array_of::<T>(array)?)?;
    let out = T::elements(slice_of(&mut array)?);
    if out.len() as u64 != fill.region.len() {
        return Err(value_error(format!(
            "out must have the {} elements of the region. Received: {}",
            fill.region.len(),
            out.len()
        )));
    }
    interruptible(py, |proceed| fill.run(out, threads, proceed))
}

/// Do work that asks now and then whether to go on, without holding the interpreter. An exception that a signal handler
/// raises meanwhile ends it and is raised.
fn interruptible<E: Into<Stopped>>(
    py: Python<'_>,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<(), E> + Send,
) -> PyResult<()> {
    py.detach(|| {
        let raised = std::cell::Cell::new(None);
        let proceed = || match Python::try_attach(|py| py.check_signals()) {
            Some(checked) => checked.map_err(|error| raised.set(Some(error))).is_ok(),
            // The interpreter is gone, and the process soon will be: there is nobody to return to.
            None => loop {
                std::thread::park();
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

/// Whether there are orthogonal matrices of a gain in a dtype: the ValueError that `orthogonal` would raise.
#[pyfunction]
fn check_gain(gain: f64, dtype: &str) -> PyResult<()> {
    by_dtype!(dtype, T => crate::orthogonal::check_gain::<T>(gain).map_err(value_error))
}

/// Fill `out` with an orthogonal matrix of (rows, columns) from (key, stream). 16-bit floats come as their bits.
#[pyfunction]
fn orthogonal(
    out: &Bound<'_, PyUntypedArray>,
    dtype: &str,
    shape: (usize, usize),
    gain: f64,
    key_and_stream: (&[u8], u64),
    threads: NonZero<usize>,
) -> PyResult<()> {
    backend()?;
    check_gain(gain, dtype)?;
    let (rows, columns) = shape;
    let matrix = Orthogonal { keystream: keystream(key_and_stream)?, rows, columns, gain };
    by_dtype!(dtype, T => orthogonal_array::<T>(out, &matrix, threads))
}

fn orthogonal_array<T: Held>(
    array: &Bound<'_, PyUntypedArray>,
    matrix: &Orthogonal,
    threads: NonZero<usize>,
) -> PyResult<()> {
    let py = array.py();
    let mut array = writable(array_of::<T>(array)?)?;
    let out = T::elements(slice_of(&mut array)?);
    if Some(out.len()) != matrix.rows.checked_mul(matrix.columns) {
        return Err(value_error(format!("out must have the elements of the matrix. Received: {}", out.len())));
    }
    interruptible(py, |proceed| matrix.run(out, threads, proceed))
}

/// Fill `out` with the product of two float64 matrices, each element summed from left to right.
#[pyfunction]
fn matmul(
    mut out: PyReadwriteArray2<'_, f64>,
    left: PyReadonlyArray2<'_, f64>,
    right: PyReadonlyArray2<'_, f64>,
    threads: NonZero<usize>,
) -> PyResult<()> {
    backend()?;
    let py = out.py();
    if !(left.is_aligned() && right.is_aligned() && out.is_aligned()) {
        return Err(value_error("matrices must be aligned"));
    }
    let ((m, k), (l, n)) = (left.as_array().dim(), right.as_array().dim());
    if k != l || out.as_array().dim() != (m, n) {
        return Err(value_error("out must have the shape of the product of left and right"));
    }
    let (left, right, out) = (left.as_array(), right.as_array(), out.as_array_mut());
    let (Some(left), Some(right), Some(out)) = (left.to_slice(), right.to_slice(), out.into_slice()) else {
        return Err(value_error("matrices must be contiguous and in C order"));
    };
    interruptible(py, |proceed| product((left, right), [m, k, n], out, threads, proceed))
}

/// Words between two looks at the clock.
const WORDS_AT_ONCE: usize = 1 << 18;

/// Fill `out` with words `start`, `start + 1`, ... of the keystream of (key, stream).
#[pyfunction]
fn words(out: &Bound<'_, PyArray1<u32>>, key_and_stream: (&[u8], u64), start: u128) -> PyResult<()> {
    backend()?;
    let keystream = keystream(key_and_stream)?;
    let mut array = writable(out)?;
    let words = slice_of(&mut array)?;
    interruptible(out.py(), |proceed| {
        let proceed = every(PATIENCE, proceed);
        for (i, part) in words.chunks_mut(WORDS_AT_ONCE).enumerate() {
            keystream.words(start.wrapping_add((i * WORDS_AT_ONCE) as u128), part);
            if !proceed() {
                return Err(Interrupted);
            }
        }
        Ok(())
    })
}

/// Counts from a number to 2^64 - 1. Each call of `take` returns another one: there is no lock, and no moment at which a
/// trace function, a signal handler or another thread could take the same.
#[pyclass(frozen, module = "seedbed._core")]
struct Counter {
    next: AtomicU64,
    /// Whether `next` is taken too, and has no successor.
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

    fn take(&self) -> PyResult<u64> {
        match self.next.fetch_update(Relaxed, Relaxed, |next| next.checked_add(1)) {
            Ok(taken) => Ok(taken),
            Err(last) if !self.exhausted.swap(true, Relaxed) => Ok(last),
            Err(_) => Err(PyOverflowError::new_err("a generator has 2**64 draws. Received: one more")),
        }
    }
}

/// Look up now what the `numpy` crate looks up at its first use: its lookups run Python, so that a first use within a
/// first use, as in a trace function, would wait for itself, and one at the interpreter's shutdown would panic.
fn look_up_numpy(py: Python<'_>) -> PyResult<()> {
    py.import("numpy")?;
    writable(&PyArray1::<f32>::zeros(py, 0, false)).map(drop)
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    look_up_numpy(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Counter>()?;
    module.add_function(wrap_pyfunction!(backend, module)?)?;
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_function(wrap_pyfunction!(fill, module)?)?;
    module.add_function(wrap_pyfunction!(check_gain, module)?)?;
    module.add_function(wrap_pyfunction!(orthogonal, module)?)?;
    module.add_function(wrap_pyfunction!(matmul, module)?)?;
    module.add_function(wrap_pyfunction!(words, module)?)
}
