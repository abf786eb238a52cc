//! Memory: whether pictures stay in a device's memory from their decoder to their encoders.
//!
//! A template says what is done to pictures and not where. Where the encoders that were chosen for it run on a device, and
//! the elements of that device's [kit](kits) are installed, the words of its text are exchanged for those; what they cannot
//! do is done in system memory, and the [plan](mod@plan) says why. The [`graph`] is what is known of a text, the
//! [`placement`] decides, and all of it is plain values: which elements are installed is asked through a closure.

pub mod graph;
pub mod kits;
mod outfit;
pub mod placement;
pub mod plan;
mod reasons;
mod rewrite;
pub mod status;

pub use kits::{Kit, Kits};
pub use plan::{MemoryPlan, Surroundings, plan};

#[cfg(test)]
mod tests;
