//! The hub's door: where a publisher's messages become frames on the stream's timeline.
//!
//! Everything behind the door sees frames of one track each, in one form, with 64-bit times that never run backwards.
//! RTMP's 32-bit milliseconds, their wraps and jumps, and the ways to pack several tracks into a message end here.

use bytes::Bytes;
use streammill_media::{
    Frame, FrameRole, MediaKind, MediaTime, Timeline, TrackId,
    flv::{self, TagError},
};
use tracing::debug;

use super::Publication;

/// Most tracks of one publication. Each costs memory for its configuration and a look at every frame.
const MAX_TRACKS: usize = 32;

/// A publication that takes FLV tag bodies with RTMP times.
#[derive(Debug)]
pub struct Door {
    publication: Publication,
    timeline: Timeline,
    lanes: Vec<Lane>,
    /// Zero of this publisher's timeline on the stream's.
    begin: MediaTime,
}

/// A track as far as it has come.
#[derive(Debug)]
struct Lane {
    kind: MediaKind,
    track: TrackId,
    last: MediaTime,
}

/// What the header of a body says, of either kind.
struct Header {
    track: TrackId,
    role: FrameRole,
    key: bool,
    composition_offset: MediaTime,
    len: usize,
}

impl Door {
    /// A door to a fresh publication.
    pub fn new(publication: Publication) -> Self {
        Self {
            begin: publication.begin(),
            publication,
            timeline: Timeline::new(),
            lanes: Vec::new(),
        }
    }

    /// Takes an audio message (RTMP message type 8, FLV tag type 8).
    pub fn audio(&mut self, rtmp_millis: u32, body: Bytes) -> Result<(), DoorError> {
        self.media(MediaKind::Audio, rtmp_millis, body)
    }

    /// Takes a video message (RTMP message type 9, FLV tag type 9).
    pub fn video(&mut self, rtmp_millis: u32, body: Bytes) -> Result<(), DoorError> {
        self.media(MediaKind::Video, rtmp_millis, body)
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

    fn media(&mut self, kind: MediaKind, rtmp_millis: u32, body: Bytes) -> Result<(), DoorError> {
        let unpacked = match flv::unpack(kind, body) {
            Ok(unpacked) => unpacked,
            Err(error) => return tolerate(kind, error),
        };
        let nanos = MediaTime::from_nanos(unpacked.nanos.into());
        for body in std::iter::once(unpacked.first).chain(unpacked.rest) {
            match Header::read(kind, &body) {
                Ok(header) => self.push(kind, rtmp_millis, nanos, header, body)?,
                Err(error) => tolerate(kind, error)?,
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        kind: MediaKind,
        rtmp_millis: u32,
        nanos: MediaTime,
        header: Header,
        body: Bytes,
    ) -> Result<(), DoorError> {
        let Header { track, role, .. } = header;
        let at = match self
            .lanes
            .iter()
            .position(|lane| (lane.kind, lane.track) == (kind, track))
        {
            Some(at) => at,
            None if self.lanes.len() < MAX_TRACKS => {
                let last = self.begin;
                self.lanes.push(Lane { kind, track, last });
                self.lanes.len() - 1
            }
            None => return Err(DoorError::TooManyTracks),
        };
        let placed = self.timeline.place(kind, track, role, rtmp_millis);
        let lane = &mut self.lanes[at];
        // Two stamps of one millisecond could run backwards by their nanoseconds.
        let dts = (self.begin + placed.dts + nanos).max(lane.last);
        lane.last = dts;
        let pts = match kind {
            MediaKind::Video => self.begin + placed.pts(header.composition_offset) + nanos,
            MediaKind::Audio | MediaKind::Data => dts,
        };
        self.publication.push(Frame {
            kind,
            track,
            role,
            key: header.key,
            dts,
            pts,
            header_len: header.len,
            tag: body,
        });
        Ok(())
    }
}

impl Header {
    fn read(kind: MediaKind, body: &Bytes) -> Result<Self, TagError> {
        match kind {
            MediaKind::Video => flv::parse_video(body).map(|tag| Self {
                track: tag.track,
                role: tag.role,
                key: tag.key,
                composition_offset: tag.composition_offset,
                len: tag.header_len,
            }),
            MediaKind::Audio | MediaKind::Data => flv::parse_audio(body).map(|tag| Self {
                track: tag.track,
                role: tag.role,
                key: true,
                composition_offset: MediaTime::ZERO,
                len: tag.header_len,
            }),
        }
    }
}

/// Encoders send empty messages as keep-alives; those are passed over. What has content must be understood.
fn tolerate(kind: MediaKind, error: TagError) -> Result<(), DoorError> {
    if error.is_ignorable() {
        debug!(?kind, %error, "message passed over");
        return Ok(());
    }
    Err(DoorError::NotUnderstood { kind, source: error })
}

/// A message that is not media this server can carry. The text is shown to the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// The message itself.
    #[error("{kind:?} message: {source}")]
    NotUnderstood {
        /// What it claims to carry.
        kind: MediaKind,
        /// What is wrong with it.
        source: TagError,
    },
    /// One track more than a stream may have.
    #[error("a stream can have {MAX_TRACKS} tracks, audio and video together")]
    TooManyTracks,
}
