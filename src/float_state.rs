//! The floating point state of a thread: rounding mode, and treatment of subnormal numbers.
//!
//! Compiled code assumes the default state of IEEE 754: round to nearest, ties to even, subnormal numbers kept, no
//! traps. The threads of a host process may have another state. XLA's CPU threads, some audio libraries and programs
//! that are built with `-ffast-math` flush subnormal results to zero (FTZ) and read subnormal operands as zero (DAZ). A
//! host may also set another rounding mode (`fesetround`). Both change values.
//!
//! [`in_default_state`] sets the default state on the calling thread, runs a function, and restores the caller's state,
//! exception flags included. So the values have the same bits in every host process.
//!
//! | processor | control register | register of flags |
//! |---|---|---|
//! | x86-64 | MXCSR (Intel SDM 1, 10.2.3) | MXCSR |
//! | ARM64 | FPCR (Arm Architecture Reference Manual) | FPSR |
//!
//! On other processors the function runs in the state of its caller.
//!
//! The compiler assumes the default state everywhere, so that it may move a floating point operation across the
//! instruction that sets the state. To prevent this, the function is called through a pointer that passes through
//! [`black_box`]: the compiler does not know which operations it has. Its data is in memory, which the compiler must
//! assume the assembly to change.

use std::hint::black_box;

#[cfg(target_arch = "x86_64")]
use x86_64 as processor;

#[cfg(target_arch = "aarch64")]
use aarch64 as processor;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use other as processor;

/// Run `work` in the default floating point state, and restore the caller's state, even if `work` panics.
pub(crate) fn in_default_state<R>(work: impl FnOnce() -> R) -> R {
    let (mut work, mut result) = (Some(work), None);
    {
        let _restored_when_dropped = CallersState::replaced(); // in a panic too
        let mut call = || result = work.take().map(|work| work());
        let call: &mut dyn FnMut() = &mut call;
        black_box(call)();
    }
    black_box(result).expect("the pointer calls `work`")
}

/// The caller's state. Dropping this restores it.
struct CallersState(processor::State);

impl CallersState {
    /// Set the default state, and keep the caller's.
    fn replaced() -> Self {
        let state = processor::read();
        processor::write(processor::DEFAULT);
        Self(state)
    }
}

impl Drop for CallersState {
    fn drop(&mut self) {
        processor::write(self.0);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;

    /// MXCSR: control bits and exception flags.
    pub(super) type State = u32;

    /// The state in which operating systems start a thread: all traps masked, no flag set.
    pub(super) const DEFAULT: State = 0x1f80;

    pub(super) fn read() -> State {
        let mut state: State = 0;
        // SAFETY: the instruction writes four bytes, those of `state`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut state, options(nostack, preserves_flags)) };
        state
    }

    pub(super) fn write(state: State) {
        // SAFETY: the instruction reads four bytes, those of `state`. It would fault if a reserved bit were set, but
        // the bits are the default or were read from MXCSR. Compiled code of the engine runs in the default state, as
        // the compiler assumes, and the caller's code runs in the state that it ran in before.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const state, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::asm;

    /// FPCR (control) and FPSR (flags).
    pub(super) type State = [u64; 2];

    /// The state in which operating systems start a thread: no trap enabled, no flag set.
    pub(super) const DEFAULT: State = [0; 2];

    pub(super) fn read() -> State {
        let [control, flags]: State;
        // SAFETY: the instructions read two registers. `nomem` is not given, so that no access to memory moves across
        // them.
        unsafe { asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) control, out(reg) flags, options(nostack)) };
        [control, flags]
    }

    pub(super) fn write([control, flags]: State) {
        // SAFETY: the instructions access no memory. Compiled code of the engine runs in the default state, as the
        // compiler assumes, and the caller's code runs in the state that it ran in before.
        unsafe { asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) control, in(reg) flags, options(nostack)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod other {
    /// Empty: the state of this processor is neither read nor set.
    #[derive(Clone, Copy)]
    pub(super) struct State;
    pub(super) const DEFAULT: State = State;
    pub(super) fn read() -> State {
        State
    }
    pub(super) fn write(_: State) {}
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;

    /// Two states other than the default: subnormal numbers as zero; rounding towards zero.
    #[cfg(target_arch = "x86_64")]
    const STATES: [processor::State; 2] = [0x9fc0, 0x7f80];
    #[cfg(target_arch = "aarch64")]
    const STATES: [processor::State; 2] = [[1 << 24, 0], [3 << 22, 0]];

    /// The bits of 2^-1000 2^-50 and of 1 / 10. In each of [`STATES`], one of them differs from that in the default
    /// state.
    #[inline(never)]
    fn results() -> [u64; 2] {
        let tiny = black_box(f64::from_bits(23 << 52)) * black_box(f64::from_bits(973 << 52));
        [tiny.to_bits(), (black_box(1.0f64) / black_box(10.0)).to_bits()]
    }

    fn in_state<R>(state: processor::State, work: impl FnOnce() -> R) -> R {
        let before = processor::read();
        processor::write(state);
        let result = black_box(work());
        processor::write(before);
        result
    }

    #[test]
    fn work_runs_in_the_default_state_and_the_callers_is_restored() {
        let expected = results();
        for state in STATES {
            assert_ne!(in_state(state, results), expected, "the state changes values");
            let (inside, before, after) = in_state(state, || {
                let before = processor::read();
                let inside = in_default_state(results);
                (inside, before, processor::read())
            });
            assert_eq!(inside, expected);
            assert_eq!(after, before, "the flags are restored too: the inexact quotient set none");
        }
    }

    #[test]
    fn a_panic_restores_the_state_too() {
        let state = STATES[0];
        let after = in_state(state, || {
            std::panic::catch_unwind(|| in_default_state(|| panic!("on purpose"))).unwrap_err();
            processor::read()
        });
        assert_eq!(after, state);
    }
}
