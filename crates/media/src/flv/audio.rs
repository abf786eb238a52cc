//! Audio tag bodies (E.4.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::{TagError, enhanced};
use crate::{AudioFormat, Codec, FrameRole};

/// What the header of an audio body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTag {
    /// The coding.
    pub codec: Codec,
    /// Configuration or sound. AAC has no end marker.
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
const AAC_FIRST_BYTE: u8 = FORMAT_AAC << 4 | 0b1111;

/// Reads the header of an audio body.
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
        FORMAT_EX_HEADER => return Err(enhanced::refuse_audio(body)),
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
        role,
        header_len,
        sample_rate,
        channels: 1 + (first & 1),
    })
}

/// Builds an audio body around coded data or a configuration record. `format` matters to MP3 only.
///
/// # Panics
/// When `codec` is not an audio codec: which codec an encoder makes is known to the code that built it.
pub fn audio_body(codec: Codec, role: FrameRole, data: &[u8], format: AudioFormat) -> Bytes {
    let mut body = BytesMut::with_capacity(2 + data.len());
    match codec {
        Codec::Aac => {
            body.put_u8(AAC_FIRST_BYTE);
            body.put_u8(if role == FrameRole::Config {
                AAC_SEQUENCE_HEADER
            } else {
                AAC_RAW
            });
        }
        Codec::Mp3 => {
            // 48 and 32 kHz have no code of their own; like every writer we call them 44 kHz.
            let (id, rate) = match format.sample_rate {
                8_000 => (FORMAT_MP3_8K, 0),
                11_025 | 12_000 => (FORMAT_MP3, 1),
                16_000 | 22_050 | 24_000 => (FORMAT_MP3, 2),
                _ => (FORMAT_MP3, 3),
            };
            body.put_u8(id << 4 | rate << 2 | 0b10 | u8::from(format.channels > 1));
        }
        Codec::H264 => panic!("{codec:?} does not travel in an audio tag"),
    }
    body.put_slice(data);
    body.freeze()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::flv::FourCc;

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
        assert_eq!(text(b"\x90OpusX"), "Enhanced RTMP audio codec Opus is not supported");
        assert_eq!(
            parse(b"\x95\x01OpusX"),
            Err(TagError::EnhancedAudio {
                fourcc: FourCc(*b"Opus")
            })
        );
        assert!(matches!(parse(b"\x91"), Err(TagError::Truncated { .. })));
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
        let body = audio_body(Codec::Aac, FrameRole::Config, b"\x11\x88", format(48_000, 1));
        assert_eq!(&body[..], b"\xaf\0\x11\x88");
    }

    proptest! {
        #[test]
        fn a_built_body_reads_back(
            mp3: bool,
            config: bool,
            rate in prop_oneof![Just(8_000), Just(11_025), Just(22_050), Just(44_100)],
            channels in 1..3_u8,
            data in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let codec = if mp3 { Codec::Mp3 } else { Codec::Aac };
            let role = if config && !mp3 { FrameRole::Config } else { FrameRole::Coded };
            let body = audio_body(codec, role, &data, format(rate, channels));
            let tag = parse_audio(&body).unwrap();
            prop_assert_eq!(&body[tag.header_len..], &data[..]);
            prop_assert_eq!((tag.codec, tag.role), (codec, role));
            if mp3 {
                prop_assert_eq!((tag.sample_rate, tag.channels), (rate, channels));
            }
        }
    }
}
