//! A handler of XLA's foreign function interface: programs that XLA compiles for a CPU call the engine.
//!
//! The structures are those of XLA's `xla/ffi/api/c_api.h`, versions 0.1 to 0.3, as far as a handler reads them. A minor
//! version only adds fields at their ends: so this handler is of whatever minor version XLA has, and each call checks
//! that the structures are as long as those here. Under another major version, XLA refuses the handler.
//!
//! | operand or attribute | what it is |
//! |---|---|
//! | operand 0, u32 `[..., words]` | keys: the words of one spell an integer, the most significant first |
//! | operand 1, u32 `[axes]` | which part of the tensor it is, along each axis, if all parts have the shape of the result |
//! | attribute `lengths`, i64 | the shape of the tensor |
//! | attributes `distribution` and `parameters` | see [`Distribution::named`] |
//! | result `[..., part]` | the part of the tensor of each key |

use crate::element::float8::{Format, by_format};
use crate::fill::{Fill, Interrupted};
use crate::keystream::Keystream;
use crate::recipe::{Distribution, Recipe};
use crate::region::{Axis, Region};
use half::{bf16, f16};
use std::ffi::{CString, c_char, c_int, c_void};
use std::num::NonZero;
use std::panic::catch_unwind;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The major version of the interface that the structures are of.
const MAJOR: c_int = 0;

/// The minor version of an XLA that does not say it: 0.1.
const MINOR: c_int = 1;

/// `XLA_FFI_Extension_Metadata`.
const METADATA: c_int = 1;

/// `XLA_FFI_ExecutionStage_EXECUTE`.
const EXECUTE: c_int = 3;

/// `XLA_FFI_Error_Code_INVALID_ARGUMENT`.
const INVALID_ARGUMENT: c_int = 3;

/// `XLA_FFI_DataType_U32`, `_S64` and `_F64`.
const U32: c_int = 8;
const S64: c_int = 5;
const F64: c_int = 12;

/// Threads of a fill, the calling one included. Zero is one.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Elements that were evaluated.
static EVALUATED: AtomicU64 = AtomicU64::new(0);

/// Set the number of threads that a call may use.
pub fn set_threads(threads: NonZero<usize>) {
    THREADS.store(threads.get(), Relaxed);
}

/// The number of elements that calls have evaluated so far.
pub fn evaluated() -> u64 {
    EVALUATED.load(Relaxed)
}

/// What one call asks for.
struct Call<'a> {
    keys: &'a [u32],
    /// Words of a key.
    words: usize,
    parts: &'a [u32],
    lengths: &'a [i64],
    distribution: &'a str,
    parameters: &'a [f64],
    result: &'a Buffer,
}

impl Call<'_> {
    fn run(&self) -> Result<(), String> {
        let named = Distribution::named(self.distribution, self.parameters).map_err(|error| error.to_string())?;
        macro_rules! write {
            ($recipe:ident $T:ty, $each:literal) => {
                self.write::<$T, _>(Recipe::$recipe::<$T>(named), $each, |fill, out, n| fill.run(out, n, || true))
            };
        }
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

    /// Write the part of each key by `run`. An element of the result is `each` numbers of type `T`.
    fn write<T, E: ToString>(
        &self,
        recipe: Result<Recipe, E>,
        each: u64,
        run: impl Fn(&Fill<'_>, &mut [T], NonZero<usize>) -> Result<(), Interrupted>,
    ) -> Result<(), String> {
        let recipe = recipe.map_err(|error| error.to_string())?;
        let region = self.region(each)?;
        // SAFETY: `T` is the type that the buffer's dtype names, and no other slice of it is made.
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

    /// The region of the tensor that the part is.
    fn region(&self, each: u64) -> Result<Region, String> {
        let (axes, dims) = (self.lengths.len(), self.result.dims());
        if self.parts.len() != axes || dims.len() < axes {
            return Err(format!("each axis must have a part. Received: {:?} of {:?}", self.parts, self.lengths));
        }
        let counts = dims[dims.len() - axes..].iter().map(|&count| count as u64);
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

/// The key of an integer that its words spell: 32 little-endian bytes.
fn bytes(words: &[u32]) -> [u8; 32] {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(4).zip(words.iter().rev()) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    key
}

/// The format of eight-bit floats that XLA has this number for.
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

#[repr(C)]
struct Extension {
    struct_size: usize,
    kind: c_int,
    next: *mut Self,
}

#[repr(C)]
struct ApiVersion {
    struct_size: usize,
    extension_start: *mut Extension,
    major: c_int,
    minor: c_int,
}

#[repr(C)]
struct ErrorArgs {
    struct_size: usize,
    extension_start: *mut Extension,
    message: *const c_char,
    code: c_int,
}

/// The beginning of `XLA_FFI_Api`.
#[repr(C)]
struct Api {
    struct_size: usize,
    extension_start: *mut Extension,
    version: ApiVersion,
    internal: *const c_void,
    create_error: extern "C" fn(*mut ErrorArgs) -> *mut c_void,
}

#[repr(C)]
struct Buffer {
    struct_size: usize,
    extension_start: *mut Extension,
    dtype: c_int,
    data: *mut c_void,
    rank: i64,
    dims: *const i64,
}

#[repr(C)]
struct ByteSpan {
    bytes: *const u8,
    len: usize,
}

#[repr(C)]
struct Array {
    dtype: c_int,
    len: usize,
    data: *const c_void,
}

/// `XLA_FFI_Args` and `XLA_FFI_Rets`.
#[repr(C)]
struct Buffers {
    struct_size: usize,
    extension_start: *mut Extension,
    len: i64,
    kinds: *const c_int,
    buffers: *const *const Buffer,
}

#[repr(C)]
struct Attributes {
    struct_size: usize,
    extension_start: *mut Extension,
    len: i64,
    kinds: *const c_int,
    names: *const *const ByteSpan,
    values: *const *const c_void,
}

/// `XLA_FFI_CallFrame`, without its last field, the future of calls that go on after they return.
#[repr(C)]
pub struct CallFrame {
    struct_size: usize,
    extension_start: *mut Extension,
    api: *const Api,
    context: *const c_void,
    stage: c_int,
    args: Buffers,
    rets: Buffers,
    attributes: Attributes,
}

/// The beginning of `XLA_FFI_Metadata`.
#[repr(C)]
struct Metadata {
    struct_size: usize,
    version: ApiVersion,
    traits: u32,
}

#[repr(C)]
struct MetadataExtension {
    base: Extension,
    metadata: *mut Metadata,
}

impl Buffer {
    fn dims(&self) -> &[i64] {
        // SAFETY: XLA has so many lengths there.
        unsafe { slice(self.dims, self.rank as usize) }
    }

    fn len(&self) -> usize {
        self.dims().iter().map(|&length| length as usize).product()
    }

    /// The elements, if they have that dtype.
    fn elements<T>(&self, dtype: c_int) -> Result<&[T], String> {
        if self.dtype != dtype {
            return Err(format!("an operand must have the dtype {dtype} of XLA. Received: {}", self.dtype));
        }
        // SAFETY: XLA has so many elements there, of that type: `T` is the one that the caller has the number of.
        Ok(unsafe { slice(self.data.cast(), self.len()) })
    }

    /// The memory of a result, as `each` numbers of type `T` for each element.
    ///
    /// # Safety
    ///
    /// `T` is the type that the dtype names, of which any bits are a value, and there is no other slice of the memory.
    #[expect(clippy::mut_from_ref, reason = "the memory is another than that of the structure")]
    unsafe fn elements_mut<T>(&self, each: usize) -> &mut [T] {
        match self.len() * each {
            0 => &mut [],
            // SAFETY: XLA has allocated so many elements there, aligned, for this call to write.
            len => unsafe { std::slice::from_raw_parts_mut(self.data.cast(), len) },
        }
    }
}

/// A slice of what XLA has at a pointer, which of nothing may be null.
///
/// # Safety
///
/// There are `len` values at the pointer, which nobody changes while the call lasts.
unsafe fn slice<'a, T>(values: *const T, len: usize) -> &'a [T] {
    // SAFETY: the caller's.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(values, len) } }
}

impl Buffers {
    /// The buffer of that number: every operand and every result is one.
    fn buffer(&self, number: usize) -> Result<&Buffer, String> {
        // SAFETY: XLA has so many pointers there, each to a buffer.
        let buffers = unsafe { slice(self.buffers, self.len as usize) };
        // SAFETY: as above.
        let buffer = buffers.get(number).map(|&buffer| unsafe { &*buffer });
        let known = buffer.filter(|buffer| buffer.struct_size >= size_of::<Buffer>());
        known.ok_or_else(|| format!("there must be a buffer {number}. Received: {} buffers", buffers.len()))
    }
}

impl Attributes {
    /// The attribute of that name, of the kind 1, an array, or 4, a string.
    fn value(&self, name: &str, kind: c_int) -> Result<*const c_void, String> {
        let len = self.len as usize;
        // SAFETY: XLA has so many names, kinds and values there.
        let (names, kinds, values) =
            unsafe { (slice(self.names, len), slice(self.kinds, len), slice(self.values, len)) };
        for ((&other, &found), &value) in names.iter().zip(kinds).zip(values) {
            // SAFETY: each is a pointer to a span.
            if unsafe { (*other).bytes() } == name.as_bytes() && found == kind {
                return Ok(value);
            }
        }
        Err(format!("there must be an attribute {name} of the kind {kind} of XLA"))
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        // SAFETY: an attribute of this kind is a span.
        let bytes = unsafe { (*self.value(name, 4)?.cast::<ByteSpan>()).bytes() };
        str::from_utf8(bytes).map_err(|error| format!("{name}: {error}"))
    }

    fn numbers<T>(&self, name: &str, dtype: c_int) -> Result<&[T], String> {
        // SAFETY: an attribute of this kind is an array.
        let array = unsafe { &*self.value(name, 1)?.cast::<Array>() };
        if array.dtype != dtype {
            return Err(format!("{name} must have the dtype {dtype} of XLA. Received: {}", array.dtype));
        }
        // SAFETY: XLA has so many numbers there, of that type: `T` is the one that the caller has the number of.
        Ok(unsafe { slice(array.data.cast(), array.len) })
    }
}

impl ByteSpan {
    fn bytes(&self) -> &[u8] {
        // SAFETY: XLA has so many bytes there.
        unsafe { slice(self.bytes, self.len) }
    }
}

impl CallFrame {
    /// Say which version of the interface this handler is of, if that is what XLA asks for.
    fn describe(&self) -> bool {
        let mut extension = self.extension_start;
        // SAFETY: extensions are a list that ends with null.
        while let Some(found) = unsafe { extension.as_mut() } {
            if found.kind == METADATA {
                // SAFETY: an extension of this kind has a pointer to metadata, for the handler to write.
                let metadata = unsafe { &mut *(*extension.cast::<MetadataExtension>()).metadata };
                (metadata.version.major, metadata.version.minor, metadata.traits) = (MAJOR, self.minor(), 0);
                return true;
            }
            extension = found.next;
        }
        false
    }

    /// The minor version of XLA.
    fn minor(&self) -> c_int {
        // SAFETY: XLA has its functions there, or null while it asks for the version.
        unsafe { self.api.as_ref() }.filter(|api| api.version.major == MAJOR).map_or(MINOR, |api| api.version.minor)
    }

    /// Whether the structures have the fields that are read.
    fn is_known(&self) -> bool {
        self.struct_size >= size_of::<Self>()
            && self.args.struct_size >= size_of::<Buffers>()
            && self.rets.struct_size >= size_of::<Buffers>()
            && self.attributes.struct_size >= size_of::<Attributes>()
    }

    fn call(&self) -> Result<(), String> {
        if !self.is_known() {
            return Err("XLA has another version of its interface".into());
        }
        let (keys, parts) = (self.args.buffer(0)?, self.args.buffer(1)?);
        Call {
            keys: keys.elements(U32)?,
            words: *keys.dims().last().filter(|&words| (1..=8).contains(words)).ok_or("a key has 1 to 8 words")?
                as usize,
            parts: parts.elements(U32)?,
            lengths: self.attributes.numbers("lengths", S64)?,
            distribution: self.attributes.text("distribution")?,
            parameters: self.attributes.numbers("parameters", F64)?,
            result: self.rets.buffer(0)?,
        }
        .run()
    }

    fn error(&self, message: String) -> *mut c_void {
        let message = CString::new(message.replace('\0', " ")).expect("it has no zeros");
        let mut args = ErrorArgs {
            struct_size: size_of::<ErrorArgs>(),
            extension_start: null_mut(),
            message: message.as_ptr(),
            code: INVALID_ARGUMENT,
        };
        // SAFETY: XLA has its functions there.
        (unsafe { &*self.api }.create_error)(&raw mut args)
    }
}

/// The handler: an `XLA_FFI_Handler`. It returns null, or an error of XLA.
///
/// # Safety
///
/// XLA calls it, for a program that a caller has given the operands, attributes and results of this module.
pub unsafe extern "C" fn handler(frame: *mut CallFrame) -> *mut c_void {
    // SAFETY: XLA has a call there, for as long as it lasts.
    let frame = unsafe { &*frame };
    if frame.describe() || frame.stage != EXECUTE {
        return null_mut();
    }
    match catch_unwind(|| frame.call()) {
        Ok(Ok(())) => null_mut(),
        Ok(Err(message)) => frame.error(format!("seedbed: {message}")),
        Err(_) => frame.error("seedbed: the engine panicked".into()),
    }
}
