//! AAC: AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).

use super::{ConfigError, bits::BitReader};
use crate::AudioFormat;

const ASC: &str = "AudioSpecificConfig";

/// What an AudioSpecificConfig says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// The audio object type that stands first: 2 is AAC-LC, 5 HE-AAC, 29 HE-AAC v2.
    pub object_type: u8,
    /// The object type of the coded core; differs from `object_type` for 5 and 29.
    pub core_object_type: u8,
    /// Sampling frequency of the coded core.
    pub core_sample_rate: u32,
    /// Channels of the coded core.
    pub core_channels: u8,
    /// Spectral band replication is signalled, at this output frequency.
    pub sbr_sample_rate: Option<u32>,
    /// Parametric stereo is signalled: a mono core decodes to two channels.
    pub parametric_stereo: bool,
    /// Samples per channel that one frame of the core decodes to.
    pub core_frame_samples: u32,
}

const AOT_AAC_LC: u8 = 2;
const AOT_SBR: u8 = 5;
const AOT_ER_BSAC: u8 = 22;
const AOT_ER_AAC_LD: u8 = 23;
const AOT_PS: u8 = 29;
const AOT_ESCAPE: u8 = 31;
const AOT_ER_AAC_ELD: u8 = 39;
/// `syncExtensionType` before backward-compatible SBR and PS signals.
const SYNC_SBR: u32 = 0x2b7;
const SYNC_PS: u32 = 0x548;

/// Table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
const EXPLICIT_RATE: u32 = 15;

impl AudioSpecificConfig {
    /// Reads the record. What follows the fields used here is left alone.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let mut bits = BitReader::new(ASC, record);
        let object_type = read_object_type(&mut bits)?;
        let core_sample_rate = read_sample_rate(&mut bits)?;
        let channel_configuration = bits.bits(4, "channelConfiguration")?;
        let mut core_object_type = object_type;
        let mut sbr_sample_rate = None;
        let mut parametric_stereo = false;
        let explicit_sbr = matches!(object_type, AOT_SBR | AOT_PS);
        if explicit_sbr {
            parametric_stereo = object_type == AOT_PS;
            sbr_sample_rate = Some(read_sample_rate(&mut bits)?);
            core_object_type = read_object_type(&mut bits)?;
            if core_object_type == AOT_ER_BSAC {
                bits.bits(4, "extensionChannelConfiguration")?;
            }
        }
        let specific = if has_ga_config(core_object_type) {
            GaConfig::read(&mut bits, core_object_type, channel_configuration)?
        } else {
            GaConfig {
                frame_samples: frame_samples(&mut bits, core_object_type)?,
                pce_channels: None,
            }
        };
        let core_channels = match channel_configuration {
            0 => specific
                .pce_channels
                .ok_or_else(|| bits.invalid("channelConfiguration", 0))?,
            1..=6 => channel_configuration as u8,
            7 | 12 | 14 => 8,
            11 => 7,
            13 => 24,
            other => return Err(bits.invalid("channelConfiguration", other)),
        };
        if !explicit_sbr && has_ga_config(core_object_type) {
            // Appended so that decoders without SBR never see it; cut or absent, it signals nothing.
            if let Ok(Some((rate, stereo))) = read_appended_sbr(&mut bits, core_object_type) {
                sbr_sample_rate = Some(rate);
                parametric_stereo = stereo;
            }
        }
        Ok(Self {
            object_type,
            core_object_type,
            core_sample_rate,
            core_channels,
            sbr_sample_rate,
            parametric_stereo,
            core_frame_samples: specific.frame_samples,
        })
    }

    /// The decoded sound: SBR and parametric stereo applied.
    pub fn format(&self) -> AudioFormat {
        let sample_rate = self.sbr_sample_rate.unwrap_or(self.core_sample_rate);
        let samples = u64::from(self.core_frame_samples) * u64::from(sample_rate) / u64::from(self.core_sample_rate);
        AudioFormat {
            sample_rate,
            channels: if self.parametric_stereo && self.core_channels == 1 {
                2
            } else {
                self.core_channels
            },
            profile: self.object_type,
            samples_per_frame: u32::try_from(samples).unwrap_or(self.core_frame_samples).max(1),
        }
    }
}

/// `GetAudioObjectType()`.
fn read_object_type(bits: &mut BitReader<'_>) -> Result<u8, ConfigError> {
    let object_type = bits.bits(5, "audioObjectType")? as u8;
    if object_type == AOT_ESCAPE {
        return Ok(32 + bits.bits(6, "audioObjectTypeExt")? as u8);
    }
    if object_type == 0 {
        return Err(bits.invalid("audioObjectType", 0));
    }
    Ok(object_type)
}

fn read_sample_rate(bits: &mut BitReader<'_>) -> Result<u32, ConfigError> {
    let index = bits.bits(4, "samplingFrequencyIndex")?;
    if index == EXPLICIT_RATE {
        return match bits.bits(24, "samplingFrequency")? {
            0 => Err(bits.invalid("samplingFrequency", 0)),
            rate => Ok(rate),
        };
    }
    SAMPLE_RATES
        .get(index as usize)
        .copied()
        .ok_or_else(|| bits.invalid("samplingFrequencyIndex", index))
}

/// The object types configured by `GASpecificConfig()` (§4.4.1).
fn has_ga_config(object_type: u8) -> bool {
    matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
}

/// Frame length of the types that have a configuration of their own.
fn frame_samples(bits: &mut BitReader<'_>, object_type: u8) -> Result<u32, ConfigError> {
    match object_type {
        AOT_ER_AAC_ELD => Ok(if bits.flag("frameLengthFlag")? { 480 } else { 512 }),
        _ => Ok(1024),
    }
}

struct GaConfig {
    frame_samples: u32,
    pce_channels: Option<u8>,
}

impl GaConfig {
    fn read(bits: &mut BitReader<'_>, object_type: u8, channel_configuration: u32) -> Result<Self, ConfigError> {
        let short = bits.flag("frameLengthFlag")?;
        let frame_samples = match (object_type, short) {
            (AOT_ER_AAC_LD, false) => 512,
            (AOT_ER_AAC_LD, true) => 480,
            (_, false) => 1024,
            (_, true) => 960,
        };
        if bits.flag("dependsOnCoreCoder")? {
            bits.bits(14, "coreCoderDelay")?;
        }
        let extended = bits.flag("extensionFlag")?;
        let pce_channels = if channel_configuration == 0 {
            Some(read_program_config_channels(bits)?)
        } else {
            None
        };
        if matches!(object_type, 6 | 20) {
            bits.bits(3, "layerNr")?;
        }
        if extended {
            match object_type {
                AOT_ER_BSAC => bits.skip(16, "numOfSubFrame, layer_length")?,
                17 | 19 | 20 | AOT_ER_AAC_LD => bits.skip(3, "resilience flags")?,
                _ => {}
            }
            bits.flag("extensionFlag3")?;
        }
        if object_type >= 17 {
            bits.bits(2, "epConfig")?;
        }
        Ok(Self {
            frame_samples,
            pce_channels,
        })
    }
}

/// `program_config_element()` (§4.4.1.1): only its channels are counted.
fn read_program_config_channels(bits: &mut BitReader<'_>) -> Result<u8, ConfigError> {
    bits.bits(4, "element_instance_tag")?;
    bits.bits(2, "object_type")?;
    bits.bits(4, "sampling_frequency_index")?;
    let front = bits.bits(4, "num_front_channel_elements")?;
    let side = bits.bits(4, "num_side_channel_elements")?;
    let back = bits.bits(4, "num_back_channel_elements")?;
    let lfe = bits.bits(2, "num_lfe_channel_elements")?;
    let assoc = bits.bits(3, "num_assoc_data_elements")?;
    let coupling = bits.bits(4, "num_valid_cc_elements")?;
    if bits.flag("mono_mixdown_present")? {
        bits.bits(4, "mono_mixdown_element_number")?;
    }
    if bits.flag("stereo_mixdown_present")? {
        bits.bits(4, "stereo_mixdown_element_number")?;
    }
    if bits.flag("matrix_mixdown_idx_present")? {
        bits.bits(3, "matrix_mixdown_idx")?;
    }
    let mut channels = lfe;
    for _ in 0..front + side + back {
        channels += if bits.flag("element_is_cpe")? { 2 } else { 1 };
        bits.bits(4, "element_tag_select")?;
    }
    bits.skip(
        4 * lfe as usize + 4 * assoc as usize + 5 * coupling as usize,
        "lfe, data and coupling elements",
    )?;
    bits.align();
    let comment = bits.bits(8, "comment_field_bytes")?;
    bits.skip(8 * comment as usize, "comment_field_data")?;
    match channels {
        // At most 3 * 15 * 2 + 3.
        1..=93 => Ok(channels as u8),
        _ => Err(bits.invalid("channels of the program_config_element", channels)),
    }
}

/// The backward-compatible signal at the end: output frequency and parametric stereo.
fn read_appended_sbr(bits: &mut BitReader<'_>, object_type: u8) -> Result<Option<(u32, bool)>, ConfigError> {
    if bits.bits_left() < 16 || bits.bits(11, "syncExtensionType")? != SYNC_SBR {
        return Ok(None);
    }
    let extension = read_object_type(bits)?;
    if !matches!(extension, AOT_SBR | AOT_ER_BSAC) || !bits.flag("sbrPresentFlag")? {
        return Ok(None);
    }
    let rate = read_sample_rate(bits)?;
    let stereo = object_type == AOT_AAC_LC
        && bits.bits_left() >= 12
        && bits.bits(11, "syncExtensionType")? == SYNC_PS
        && bits.flag("psPresentFlag")?;
    Ok(Some((rate, stereo)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::codec::bits::BitWriter;

    fn format(record: &[u8]) -> (u32, u8, u8, u32) {
        let format = AudioSpecificConfig::parse(record).unwrap().format();
        (
            format.sample_rate,
            format.channels,
            format.profile,
            format.samples_per_frame,
        )
    }

    #[test]
    fn records_of_ffmpeg_say_what_it_was_told() {
        // They end with the signal "no SBR", which must not be taken for SBR.
        assert_eq!(format(b"\x12\x10\x56\xe5\x00"), (44_100, 2, 2, 1024));
        assert_eq!(format(b"\x11\x88\x56\xe5\x00"), (48_000, 1, 2, 1024));
        assert_eq!(format(b"\x11\xb0\x56\xe5\x00"), (48_000, 6, 2, 1024));
        assert_eq!(format(b"\x13\x90\x56\xe5\x00"), (22_050, 2, 2, 1024));
    }

    #[test]
    fn two_bytes_are_enough_for_aac_lc() {
        assert_eq!(format(b"\x12\x10"), (44_100, 2, 2, 1024));
        assert_eq!(format(b"\x11\x94"), (48_000, 2, 2, 960));
    }

    #[test]
    fn sbr_said_first_doubles_the_rate() {
        assert_eq!(format(b"\x2b\x11\x88\x00"), (48_000, 2, 5, 2048));
        let v2 = AudioSpecificConfig::parse(b"\xeb\x09\x88\x00").unwrap();
        assert_eq!(
            (
                v2.object_type,
                v2.core_object_type,
                v2.core_channels,
                v2.parametric_stereo
            ),
            (29, 2, 1, true)
        );
        assert_eq!(format(b"\xeb\x09\x88\x00"), (48_000, 2, 29, 2048));
    }

    #[test]
    fn sbr_said_last_doubles_the_rate_and_keeps_the_object_type() {
        assert_eq!(format(b"\x13\x10\x56\xe5\x98"), (48_000, 2, 2, 2048));
        let v2 = AudioSpecificConfig::parse(b"\x13\x08\x56\xe5\x9d\x48\x80").unwrap();
        assert_eq!(
            (v2.sbr_sample_rate, v2.parametric_stereo, v2.core_sample_rate),
            (Some(48_000), true, 24_000)
        );
        assert_eq!(format(b"\x13\x08\x56\xe5\x9d\x48\x80"), (48_000, 2, 2, 2048));
    }

    #[test]
    fn down_sampled_sbr_leaves_the_frame_length() {
        // Object type 5 with the same rate inside and outside.
        let record = BitWriter::default()
            .bits(5, 5)
            .bits(4, 3)
            .bits(4, 2)
            .bits(4, 3)
            .bits(5, 2)
            .bits(3, 0)
            .bytes();
        assert_eq!(format(&record), (48_000, 2, 5, 1024));
    }

    #[test]
    fn a_rate_outside_the_table_is_written_out() {
        let record = BitWriter::default()
            .bits(5, 2)
            .bits(4, 15)
            .bits(24, 37_800)
            .bits(4, 1)
            .bits(3, 0)
            .bytes();
        assert_eq!(format(&record), (37_800, 1, 2, 1024));
    }

    #[test]
    fn object_types_over_31_are_escaped() {
        let eld = BitWriter::default()
            .bits(5, 31)
            .bits(6, 39 - 32)
            .bits(4, 3)
            .bits(4, 2)
            .bits(1, 1)
            .bytes();
        assert_eq!(format(&eld), (48_000, 2, 39, 480));
        let ld = BitWriter::default()
            .bits(5, 23)
            .bits(4, 3)
            .bits(4, 2)
            .bits(3, 0)
            .bits(2, 0)
            .bytes();
        assert_eq!(format(&ld), (48_000, 2, 23, 512));
    }

    /// Front pair and centre, back pair, one LFE, one data and one coupling element.
    fn with_program_config() -> BitWriter {
        let mut w = BitWriter::default();
        w.bits(5, 2).bits(4, 3).bits(4, 0).bits(3, 0);
        w.bits(4, 0)
            .bits(2, 1)
            .bits(4, 3)
            .bits(4, 2)
            .bits(4, 0)
            .bits(4, 1)
            .bits(2, 1)
            .bits(3, 1)
            .bits(4, 1);
        w.flag(true).bits(4, 0).flag(true).bits(4, 0).flag(true).bits(3, 0);
        w.flag(false).bits(4, 0).flag(true).bits(4, 0).flag(true).bits(4, 1);
        w.bits(4, 0).bits(4, 0).bits(5, 0);
        w.align().bits(8, 2).bits(16, 0x6869);
        w
    }

    #[test]
    fn channels_are_counted_in_a_program_config_element() {
        assert_eq!(format(&with_program_config().bytes()), (48_000, 6, 2, 1024));
        let sbr_behind = with_program_config()
            .bits(11, 0x2b7)
            .bits(5, 5)
            .bits(1, 1)
            .bits(4, 0)
            .bytes();
        assert_eq!(format(&sbr_behind), (96_000, 6, 2, 2048));
        let cut = with_program_config().bytes();
        assert!(matches!(
            AudioSpecificConfig::parse(&cut[..cut.len() - 1]),
            Err(ConfigError::Truncated { .. })
        ));
    }

    #[test]
    fn what_decodes_to_nothing_is_refused_by_field() {
        let field = |record: &[u8]| match AudioSpecificConfig::parse(record) {
            Err(ConfigError::Invalid { field, .. } | ConfigError::Truncated { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(b""), "audioObjectType");
        assert_eq!(field(b"\x00\x00"), "audioObjectType");
        assert_eq!(field(b"\x16\x90"), "samplingFrequencyIndex");
        assert_eq!(field(b"\x17\x80\x00\x00\x08"), "samplingFrequency");
        assert_eq!(field(b"\x12\x40"), "channelConfiguration");
        assert_eq!(field(b"\x12"), "samplingFrequencyIndex");
        assert_eq!(field(b"\x12\x00"), "element_instance_tag");
    }

    #[test]
    fn channel_configurations_follow_table_1_19() {
        for (configuration, channels) in [
            (1, 1),
            (2, 2),
            (3, 3),
            (4, 4),
            (5, 5),
            (6, 6),
            (7, 8),
            (11, 7),
            (12, 8),
            (13, 24),
            (14, 8),
        ] {
            let record = BitWriter::default()
                .bits(5, 2)
                .bits(4, 3)
                .bits(4, configuration)
                .bits(3, 0)
                .bytes();
            assert_eq!(format(&record).1, channels);
        }
    }
}
