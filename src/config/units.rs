//! Values with units: durations as `"2s"`, sizes as `"4MiB"`.
//!
//! A bare number is refused: whether `500` means bytes, milliseconds or seconds is what makes configuration files wrong.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration, written as a number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

/// A number of bytes, written as a number and `B`, `KiB`, `MiB`, `GiB` (or the decimal `kB`, `MB`, `GB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const DURATIONS: &[(&str, f64)] = &[("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];

const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];

/// Longest duration that is accepted; beyond it clocks overflow and the author meant something else.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

impl Seconds {
    /// From whole seconds.
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// From text such as `1.5s`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let seconds = number_with_unit(text, DURATIONS)
            .filter(|seconds| *seconds <= MAX_SECONDS)
            .ok_or_else(|| {
                format!("'{text}' is not a duration; write a number and ms, s, m, h or d, such as \"2s\"")
            })?;
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

impl Size {
    /// From text such as `4MiB`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = number_with_unit(text, SIZES)
            .filter(|bytes| *bytes <= (1u64 << 50) as f64)
            .ok_or_else(|| {
                format!("'{text}' is not a size; write a number and B, KiB, MiB or GiB, such as \"4MiB\"")
            })?;
        Ok(Self(bytes as u64))
    }
}

fn number_with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let factor = units.iter().find(|(name, _)| *name == unit.trim())?.1;
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * factor)
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{}s", self.0.as_secs())
        } else {
            write!(f, "{}ms", self.0.as_millis())
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(Seconds::parse("250ms"), Ok(Seconds(Duration::from_millis(250))));
        assert_eq!(Seconds::parse("1.5 s"), Ok(Seconds(Duration::from_millis(1500))));
        assert_eq!(Size::parse("4MiB"), Ok(Size(4 << 20)));
        assert_eq!(Size::parse("10kB"), Ok(Size(10_000)));
    }

    #[test]
    fn what_has_no_unit_or_makes_no_sense_is_refused() {
        for text in ["", "5", "s", "-1s", "1e300h", "NaNs", "infs", "2 weeks", "5mb"] {
            assert!(Seconds::parse(text).is_err(), "{text:?} was taken for a duration");
            assert!(Size::parse(text).is_err(), "{text:?} was taken for a size");
        }
    }
}
