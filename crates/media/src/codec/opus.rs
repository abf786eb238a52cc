//! Opus: the identification header (RFC 7845 §5.1) and the first byte of a packet (RFC 6716 §3.1).

use bytes::{BufMut, Bytes, BytesMut};

use super::{ConfigError, bits::BitReader};
use crate::AudioFormat;

const HEAD: &str = "OpusHead";
const MAGIC: &[u8; 8] = b"OpusHead";
/// Decoders run at 48 kHz whatever was encoded, and containers count in it.
const SAMPLE_RATE: u32 = 48_000;
/// 20 ms, which every encoder takes if it is not told otherwise.
const USUAL_SAMPLES: u32 = 960;

/// The identification header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// Channels of the decoded sound.
    pub channels: u8,
    /// Samples at 48 kHz that a decoder throws away at the start.
    pub pre_skip: u16,
    /// Rate of the sound before it was encoded, in Hz. It matters to nobody.
    pub input_sample_rate: u32,
    /// How the channels lie in the streams: 0 mono or stereo, 1 surround, 255 undefined.
    pub mapping_family: u8,
}

impl OpusHead {
    /// Reads the header.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(HEAD, record);
        if bits.bytes(MAGIC.len(), "magic signature")? != MAGIC {
            return Err(bits.invalid("magic signature", u32::from(record[0])));
        }
        let version = bits.bits(8, "version")?;
        if version >> 4 != 0 {
            return Err(bits.invalid("version", version));
        }
        let channels = bits.bits(8, "output channel count")?;
        if channels == 0 {
            return Err(bits.invalid("output channel count", 0));
        }
        let pre_skip = (bits.bits(16, "pre-skip")? as u16).swap_bytes();
        let input_sample_rate = bits.bits(32, "input sample rate")?.swap_bytes();
        bits.skip(16, "output gain")?;
        let mapping_family = bits.bits(8, "channel mapping family")?;
        if mapping_family == 0 && channels > 2 {
            return Err(bits.invalid("output channel count", channels));
        }
        Ok(Self {
            channels: channels as u8,
            pre_skip,
            input_sample_rate,
            mapping_family: mapping_family as u8,
        })
    }

    /// The header for a stream that begins without one: mono or stereo, as its packets say.
    pub fn of_packet(packet: &[u8]) -> Result<Bytes, ConfigError> {
        let &toc = packet.first().ok_or(ConfigError::Truncated {
            record: "Opus packet",
            field: "TOC",
            bit: 0,
        })?;
        let mut head = BytesMut::with_capacity(19);
        head.put_slice(MAGIC);
        head.put_u8(1);
        head.put_u8(if toc & 4 != 0 { 2 } else { 1 });
        // 6.5 ms, the algorithmic delay of the usual encoder.
        head.put_u16_le(312);
        head.put_u32_le(SAMPLE_RATE);
        head.put_u16_le(0);
        head.put_u8(0);
        Ok(head.freeze())
    }

    /// What players need to know.
    pub fn format(&self) -> AudioFormat {
        AudioFormat {
            sample_rate: SAMPLE_RATE,
            channels: self.channels,
            profile: 0,
            samples_per_frame: USUAL_SAMPLES,
        }
    }
}

/// Samples at 48 kHz that a packet decodes to; `None` if it breaks the rules (RFC 6716 §3.4).
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let &toc = packet.first()?;
    // Table 2: SILK 10 to 60 ms, hybrid 10 and 20 ms, CELT 2.5 to 20 ms.
    let samples = match toc >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..16 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let total = samples * frames;
    (1..=5760).contains(&total).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const REAL: &[u8] = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";

    #[test]
    fn the_header_of_a_real_encoder_is_read() {
        let head = OpusHead::parse(REAL).unwrap();
        assert_eq!((head.channels, head.pre_skip, head.input_sample_rate), (1, 312, 48_000));
        assert_eq!(
            OpusHead::parse(&OpusHead::of_packet(&[0xfc]).unwrap())
                .unwrap()
                .channels,
            2
        );
        assert_eq!(OpusHead::of_packet(&[0xf8]).unwrap(), REAL);
    }

    #[test]
    fn what_is_no_header_is_refused_by_field() {
        let field = |record: &[u8]| match OpusHead::parse(record) {
            Err(ConfigError::Invalid { field, .. } | ConfigError::Truncated { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(b"OpusTags........"), "magic signature");
        assert_eq!(field(&REAL[..9]), "output channel count");
        assert_eq!(field(b"OpusHead\x10\x02"), "version");
        assert_eq!(field(b"OpusHead\x01\x00"), "output channel count");
        assert_eq!(
            field(b"OpusHead\x01\x06\x38\x01\x80\xbb\0\0\0\0\0"),
            "output channel count"
        );
    }

    #[test]
    fn a_packet_tells_how_long_it_lasts() {
        assert_eq!(packet_samples(&[0xf8]), Some(960), "CELT, 20 ms");
        assert_eq!(packet_samples(&[0xe0]), Some(120), "CELT, 2.5 ms");
        assert_eq!(packet_samples(&[0x18]), Some(2880), "SILK, 60 ms");
        assert_eq!(packet_samples(&[0x79]), Some(1920), "hybrid, two of 20 ms");
        assert_eq!(packet_samples(&[0xfb, 3]), Some(2880), "three of 20 ms");
        assert_eq!(packet_samples(&[0xfb, 0]), None);
        assert_eq!(packet_samples(&[0x1b, 3]), None, "more than 120 ms");
        assert_eq!(packet_samples(&[]), None);
    }
}
