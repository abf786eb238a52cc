//! Enhanced RTMP headers in the two plain forms that everything behind [`unpack`](super::unpack()) deals with: one track's
//! message, with or without the track's number.
//!
//! Names follow "Enhanced RTMP" v2, sections "Enhanced Audio" and "Enhanced Video".

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::TagError;
use crate::{Codec, MediaKind, TrackId};

/// A four character codec name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// The name of a coding.
    pub fn of(codec: Codec) -> Self {
        Self(*match codec {
            Codec::H264 => b"avc1",
            Codec::Hevc => b"hvc1",
            Codec::Av1 => b"av01",
            Codec::Vp8 => b"vp08",
            Codec::Vp9 => b"vp09",
            Codec::Aac => b"mp4a",
            Codec::Mp3 => b".mp3",
            Codec::Opus => b"Opus",
            Codec::Flac => b"fLaC",
            Codec::Ac3 => b"ac-3",
            Codec::Eac3 => b"ec-3",
        })
    }

    /// The coding it names, if that is one that is carried, and of this kind.
    pub fn codec(self, kind: MediaKind) -> Option<Codec> {
        let named = |codec: &Codec| codec.kind() == kind && Self::of(*codec) == self;
        Codec::ALL.into_iter().find(named)
    }

    /// As metadata has it: `av01` is 0x61763031.
    pub fn number(self) -> u32 {
        u32::from_be_bytes(self.0)
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FourCc({self})")
    }
}

/// `VideoPacketType` and, where they agree, `AudioPacketType`.
pub(super) mod packet {
    pub(crate) const SEQUENCE_START: u8 = 0;
    pub(crate) const CODED_FRAMES: u8 = 1;
    pub(crate) const SEQUENCE_END: u8 = 2;
    /// Pictures whose composition offset is zero and left out.
    pub(crate) const CODED_FRAMES_X: u8 = 3;
    /// Colours of the pictures; `MultichannelConfig` of sound.
    pub(crate) const METADATA: u8 = 4;
    pub(crate) const AUDIO_MULTITRACK: u8 = 5;
    pub(crate) const VIDEO_MULTITRACK: u8 = 6;
    pub(crate) const MOD_EX: u8 = 7;
}

/// `AvMultitrackType.OneTrack`.
pub(super) const ONE_TRACK: u8 = 0;

/// A plain header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The upper half of the first byte: `IsExHeader` and frame type, or `SoundFormat` 9.
    pub(super) lead: u8,
    pub(super) packet_type: u8,
    pub(super) fourcc: FourCc,
    pub(super) track: TrackId,
}

/// Bytes of a header without a track's number, and of one with it.
const PLAIN_LEN: usize = 5;
const TRACK_LEN: usize = 7;

impl Header {
    /// Reads a plain header. Answers its length, too.
    pub(super) fn read(kind: MediaKind, body: &[u8]) -> Result<(Self, usize), TagError> {
        let multitrack = multitrack(kind);
        let truncated = |need| TagError::Truncated {
            what: "Enhanced RTMP header",
            need,
            have: body.len(),
        };
        let &first = body.first().ok_or(TagError::Empty)?;
        let (lead, packet_type) = (first & 0xf0, first & 0x0f);
        let fourcc = |at: usize| {
            let name = body.get(at..).and_then(|rest| rest.first_chunk::<4>());
            name.map(|name| FourCc(*name))
        };
        if packet_type == packet::MOD_EX {
            return Err(TagError::Packed);
        }
        if packet_type != multitrack {
            let header = Self {
                lead,
                packet_type,
                fourcc: fourcc(1).ok_or_else(|| truncated(PLAIN_LEN))?,
                track: TrackId(0),
            };
            return Ok((header, PLAIN_LEN));
        }
        let &[_, second, .., track] = body.first_chunk::<TRACK_LEN>().ok_or_else(|| truncated(TRACK_LEN))?;
        if second >> 4 != ONE_TRACK {
            return Err(TagError::Packed);
        }
        let header = Self {
            lead,
            packet_type: second & 0x0f,
            fourcc: fourcc(2).ok_or_else(|| truncated(TRACK_LEN))?,
            track: TrackId(track),
        };
        Ok((header, TRACK_LEN))
    }

    /// Writes it, with the track's number where that is not the first one.
    pub(super) fn write(&self, kind: MediaKind, out: &mut BytesMut) {
        if self.track == TrackId(0) {
            out.put_u8(self.lead | self.packet_type);
            out.put_slice(&self.fourcc.0);
        } else {
            out.put_u8(self.lead | multitrack(kind));
            out.put_u8(ONE_TRACK << 4 | self.packet_type);
            out.put_slice(&self.fourcc.0);
            out.put_u8(self.track.0);
        }
    }

    /// The coding, or a refusal that names it.
    pub(super) fn codec(&self, kind: MediaKind) -> Result<Codec, TagError> {
        let fourcc = self.fourcc;
        fourcc.codec(kind).ok_or(match kind {
            MediaKind::Video => TagError::EnhancedVideo { fourcc },
            MediaKind::Audio | MediaKind::Data => TagError::EnhancedAudio { fourcc },
        })
    }
}

/// Audio numbers its own one lower.
pub(super) fn multitrack(kind: MediaKind) -> u8 {
    match kind {
        MediaKind::Video => packet::VIDEO_MULTITRACK,
        MediaKind::Audio | MediaKind::Data => packet::AUDIO_MULTITRACK,
    }
}

/// Whether a body has an enhanced header: `IsExHeader` of video, the top bit of what used to be a frame type that never
/// exceeded 5; `SoundFormat` 9 of audio.
pub fn is_enhanced(kind: MediaKind, body: &[u8]) -> bool {
    match (kind, body.first()) {
        (MediaKind::Video, Some(first)) => first & 0x80 != 0,
        (MediaKind::Audio, Some(first)) => first >> 4 == 9,
        _ => false,
    }
}
