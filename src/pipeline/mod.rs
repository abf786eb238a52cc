//! Pipelines.

pub mod assembly;
pub mod encoder;
pub mod params;
pub mod recording;
pub mod set;
pub mod template;
