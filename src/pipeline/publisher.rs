//! From `out` to the hub: what a pipeline encodes becomes a stream.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

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

/// Sound that goes before the first picture.
const LEAD: MediaTime = MediaTime::from_millis(300);

#[derive(Debug, Default)]
struct Lane {
    track: Option<Track>,
    /// The track was told of and none of its frames has come yet.
    is_new: bool,
    last: Option<MediaTime>,
    /// Pictures are left out until a decoder can start.
    needs_key: bool,
}

impl Lanes {
    fn lane(&mut self, track: TrackKey) -> &mut Lane {
        self.lanes.entry(track).or_insert_with(|| Lane {
            needs_key: track.kind == MediaKind::Video,
            ..Lane::default()
        })
    }

    /// All tracks are known, and the pictures have begun.
    fn can_begin(&self) -> bool {
        let has_begun = |key: &TrackKey| {
            let lane = self.lanes.get(key);
            lane.is_some_and(|lane| lane.track.is_some() && (key.kind != MediaKind::Video || lane.last.is_some()))
        };
        self.expected.iter().all(has_begun)
    }

    fn begin_track(&mut self, key: TrackKey, track: Track) {
        let lane = self.lane(key);
        lane.is_new = lane.track.as_ref() != Some(&track);
        lane.track = Some(track);
    }
}

impl Publisher {
    /// Fills a publication.
    pub fn new(publication: Publication) -> Self {
        Self {
            publication,
            lanes: Mutex::default(),
        }
    }

    /// Prepares for a new instance with these tracks.
    pub fn prepare(&self, expected: Vec<TrackKey>) {
        let mut lanes = self.lanes();
        for (track, lane) in &mut lanes.lanes {
            lane.needs_key = track.kind == MediaKind::Video;
        }
        lanes.expected = expected;
    }

    /// The frames that follow at a pad are of this track.
    pub fn begin_track(&self, pad: TrackKey, track: Track) {
        self.lanes().begin_track(pad, track);
    }

    /// The newest decoding time that was published.
    pub fn frontier(&self) -> Option<MediaTime> {
        let lanes = self.lanes();
        lanes.lanes.values().filter_map(|lane| lane.last).max()
    }

    /// The lock is held for the handing on of one frame; a poisoned one is still whole.
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a frame, once it is known what it is part of. True if nothing can be shown before a key frame comes.
    pub fn take(&self, frame: Frame) -> bool {
        let mut lanes = self.lanes();
        let lane = lanes.lane(frame.track_key());
        let is_new = std::mem::take(&mut lane.is_new);
        let (role, dts) = (frame.role, frame.dts);
        if is_new && role == FrameRole::Config {
            self.publication.push(frame.clone());
        }
        if is_new {
            self.announce(&mut lanes, dts);
        }
        if role == FrameRole::Config {
            return false;
        }
        let lane = lanes.lane(frame.track_key());
        // A restarted pipeline begins with a group of pictures that its forerunner had begun to encode.
        let is_late = lane.last.is_some_and(|last| frame.dts < last);
        lane.needs_key = frame.kind == MediaKind::Video && (is_late || (lane.needs_key && !frame.key));
        if is_late || lane.needs_key {
            return !is_late;
        }
        lane.last = Some(frame.dts);
        if lanes.has_begun {
            self.publication.push(frame);
            return false;
        }
        lanes.held.push(frame);
        if lanes.held.len() >= MAX_HELD || lanes.can_begin() {
            self.begin(&mut lanes);
        }
        false
    }

    /// What was held is published, without the sound from before the first picture.
    fn begin(&self, lanes: &mut Lanes) {
        lanes.has_begun = true;
        let pictures = lanes.held.iter().filter(|frame| frame.kind == MediaKind::Video);
        let first = pictures.map(|frame| frame.dts).min();
        for frame in lanes.held.drain(..) {
            if first.is_none_or(|first| frame.dts + LEAD >= first) {
                self.publication.push(frame);
            }
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
    }
}
