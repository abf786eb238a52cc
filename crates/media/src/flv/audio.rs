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
