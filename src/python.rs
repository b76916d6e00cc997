//! The extension module `seedbed._core`: check, detach, call, wrap.

use crate::fans::{fans, fans_along};
use crate::fill::{Fill, Interrupted, PATIENCE, every};
use crate::keystream::Keystream;
use crate::narrow::Element;
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use numpy::ndarray::Dimension;
use numpy::{
    Element as NumpyElement, PyArray1, PyArrayDyn, PyArrayMethods, PyReadwriteArray, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyModule;
use std::num::NonZero;

fn value_error(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn keystream((key, stream): (&[u8], u64)) -> PyResult<Keystream> {
    let key = key.try_into().map_err(|_| value_error("key must have 32 bytes"))?;
    Ok(Keystream::new(key, stream))
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
    array.as_slice_mut().map_err(|_| value_error("out must be contiguous and in C order"))
}

fn distribution(name: &str, (a, b): (f64, f64)) -> PyResult<Distribution> {
    match name {
        "uniform" => Ok(Distribution::Uniform { minval: a, maxval: b }),
        "normal" => Ok(Distribution::Normal { mean: a, stddev: b }),
        "truncated_normal" => Ok(Distribution::TruncatedNormal { mean: a, stddev: b }),
        _ => Err(value_error(format!("distribution must be uniform, normal or truncated_normal. Received: {name}"))),
    }
}

/// Words between two looks at the clock.
const WORDS_AT_ONCE: usize = 1 << 18;

/// A distribution and its parameters: (minval, maxval) or (mean, stddev).
type NamedDistribution<'a> = (&'a str, (f64, f64));

fn recipe(named: NamedDistribution<'_>, dtype: &str) -> PyResult<Recipe> {
    let distribution = distribution(named.0, named.1)?;
    match dtype {
        "float16" => Recipe::new::<f16>(distribution),
        "bfloat16" => Recipe::new::<bf16>(distribution),
        "float32" => Recipe::new::<f32>(distribution),
        "float64" => Recipe::new::<f64>(distribution),
        _ => {
            return Err(value_error(format!("dtype must be float16, bfloat16, float32 or float64. Received: {dtype}")));
        }
    }
    .map_err(value_error)
}

/// The name of the backend in use.
#[pyfunction]
fn backend() -> PyResult<&'static str> {
    crate::backend::name().map_err(value_error)
}

/// Whether a distribution has a recipe for a dtype: the ValueError that `fill` would raise, without filling.
#[pyfunction]
fn check(named: NamedDistribution<'_>, dtype: &str) -> PyResult<()> {
    recipe(named, dtype).map(drop)
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
    let fill = Fill { keystream: keystream(key_and_stream)?, recipe: recipe(named, dtype)?, region: &region };
    match dtype {
        "float32" => fill_array::<f32, _>(out, &fill, threads, |values| values),
        "float64" => fill_array::<f64, _>(out, &fill, threads, |values| values),
        "float16" => fill_array::<f16, _>(out, &fill, threads, |bits: &mut [u16]| bits.reinterpret_cast_mut()),
        _ => fill_array::<bf16, _>(out, &fill, threads, |bits: &mut [u16]| bits.reinterpret_cast_mut()),
    }
}

fn fill_array<T: Element, Stored: NumpyElement>(
    array: &Bound<'_, PyUntypedArray>,
    fill: &Fill<'_>,
    threads: NonZero<usize>,
    elements: impl Fn(&mut [Stored]) -> &mut [T],
) -> PyResult<()> {
    let py = array.py();
    let array = array.cast::<PyArrayDyn<Stored>>();
    let mut array = writable(array.map_err(|_| value_error(format!("out must hold {} elements", T::NAME)))?)?;
    let out = elements(slice_of(&mut array)?);
    if out.len() as u64 != fill.region.len() {
        return Err(value_error(format!(
            "out must have the {} elements of the region. Received: {}",
            fill.region.len(),
            out.len()
        )));
    }
    interruptible(py, |proceed| fill.run(out, threads, proceed))?.expect("only a raised exception interrupts");
    Ok(())
}

/// Do work that asks now and then whether to go on, without holding the interpreter. An exception that a signal handler
/// raises meanwhile ends it and is raised.
fn interruptible<E: Send>(
    py: Python<'_>,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<(), E> + Send,
) -> PyResult<Result<(), E>> {
    py.detach(|| {
        let raised = std::cell::Cell::new(None);
        let proceed = || match Python::try_attach(|py| py.check_signals()) {
            Some(checked) => checked.map_err(|error| raised.set(Some(error))).is_ok(),
            // The interpreter is gone, and the process soon will be: there is nobody to return to.
            None => loop {
                std::thread::park();
            },
        };
        let done = work(&proceed);
        raised.take().map_or(Ok(done), Err)
    })
}

/// (fan_in, fan_out) of a shape, in the layout (..., in, out) or along given axes.
#[pyfunction]
#[pyo3(signature = (shape, axes=None))]
fn compute_fans(shape: Vec<u64>, axes: Option<(Vec<usize>, Vec<usize>)>) -> PyResult<(u64, u64)> {
    match axes {
        None => fans(&shape),
        Some((inputs, outputs)) => {
            if let Some(axis) = inputs.iter().chain(&outputs).find(|&&axis| axis >= shape.len()) {
                return Err(value_error(format!("axes must be less than the rank {}. Received: {axis}", shape.len())));
            }
            fans_along(&shape, &inputs, &outputs)
        }
    }
    .map_err(|error| PyOverflowError::new_err(error.to_string()))
}

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
    })?
    .expect("only a raised exception interrupts");
    Ok(())
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(backend, module)?)?;
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_function(wrap_pyfunction!(fill, module)?)?;
    module.add_function(wrap_pyfunction!(compute_fans, module)?)?;
    module.add_function(wrap_pyfunction!(words, module)?)
}
