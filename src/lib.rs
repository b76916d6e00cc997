//! The engine of seedbed: initial values of neural network weights as a function of their address.
//!
//! An address is a key, a stream and an element index. It determines 64 bits of ChaCha8 keystream, which represent a
//! number `u` between 0 and 1. The value is `Q(u)`, with the quantile function `Q` of the distribution. So a value
//! depends on its address and distribution alone, and not on threads, on the instruction set, or on the part of the
//! tensor that is evaluated. `docs/streams.md` specifies every step, and `docs/architecture.md` maps the modules.
//!
//! ```
//! use ndarray::s;
//! use seedbed::fill::{Fill, array};
//! use seedbed::keystream::Keystream;
//! use seedbed::recipe::{Distribution, Recipe};
//! use seedbed::region::{Axis, Region};
//!
//! let keystream = Keystream::new([7; 32], 0);
//! let recipe = Recipe::new::<f32>(Distribution::TruncatedNormal { mean: 0.0, stddev: 0.02 })?;
//! let whole = array::<f32>(keystream, recipe, &[50, 40])?;
//!
//! let every_third_row = Axis { length: 50, start: 1, step: 3, count: 16 };
//! let last_column = Axis { length: 40, start: 39, step: 1, count: 1 };
//! let region = Region::new(&[every_third_row, last_column])?;
//! let mut column = [0.0f32; 16];
//! Fill { keystream, recipe, region: &region }.run(&mut column, 2.try_into()?, || true)?;
//! assert_eq!(column.as_slice(), whole.slice(s![1..49;3, 39]).to_vec());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `float_state` | rounding mode and subnormal numbers of the processor |
//! | `backend` | vector operations, once for each instruction set |
//! | [`keystream`] | ChaCha8 words by address |
//! | [`quantile`] | words to standard values |
//! | [`element`] | element types, and rounding to them |
//! | [`recipe`] | distributions, checked and compiled for an element type |
//! | [`region`] | N-d slices of a tensor, as runs of element indices |
//! | `parallel` | threads that take the items of a work list in turn |
//! | [`fill`] | evaluation of a region of a tensor into memory |
//! | [`matmul`] | matrix products in one order of summation |
//! | [`orthogonal`] | random orthogonal matrices, from Householder reflections |
//! | [`xla_ffi`] | the handler through which programs of XLA call the engine |
//! | `python` | the extension module `seedbed._core`, the only module that knows Python |
//!
//! Each module may use only the modules above it.

mod backend;
pub mod element;
pub mod fill;
mod float_state;
pub mod keystream;
pub mod matmul;
pub mod orthogonal;
mod parallel;
#[cfg(feature = "python")]
mod python;
pub mod quantile;
pub mod recipe;
pub mod region;
pub mod xla_ffi;
