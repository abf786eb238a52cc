//! HEVC: the `hvcC` record (ISO/IEC 14496-15 §8.3.3.1) and, in [`Sps`], the sequence parameter set.

mod sps;

use std::fmt::Write as _;

pub use self::sps::Sps;
use super::{ConfigError, bits::BitReader};

const HVCC: &str = "hvcC";
/// ITU-T H.265 table 7-1.
const NAL_TYPE_SPS: u32 = 33;

/// `HEVCDecoderConfigurationRecord`, as far as it says something about the whole stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HvcConfig {
    /// `general_profile_space`: 0 in every published profile.
    pub profile_space: u8,
    /// `general_tier_flag`: the high tier.
    pub is_high_tier: bool,
    /// `general_profile_idc`.
    pub profile: u8,
    /// `general_profile_compatibility_flags`.
    pub compatibility: u32,
    /// `general_constraint_indicator_flags`: 48 bits.
    pub constraints: [u8; 6],
    /// `general_level_idc`: thirty times the level's number.
    pub level: u8,
    /// `avgFrameRate` in frames per 256 seconds; 0 where the writer does not say.
    pub average_frame_rate: u16,
    /// The first sequence parameter set.
    pub sps: Sps,
}

impl HvcConfig {
    /// Reads the record up to its first sequence parameter set.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(HVCC, record);
        let version = bits.bits(8, "configurationVersion")?;
        // Writers of drafts left 0 here, and decoders take it.
        if version > 1 {
            return Err(bits.invalid("configurationVersion", version));
        }
        let profile_space = bits.bits(2, "general_profile_space")? as u8;
        let is_high_tier = bits.flag("general_tier_flag")?;
        let profile = bits.bits(5, "general_profile_idc")? as u8;
        let compatibility = bits.bits(32, "general_profile_compatibility_flags")?;
        let mut constraints = [0; 6];
        for byte in &mut constraints {
            *byte = bits.bits(8, "general_constraint_indicator_flags")? as u8;
        }
        let level = bits.bits(8, "general_level_idc")? as u8;
        bits.skip(16, "min_spatial_segmentation_idc")?;
        bits.skip(8 + 8 + 8 + 8, "parallelismType … bitDepthChromaMinus8")?;
        let average_frame_rate = bits.bits(16, "avgFrameRate")? as u16;
        bits.skip(8, "constantFrameRate … lengthSizeMinusOne")?;
        let arrays = bits.bits(8, "numOfArrays")?;
        for _ in 0..arrays {
            let kind = bits.bits(8, "NAL_unit_type")? & 0x3f;
            let count = bits.bits(16, "numNalus")?;
            for _ in 0..count {
                let length = bits.bits(16, "nalUnitLength")? as usize;
                if kind != NAL_TYPE_SPS {
                    bits.skip(8 * length, "nalUnit")?;
                    continue;
                }
                return Ok(Self {
                    profile_space,
                    is_high_tier,
                    profile,
                    compatibility,
                    constraints,
                    level,
                    average_frame_rate,
                    sps: Sps::parse(bits.bytes(length, "nalUnit")?)?,
                });
            }
        }
        Err(ConfigError::NoSps)
    }

    /// Its name in playlists (ISO/IEC 14496-15 §E.3): `hvc1.1.6.L93.B0`.
    pub fn rfc6381(&self) -> String {
        let mut name = "hvc1.".to_owned();
        if let Some(space) = [None, Some('A'), Some('B'), Some('C')][usize::from(self.profile_space & 3)] {
            name.push(space);
        }
        let tier = if self.is_high_tier { 'H' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(
            name,
            "{}.{:x}.{tier}{}",
            self.profile,
            self.compatibility.reverse_bits(),
            self.level
        );
        let used = self
            .constraints
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        for byte in &self.constraints[..used] {
            let _ = write!(name, ".{byte:X}");
        }
        name
    }

    /// Frames a second, from the parameter set or else from the record.
    pub fn frame_rate(&self) -> Option<(u32, u32)> {
        self.sps
            .frame_rate
            .or_else(|| super::nal::frame_rate(256, self.average_frame_rate.into()))
    }
}

#[cfg(test)]
mod tests;
