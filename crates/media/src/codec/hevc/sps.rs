//! The sequence parameter set (ITU-T H.265 §7.3.2.2) and its VUI (§E.2.1), up to the frame rate.

use crate::codec::{
    ConfigError,
    bits::BitReader,
    nal::{frame_rate, without_emulation_prevention},
};

const SPS: &str = "HEVC SPS";
/// No level allows wider or higher pictures (§A.4.1: √(8 · MaxLumaPs) at level 6.2 is 16 888).
const MAX_DIMENSION: u32 = 16_888;
/// §7.4.3.2.1: a sequence has at most 64 candidate sets, of at most 16 pictures.
const MAX_REFERENCE_SETS: u32 = 64;
const MAX_REFERENCES: u32 = 16;

/// What a sequence parameter set says about the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Luma bit depth.
    pub bit_depth: u8,
    /// Width in luma samples, the conformance window applied.
    pub width: u32,
    /// Height in luma samples, the conformance window applied.
    pub height: u32,
    /// Pictures per second in lowest terms, where the VUI gives a plausible number.
    pub frame_rate: Option<(u32, u32)>,
}

impl Sps {
    /// Reads a NAL unit: its two header bytes, then the parameter set with emulation prevention still in it.
    pub fn parse(nal: &[u8]) -> Result<Self, ConfigError> {
        let rbsp = without_emulation_prevention(nal);
        let mut bits = BitReader::new(SPS, &rbsp);
        bits.skip(16, "nal_unit_header")?;
        bits.skip(4, "sps_video_parameter_set_id")?;
        let sub_layers = bits.bits(3, "sps_max_sub_layers_minus1")?;
        bits.flag("sps_temporal_id_nesting_flag")?;
        skip_profile_tier_level(&mut bits, sub_layers)?;
        bits.ue("sps_seq_parameter_set_id")?;
        let chroma_format = bits.ue("chroma_format_idc")?;
        if chroma_format > 3 {
            return Err(bits.invalid("chroma_format_idc", chroma_format));
        }
        if chroma_format == 3 {
            bits.flag("separate_colour_plane_flag")?;
        }
        let coded_width = dimension(&mut bits, "pic_width_in_luma_samples")?;
        let coded_height = dimension(&mut bits, "pic_height_in_luma_samples")?;
        let (width, height) = if bits.flag("conformance_window_flag")? {
            // Table 6-1: SubWidthC and SubHeightC.
            let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
            let unit_y = if chroma_format == 1 { 2 } else { 1 };
            (
                cropped(&mut bits, coded_width, unit_x, "conf_win_right_offset")?,
                cropped(&mut bits, coded_height, unit_y, "conf_win_bottom_offset")?,
            )
        } else {
            (coded_width, coded_height)
        };
        let luma = bits.ue("bit_depth_luma_minus8")?;
        if luma > 8 {
            return Err(bits.invalid("bit_depth_luma_minus8", luma));
        }
        Ok(Self {
            chroma_format: chroma_format as u8,
            bit_depth: 8 + luma as u8,
            width,
            height,
            // Sizes are worth having even when what is behind them is cut short.
            frame_rate: read_frame_rate(&mut bits, sub_layers).unwrap_or(None),
        })
    }
}

fn dimension(bits: &mut BitReader<'_>, field: &'static str) -> Result<u32, ConfigError> {
    let size = bits.ue(field)?;
    match size {
        1..=MAX_DIMENSION => Ok(size),
        _ => Err(bits.invalid(field, size)),
    }
}

/// Reads the two offsets of one direction and takes them off; something must remain.
fn cropped(bits: &mut BitReader<'_>, coded: u32, unit: u32, field: &'static str) -> Result<u32, ConfigError> {
    let (first, second) = (bits.ue(field)?, bits.ue(field)?);
    first
        .checked_add(second)
        .and_then(|units| units.checked_mul(unit))
        .and_then(|crop| coded.checked_sub(crop))
        .filter(|size| *size > 0)
        .ok_or_else(|| bits.invalid(field, second))
}

/// §7.3.3.
fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers: u32) -> Result<(), ConfigError> {
    const PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    bits.skip(PROFILE_BITS + LEVEL_BITS, "profile_tier_level")?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((
            bits.flag("sub_layer_profile_present_flag")?,
            bits.flag("sub_layer_level_present_flag")?,
        ));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize), "reserved_zero_2bits")?;
    }
    for (profile, level) in present {
        let length = if profile { PROFILE_BITS } else { 0 } + if level { LEVEL_BITS } else { 0 };
        bits.skip(length, "sub_layer_profile_tier_level")?;
    }
    Ok(())
}

/// From behind `bit_depth_luma_minus8` to the timing information of the VUI.
fn read_frame_rate(bits: &mut BitReader<'_>, sub_layers: u32) -> Result<Option<(u32, u32)>, ConfigError> {
    bits.ue("bit_depth_chroma_minus8")?;
    let order_bits = bits.ue("log2_max_pic_order_cnt_lsb_minus4")?;
    let from = if bits.flag("sps_sub_layer_ordering_info_present_flag")? {
        0
    } else {
        sub_layers
    };
    for _ in from..=sub_layers {
        bits.ue("sps_max_dec_pic_buffering_minus1")?;
        bits.ue("sps_max_num_reorder_pics")?;
        bits.ue("sps_max_latency_increase_plus1")?;
    }
    for field in [
        "log2_min_luma_coding_block_size_minus3",
        "log2_diff_max_min_luma_coding_block_size",
        "log2_min_luma_transform_block_size_minus2",
        "log2_diff_max_min_luma_transform_block_size",
        "max_transform_hierarchy_depth_inter",
        "max_transform_hierarchy_depth_intra",
    ] {
        bits.ue(field)?;
    }
    if bits.flag("scaling_list_enabled_flag")? && bits.flag("sps_scaling_list_data_present_flag")? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2, "amp_enabled_flag, sample_adaptive_offset_enabled_flag")?;
    if bits.flag("pcm_enabled_flag")? {
        bits.skip(8, "pcm_sample_bit_depth")?;
        bits.ue("log2_min_pcm_luma_coding_block_size_minus3")?;
        bits.ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
        bits.flag("pcm_loop_filter_disabled_flag")?;
    }
    skip_reference_sets(bits)?;
    if bits.flag("long_term_ref_pics_present_flag")? {
        let count = bits.ue("num_long_term_ref_pics_sps")?;
        if count > 32 {
            return Err(bits.invalid("num_long_term_ref_pics_sps", count));
        }
        let each = order_bits.saturating_add(4 + 1) as usize;
        bits.skip(each.saturating_mul(count as usize), "lt_ref_pic_poc_lsb_sps")?;
    }
    bits.skip(2, "sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag")?;
    if !bits.flag("vui_parameters_present_flag")? {
        return Ok(None);
    }
    read_vui(bits)
}

/// §7.3.4.
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Result<(), ConfigError> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !bits.flag("scaling_list_pred_mode_flag")? {
                bits.ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                bits.se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..64.min(1 << (4 + (size << 1))) {
                bits.se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// §7.3.7 for every candidate set. A set is either told, or predicted from the one before.
fn skip_reference_sets(bits: &mut BitReader<'_>) -> Result<(), ConfigError> {
    let sets = bits.ue("num_short_term_ref_pic_sets")?;
    if sets > MAX_REFERENCE_SETS {
        return Err(bits.invalid("num_short_term_ref_pic_sets", sets));
    }
    // `NumDeltaPocs` of the set before.
    let mut pictures = 0;
    for set in 0..sets {
        if set > 0 && bits.flag("inter_ref_pic_set_prediction_flag")? {
            bits.flag("delta_rps_sign")?;
            bits.ue("abs_delta_rps_minus1")?;
            let mut kept = 0;
            for _ in 0..=pictures {
                let is_used = bits.flag("used_by_curr_pic_flag")?;
                if is_used || bits.flag("use_delta_flag")? {
                    kept += 1;
                }
            }
            pictures = kept;
        } else {
            let (before, after) = (bits.ue("num_negative_pics")?, bits.ue("num_positive_pics")?);
            if before > MAX_REFERENCES || after > MAX_REFERENCES {
                return Err(bits.invalid("num_negative_pics", before.max(after)));
            }
            pictures = before + after;
            for _ in 0..pictures {
                bits.ue("delta_poc_minus1")?;
                bits.flag("used_by_curr_pic_flag")?;
            }
        }
        if pictures > MAX_REFERENCES {
            return Err(bits.invalid("NumDeltaPocs", pictures));
        }
    }
    Ok(())
}

fn read_vui(bits: &mut BitReader<'_>) -> Result<Option<(u32, u32)>, ConfigError> {
    const EXTENDED_SAR: u32 = 255;
    if bits.flag("aspect_ratio_info_present_flag")? && bits.bits(8, "aspect_ratio_idc")? == EXTENDED_SAR {
        bits.skip(32, "sar_width, sar_height")?;
    }
    if bits.flag("overscan_info_present_flag")? {
        bits.flag("overscan_appropriate_flag")?;
    }
    if bits.flag("video_signal_type_present_flag")? {
        bits.skip(4, "video_format, video_full_range_flag")?;
        if bits.flag("colour_description_present_flag")? {
            bits.skip(24, "colour_description")?;
        }
    }
    if bits.flag("chroma_loc_info_present_flag")? {
        bits.ue("chroma_sample_loc_type_top_field")?;
        bits.ue("chroma_sample_loc_type_bottom_field")?;
    }
    bits.skip(
        3,
        "neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag",
    )?;
    if bits.flag("default_display_window_flag")? {
        for _ in 0..4 {
            bits.ue("def_disp_win_offset")?;
        }
    }
    if !bits.flag("vui_timing_info_present_flag")? {
        return Ok(None);
    }
    // Unlike in H.264, a tick is a whole picture (§E.3.1).
    let units = bits.bits(32, "vui_num_units_in_tick")?;
    let scale = bits.bits(32, "vui_time_scale")?;
    Ok(frame_rate(units.into(), scale.into()))
}
