//! Policy: when to restart, what to feed. Plain functions on plain values; clocks and dice are handed in.

use std::{collections::BTreeMap, time::Duration};

use gststreammill::Level;
use streammill_media::{MediaKind, MediaTime, TrackKey};

/// Restarts of a pipeline that failed: soon at first, then ever less often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    is_endless: bool,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);
    /// A pipeline that ran this long was sound; what ended it is a new trouble.
    const SOUND: Duration = Duration::from_secs(60);

    /// So many failures in a row are no accident.
    const MOST: u32 = 12;

    /// One that never gives up: what fails is not the pipeline's own.
    pub fn endless() -> Self {
        Self {
            is_endless: true,
            ..Self::default()
        }
    }

    /// How long to wait after a run that failed; `None` if it has failed too often. `jitter` from 0 to 1 keeps pipelines that
    /// failed together from starting together: the wait is shortened by up to half.
    pub fn after(&mut self, ran: Duration, jitter: f64) -> Option<Duration> {
        self.failures = if ran >= Self::SOUND {
            1
        } else {
            self.failures.saturating_add(1)
        };
        if self.failures >= Self::MOST && !self.is_endless {
            return None;
        }
        let doublings = (self.failures - 1).min(16);
        let full = Self::FIRST.saturating_mul(1 << doublings).min(Self::LONGEST);
        Some(full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0))
    }
}

/// Decides frame by frame what goes into a pipeline.
///
/// No muxer drops pictures that cannot be decoded, so a pipeline begins with a key frame, and sound that came before it is
/// left out. A queue that is full is given a moment; a pipeline that makes no use of it loses pictures up to the next key
/// frame, and sound frame by frame, until it has caught up.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Pictures are to come and none has.
    awaits_first_key: bool,
    first: Option<MediaTime>,
    lanes: BTreeMap<TrackKey, Lane>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    needs_key: bool,
    clogged_since: Option<MediaTime>,
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Push it.
    Push,
    /// Ask again in a moment.
    Wait,
    /// Leave it out: the pipeline has not begun.
    Skip,
    /// Leave it out: the pipeline does not keep up.
    Drop,
    /// Give up: nothing has moved for too long.
    Stalled,
}

impl Gate {
    /// Most that waits in one queue.
    pub const MAX_LEVEL: Level = Level {
        bytes: 16 << 20,
        time: MediaTime::from_millis(3_000),
    };
    /// How long sound is held back for the first picture.
    const HEAD_START: MediaTime = MediaTime::from_millis(5_000);
    /// Media that is dropped before the pipeline is given up.
    const MAX_CLOGGED: MediaTime = MediaTime::from_millis(20_000);

    /// A gate before a pipeline that takes video, or does not.
    pub fn new(has_video: bool) -> Self {
        Self {
            awaits_first_key: has_video,
            first: None,
            lanes: BTreeMap::new(),
        }
    }

    /// A track's pictures need a key frame again: the decoder was configured anew.
    pub fn require_key(&mut self, track: TrackKey) {
        self.lanes.entry(track).or_default().needs_key = true;
    }

    /// Decides about a frame. `level` is that of its queue; `patience` says whether [`Verdict::Wait`] may still be answered.
    pub fn admit(&mut self, track: TrackKey, key: bool, dts: MediaTime, level: Level, patience: bool) -> Verdict {
        let is_video = track.kind == MediaKind::Video;
        let first = *self.first.get_or_insert(dts);
        if self.awaits_first_key && !is_video && dts - first < Self::HEAD_START {
            return Verdict::Skip;
        }
        let lane = self.lanes.entry(track).or_insert(Lane {
            needs_key: is_video,
            clogged_since: None,
        });
        let is_full = |share: i64| {
            level.time > MediaTime::from_nanos(Self::MAX_LEVEL.time.as_nanos() / share)
                || level.bytes > Self::MAX_LEVEL.bytes / share.unsigned_abs()
        };
        if let Some(since) = lane.clogged_since {
            if is_full(2) {
                lane.needs_key = is_video;
                return if dts - since > Self::MAX_CLOGGED {
                    Verdict::Stalled
                } else {
                    Verdict::Drop
                };
            }
            lane.clogged_since = None;
        }
        if is_full(1) {
            if patience {
                return Verdict::Wait;
            }
            lane.clogged_since = Some(dts);
            lane.needs_key = is_video;
            return Verdict::Drop;
        }
        if is_video && lane.needs_key && !key {
            return if self.awaits_first_key {
                Verdict::Skip
            } else {
                Verdict::Drop
            };
        }
        if is_video {
            lane.needs_key = false;
            self.awaits_first_key = false;
        }
        Verdict::Push
    }
}

#[cfg(test)]
mod tests {
    use streammill_media::TrackId;

    use super::*;

    const EMPTY: Level = Level {
        bytes: 0,
        time: MediaTime::ZERO,
    };
    const FULL: Level = Level {
        bytes: 1,
        time: MediaTime::from_millis(3_001),
    };

    const AUDIO: TrackKey = TrackKey {
        kind: MediaKind::Audio,
        id: TrackId(0),
    };
    const VIDEO: TrackKey = TrackKey {
        kind: MediaKind::Video,
        id: TrackId(0),
    };

    fn at(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    #[test]
    fn restarts_come_ever_less_often_and_not_all_at_once() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let waits: Vec<_> = (0..9)
            .filter_map(|_| backoff.after(short, 0.0))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(backoff.after(short, 1.0), Some(Duration::from_secs(15)));
        let sound = Duration::from_secs(60);
        assert_eq!(backoff.after(sound, 0.0), Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_fails_again_and_again_is_given_up() {
        let mut backoff = Backoff::default();
        let waits = std::iter::from_fn(|| backoff.after(Duration::from_secs(1), 0.0)).take(100);
        assert_eq!(waits.count(), 11);
    }

    #[test]
    fn what_waits_for_others_is_never_given_up() {
        let mut backoff = Backoff::endless();
        let waits = std::iter::from_fn(|| backoff.after(Duration::from_secs(1), 0.0)).take(100);
        let waits: Vec<_> = waits.collect();
        assert_eq!((waits.len(), waits.last()), (100, Some(&Duration::from_secs(30))));
    }

    #[test]
    fn nothing_goes_in_before_the_first_key_frame() {
        let mut gate = Gate::new(true);
        assert_eq!(gate.admit(AUDIO, true, at(0), EMPTY, true), Verdict::Skip);
        assert_eq!(gate.admit(VIDEO, false, at(10), EMPTY, true), Verdict::Skip);
        assert_eq!(gate.admit(VIDEO, true, at(20), EMPTY, true), Verdict::Push);
        assert_eq!(gate.admit(AUDIO, true, at(30), EMPTY, true), Verdict::Push);
        assert_eq!(gate.admit(VIDEO, false, at(40), EMPTY, true), Verdict::Push);
    }

    #[test]
    fn sound_does_not_wait_for_pictures_that_never_come_or_were_never_announced() {
        let mut gate = Gate::new(true);
        assert_eq!(gate.admit(AUDIO, true, at(0), EMPTY, true), Verdict::Skip);
        assert_eq!(gate.admit(AUDIO, true, at(5_000), EMPTY, true), Verdict::Push);
        let mut gate = Gate::new(false);
        assert_eq!(gate.admit(AUDIO, true, at(0), EMPTY, true), Verdict::Push);
    }

    #[test]
    fn a_full_queue_is_waited_for_then_costs_pictures_up_to_a_key_frame() {
        let mut gate = Gate::new(true);
        assert_eq!(gate.admit(VIDEO, true, at(0), EMPTY, true), Verdict::Push);
        assert_eq!(gate.admit(VIDEO, false, at(40), FULL, true), Verdict::Wait);
        assert_eq!(gate.admit(VIDEO, false, at(40), FULL, false), Verdict::Drop);
        assert_eq!(gate.admit(VIDEO, true, at(80), FULL, true), Verdict::Drop);
        assert_eq!(gate.admit(VIDEO, false, at(120), EMPTY, true), Verdict::Drop);
        assert_eq!(gate.admit(AUDIO, true, at(120), EMPTY, true), Verdict::Push);
        assert_eq!(gate.admit(VIDEO, true, at(160), EMPTY, true), Verdict::Push);
    }

    #[test]
    fn a_pipeline_that_takes_nothing_for_long_is_given_up() {
        let mut gate = Gate::new(false);
        assert_eq!(gate.admit(AUDIO, true, at(0), FULL, false), Verdict::Drop);
        assert_eq!(gate.admit(AUDIO, true, at(20_000), FULL, true), Verdict::Drop);
        assert_eq!(gate.admit(AUDIO, true, at(20_001), FULL, true), Verdict::Stalled);
    }

    #[test]
    fn a_new_decoder_configuration_needs_a_key_frame() {
        let mut gate = Gate::new(true);
        assert_eq!(gate.admit(VIDEO, true, at(0), EMPTY, true), Verdict::Push);
        gate.require_key(VIDEO);
        assert_eq!(gate.admit(VIDEO, false, at(40), EMPTY, true), Verdict::Drop);
        assert_eq!(gate.admit(VIDEO, true, at(80), EMPTY, true), Verdict::Push);
    }
}
