//! The sequence parameter set (ITU-T H.264 7.3.2.1.1) and its VUI (E.1.1).

use crate::codec::{
    ConfigError,
    bits::BitReader,
    nal::{self, without_emulation_prevention},
};

/// What a sequence parameter set says about the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// The byte of `constraint_set*_flag`s.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Luma bit depth.
    pub bit_depth: u8,
    /// Width in luma samples, cropping applied.
    pub width: u32,
    /// Height in luma samples of a frame (both fields), cropping applied.
    pub height: u32,
    /// Pictures may be coded as fields (`frame_mbs_only_flag` 0).
    pub interlaced: bool,
    /// Sample aspect ratio, where it is given and defined.
    pub sample_aspect: Option<(u32, u32)>,
    /// Frames (not fields) per second in lowest terms, where the VUI gives a plausible one.
    pub frame_rate: Option<(u32, u32)>,
}

const SPS: &str = "SPS";
const NAL_TYPE_SPS: u8 = 7;
/// No level allows wider or higher pictures (A.3.1: √(8 · MaxFS) macroblocks at level 6.2 is 16 880).
const MAX_DIMENSION: u32 = 16_880;
const EXTENDED_SAR: u32 = 255;

/// Table E-1, index `aspect_ratio_idc` - 1.
const SAMPLE_ASPECTS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

impl Sps {
    /// Reads a NAL unit: its header byte, then the parameter set with emulation prevention still in it.
    pub fn parse(nal: &[u8]) -> Result<Self, ConfigError> {
        let Some((&header, payload)) = nal.split_first() else {
            return Err(ConfigError::Truncated {
                record: SPS,
                field: "nal_unit_type",
                bit: 0,
            });
        };
        if header & 0x1f != NAL_TYPE_SPS {
            return Err(ConfigError::Invalid {
                record: SPS,
                field: "nal_unit_type",
                value: (header & 0x1f).into(),
            });
        }
        let rbsp = without_emulation_prevention(payload);
        let mut bits = BitReader::new(SPS, &rbsp);

        let profile = bits.bits(8, "profile_idc")? as u8;
        let constraints = bits.bits(8, "constraint_set_flags")? as u8;
        let level = bits.bits(8, "level_idc")? as u8;
        bits.ue("seq_parameter_set_id")?;
        let chroma = if has_chroma_fields(profile) {
            Chroma::read(&mut bits)?
        } else {
            Chroma::DEFAULT
        };
        bits.ue("log2_max_frame_num_minus4")?;
        match bits.ue("pic_order_cnt_type")? {
            0 => {
                bits.ue("log2_max_pic_order_cnt_lsb_minus4")?;
            }
            1 => skip_expected_poc_cycle(&mut bits)?,
            2 => {}
            other => return Err(bits.invalid("pic_order_cnt_type", other)),
        }
        bits.ue("max_num_ref_frames")?;
        bits.flag("gaps_in_frame_num_value_allowed_flag")?;
        let coded_width = macroblocks(&mut bits, "pic_width_in_mbs_minus1", 16)?;
        let map_units = bits.ue("pic_height_in_map_units_minus1")?;
        let interlaced = !bits.flag("frame_mbs_only_flag")?;
        let fields = if interlaced { 2 } else { 1 };
        let coded_height = map_units
            .checked_add(1)
            .and_then(|units| units.checked_mul(16 * fields))
            .filter(|height| *height <= MAX_DIMENSION)
            .ok_or_else(|| bits.invalid("pic_height_in_map_units_minus1", map_units))?;
        if interlaced {
            bits.flag("mb_adaptive_frame_field_flag")?;
        }
        bits.flag("direct_8x8_inference_flag")?;
        let (width, height) = if bits.flag("frame_cropping_flag")? {
            let (unit_x, unit_y) = chroma.crop_units();
            (
                cropped(&mut bits, coded_width, unit_x, "frame_crop_right_offset")?,
                cropped(&mut bits, coded_height, unit_y * fields, "frame_crop_bottom_offset")?,
            )
        } else {
            (coded_width, coded_height)
        };
        // Sizes are worth having even when the VUI behind them is cut short, as some cameras leave it.
        let vui = match bits.flag("vui_parameters_present_flag") {
            Ok(true) => Vui::read(&mut bits),
            Ok(false) | Err(_) => Vui::default(),
        };
        Ok(Self {
            profile,
            constraints,
            level,
            chroma_format: chroma.format,
            bit_depth: chroma.bit_depth,
            width,
            height,
            interlaced,
            sample_aspect: vui.sample_aspect,
            frame_rate: vui.frame_rate,
        })
    }
}

/// The profiles whose SPS carries chroma format, bit depths and scaling matrices.
fn has_chroma_fields(profile: u8) -> bool {
    matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    )
}

struct Chroma {
    format: u8,
    bit_depth: u8,
}

impl Chroma {
    const DEFAULT: Self = Self {
        format: 1,
        bit_depth: 8,
    };

    fn read(bits: &mut BitReader<'_>) -> Result<Self, ConfigError> {
        let format = bits.ue("chroma_format_idc")?;
        if format > 3 {
            return Err(bits.invalid("chroma_format_idc", format));
        }
        if format == 3 {
            bits.flag("separate_colour_plane_flag")?;
        }
        let luma = bits.ue("bit_depth_luma_minus8")?;
        if luma > 6 {
            return Err(bits.invalid("bit_depth_luma_minus8", luma));
        }
        bits.ue("bit_depth_chroma_minus8")?;
        bits.flag("qpprime_y_zero_transform_bypass_flag")?;
        if bits.flag("seq_scaling_matrix_present_flag")? {
            for list in 0..if format == 3 { 12 } else { 8 } {
                if bits.flag("seq_scaling_list_present_flag")? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(Self {
            format: format as u8,
            bit_depth: 8 + luma as u8,
        })
    }

    /// `CropUnitX` and `CropUnitY` of a progressive frame (7-19 … 7-22): luma samples per chroma sample, and 1 where
    /// there is no chroma or its planes are coded like luma.
    fn crop_units(&self) -> (u32, u32) {
        match self.format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        }
    }
}

/// 7.3.2.1.1.1: a list ends early where the next scale becomes zero.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Result<(), ConfigError> {
    let mut next = 8_i32;
    for _ in 0..size {
        let delta = bits.se("delta_scale")?;
        next = next.wrapping_add(delta).wrapping_add(256) & 0xff;
        if next == 0 {
            break;
        }
    }
    Ok(())
}

fn skip_expected_poc_cycle(bits: &mut BitReader<'_>) -> Result<(), ConfigError> {
    bits.flag("delta_pic_order_always_zero_flag")?;
    bits.se("offset_for_non_ref_pic")?;
    bits.se("offset_for_top_to_bottom_field")?;
    let count = bits.ue("num_ref_frames_in_pic_order_cnt_cycle")?;
    if count > 255 {
        return Err(bits.invalid("num_ref_frames_in_pic_order_cnt_cycle", count));
    }
    for _ in 0..count {
        bits.se("offset_for_ref_frame")?;
    }
    Ok(())
}

fn macroblocks(bits: &mut BitReader<'_>, field: &'static str, samples: u32) -> Result<u32, ConfigError> {
    let minus1 = bits.ue(field)?;
    minus1
        .checked_add(1)
        .and_then(|count| count.checked_mul(samples))
        .filter(|size| *size <= MAX_DIMENSION)
        .ok_or_else(|| bits.invalid(field, minus1))
}

/// Reads the two cropping offsets of one direction and takes them off; something must remain.
fn cropped(bits: &mut BitReader<'_>, coded: u32, unit: u32, field: &'static str) -> Result<u32, ConfigError> {
    let (first, second) = (bits.ue(field)?, bits.ue(field)?);
    first
        .checked_add(second)
        .and_then(|units| units.checked_mul(unit))
        .and_then(|crop| coded.checked_sub(crop))
        .filter(|size| *size > 0)
        .ok_or_else(|| bits.invalid(field, second))
}

#[derive(Default)]
struct Vui {
    sample_aspect: Option<(u32, u32)>,
    frame_rate: Option<(u32, u32)>,
}

impl Vui {
    /// What could be read before the end or the first oddity.
    fn read(bits: &mut BitReader<'_>) -> Self {
        let mut vui = Self::default();
        // A short VUI leaves the later fields unknown, which is what the defaults say.
        let _ = vui.fill(bits);
        vui
    }

    fn fill(&mut self, bits: &mut BitReader<'_>) -> Result<(), ConfigError> {
        if bits.flag("aspect_ratio_info_present_flag")? {
            self.sample_aspect = match bits.bits(8, "aspect_ratio_idc")? {
                EXTENDED_SAR => {
                    let (width, height) = (bits.bits(16, "sar_width")?, bits.bits(16, "sar_height")?);
                    (width != 0 && height != 0).then_some((width, height))
                }
                0 => None,
                idc => SAMPLE_ASPECTS.get(idc as usize - 1).copied(),
            };
        }
        if bits.flag("overscan_info_present_flag")? {
            bits.flag("overscan_appropriate_flag")?;
        }
        if bits.flag("video_signal_type_present_flag")? {
            bits.bits(4, "video_format, video_full_range_flag")?;
            if bits.flag("colour_description_present_flag")? {
                bits.bits(24, "colour_description")?;
            }
        }
        if bits.flag("chroma_loc_info_present_flag")? {
            bits.ue("chroma_sample_loc_type_top_field")?;
            bits.ue("chroma_sample_loc_type_bottom_field")?;
        }
        if bits.flag("timing_info_present_flag")? {
            let units_in_tick = bits.bits(32, "num_units_in_tick")?;
            let time_scale = bits.bits(32, "time_scale")?;
            self.frame_rate = frame_rate(units_in_tick, time_scale);
        }
        Ok(())
    }
}

/// A tick is a field's duration (E.2.1), so a frame lasts two, progressive or not.
fn frame_rate(units_in_tick: u32, time_scale: u32) -> Option<(u32, u32)> {
    nal::frame_rate(u64::from(units_in_tick) * 2, time_scale.into())
}
