//! The vocabulary every part of streammill shares: frames, times, tracks, FLV and codec configurations.
//!
//! This crate is pure: bytes in, values out. It opens no socket, reads no clock, knows no GStreamer, so the code that
//! meets hostile bytes builds, fuzzes and tests in seconds.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod frame;
mod time;
mod track;

pub use frame::{Frame, FrameRole};
pub use time::MediaTime;
pub use track::{AudioFormat, Codec, Format, MediaKind, Track, TrackId, VideoFormat};
