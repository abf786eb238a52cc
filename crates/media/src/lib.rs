//! The vocabulary every part of streammill shares: frames, times, tracks, FLV and codec configurations.
//!
//! This crate is pure: bytes in, values out. It opens no socket, reads no clock, knows no GStreamer, so the code that
//! meets hostile bytes builds, fuzzes and tests in seconds.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod codec;
pub mod flv;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod sample_clock;
mod time;
mod timeline;
mod track;
mod track_detector;

pub use codec::ConfigError;
pub use frame::{Frame, FrameRole};
pub use sample_clock::{Retimed, SampleClock};
pub use time::MediaTime;
pub use timeline::{Placed, Timeline};
pub use track::{AudioFormat, Codec, Format, MediaKind, NoTrackKey, Track, TrackId, TrackKey, VideoFormat};
pub use track_detector::{Detection, TrackDetector};
