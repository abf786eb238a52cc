//! Audio tag bodies (E.4.2, and "Enhanced Audio" of Enhanced RTMP).

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    TagError,
    enhanced::{FourCc, Header, is_enhanced, packet},
};
use crate::{AudioFormat, Codec, FrameRole, MediaKind, TrackId};

/// What the header of an audio body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTag {
    /// The coding.
    pub codec: Codec,
    /// Which of the audio tracks.
    pub track: TrackId,
    /// Configuration, sound or end. AAC has no end marker but that of Enhanced RTMP.
    pub role: FrameRole,
    /// Bytes before the payload.
    pub header_len: usize,
    /// `SoundRate` in Hz: a hint for MP3, whose frames know better. AAC always says 44100 here, whatever it is.
    pub sample_rate: u32,
    /// `SoundType` as a channel count: the same kind of hint. AAC always says 2.
    pub channels: u8,
}

const FORMAT_MP3: u8 = 2;
const FORMAT_EX_HEADER: u8 = 9;
const FORMAT_AAC: u8 = 10;
const FORMAT_MP3_8K: u8 = 14;

const AAC_SEQUENCE_HEADER: u8 = 0;
const AAC_RAW: u8 = 1;

/// AAC, "44 kHz", 16 bits, stereo: what E.4.2.1 demands for every AAC stream.
pub(super) const AAC_FIRST_BYTE: u8 = FORMAT_AAC << 4 | 0b1111;
/// MP3 of which no more is known.
pub(super) const MP3_FIRST_BYTE: u8 = FORMAT_MP3 << 4 | 0b1111;

/// Reads the header of an unpacked audio body.
pub fn parse_audio(body: &Bytes) -> Result<AudioTag, TagError> {
    let &first = body.first().ok_or(TagError::Empty)?;
    let (codec, role, header_len) = match first >> 4 {
        FORMAT_AAC => match body.get(1) {
            Some(&AAC_SEQUENCE_HEADER) => (Codec::Aac, FrameRole::Config, 2),
            Some(&AAC_RAW) => (Codec::Aac, FrameRole::Coded, 2),
            Some(&value) => return Err(TagError::PacketType { codec: "AAC", value }),
            None => {
                return Err(TagError::Truncated {
                    what: "AAC header",
                    need: 2,
                    have: 1,
                });
            }
        },
        FORMAT_MP3 | FORMAT_MP3_8K => (Codec::Mp3, FrameRole::Coded, 1),
        FORMAT_EX_HEADER => return parse_enhanced(body),
        id => return Err(TagError::AudioCodec { id }),
    };
    if body.len() == header_len {
        return Err(TagError::Empty);
    }
    let sample_rate = match (first >> 4, first >> 2 & 3) {
        (FORMAT_MP3_8K, _) => 8_000,
        (_, 0) => 5_512,
        (_, 1) => 11_025,
        (_, 2) => 22_050,
        _ => 44_100,
    };
    Ok(AudioTag {
        codec,
        track: TrackId(0),
        role,
        header_len,
        sample_rate,
        channels: 1 + (first & 1),
    })
}

/// The coding of an unpacked audio body.
pub(crate) fn audio_codec(body: &[u8]) -> Option<Codec> {
    if is_enhanced(MediaKind::Audio, body) {
        return Header::read(MediaKind::Audio, body)
            .ok()?
            .0
            .codec(MediaKind::Audio)
            .ok();
    }
    match body.first()? >> 4 {
        FORMAT_AAC => Some(Codec::Aac),
        FORMAT_MP3 | FORMAT_MP3_8K => Some(Codec::Mp3),
        _ => None,
    }
}

fn parse_enhanced(body: &Bytes) -> Result<AudioTag, TagError> {
    let (header, header_len) = Header::read(MediaKind::Audio, body)?;
    let codec = header.codec(MediaKind::Audio)?;
    let role = match header.packet_type {
        packet::SEQUENCE_START => FrameRole::Config,
        packet::CODED_FRAMES => FrameRole::Coded,
        packet::SEQUENCE_END => FrameRole::End,
        packet::METADATA => FrameRole::Properties,
        other => return Err(TagError::Reserved(other)),
    };
    if role != FrameRole::End && body.len() == header_len {
        return Err(TagError::Empty);
    }
    Ok(AudioTag {
        codec,
        track: header.track,
        role,
        header_len,
        // The header has no room for either.
        sample_rate: 44_100,
        channels: 2,
    })
}

/// Builds an unpacked audio body around coded data, a configuration record or properties: with the header of FLV for the
/// first track of AAC or MP3, else with one of Enhanced RTMP. `format` matters to MP3 only.
pub fn audio_body(codec: Codec, track: TrackId, role: FrameRole, data: &[u8], format: AudioFormat) -> Bytes {
    let mut body = BytesMut::with_capacity(8 + data.len());
    match (codec, role) {
        (Codec::Aac, FrameRole::Config) if track == TrackId(0) => {
            body.put_slice(&[AAC_FIRST_BYTE, AAC_SEQUENCE_HEADER]);
        }
        (Codec::Aac, FrameRole::Coded) if track == TrackId(0) => body.put_slice(&[AAC_FIRST_BYTE, AAC_RAW]),
        (Codec::Mp3, FrameRole::Coded) if track == TrackId(0) => body.put_u8(mp3_first_byte(format)),
        _ => {
            let header = Header {
                lead: FORMAT_EX_HEADER << 4,
                packet_type: match role {
                    FrameRole::Config => packet::SEQUENCE_START,
                    FrameRole::Coded => packet::CODED_FRAMES,
                    FrameRole::End => packet::SEQUENCE_END,
                    FrameRole::Properties => packet::METADATA,
                },
                fourcc: FourCc::of(codec),
                track,
            };
            header.write(MediaKind::Audio, &mut body);
        }
    }
    body.put_slice(data);
    body.freeze()
}

/// 48 and 32 kHz have no code of their own; like every writer we call them 44 kHz.
pub(super) fn mp3_first_byte(format: AudioFormat) -> u8 {
    let (id, rate) = match format.sample_rate {
        8_000 => (FORMAT_MP3_8K, 0),
        11_025 | 12_000 => (FORMAT_MP3, 1),
        16_000 | 22_050 | 24_000 => (FORMAT_MP3, 2),
        _ => (FORMAT_MP3, 3),
    };
    id << 4 | rate << 2 | 0b10 | u8::from(format.channels > 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn parse(body: &[u8]) -> Result<AudioTag, TagError> {
        parse_audio(&Bytes::copy_from_slice(body))
    }

    #[test]
    fn aac_has_configuration_and_frames() {
        let config = parse(b"\xaf\0\x12\x10").unwrap();
        assert_eq!(
            (config.codec, config.role, config.header_len),
            (Codec::Aac, FrameRole::Config, 2)
        );
        assert_eq!(parse(b"\xaf\x01\x21").unwrap().role, FrameRole::Coded);
        assert_eq!(
            parse(b"\xa2\x01\x21").unwrap().role,
            FrameRole::Coded,
            "whatever the rate bits say"
        );
        assert_eq!(
            parse(b"\xaf\x02\x21"),
            Err(TagError::PacketType { codec: "AAC", value: 2 })
        );
        assert_eq!(
            parse(b"\xaf"),
            Err(TagError::Truncated {
                what: "AAC header",
                need: 2,
                have: 1
            })
        );
    }

    #[test]
    fn mp3_has_hints_in_its_header() {
        let hints = |body| parse(body).map(|tag| (tag.codec, tag.header_len, tag.sample_rate, tag.channels));
        assert_eq!(hints(b"\x2f\xff\xfb"), Ok((Codec::Mp3, 1, 44_100, 2)));
        assert_eq!(hints(b"\x2a\xff\xfb"), Ok((Codec::Mp3, 1, 22_050, 1)));
        assert_eq!(hints(b"\xe2\xff\xfb"), Ok((Codec::Mp3, 1, 8_000, 1)));
    }

    #[test]
    fn messages_without_content_are_ignorable() {
        for body in [&b""[..], b"\xaf\0", b"\xaf\x01", b"\x2f"] {
            assert!(parse(body).unwrap_err().is_ignorable(), "{body:?}");
        }
    }

    #[test]
    fn other_codecs_are_refused_by_name() {
        let text = |body| parse(body).unwrap_err().to_string();
        assert_eq!(text(b"\xb6X"), "audio codec Speex (11) is not supported");
        assert_eq!(text(b"\x90SpexX"), "Enhanced RTMP audio codec Spex is not supported");
        assert_eq!(text(b"\x90av01X"), "Enhanced RTMP audio codec av01 is not supported");
        assert!(matches!(parse(b"\x91"), Err(TagError::Truncated { .. })));
        assert_eq!(parse(b"\x95\x11Opus\x00\0\0\x01d"), Err(TagError::Packed));
    }

    #[test]
    fn the_enhanced_packets_are_told_apart() {
        let seen = |body| {
            let tag = parse(body).unwrap();
            (tag.codec, tag.track.0, tag.role, tag.header_len)
        };
        use FrameRole::*;
        assert_eq!(seen(b"\x90OpusOpusHead"), (Codec::Opus, 0, Config, 5));
        assert_eq!(seen(b"\x91fLaCdata"), (Codec::Flac, 0, Coded, 5));
        assert_eq!(seen(b"\x92ac-3"), (Codec::Ac3, 0, End, 5));
        assert_eq!(seen(b"\x94Opus\x01\x01\0\0\0\x04"), (Codec::Opus, 0, Properties, 5));
        assert_eq!(seen(b"\x95\x01mp4a\x02data"), (Codec::Aac, 2, Coded, 7));
        assert_eq!(seen(b"\x95\x01ec-3\x01data"), (Codec::Eac3, 1, Coded, 7));
        assert!(
            parse(b"\x90Opus").unwrap_err().is_ignorable(),
            "an empty start says nothing"
        );
        assert!(parse(b"\x93Opusdata").unwrap_err().is_ignorable(), "reserved");
    }

    fn format(sample_rate: u32, channels: u8) -> AudioFormat {
        AudioFormat {
            sample_rate,
            channels,
            profile: 2,
            samples_per_frame: 1024,
        }
    }

    #[test]
    fn aac_is_always_called_44_khz_stereo() {
        let body = audio_body(
            Codec::Aac,
            TrackId(0),
            FrameRole::Config,
            b"\x11\x88",
            format(48_000, 1),
        );
        assert_eq!(&body[..], b"\xaf\0\x11\x88");
    }

    proptest! {
        #[test]
        fn a_built_body_reads_back(
            codec in prop::sample::select(Codec::ALL.into_iter().filter(|c| c.kind() == MediaKind::Audio).collect::<Vec<_>>()),
            track in 0..3_u8,
            role in prop::sample::select(vec![FrameRole::Config, FrameRole::Coded, FrameRole::End, FrameRole::Properties]),
            rate in prop_oneof![Just(8_000), Just(11_025), Just(22_050), Just(44_100)],
            channels in 1..3_u8,
            data in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let body = audio_body(codec, TrackId(track), role, &data, format(rate, channels));
            let tag = parse_audio(&body).unwrap();
            prop_assert_eq!(&body[tag.header_len..], &data[..]);
            prop_assert_eq!((tag.codec, tag.track, tag.role), (codec, TrackId(track), role));
            prop_assert_eq!(audio_codec(&body), Some(codec));
            prop_assert_eq!(crate::flv::unpack(MediaKind::Audio, body.clone()).unwrap().first, body.clone(), "it is plain");
            if codec == Codec::Mp3 && role == FrameRole::Coded && track == 0 {
                prop_assert_eq!((tag.sample_rate, tag.channels), (rate, channels));
            }
        }
    }
}
