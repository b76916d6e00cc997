//! The stub of a backend for another processor than this one.

use super::Task;

/// An instruction set that no CPU of this architecture has, so that there is no value of the type.
#[derive(Clone, Copy, Debug)]
pub enum Absent {}

impl Absent {
    pub fn detect() -> Option<Self> {
        None
    }

    pub fn vectorize<T: Task>(self, _: T) -> T::Output {
        match self {}
    }
}
