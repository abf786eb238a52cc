//! AV1: the `av1C` record ("AV1 Codec ISO Media File Format Binding" §2.3) and the sequence header it may hold ("AV1
//! Bitstream & Decoding Process Specification" §5.5).

use super::{ConfigError, bits::BitReader, nal::frame_rate};

const AV1C: &str = "av1C";
const SEQUENCE: &str = "AV1 sequence header";
/// §6.2.2.
const OBU_SEQUENCE_HEADER: u8 = 1;

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

/// What a sequence header says about the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    /// `max_frame_width_minus_1` + 1.
    pub width: u32,
    /// `max_frame_height_minus_1` + 1.
    pub height: u32,
    /// Pictures per second in lowest terms, where all are equally far apart.
    pub frame_rate: Option<(u32, u32)>,
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

/// Looks for a sequence header in open bitstream units with size fields: in a record, or in a key frame's temporal unit.
pub fn sequence_header(mut units: &[u8]) -> Result<Option<SequenceHeader>, ConfigError> {
    while let Some((&header, rest)) = units.split_first() {
        let mut rest = rest;
        let (kind, has_extension, has_size) = (header >> 3 & 0xf, header & 4 != 0, header & 2 != 0);
        if has_extension {
            rest = rest.get(1..).unwrap_or_default();
        }
        let length = if has_size { leb128(&mut rest)? } else { rest.len() };
        let unit = rest.get(..length).ok_or(ConfigError::Truncated {
            record: "AV1 OBU",
            field: "obu_size",
            bit: 8 * rest.len(),
        })?;
        if kind == OBU_SEQUENCE_HEADER {
            return SequenceHeader::parse(unit).map(Some);
        }
        units = &rest[length..];
    }
    Ok(None)
}

/// §4.10.5.
fn leb128(bytes: &mut &[u8]) -> Result<usize, ConfigError> {
    let mut value = 0_u64;
    for shift in 0..8 {
        let Some((&byte, rest)) = bytes.split_first() else {
            break;
        };
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            return Ok(usize::try_from(value).unwrap_or(usize::MAX));
        }
    }
    Err(ConfigError::Truncated {
        record: "AV1 OBU",
        field: "obu_size",
        bit: 0,
    })
}

impl SequenceHeader {
    fn parse(unit: &[u8]) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(SEQUENCE, unit);
        bits.skip(3 + 1, "seq_profile, still_picture")?;
        let mut rate = None;
        if bits.flag("reduced_still_picture_header")? {
            bits.skip(5, "seq_level_idx")?;
        } else {
            let mut delay_bits = None;
            if bits.flag("timing_info_present_flag")? {
                let units = bits.bits(32, "num_units_in_display_tick")?;
                let scale = bits.bits(32, "time_scale")?;
                if bits.flag("equal_picture_interval")? {
                    let ticks = u64::from(bits.ue("num_ticks_per_picture_minus_1")?) + 1;
                    rate = frame_rate(u64::from(units) * ticks, scale.into());
                }
                if bits.flag("decoder_model_info_present_flag")? {
                    delay_bits = Some(bits.bits(5, "buffer_delay_length_minus_1")? as usize + 1);
                    bits.skip(
                        32 + 5 + 5,
                        "num_units_in_decoding_tick … frame_presentation_time_length",
                    )?;
                }
            }
            let has_initial_delay = bits.flag("initial_display_delay_present_flag")?;
            for _ in 0..=bits.bits(5, "operating_points_cnt_minus_1")? {
                bits.skip(12, "operating_point_idc")?;
                if bits.bits(5, "seq_level_idx")? > 7 {
                    bits.flag("seq_tier")?;
                }
                if let Some(delay) = delay_bits
                    && bits.flag("decoder_model_present_for_this_op")?
                {
                    bits.skip(2 * delay + 1, "operating_parameters_info")?;
                }
                if has_initial_delay && bits.flag("initial_display_delay_present_for_this_op")? {
                    bits.skip(4, "initial_display_delay_minus_1")?;
                }
            }
        }
        let width_bits = bits.bits(4, "frame_width_bits_minus_1")? + 1;
        let height_bits = bits.bits(4, "frame_height_bits_minus_1")? + 1;
        Ok(Self {
            width: bits.bits(width_bits, "max_frame_width_minus_1")? + 1,
            height: bits.bits(height_bits, "max_frame_height_minus_1")? + 1,
            frame_rate: rate,
        })
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
