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
    lanes: BTreeMap<TrackKey, Lane>,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    sent: Amount,
    taken: Amount,
    /// Since when nothing of what waits has been taken.
    waits_since: Duration,
}

impl Account {
    /// A frame was sent.
    pub fn sent(&mut self, track: TrackKey, bytes: usize, dts: MediaTime, now: Duration) {
        let begun = Amount { bytes: 0, until: dts };
        let lane = self.lanes.entry(track).or_insert(Lane {
            sent: begun,
            taken: begun,
            waits_since: now,
        });
        if !lane.is_waiting() {
            lane.waits_since = now;
        }
        lane.sent.bytes += bytes as u64;
        lane.sent.until = lane.sent.until.max(dts);
        lane.taken.until = lane.taken.until.min(dts);
    }

    /// So much of a track was taken.
    pub fn taken(&mut self, track: TrackKey, amount: Amount, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(&track)
            && amount.bytes > lane.taken.bytes
        {
            lane.taken = amount;
            lane.waits_since = now;
        }
    }

    /// What waits of a track, on the way and in the pipeline's queue.
    pub fn level(&self, track: TrackKey) -> Level {
        self.lanes.get(&track).map_or_else(Level::default, Lane::level)
    }

    /// Since when nothing has been taken of a track that waits; the longest of them.
    pub fn waits_since(&self) -> Option<Duration> {
        let waiting = self.lanes.values().filter(|lane| lane.is_waiting());
        waiting.map(|lane| lane.waits_since).min()
    }
}

impl Lane {
    fn is_waiting(&self) -> bool {
        self.sent.bytes > self.taken.bytes
    }

    fn level(&self) -> Level {
        match self.is_waiting() {
            false => Level::default(),
            true => Level {
                bytes: self.sent.bytes - self.taken.bytes,
                time: (self.sent.until - self.taken.until).max(MediaTime::ZERO),
            },
        }
    }
}

/// When a pipeline last showed what it does.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    beat: Duration,
    made: Duration,
    has_made: bool,
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
            made: now,
            has_made: false,
            fed: None,
        }
    }

    /// It has answered.
    pub fn beat(&mut self, now: Duration) {
        self.beat = now;
    }

    /// Something came out of it.
    pub fn made(&mut self, now: Duration) {
        self.made = now;
        self.has_made = true;
    }

    /// Something was fed.
    pub fn fed(&mut self, now: Duration) {
        // What it makes is expected from when it is fed again: a publisher may pause.
        let paused = self
            .fed
            .is_none_or(|fed| now.saturating_sub(fed) > Duration::from_secs(1));
        if paused {
            self.made = self.made.max(now);
        }
        self.fed = Some(now);
    }

    /// What is wrong with it, if anything is.
    pub fn ailment(&self, now: Duration, account: &Account, duty: Duty) -> Option<Ailment> {
        let since = |then: Duration| now.saturating_sub(then);
        if since(self.beat) > Self::SILENCE {
            return Some(Ailment::Silent(since(self.beat)));
        }
        let patience = match self.has_made {
            true => duty.patience,
            false => duty.patience.max(duty.start),
        };
        if let Some(waits) = account.waits_since().map(since)
            && waits > patience
        {
            return Some(Ailment::Stuck(waits));
        }
        let is_fed = duty.is_source || self.fed.is_some_and(|fed| since(fed) < Duration::from_secs(1));
        (duty.makes && is_fed && since(self.made) > patience).then(|| Ailment::Barren(since(self.made)))
    }
}

/// What is expected of a pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Duty {
    /// How long media may take through it.
    pub patience: Duration,
    /// How long that may be before anything has come out of it: drivers take their time.
    pub start: Duration,
    /// Something has to come out of it.
    pub makes: bool,
    /// It makes that without being fed.
    pub is_source: bool,
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

    const FED: Duty = Duty {
        patience: PATIENCE,
        start: PATIENCE,
        makes: false,
        is_source: false,
    };
    const MAKES: Duty = Duty { makes: true, ..FED };

    fn amount(bytes: u64, until: i64) -> Amount {
        Amount {
            bytes,
            until: millis(until),
        }
    }

    #[test]
    fn what_waits_is_what_was_sent_and_not_taken() {
        let mut account = Account::default();
        assert_eq!(account.waits_since(), None);
        account.sent(VIDEO, 100, millis(1_000), at(1));
        account.sent(VIDEO, 50, millis(1_040), at(2));
        let level = Level {
            bytes: 150,
            time: millis(40),
        };
        assert_eq!((account.level(VIDEO), account.waits_since()), (level, Some(at(1))));
        account.taken(VIDEO, amount(100, 1_000), at(3));
        account.taken(VIDEO, amount(100, 1_000), at(4));
        assert_eq!(account.level(VIDEO).bytes, 50);
        assert_eq!(account.waits_since(), Some(at(3)), "the second time nothing moved");
        account.taken(VIDEO, amount(150, 1_040), at(5));
        assert_eq!((account.level(VIDEO), account.waits_since()), (Level::default(), None));
    }

    #[test]
    fn a_process_that_does_not_answer_is_silent() {
        let (mut vitals, account) = (Vitals::new(at(0)), Account::default());
        assert_eq!(vitals.ailment(at(8), &account, FED), None);
        assert_eq!(vitals.ailment(at(9), &account, FED), Some(Ailment::Silent(at(9))));
        vitals.beat(at(9));
        assert_eq!(vitals.ailment(at(9), &account, FED), None);
    }

    #[test]
    fn one_that_takes_nothing_of_a_track_is_stuck_whatever_it_does_with_others() {
        const AUDIO: TrackKey = TrackKey {
            kind: MediaKind::Audio,
            ..VIDEO
        };
        let (mut vitals, mut account) = (Vitals::new(at(0)), Account::default());
        for second in 0..=12 {
            vitals.beat(at(second));
            vitals.made(at(second));
            vitals.fed(at(second));
            account.sent(VIDEO, 100, millis(0), at(second));
            account.sent(AUDIO, 10, millis(0), at(second));
            account.taken(AUDIO, amount(10 * (second + 1), 0), at(second));
        }
        assert_eq!(vitals.ailment(at(12), &account, MAKES), Some(Ailment::Stuck(at(12))));
        account.taken(VIDEO, amount(100, 0), at(12));
        assert_eq!(vitals.ailment(at(12), &account, MAKES), None);
    }

    #[test]
    fn one_that_is_fed_and_makes_nothing_is_barren() {
        let (mut vitals, account) = (Vitals::new(at(0)), Account::default());
        for second in 0..=11 {
            vitals.beat(at(second));
            vitals.fed(at(second));
        }
        assert_eq!(vitals.ailment(at(11), &account, MAKES), Some(Ailment::Barren(at(11))));
        assert_eq!(vitals.ailment(at(11), &account, FED), None);
    }

    #[test]
    fn less_patience_is_had_with_what_has_shown_that_it_works() {
        let quick = Duty {
            patience: Duration::from_secs(1),
            ..MAKES
        };
        let (mut vitals, account) = (Vitals::new(at(0)), Account::default());
        for second in 0..=9 {
            vitals.beat(at(second));
            vitals.fed(at(second));
        }
        assert_eq!(vitals.ailment(at(9), &account, quick), None);
        vitals.made(at(9));
        vitals.fed(at(10));
        assert_eq!(vitals.ailment(at(10), &account, quick), None);
        vitals.fed(at(11));
        assert_eq!(vitals.ailment(at(11), &account, quick), Some(Ailment::Barren(at(2))));
    }

    #[test]
    fn a_pause_of_the_publisher_is_no_ailment() {
        let (mut vitals, account) = (Vitals::new(at(0)), Account::default());
        vitals.fed(at(0));
        vitals.beat(at(100));
        assert_eq!(vitals.ailment(at(100), &account, MAKES), None);
        vitals.fed(at(100));
        assert_eq!(vitals.ailment(at(101), &account, MAKES), None);
    }
}
