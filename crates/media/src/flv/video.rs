//! Video tag bodies (E.4.3).

use bytes::{BufMut, Bytes, BytesMut};

use super::{TagError, enhanced};
use crate::{Codec, FrameRole, MediaTime};

/// What the header of a video body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTag {
    /// The coding.
    pub codec: Codec,
    /// Configuration, picture or end.
    pub role: FrameRole,
    /// The sender says that a decoder can start here.
    pub key: bool,
    /// Presentation time less decoding time. Negative ones exist: the field is signed.
    pub composition_offset: MediaTime,
    /// Bytes before the payload.
    pub header_len: usize,
}

/// `IsExHeader` of Enhanced RTMP: the top bit of what used to be a 4-bit frame type that never exceeded 5.
const EX_HEADER: u8 = 0x80;
const CODEC_AVC: u8 = 7;
/// Frame type and codec id, `AVCPacketType`, `CompositionTime`.
const AVC_HEADER_LEN: usize = 5;

const FRAME_KEY: u8 = 1;
const FRAME_INTER: u8 = 2;
const FRAME_GENERATED_KEY: u8 = 4;
const FRAME_COMMAND: u8 = 5;

const AVC_SEQUENCE_HEADER: u8 = 0;
const AVC_NALU: u8 = 1;
const AVC_END_OF_SEQUENCE: u8 = 2;

/// Reads the header of a video body.
pub fn parse_video(body: &Bytes) -> Result<VideoTag, TagError> {
    let &first = body.first().ok_or(TagError::Empty)?;
    if first & EX_HEADER != 0 {
        return Err(enhanced::refuse_video(body));
    }
    let (frame_type, codec_id) = (first >> 4, first & 0x0f);
    match frame_type {
        FRAME_KEY..=FRAME_GENERATED_KEY => {}
        FRAME_COMMAND => return Err(TagError::Command(body.get(1).copied().unwrap_or(0))),
        other => return Err(TagError::FrameType(other)),
    }
    match codec_id {
        CODEC_AVC => parse_avc(frame_type, body),
        id => Err(TagError::VideoCodec { id }),
    }
}

fn parse_avc(frame_type: u8, body: &[u8]) -> Result<VideoTag, TagError> {
    let truncated = TagError::Truncated {
        what: "AVC header",
        need: AVC_HEADER_LEN,
        have: body.len(),
    };
    let role = match *body.get(1).ok_or(truncated)? {
        AVC_SEQUENCE_HEADER => FrameRole::Config,
        AVC_NALU => FrameRole::Coded,
        AVC_END_OF_SEQUENCE => FrameRole::End,
        value => return Err(TagError::PacketType { codec: "AVC", value }),
    };
    let offset_ms = match (role, body) {
        (FrameRole::Coded, [_, _, high, middle, low, ..]) => i32::from_be_bytes([*high, *middle, *low, 0]) >> 8,
        // The field is zero by the specification; some senders leave it out of the end of sequence, or leave rubbish.
        (FrameRole::End, _) | (FrameRole::Config, [_, _, _, _, _, ..]) => 0,
        _ => return Err(truncated),
    };
    if role != FrameRole::End && body.len() == AVC_HEADER_LEN {
        return Err(TagError::Empty);
    }
    Ok(VideoTag {
        codec: Codec::H264,
        role,
        key: role == FrameRole::Coded && matches!(frame_type, FRAME_KEY | FRAME_GENERATED_KEY),
        composition_offset: MediaTime::from_millis(offset_ms.into()),
        header_len: body.len().min(AVC_HEADER_LEN),
    })
}

/// Builds a video body around coded data or a configuration record.
///
/// The offset is rounded to a millisecond and held within the field's 24 bits; it is written for pictures only.
///
/// # Panics
/// When `codec` is not a video codec: which codec an encoder makes is known to the code that built it.
pub fn video_body(codec: Codec, role: FrameRole, key: bool, composition_offset: MediaTime, data: &[u8]) -> Bytes {
    assert!(codec == Codec::H264, "{codec:?} does not travel in a video tag");
    let (packet_type, frame_type) = match role {
        FrameRole::Config => (AVC_SEQUENCE_HEADER, FRAME_KEY),
        FrameRole::Coded => (AVC_NALU, if key { FRAME_KEY } else { FRAME_INTER }),
        FrameRole::End => (AVC_END_OF_SEQUENCE, FRAME_KEY),
    };
    let offset_ms = match role {
        FrameRole::Coded => (composition_offset + MediaTime::from_nanos(500_000))
            .as_millis()
            .clamp(-0x80_0000, 0x7f_ffff),
        FrameRole::Config | FrameRole::End => 0,
    };
    let mut body = BytesMut::with_capacity(AVC_HEADER_LEN + data.len());
    body.put_u8(frame_type << 4 | CODEC_AVC);
    body.put_u8(packet_type);
    body.put_int(offset_ms, 3);
    body.put_slice(data);
    body.freeze()
}
