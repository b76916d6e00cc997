//! Macros that several backends use.
//!
//! They are not functions with closures as arguments, since a closure might not be inlined into the function that is
//! compiled for the backend's instructions.

#![cfg_attr(not(target_arch = "x86_64"), allow(unused_macros, reason = "the portable backend needs fewer"))]

/// Evaluate an expression for the first and for the second register of pairs.
macro_rules! pair {
    ($($x:ident),+ => $each:expr) => {
        [{ $(let $x = $x[0];)+ $each }, { $(let $x = $x[1];)+ $each }]
    };
}

/// Evaluate an expression for each of `N` vectors. This places operations on independent vectors next to each other in
/// the program, so that the CPU starts one before the result of another is ready.
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

/// Define operations that are one instruction on a register, or, with `each`, one instruction on each register of a
/// pair.
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
