//! From `out` to the hub: what a pipeline encodes becomes a stream.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gststreammill::{Delivery, Framer, Outlet};
use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, Track, TrackId, flv};

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
    video: Lane,
    audio: Lane,
    /// The kinds that will come. Their metadata is announced when all are known.
    expected: Vec<MediaKind>,
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
    pub fn outlet(self: &Arc<Self>, expected: Vec<MediaKind>, origin: Arc<OnceLock<MediaTime>>) -> Outlet {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.expected = expected;
        lanes.video.needs_key = true;
        drop(lanes);
        // An instance that does not stop must not keep the publication.
        let publisher = Arc::downgrade(self);
        let framers = [MediaKind::Video, MediaKind::Audio].map(|kind| (kind, Mutex::new(Framer::new(kind))));
        Arc::new(move |kind, delivery| {
            let publisher = publisher.upgrade().ok_or("the publication has ended")?;
            let framer = framers.iter().find(|(known, _)| *known == kind);
            let (Delivery::Sample(sample), Some((_, framer))) = (delivery, framer) else {
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
        lanes.video.last.max(lanes.audio.last)
    }

    fn take(&self, frame: Frame, track: Option<&Track>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.of(frame.kind);
        if frame.role == FrameRole::Config {
            if lane.track.as_ref() == track {
                return;
            }
            lane.track = track.cloned();
            let dts = frame.dts;
            self.publication.push(frame);
            self.announce(&mut lanes, dts);
            return;
        }
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
        let tracks: Vec<_> = [&lanes.audio, &lanes.video]
            .into_iter()
            .filter_map(|lane| lane.track.clone())
            .collect();
        let is_whole = lanes
            .expected
            .iter()
            .all(|kind| tracks.iter().any(|track| track.kind() == *kind));
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

impl Lanes {
    fn of(&mut self, kind: MediaKind) -> &mut Lane {
        match kind {
            MediaKind::Video => &mut self.video,
            MediaKind::Audio | MediaKind::Data => &mut self.audio,
        }
    }
}
