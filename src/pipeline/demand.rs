//! Demand: who wants to see what is not there yet, or goes on only while someone watches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::plan::PipelineId;
use crate::hub::{Protocol, StreamKey, StreamSnapshot};

/// What viewers ask for who are no subscribers: those who fetch segments. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    wants: Arc<Mutex<BTreeMap<StreamKey, Instant>>>,
}

/// A viewer who has fetched nothing for this long has left: longer than any segment.
const ATTENTION: Duration = Duration::from_secs(15);
/// Streams that are remembered to be wanted.
const MAX_WANTS: usize = 10_000;

impl Demand {
    /// Someone wants to see this. True if that is news.
    pub fn want(&self, key: &StreamKey, now: Instant) -> bool {
        let mut wants = self.wants();
        if wants.len() >= MAX_WANTS && !wants.contains_key(key) {
            return false;
        }
        wants.insert(key.clone(), now).is_none()
    }

    /// Whether someone wants to see this stream.
    pub fn is_wanted(&self, key: &StreamKey, streams: &[StreamSnapshot], now: Instant) -> bool {
        let mut wants = self.wants();
        wants.retain(|_, asked| now.saturating_duration_since(*asked) < ATTENTION);
        wants.contains_key(key) || streams.iter().any(|stream| stream.key == *key && is_watched(stream))
    }

    /// The lock is held for map operations only; a poisoned one is still whole.
    fn wants(&self) -> MutexGuard<'_, BTreeMap<StreamKey, Instant>> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether anyone receives a stream, or waits for it, who is no pipeline.
fn is_watched(stream: &StreamSnapshot) -> bool {
    let mut subscribers = stream.subscribers.iter();
    subscribers.any(|subscriber| subscriber.interest.protocol != Protocol::Pipeline)
}

/// How long ago each pipeline was wanted, so that it goes on for a while when its last viewer has left.
#[derive(Debug, Default)]
pub struct Warmth {
    wanted: BTreeMap<PipelineId, Instant>,
}

impl Warmth {
    /// Whether a pipeline is to run that is wanted now, or not.
    pub fn keeps(&mut self, id: &PipelineId, is_wanted: bool, keep: Duration, now: Instant) -> bool {
        if is_wanted {
            self.wanted.insert(id.clone(), now);
            return true;
        }
        let last = self.wanted.get(id);
        last.is_some_and(|last| now.saturating_duration_since(*last) < keep)
    }

    /// Forgets those that cannot run any more.
    pub fn retain(&mut self, is_there: impl Fn(&PipelineId) -> bool) {
        self.wanted.retain(|id, _| is_there(id));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::hub::PublicationId;

    #[test]
    fn whoever_asks_for_segments_wants_them_for_a_while() {
        let (demand, key) = (Demand::default(), StreamKey::parse("small/a").unwrap());
        let now = Instant::now();
        assert!(!demand.is_wanted(&key, &[], now));
        assert!(demand.want(&key, now));
        assert!(!demand.want(&key, now), "no news");
        assert!(demand.is_wanted(&key, &[], now + ATTENTION / 2));
        assert!(!demand.is_wanted(&key, &[], now + ATTENTION));
    }

    #[test]
    fn a_pipeline_goes_on_for_a_while_when_its_last_viewer_has_left() {
        let mut warmth = Warmth::default();
        let (id, keep) = (PipelineId::Stream(PublicationId(1), 0), Duration::from_secs(30));
        let now = Instant::now();
        assert!(!warmth.keeps(&id, false, keep, now), "nobody has wanted it");
        assert!(warmth.keeps(&id, true, keep, now));
        assert!(warmth.keeps(&id, false, keep, now + keep / 2));
        assert!(!warmth.keeps(&id, false, keep, now + keep));
        warmth.keeps(&id, true, keep, now);
        warmth.retain(|_| false);
        assert!(!warmth.keeps(&id, false, keep, now));
    }
}
