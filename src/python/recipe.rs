//! A distribution for an element type, checked and compiled once.

use super::arrays::{Dtype, Stored, by_dtype, slice_of, writable};
use super::interrupt::interruptible;
use super::{keystream, value_error};
use crate::element::Element;
use crate::element::float8::{Format, by_format};
use crate::fill::{Fill, Interrupted};
use crate::float_state::in_default_state;
use crate::keystream::Keystream;
use crate::parallel::{SIGNAL_POLL_INTERVAL, at_most_every};
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use numpy::{
    Element as NumpyElement, PyArrayDyn, PyReadonlyArray1, PyReadwriteArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyType;
use std::num::NonZero;
use std::slice;

/// A distribution, checked and compiled for one dtype. Immutable.
///
/// Its arguments determine it, so that pickle makes an equal one in another process.
#[pyclass(frozen, eq, name = "Recipe", module = "seedbed._core")]
#[derive(Debug, PartialEq)]
pub(super) struct PyRecipe {
    distribution: String,
    parameters: Vec<f64>,
    dtype: String,
    /// The type of the elements. For complex dtypes, the elements are the real and imaginary parts.
    element: Dtype,
    complex: bool,
    /// The format of 8-bit floats, or `None`. With a format, `element` is the type of the values before they are
    /// rounded.
    format: Option<Format>,
    recipe: Recipe,
}

#[pymethods]
impl PyRecipe {
    /// For a complex dtype, the distribution is the complex counterpart of the one with this name.
    #[new]
    fn new(distribution: String, parameters: Vec<f64>, dtype: String) -> PyResult<Self> {
        // Adding 0.0 replaces -0.0 by 0.0, so that equal arguments give equal recipes.
        let numbers = in_default_state(|| parameters.iter().map(|number| number + 0.0).collect::<Vec<_>>());
        let named = Distribution::named(&distribution, &numbers).map_err(value_error)?;
        let format = Format::named(&dtype);
        let (element, complex) = match dtype.as_str() {
            "complex64" => (Dtype::Float32, true),
            "complex128" => (Dtype::Float64, true),
            _ if format.is_some() => (Dtype::Float32, false),
            name => (Dtype::named(name)?, false),
        };
        let recipe = match format {
            Some(format) => by_format!(format, T => Recipe::new::<T>(named)),
            None => {
                by_dtype!(element, T => if complex { Recipe::of_complex::<T>(named) } else { Recipe::new::<T>(named) })
            }
        };
        Ok(Self { distribution, parameters, dtype, element, complex, format, recipe: recipe.map_err(value_error)? })
    }

    /// Fill `out` with a region of the tensor at (key, stream).
    ///
    /// Axes are (length, start, step, count). Without axes, `out` is the whole tensor. Floats of 16 and of 8 bits are
    /// passed as their bits, and complex numbers as alternating parts.
    fn fill(
        &self,
        out: &Bound<'_, PyUntypedArray>,
        address: (&[u8], u64),
        axes: Option<Vec<(u64, u64, i64, u64)>>,
        threads: NonZero<usize>,
    ) -> PyResult<()> {
        let region = match axes {
            None => Region::whole(&[out.len() as u64]),
            Some(axes) => {
                let axes = axes.into_iter().map(|(length, start, step, count)| Axis { length, start, step, count });
                let parts = self.complex.then_some(Axis { length: 2, start: 0, step: 1, count: 2 });
                Region::new(&axes.chain(parts).collect::<Vec<_>>())
            }
        }
        .map_err(value_error)?;
        self.fill_regions(slice::from_ref(out), &[keystream(address)?], &region, threads)
    }

    /// Fill each of several arrays of one size with the whole tensor at (key, 0), with a key for each array.
    ///
    /// The result is that of a `fill` for each. This is faster for many small tensors, for which a call of `fill` takes
    /// longer than its work.
    fn fill_each(
        &self,
        outs: Vec<Bound<'_, PyUntypedArray>>,
        keys: Vec<PyBackedBytes>,
        threads: NonZero<usize>,
    ) -> PyResult<()> {
        if outs.len() != keys.len() {
            return Err(value_error(format!(
                "each of {} arrays must have a key. Received: {} keys",
                outs.len(),
                keys.len()
            )));
        }
        let keystreams = keys.iter().map(|key| keystream((key, 0))).collect::<PyResult<Vec<_>>>()?;
        let size = outs.first().map_or(0, |out| out.len() as u64);
        self.fill_regions(&outs, &keystreams, &Region::whole(&[size]).map_err(value_error)?, threads)
    }

    /// The least and the greatest value; None for an end without a bound. Both are None for complex distributions.
    #[getter]
    fn bounds(&self) -> (Option<f64>, Option<f64>) {
        if self.complex { (None, None) } else { self.recipe.bounds() }
    }

    /// The name of the standard distribution, and center, scale, least and greatest value. None if the values are not
    /// the float32 values of a table or of the uniform, rounded.
    #[getter]
    fn placement(&self) -> Option<(&'static str, [f64; 4])> {
        let single = !self.complex && self.format.is_none() && !by_dtype!(self.element, T => T::DOUBLE);
        single.then(|| self.recipe.placement()).flatten()
    }

    fn __reduce__<'a, 'py>(this: &'a Bound<'py, Self>) -> (Bound<'py, PyType>, (&'a str, &'a [f64], &'a str)) {
        let Self { distribution, parameters, dtype, .. } = this.get();
        (this.get_type(), (distribution, parameters, dtype))
    }

    fn __repr__(&self) -> String {
        format!("Recipe({:?}, {:?}, {:?})", self.distribution, self.parameters, self.dtype)
    }
}

/// Round float32 numbers to the codes of an 8-bit format. No number may exceed the largest finite number of the format.
#[pyfunction]
pub(super) fn round_float8(
    mut out: PyReadwriteArray1<'_, u8>,
    values: PyReadonlyArray1<'_, f32>,
    dtype: &str,
) -> PyResult<()> {
    let format = Format::named(dtype)
        .ok_or_else(|| value_error(format!("dtype must be a float of eight bits. Received: {dtype}")))?;
    let (Ok(values), Ok(out)) = (values.as_slice(), out.as_slice_mut()) else {
        return Err(value_error("values and out must be contiguous"));
    };
    if values.len() != out.len() {
        return Err(value_error("out must have as many elements as values"));
    }
    in_default_state(|| format.round(values, out));
    Ok(())
}

impl PyRecipe {
    /// Fill each array with one region of the tensor at its address.
    fn fill_regions(
        &self,
        outs: &[Bound<'_, PyUntypedArray>],
        keystreams: &[Keystream],
        region: &Region,
        threads: NonZero<usize>,
    ) -> PyResult<()> {
        super::backend()?;
        if self.recipe.makes_pairs() && !region.keeps_pairs() {
            return Err(value_error(
                "the region of a complex tensor must have both parts of each number: all of a last axis of 2",
            ));
        }
        let fill = |keystream| Fill { keystream, recipe: self.recipe, region };
        match self.format {
            Some(format) => write_each(outs, keystreams, region.len(), format.name(), |out, keystream, proceed| {
                fill(keystream).run_float8(format, out, threads, proceed)
            }),
            None => by_dtype!(self.element, T => {
                write_each(outs, keystreams, region.len(), T::NAME, |out, keystream, proceed| {
                    fill(keystream).run(<T as Stored>::elements(out), threads, proceed)
                })
            }),
        }
    }
}

/// Call `write` for each array, with its elements, its keystream and a predicate that must stay true.
///
/// All arrays are checked before the first is written.
fn write_each<S: NumpyElement>(
    outs: &[Bound<'_, PyUntypedArray>],
    keystreams: &[Keystream],
    len: u64,
    elements: &str,
    write: impl Fn(&mut [S], Keystream, &dyn Fn() -> bool) -> Result<(), Interrupted> + Sync,
) -> PyResult<()> {
    let Some(first) = outs.first() else { return Ok(()) };
    let arrays = outs.iter().map(|out| match out.cast::<PyArrayDyn<S>>() {
        Ok(array) => writable(array),
        Err(_) => Err(value_error(format!("out must have {elements} elements"))),
    });
    let mut arrays = arrays.collect::<PyResult<Vec<_>>>()?;
    let slices = arrays.iter_mut().map(|array| match slice_of(array)? {
        out if out.len() as u64 == len => Ok(out),
        out => Err(value_error(format!("out must have the {len} elements of the region. Received: {}", out.len()))),
    });
    let slices = slices.collect::<PyResult<Vec<_>>>()?;
    interruptible(first.py(), |proceed| {
        // Small arrays take less time than a fill waits between two polls, so this waits across all of them.
        let proceed = at_most_every(SIGNAL_POLL_INTERVAL, proceed);
        slices.into_iter().zip(keystreams).try_for_each(|(out, &keystream)| {
            if proceed() { write(out, keystream, &proceed) } else { Err(Interrupted) }
        })
    })
}
