//! Supply: from the hub to what feeds a screen.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gst::prelude::*;
use gststreammill::Feed;
use streammill_media::{Codec, Frame, FrameRole, MediaTime, Track, TrackKey};
use tokio::time::sleep;

use crate::hub::{Event, Hub, Interest, Packet, Protocol, StreamKey, Subscriber};

/// Packets taken from the hub at a time.
const BATCH: usize = 64;
/// Most that waits for a decoder; the rest waits in the hub, which gives up what is too old.
const MAX_WAITING: MediaTime = MediaTime::from_millis(3_000);
/// How often a full queue is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A subscription to what is to be shown.
#[derive(Debug)]
pub(super) struct Supply {
    subscriber: Subscriber,
}

/// The ways into a screen.
#[derive(Debug)]
pub(super) struct Feeds {
    /// Where the screen's clock is read.
    pub(super) pipeline: gst::Pipeline,
    pub(super) tracks: BTreeMap<TrackKey, (Codec, Feed)>,
}

impl Supply {
    pub(super) fn open(hub: &Hub, key: &StreamKey) -> Self {
        let interest = Interest {
            protocol: Protocol::Pipeline,
            peer: None,
            software: "preview".to_owned(),
            from_cache: true,
            wait_for_key_frame: true,
        };
        Self {
            subscriber: hub.subscribe(key, interest),
        }
    }

    /// Waits until it is known what there is to show.
    pub(super) async fn tracks(&mut self) -> Vec<Track> {
        let mut batch = Vec::new();
        loop {
            if self.subscriber.next(BATCH, &mut batch).await == Event::Started
                && let Some(mut tracks) = self.subscriber.tracks()
                && let Ok(known) = tracks.wait_for(|tracks| tracks.settled).await
            {
                return known.tracks.clone();
            }
            batch.clear();
        }
    }

    /// Feeds a screen to the end of the stream, and then waits for ever: the screen says when it has shown the last of it.
    pub(super) async fn fill(&mut self, feeds: Feeds) -> Result<std::convert::Infallible, String> {
        let mut batch: Vec<Arc<Packet>> = Vec::new();
        let mut shift = None;
        while self.subscriber.next(BATCH, &mut batch).await != Event::Ended {
            for packet in batch.drain(..) {
                feeds.take(&packet.frame, &mut shift).await?;
            }
        }
        for (_, feed) in feeds.tracks.values() {
            feed.end();
        }
        std::future::pending().await
    }
}

impl Feeds {
    async fn take(&self, frame: &Frame, shift: &mut Option<MediaTime>) -> Result<(), String> {
        let key = frame.track_key();
        let Some((codec, feed)) = self.tracks.get(&key) else {
            return Ok(());
        };
        if frame.role == FrameRole::Config {
            if frame.codec() != Some(*codec) {
                return Err(format!("the coding of its {key} has changed; start the preview again"));
            }
            // What cannot be read is left out, and the decoder says what it makes of the rest.
            if let Ok(track) = Track::from_config(key.id, *codec, frame.data()) {
                feed.start(&track);
            }
        }
        if frame.role != FrameRole::Coded {
            return Ok(());
        }
        while feed.level().time > MAX_WAITING {
            sleep(LOOK_AGAIN).await;
        }
        let shift = *shift.get_or_insert_with(|| self.running_time() - frame.dts);
        let (dts, pts) = (frame.dts + shift, frame.pts + shift);
        // A feed that takes nothing is one of a screen that is off, which has told.
        let _ = feed.push_data(frame.data(), frame.key, dts, pts);
        Ok(())
    }

    fn running_time(&self) -> MediaTime {
        let time = self.pipeline.current_running_time();
        let nanos = time.and_then(|time| i64::try_from(time.nseconds()).ok());
        nanos.map_or(MediaTime::ZERO, MediaTime::from_nanos)
    }
}
