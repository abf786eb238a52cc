//! Parameters: what a template may be told, and the checked values it is told.
//!
//! A value comes from a configuration file, an API call or a callback's reply, so it is read against the parameter's type
//! and bounds before anything else sees it. It is never text that is pasted somewhere: [`set`](super::set) hands it to an
//! element's property.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::config::{Seconds, Size, nearest};

/// A parameter, as a template declares it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The value where none is given.
    pub default: toml::Value,
    /// Smallest value.
    #[serde(default)]
    pub min: Option<toml::Value>,
    /// Largest value.
    #[serde(default)]
    pub max: Option<toml::Value>,
    /// The values of an `enum`.
    #[serde(default)]
    pub values: Vec<String>,
    /// What the property counts in, where the type leaves that open.
    #[serde(default)]
    pub unit: Option<Unit>,
    /// The properties it sets. Empty where an encoder role or a variant takes the value.
    #[serde(default)]
    pub sets: Targets,
    /// What it is for.
    #[serde(default)]
    pub summary: String,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// Text.
    String,
    /// One of `values`.
    Enum,
    /// Bits a second: `"800k"`, `"2.5M"`, or a number of bits.
    Bitrate,
    /// A time: `"2s"`, `"250ms"`.
    Duration,
    /// A number of bytes: `"4MiB"`.
    Size,
}

/// What a property counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Unit {
    /// Bits a second.
    #[serde(rename = "bit/s")]
    BitPerSecond,
    /// Thousands of bits a second.
    #[serde(rename = "kbit/s")]
    KilobitPerSecond,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
}

/// Where a value goes: `element:property`, or `element.caps:field` for a field of a capsfilter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub struct Targets(pub Vec<Target>);

/// One place a value goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the element.
    pub element: String,
    /// What of it is set.
    pub place: Place,
}

/// What of an element is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A property.
    Property(String),
    /// A field of its `caps` property.
    CapsField(String),
}

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
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
    Duration(std::time::Duration),
    /// Of [`Kind::Size`], bytes.
    Size(u64),
}

/// The values of all parameters of a template.
pub type Values = BTreeMap<String, Value>;

/// Checks what is given against the declarations and fills in the defaults.
pub fn resolve(
    declared: &BTreeMap<String, Param>,
    given: &BTreeMap<String, toml::Value>,
) -> Result<Values, ParamError> {
    if let Some(name) = given.keys().find(|name| !declared.contains_key(*name)) {
        return Err(ParamError::Unknown {
            name: name.clone(),
            hint: nearest(name, declared.keys().map(String::as_str)),
        });
    }
    let value_of = |(name, param): (&String, &Param)| {
        let input = given.get(name).unwrap_or(&param.default);
        let value = param.read(input).map_err(|reason| ParamError::Value {
            name: name.clone(),
            reason,
        })?;
        Ok((name.clone(), value))
    };
    declared.iter().map(value_of).collect()
}

impl Param {
    /// Reads a value and checks it against the bounds.
    pub fn read(&self, input: &toml::Value) -> Result<Value, String> {
        let value = self.kind.parse(input)?;
        if let Value::Choice(choice) = &value
            && !self.values.contains(choice)
        {
            let hint = nearest(choice, self.values.iter().map(String::as_str));
            let hint = hint.map_or_else(String::new, |hint| format!("; did you mean \"{hint}\"?"));
            return Err(format!("{choice:?} is not one of {}{hint}", self.values.join(", ")));
        }
        // The bounds were read when the template was loaded.
        for (bound, is_lower) in [(&self.min, true), (&self.max, false)] {
            let Some(bound) = bound else { continue };
            let limit = self.kind.parse(bound)?;
            let (Some(number), Some(limit_number)) = (value.magnitude(), limit.magnitude()) else {
                continue;
            };
            if is_lower && number < limit_number {
                return Err(format!("{value} is below {limit}"));
            }
            if !is_lower && number > limit_number {
                return Err(format!("{value} is above {limit}"));
            }
        }
        Ok(value)
    }

    /// What is wrong with the declaration itself.
    pub fn contradiction(&self) -> Option<String> {
        if self.kind == Kind::Enum && self.values.is_empty() {
            return Some("an enum needs `values`".to_owned());
        }
        if self.kind != Kind::Enum && !self.values.is_empty() {
            return Some("only an enum has `values`".to_owned());
        }
        let bounded = self.min.is_some() || self.max.is_some();
        if bounded && matches!(self.kind, Kind::Bool | Kind::String | Kind::Enum) {
            return Some("`min` and `max` need a number".to_owned());
        }
        let unit_fits = match self.unit {
            None => true,
            Some(Unit::BitPerSecond | Unit::KilobitPerSecond) => self.kind == Kind::Bitrate,
            Some(Unit::Nanoseconds | Unit::Milliseconds | Unit::Seconds) => self.kind == Kind::Duration,
        };
        if !unit_fits {
            return Some("the `unit` does not belong to the type".to_owned());
        }
        for (name, bound) in [("min", &self.min), ("max", &self.max)] {
            if let Some(Err(reason)) = bound.as_ref().map(|bound| self.kind.parse(bound)) {
                return Some(format!("{name}: {reason}"));
            }
        }
        self.read(&self.default)
            .err()
            .map(|reason| format!("default: {reason}"))
    }
}

impl Kind {
    pub(super) fn parse(self, input: &toml::Value) -> Result<Value, String> {
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
            (Self::Enum, Input::String(text)) => Value::Choice(text.clone()),
            (Self::Bitrate, Input::Integer(bits)) if *bits >= 0 => Value::Bitrate(bits.unsigned_abs()),
            (Self::Bitrate, Input::String(text)) => match bits_per_second(text) {
                Some(bits) => Value::Bitrate(bits),
                None => return wrong(),
            },
            (Self::Duration, Input::String(text)) => Value::Duration(Seconds::parse(text)?.0),
            (Self::Size, Input::String(text)) => Value::Size(Size::parse(text)?.0),
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
    fn magnitude(&self) -> Option<f64> {
        Some(match self {
            Self::Int(number) => *number as f64,
            Self::Float(number) => *number,
            Self::Bitrate(number) | Self::Size(number) => *number as f64,
            Self::Duration(duration) => duration.as_secs_f64(),
            Self::Bool(_) | Self::Text(_) | Self::Choice(_) => return None,
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(bool) => bool.fmt(f),
            Self::Text(text) | Self::Choice(text) => write!(f, "{text:?}"),
            Self::Bitrate(bits) => write!(f, "{bits} bit/s"),
            Self::Duration(duration) => Seconds(*duration).fmt(f),
            Self::Size(bytes) => Size(*bytes).fmt(f),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<OneOrMany> for Targets {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        let texts = match texts {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        };
        texts
            .iter()
            .map(|text| Target::parse(text))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let parts = text
            .split_once(':')
            .map(|(element, place)| match element.strip_suffix(".caps") {
                Some(element) => (element, place, Place::CapsField(place.to_owned())),
                None => (element, place, Place::Property(place.to_owned())),
            });
        match parts {
            Some((element, name, place)) if is_name(element) && is_name(name) => Ok(Self {
                element: element.to_owned(),
                place,
            }),
            _ => Err(format!("'{text}' is neither element:property nor element.caps:field")),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Property(name) => write!(f, "{}:{name}", self.element),
            Place::CapsField(name) => write!(f, "{}.caps:{name}", self.element),
        }
    }
}

/// Why parameters are not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// The template has no such parameter.
    #[error("there is no parameter '{name}'{}", .hint.as_ref().map_or_else(String::new, |hint| format!("; did you mean '{hint}'?")))]
    Unknown {
        /// What was given.
        name: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// The value is of the wrong type or out of bounds.
    #[error("parameter '{name}': {reason}")]
    Value {
        /// The parameter.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn param(text: &str) -> Param {
        toml::from_str(text).unwrap()
    }

    fn text(text: &str) -> toml::Value {
        toml::Value::String(text.to_owned())
    }

    const HOSTILE: [&str; 8] = [
        "x\" ! filesink location=/tmp/x",
        "-5",
        "99999999999",
        "NULL",
        "",
        "1e9",
        "inf",
        "0x10",
    ];

    #[test]
    fn hostile_values_are_no_numbers_within_bounds() {
        let height = param("type = 'int'\ndefault = 360\nmin = 64\nmax = 4320");
        let bitrate = param("type = 'bitrate'\ndefault = '800k'\nmin = '32k'\nmax = '100M'");
        for hostile in HOSTILE {
            assert!(height.read(&text(hostile)).is_err(), "{hostile:?} became a height");
            assert!(bitrate.read(&text(hostile)).is_err(), "{hostile:?} became a bit rate");
        }
        for number in [-5, 63, 4321, 99_999_999_999, i64::MIN, i64::MAX] {
            assert!(height.read(&toml::Value::Integer(number)).is_err(), "{number}");
        }
    }

    #[test]
    fn an_enum_takes_only_what_it_lists_and_names_the_nearest() {
        let format = param("type = 'enum'\nvalues = ['mp4', 'flv']\ndefault = 'mp4'");
        assert_eq!(format.read(&text("flv")), Ok(Value::Choice("flv".to_owned())));
        assert_eq!(
            format.read(&text("mp3")).unwrap_err(),
            "\"mp3\" is not one of mp4, flv; did you mean \"mp4\"?"
        );
        for hostile in HOSTILE {
            assert!(format.read(&text(hostile)).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn units_are_read() {
        let bitrate = param("type = 'bitrate'\ndefault = 0");
        for (written, bits) in [
            ("800k", 800_000),
            ("2.5M", 2_500_000),
            ("96000", 96_000),
            ("1G", 1_000_000_000),
        ] {
            assert_eq!(bitrate.read(&text(written)), Ok(Value::Bitrate(bits)), "{written}");
        }
        let duration = param("type = 'duration'\ndefault = '2s'\nmax = '1m'");
        assert_eq!(
            duration.read(&text("250ms")),
            Ok(Value::Duration(std::time::Duration::from_millis(250)))
        );
        assert_eq!(duration.read(&text("2m")).unwrap_err(), "120s is above 60s");
    }

    #[test]
    fn an_unknown_parameter_is_an_error_with_the_nearest_name() {
        let declared = BTreeMap::from([("height".to_owned(), param("type = 'int'\ndefault = 1"))]);
        let given = BTreeMap::from([("heigth".to_owned(), toml::Value::Integer(1))]);
        let error = resolve(&declared, &given).unwrap_err().to_string();
        assert_eq!(error, "there is no parameter 'heigth'; did you mean 'height'?");
        assert_eq!(resolve(&declared, &BTreeMap::new()).unwrap()["height"], Value::Int(1));
    }

    #[test]
    fn declarations_that_contradict_themselves_are_found() {
        for wrong in [
            "type = 'enum'\ndefault = 'x'",
            "type = 'int'\ndefault = 5\nmin = 6",
            "type = 'int'\ndefault = 5\nmax = 'many'",
            "type = 'int'\ndefault = 5\nunit = 'kbit/s'",
            "type = 'bool'\ndefault = true\nmax = 1",
            "type = 'int'\ndefault = 5\nvalues = ['5']",
        ] {
            assert!(param(wrong).contradiction().is_some(), "{wrong}");
        }
    }

    #[test]
    fn targets_are_elements_with_a_property_or_a_caps_field() {
        let param = param("type = 'int'\ndefault = 1\nsets = ['size.caps:height', 'v:bitrate']");
        let shown: Vec<_> = param.sets.0.iter().map(Target::to_string).collect();
        assert_eq!(shown, ["size.caps:height", "v:bitrate"]);
        for wrong in ["height", "a b:c", ":x", "x:", "x ! y:z"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
