//! What a player can read, and so is sent.
//!
//! H.264, AAC and MP3 with the headers of FLV are for everyone. What Enhanced RTMP added is for players that announced it
//! when they connected; a stream of several tracks, and times finer than a millisecond, likewise. Most players that read
//! Enhanced RTMP announce nothing, and those of before it do not either, so about such players the operator decides.

use std::sync::Arc;

use streammill_media::{Codec, Frame, FrameRole, MediaKind, TrackId, flv::FourCc};
use streammill_rtmp::Capabilities;

use crate::{config::Unannounced, hub::Tracks};

/// What a player can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reads {
    /// One bit for each of [`Codec::ALL`].
    codecs: u16,
    every_track: bool,
    /// Times finer than a millisecond.
    pub(super) nanos: bool,
    /// Messages that are neither configuration nor media.
    properties: bool,
}

impl Reads {
    /// From what a player announced, and what it asks for behind the stream's name: `tracks=all`.
    pub(super) fn new(capabilities: &Capabilities, args: Option<&str>, unannounced: Unannounced) -> Self {
        let is_trusted = !capabilities.is_announced() && unannounced == Unannounced::Send;
        let takes = |codec: Codec| {
            let name = FourCc::of(codec).0;
            let is_plain = matches!(codec, Codec::H264 | Codec::Aac | Codec::Mp3);
            let is_announced = match codec.kind() {
                MediaKind::Video => capabilities.takes_video(name),
                MediaKind::Audio | MediaKind::Data => capabilities.takes_audio(name),
            };
            is_plain || is_trusted || is_announced
        };
        let bit = |(index, codec): (usize, Codec)| if takes(codec) { 1_u16 << index } else { 0 };
        let asks_for_all = args.is_some_and(|args| args.split('&').any(|arg| arg == "tracks=all"));
        Self {
            codecs: Codec::ALL
                .into_iter()
                .enumerate()
                .map(bit)
                .fold(0, |all, one| all | one),
            every_track: asks_for_all || capabilities.extensions().multitrack(),
            nanos: capabilities.extensions().nano_offset(),
            properties: is_trusted || capabilities.is_announced(),
        }
    }

    /// Whether a frame is for it.
    pub(super) fn takes(&self, frame: &Frame) -> bool {
        // Nearly all frames there are.
        if frame.kind == MediaKind::Data || !frame.is_enhanced() {
            return true;
        }
        if frame.track != TrackId(0) && !self.every_track {
            return false;
        }
        if frame.role == FrameRole::Properties && !self.properties {
            return false;
        }
        // What even we cannot name is for whoever understands it.
        frame.codec().is_none_or(|codec| self.knows(codec))
    }

    fn knows(&self, codec: Codec) -> bool {
        let at = Codec::ALL.iter().position(|known| *known == codec);
        at.is_some_and(|at| self.codecs >> at & 1 == 1)
    }

    /// Why a stream with these tracks is of no use to it, once they are known and none of them is one it can read.
    pub(super) fn objection(&self, tracks: &Arc<Tracks>) -> Option<String> {
        let mut all = tracks.tracks.iter();
        if !tracks.settled || tracks.tracks.is_empty() || all.any(|track| self.knows(track.codec)) {
            return None;
        }
        let mut names: Vec<_> = tracks.tracks.iter().map(|track| format!("{:?}", track.codec)).collect();
        names.dedup();
        Some(format!(
            "The stream has {}, which this player did not announce that it can read.",
            names.join(" and ")
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use streammill_media::{AudioFormat, MediaTime, Track, flv};

    use super::*;

    fn frame(codec: Codec, track: u8, role: FrameRole) -> Frame {
        let format = AudioFormat {
            sample_rate: 48_000,
            channels: 2,
            profile: 2,
            samples_per_frame: 1024,
        };
        let tag = match codec.kind() {
            MediaKind::Video => flv::video_body(codec, TrackId(track), role, true, MediaTime::ZERO, b"data"),
            _ => flv::audio_body(codec, TrackId(track), role, b"data", format),
        };
        Frame {
            kind: codec.kind(),
            track: TrackId(track),
            role,
            key: true,
            dts: MediaTime::ZERO,
            pts: MediaTime::ZERO,
            tag,
            header_len: 0,
        }
    }

    fn silent(unannounced: Unannounced, args: Option<&str>) -> Reads {
        Reads::new(&Capabilities::default(), args, unannounced)
    }

    #[test]
    fn what_flv_has_is_for_everyone() {
        let reads = silent(Unannounced::LeaveOut, None);
        for codec in [Codec::H264, Codec::Aac, Codec::Mp3] {
            assert!(reads.takes(&frame(codec, 0, FrameRole::Coded)), "{codec:?}");
        }
        assert!(!reads.takes(&frame(Codec::Hevc, 0, FrameRole::Coded)));
        assert!(!reads.takes(&frame(Codec::H264, 0, FrameRole::Properties)));
    }

    #[test]
    fn about_players_that_announce_nothing_the_operator_decides() {
        let reads = silent(Unannounced::Send, None);
        assert!(reads.takes(&frame(Codec::Av1, 0, FrameRole::Coded)));
        assert!(
            !reads.takes(&frame(Codec::Aac, 1, FrameRole::Coded)),
            "one track of each kind"
        );
        let all = silent(Unannounced::Send, Some("token=x&tracks=all"));
        assert!(all.takes(&frame(Codec::Aac, 1, FrameRole::Coded)), "but for who asks");
        assert!(!all.nanos);
    }

    #[test]
    fn a_stream_without_anything_to_read_is_refused_when_that_is_known() {
        let opus = Track::from_frame(TrackId(0), Codec::Opus, Bytes::new(), &[0xfc]).unwrap();
        let tracks = |settled| {
            Arc::new(Tracks {
                tracks: vec![opus.clone()],
                settled,
            })
        };
        let strict = silent(Unannounced::LeaveOut, None);
        assert_eq!(strict.objection(&tracks(false)), None);
        let said = strict.objection(&tracks(true)).unwrap();
        assert!(said.starts_with("The stream has Opus, which"), "{said}");
        assert_eq!(silent(Unannounced::Send, None).objection(&tracks(true)), None);
    }
}
