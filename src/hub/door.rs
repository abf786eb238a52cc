//! The hub's door: where a publisher's messages become frames on the stream's timeline.
//!
//! Everything behind the door sees whole frames with 64-bit times that never run backwards; RTMP's 32-bit milliseconds,
//! their wraps and jumps, end here.

use bytes::Bytes;
use streammill_media::{
    Frame, FrameRole, MediaKind, MediaTime, Timeline, TrackId,
    flv::{self, TagError},
};
use tracing::debug;

use super::Publication;

/// A publication that takes FLV tag bodies with RTMP times.
#[derive(Debug)]
pub struct Door {
    publication: Publication,
    timeline: Timeline,
    /// Zero of this publisher's timeline on the stream's.
    begin: MediaTime,
}

impl Door {
    /// A door to a fresh publication.
    pub fn new(publication: Publication) -> Self {
        Self {
            begin: publication.begin(),
            publication,
            timeline: Timeline::new(),
        }
    }

    /// Takes an audio message (RTMP message type 8, FLV tag type 8).
    pub fn audio(&mut self, rtmp_millis: u32, body: Bytes) -> Result<(), DoorError> {
        let tag = match flv::parse_audio(&body) {
            Ok(tag) => tag,
            Err(error) => return tolerate(MediaKind::Audio, error),
        };
        let placed = self.timeline.place(MediaKind::Audio, TrackId(0), tag.role, rtmp_millis);
        self.publication.push(Frame {
            kind: MediaKind::Audio,
            track: TrackId(0),
            role: tag.role,
            key: true,
            dts: self.begin + placed.dts,
            pts: self.begin + placed.dts,
            header_len: tag.header_len,
            tag: body,
        });
        Ok(())
    }

    /// Takes a video message (RTMP message type 9, FLV tag type 9).
    pub fn video(&mut self, rtmp_millis: u32, body: Bytes) -> Result<(), DoorError> {
        let tag = match flv::parse_video(&body) {
            Ok(tag) => tag,
            Err(error) => return tolerate(MediaKind::Video, error),
        };
        let placed = self.timeline.place(MediaKind::Video, TrackId(0), tag.role, rtmp_millis);
        self.publication.push(Frame {
            kind: MediaKind::Video,
            track: TrackId(0),
            role: tag.role,
            key: tag.key,
            dts: self.begin + placed.dts,
            pts: self.begin + placed.pts(tag.composition_offset),
            header_len: tag.header_len,
            tag: body,
        });
        Ok(())
    }

    /// Takes a data message in AMF0 (`onMetaData` and its like).
    pub fn data(&mut self, rtmp_millis: u32, body: Bytes) -> Result<(), DoorError> {
        let placed = self
            .timeline
            .place(MediaKind::Data, TrackId(0), FrameRole::Coded, rtmp_millis);
        self.publication.push(Frame {
            kind: MediaKind::Data,
            track: TrackId(0),
            role: FrameRole::Coded,
            key: true,
            dts: self.begin + placed.dts,
            pts: self.begin + placed.dts,
            header_len: 0,
            tag: body,
        });
        Ok(())
    }

    /// The publication behind the door.
    pub fn publication(&self) -> &Publication {
        &self.publication
    }
}

/// Encoders send empty messages as keep-alives; those are passed over. What has content must be understood.
fn tolerate(kind: MediaKind, error: TagError) -> Result<(), DoorError> {
    if error.is_ignorable() {
        debug!(?kind, %error, "message passed over");
        return Ok(());
    }
    Err(DoorError { kind, source: error })
}

/// A message that is not media this server can carry. The text is shown to the client.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?} message: {source}")]
pub struct DoorError {
    kind: MediaKind,
    source: TagError,
}
