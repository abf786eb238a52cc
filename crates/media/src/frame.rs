//! Frames: the unit the hub carries.

use bytes::Bytes;

use crate::{Codec, MediaKind, MediaTime, TrackId, TrackKey, flv};

/// One coded picture, audio frame or data message with its times, in the form it travels in over RTMP and FLV.
///
/// The FLV tag body is kept whole so that relaying needs no copy: RTMP players and FLV viewers get `tag`, GStreamer
/// gets [`data`](Self::data), and both are slices of the one allocation the message was received into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub kind: MediaKind,
    /// Which track of that kind.
    pub track: TrackId,
    /// Whether it configures a decoder, is coded media, or ends the track.
    pub role: FrameRole,
    /// A decoder can start here. True for every audio frame and data message.
    pub key: bool,
    /// Decoding time.
    pub dts: MediaTime,
    /// Presentation time; equal to `dts` unless pictures are reordered.
    pub pts: MediaTime,
    /// The FLV tag body, unpacked: codec header and payload of one track, without the 11-byte tag header.
    pub tag: Bytes,
    /// Length of the codec header at the start of `tag`. Never more than `tag.len()`.
    pub header_len: usize,
}

impl Frame {
    /// The coded data or configuration record, without the FLV codec header.
    pub fn data(&self) -> Bytes {
        self.tag.slice(self.header_len.min(self.tag.len())..)
    }

    /// Which track it is of.
    pub fn track_key(&self) -> TrackKey {
        TrackKey {
            kind: self.kind,
            id: self.track,
        }
    }

    /// Its coding, as its header says; none of data messages.
    pub fn codec(&self) -> Option<Codec> {
        match self.kind {
            MediaKind::Audio => flv::audio_codec(&self.tag),
            MediaKind::Video => flv::video_codec(&self.tag),
            MediaKind::Data => None,
        }
    }

    /// It travels with an Enhanced RTMP header, which older players cannot read.
    pub fn is_enhanced(&self) -> bool {
        flv::is_enhanced(self.kind, &self.tag)
    }
}

/// What a [`Frame`] is to a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FrameRole {
    /// A decoder configuration (FLV "sequence header").
    Config,
    /// Coded media, or a data message.
    Coded,
    /// The track has ended (FLV "end of sequence").
    End,
    /// What a decoder does not need and a screen or loudspeaker does: colours of the pictures, places of the channels
    /// (Enhanced RTMP `Metadata`, `MultichannelConfig`).
    Properties,
}
