//! What is known of a publication's tracks: kept up to date frame by frame.

use bytes::Bytes;
use streammill_media::{
    Codec, ConfigError, Detection, Frame, FrameRole, MediaKind, Track, TrackDetector, TrackId, flv,
};
use tracing::warn;

/// What is known of a publication's tracks.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    /// The tracks whose decoder configuration has come, audio before video, each kind by number.
    pub tracks: Vec<Track>,
    /// All tracks that are to be expected have come. A later one comes as a change.
    pub settled: bool,
}

impl Tracks {
    /// The first track of a kind.
    pub fn of(&self, kind: MediaKind) -> Option<&Track> {
        self.tracks.iter().find(|track| track.kind() == kind)
    }

    fn get(&self, kind: MediaKind, id: TrackId) -> Option<&Track> {
        self.tracks.iter().find(|track| (track.kind(), track.id) == (kind, id))
    }
}

/// Collects [`Tracks`] from the frames of one publication.
#[derive(Debug, Default)]
pub(super) struct TrackBook {
    detector: TrackDetector,
    known: Tracks,
    /// Records that leave something to the first key frame.
    unfinished: Vec<(TrackId, Codec, Bytes)>,
}

impl TrackBook {
    /// Takes note of a frame. Answers when something changed.
    pub(super) fn observe(&mut self, frame: &Frame) -> Option<Tracks> {
        if frame.kind == MediaKind::Data {
            if flv::script::is_meta(&frame.tag) {
                self.detector.metadata(&flv::script::parse_meta(&frame.tag));
            }
            return None;
        }
        let changed = match frame.role {
            FrameRole::Config => self.read_configuration(frame),
            FrameRole::Coded if frame.key => self.read_frame(frame),
            FrameRole::Coded | FrameRole::End | FrameRole::Properties => false,
        };
        let role = match (frame.role, changed) {
            // A frame that describes itself, or a record that needs one more.
            (FrameRole::Coded, true) => FrameRole::Config,
            (FrameRole::Config, _) if self.is_unfinished(frame) => FrameRole::End,
            (role, _) => role,
        };
        let detection = self.detector.frame(frame.kind, role, frame.dts);
        if detection == Detection::Settled {
            self.known.settled = true;
        }
        (changed || detection == Detection::Settled).then(|| self.known.clone())
    }

    /// A configuration that cannot be read counts as none: it is relayed as it is, and players may know better.
    fn read_configuration(&mut self, frame: &Frame) -> bool {
        let Some(codec) = frame.codec() else { return false };
        self.finish(frame.track, codec);
        match Track::from_config(frame.track, codec, frame.data()) {
            Ok(track) => self.enter(track),
            Err(ConfigError::NoSize) => {
                self.unfinished.push((frame.track, codec, frame.data()));
                false
            }
            Err(error) => {
                warn!(kind = ?frame.kind, %error, "decoder configuration not understood; relayed as it is");
                false
            }
        }
    }

    /// Codings that have no record, or one that leaves the size of the pictures to key frames.
    fn read_frame(&mut self, frame: &Frame) -> bool {
        let is_known = self.known.get(frame.kind, frame.track).is_some();
        if is_known && frame.kind == MediaKind::Audio {
            return false;
        }
        let Some(codec) = frame.codec() else { return false };
        let config = match codec {
            Codec::Mp3 | Codec::Ac3 | Codec::Eac3 | Codec::Opus => Bytes::new(),
            Codec::Vp8 | Codec::Vp9 | Codec::Av1 => {
                let record = self
                    .unfinished
                    .iter()
                    .find(|(id, of, _)| (*id, *of) == (frame.track, codec));
                match record {
                    Some((_, _, record)) => record.clone(),
                    None => return false,
                }
            }
            Codec::H264 | Codec::Hevc | Codec::Aac | Codec::Flac => return false,
            // A codec that is new has to say here how it describes itself.
            _ => return false,
        };
        let track = Track::from_frame(frame.track, codec, config, &frame.data());
        track.is_ok_and(|track| self.enter(track))
    }

    fn is_unfinished(&self, frame: &Frame) -> bool {
        frame.kind == MediaKind::Video
            && self.unfinished.iter().any(|(id, ..)| *id == frame.track)
            && self.known.get(frame.kind, frame.track).is_none()
    }

    fn finish(&mut self, id: TrackId, codec: Codec) {
        self.unfinished
            .retain(|(known, of, _)| *known != id || of.kind() != codec.kind());
    }

    fn enter(&mut self, track: Track) -> bool {
        let tracks = &mut self.known.tracks;
        if tracks.contains(&track) {
            return false;
        }
        tracks.retain(|known| (known.kind(), known.id) != (track.kind(), track.id));
        tracks.push(track);
        tracks.sort_by_key(|track| (track.kind(), track.id));
        true
    }
}
