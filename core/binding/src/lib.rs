//! The native module `tidegate_core`: the only place that knows Python.

use pyo3::prelude::*;

#[pymodule]
fn tidegate_core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
