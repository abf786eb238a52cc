//! Rungs: the renditions of a ladder, as they are asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Fraction, Kind, Value};

/// One rendition of a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Rung {
    /// Lines of the picture.
    pub height: u32,
    /// Bits a second of it.
    pub bitrate: u64,
    /// Pictures a second; as many as come in where it is not said.
    pub fps: Option<Fraction>,
}

/// More would be a mistake.
pub const MOST_RUNGS: usize = 8;

/// Heights that encoders take; most want them even.
const HEIGHTS: std::ops::RangeInclusive<i64> = 16..=8640;
/// Bits a second that make sense for pictures.
const BITRATES: std::ops::RangeInclusive<u64> = 8_000..=1_000_000_000;
/// Most pictures a second.
const FASTEST: f64 = 240.0;

impl Rung {
    /// Reads a list of rungs, and puts the highest first.
    pub(super) fn parse_all(inputs: &[toml::Value]) -> Result<Vec<Self>, String> {
        if inputs.is_empty() {
            return Err("a ladder needs a rung".to_owned());
        }
        if inputs.len() > MOST_RUNGS {
            return Err(format!("a ladder of {} rungs has more than {MOST_RUNGS}", inputs.len()));
        }
        let read = |(number, input): (usize, &toml::Value)| {
            Self::parse(input).map_err(|reason| format!("rung {}: {reason}", number + 1))
        };
        let mut rungs: Vec<_> = inputs.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        rungs.sort_by_key(|rung| std::cmp::Reverse(rung.height));
        match rungs.windows(2).find(|pair| pair[0].height == pair[1].height) {
            Some(pair) => Err(format!("two rungs have {} lines", pair[0].height)),
            None => Ok(rungs),
        }
    }

    fn parse(input: &toml::Value) -> Result<Self, String> {
        let table = input
            .as_table()
            .ok_or("it is no table such as { height = 720, bitrate = \"2.5M\" }")?;
        if let Some(key) = table
            .keys()
            .find(|key| !["height", "bitrate", "fps"].contains(&key.as_str()))
        {
            return Err(format!("'{key}' is none of height, bitrate, fps"));
        }
        let value = |key: &str, kind: Kind| {
            let value = table.get(key).map(|value| kind.parse(value)).transpose();
            value.map_err(|reason| format!("{key}: {reason}"))
        };
        let height = match value("height", Kind::Int)? {
            Some(Value::Int(height)) if HEIGHTS.contains(&height) && height % 2 == 0 => {
                u32::try_from(height).map_err(|error| error.to_string())?
            }
            Some(other) => {
                let (least, most) = (HEIGHTS.start(), HEIGHTS.end());
                return Err(format!("height: {other} is no even number between {least} and {most}"));
            }
            None => return Err("it has no height".to_owned()),
        };
        let bitrate = match value("bitrate", Kind::Bitrate)? {
            Some(Value::Bitrate(bitrate)) if BITRATES.contains(&bitrate) => bitrate,
            Some(other) => {
                let (least, most) = (BITRATES.start(), BITRATES.end());
                return Err(format!("bitrate: {other} is not between {least} and {most} bit/s"));
            }
            None => return Err("it has no bitrate".to_owned()),
        };
        let fps = match value("fps", Kind::Fraction)? {
            Some(Value::Fraction(fps)) if (1.0..=FASTEST).contains(&fps.as_f64()) => Some(fps),
            Some(other) => return Err(format!("fps: {other} is not between 1 and {FASTEST}")),
            None => None,
        };
        Ok(Self { height, bitrate, fps })
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines at {} bit/s", self.height, self.bitrate)?;
        match self.fps {
            Some(fps) => write!(f, " and {fps} pictures/s"),
            None => Ok(()),
        }
    }
}
