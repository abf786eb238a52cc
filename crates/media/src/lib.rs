//! The vocabulary every part of streammill shares: frames, times, tracks, FLV and codec configurations.
//!
//! This crate is pure: bytes in, values out. It opens no socket, reads no clock, knows no GStreamer, so the code that
//! meets hostile bytes builds, fuzzes and tests in seconds.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod codec;
pub mod flv;
mod frame;
mod time;
mod timeline;
mod track;

pub use codec::ConfigError;
pub use frame::{Frame, FrameRole};
pub use time::MediaTime;
pub use timeline::{BACKWARD_LIMIT, FORWARD_LIMIT, HEADROOM, Placed, Timeline};
pub use track::{AudioFormat, Codec, Format, MediaKind, Track, TrackId, VideoFormat};
