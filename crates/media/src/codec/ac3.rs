//! AC-3 and E-AC-3: the header of a frame (ETSI TS 102 366 §4.4.1, §4.4.2 and §E.1.2), their only configuration.

use super::{ConfigError, bits::BitReader};
use crate::AudioFormat;

const AC3: &str = "AC-3 frame header";
const EAC3: &str = "E-AC-3 frame header";
const SYNC_WORD: u32 = 0x0b77;
const SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Full channels by `acmod` (table 4.3), without the one for low frequencies.
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
const SAMPLES_PER_BLOCK: u32 = 256;

/// Reads the header at the start of an AC-3 frame.
pub fn parse_ac3(frame: &[u8]) -> Result<AudioFormat, ConfigError> {
    let mut bits = BitReader::new(AC3, frame);
    sync(&mut bits)?;
    bits.skip(16, "crc1")?;
    let rate_code = bits.bits(2, "fscod")?;
    let sample_rate = rate(&bits, rate_code)?;
    bits.skip(6, "frmsizecod")?;
    let id = bits.bits(5, "bsid")?;
    if id > 8 {
        return Err(bits.invalid("bsid", id));
    }
    bits.skip(3, "bsmod")?;
    let mode = bits.bits(3, "acmod")?;
    if mode & 1 != 0 && mode != 1 {
        bits.skip(2, "cmixlev")?;
    }
    if mode & 4 != 0 {
        bits.skip(2, "surmixlev")?;
    }
    if mode == 2 {
        bits.skip(2, "dsurmod")?;
    }
    let low_frequencies = bits.bits(1, "lfeon")?;
    Ok(format(sample_rate, mode, low_frequencies, 6))
}

/// Reads the header at the start of an E-AC-3 frame.
pub fn parse_eac3(frame: &[u8]) -> Result<AudioFormat, ConfigError> {
    let mut bits = BitReader::new(EAC3, frame);
    sync(&mut bits)?;
    bits.skip(2 + 3 + 11, "strmtyp, substreamid, frmsiz")?;
    let rate_code = bits.bits(2, "fscod")?;
    let second = bits.bits(2, "fscod2 or numblkscod")?;
    let (sample_rate, blocks) = match rate_code {
        3 => (rate(&bits, second)? / 2, 6),
        code => (rate(&bits, code)?, [1, 2, 3, 6][second as usize]),
    };
    let mode = bits.bits(3, "acmod")?;
    let low_frequencies = bits.bits(1, "lfeon")?;
    let id = bits.bits(5, "bsid")?;
    if !(11..=16).contains(&id) {
        return Err(bits.invalid("bsid", id));
    }
    Ok(format(sample_rate, mode, low_frequencies, blocks))
}

fn sync(bits: &mut BitReader<'_>) -> Result<(), ConfigError> {
    match bits.bits(16, "syncword")? {
        SYNC_WORD => Ok(()),
        other => Err(bits.invalid("syncword", other)),
    }
}

fn rate(bits: &BitReader<'_>, code: u32) -> Result<u32, ConfigError> {
    let rate = SAMPLE_RATES.get(code as usize).copied();
    rate.ok_or_else(|| bits.invalid("fscod", code))
}

fn format(sample_rate: u32, mode: u32, low_frequencies: u32, blocks: u32) -> AudioFormat {
    AudioFormat {
        sample_rate,
        channels: CHANNELS[mode as usize & 7] + low_frequencies as u8,
        profile: 0,
        samples_per_frame: blocks * SAMPLES_PER_BLOCK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_real_encoders_are_read() {
        let shown = |format: Result<AudioFormat, _>| format.map(|f| (f.sample_rate, f.channels, f.samples_per_frame));
        // ffmpeg's encoders: stereo at 48 kHz, and 5.1 at 44.1 kHz.
        assert_eq!(
            shown(parse_ac3(b"\x0b\x77\x74\x9d\x14\x40\x43\xe1")),
            Ok((48_000, 2, 1536))
        );
        assert_eq!(
            shown(parse_ac3(b"\x0b\x77\x00\x00\x5c\x40\xeb\xf8")),
            Ok((44_100, 6, 1536))
        );
        assert_eq!(
            shown(parse_eac3(b"\x0b\x77\x01\x7f\x34\x87\x00")),
            Ok((48_000, 2, 1536))
        );
    }

    #[test]
    fn each_is_told_from_the_other_and_from_noise() {
        assert!(parse_ac3(b"\x0b\x77\x01\x7f\x34\x87\x00\x00").is_err());
        assert!(parse_eac3(b"\x0b\x77\x74\x9d\x14\x40\x43\xe1").is_err());
        assert!(parse_ac3(b"\x0b\x78\x74\x9d\x14\x40\x43\xe1").is_err());
        assert!(parse_eac3(b"\x0b\x77").is_err());
    }
}
