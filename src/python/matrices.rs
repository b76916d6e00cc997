//! Orthogonal matrices, and products of matrices.

use super::arrays::{Dtype, Stored, array_of, by_dtype, slice_of, writable};
use super::interrupt::interruptible;
use super::{keystream, value_error};
use crate::element::float8::{Format, by_format};
use crate::matmul::product;
use crate::orthogonal::{Orthogonal, check_gain};
use numpy::{PyReadonlyArray2, PyReadwriteArray2, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::num::NonZero;

/// An orthogonal matrix times a gain, of one dtype. Immutable.
#[pyclass(frozen, eq, name = "Orthogonal", module = "seedbed._core")]
#[derive(Debug, PartialEq)]
pub(super) struct PyOrthogonal {
    gain: f64,
    dtype: String,
    element: Dtype,
}

#[pymethods]
impl PyOrthogonal {
    #[new]
    fn new(gain: f64, dtype: String) -> PyResult<Self> {
        let element = match Format::named(&dtype) {
            Some(format) => {
                by_format!(format, T => check_gain::<T>(gain)).map_err(value_error)?;
                Dtype::Float32 // the Python caller rounds the elements
            }
            None => {
                let element = Dtype::named(&dtype)?;
                by_dtype!(element, T => check_gain::<T>(gain)).map_err(value_error)?;
                element
            }
        };
        Ok(Self { gain, dtype, element })
    }

    #[getter]
    fn gain(&self) -> f64 {
        self.gain
    }

    /// Fill `out` with the matrix of shape (rows, columns) at (key, stream). 16-bit floats are passed as their bits,
    /// and 8-bit floats as float32.
    fn fill(
        &self,
        out: &Bound<'_, PyUntypedArray>,
        shape: (usize, usize),
        address: (&[u8], u64),
        threads: NonZero<usize>,
    ) -> PyResult<()> {
        super::backend()?;
        let (rows, columns) = shape;
        let matrix = Orthogonal { keystream: keystream(address)?, rows, columns, gain: self.gain };
        by_dtype!(self.element, T => fill_array::<T>(out, &matrix, threads))
    }

    fn __reduce__<'a, 'py>(this: &'a Bound<'py, Self>) -> (Bound<'py, PyType>, (f64, &'a str)) {
        (this.get_type(), (this.get().gain, &this.get().dtype))
    }

    fn __repr__(&self) -> String {
        format!("Orthogonal({:?}, {:?})", self.gain, self.dtype)
    }
}

fn fill_array<T: Stored>(
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

/// Fill `out` with the product of two float64 matrices. The order of summation is the same on every CPU and number of
/// threads.
#[pyfunction]
pub(super) fn matmul(
    mut out: PyReadwriteArray2<'_, f64>,
    left: PyReadonlyArray2<'_, f64>,
    right: PyReadonlyArray2<'_, f64>,
    threads: NonZero<usize>,
) -> PyResult<()> {
    super::backend()?;
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
