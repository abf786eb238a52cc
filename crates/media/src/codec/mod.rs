//! Decoder configurations: what `avcC`, `hvcC`, AudioSpecificConfig and their like, and the headers of frames that have none,
//! say about a stream.
//!
//! Only what a server must know before it decodes anything is read: sizes, rates, profiles. Slices and spectra are
//! left to decoders.

pub mod aac;
pub mod ac3;
pub mod av1;
mod bits;
pub mod flac;
pub mod h264;
pub mod hevc;
pub mod mp3;
mod nal;
pub mod opus;
pub mod vpx;

use crate::Codec;

/// Why a decoder configuration could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The record ends too early.
    #[error("{record} ends at bit {bit}, inside {field}")]
    Truncated {
        /// The record or parameter set.
        record: &'static str,
        /// The field that was being read.
        field: &'static str,
        /// Where in the record (emulation prevention bytes removed) it ended.
        bit: usize,
    },
    /// A field has a value that its specification forbids, or that is absurd.
    #[error("{record} has {field} {value}")]
    Invalid {
        /// The record or parameter set.
        record: &'static str,
        /// The field.
        field: &'static str,
        /// What it holds.
        value: u32,
    },
    /// An `avcC` or `hvcC` without any sequence parameter set: nothing tells the size of the pictures.
    #[error("the record holds no SPS")]
    NoSps,
    /// The record leaves the size of the pictures to the first key frame.
    #[error("the record does not tell the size of the pictures")]
    NoSize,
    /// The codec has no configuration record; its frames describe themselves.
    #[error("{0:?} has no configuration record")]
    NoRecord(Codec),
}
