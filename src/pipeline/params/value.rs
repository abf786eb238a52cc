//! Values: what has been read as a parameter's type.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Address, Fraction, Kind, Rung, Secret};
use crate::config::{Seconds, Size};

/// A checked value.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub enum Value {
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Float`].
    Float(f64),
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::String`].
    Text(String),
    /// Of [`Kind::Enum`].
    Choice(String),
    /// Of [`Kind::Bitrate`], bits a second.
    Bitrate(u64),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Size`], bytes.
    Size(u64),
    /// Of [`Kind::Fraction`].
    Fraction(Fraction),
    /// Of [`Kind::String`] where that is secret.
    Secret(Secret),
    /// Of [`Kind::Url`].
    Address(Address),
    /// Of [`Kind::File`].
    File(String),
    /// Of [`Kind::Ladder`], the highest first.
    Ladder(Vec<Rung>),
}

impl Kind {
    pub(in crate::pipeline) fn parse(self, input: &toml::Value) -> Result<Value, String> {
        use toml::Value as Input;

        let wrong = || {
            let shown = match input {
                Input::String(text) => format!("{text:?}"),
                Input::Integer(number) => number.to_string(),
                Input::Float(number) => number.to_string(),
                other => format!("a value of type {}", other.type_str()),
            };
            Err(format!("{shown} is not {}", self.description()))
        };
        Ok(match (self, input) {
            (Self::Int, Input::Integer(number)) => Value::Int(*number),
            (Self::Int, Input::String(text)) => match text.trim().parse() {
                Ok(number) => Value::Int(number),
                Err(_) => return wrong(),
            },
            (Self::Float, Input::Integer(number)) => Value::Float(*number as f64),
            (Self::Float, Input::Float(number)) if number.is_finite() => Value::Float(*number),
            (Self::Float, Input::String(text)) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => return wrong(),
            },
            (Self::Bool, Input::Boolean(bool)) => Value::Bool(*bool),
            (Self::Bool, Input::String(text)) => match text.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return wrong(),
            },
            (Self::String, Input::String(text)) if !text.contains('\0') => Value::Text(text.clone()),
            (Self::Url, Input::String(text)) => Value::Address(Address::parse(text, &[])?),
            (Self::File, Input::String(text)) if !text.contains('\0') => Value::File(text.clone()),
            (Self::Enum, Input::String(text)) => Value::Choice(text.clone()),
            (Self::Bitrate, Input::Integer(bits)) if *bits >= 0 => Value::Bitrate(bits.unsigned_abs()),
            (Self::Bitrate, Input::String(text)) => match bits_per_second(text) {
                Some(bits) => Value::Bitrate(bits),
                None => return wrong(),
            },
            (Self::Duration, Input::String(text)) => Value::Duration(Seconds::parse(text)?.0),
            (Self::Size, Input::String(text)) => Value::Size(Size::parse(text)?.0),
            (Self::Fraction, Input::String(text)) => match Fraction::parse(text) {
                Some(fraction) => Value::Fraction(fraction),
                None => return wrong(),
            },
            (Self::Fraction, Input::Integer(number)) => {
                match u32::try_from(*number).ok().and_then(|number| Fraction::new(number, 1)) {
                    Some(fraction) => Value::Fraction(fraction),
                    None => return wrong(),
                }
            }
            (Self::Ladder, Input::Array(rungs)) => Value::Ladder(Rung::parse_all(rungs)?),
            _ => return wrong(),
        })
    }

    fn description(self) -> &'static str {
        match self {
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Bool => "true or false",
            Self::String => "text without NUL",
            Self::Enum => "a name",
            Self::Bitrate => "a bit rate such as \"800k\" or \"2.5M\"",
            Self::Duration => "a duration such as \"2s\"",
            Self::Size => "a size such as \"4MiB\"",
            Self::Fraction => "a fraction such as \"30000/1001\" or \"30\"",
            Self::Url => "an address such as \"https://example.com/live\"",
            Self::File => "the path of a file",
            Self::Ladder => "a list of rungs such as { height = 720, bitrate = \"2.5M\" }",
        }
    }
}

/// Reads `800k`, `2.5M`, `128000`.
fn bits_per_second(text: &str) -> Option<u64> {
    /// Beyond it nobody means it.
    const MAX: f64 = 1e12;
    let text = text.trim();
    let (number, factor) = match text.char_indices().next_back()? {
        (at, 'k') => (&text[..at], 1e3),
        (at, 'M') => (&text[..at], 1e6),
        (at, 'G') => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    // `f64` would also read "inf" and "1e9".
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.contains(|c: char| !c.is_ascii_digit() && c != '.') {
        return None;
    }
    let bits = number.parse::<f64>().ok()? * factor;
    (bits <= MAX).then_some(bits.round() as u64)
}

impl Value {
    /// A number to compare values of one kind by.
    pub(super) fn magnitude(&self) -> Option<f64> {
        Some(match self {
            Self::Int(number) => *number as f64,
            Self::Float(number) => *number,
            Self::Bitrate(number) | Self::Size(number) => *number as f64,
            Self::Duration(duration) => duration.as_secs_f64(),
            Self::Fraction(fraction) => fraction.as_f64(),
            Self::Bool(_)
            | Self::Text(_)
            | Self::Choice(_)
            | Self::Secret(_)
            | Self::Address(_)
            | Self::File(_)
            | Self::Ladder(_) => return None,
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(bool) => bool.fmt(f),
            Self::Text(text) | Self::Choice(text) | Self::File(text) => write!(f, "{text:?}"),
            Self::Secret(secret) => secret.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Bitrate(bits) => write!(f, "{bits} bit/s"),
            Self::Duration(duration) => Seconds(*duration).fmt(f),
            Self::Size(bytes) => Size(*bytes).fmt(f),
            Self::Fraction(fraction) => fraction.fmt(f),
            Self::Ladder(rungs) => {
                let rungs: Vec<_> = rungs.iter().map(Rung::to_string).collect();
                f.write_str(&rungs.join(", "))
            }
        }
    }
}
