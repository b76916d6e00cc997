//! The C structures of XLA's foreign function interface, and safe access to what they point to.
//!
//! The structures are those of XLA's `xla/ffi/api/c_api.h`, versions 0.1 to 0.3, with the fields that the handler
//! reads. A minor version only adds fields at the ends of structures. So the handler works with any minor version, and
//! [`CallFrame::is_known`] checks that the structures of a call are at least as long as those here. An XLA with another
//! major version refuses the handler.
//!
//! Every `unsafe` block relies on what that file says: each length is the number of values at the pointer next to it,
//! and pointers are valid for the duration of the call.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null_mut;

/// The major version of the interface that has these structures.
const MAJOR: c_int = 0;

/// The minor version of an XLA that does not report its version: 0.1.
const MINOR: c_int = 1;

/// `XLA_FFI_Extension_Metadata`.
const METADATA: c_int = 1;

/// `XLA_FFI_ExecutionStage_EXECUTE`.
const EXECUTE: c_int = 3;

/// `XLA_FFI_Error_Code_INVALID_ARGUMENT`.
const INVALID_ARGUMENT: c_int = 3;

/// `XLA_FFI_AttrType_ARRAY`.
const ARRAY: c_int = 1;

/// `XLA_FFI_AttrType_STRING`.
const STRING: c_int = 4;

/// `XLA_FFI_Extension_Base`.
#[repr(C)]
struct Extension {
    struct_size: usize,
    kind: c_int,
    next: *mut Self,
}

/// `XLA_FFI_Api_Version`.
#[repr(C)]
struct ApiVersion {
    struct_size: usize,
    extension_start: *mut Extension,
    major: c_int,
    minor: c_int,
}

/// `XLA_FFI_Error_Create_Args`.
#[repr(C)]
struct ErrorArgs {
    struct_size: usize,
    extension_start: *mut Extension,
    message: *const c_char,
    code: c_int,
}

/// The first fields of `XLA_FFI_Api`.
#[repr(C)]
struct Api {
    struct_size: usize,
    extension_start: *mut Extension,
    version: ApiVersion,
    internal: *const c_void,
    create_error: extern "C" fn(*mut ErrorArgs) -> *mut c_void,
}

/// `XLA_FFI_Buffer`.
#[repr(C)]
pub(super) struct Buffer {
    struct_size: usize,
    extension_start: *mut Extension,
    /// An `XLA_FFI_DataType`.
    pub(super) dtype: c_int,
    data: *mut c_void,
    rank: i64,
    dims: *const i64,
}

/// `XLA_FFI_ByteSpan`.
#[repr(C)]
struct ByteSpan {
    bytes: *const u8,
    len: usize,
}

/// `XLA_FFI_Array`.
#[repr(C)]
struct Array {
    dtype: c_int,
    len: usize,
    data: *const c_void,
}

/// `XLA_FFI_Args` and `XLA_FFI_Rets`, which have the same fields.
#[repr(C)]
pub(super) struct Buffers {
    struct_size: usize,
    extension_start: *mut Extension,
    len: i64,
    kinds: *const c_int,
    buffers: *const *const Buffer,
}

/// `XLA_FFI_Attrs`.
#[repr(C)]
pub(super) struct Attributes {
    struct_size: usize,
    extension_start: *mut Extension,
    len: i64,
    kinds: *const c_int,
    names: *const *const ByteSpan,
    values: *const *const c_void,
}

/// `XLA_FFI_CallFrame` without its last field, the future of asynchronous calls.
#[repr(C)]
pub struct CallFrame {
    struct_size: usize,
    extension_start: *mut Extension,
    api: *const Api,
    context: *const c_void,
    stage: c_int,
    pub(super) args: Buffers,
    pub(super) rets: Buffers,
    pub(super) attributes: Attributes,
}

/// The first fields of `XLA_FFI_Metadata`.
#[repr(C)]
struct Metadata {
    struct_size: usize,
    version: ApiVersion,
    traits: u32,
}

/// `XLA_FFI_Metadata_Extension`.
#[repr(C)]
struct MetadataExtension {
    base: Extension,
    metadata: *mut Metadata,
}

impl Buffer {
    /// The shape.
    pub(super) fn dims(&self) -> &[i64] {
        // SAFETY: `rank` lengths are at the pointer.
        unsafe { slice(self.dims, self.rank as usize) }
    }

    /// Number of elements.
    fn len(&self) -> usize {
        self.dims().iter().map(|&length| length as usize).product()
    }

    /// The elements, or an error if they do not have this dtype.
    pub(super) fn elements<T>(&self, dtype: c_int) -> Result<&[T], String> {
        if self.dtype != dtype {
            return Err(format!("an operand must have the dtype {dtype} of XLA. Received: {}", self.dtype));
        }
        // SAFETY: as many elements are at the pointer. `T` is their type, since callers pass the number of its dtype.
        Ok(unsafe { slice(self.data.cast(), self.len()) })
    }

    /// The memory of a result, as `each` numbers of type `T` for each element.
    ///
    /// # Safety
    ///
    /// `each` numbers of type `T` must make an element of the dtype, any bits must be a valid `T`, and no other slice
    /// of the memory may exist.
    #[expect(clippy::mut_from_ref, reason = "the elements are not in the memory of the structure")]
    pub(super) unsafe fn elements_mut<T>(&self, each: usize) -> &mut [T] {
        match self.len() * each {
            0 => &mut [],
            // SAFETY: XLA has allocated the elements, aligned, for this call to write. The caller guarantees the rest.
            len => unsafe { std::slice::from_raw_parts_mut(self.data.cast(), len) },
        }
    }
}

/// The values at a pointer of XLA. The pointer may be null if `len` is 0, which Rust's slices do not allow.
///
/// # Safety
///
/// `len` values must be at the pointer, and must not change during the call.
unsafe fn slice<'a, T>(values: *const T, len: usize) -> &'a [T] {
    // SAFETY: the caller guarantees it.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(values, len) } }
}

impl Buffers {
    /// The buffer with this number. The only kind of operands and results is a buffer.
    pub(super) fn buffer(&self, number: usize) -> Result<&Buffer, String> {
        // SAFETY: `len` pointers are at the pointer.
        let buffers = unsafe { slice(self.buffers, self.len as usize) };
        // SAFETY: each of them is a pointer to a buffer.
        let buffer = buffers.get(number).map(|&buffer| unsafe { &*buffer });
        let known = buffer.filter(|buffer| buffer.struct_size >= size_of::<Buffer>());
        known.ok_or_else(|| format!("there must be a buffer {number}. Received: {} buffers", buffers.len()))
    }
}

impl Attributes {
    /// The attribute with this name and kind, which is [`ARRAY`] or [`STRING`].
    fn value(&self, name: &str, kind: c_int) -> Result<*const c_void, String> {
        let len = self.len as usize;
        // SAFETY: `len` values are at each of the three pointers.
        let (names, kinds, values) =
            unsafe { (slice(self.names, len), slice(self.kinds, len), slice(self.values, len)) };
        for ((&other, &found), &value) in names.iter().zip(kinds).zip(values) {
            // SAFETY: each name is a pointer to a span.
            if unsafe { (*other).bytes() } == name.as_bytes() && found == kind {
                return Ok(value);
            }
        }
        Err(format!("there must be an attribute {name} of the kind {kind} of XLA"))
    }

    /// The attribute with this name, a string.
    pub(super) fn text(&self, name: &str) -> Result<&str, String> {
        // SAFETY: an attribute of this kind is a span.
        let bytes = unsafe { (*self.value(name, STRING)?.cast::<ByteSpan>()).bytes() };
        str::from_utf8(bytes).map_err(|error| format!("{name}: {error}"))
    }

    /// The attribute with this name, an array of this dtype.
    pub(super) fn numbers<T>(&self, name: &str, dtype: c_int) -> Result<&[T], String> {
        // SAFETY: an attribute of this kind is an array.
        let array = unsafe { &*self.value(name, ARRAY)?.cast::<Array>() };
        if array.dtype != dtype {
            return Err(format!("{name} must have the dtype {dtype} of XLA. Received: {}", array.dtype));
        }
        // SAFETY: `len` numbers are at the pointer. `T` is their type, since callers pass the number of its dtype.
        Ok(unsafe { slice(array.data.cast(), array.len) })
    }
}

impl ByteSpan {
    fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes are at the pointer.
        unsafe { slice(self.bytes, self.len) }
    }
}

impl CallFrame {
    /// Whether XLA asks for the version of the interface instead of a call. If so, write the version of this handler.
    pub(super) fn describe(&self) -> bool {
        let mut extension = self.extension_start;
        // SAFETY: extensions are a linked list, whose last pointer is null.
        while let Some(found) = unsafe { extension.as_mut() } {
            if found.kind == METADATA {
                // SAFETY: an extension of this kind has a pointer to metadata, which the handler may write.
                let metadata = unsafe { &mut *(*extension.cast::<MetadataExtension>()).metadata };
                (metadata.version.major, metadata.version.minor, metadata.traits) = (MAJOR, self.minor(), 0);
                return true;
            }
            extension = found.next;
        }
        false
    }

    /// The minor version of XLA. The handler reports it as its own, since it works with any minor version.
    fn minor(&self) -> c_int {
        // SAFETY: the pointer is to the functions of XLA, or null if XLA asks for the version.
        unsafe { self.api.as_ref() }.filter(|api| api.version.major == MAJOR).map_or(MINOR, |api| api.version.minor)
    }

    /// Whether this is a call to execute. XLA also calls handlers to prepare a program.
    pub(super) fn is_execution(&self) -> bool {
        self.stage == EXECUTE
    }

    /// Whether the structures are long enough for the fields that this module reads.
    pub(super) fn is_known(&self) -> bool {
        self.struct_size >= size_of::<Self>()
            && self.args.struct_size >= size_of::<Buffers>()
            && self.rets.struct_size >= size_of::<Buffers>()
            && self.attributes.struct_size >= size_of::<Attributes>()
    }

    /// An error of XLA with this message, for the handler to return.
    pub(super) fn error(&self, message: String) -> *mut c_void {
        let message = CString::new(message.replace('\0', " ")).expect("no zero is left in the message");
        let mut args = ErrorArgs {
            struct_size: size_of::<ErrorArgs>(),
            extension_start: null_mut(),
            message: message.as_ptr(),
            code: INVALID_ARGUMENT,
        };
        // SAFETY: the pointer is to the functions of XLA.
        (unsafe { &*self.api }.create_error)(&raw mut args)
    }
}
