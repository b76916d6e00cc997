//! The tables of the float32 distributions, for arithmetic on other devices.

use crate::quantile::symmetric::{NORMAL, NORMAL_TAIL, Rows, TRUNCATED_NORMAL};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The float32 tables of `docs/streams.md`, steps 7 and 8, by the name of the distribution.
#[pyfunction]
pub(super) fn float32_tables(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let tables = PyDict::new(py);
    for (name, Rows { offset, shift, origin, coefficients }) in
        [("normal", NORMAL), ("truncated_normal", TRUNCATED_NORMAL)]
    {
        tables.set_item(name, (offset, shift, origin, coefficients))?;
    }
    let tail = &NORMAL_TAIL;
    tables.set_item("normal_tail", (tail.below, tail.outer, tail.shift, tail.first, tail.coefficients))?;
    Ok(tables)
}
