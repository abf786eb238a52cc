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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::flv::FourCc;

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
        assert_eq!(text(b"\x1cX"), "video codec HEVC (unofficial id) (12) is not supported");
        assert_eq!(
            text(b"\x90hvc1config"),
            "Enhanced RTMP video codec hvc1 is not supported"
        );
        assert_eq!(
            text(b"\xa1\xff\0\"1X"),
            "Enhanced RTMP video codec \\xff\\x00\\\"1 is not supported"
        );
    }

    #[test]
    fn the_fourcc_is_found_behind_prefixes() {
        let av1 = Err(TagError::EnhancedVideo {
            fourcc: FourCc(*b"av01"),
        });
        assert_eq!(parse(b"\x94av01metadata"), av1, "metadata");
        assert_eq!(parse(b"\x96\x00av01\x00"), av1, "multitrack, one track");
        assert_eq!(parse(b"\x96\x21av01\x00"), av1, "multitrack, many codecs");
        assert_eq!(parse(b"\x97\x02abc\x01av01"), av1, "ModEx of three bytes");
        assert_eq!(parse(b"\x97\x00a\x07\x00b\x01av01"), av1, "two ModEx");
        let long = [&b"\x97\xff\x01\x00"[..], &[0; 257], b"\x01av01"].concat();
        assert_eq!(parse(&long), av1, "ModEx with a 16-bit size");
        assert_eq!(parse(b"\xd0\x01"), Err(TagError::Command(1)));
        assert!(matches!(
            parse(b"\x90hv"),
            Err(TagError::Truncated { need: 5, have: 3, .. })
        ));
        assert!(matches!(parse(b"\x97\xff\xff\xff"), Err(TagError::Truncated { .. })));
    }

    proptest! {
        #[test]
        fn a_built_body_reads_back(
            role in prop_oneof![Just(FrameRole::Config), Just(FrameRole::Coded), Just(FrameRole::End)],
            key: bool,
            offset in -0x80_0000_i64..0x80_0000,
            data in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let coded = role == FrameRole::Coded;
            let body = video_body(Codec::H264, role, key, MediaTime::from_millis(offset), &data);
            let tag = parse_video(&body).unwrap();
            prop_assert_eq!(&body[tag.header_len..], &data[..]);
            prop_assert_eq!((tag.role, tag.key), (role, key && coded));
            prop_assert_eq!(tag.composition_offset, MediaTime::from_millis(if coded { offset } else { 0 }));
        }
    }

    #[test]
    fn an_offset_between_milliseconds_is_rounded_and_one_out_of_range_is_held() {
        let written = |offset| {
            let body = video_body(Codec::H264, FrameRole::Coded, false, offset, b"X");
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
