//! Video tag bodies (E.4.3, and "Enhanced Video" of Enhanced RTMP).

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    TagError,
    enhanced::{FourCc, Header, is_enhanced, packet},
};
use crate::{Codec, FrameRole, MediaKind, MediaTime, TrackId};

/// What the header of a video body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTag {
    /// The coding.
    pub codec: Codec,
    /// Which of the video tracks.
    pub track: TrackId,
    /// Configuration, picture or end.
    pub role: FrameRole,
    /// The sender says that a decoder can start here.
    pub key: bool,
    /// Presentation time less decoding time. Negative ones exist: the field is signed.
    pub composition_offset: MediaTime,
    /// Bytes before the payload.
    pub header_len: usize,
}

pub(super) const CODEC_AVC: u8 = 7;
/// What encoders agreed upon for HEVC before Enhanced RTMP; the layout is AVC's.
const CODEC_HEVC: u8 = 12;
/// Frame type and codec id, `AVCPacketType`, `CompositionTime`.
const AVC_HEADER_LEN: usize = 5;
/// The top bit of the first byte.
const EX_HEADER: u8 = 0x80;

const FRAME_KEY: u8 = 1;
const FRAME_INTER: u8 = 2;
const FRAME_GENERATED_KEY: u8 = 4;
const FRAME_COMMAND: u8 = 5;

const AVC_SEQUENCE_HEADER: u8 = 0;
const AVC_NALU: u8 = 1;
const AVC_END_OF_SEQUENCE: u8 = 2;

/// Reads the header of an unpacked video body.
pub fn parse_video(body: &Bytes) -> Result<VideoTag, TagError> {
    let &first = body.first().ok_or(TagError::Empty)?;
    if is_enhanced(MediaKind::Video, body) {
        return parse_enhanced(body);
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

/// The coding of an unpacked video body.
pub(crate) fn video_codec(body: &[u8]) -> Option<Codec> {
    if is_enhanced(MediaKind::Video, body) {
        return Header::read(MediaKind::Video, body)
            .ok()?
            .0
            .codec(MediaKind::Video)
            .ok();
    }
    (body.first()? & 0x0f == CODEC_AVC).then_some(Codec::H264)
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
        (FrameRole::Coded, [_, _, high, middle, low, ..]) => si24([*high, *middle, *low]),
        // The field is zero by the specification; some senders leave it out of the end of sequence, or leave rubbish.
        (FrameRole::End, _) | (FrameRole::Config, [_, _, _, _, _, ..]) => 0,
        _ => return Err(truncated),
    };
    if role != FrameRole::End && body.len() == AVC_HEADER_LEN {
        return Err(TagError::Empty);
    }
    Ok(VideoTag {
        codec: Codec::H264,
        track: TrackId(0),
        role,
        key: role == FrameRole::Coded && is_key(frame_type),
        composition_offset: MediaTime::from_millis(offset_ms.into()),
        header_len: body.len().min(AVC_HEADER_LEN),
    })
}

fn parse_enhanced(body: &Bytes) -> Result<VideoTag, TagError> {
    let &first = body.first().ok_or(TagError::Empty)?;
    let frame_type = first >> 4 & 7;
    if first & 0x0f != packet::METADATA && frame_type == FRAME_COMMAND {
        return Err(TagError::Command(body.get(1).copied().unwrap_or(0)));
    }
    let (header, mut header_len) = Header::read(MediaKind::Video, body)?;
    let packet_type = header.packet_type;
    let codec = header.codec(MediaKind::Video)?;
    let role = match packet_type {
        packet::SEQUENCE_START => FrameRole::Config,
        packet::CODED_FRAMES | packet::CODED_FRAMES_X => FrameRole::Coded,
        packet::SEQUENCE_END => FrameRole::End,
        packet::METADATA => FrameRole::Properties,
        other => return Err(TagError::Reserved(other)),
    };
    let mut offset_ms = 0;
    if packet_type == packet::CODED_FRAMES && has_composition_offset(codec) {
        let field = body.get(header_len..).and_then(|rest| rest.first_chunk::<3>());
        offset_ms = si24(*field.ok_or(TagError::Truncated {
            what: "Enhanced RTMP header",
            need: header_len + 3,
            have: body.len(),
        })?);
        header_len += 3;
    }
    if role != FrameRole::End && body.len() == header_len {
        return Err(TagError::Empty);
    }
    Ok(VideoTag {
        codec,
        track: header.track,
        role,
        key: role == FrameRole::Coded && is_key(frame_type),
        composition_offset: MediaTime::from_millis(offset_ms.into()),
        header_len,
    })
}

fn is_key(frame_type: u8) -> bool {
    matches!(frame_type, FRAME_KEY | FRAME_GENERATED_KEY)
}

fn si24([high, middle, low]: [u8; 3]) -> i32 {
    i32::from_be_bytes([high, middle, low, 0]) >> 8
}

/// Codecs whose pictures are sent in another order than they are shown in, with the difference beside each.
fn has_composition_offset(codec: Codec) -> bool {
    matches!(codec, Codec::H264 | Codec::Hevc)
}

/// HEVC under its unofficial codec id gets its FourCC; any other body is left as it is.
pub(super) fn with_fourcc(body: Bytes) -> Result<Bytes, TagError> {
    let Some(&first) = body.first() else {
        return Err(TagError::Empty);
    };
    if first & 0x0f != CODEC_HEVC || first >> 4 == FRAME_COMMAND {
        return Ok(body);
    }
    let [_, packet_type, rest @ ..] = &body[..] else {
        return Err(TagError::Truncated {
            what: "HEVC header",
            need: AVC_HEADER_LEN,
            have: body.len(),
        });
    };
    // The numbers of the first three packet types agree. Only pictures keep the composition offset.
    let data = match *packet_type {
        packet::CODED_FRAMES => rest,
        packet::SEQUENCE_START | packet::SEQUENCE_END => rest.get(3..).unwrap_or_default(),
        value => return Err(TagError::PacketType { codec: "HEVC", value }),
    };
    let header = Header {
        lead: EX_HEADER | first & 0x70,
        packet_type: *packet_type,
        fourcc: FourCc::of(Codec::Hevc),
        track: TrackId(0),
    };
    let mut out = BytesMut::with_capacity(body.len() + 3);
    header.write(MediaKind::Video, &mut out);
    out.put_slice(data);
    Ok(out.freeze())
}

/// Builds an unpacked video body around coded data, a configuration record or properties: with the header of FLV for the
/// first track of H.264, else with one of Enhanced RTMP.
///
/// The offset is rounded to a millisecond and held within the field's 24 bits; it is written for pictures only.
pub fn video_body(
    codec: Codec,
    track: TrackId,
    role: FrameRole,
    key: bool,
    composition_offset: MediaTime,
    data: &[u8],
) -> Bytes {
    let offset_ms = match role {
        FrameRole::Coded => (composition_offset + MediaTime::from_nanos(500_000))
            .as_millis()
            .clamp(-0x80_0000, 0x7f_ffff),
        FrameRole::Config | FrameRole::End | FrameRole::Properties => 0,
    };
    let mut body = BytesMut::with_capacity(10 + data.len());
    if codec == Codec::H264 && track == TrackId(0) && role != FrameRole::Properties {
        let (packet_type, frame_type) = match role {
            FrameRole::Config | FrameRole::Properties => (AVC_SEQUENCE_HEADER, FRAME_KEY),
            FrameRole::Coded => (AVC_NALU, if key { FRAME_KEY } else { FRAME_INTER }),
            FrameRole::End => (AVC_END_OF_SEQUENCE, FRAME_KEY),
        };
        body.put_u8(frame_type << 4 | CODEC_AVC);
        body.put_u8(packet_type);
        body.put_int(offset_ms, 3);
    } else {
        let is_shifted = has_composition_offset(codec) && offset_ms != 0;
        let packet_type = match role {
            FrameRole::Config => packet::SEQUENCE_START,
            FrameRole::Coded if has_composition_offset(codec) && !is_shifted => packet::CODED_FRAMES_X,
            FrameRole::Coded => packet::CODED_FRAMES,
            FrameRole::End => packet::SEQUENCE_END,
            FrameRole::Properties => packet::METADATA,
        };
        let frame_type = if role != FrameRole::Coded || key {
            FRAME_KEY
        } else {
            FRAME_INTER
        };
        let header = Header {
            lead: EX_HEADER | frame_type << 4,
            packet_type,
            fourcc: FourCc::of(codec),
            track,
        };
        header.write(MediaKind::Video, &mut body);
        if is_shifted {
            body.put_int(offset_ms, 3);
        }
    }
    body.put_slice(data);
    body.freeze()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn parse(body: &[u8]) -> Result<VideoTag, TagError> {
        parse_video(&Bytes::copy_from_slice(body))
    }

    #[test]
    fn the_three_avc_packets_are_told_apart() {
        let config = parse(b"\x17\0\0\0\0\x01\x64").unwrap();
        assert_eq!(
            (config.role, config.key, config.header_len),
            (FrameRole::Config, false, 5)
        );
        let key = parse(b"\x17\x01\0\0\x50data").unwrap();
        assert_eq!(
            (key.role, key.key, key.composition_offset),
            (FrameRole::Coded, true, MediaTime::from_millis(80))
        );
        let inter = parse(b"\x27\x01\0\0\0data").unwrap();
        assert_eq!(
            (inter.role, inter.key, inter.codec),
            (FrameRole::Coded, false, Codec::H264)
        );
        let end = parse(b"\x17\x02\0\0\0").unwrap();
        assert_eq!((end.role, end.key, end.header_len), (FrameRole::End, false, 5));
    }

    #[test]
    fn the_composition_offset_is_signed() {
        let offset = |body| parse(body).unwrap().composition_offset;
        assert_eq!(offset(b"\x27\x01\xff\xff\xfeX"), MediaTime::from_millis(-2));
        assert_eq!(offset(b"\x27\x01\x80\0\0X"), MediaTime::from_millis(-0x80_0000));
        assert_eq!(offset(b"\x27\x01\x7f\xff\xffX"), MediaTime::from_millis(0x7f_ffff));
    }

    #[test]
    fn disposable_and_generated_key_frames_are_pictures() {
        assert!(!parse(b"\x37\x01\0\0\0X").unwrap().key);
        assert!(parse(b"\x47\x01\0\0\0X").unwrap().key);
    }

    #[test]
    fn an_end_of_sequence_may_lack_its_offset() {
        let end = parse(b"\x17\x02").unwrap();
        assert_eq!((end.role, end.header_len), (FrameRole::End, 2));
    }

    #[test]
    fn messages_without_content_are_ignorable() {
        for body in [&b""[..], b"\x17\0\0\0\0", b"\x27\x01\0\0\0", b"\x57\0", b"\x52\x01"] {
            assert!(parse(body).unwrap_err().is_ignorable(), "{body:?}");
        }
    }

    #[test]
    fn what_is_cut_or_undefined_is_an_error() {
        assert_eq!(
            parse(b"\x17"),
            Err(TagError::Truncated {
                what: "AVC header",
                need: 5,
                have: 1
            })
        );
        assert_eq!(
            parse(b"\x27\x01\0\0"),
            Err(TagError::Truncated {
                what: "AVC header",
                need: 5,
                have: 4
            })
        );
        assert_eq!(
            parse(b"\x17\x03\0\0\0X"),
            Err(TagError::PacketType { codec: "AVC", value: 3 })
        );
        assert_eq!(parse(b"\x07\x01\0\0\0X"), Err(TagError::FrameType(0)));
        assert_eq!(parse(b"\x67\x01\0\0\0X"), Err(TagError::FrameType(6)));
    }

    #[test]
    fn other_codecs_are_refused_by_name() {
        let text = |body| parse(body).unwrap_err().to_string();
        assert_eq!(text(b"\x22X"), "video codec Sorenson H.263 (2) is not supported");
        assert_eq!(
            text(b"\x90vvc1config"),
            "Enhanced RTMP video codec vvc1 is not supported"
        );
        assert_eq!(
            text(b"\xa1\xff\0\"1X"),
            "Enhanced RTMP video codec \\xff\\x00\\\"1 is not supported"
        );
        assert_eq!(
            text(b"\x90Opusconfig"),
            "Enhanced RTMP video codec Opus is not supported"
        );
    }

    #[test]
    fn the_enhanced_packets_are_told_apart() {
        let seen = |body| {
            let tag = parse(body).unwrap();
            (tag.codec, tag.track.0, tag.role, tag.key, tag.header_len)
        };
        use Codec::*;
        use FrameRole::*;
        assert_eq!(seen(b"\x90hvc1config"), (Hevc, 0, Config, false, 5));
        assert_eq!(seen(b"\x93hvc1data"), (Hevc, 0, Coded, true, 5));
        assert_eq!(seen(b"\xa1hvc1\0\0\x28data"), (Hevc, 0, Coded, false, 8));
        assert_eq!(seen(b"\xa1av01data"), (Av1, 0, Coded, false, 5));
        assert_eq!(seen(b"\x92vp09"), (Vp9, 0, End, false, 5));
        assert_eq!(seen(b"\xd4av01\x02\0\x09colorInfo"), (Av1, 0, Properties, false, 5));
        assert_eq!(seen(b"\x96\x01vp08\x03data"), (Vp8, 3, Coded, true, 7));
        assert_eq!(seen(b"\x96\x03avc1\x01data"), (H264, 1, Coded, true, 7));
        assert_eq!(
            parse(b"\xa1hvc1\xff\xff\xfedata").unwrap().composition_offset,
            MediaTime::from_millis(-2)
        );
    }

    #[test]
    fn what_enhanced_rtmp_leaves_empty_or_for_later_is_ignorable() {
        for body in [
            &b"\x90av01"[..],
            b"\x91av01",
            b"\xd0\x01",
            b"\x98av01data",
            b"\x95av01descriptor",
        ] {
            assert!(parse(body).unwrap_err().is_ignorable(), "{body:?}");
        }
    }

    #[test]
    fn enhanced_headers_that_are_cut_or_packed_are_errors() {
        assert!(matches!(
            parse(b"\x90hv"),
            Err(TagError::Truncated { need: 5, have: 3, .. })
        ));
        assert!(matches!(
            parse(b"\x91hvc1\0"),
            Err(TagError::Truncated { need: 8, have: 6, .. })
        ));
        assert!(matches!(
            parse(b"\x96\x01av01"),
            Err(TagError::Truncated { need: 7, .. })
        ));
        assert_eq!(parse(b"\x97\x02abc\x01av01"), Err(TagError::Packed));
        assert_eq!(parse(b"\x96\x11av01\x00\0\0\x01d"), Err(TagError::Packed));
    }

    proptest! {
        #[test]
        fn a_built_body_reads_back(
            codec in prop::sample::select(vec![Codec::H264, Codec::Hevc, Codec::Av1, Codec::Vp8, Codec::Vp9]),
            track in 0..3_u8,
            role in prop::sample::select(vec![FrameRole::Config, FrameRole::Coded, FrameRole::End, FrameRole::Properties]),
            key: bool,
            offset in -0x80_0000_i64..0x80_0000,
            data in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let coded = role == FrameRole::Coded;
            let body = video_body(codec, TrackId(track), role, key, MediaTime::from_millis(offset), &data);
            let tag = parse_video(&body).unwrap();
            prop_assert_eq!((tag.codec, tag.track), (codec, TrackId(track)));
            prop_assert_eq!(video_codec(&body), Some(codec));
            prop_assert_eq!(crate::flv::unpack(MediaKind::Video, body.clone()).unwrap().first, body.clone(), "it is plain");
            prop_assert_eq!(&body[tag.header_len..], &data[..]);
            prop_assert_eq!((tag.role, tag.key), (role, key && coded));
            let is_shifted = coded && has_composition_offset(codec);
            prop_assert_eq!(tag.composition_offset, MediaTime::from_millis(if is_shifted { offset } else { 0 }));
        }
    }

    #[test]
    fn an_offset_between_milliseconds_is_rounded_and_one_out_of_range_is_held() {
        let written = |offset| {
            let body = video_body(Codec::H264, TrackId(0), FrameRole::Coded, false, offset, b"X");
            parse_video(&body).unwrap().composition_offset
        };
        assert_eq!(written(MediaTime::from_nanos(33_666_667)), MediaTime::from_millis(34));
        assert_eq!(written(MediaTime::from_nanos(-400_000)), MediaTime::ZERO);
        assert_eq!(
            written(MediaTime::from_nanos(i64::MAX)),
            MediaTime::from_millis(0x7f_ffff)
        );
        assert_eq!(
            written(MediaTime::from_nanos(i64::MIN)),
            MediaTime::from_millis(-0x80_0000)
        );
    }
}
