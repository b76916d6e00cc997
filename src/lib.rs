//! The engine of seedbed: initial values of neural network weights as a function of their address.
//!
//! An address is a key, a stream and an element index. It names 64 bits of ChaCha8 keystream, those stand for a number
//! `u` between 0 and 1, and the value is `Q(u)`, the quantile function of the distribution. Nothing else has a say:
//! not threads, not the instruction set, not the part of the tensor that is asked for.
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
//! | module        | what it knows                                                    |
//! |---------------|------------------------------------------------------------------|
//! | [`keystream`] | words by address                                                 |
//! | [`quantile`]  | words to standard values                                         |
//! | [`element`]   | element types, and rounding to them                              |
//! | [`recipe`]    | a distribution for an element type: words to values              |
//! | [`region`]    | an N-d slice of a tensor as runs of addresses                    |
//! | `parallel`    | work that threads take in turn; the only module that knows them  |
//! | [`fill`]      | runs to values in memory                                         |
//! | [`matmul`]    | matrix products in one order of summation                        |
//! | [`orthogonal`] | random orthogonal matrices                                      |
//! | `backend`     | the vector operations of each instruction set                    |
//! | `float_state` | the processor's rounding mode, and what becomes of subnormals    |
//! | [`xla_ffi`]   | the handler by which programs of XLA call the engine             |
//! | `python`      | the extension module; the only one that knows Python             |
//!
//! Each may use those above it; `backend` and `float_state` are below all of them.

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
