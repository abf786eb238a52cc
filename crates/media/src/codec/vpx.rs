//! VP8 and VP9: the `vpcC` record ("VP Codec ISO Media File Format Binding") and the headers of key frames, which alone tell
//! the size of the pictures (RFC 6386 §9.1, "VP9 Bitstream & Decoding Process Specification" §6.2).

use super::{ConfigError, bits::BitReader};

const VPCC: &str = "vpcC";
const VP8: &str = "VP8 key frame";
const VP9: &str = "VP9 key frame";
const VP8_START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
const VP9_FRAME_MARKER: u32 = 2;
const VP9_SYNC_CODE: u32 = 0x49_8342;
/// `CS_RGB`.
const VP9_RGB: u32 = 7;

/// `VPCodecConfigurationRecord`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpConfig {
    /// 0 to 3.
    pub profile: u8,
    /// Ten times the level's number; 0 if it is not known.
    pub level: u8,
    /// Bits of a sample.
    pub bit_depth: u8,
}

impl VpConfig {
    /// Reads the record, with or without the version and flags that stand before it in a file.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let record = match record {
            [1, 0, 0, 0, rest @ ..] if rest.len() >= 8 => rest,
            other => other,
        };
        let mut bits = BitReader::new(VPCC, record);
        let profile = bits.bits(8, "profile")?;
        if profile > 3 {
            return Err(bits.invalid("profile", profile));
        }
        let level = bits.bits(8, "level")? as u8;
        let bit_depth = bits.bits(4, "bitDepth")?;
        if !matches!(bit_depth, 8 | 10 | 12) {
            return Err(bits.invalid("bitDepth", bit_depth));
        }
        Ok(Self {
            profile: profile as u8,
            level,
            bit_depth: bit_depth as u8,
        })
    }

    /// Its name in playlists (the binding's "Codecs Parameter String"): `vp09.00.31.08`.
    pub fn rfc6381(&self, sample_entry: &str) -> String {
        format!(
            "{sample_entry}.{:02}.{:02}.{:02}",
            self.profile, self.level, self.bit_depth
        )
    }
}

/// Width and height of a VP8 key frame.
pub fn vp8_size(frame: &[u8]) -> Result<(u32, u32), ConfigError> {
    let truncated = ConfigError::Truncated {
        record: VP8,
        field: "size",
        bit: 8 * frame.len(),
    };
    let header = frame.first_chunk::<10>().ok_or(truncated)?;
    let invalid = |field, value| ConfigError::Invalid {
        record: VP8,
        field,
        value,
    };
    if header[0] & 1 != 0 {
        return Err(invalid("frame_type", 1));
    }
    if header[3..6] != VP8_START_CODE {
        return Err(invalid(
            "start_code",
            u32::from_be_bytes([0, header[3], header[4], header[5]]),
        ));
    }
    // The two bits above are a scale for the display, which nobody sets.
    let size = |at: usize| u32::from(u16::from_le_bytes([header[at], header[at + 1]]) & 0x3fff);
    match (size(6), size(8)) {
        (0, _) | (_, 0) => Err(invalid("size", 0)),
        size => Ok(size),
    }
}

/// Width and height of a VP9 key frame.
pub fn vp9_size(frame: &[u8]) -> Result<(u32, u32), ConfigError> {
    let mut bits = BitReader::new(VP9, frame);
    let marker = bits.bits(2, "frame_marker")?;
    if marker != VP9_FRAME_MARKER {
        return Err(bits.invalid("frame_marker", marker));
    }
    let profile = bits.bits(1, "profile_low_bit")? | bits.bits(1, "profile_high_bit")? << 1;
    if profile == 3 {
        bits.flag("reserved_zero")?;
    }
    if bits.flag("show_existing_frame")? {
        return Err(bits.invalid("show_existing_frame", 1));
    }
    if bits.flag("frame_type")? {
        return Err(bits.invalid("frame_type", 1));
    }
    bits.skip(2, "show_frame, error_resilient_mode")?;
    let sync = bits.bits(24, "frame_sync_code")?;
    if sync != VP9_SYNC_CODE {
        return Err(bits.invalid("frame_sync_code", sync));
    }
    if profile >= 2 {
        bits.flag("ten_or_twelve_bit")?;
    }
    let is_rgb = bits.bits(3, "color_space")? == VP9_RGB;
    if !is_rgb {
        bits.flag("color_range")?;
    }
    match (profile, is_rgb) {
        (1 | 3, false) => bits.skip(3, "subsampling_x, subsampling_y, reserved_zero")?,
        (1 | 3, true) => bits.skip(1, "reserved_zero")?,
        _ => {}
    }
    Ok((
        bits.bits(16, "frame_width_minus_1")? + 1,
        bits.bits(16, "frame_height_minus_1")? + 1,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::codec::bits::BitWriter;

    #[test]
    fn the_record_may_stand_behind_a_files_version() {
        let expected = VpConfig {
            profile: 0,
            level: 31,
            bit_depth: 8,
        };
        assert_eq!(VpConfig::parse(b"\0\x1f\x82\x01\x01\x01\0\0"), Ok(expected));
        assert_eq!(VpConfig::parse(b"\x01\0\0\0\0\x1f\x82\x01\x01\x01\0\0"), Ok(expected));
        assert_eq!(expected.rfc6381("vp09"), "vp09.00.31.08");
        assert!(VpConfig::parse(b"\x09\x1f\x82").is_err());
        assert!(VpConfig::parse(b"\0\x1f").is_err());
    }

    #[test]
    fn a_vp8_key_frame_tells_its_size() {
        assert_eq!(vp8_size(b"\x10\x02\0\x9d\x01\x2a\x80\x02\xe0\x01rest"), Ok((640, 480)));
        assert!(
            vp8_size(b"\x11\x02\0\x9d\x01\x2a\x80\x02\xe0\x01").is_err(),
            "no key frame"
        );
        assert!(
            vp8_size(b"\x10\x02\0\x9d\x01\x2b\x80\x02\xe0\x01").is_err(),
            "no start code"
        );
        assert!(vp8_size(b"\x10\x02\0\x9d\x01").is_err(), "cut");
    }

    #[test]
    fn a_vp9_key_frame_tells_its_size() {
        let frame = |profile: u32, is_key: bool| {
            let mut frame = BitWriter::default();
            frame.bits(2, 2).bits(1, profile & 1).bits(1, profile >> 1);
            frame.flag(false).flag(!is_key).bits(2, 2).bits(24, VP9_SYNC_CODE);
            if profile == 2 {
                frame.flag(false);
            }
            frame.bits(3, 2).flag(false);
            if profile == 1 {
                frame.bits(3, 0);
            }
            frame.bits(16, 1279).bits(16, 719).bytes()
        };
        for profile in 0..3 {
            assert_eq!(vp9_size(&frame(profile, true)), Ok((1280, 720)), "profile {profile}");
        }
        assert!(vp9_size(&frame(0, false)).is_err());
        assert!(vp9_size(b"\x82\x49").is_err());
    }
}
