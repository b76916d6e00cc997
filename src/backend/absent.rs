//! The stub of a backend for another architecture.

use super::Task;

/// An instruction set that no CPU of this architecture has. The type has no values.
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
