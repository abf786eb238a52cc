//! Decoder configurations: what `avcC`, AudioSpecificConfig and MP3 frame headers say about a stream.
//!
//! Only what a server must know before it decodes anything is read: sizes, rates, profiles. Slices and spectra are
//! left to decoders.

pub mod aac;
mod bits;
pub mod h264;
pub mod mp3;

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
    /// An `avcC` without any sequence parameter set: nothing tells the size of the pictures.
    #[error("avcC holds no SPS")]
    NoSps,
    /// The codec has no configuration record; its frames describe themselves.
    #[error("{0:?} has no configuration record")]
    NoRecord(Codec),
}
