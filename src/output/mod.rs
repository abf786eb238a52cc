//! What viewers without RTMP get: FLV over HTTP, and HLS.
//!
//! These modules turn frames and chunks into the bytes and texts that travel. They open no socket: [`http`](crate::http)
//! serves what they hold.

pub mod date_time;
pub mod flv;
pub mod hls;
mod slices;

pub use slices::Slices;
