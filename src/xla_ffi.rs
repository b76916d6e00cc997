//! A handler of XLA's foreign function interface: programs that XLA compiles for a CPU call the engine.
//!
//! A call evaluates a part of one tensor for each of several keys. The tensor is divided into parts that all have the
//! shape of the result.
//!
//! | operand, attribute or result | meaning |
//! |---|---|
//! | operand 0, u32 `[..., words]` | keys: the words of each are an integer seed, the most significant word first |
//! | operand 1, u32 `[axes]` | index of the part along each axis, in parts |
//! | attribute `lengths`, i64 | the shape of the tensor |
//! | attributes `distribution` and `parameters` | see [`Distribution::named`] |
//! | result `[..., part]` | the part of the tensor, for each key |

mod abi;

use crate::element::float8::{Format, by_format};
use crate::fill::{Fill, Interrupted};
use crate::keystream::Keystream;
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use abi::Buffer;
use half::{bf16, f16};
use std::ffi::{c_int, c_void};
use std::num::NonZero;
use std::panic::catch_unwind;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

pub use abi::CallFrame;

/// `XLA_FFI_DataType_U32`, `_S64` and `_F64`.
const U32: c_int = 8;
const S64: c_int = 5;
const F64: c_int = 12;

/// Number of threads of a fill, the calling one included. 0 means 1.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Number of elements that calls have evaluated. Tests read it to see that each device evaluates only its own shard.
static EVALUATED: AtomicU64 = AtomicU64::new(0);

/// Set the number of threads that a call may use.
pub fn set_threads(threads: NonZero<usize>) {
    THREADS.store(threads.get(), Relaxed);
}

/// The number of elements that calls have evaluated so far.
pub fn evaluated() -> u64 {
    EVALUATED.load(Relaxed)
}

/// The operands, attributes and the result of one call.
struct Call<'a> {
    /// The words of all keys.
    keys: &'a [u32],
    /// Number of words of a key.
    words: usize,
    /// Index of the part along each axis, in parts.
    parts: &'a [u32],
    /// The shape of the tensor.
    lengths: &'a [i64],
    distribution: &'a str,
    parameters: &'a [f64],
    result: &'a Buffer,
}

impl<'a> Call<'a> {
    /// The call of a frame, or an error if an operand or attribute is missing or has another type.
    fn of(frame: &'a CallFrame) -> Result<Self, String> {
        if !frame.is_known() {
            return Err("XLA has another version of its interface".into());
        }
        let (keys, parts) = (frame.args.buffer(0)?, frame.args.buffer(1)?);
        Ok(Self {
            keys: keys.elements(U32)?,
            words: *keys.dims().last().filter(|&words| (1..=8).contains(words)).ok_or("a key has 1 to 8 words")?
                as usize,
            parts: parts.elements(U32)?,
            lengths: frame.attributes.numbers("lengths", S64)?,
            distribution: frame.attributes.text("distribution")?,
            parameters: frame.attributes.numbers("parameters", F64)?,
            result: frame.rets.buffer(0)?,
        })
    }

    /// Evaluate the parts into the result.
    fn run(&self) -> Result<(), String> {
        let named = Distribution::named(self.distribution, self.parameters).map_err(|error| error.to_string())?;
        macro_rules! write {
            ($recipe:ident $T:ty, $each:literal) => {
                self.write::<$T, _>(Recipe::$recipe::<$T>(named), $each, |fill, out, n| fill.run(out, n, || true))
            };
        }
        // The numbers are those of `XLA_FFI_DataType`.
        match self.result.dtype {
            10 => write!(new f16, 1),
            11 => write!(new f32, 1),
            F64 => write!(new f64, 1),
            15 => write!(of_complex f32, 2),
            16 => write!(new bf16, 1),
            18 => write!(of_complex f64, 2),
            dtype => {
                let format = float8(dtype).ok_or_else(|| format!("dtype must be a float. Received: {dtype} of XLA"))?;
                let recipe = by_format!(format, T => Recipe::new::<T>(named));
                self.write::<u8, _>(recipe, 1, |fill, out, n| fill.run_float8(format, out, n, || true))
            }
        }
    }

    /// Write the part of each key by calling `run`. An element of the result has `each` numbers of type `T`.
    fn write<T, E: ToString>(
        &self,
        recipe: Result<Recipe, E>,
        each: u64,
        run: impl Fn(&Fill<'_>, &mut [T], NonZero<usize>) -> Result<(), Interrupted>,
    ) -> Result<(), String> {
        let recipe = recipe.map_err(|error| error.to_string())?;
        let region = self.region(each)?;
        // SAFETY: `run` above chooses `T` and `each` by the buffer's dtype, any bits are a valid float or u8, and this
        // is the only slice of the buffer.
        let out = unsafe { self.result.elements_mut::<T>(each as usize) };
        if out.is_empty() {
            return Ok(());
        }
        let (keys, parts) = (self.keys.chunks_exact(self.words), out.chunks_exact_mut(region.len() as usize));
        if keys.len() != parts.len() {
            return Err(format!("each part must have a key. Received: {} keys, {} parts", keys.len(), parts.len()));
        }
        let threads = NonZero::new(THREADS.load(Relaxed)).unwrap_or(NonZero::<usize>::MIN);
        for (key, out) in keys.zip(parts) {
            let fill = Fill { keystream: Keystream::new(bytes(key), 0), recipe, region: &region };
            run(&fill, out, threads).map_err(|error| error.to_string())?;
            EVALUATED.fetch_add(region.len() / each, Relaxed);
        }
        Ok(())
    }

    /// The part as a region of the tensor, with an axis of 2 for the parts of complex numbers.
    fn region(&self, each: u64) -> Result<Region, String> {
        let (axes, dims) = (self.lengths.len(), self.result.dims());
        if self.parts.len() != axes || dims.len() < axes {
            return Err(format!("each axis must have a part. Received: {:?} of {:?}", self.parts, self.lengths));
        }
        let counts = dims[dims.len() - axes..].iter().map(|&count| count as u64);
        // A start that saturates is outside the axis, so that `Region::new` returns an error.
        let axes = self.lengths.iter().zip(self.parts).zip(counts).map(|((&length, &part), count)| Axis {
            length: length as u64,
            start: u64::from(part).saturating_mul(count),
            step: 1,
            count,
        });
        let pair = (each == 2).then_some(Axis { length: 2, start: 0, step: 1, count: 2 });
        Region::new(&axes.chain(pair).collect::<Vec<_>>()).map_err(|error| error.to_string())
    }
}

/// The key of an integer seed that is given by its words: 32 little-endian bytes.
fn bytes(words: &[u32]) -> [u8; 32] {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(4).zip(words.iter().rev()) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    key
}

/// The format of eight-bit floats with this number in `XLA_FFI_DataType`.
fn float8(dtype: c_int) -> Option<Format> {
    Format::named(match dtype {
        19 => "float8_e5m2",
        20 => "float8_e4m3fn",
        23 => "float8_e4m3b11fnuz",
        24 => "float8_e5m2fnuz",
        25 => "float8_e4m3fnuz",
        28 => "float8_e4m3",
        29 => "float8_e3m4",
        _ => return None,
    })
}

/// The handler, an `XLA_FFI_Handler`. It returns null, or an error of XLA.
///
/// # Safety
///
/// Only XLA may call it, for a program with the operands, attributes and results of this module.
pub unsafe extern "C" fn handler(frame: *mut CallFrame) -> *mut c_void {
    // SAFETY: the pointer is to a call frame, which is valid during the call.
    let frame = unsafe { &*frame };
    if frame.describe() || !frame.is_execution() {
        return null_mut();
    }
    // A panic must not unwind into the C++ code of XLA.
    match catch_unwind(|| Call::of(frame)?.run()) {
        Ok(Ok(())) => null_mut(),
        Ok(Err(message)) => frame.error(format!("seedbed: {message}")),
        Err(_) => frame.error("seedbed: the engine panicked".into()),
    }
}
