#![allow(clippy::unwrap_used)]

use super::*;

/// x265 of 640x360 pictures, 30 a second; the SEI array behind is left out.
const SMALL: &[u8] = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x3f\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x04\
    \xa0\0\x01\0\x18\x40\x01\x0c\x01\xff\xff\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3f\x95\x98\x09\
    \xa1\0\x01\0\x2a\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3f\xa0\x05\x02\x01\x69\x65\x95\x9a\x49\x32\xbc\
    \x05\xa0\x20\0\0\x03\0\x20\0\0\x03\x03\xc1\
    \xa2\0\x01\0\x07\x44\x01\xc1\x72\xb4\x62\x40";
/// x265 of 1918x1078 pictures with 10 bits a sample, 30000/1001 a second.
const TEN_BIT: &[u8] = b"\x01\x02\x20\0\0\0\x90\0\0\0\0\0\x78\xf0\0\xfc\xfd\xfa\xfa\0\0\x0f\x04\
    \xa0\0\x01\0\x18\x40\x01\x0c\x01\xff\xff\x02\x20\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x78\x95\x98\x09\
    \xa1\0\x01\0\x2b\x42\x01\x01\x02\x20\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x78\xa0\x03\xc0\x80\x10\xe7\x54\xd9\x65\x66\x92\x4c\
    \xaf\x01\x68\x08\0\0\x1f\x48\0\x03\xa9\x80\x40";

#[test]
fn records_of_a_real_encoder_are_read() {
    let small = HvcConfig::parse(SMALL).unwrap();
    assert_eq!((small.sps.width, small.sps.height, small.sps.bit_depth), (640, 360, 8));
    assert_eq!(small.frame_rate(), Some((30, 1)));
    assert_eq!(small.rfc6381(), "hvc1.1.6.L63.90");

    let ten_bit = HvcConfig::parse(TEN_BIT).unwrap();
    assert_eq!(
        (ten_bit.sps.width, ten_bit.sps.height, ten_bit.sps.bit_depth),
        (1918, 1078, 10)
    );
    assert_eq!(ten_bit.frame_rate(), Some((30_000, 1001)));
    assert_eq!(ten_bit.rfc6381(), "hvc1.2.4.L120.90");
}

#[test]
fn a_record_cut_anywhere_is_an_error_or_tells_the_same() {
    let whole = HvcConfig::parse(SMALL).unwrap();
    for length in 0..SMALL.len() {
        if let Ok(cut) = HvcConfig::parse(&SMALL[..length]) {
            assert_eq!(cut, whole, "cut at {length}");
        }
    }
}

#[test]
fn a_record_without_sps_is_refused() {
    let mut bare = SMALL[..23].to_vec();
    bare[22] = 0;
    assert_eq!(HvcConfig::parse(&bare), Err(ConfigError::NoSps));
    bare[0] = 2;
    assert!(matches!(
        HvcConfig::parse(&bare),
        Err(ConfigError::Invalid {
            field: "configurationVersion",
            ..
        })
    ));
}

#[test]
fn names_show_tier_space_and_constraints() {
    let config = HvcConfig {
        profile_space: 1,
        is_high_tier: true,
        profile: 4,
        compatibility: 0x0800_0000,
        constraints: [0xb0, 0, 0x0c, 0, 0, 0],
        level: 153,
        ..HvcConfig::parse(SMALL).unwrap()
    };
    assert_eq!(config.rfc6381(), "hvc1.A4.10.H153.B0.0.C");
    let plain = HvcConfig {
        constraints: [0; 6],
        ..config
    };
    assert_eq!(plain.rfc6381(), "hvc1.A4.10.H153");
}
