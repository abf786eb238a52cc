//! `[encoders]`: which encoders are wanted, and how many at a time.
//!
//! The names in it are those of GStreamer elements, of classes of hardware and of codecs. Which there are is for the
//! pipelines to know, so the names are read here and checked there.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Seconds;

/// `[encoders]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Encoders {
    /// Elements, classes or devices that are taken before others, the first before the second.
    pub prefer: Vec<String>,
    /// Elements, classes, devices or codecs that are not used.
    pub forbid: Vec<String>,
    /// Whether pictures may be encoded by the processor.
    pub software: SoftwareUse,
    /// Cores that the processor may spend on encoding pictures.
    pub software_cores: CoreBudget,
    /// Most sessions at a time, by element, class, device or codec.
    pub limits: BTreeMap<String, u32>,
    /// How long an encoder may take for the few frames of its probe.
    pub probe_timeout: Seconds,
    /// Elements that are not known, or are known wrongly: rows of the encoder map.
    pub elements: BTreeMap<String, toml::Table>,
    /// Elements that work in a device's memory: kits that are not known, or are known wrongly.
    pub kits: BTreeMap<String, toml::Table>,
}

impl Default for Encoders {
    fn default() -> Self {
        Self {
            prefer: Vec::new(),
            forbid: Vec::new(),
            software: SoftwareUse::Allow,
            software_cores: CoreBudget::Auto,
            limits: BTreeMap::new(),
            probe_timeout: Seconds::new(10),
            elements: BTreeMap::new(),
            kits: BTreeMap::new(),
        }
    }
}

/// Whether pictures may be encoded by the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoftwareUse {
    /// As many as the budget of cores lets through.
    #[default]
    Allow,
    /// None.
    Forbid,
    /// This many at a time.
    UpTo(u32),
}

/// Cores that the processor may spend on encoding pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CoreBudget {
    /// Three quarters of those there are.
    #[default]
    Auto,
    /// This many.
    Cores(f64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WordOrNumber {
    Number(f64),
    Word(String),
}

impl WordOrNumber {
    /// The number, also of text: an environment variable is nothing else.
    fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Word(word) => word.parse().ok()?,
        };
        (number.is_finite() && number >= 0.0).then_some(number)
    }

    fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Word(word) if word == wanted)
    }
}

impl<'de> Deserialize<'de> for SoftwareUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "write \"allow\", \"forbid\", or a number of sessions";
        let read = WordOrNumber::deserialize(deserializer).map_err(|_| de::Error::custom(EXPECTED))?;
        match read.number() {
            _ if read.is("allow") => Ok(Self::Allow),
            _ if read.is("forbid") => Ok(Self::Forbid),
            Some(number) if number.fract() == 0.0 && number <= f64::from(u32::MAX) => Ok(Self::UpTo(number as u32)),
            _ => Err(de::Error::custom(EXPECTED)),
        }
    }
}

impl Serialize for SoftwareUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Allow => serializer.serialize_str("allow"),
            Self::Forbid => serializer.serialize_str("forbid"),
            Self::UpTo(sessions) => serializer.serialize_u32(*sessions),
        }
    }
}

impl<'de> Deserialize<'de> for CoreBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "write \"auto\" or a number of cores";
        let read = WordOrNumber::deserialize(deserializer).map_err(|_| de::Error::custom(EXPECTED))?;
        match read.number() {
            _ if read.is("auto") => Ok(Self::Auto),
            Some(cores) => Ok(Self::Cores(cores)),
            None => Err(de::Error::custom(EXPECTED)),
        }
    }
}

impl Serialize for CoreBudget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Cores(cores) => serializer.serialize_f64(*cores),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Result<Encoders, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn software_and_cores_take_a_word_or_a_number() {
        for (text, software) in [
            ("software = 'allow'", SoftwareUse::Allow),
            ("software = 'forbid'", SoftwareUse::Forbid),
            ("software = 3", SoftwareUse::UpTo(3)),
            ("software = '3'", SoftwareUse::UpTo(3)),
        ] {
            assert_eq!(read(text).unwrap().software, software, "{text}");
        }
        for (text, cores) in [
            ("software_cores = 'auto'", CoreBudget::Auto),
            ("software_cores = 2.5", CoreBudget::Cores(2.5)),
            ("software_cores = 2", CoreBudget::Cores(2.0)),
        ] {
            assert_eq!(read(text).unwrap().software_cores, cores, "{text}");
        }
    }

    #[test]
    fn what_is_neither_says_what_to_write() {
        for text in ["software = 'no'", "software = -1", "software = 1.5", "software = true"] {
            assert!(read(text).unwrap_err().contains("\"forbid\""), "{text}");
        }
        for text in ["software_cores = 'all'", "software_cores = -1", "software_cores = []"] {
            assert!(read(text).unwrap_err().contains("\"auto\""), "{text}");
        }
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        let text = "prefer = ['va']\nsoftware = 2\nsoftware_cores = 1.5\nlimits = { nvidia = 3 }\n\
                    [elements.x264enc]\nalways = ['speed-preset=faster']";
        let encoders = read(text).unwrap();
        let written = toml::to_string(&encoders).unwrap();
        assert_eq!(read(&written).unwrap(), encoders);
    }
}
