//! When is it known which tracks a stream has?
//!
//! RTMP never says. A pipeline must be built for the tracks that are there: one that waits for sound that never comes
//! shows no picture, and one built before the sound arrives has none. This is the policy: evidence first, the sender's
//! metadata where it is conclusive, patience last.

use crate::{FrameRole, MediaKind, MediaTime, flv::script::Meta};

/// Watches a stream's frames and says when its tracks are known.
#[derive(Clone, Debug, Default)]
pub struct TrackDetector {
    audio: Evidence,
    video: Evidence,
    /// The sender's metadata: sound, pictures.
    declared: Option<(bool, bool)>,
    first: Option<MediaTime>,
    settled: bool,
}

/// What has been seen of a kind of media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Evidence {
    #[default]
    None,
    /// Coded frames that cannot be decoded yet.
    Frames,
    Configured,
}

/// What a frame did to the knowledge about tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// Not known yet.
    Pending,
    /// Known from this frame on. Said once.
    Settled,
    /// Nothing new after that.
    Unchanged,
    /// A track appeared that was not there when the tracks were settled. Said once for each.
    Changed,
}

impl TrackDetector {
    /// How long a second track is waited for, in media time from the first coded frame.
    pub const PATIENCE: MediaTime = MediaTime::from_millis(1_500);

    /// For a stream that starts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the sender's metadata as a hint for the frames that follow.
    pub fn metadata(&mut self, meta: &Meta) {
        self.declared = Some((meta.audio, meta.video));
    }

    /// Takes the next frame. For a codec without configuration record (MP3) say `Config` when its first frame is
    /// understood.
    pub fn frame(&mut self, kind: MediaKind, role: FrameRole, dts: MediaTime) -> Detection {
        let evidence = match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
            MediaKind::Data => return self.verdict(false),
        };
        let before = *evidence;
        *evidence = match (role, before) {
            (FrameRole::Config, _) => Evidence::Configured,
            (FrameRole::Coded, Evidence::None) => Evidence::Frames,
            _ => before,
        };
        let appeared = before != Evidence::Configured && *evidence == Evidence::Configured;
        if self.settled {
            return self.verdict(appeared);
        }
        if role != FrameRole::Coded {
            // Configurations come together, those of further tracks too: media is what ends them.
            return Detection::Pending;
        }
        let waited = dts - *self.first.get_or_insert(dts) >= Self::PATIENCE;
        self.settled = match (self.audio, self.video, self.declared) {
            (Evidence::Configured, Evidence::Configured, _) => true,
            (Evidence::Configured, Evidence::None, Some((true, false))) => true,
            (Evidence::None, Evidence::Configured, Some((false, true))) => true,
            (Evidence::Configured, _, _) | (_, Evidence::Configured, _) => waited,
            _ => false,
        };
        if self.settled {
            Detection::Settled
        } else {
            Detection::Pending
        }
    }

    /// Whether a decodable track of this kind is known.
    pub fn has(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.audio == Evidence::Configured,
            MediaKind::Video => self.video == Evidence::Configured,
            MediaKind::Data => false,
        }
    }

    fn verdict(&self, appeared: bool) -> Detection {
        match (self.settled, appeared) {
            (false, _) => Detection::Pending,
            (true, false) => Detection::Unchanged,
            (true, true) => Detection::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use FrameRole::{Coded, Config};
    use MediaKind::{Audio, Data, Video};

    use super::*;

    const BOTH: Meta = Meta {
        audio: true,
        video: true,
        width: None,
        height: None,
        frame_rate: None,
    };
    const VIDEO_ONLY: Meta = Meta { audio: false, ..BOTH };
    const AUDIO_ONLY: Meta = Meta { video: false, ..BOTH };

    /// Feeds frames as (kind, role, milliseconds) and answers what each did.
    fn feed(detector: &mut TrackDetector, frames: &[(MediaKind, FrameRole, i64)]) -> Vec<Detection> {
        frames
            .iter()
            .map(|(kind, role, at)| detector.frame(*kind, *role, MediaTime::from_millis(*at)))
            .collect()
    }

    #[test]
    fn both_configurations_settle_with_the_first_frame() {
        let mut detector = TrackDetector::new();
        let seen = feed(
            &mut detector,
            &[(Video, Config, 0), (Audio, Config, 0), (Video, Coded, 0)],
        );
        assert_eq!(seen, [Detection::Pending, Detection::Pending, Detection::Settled]);
        assert!(detector.has(Audio) && detector.has(Video));
    }

    #[test]
    fn metadata_that_names_one_kind_settles_with_its_configuration() {
        for (meta, kind) in [(VIDEO_ONLY, Video), (AUDIO_ONLY, Audio)] {
            let mut detector = TrackDetector::new();
            detector.metadata(&meta);
            let seen = feed(&mut detector, &[(kind, Config, 0), (kind, Coded, 0)]);
            assert_eq!(seen, [Detection::Pending, Detection::Settled]);
        }
    }

    #[test]
    fn metadata_that_names_both_or_none_settles_nothing() {
        for meta in [BOTH, Meta::default()] {
            let mut detector = TrackDetector::new();
            detector.metadata(&meta);
            assert_eq!(
                feed(&mut detector, &[(Video, Config, 0), (Video, Coded, 40)]),
                [Detection::Pending; 2]
            );
        }
    }

    #[test]
    fn metadata_is_not_believed_against_frames() {
        let mut detector = TrackDetector::new();
        detector.metadata(&VIDEO_ONLY);
        let seen = feed(
            &mut detector,
            &[
                (Audio, Coded, 0),
                (Video, Config, 0),
                (Audio, Config, 40),
                (Audio, Coded, 40),
            ],
        );
        assert_eq!(seen[..3], [Detection::Pending; 3]);
        assert_eq!(seen[3], Detection::Settled);
    }

    #[test]
    fn one_track_settles_when_patience_ends() {
        let mut detector = TrackDetector::new();
        let seen = feed(
            &mut detector,
            &[
                (Video, Config, 0),
                (Video, Coded, 5_000),
                (Video, Coded, 6_499),
                (Video, Coded, 6_500),
                (Video, Coded, 6_540),
            ],
        );
        assert_eq!(seen[..3], [Detection::Pending; 3]);
        assert_eq!(seen[3..], [Detection::Settled, Detection::Unchanged]);
        assert!(!detector.has(Audio));
    }

    #[test]
    fn a_stream_without_any_configuration_never_settles() {
        let mut detector = TrackDetector::new();
        let seen = feed(
            &mut detector,
            &[
                (Video, Coded, 0),
                (Audio, Coded, 10),
                (Data, Coded, 20),
                (Video, Coded, 60_000),
            ],
        );
        assert_eq!(seen, [Detection::Pending; 4]);
        assert_eq!(
            feed(&mut detector, &[(Video, Config, 60_000), (Video, Coded, 60_040)])[1],
            Detection::Settled
        );
    }

    #[test]
    fn a_late_track_is_a_change_once() {
        let mut detector = TrackDetector::new();
        feed(
            &mut detector,
            &[(Video, Config, 0), (Video, Coded, 0), (Video, Coded, 1_500)],
        );
        let seen = feed(
            &mut detector,
            &[
                (Audio, Coded, 1_600),
                (Audio, Config, 1_620),
                (Audio, Config, 1_640),
                (Video, Config, 1_640),
            ],
        );
        assert_eq!(
            seen,
            [
                Detection::Unchanged,
                Detection::Changed,
                Detection::Unchanged,
                Detection::Unchanged
            ]
        );
    }

    #[test]
    fn data_and_ends_say_nothing_about_tracks() {
        let mut detector = TrackDetector::new();
        let seen = feed(
            &mut detector,
            &[(Data, Coded, 0), (Video, FrameRole::End, 0), (Video, Config, 0)],
        );
        assert_eq!(seen, [Detection::Pending; 3]);
    }
}
