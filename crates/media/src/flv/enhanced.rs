//! Enhanced RTMP headers: just enough to name the codec that was sent.
//!
//! A publisher whose encoder is set to HEVC or Opus must be told *that*, not "bad data". Enhanced bodies are recognised
//! here and refused with their FourCC; decoding them belongs in this module too. Field names follow "Enhanced RTMP" v2,
//! sections "Enhanced Video" and "Enhanced Audio".

use std::fmt;

use super::TagError;

/// A four character codec name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

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

/// `VideoPacketType.Multitrack`; audio numbers its own one lower.
const VIDEO_MULTITRACK: u8 = 6;
const AUDIO_MULTITRACK: u8 = 5;
/// `VideoPacketType.ModEx` and `AudioPacketType.ModEx` agree.
const MOD_EX: u8 = 7;
/// `AvMultitrackType.ManyTracksManyCodecs`: the FourCC follows each track's own header instead of the common one.
const MANY_CODECS: u8 = 2;
const FRAME_TYPE_COMMAND: u8 = 5;
const PACKET_TYPE_METADATA: u8 = 4;

/// What stands in an enhanced video body (`IsExHeader` set). Always an error: there is no enhanced codec carried.
pub(super) fn refuse_video(body: &[u8]) -> TagError {
    let frame_type = body.first().map_or(0, |b| b >> 4 & 7);
    match locate_fourcc(body, VIDEO_MULTITRACK) {
        Ok((packet_type, at)) if frame_type == FRAME_TYPE_COMMAND && packet_type != PACKET_TYPE_METADATA => {
            TagError::Command(body.get(at).copied().unwrap_or(0))
        }
        Ok((_, at)) => read_fourcc(body, at).map_or_else(|e| e, |fourcc| TagError::EnhancedVideo { fourcc }),
        Err(e) => e,
    }
}

/// What stands in an enhanced audio body (`SoundFormat` 9). Always an error, as above.
pub(super) fn refuse_audio(body: &[u8]) -> TagError {
    match locate_fourcc(body, AUDIO_MULTITRACK).and_then(|(_, at)| read_fourcc(body, at)) {
        Ok(fourcc) => TagError::EnhancedAudio { fourcc },
        Err(e) => e,
    }
}

/// Walks `ModEx` prefixes and the multitrack byte; answers the packet type and where the FourCC starts.
fn locate_fourcc(body: &[u8], multitrack: u8) -> Result<(u8, usize), TagError> {
    let byte = |at: usize| body.get(at).copied().ok_or_else(|| truncated(body, at + 1));
    let mut packet_type = byte(0)? & 0x0f;
    let mut at = 1;
    while packet_type == MOD_EX {
        let mut size = usize::from(byte(at)?) + 1;
        at += 1;
        if size == 256 {
            size = (usize::from(byte(at)?) << 8 | usize::from(byte(at + 1)?)) + 1;
            at += 2;
        }
        at += size;
        packet_type = byte(at)? & 0x0f;
        at += 1;
    }
    if packet_type == multitrack {
        let many_codecs = byte(at)? >> 4 == MANY_CODECS;
        packet_type = byte(at)? & 0x0f;
        at += 1;
        if many_codecs {
            // The first track's `trackId` comes after its own FourCC, so the place is the same.
            return Ok((packet_type, at));
        }
    }
    Ok((packet_type, at))
}

fn read_fourcc(body: &[u8], at: usize) -> Result<FourCc, TagError> {
    match body.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        Some(fourcc) => Ok(FourCc(*fourcc)),
        None => Err(truncated(body, at + 4)),
    }
}

fn truncated(body: &[u8], need: usize) -> TagError {
    TagError::Truncated {
        what: "Enhanced RTMP header",
        need,
        have: body.len(),
    }
}
