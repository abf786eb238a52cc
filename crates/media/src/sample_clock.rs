//! Audio times counted in samples.
//!
//! A frame of 1024 samples at 44.1 kHz lasts 23.22 ms; a sender that counts milliseconds stamps 0, 23, 46, 70. Muxers
//! turn those into frame durations of 1014 and 1058 samples, which players render as tiny gaps and overlaps. This clock
//! counts samples from the first stamp instead and listens to the stamps only to notice that sound is missing.

use crate::{AudioFormat, MediaTime};

/// Exact times for the coded audio frames of one track.
#[derive(Clone, Debug)]
pub struct SampleClock {
    rate: u32,
    samples_per_frame: u32,
    /// Where counting started; moved on by whole seconds so that `samples` stays under `rate`.
    anchor: Option<MediaTime>,
    samples: u64,
    last: MediaTime,
}

/// When a frame plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retimed {
    /// Its start; never before that of the frame before.
    pub time: MediaTime,
    /// Until the next frame, should it follow without a gap.
    pub duration: MediaTime,
    /// The sample count was given up for the stamp. True for the first frame.
    pub resynced: bool,
}

impl SampleClock {
    /// Stamps that differ more than this from the sample count are believed: sound was lost, or the sender's sample
    /// rate is not what it says.
    pub const MAX_DRIFT: MediaTime = MediaTime::from_millis(50);

    /// A clock for frames of this format.
    pub fn new(format: &AudioFormat) -> Self {
        Self {
            rate: format.sample_rate.max(1),
            samples_per_frame: format.samples_per_frame,
            anchor: None,
            samples: 0,
            last: MediaTime::from_nanos(i64::MIN),
        }
    }

    /// The next frame, stamped with `stamp` after rounding to milliseconds.
    pub fn retime(&mut self, stamp: MediaTime) -> Retimed {
        let counted = self.anchor.map(|anchor| anchor + self.span(self.samples));
        let resynced =
            counted.is_none_or(|counted| stamp - counted > Self::MAX_DRIFT || counted - stamp > Self::MAX_DRIFT);
        let time = match counted {
            Some(counted) if !resynced => counted,
            _ => {
                let anchor = stamp.max(self.last);
                self.anchor = Some(anchor);
                self.samples = 0;
                anchor
            }
        };
        self.last = time;
        let begin = self.span(self.samples);
        self.samples += u64::from(self.samples_per_frame);
        let duration = self.span(self.samples) - begin;
        let seconds = self.samples / u64::from(self.rate);
        self.samples %= u64::from(self.rate);
        if let Some(anchor) = &mut self.anchor {
            *anchor += MediaTime::from_nanos(seconds as i64 * 1_000_000_000);
        }
        Retimed {
            time,
            duration,
            resynced,
        }
    }

    fn span(&self, samples: u64) -> MediaTime {
        // Under rate + samples_per_frame < 2^33 samples, so the product needs 63 bits; it is made in 128.
        let nanos = u128::from(samples) * 1_000_000_000 / u128::from(self.rate);
        MediaTime::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}
