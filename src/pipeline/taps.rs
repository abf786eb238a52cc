//! Taps: where what comes out of a pipeline goes to, which can change while it runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use streammill_media::{Frame, FrameRole, MediaTime, Track, TrackKey};

use tokio::sync::Notify;

use super::{
    product::{Emit, Product, What},
    publisher::Publisher,
};
use crate::hub::StreamKey;

/// The streams that a pipeline fills, by its outputs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Taps {
    outputs: Arc<Mutex<BTreeMap<String, Tap>>>,
    starved: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Tap {
    publishers: BTreeMap<StreamKey, Arc<Publisher>>,
    /// What someone who comes later has to know first.
    tracks: BTreeMap<TrackKey, (Track, Option<Frame>)>,
    expected: Vec<TrackKey>,
}

impl Taps {
    /// Whether an output fills a stream.
    pub fn has(&self, output: &str, key: &StreamKey) -> bool {
        self.outputs()
            .get(output)
            .is_some_and(|tap| tap.publishers.contains_key(key))
    }

    /// The streams that are filled.
    pub fn keys(&self) -> Vec<StreamKey> {
        let outputs = self.outputs();
        outputs
            .values()
            .flat_map(|tap| tap.publishers.keys().cloned())
            .collect()
    }

    /// Fills a stream, too. It begins with the next key frame.
    pub fn add(&self, output: &str, key: StreamKey, publisher: Publisher) {
        let mut outputs = self.outputs();
        let tap = outputs.entry(output.to_owned()).or_default();
        publisher.prepare(tap.expected.clone());
        for (pad, (track, config)) in &tap.tracks {
            publisher.begin_track(*pad, track.clone());
            if let Some(config) = config {
                publisher.take(config.clone());
            }
        }
        tap.publishers.insert(key, Arc::new(publisher));
    }

    /// Fills a stream no longer; it ends.
    pub fn remove(&self, key: &StreamKey) -> bool {
        let mut removed = false;
        for tap in self.outputs().values_mut() {
            removed |= tap.publishers.remove(key).is_some();
        }
        removed
    }

    /// Ends the streams of outputs that a new instance does not have.
    pub fn keep(&self, outputs: &[&str]) {
        self.outputs().retain(|output, _| outputs.contains(&output.as_str()));
    }

    /// The newest decoding time that was published.
    pub fn frontier(&self) -> Option<MediaTime> {
        let outputs = self.outputs();
        let publishers = outputs.values().flat_map(|tap| tap.publishers.values());
        publishers.filter_map(|publisher| publisher.frontier()).max()
    }

    /// Prepares for a new instance with these outputs and their pads, and takes what it makes.
    pub fn taker(&self, exits: Vec<(String, Vec<TrackKey>)>) -> Emit {
        let mut outputs = self.outputs();
        for (output, pads) in &exits {
            let tap = outputs.entry(output.clone()).or_default();
            tap.expected.clone_from(pads);
            for publisher in tap.publishers.values() {
                publisher.prepare(pads.clone());
            }
        }
        drop(outputs);
        // An instance that does not stop must not keep the publications.
        let (outputs, starved) = (Arc::downgrade(&self.outputs), self.starved.clone());
        Arc::new(move |product| {
            let outputs = outputs.upgrade().ok_or("the publication has ended")?;
            let (output, _) = exits.get(product.output).ok_or("there is no such output")?;
            let mut outputs = outputs.lock().unwrap_or_else(PoisonError::into_inner);
            let tap = outputs.get_mut(output).ok_or("the publication has ended")?;
            if tap.take(product)? {
                starved.notify_one();
            }
            Ok(())
        })
    }

    /// Waits until a stream shows nothing for want of a key frame.
    pub async fn starved(&self) {
        self.starved.notified().await;
    }

    /// The lock is held for the handing on of one frame; a poisoned one is still whole.
    fn outputs(&self) -> MutexGuard<'_, BTreeMap<String, Tap>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// True if a stream shows nothing for want of a key frame.
    fn take(&mut self, product: Product) -> Result<bool, String> {
        let mut is_starved = false;
        match product.what {
            What::Track(track) => {
                for publisher in self.publishers.values() {
                    publisher.begin_track(product.pad, track.clone());
                }
                self.tracks.insert(product.pad, (track, None));
            }
            What::Frame(frame) => {
                if frame.role == FrameRole::Config
                    && let Some((_, config)) = self.tracks.get_mut(&product.pad)
                {
                    *config = Some(frame.clone());
                }
                for publisher in self.publishers.values() {
                    is_starved |= publisher.take(frame.clone());
                }
            }
            What::End => {
                for publisher in self.publishers.values() {
                    publisher.end_track(product.pad);
                }
            }
            What::Header(_) | What::Chunk(_) | What::Picture(_) => {
                return Err("a stream takes neither segments nor pictures".to_owned());
            }
        }
        Ok(is_starved)
    }
}
