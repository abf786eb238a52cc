//! FLAC: the STREAMINFO block (RFC 9639 §8.2) behind its signature, as Enhanced RTMP carries it.

use super::{ConfigError, bits::BitReader};
use crate::AudioFormat;

const STREAMINFO: &str = "FLAC STREAMINFO";
const MAGIC: &[u8; 4] = b"fLaC";

/// What the block says about the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Fewest samples of a block but the last.
    pub min_block: u16,
    /// Most samples of a block.
    pub max_block: u16,
    /// In Hz.
    pub sample_rate: u32,
    /// 1 to 8.
    pub channels: u8,
    /// 4 to 32.
    pub bits_per_sample: u8,
}

impl StreamInfo {
    /// Reads the signature and the block. Some senders leave out the signature, some the block's header too.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(STREAMINFO, Self::block(record));
        let (min_block, max_block) = (
            bits.bits(16, "minimum block size")?,
            bits.bits(16, "maximum block size")?,
        );
        if max_block < 16 || min_block > max_block {
            return Err(bits.invalid("maximum block size", max_block));
        }
        bits.skip(24 + 24, "frame sizes")?;
        let sample_rate = bits.bits(20, "sample rate")?;
        if sample_rate == 0 {
            return Err(bits.invalid("sample rate", 0));
        }
        let channels = bits.bits(3, "channels")? + 1;
        let bits_per_sample = bits.bits(5, "bits per sample")? + 1;
        bits.skip(36 + 128, "number of samples, MD5 checksum")?;
        Ok(Self {
            min_block: min_block as u16,
            max_block: max_block as u16,
            sample_rate,
            channels: channels as u8,
            bits_per_sample: bits_per_sample as u8,
        })
    }

    /// The block's content, without signature and header.
    pub fn block(record: &[u8]) -> &[u8] {
        const CONTENT: usize = 34;
        let rest = record.strip_prefix(MAGIC).unwrap_or(record);
        // Type 0, with or without the mark of the last block, and its length.
        match rest {
            [0 | 0x80, 0, 0, 34, content @ ..] if content.len() >= CONTENT => &content[..CONTENT],
            content => content,
        }
    }

    /// What players need to know.
    pub fn format(&self) -> AudioFormat {
        AudioFormat {
            sample_rate: self.sample_rate,
            channels: self.channels,
            profile: 0,
            samples_per_frame: self.max_block.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BLOCK: &[u8; 34] =
        b"\x12\x00\x12\x00\0\0\x0e\0\x2e\x6d\x0a\xc4\x42\xf0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\
        \x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";

    #[test]
    fn the_block_is_found_with_and_without_what_goes_before() {
        let expected = StreamInfo {
            min_block: 4608,
            max_block: 4608,
            sample_rate: 44_100,
            channels: 2,
            bits_per_sample: 16,
        };
        for before in [
            &b"fLaC\x80\0\0\x22"[..],
            b"fLaC\0\0\0\x22",
            b"\x80\0\0\x22",
            b"fLaC",
            b"",
        ] {
            assert_eq!(StreamInfo::parse(&[before, BLOCK].concat()), Ok(expected), "{before:?}");
        }
    }

    #[test]
    fn what_is_cut_or_absurd_is_refused() {
        assert!(StreamInfo::parse(&BLOCK[..33]).is_err());
        assert!(StreamInfo::parse(&[0; 34]).is_err());
        assert!(StreamInfo::parse(b"").is_err());
    }
}
