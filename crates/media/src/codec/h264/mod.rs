//! H.264: the `avcC` record (ISO/IEC 14496-15 §5.3.3.1) and, in [`Sps`], the sequence parameter set.

mod sps;

use bytes::Bytes;

pub use self::sps::Sps;
use super::ConfigError;

const AVCC: &str = "avcC";

/// `AVCDecoderConfigurationRecord`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfig {
    /// `AVCProfileIndication`.
    pub profile: u8,
    /// `profile_compatibility`: the constraint flags.
    pub constraints: u8,
    /// `AVCLevelIndication`.
    pub level: u8,
    /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
    pub nal_length_size: u8,
    /// Sequence parameter sets, NAL header included.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, NAL header included.
    pub pps: Vec<Bytes>,
}

impl AvcConfig {
    /// Reads the record. The fields for high profiles that may follow the parameter sets repeat the SPS and are left
    /// alone, as are the many records in the wild that lack them.
    pub fn parse(record: &Bytes) -> Result<Self, ConfigError> {
        let mut rest = Cursor { record, at: 0 };
        let version = rest.byte("configurationVersion")?;
        if version != 1 {
            return Err(ConfigError::Invalid {
                record: AVCC,
                field: "configurationVersion",
                value: version.into(),
            });
        }
        let profile = rest.byte("AVCProfileIndication")?;
        let constraints = rest.byte("profile_compatibility")?;
        let level = rest.byte("AVCLevelIndication")?;
        let nal_length_size = (rest.byte("lengthSizeMinusOne")? & 3) + 1;
        if nal_length_size == 3 {
            return Err(ConfigError::Invalid {
                record: AVCC,
                field: "lengthSizeMinusOne",
                value: 2,
            });
        }
        let sps_count = rest.byte("numOfSequenceParameterSets")? & 0x1f;
        let sps = (0..sps_count)
            .map(|_| rest.nal("sequenceParameterSetNALUnit"))
            .collect::<Result<_, _>>()?;
        let pps_count = rest.byte("numOfPictureParameterSets")?;
        let pps = (0..pps_count)
            .map(|_| rest.nal("pictureParameterSetNALUnit"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            profile,
            constraints,
            level,
            nal_length_size,
            sps,
            pps,
        })
    }
}

struct Cursor<'a> {
    record: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self, field: &'static str) -> Result<u8, ConfigError> {
        let byte = self.record.get(self.at).copied().ok_or_else(|| self.truncated(field))?;
        self.at += 1;
        Ok(byte)
    }

    fn nal(&mut self, field: &'static str) -> Result<Bytes, ConfigError> {
        let len = usize::from(u16::from_be_bytes([self.byte(field)?, self.byte(field)?]));
        if self.record.len() - self.at < len {
            return Err(self.truncated(field));
        }
        let nal = self.record.slice(self.at..self.at + len);
        self.at += len;
        Ok(nal)
    }

    fn truncated(&self, field: &'static str) -> ConfigError {
        ConfigError::Truncated {
            record: AVCC,
            field,
            bit: self.record.len() * 8,
        }
    }
}

#[cfg(test)]
mod tests;
