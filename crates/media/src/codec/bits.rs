//! A bit reader that cannot read past the end and says where it stopped.

use super::ConfigError;

/// Reads big-endian bit fields. Every read names its field, for the error.
pub(super) struct BitReader<'a> {
    record: &'static str,
    bytes: &'a [u8],
    bit: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(record: &'static str, bytes: &'a [u8]) -> Self {
        Self { record, bytes, bit: 0 }
    }

    pub(super) fn bits_left(&self) -> usize {
        self.bytes.len() * 8 - self.bit
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, ConfigError> {
        Ok(self.bits(1, field)? != 0)
    }

    /// Up to 32 bits.
    pub(super) fn bits(&mut self, count: u32, field: &'static str) -> Result<u32, ConfigError> {
        debug_assert!(count <= 32);
        if self.bits_left() < count as usize {
            return Err(ConfigError::Truncated {
                record: self.record,
                field,
                bit: self.bytes.len() * 8,
            });
        }
        let mut value = 0_u64;
        let mut wanted = count as usize;
        while wanted > 0 {
            let free = 8 - self.bit % 8;
            let take = free.min(wanted);
            let chunk = self.bytes[self.bit / 8] >> (free - take) & (0xff_u16 >> (8 - take)) as u8;
            value = value << take | u64::from(chunk);
            self.bit += take;
            wanted -= take;
        }
        Ok(value as u32)
    }

    pub(super) fn skip(&mut self, count: usize, field: &'static str) -> Result<(), ConfigError> {
        if self.bits_left() < count {
            return Err(ConfigError::Truncated {
                record: self.record,
                field,
                bit: self.bytes.len() * 8,
            });
        }
        self.bit += count;
        Ok(())
    }

    /// Whole bytes, from a byte boundary on.
    pub(super) fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], ConfigError> {
        debug_assert!(self.bit.is_multiple_of(8));
        let from = self.bit / 8;
        self.skip(count.saturating_mul(8), field)?;
        Ok(&self.bytes[from..from + count])
    }

    /// Moves to the next byte boundary, which is never past the end.
    pub(super) fn align(&mut self) {
        self.bit = self.bit.next_multiple_of(8);
    }

    /// `ue(v)` of ITU-T H.264 9.1.
    pub(super) fn ue(&mut self, field: &'static str) -> Result<u32, ConfigError> {
        let mut zeros = 0;
        while !self.flag(field)? {
            zeros += 1;
            if zeros > 31 {
                return Err(ConfigError::Invalid {
                    record: self.record,
                    field,
                    value: u32::MAX,
                });
            }
        }
        let suffix = self.bits(zeros, field)?;
        // At most 2^31 - 1 + 2^31 - 1.
        Ok((1_u32 << zeros) - 1 + suffix)
    }

    /// `se(v)` of ITU-T H.264 9.1.1.
    pub(super) fn se(&mut self, field: &'static str) -> Result<i32, ConfigError> {
        let code = self.ue(field)?;
        let magnitude = (code / 2 + code % 2) as i32;
        Ok(if code % 2 == 1 { magnitude } else { -magnitude })
    }

    pub(super) fn invalid(&self, field: &'static str, value: u32) -> ConfigError {
        ConfigError::Invalid {
            record: self.record,
            field,
            value,
        }
    }
}

/// Builds records for tests.
#[cfg(test)]
#[derive(Default)]
pub(super) struct BitWriter {
    bits: Vec<bool>,
}

#[cfg(test)]
impl BitWriter {
    pub(super) fn bits(&mut self, count: u32, value: u32) -> &mut Self {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    pub(super) fn flag(&mut self, value: bool) -> &mut Self {
        self.bits(1, value.into())
    }

    pub(super) fn ue(&mut self, value: u32) -> &mut Self {
        let code = u64::from(value) + 1;
        let len = code.ilog2();
        self.bits(len, 0).bits(1, 1).bits(len, (code - (1 << len)) as u32)
    }

    pub(super) fn se(&mut self, value: i32) -> &mut Self {
        self.ue(if value > 0 {
            2 * value.unsigned_abs() - 1
        } else {
            2 * value.unsigned_abs()
        })
    }

    /// Up to a byte border with zeros.
    pub(super) fn align(&mut self) -> &mut Self {
        self.bits.resize(self.bits.len().next_multiple_of(8), false);
        self
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        self.align();
        self.bits
            .chunks(8)
            .map(|byte| byte.iter().fold(0, |value, bit| value << 1 | u8::from(*bit)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(fields in prop::collection::vec((1..33_u32, any::<u32>(), any::<i16>()), 0..40)) {
            let mut writer = BitWriter::default();
            for (count, value, signed) in &fields {
                writer.bits(*count, *value).ue(value >> 1).se((*signed).into());
            }
            let bytes = writer.bytes();
            let mut bits = BitReader::new("test", &bytes);
            for (count, value, signed) in fields {
                let mask = u32::MAX >> (32 - count);
                prop_assert_eq!(bits.bits(count, "bits").unwrap(), value & mask);
                prop_assert_eq!(bits.ue("ue").unwrap(), value >> 1);
                prop_assert_eq!(bits.se("se").unwrap(), i32::from(signed));
            }
            prop_assert!(bits.bits_left() < 8);
        }
    }

    #[test]
    fn fields_cross_byte_borders() {
        let mut bits = BitReader::new("test", &[0b1010_1100, 0b0101_0011, 0xff, 0x00, 0x80]);
        assert_eq!(bits.bits(3, "a").unwrap(), 0b101);
        assert_eq!(bits.bits(9, "b").unwrap(), 0b0_1100_0101);
        bits.align();
        assert_eq!(bits.bits(24, "c").unwrap(), 0xff_0080);
        assert_eq!(bits.bits_left(), 0);
        assert_eq!(bits.bits(0, "d").unwrap(), 0);
        assert_eq!(
            bits.flag("e"),
            Err(ConfigError::Truncated {
                record: "test",
                field: "e",
                bit: 40
            })
        );
    }

    #[test]
    fn thirty_two_bits_at_an_odd_place() {
        let mut bits = BitReader::new("test", &[0x7f, 0xff, 0xff, 0xff, 0x80]);
        assert!(!bits.flag("a").unwrap());
        assert_eq!(bits.bits(32, "b").unwrap(), u32::MAX);
    }

    #[test]
    fn exp_golomb_codes_follow_table_9_2() {
        // 1, 010, 011, 00100, 00101 -> 0, 1, 2, 3, 4
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = BitReader::new("test", &bytes);
        for want in 0..5 {
            assert_eq!(bits.ue("x").unwrap(), want);
        }
        let mut bits = BitReader::new("test", &bytes);
        for want in [0, 1, -1, 2, -2] {
            assert_eq!(bits.se("x").unwrap(), want);
        }
    }

    #[test]
    fn an_endless_exp_golomb_prefix_is_refused() {
        let mut bits = BitReader::new("test", &[0; 16]);
        assert!(matches!(bits.ue("x"), Err(ConfigError::Invalid { field: "x", .. })));
        let mut largest = BitReader::new("test", &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(largest.ue("x").unwrap(), u32::MAX - 1);
    }
}
