//! What viewers without RTMP get: FLV over HTTP, HLS, and still pictures.
//!
//! These modules turn frames and chunks into the bytes and texts that travel. They open no socket: [`http`](crate::http)
//! serves what they hold.

pub mod date_time;
pub mod flv;
pub mod hls;
pub mod pictures;
mod slices;

pub use slices::Slices;
