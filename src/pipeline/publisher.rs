//! From `out` to the hub: what a pipeline encodes becomes a stream.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use gststreammill::{Delivery, Framer, Outlet};
use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, Track, TrackId, TrackKey, flv};

use crate::hub::Publication;

/// A publication that takes what arrives at a `millsink`.
///
/// It outlives the pipelines that fill it: when one is restarted, viewers see a gap, not an end.
#[derive(Debug)]
pub struct Publisher {
    publication: Publication,
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    lanes: BTreeMap<TrackKey, Lane>,
    /// The tracks that will come. Their metadata is announced when all are known.
    expected: Vec<TrackKey>,
    /// The tracks that were announced.
    announced: Vec<Track>,
    /// Frames from before all expected tracks were known: the stream begins with its configuration, because encoders do not
    /// start at once and nobody should take a stream with a slow one for a stream without pictures.
    held: Vec<Frame>,
    /// Frames are held no longer.
    has_begun: bool,
}

/// Most frames that are held back for a track that does not come.
const MAX_HELD: usize = 250;

#[derive(Debug, Default)]
struct Lane {
    track: Option<Track>,
    last: Option<MediaTime>,
    /// Pictures are left out until a decoder can start.
    needs_key: bool,
}

impl Publisher {
    /// Fills a publication.
    pub fn new(publication: Publication) -> Self {
        Self {
            publication,
            lanes: Mutex::default(),
        }
    }

    /// The outlet for a new instance with these tracks, whose running time zero is at `origin` on the stream's timeline.
    pub fn outlet(self: &Arc<Self>, expected: Vec<TrackKey>, origin: Arc<OnceLock<MediaTime>>) -> Outlet {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let framers: BTreeMap<_, _> = expected
            .iter()
            .map(|track| (*track, Mutex::new(Framer::new(*track))))
            .collect();
        for (track, lane) in &mut lanes.lanes {
            lane.needs_key = track.kind == MediaKind::Video;
        }
        lanes.expected = expected;
        drop(lanes);
        // An instance that does not stop must not keep the publication.
        let publisher = Arc::downgrade(self);
        Arc::new(move |track, delivery| {
            let publisher = publisher.upgrade().ok_or("the publication has ended")?;
            let (Delivery::Sample(sample), Some(framer)) = (delivery, framers.get(&track)) else {
                return Ok(());
            };
            let mut framer = framer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut frames = Vec::new();
            let origin = origin.get().copied().unwrap_or_default();
            framer
                .take(&sample, origin, &mut frames)
                .map_err(|error| error.to_string())?;
            for frame in frames {
                publisher.take(frame, framer.track());
            }
            Ok(())
        })
    }

    /// The newest decoding time that was published.
    pub fn frontier(&self) -> Option<MediaTime> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.lanes.values().filter_map(|lane| lane.last).max()
    }

    fn take(&self, frame: Frame, track: Option<&Track>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.lanes.entry(frame.track_key()).or_insert_with(|| Lane {
            track: None,
            last: None,
            needs_key: frame.kind == MediaKind::Video,
        });
        let is_new = lane.track.as_ref() != track;
        if is_new {
            lane.track = track.cloned();
        }
        let (role, dts) = (frame.role, frame.dts);
        if is_new && role == FrameRole::Config {
            self.publication.push(frame.clone());
        }
        if is_new {
            self.announce(&mut lanes, dts);
        }
        if role == FrameRole::Config {
            return;
        }
        let lane = lanes.lanes.entry(frame.track_key()).or_default();
        // A restarted pipeline begins with a group of pictures that its forerunner had begun to encode.
        let is_late = lane.last.is_some_and(|last| frame.dts < last);
        lane.needs_key = frame.kind == MediaKind::Video && (is_late || (lane.needs_key && !frame.key));
        if is_late || lane.needs_key {
            return;
        }
        lane.last = Some(frame.dts);
        if lanes.has_begun {
            self.publication.push(frame);
            return;
        }
        lanes.held.push(frame);
        if lanes.held.len() >= MAX_HELD {
            self.begin(&mut lanes);
        }
    }

    fn begin(&self, lanes: &mut Lanes) {
        lanes.has_begun = true;
        for frame in lanes.held.drain(..) {
            self.publication.push(frame);
        }
    }

    /// Sends `onMetaData` once all tracks are known, and again when one of them has changed.
    fn announce(&self, lanes: &mut Lanes, dts: MediaTime) {
        let tracks: Vec<_> = lanes.lanes.values().filter_map(|lane| lane.track.clone()).collect();
        let is_whole = lanes
            .expected
            .iter()
            .all(|key| tracks.iter().any(|track| track.key() == *key));
        if !is_whole || tracks == lanes.announced {
            return;
        }
        self.publication.push(Frame {
            kind: MediaKind::Data,
            track: TrackId(0),
            role: FrameRole::Coded,
            key: true,
            dts,
            pts: dts,
            tag: flv::script::on_meta_data(&tracks),
            header_len: 0,
        });
        lanes.announced = tracks;
        self.begin(lanes);
    }
}
