//! Macros of the backends. They are no functions of closures: a closure might not be inlined to where the backend's
//! instructions may be used.

#![cfg_attr(not(target_arch = "x86_64"), allow(unused_macros, reason = "the portable backend needs fewer"))]

/// An expression for the first and for the second of two registers. Not a function of a closure: that might not be
/// inlined to where its instructions may be used.
macro_rules! pair {
    ($($x:ident),+ => $each:expr) => {
        [{ $(let $x = $x[0];)+ $each }, { $(let $x = $x[1];)+ $each }]
    };
}

/// An expression for each of `N` vectors, operation by operation: the CPU has something to do while each waits for the
/// one before. Not a function of a closure, as [`pair!`].
macro_rules! each {
    ($zero:expr; $i:ident => $each:expr) => {{
        let mut vectors = [$zero; N];
        for $i in 0..N {
            vectors[$i] = $each;
        }
        vectors
    }};
}
pub(crate) use each;

/// Operations that are one instruction each, of a register or of both registers of a pair.
macro_rules! instructions {
    ($($name:ident($($x:ident: $of:ident),+) -> $to:ident = $instruction:ident;)+) => {
        $(#[inline(always)]
        fn $name(self, $($x: Self::$of),+) -> Self::$to {
            simd!($instruction($($x),+))
        })+
    };
    ($($name:ident($($x:ident: $of:ident),+) -> $to:ident = each $instruction:ident;)+) => {
        $(#[inline(always)]
        fn $name(self, $($x: Self::$of),+) -> Self::$to {
            simd!(pair!($($x),+ => $instruction($($x),+)))
        })+
    };
}
