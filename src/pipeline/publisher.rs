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
/// Media that is held back for it: a source may turn out to have no sound.
const LONGEST_HELD: MediaTime = MediaTime::from_millis(4_000);

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

    /// What does not come has been waited for long enough.
    fn is_late(&self) -> bool {
        let times = || self.held.iter().map(|frame| frame.dts);
        let held = times().max().zip(times().min()).map(|(last, first)| last - first);
        self.held.len() >= MAX_HELD || held.is_some_and(|held| held >= LONGEST_HELD)
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

    /// Nothing more will come to a pad. One to which nothing came is waited for no longer.
    pub fn end_track(&self, pad: TrackKey) {
        let mut lanes = self.lanes();
        if lanes.lanes.get(&pad).is_none_or(|lane| lane.track.is_none()) {
            lanes.expected.retain(|expected| *expected != pad);
        }
        if !lanes.has_begun && !lanes.held.is_empty() && lanes.can_begin() {
            self.begin(&mut lanes);
        }
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
        if lanes.can_begin() || lanes.is_late() {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::clip::Clip, *};
    use crate::hub::{Hub, Limits, Origin, StreamKey};

    /// A stream of pictures that sound is expected with.
    fn filled(pictures: usize) -> (Hub, Publisher) {
        let hub = Hub::new(Limits::default());
        let origin = Origin::Pipeline {
            template: "t".to_owned(),
            ancestors: Vec::new(),
        };
        let publisher = Publisher::new(hub.claim(key(), origin).unwrap());
        publisher.prepare([MediaKind::Video, MediaKind::Audio].map(TrackKey::first).to_vec());
        let clip = Clip::canned().unwrap().only(&[MediaKind::Video]);
        publisher.begin_track(TrackKey::first(MediaKind::Video), clip.tracks[0].clone());
        let length = clip.frames.last().unwrap().dts + MediaTime::from_millis(70);
        for number in 0..pictures {
            let mut frame = clip.frames[number % clip.frames.len()].clone();
            let turn = i64::try_from(number / clip.frames.len()).unwrap();
            frame.dts += MediaTime::from_nanos(length.as_nanos() * turn);
            frame.pts = frame.dts;
            publisher.take(frame);
        }
        (hub, publisher)
    }

    fn key() -> StreamKey {
        StreamKey::parse("live/a").unwrap()
    }

    fn published(hub: &Hub) -> u64 {
        hub.stream(&key()).unwrap().live.unwrap().video_frames
    }

    #[test]
    fn pictures_wait_for_the_sound_that_is_expected_but_not_for_ever() {
        let (hub, _publisher) = filled(20);
        assert_eq!(published(&hub), 0);
        let (hub, _publisher) = filled(100);
        assert_eq!(published(&hub), 100);
    }

    #[test]
    fn sound_that_has_ended_before_it_began_is_not_waited_for() {
        let (hub, publisher) = filled(20);
        publisher.end_track(TrackKey::first(MediaKind::Audio));
        assert_eq!(published(&hub), 20);
    }
}
