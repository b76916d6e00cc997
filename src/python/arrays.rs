//! NumPy arrays as slices of the engine's element types.

use super::value_error;
use crate::element::Element;
use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use numpy::ndarray::Dimension;
use numpy::{
    Element as NumpyElement, PyArrayDyn, PyArrayMethods, PyReadwriteArray, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

/// An element type of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    Float16,
    Bfloat16,
    Float32,
    Float64,
}

impl Dtype {
    const ALL: [Self; 4] = [Self::Float16, Self::Bfloat16, Self::Float32, Self::Float64];

    /// The element type of a dtype name.
    pub(super) fn named(name: &str) -> PyResult<Self> {
        Self::ALL.into_iter().find(|dtype| by_dtype!(*dtype, T => T::NAME) == name).ok_or_else(|| {
            value_error(format!("dtype must be float16, bfloat16, float32 or float64. Received: {name}"))
        })
    }
}

/// Evaluate an expression in which `T` is the element type of a [`Dtype`].
macro_rules! by_dtype {
    ($dtype:expr, $T:ident => $work:expr) => {
        by_dtype!($dtype, $T => $work; Float16 half::f16, Bfloat16 half::bf16, Float32 f32, Float64 f64)
    };
    ($dtype:expr, $T:ident => $work:expr; $($name:ident $element:ty),+) => {
        match $dtype {
            $(crate::python::arrays::Dtype::$name => {
                type $T = $element;
                $work
            })+
        }
    };
}
pub(super) use by_dtype;

/// An element type, and the type of the NumPy arrays in which it is passed. NumPy has no bfloat16, so 16-bit floats are
/// passed as arrays of their bits.
pub(super) trait Stored: Element {
    /// The element type of the NumPy array.
    type Stored: NumpyElement;
    /// The elements of a NumPy array.
    fn elements(stored: &mut [Self::Stored]) -> &mut [Self];
}

impl Stored for f16 {
    type Stored = u16;
    fn elements(stored: &mut [u16]) -> &mut [Self] {
        stored.reinterpret_cast_mut()
    }
}

impl Stored for bf16 {
    type Stored = u16;
    fn elements(stored: &mut [u16]) -> &mut [Self] {
        stored.reinterpret_cast_mut()
    }
}

impl Stored for f32 {
    type Stored = f32;
    fn elements(stored: &mut [f32]) -> &mut [Self] {
        stored
    }
}

impl Stored for f64 {
    type Stored = f64;
    fn elements(stored: &mut [f64]) -> &mut [Self] {
        stored
    }
}

/// The array with the NumPy type for elements of type `T`, or an error if it has another type.
pub(super) fn array_of<'a, 'py, T: Stored>(
    array: &'a Bound<'py, PyUntypedArray>,
) -> PyResult<&'a Bound<'py, PyArrayDyn<T::Stored>>> {
    array.cast().map_err(|_| value_error(format!("out must have {} elements", T::NAME)))
}

/// Exclusive access to an array, or an error if another fill writes to the same memory.
pub(super) fn writable<'py, T: NumpyElement, D: Dimension>(
    array: &Bound<'py, numpy::PyArray<T, D>>,
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    array.try_readwrite().map_err(|error| {
        value_error(format!("out must be writable, and no other fill may be writing to it. Received: {error}"))
    })
}

/// The elements of an array in C order, or an error if they are not contiguous or not aligned.
pub(super) fn slice_of<'a, T: NumpyElement, D: Dimension>(
    array: &'a mut PyReadwriteArray<'_, T, D>,
) -> PyResult<&'a mut [T]> {
    let in_order = array.is_c_contiguous(); // `as_slice_mut` accepts Fortran order too
    let slice = array.as_slice_mut().ok().filter(|_| in_order);
    slice.ok_or_else(|| value_error("out must be aligned, contiguous and in C order"))
}
