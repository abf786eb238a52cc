//! AV1: the `av1C` record ("AV1 Codec ISO Media File Format Binding" §2.3) and the sequence header it may hold ("AV1
//! Bitstream & Decoding Process Specification" §5.5).

mod sequence;

use super::{ConfigError, bits::BitReader};
pub use sequence::{SequenceHeader, record_of_key_frame, sequence_header};

const AV1C: &str = "av1C";

/// `AV1CodecConfigurationRecord`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Av1Config {
    /// `seq_profile`: 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx_0`.
    pub level: u8,
    /// `seq_tier_0`: the high tier.
    pub is_high_tier: bool,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// The sequence header, where the record has one. Encoders may leave it to the first key frame.
    pub sequence: Option<SequenceHeader>,
}

impl Av1Config {
    /// Reads the record.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(AV1C, record);
        if !bits.flag("marker")? {
            return Err(bits.invalid("marker", 0));
        }
        let version = bits.bits(7, "version")?;
        if version != 1 {
            return Err(bits.invalid("version", version));
        }
        let profile = bits.bits(3, "seq_profile")? as u8;
        let level = bits.bits(5, "seq_level_idx_0")? as u8;
        let is_high_tier = bits.flag("seq_tier_0")?;
        let high_bitdepth = bits.flag("high_bitdepth")?;
        let twelve_bit = bits.flag("twelve_bit")?;
        bits.skip(5 + 8, "monochrome … initial_presentation_delay_minus_one")?;
        Ok(Self {
            profile,
            level,
            is_high_tier,
            bit_depth: match (high_bitdepth, twelve_bit) {
                (true, true) => 12,
                (true, false) => 10,
                (false, _) => 8,
            },
            sequence: sequence_header(&record[4..])?,
        })
    }

    /// Its name in playlists (the binding's §5): `av01.0.04M.08`.
    pub fn rfc6381(&self) -> String {
        let tier = if self.is_high_tier { 'H' } else { 'M' };
        format!("av01.{}.{:02}{tier}.{:02}", self.profile, self.level, self.bit_depth)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The records of the specification group's samples.
    #[test]
    fn records_of_real_encoders_tell_the_size() {
        let small = Av1Config::parse(b"\x81\x01\x0c\x00\x0a\x0b\x00\x00\x00\x0c\x47\xff\xfe\xff\xfc\xc0\x20").unwrap();
        assert_eq!(small.rfc6381(), "av01.0.01M.08");
        let size = |config: Av1Config| config.sequence.map(|header| (header.width, header.height));
        assert_eq!(size(small), Some((512, 512)));
        let high = b"\x81\x24\x00\x00\x0a\x0e\x20\x00\x00\x24\xcf\xa7\x0d\xbf\xff\x34\x04\x34\x00\x80";
        let high = Av1Config::parse(high).unwrap();
        assert_eq!((high.profile, size(high)), (1, Some((980, 540))));
    }

    #[test]
    fn a_record_without_a_sequence_header_leaves_it_to_the_first_key_frame() {
        let bare = Av1Config::parse(b"\x81\x04\x0c\x00").unwrap();
        assert_eq!(bare.sequence, None);
        let unit = b"\x12\x00\x0a\x0b\x00\x00\x00\x24\xcf\xa7\x0d\xbf\xff\x30\x08\x32\x01\x14";
        let header = sequence_header(unit).unwrap().unwrap();
        assert_eq!((header.width, header.height), (980, 540));
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_refused_by_field() {
        let field = |record: &[u8]| match Av1Config::parse(record) {
            Err(ConfigError::Invalid { field, .. } | ConfigError::Truncated { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(b""), "marker");
        assert_eq!(field(b"\x01\x04\x0c\x00"), "marker");
        assert_eq!(field(b"\x82\x04\x0c\x00"), "version");
        assert_eq!(field(b"\x81\x04\x0c\x00\x0a\x80"), "obu_size");
        assert_eq!(field(b"\x81\x04\x0c\x00\x0a\x02\x00\x00"), "operating_point_idc");
    }
}
