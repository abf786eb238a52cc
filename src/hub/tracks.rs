//! What is known of a publication's tracks: kept up to date frame by frame.

use streammill_media::{Codec, Detection, Frame, FrameRole, MediaKind, Track, TrackDetector, flv};
use tracing::warn;

/// What is known of a publication's tracks.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    /// The tracks whose decoder configuration has come, audio before video.
    pub tracks: Vec<Track>,
    /// All tracks that are to be expected have come. A later one comes as a change.
    pub settled: bool,
}

impl Tracks {
    /// The first track of a kind.
    pub fn of(&self, kind: MediaKind) -> Option<&Track> {
        self.tracks.iter().find(|track| track.kind() == kind)
    }
}

/// Collects [`Tracks`] from the frames of one publication.
#[derive(Debug, Default)]
pub(super) struct TrackBook {
    detector: TrackDetector,
    known: Tracks,
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
        let changed = self.read_configuration(frame);
        let is_described_by_itself = frame.role == FrameRole::Coded && changed;
        let role = if is_described_by_itself {
            FrameRole::Config
        } else {
            frame.role
        };
        let detection = self.detector.frame(frame.kind, role, frame.dts);
        if detection == Detection::Settled {
            self.known.settled = true;
        }
        (changed || detection == Detection::Settled).then(|| self.known.clone())
    }

    /// A configuration that cannot be read counts as none: it is relayed as it is, and players may know better.
    fn read_configuration(&mut self, frame: &Frame) -> bool {
        let track = match (frame.kind, frame.role) {
            (MediaKind::Video, FrameRole::Config) => Track::from_config(frame.track, Codec::H264, frame.data()),
            (MediaKind::Audio, FrameRole::Config) => Track::from_config(frame.track, Codec::Aac, frame.data()),
            (MediaKind::Audio, FrameRole::Coded) if self.known.of(MediaKind::Audio).is_none() => {
                match flv::parse_audio(&frame.tag) {
                    Ok(tag) if tag.codec == Codec::Mp3 => Track::mp3(frame.track, &frame.data()),
                    _ => return false,
                }
            }
            _ => return false,
        };
        match track {
            Ok(track) => self.enter(track),
            Err(error) => {
                warn!(kind = ?frame.kind, %error, "decoder configuration not understood; relayed as it is");
                false
            }
        }
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
