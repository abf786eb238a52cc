//! Audio times counted in samples.
//!
//! A frame of 1024 samples at 44.1 kHz lasts 23.22 ms; a sender that counts milliseconds stamps 0, 23, 46, 69, 92. Muxers
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
        self.retime_frame(stamp, None)
    }

    /// As [`retime`](Self::retime), for a frame that may have another number of samples than most.
    pub fn retime_frame(&mut self, stamp: MediaTime, samples: Option<u32>) -> Retimed {
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
        self.samples += u64::from(samples.unwrap_or(self.samples_per_frame));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn format(sample_rate: u32) -> AudioFormat {
        AudioFormat {
            sample_rate,
            channels: 2,
            profile: 2,
            samples_per_frame: 1024,
        }
    }

    /// The stamp of a frame as an RTMP sender writes it.
    fn stamp(frame: u64, rate: u64) -> MediaTime {
        MediaTime::from_millis((frame * 1024 * 1000 / rate) as i64)
    }

    #[test]
    fn rounded_stamps_become_exact_times() {
        for rate in [48_000, 44_100, 32_000, 22_050, 7_350] {
            let mut clock = SampleClock::new(&format(rate));
            let rate = u64::from(rate);
            for frame in 0..50_000 {
                let retimed = clock.retime(stamp(frame, rate));
                let exact = (u128::from(frame) * 1024 * 1_000_000_000 / u128::from(rate)) as i64;
                assert_eq!(retimed.time.as_nanos(), exact, "frame {frame} at {rate} Hz");
                assert_eq!(retimed.resynced, frame == 0);
            }
        }
    }

    #[test]
    fn durations_add_up_to_the_next_time() {
        let mut clock = SampleClock::new(&format(44_100));
        let mut end = MediaTime::ZERO;
        for frame in 0..10_000 {
            let retimed = clock.retime(stamp(frame, 44_100));
            assert!((retimed.time - end).as_nanos().abs() <= 1);
            end = retimed.time + retimed.duration;
        }
    }

    #[test]
    fn lost_sound_is_noticed_and_jitter_is_not() {
        let mut clock = SampleClock::new(&format(48_000));
        for (given, expected) in [
            (100_i64, 100_000_000_i64),
            (140, 121_333_333),
            (120, 142_666_666),
            (164, 164_000_000),
        ] {
            let retimed = clock.retime(MediaTime::from_millis(given));
            assert_eq!((retimed.time.as_nanos(), retimed.resynced), (expected, given == 100));
        }
        let after_gap = clock.retime(MediaTime::from_millis(400));
        assert_eq!(
            (after_gap.time, after_gap.resynced),
            (MediaTime::from_millis(400), true)
        );
        assert_eq!(clock.retime(MediaTime::from_millis(421)).time.as_nanos(), 421_333_333);
    }

    #[test]
    fn the_limit_is_fifty_milliseconds_exactly() {
        let at_limit = |millis: i64| {
            let mut clock = SampleClock::new(&AudioFormat {
                samples_per_frame: 480,
                ..format(48_000)
            });
            clock.retime(MediaTime::ZERO);
            clock.retime(MediaTime::from_millis(10 + millis)).resynced
        };
        assert!(!at_limit(50) && at_limit(51));
    }

    #[test]
    fn a_sender_with_a_slow_clock_never_makes_time_fall() {
        let mut clock = SampleClock::new(&format(44_100));
        let (mut last, mut resyncs) = (MediaTime::ZERO, 0);
        for frame in 0..100_000_i64 {
            // Really 44.2 kHz: stamps fall behind the count by 2.3 ms a second.
            let retimed = clock.retime(MediaTime::from_millis(frame * 1024 * 1000 / 44_200));
            assert!(retimed.time >= last);
            last = retimed.time;
            resyncs += u32::from(retimed.resynced);
        }
        // 5.2 s in all. A correction only goes back as far as the last frame, so it takes more of them than 5.2 / 0.05.
        assert!((100..400).contains(&resyncs), "{resyncs}");
    }

    #[test]
    fn a_format_without_sense_does_no_harm() {
        let mut clock = SampleClock::new(&AudioFormat {
            sample_rate: 0,
            samples_per_frame: u32::MAX,
            ..format(1)
        });
        assert_eq!(clock.retime(MediaTime::ZERO).time, MediaTime::ZERO);
        assert_eq!(
            clock.retime(MediaTime::from_millis(20)).time,
            MediaTime::from_millis(20)
        );
    }
}
