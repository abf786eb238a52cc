//! The sequence header ("AV1 Bitstream & Decoding Process Specification" §5.5), and the record that tells the same.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::{ConfigError, bits::BitReader, nal::frame_rate};

const SEQUENCE: &str = "AV1 sequence header";
/// §6.2.2.
const OBU_SEQUENCE_HEADER: u8 = 1;
/// §6.4.2: `color_primaries`, `transfer_characteristics` and `matrix_coefficients` where they are not told.
const UNSPECIFIED: [u32; 3] = [2, 2, 2];
/// The same of RGB, whose planes are all of one size: BT.709, sRGB, identity.
const RGB: [u32; 3] = [1, 13, 0];

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

/// Looks for a sequence header in open bitstream units with size fields: in a record, or in a key frame's temporal unit.
pub fn sequence_header(units: &[u8]) -> Result<Option<SequenceHeader>, ConfigError> {
    let unit = sequence_unit(units)?;
    unit.map(|unit| Begin::read(&mut BitReader::new(SEQUENCE, unit)).map(|begin| begin.header))
        .transpose()
}

/// The `av1C` record for a key frame, made from the sequence header in it; `None` if there is none. Some encoders give no
/// record of their own.
pub fn record_of_key_frame(units: &[u8]) -> Result<Option<Bytes>, ConfigError> {
    let Some(unit) = sequence_unit(units)? else {
        return Ok(None);
    };
    let mut bits = BitReader::new(SEQUENCE, unit);
    let begin = Begin::read(&mut bits)?;
    begin.skip_tools(&mut bits)?;
    let colour = Colour::read(&mut bits, begin.profile)?;
    let mut record = BytesMut::with_capacity(4 + 10 + unit.len());
    let flag = |is_set: bool, bit: u8| u8::from(is_set) << bit;
    // Marker and version.
    record.put_u8(0x81);
    record.put_u8(begin.profile << 5 | begin.level);
    record.put_u8(
        flag(begin.is_high_tier, 7)
            | flag(colour.high_bitdepth, 6)
            | flag(colour.twelve_bit, 5)
            | flag(colour.is_monochrome, 4)
            | flag(colour.subsampling_x, 3)
            | flag(colour.subsampling_y, 2)
            | colour.sample_position,
    );
    // No presentation delay is told.
    record.put_u8(0);
    record.put_u8(OBU_SEQUENCE_HEADER << 3 | 2);
    put_leb128(unit.len(), &mut record);
    record.put_slice(unit);
    Ok(Some(record.freeze()))
}

/// The first sequence header, without the header of its unit.
fn sequence_unit(mut units: &[u8]) -> Result<Option<&[u8]>, ConfigError> {
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
            return Ok(Some(unit));
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

fn put_leb128(mut value: usize, out: &mut BytesMut) {
    while value >= 0x80 {
        // The lowest seven bits.
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// A sequence header up to the size of the pictures.
struct Begin {
    profile: u8,
    /// Of the first operating point, as the tier.
    level: u8,
    is_high_tier: bool,
    is_reduced: bool,
    header: SequenceHeader,
}

impl Begin {
    fn read(bits: &mut BitReader<'_>) -> Result<Self, ConfigError> {
        let profile = bits.bits(3, "seq_profile")? as u8;
        bits.flag("still_picture")?;
        let (mut rate, mut first) = (None, None);
        let is_reduced = bits.flag("reduced_still_picture_header")?;
        if is_reduced {
            first = Some((bits.bits(5, "seq_level_idx")? as u8, false));
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
                let level = bits.bits(5, "seq_level_idx")? as u8;
                let is_high_tier = level > 7 && bits.flag("seq_tier")?;
                first.get_or_insert((level, is_high_tier));
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
        let (level, is_high_tier) = first.unwrap_or_default();
        Ok(Self {
            profile,
            level,
            is_high_tier,
            is_reduced,
            header: SequenceHeader {
                width: bits.bits(width_bits, "max_frame_width_minus_1")? + 1,
                height: bits.bits(height_bits, "max_frame_height_minus_1")? + 1,
                frame_rate: rate,
            },
        })
    }

    /// Reads over what stands between the size and the colours.
    fn skip_tools(&self, bits: &mut BitReader<'_>) -> Result<(), ConfigError> {
        if !self.is_reduced && bits.flag("frame_id_numbers_present_flag")? {
            bits.skip(
                4 + 3,
                "delta_frame_id_length_minus_2, additional_frame_id_length_minus_1",
            )?;
        }
        bits.skip(3, "use_128x128_superblock … enable_intra_edge_filter")?;
        if !self.is_reduced {
            bits.skip(4, "enable_interintra_compound … enable_dual_filter")?;
            let has_order = bits.flag("enable_order_hint")?;
            if has_order {
                bits.skip(2, "enable_jnt_comp, enable_ref_frame_mvs")?;
            }
            let screen_tools =
                bits.flag("seq_choose_screen_content_tools")? || bits.flag("seq_force_screen_content_tools")?;
            if screen_tools && !bits.flag("seq_choose_integer_mv")? {
                bits.flag("seq_force_integer_mv")?;
            }
            if has_order {
                bits.skip(3, "order_hint_bits_minus_1")?;
            }
        }
        bits.skip(3, "enable_superres, enable_cdef, enable_restoration")
    }
}

/// `color_config` (§5.5.2), as far as the record tells it.
#[derive(Default)]
struct Colour {
    high_bitdepth: bool,
    twelve_bit: bool,
    is_monochrome: bool,
    subsampling_x: bool,
    subsampling_y: bool,
    sample_position: u8,
}

impl Colour {
    fn read(bits: &mut BitReader<'_>, profile: u8) -> Result<Self, ConfigError> {
        let mut colour = Self {
            high_bitdepth: bits.flag("high_bitdepth")?,
            ..Self::default()
        };
        colour.twelve_bit = profile == 2 && colour.high_bitdepth && bits.flag("twelve_bit")?;
        colour.is_monochrome = profile != 1 && bits.flag("mono_chrome")?;
        let mut description = UNSPECIFIED;
        if bits.flag("color_description_present_flag")? {
            for value in &mut description {
                *value = bits.bits(8, "color_primaries … matrix_coefficients")?;
            }
        }
        if colour.is_monochrome {
            (colour.subsampling_x, colour.subsampling_y) = (true, true);
            return Ok(colour);
        }
        if description == RGB {
            return Ok(colour);
        }
        bits.flag("color_range")?;
        (colour.subsampling_x, colour.subsampling_y) = match profile {
            0 => (true, true),
            1 => (false, false),
            _ if colour.twelve_bit => {
                let x = bits.flag("subsampling_x")?;
                (x, x && bits.flag("subsampling_y")?)
            }
            _ => (true, false),
        };
        if colour.subsampling_x && colour.subsampling_y {
            colour.sample_position = bits.bits(2, "chroma_sample_position")? as u8;
        }
        Ok(colour)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::Av1Config, *};

    /// Records of real encoders, with the sequence header they describe.
    const RECORDS: [&[u8]; 3] = [
        b"\x81\x01\x0c\x00\x0a\x0b\x00\x00\x00\x0c\x47\xff\xfe\xff\xfc\xc0\x20",
        b"\x81\x04\x0c\x00\x0a\x0b\x00\x00\x00\x24\xcf\xa7\x0d\xbf\xff\x30\x08",
        b"\x81\x24\x00\x00\x0a\x0e\x20\x00\x00\x24\xcf\xa7\x0d\xbf\xff\x34\x04\x34\x00\x80",
    ];

    #[test]
    fn the_record_of_a_key_frame_is_what_its_encoder_would_have_written() {
        for record in RECORDS {
            let (_, sequence) = record.split_at(4);
            let key_frame = [b"\x12\x00", sequence, b"\x32\x01\x14"].concat();
            assert_eq!(record_of_key_frame(&key_frame).unwrap().unwrap(), record);
            assert!(Av1Config::parse(record).unwrap().sequence.is_some());
        }
        assert_eq!(record_of_key_frame(b"\x12\x00\x32\x01\x14").unwrap(), None);
    }

    #[test]
    fn a_cut_sequence_header_is_refused() {
        let (_, sequence) = RECORDS[0].split_at(4);
        for length in 1..10 {
            let unit = [&[0x0a, length as u8], &sequence[2..2 + length]].concat();
            assert!(record_of_key_frame(&unit).is_err(), "{length}");
        }
    }
}
