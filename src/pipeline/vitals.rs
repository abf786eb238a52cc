//! Vitals: whether a pipeline that says nothing is at work, or stuck.
//!
//! A process that exits is easily noticed. One that hangs in a driver, or turns in a loop, is noticed by what it does not
//! do: take what it is fed, hand out what it makes, answer at all. Plain functions on plain values; times are handed in.

use std::{collections::BTreeMap, time::Duration};

use gststreammill::Level;
use serde::{Deserialize, Serialize};
use streammill_media::{MediaTime, TrackKey};

/// What a running pipeline tells of itself a few times a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// What its elements have taken of each track so far.
    pub taken: Vec<(TrackKey, Amount)>,
    /// How long media takes from one stage to the next.
    pub stages: super::stages::Stages,
}

/// Media, counted from a pipeline's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Bytes.
    pub bytes: u64,
    /// Decoding time of the last frame.
    pub until: MediaTime,
}

/// The account of what went into a pipeline, and what it has taken of that.
#[derive(Clone, Debug, Default)]
pub struct Account {
    lanes: BTreeMap<TrackKey, (Amount, Amount)>,
}

impl Account {
    /// A frame was sent.
    pub fn sent(&mut self, track: TrackKey, bytes: usize, dts: MediaTime) {
        let (sent, taken) = self.lanes.entry(track).or_insert_with(|| {
            let begun = Amount { bytes: 0, until: dts };
            (begun, begun)
        });
        sent.bytes += bytes as u64;
        sent.until = sent.until.max(dts);
        taken.until = taken.until.min(dts);
    }

    /// So much of a track was taken.
    pub fn taken(&mut self, track: TrackKey, amount: Amount) -> bool {
        let Some((_, taken)) = self.lanes.get_mut(&track) else {
            return false;
        };
        let moved = amount.bytes > taken.bytes;
        if moved {
            *taken = amount;
        }
        moved
    }

    /// What waits of a track, on the way and in the pipeline's queue.
    pub fn level(&self, track: TrackKey) -> Level {
        let Some((sent, taken)) = self.lanes.get(&track) else {
            return Level::default();
        };
        let bytes = sent.bytes.saturating_sub(taken.bytes);
        Level {
            bytes,
            time: match bytes {
                0 => MediaTime::ZERO,
                _ => (sent.until - taken.until).max(MediaTime::ZERO),
            },
        }
    }

    /// Something was sent and not taken.
    pub fn is_waiting(&self) -> bool {
        self.lanes.values().any(|(sent, taken)| sent.bytes > taken.bytes)
    }
}

/// When a pipeline last showed what it does.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    beat: Duration,
    moved: Duration,
    made: Duration,
    fed: Option<Duration>,
}

/// What is wrong with a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ailment {
    /// It does not answer.
    #[error("it has not answered for {0:?}")]
    Silent(Duration),
    /// It takes nothing of what waits for it.
    #[error("it has taken nothing of what waits for it for {0:?}")]
    Stuck(Duration),
    /// It is fed, or should make something by itself, and nothing comes out.
    #[error("nothing has come out of it for {0:?}")]
    Barren(Duration),
}

impl Vitals {
    /// How long a process may be silent: starved of the processor it may take seconds.
    pub const SILENCE: Duration = Duration::from_secs(8);

    /// Of one that begins now.
    pub fn new(now: Duration) -> Self {
        Self {
            beat: now,
            moved: now,
            made: now,
            fed: None,
        }
    }

    /// It has answered.
    pub fn beat(&mut self, now: Duration) {
        self.beat = now;
    }

    /// It has taken something, or nothing waits.
    pub fn moved(&mut self, now: Duration) {
        self.moved = now;
    }

    /// Something came out of it.
    pub fn made(&mut self, now: Duration) {
        self.made = now;
    }

    /// Something was fed.
    pub fn fed(&mut self, now: Duration) {
        // What it makes is expected from when it is fed again: a publisher may pause.
        let paused = self
            .fed
            .is_none_or(|fed| now.saturating_sub(fed) > Duration::from_secs(1));
        if paused {
            self.made = self.made.max(now);
            self.moved = self.moved.max(now);
        }
        self.fed = Some(now);
    }

    /// What is wrong with it, if anything is. `patience` is how long media may take through it; `makes` says whether
    /// something should come out of it, `is_source` whether without being fed.
    pub fn ailment(&self, now: Duration, patience: Duration, makes: bool, is_source: bool) -> Option<Ailment> {
        let since = |then: Duration| now.saturating_sub(then);
        if since(self.beat) > Self::SILENCE {
            return Some(Ailment::Silent(since(self.beat)));
        }
        if !is_source && since(self.moved) > patience {
            return Some(Ailment::Stuck(since(self.moved)));
        }
        let is_fed = is_source || self.fed.is_some_and(|fed| since(fed) < Duration::from_secs(1));
        (makes && is_fed && since(self.made) > patience).then(|| Ailment::Barren(since(self.made)))
    }
}

#[cfg(test)]
mod tests {
    use streammill_media::MediaKind;

    use super::*;

    const VIDEO: TrackKey = TrackKey {
        kind: MediaKind::Video,
        id: streammill_media::TrackId(0),
    };
    const PATIENCE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn millis(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    #[test]
    fn what_waits_is_what_was_sent_and_not_taken() {
        let mut account = Account::default();
        assert!(!account.is_waiting());
        account.sent(VIDEO, 100, millis(1_000));
        account.sent(VIDEO, 50, millis(1_040));
        assert_eq!(
            account.level(VIDEO),
            Level {
                bytes: 150,
                time: millis(40)
            }
        );
        let amount = Amount {
            bytes: 100,
            until: millis(1_000),
        };
        assert!(account.taken(VIDEO, amount));
        assert!(!account.taken(VIDEO, amount), "nothing moved");
        assert_eq!(account.level(VIDEO).bytes, 50);
        assert!(account.is_waiting());
        account.taken(
            VIDEO,
            Amount {
                bytes: 150,
                until: millis(1_040),
            },
        );
        assert_eq!(account.level(VIDEO), Level::default());
    }

    #[test]
    fn a_process_that_does_not_answer_is_silent() {
        let mut vitals = Vitals::new(at(0));
        assert_eq!(vitals.ailment(at(8), PATIENCE, false, true), None);
        assert_eq!(
            vitals.ailment(at(9), PATIENCE, false, true),
            Some(Ailment::Silent(at(9)))
        );
        vitals.beat(at(9));
        assert_eq!(vitals.ailment(at(9), PATIENCE, false, true), None);
    }

    #[test]
    fn one_that_takes_nothing_is_stuck_and_one_that_is_not_fed_is_not() {
        let mut vitals = Vitals::new(at(0));
        for second in 0..=12 {
            vitals.beat(at(second));
            vitals.fed(at(second));
        }
        assert_eq!(
            vitals.ailment(at(12), PATIENCE, false, false),
            Some(Ailment::Stuck(at(12)))
        );
        vitals.moved(at(12));
        assert_eq!(vitals.ailment(at(12), PATIENCE, false, false), None);
    }

    #[test]
    fn one_that_is_fed_and_makes_nothing_is_barren() {
        let mut vitals = Vitals::new(at(0));
        for second in 0..=11 {
            vitals.beat(at(second));
            vitals.moved(at(second));
            vitals.fed(at(second));
        }
        assert_eq!(
            vitals.ailment(at(11), PATIENCE, true, false),
            Some(Ailment::Barren(at(11)))
        );
        assert_eq!(vitals.ailment(at(11), PATIENCE, false, false), None);
    }

    #[test]
    fn a_pause_of_the_publisher_is_no_ailment() {
        let mut vitals = Vitals::new(at(0));
        vitals.fed(at(0));
        vitals.beat(at(100));
        vitals.moved(at(100));
        assert_eq!(vitals.ailment(at(100), PATIENCE, true, false), None);
        vitals.fed(at(100));
        assert_eq!(vitals.ailment(at(101), PATIENCE, true, false), None);
    }
}
