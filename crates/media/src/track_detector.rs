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
        let waited = role == FrameRole::Coded && dts - *self.first.get_or_insert(dts) >= Self::PATIENCE;
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
