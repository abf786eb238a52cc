//! Scales pictures in memory: planes of samples, and how planes make up a picture.
//!
//! `millscale` is the element around it. GStreamer's own scaler takes two to three times the time of ffmpeg's, and the
//! image crates that were measured are made for pictures with interleaved colours: they do not know where the chroma
//! samples of a video lie, and on single planes they are slower than ffmpeg too. So this is a separable filter of our own:
//! each line of the result is first put together from the lines above and below it, then narrowed or widened. Between the
//! two passes a line stays in the processor's nearest cache, in sixteen bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod picture;
mod plane;
mod portable;
mod taps;
#[cfg(test)]
mod tests;

pub(crate) use picture::{ChromaSite, Fields, Layout, PictureScaler};
pub(crate) use plane::Short;

/// What the samples of a picture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// One byte each.
    Eight,
    /// Ten bits in two bytes, the lower one first.
    Ten,
}

impl Depth {
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Eight => 8,
            Self::Ten => 10,
        }
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Ten => 2,
        }
    }
}
