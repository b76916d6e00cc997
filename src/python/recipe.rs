//! A distribution for an element type, checked and compiled once.

use super::arrays::{Dtype, Stored, array_of, by_dtype, slice_of, writable};
use super::interrupt::interruptible;
use super::{keystream, value_error};
use crate::fill::Fill;
use crate::float_state::in_default_state;
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::num::NonZero;

/// How words become the values of a tensor of one distribution and dtype. It never changes.
///
/// Its arguments say all that it is, so that an equal one can be made anywhere: by pickle, or in another process.
#[pyclass(frozen, eq, name = "Recipe", module = "seedbed._core")]
#[derive(Debug, PartialEq)]
pub(super) struct PyRecipe {
    distribution: String,
    parameters: Vec<f64>,
    dtype: String,
    /// The type of the elements, which for complex dtypes are the parts of the numbers.
    element: Dtype,
    complex: bool,
    recipe: Recipe,
}

#[pymethods]
impl PyRecipe {
    /// Complex dtypes get the complex counterpart of a real distribution.
    #[new]
    fn new(distribution: String, parameters: Vec<f64>, dtype: String) -> PyResult<Self> {
        // -0.0 is 0.0, so that recipes of equal arguments are equal.
        let numbers = in_default_state(|| parameters.iter().map(|number| number + 0.0).collect::<Vec<_>>());
        let named = named(&distribution, &numbers)?;
        let (element, complex) = match dtype.as_str() {
            "complex64" => (Dtype::Float32, true),
            "complex128" => (Dtype::Float64, true),
            name => (Dtype::named(name)?, false),
        };
        let recipe =
            by_dtype!(element, T => if complex { Recipe::of_complex::<T>(named) } else { Recipe::new::<T>(named) })
                .map_err(value_error)?;
        Ok(Self { distribution, parameters, dtype, element, complex, recipe })
    }

    /// Fill `out` with a region of the tensor at (key, stream).
    ///
    /// Axes are (length, start, step, count); without them `out` is the whole tensor. `out` has 16-bit floats as their
    /// bits, and complex numbers as their parts by turns.
    fn fill(
        &self,
        out: &Bound<'_, PyUntypedArray>,
        address: (&[u8], u64),
        axes: Option<Vec<(u64, u64, i64, u64)>>,
        threads: NonZero<usize>,
    ) -> PyResult<()> {
        super::backend()?;
        let region = match axes {
            None => Region::whole(&[out.len() as u64]),
            Some(axes) => {
                let axes = axes.into_iter().map(|(length, start, step, count)| Axis { length, start, step, count });
                let parts = self.complex.then_some(Axis { length: 2, start: 0, step: 1, count: 2 });
                Region::new(&axes.chain(parts).collect::<Vec<_>>())
            }
        }
        .map_err(value_error)?;
        let fill = Fill { keystream: keystream(address)?, recipe: self.recipe, region: &region };
        by_dtype!(self.element, T => fill_array::<T>(out, &fill, threads))
    }

    /// The least and the greatest value, each None where there is no bound, or none that single elements have.
    #[getter]
    fn bounds(&self) -> (Option<f64>, Option<f64>) {
        if self.complex { (None, None) } else { self.recipe.bounds() }
    }

    fn __reduce__<'a, 'py>(this: &'a Bound<'py, Self>) -> (Bound<'py, PyType>, (&'a str, &'a [f64], &'a str)) {
        let Self { distribution, parameters, dtype, .. } = this.get();
        (this.get_type(), (distribution, parameters, dtype))
    }

    fn __repr__(&self) -> String {
        format!("Recipe({:?}, {:?}, {:?})", self.distribution, self.parameters, self.dtype)
    }
}

/// The distribution of a name, with the parameters of [`Distribution`] in their order.
fn named(name: &str, parameters: &[f64]) -> PyResult<Distribution> {
    Ok(match (name, parameters) {
        ("uniform", &[minval, maxval]) => Distribution::Uniform { minval, maxval },
        ("normal", &[mean, stddev]) => Distribution::Normal { mean, stddev },
        ("truncated_normal", &[mean, stddev]) => Distribution::TruncatedNormal { mean, stddev },
        ("normal_between", &[mean, stddev, lower, upper]) => Distribution::NormalBetween { mean, stddev, lower, upper },
        ("complex_truncated_normal", &[stddev]) => Distribution::ComplexTruncatedNormal { stddev },
        ("log_uniform", &[minval, maxval]) => Distribution::LogUniform { minval, maxval },
        ("log_of_uniform", &[minval, maxval]) => Distribution::LogOfUniform { minval, maxval },
        ("inverse_softplus", &[minval, maxval, floor]) => Distribution::InverseSoftplus { minval, maxval, floor },
        _ => {
            return Err(value_error(format!(
                "distribution must be uniform, normal, truncated_normal, log_uniform or log_of_uniform with two \
                 parameters, inverse_softplus with three, or normal_between with four. Received: {name} with {}",
                parameters.len()
            )));
        }
    })
}

fn fill_array<T: Stored>(array: &Bound<'_, PyUntypedArray>, fill: &Fill<'_>, threads: NonZero<usize>) -> PyResult<()> {
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
