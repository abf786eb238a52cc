//! From messages as they are sent to the plain bodies that the rest of the server deals with.
//!
//! Enhanced RTMP lets a message hold several tracks, and modifiers before them; encoders of an earlier convention send HEVC
//! under the codec id 12; and H.264 can come in two forms that mean the same. Here all that ends. What comes out holds one
//! track's media, and says so in one way only:
//!
//! * The first track of H.264, AAC and MP3 has the header of FLV, which every player reads.
//! * The first track of another coding has an Enhanced RTMP header with its FourCC.
//! * Other tracks have a header of `AvMultitrackType.OneTrack` with their number.
//! * The modifier that shifts times by nanoseconds is taken off and told apart; unknown ones are dropped.
//!
//! A body that is plain already, which nearly all are, is passed on without a copy.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    TagError, audio,
    enhanced::{FourCc, Header, ONE_TRACK, is_enhanced, multitrack, packet},
    video,
};
use crate::{Codec, MediaKind, TrackId, codec::mp3};

/// What a message held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// `TimestampOffsetNano`: nanoseconds past the message's millisecond.
    pub nanos: u32,
    /// The first body.
    pub first: Bytes,
    /// Those of further tracks.
    pub rest: Vec<Bytes>,
}

/// `AvMultitrackType`.
const MANY_TRACKS: u8 = 1;
const MANY_CODECS: u8 = 2;
/// `VideoPacketModExType` and `AudioPacketModExType`.
const TIMESTAMP_OFFSET_NANO: u8 = 0;
const MAX_NANOS: u32 = 999_999;
/// `VideoFrameType.Command`: no media follows.
const COMMAND: u8 = 0xd0;

/// Takes an audio or video message apart.
pub fn unpack(kind: MediaKind, body: Bytes) -> Result<Unpacked, TagError> {
    if !is_enhanced(kind, &body) {
        let first = match kind {
            MediaKind::Video => video::with_fourcc(body)?,
            MediaKind::Audio | MediaKind::Data => body,
        };
        return Ok(Unpacked::one(first));
    }
    let mut reader = Reader { body: &body, at: 0 };
    let first = reader.byte()?;
    let (lead, mut packet_type) = (first & 0xf0, first & 0x0f);
    let mut nanos = 0;
    while packet_type == packet::MOD_EX {
        packet_type = reader.modifier(&mut nanos)?;
    }
    if kind == MediaKind::Video && lead == COMMAND && packet_type != packet::METADATA {
        return Err(TagError::Command(reader.byte().unwrap_or(0)));
    }
    let mut tracks = ONE_TRACK;
    let is_multitrack = packet_type == multitrack(kind);
    if is_multitrack {
        let second = reader.byte()?;
        (tracks, packet_type) = (second >> 4, second & 0x0f);
        // Modifiers come before; what they would modify here is not a message.
        if packet_type == multitrack(kind) || packet_type == packet::MOD_EX || tracks > MANY_CODECS {
            return Err(TagError::Reserved(second));
        }
    }
    let mut fourcc = match tracks {
        MANY_CODECS => None,
        _ => Some(reader.fourcc()?),
    };
    if !is_multitrack && reader.at == 5 && !has_plainer_form(fourcc, packet_type) {
        return Ok(Unpacked::one(body));
    }
    let mut bodies = Vec::new();
    let mut refusal = None;
    loop {
        if tracks == MANY_CODECS {
            fourcc = Some(reader.fourcc()?);
        }
        let track = TrackId(if is_multitrack { reader.byte()? } else { 0 });
        let data = match tracks {
            MANY_TRACKS | MANY_CODECS => {
                let size = reader.u24()?;
                reader.take(size)?
            }
            _ => reader.take(body.len() - reader.at)?,
        };
        let header = Header {
            lead,
            packet_type,
            // Set above, or by this very round.
            fourcc: fourcc.unwrap_or(FourCc([0; 4])),
            track,
        };
        match plain(kind, header, &data) {
            Ok(body) => bodies.push(body),
            Err(error) => refusal = Some(error),
        }
        if reader.at >= body.len() {
            break;
        }
    }
    let mut bodies = bodies.into_iter();
    match (bodies.next(), refusal) {
        (Some(first), _) => Ok(Unpacked {
            nanos,
            first,
            rest: bodies.collect(),
        }),
        (None, refusal) => Err(refusal.unwrap_or(TagError::Empty)),
    }
}

impl Unpacked {
    fn one(first: Bytes) -> Self {
        Self {
            nanos: 0,
            first,
            rest: Vec::new(),
        }
    }
}

/// Whether the first track of this coding travels with a header of FLV.
fn has_plainer_form(fourcc: Option<FourCc>, packet_type: u8) -> bool {
    match fourcc.map(|name| name.0).as_ref() {
        Some(b"avc1") => packet_type <= packet::CODED_FRAMES_X,
        Some(b"mp4a") => packet_type <= packet::CODED_FRAMES,
        Some(b".mp3") => packet_type == packet::CODED_FRAMES,
        _ => false,
    }
}

fn plain(kind: MediaKind, header: Header, data: &[u8]) -> Result<Bytes, TagError> {
    let codec = header.codec(kind)?;
    let mut out = BytesMut::with_capacity(8 + data.len());
    let packet_type = header.packet_type;
    let is_first = header.track == TrackId(0) && has_plainer_form(Some(header.fourcc), packet_type);
    match codec {
        Codec::H264 if is_first => {
            let frame_type = header.lead & 0x70;
            let (lead, avc_packet) = match packet_type {
                packet::SEQUENCE_START => (0x10, 0),
                packet::SEQUENCE_END => (0x10, 2),
                _ => (frame_type, 1),
            };
            out.put_u8(lead | video::CODEC_AVC);
            out.put_u8(avc_packet);
            if packet_type != packet::CODED_FRAMES {
                out.put_slice(&[0; 3]);
            }
        }
        Codec::Aac if is_first => {
            out.put_u8(audio::AAC_FIRST_BYTE);
            out.put_u8(packet_type);
        }
        Codec::Mp3 if is_first => match mp3::parse_header(data) {
            Ok(format) => out.put_u8(audio::mp3_first_byte(format)),
            Err(_) => out.put_u8(audio::MP3_FIRST_BYTE),
        },
        _ => header.write(kind, &mut out),
    }
    out.put_slice(data);
    Ok(out.freeze())
}

struct Reader<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<Bytes, TagError> {
        let end = self.at.saturating_add(count);
        if end > self.body.len() {
            return Err(TagError::Truncated {
                what: "Enhanced RTMP header",
                need: end,
                have: self.body.len(),
            });
        }
        let taken = self.body.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, TagError> {
        Ok(self.take(1)?[0])
    }

    fn u24(&mut self) -> Result<usize, TagError> {
        let taken = self.take(3)?;
        Ok(usize::from(taken[0]) << 16 | usize::from(taken[1]) << 8 | usize::from(taken[2]))
    }

    fn fourcc(&mut self) -> Result<FourCc, TagError> {
        let taken = self.take(4)?;
        Ok(FourCc([taken[0], taken[1], taken[2], taken[3]]))
    }

    /// Reads a modifier, and answers the packet type behind it.
    fn modifier(&mut self, nanos: &mut u32) -> Result<u8, TagError> {
        let mut size = usize::from(self.byte()?) + 1;
        if size == 256 {
            let long = self.take(2)?;
            size = (usize::from(long[0]) << 8 | usize::from(long[1])) + 1;
        }
        let data = self.take(size)?;
        let next = self.byte()?;
        if next >> 4 == TIMESTAMP_OFFSET_NANO
            && let Some(&[high, middle, low]) = data.first_chunk::<3>()
        {
            *nanos = u32::from_be_bytes([0, high, middle, low]).min(MAX_NANOS);
        }
        Ok(next & 0x0f)
    }
}

/// A body with the modifier that shifts its time by nanoseconds, for players that announced they read it. Only enhanced
/// bodies can have one.
pub fn with_nanos(kind: MediaKind, body: &[u8], nanos: u32) -> Option<Bytes> {
    if nanos == 0 || nanos > MAX_NANOS || !is_enhanced(kind, body) {
        return None;
    }
    let (&first, rest) = body.split_first()?;
    let mut out = BytesMut::with_capacity(body.len() + 5);
    out.put_u8(first & 0xf0 | packet::MOD_EX);
    out.put_u8(2);
    out.put_uint(nanos.into(), 3);
    out.put_u8(TIMESTAMP_OFFSET_NANO << 4 | first & 0x0f);
    out.put_slice(rest);
    Some(out.freeze())
}

#[cfg(test)]
mod tests;
