//! Parameters: what a template may be told, and the checked values it is told.
//!
//! A value comes from a configuration file, an API call or a callback's reply, so it is read against the parameter's type
//! and bounds before anything else sees it. It is never text that is pasted somewhere: [`set`](super::set) hands it to an
//! element's property.

mod address;
mod fraction;
mod rung;
mod secret;
mod target;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use address::Address;
pub use fraction::Fraction;
pub use rung::{MOST_RUNGS, Rung};
pub use secret::{Mask, Secret};
pub use target::{Place, Target, Targets};
pub use value::Value;

use crate::config::nearest;

/// A parameter, as a template declares it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The value where none is given. Without it one has to be given.
    #[serde(default)]
    pub default: Option<toml::Value>,
    /// Smallest value.
    #[serde(default)]
    pub min: Option<toml::Value>,
    /// Largest value.
    #[serde(default)]
    pub max: Option<toml::Value>,
    /// Most characters of a `string`.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// What a `url` may begin with; anything, if empty.
    #[serde(default)]
    pub schemes: Vec<String>,
    /// A `string` that nobody is shown.
    #[serde(default)]
    pub secret: bool,
    /// The values of an `enum`.
    #[serde(default)]
    pub values: Vec<String>,
    /// What the property counts in, where the type leaves that open.
    #[serde(default)]
    pub unit: Option<Unit>,
    /// The properties it sets. Empty where an encoder role or a variant takes the value.
    #[serde(default)]
    pub sets: Targets,
    /// The properties that take the height of a rung.
    #[serde(default)]
    pub height_sets: Targets,
    /// The properties that take the frame rate of a rung, where it has one.
    #[serde(default)]
    pub keep_every_sets: Targets,
    /// What it is for.
    #[serde(default)]
    pub summary: String,
    /// An element it sets would read a `%` in it as a place for a number.
    #[serde(skip)]
    pub no_percent: bool,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
    /// Two whole numbers, one by the other: `"30000/1001"`, `"30"`.
    Fraction,
    /// Where something is fetched from or sent to: `"srt://relay.example.com:9000"`. Of what is behind the host nobody is shown
    /// anything.
    Url,
    /// The path of a file or a device of this machine; empty for none. Only the configuration can give one.
    File,
    /// Renditions of one picture: a list of rungs.
    Ladder,
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

/// The values of all parameters of a template.
pub type Values = BTreeMap<String, Value>;

/// What is given for some parameters, unchecked.
pub type Given = BTreeMap<String, toml::Value>;

/// Most characters of a text, where the parameter says nothing.
const MAX_LENGTH: usize = 256;

/// The values with some of them changed.
pub fn change(declared: &BTreeMap<String, Param>, values: &Values, given: &Given) -> Result<Values, ParamError> {
    check_source(declared, given)?;
    let concerned: BTreeMap<_, _> = declared
        .iter()
        .filter(|(name, _)| given.contains_key(*name) || !values.contains_key(*name))
        .map(|(name, param)| (name.clone(), param.clone()))
        .collect();
    // What is declared nowhere is told by the names of all.
    let unknown = given.keys().find(|name| !declared.contains_key(*name));
    let changed = resolve(if unknown.is_some() { declared } else { &concerned }, given)?;
    Ok(values.clone().into_iter().chain(changed).collect())
}

/// Whether someone who is not the operator may give these.
pub fn check_source(declared: &BTreeMap<String, Param>, given: &Given) -> Result<(), ParamError> {
    let is_file = |name: &&String| declared.get(*name).is_some_and(|param| param.kind == Kind::File);
    match given.keys().find(is_file) {
        Some(name) => Err(ParamError::Reserved { name: name.clone() }),
        None => Ok(()),
    }
}

/// The values for a stream: what stands for its names in addresses becomes them.
pub fn of_stream(values: &Values, app: &str, name: &str) -> Values {
    let of_stream = |value: &Value| match value {
        Value::Address(address) => Value::Address(address.of_stream(app, name)),
        other => other.clone(),
    };
    values
        .iter()
        .map(|(key, value)| (key.clone(), of_stream(value)))
        .collect()
}

/// A parameter whose value depends on a stream.
pub fn first_pattern(values: &Values) -> Option<&str> {
    let is_pattern = |value: &Value| matches!(value, Value::Address(address) if address.is_pattern());
    values
        .iter()
        .find_map(|(name, value)| is_pattern(value).then_some(name.as_str()))
}

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
        let input = given.get(name).or(param.default.as_ref());
        let input = input.ok_or_else(|| ParamError::Missing {
            name: name.clone(),
            summary: param.summary.clone(),
        })?;
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
        let value = match (self.kind, input) {
            (Kind::Url, toml::Value::String(text)) => Value::Address(Address::parse(text, &self.schemes)?),
            // What is wrong with a secret is told without it.
            (Kind::String, toml::Value::String(text)) if self.secret => {
                let is_sound = self.kind.parse(input).is_ok() && self.check_text(text).is_ok();
                let most = self.max_length.unwrap_or(MAX_LENGTH);
                let wrong = || format!("this is no text of at most {most} characters");
                Value::Secret(is_sound.then(|| Secret::new(text)).ok_or_else(wrong)?)
            }
            _ => self.kind.parse(input)?,
        };
        match &value {
            Value::Choice(choice) => self.check_choice(choice)?,
            Value::Text(text) => self.check_text(text)?,
            _ => {}
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

    fn check_choice(&self, choice: &String) -> Result<(), String> {
        if self.values.contains(choice) {
            return Ok(());
        }
        let hint = nearest(choice, self.values.iter().map(String::as_str));
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean \"{hint}\"?"));
        Err(format!("{choice:?} is not one of {}{hint}", self.values.join(", ")))
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        let (length, most) = (text.chars().count(), self.max_length.unwrap_or(MAX_LENGTH));
        if length > most {
            return Err(format!("a text of {length} characters is longer than {most}"));
        }
        match self.no_percent && text.contains('%') {
            true => Err(format!(
                "{text:?} holds a '%', which the element would read as a place for a number"
            )),
            false => Ok(()),
        }
    }

    /// What is wrong with the declaration itself.
    pub fn contradiction(&self) -> Option<String> {
        let bounded = self.min.is_some() || self.max.is_some();
        let no_number = matches!(
            self.kind,
            Kind::Bool | Kind::String | Kind::Enum | Kind::Url | Kind::File | Kind::Ladder
        );
        let unit_fits = match self.unit {
            None => true,
            Some(Unit::BitPerSecond | Unit::KilobitPerSecond) => self.kind == Kind::Bitrate,
            Some(Unit::Nanoseconds | Unit::Milliseconds | Unit::Seconds) => self.kind == Kind::Duration,
        };
        let is_ladder = self.kind == Kind::Ladder;
        let sets_rungs = !self.height_sets.0.is_empty() || !self.keep_every_sets.0.is_empty();
        let wrong = [
            (
                self.kind == Kind::Enum && self.values.is_empty(),
                "an enum needs `values`",
            ),
            (
                self.kind != Kind::Enum && !self.values.is_empty(),
                "only an enum has `values`",
            ),
            (bounded && no_number, "`min` and `max` need a number"),
            (
                self.kind != Kind::String && self.max_length.is_some(),
                "only a string has `max_length`",
            ),
            (
                self.kind != Kind::Url && !self.schemes.is_empty(),
                "only a url has `schemes`",
            ),
            (self.kind != Kind::String && self.secret, "only a string is `secret`"),
            (
                self.default.is_none() && !matches!(self.kind, Kind::String | Kind::Url | Kind::File),
                "a `default` is needed",
            ),
            (!unit_fits, "the `unit` does not belong to the type"),
            (
                is_ladder && !self.sets.0.is_empty(),
                "a ladder sets nothing by itself; its rungs do, by `height_sets` and `keep_every_sets`",
            ),
            (
                !is_ladder && sets_rungs,
                "only a ladder has `height_sets` and `keep_every_sets`",
            ),
        ];
        if let Some((_, reason)) = wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            return Some((*reason).to_owned());
        }
        for (name, bound) in [("min", &self.min), ("max", &self.max)] {
            if let Some(Err(reason)) = bound.as_ref().map(|bound| self.kind.parse(bound)) {
                return Some(format!("{name}: {reason}"));
            }
        }
        let default = self.default.as_ref()?;
        self.read(default).err().map(|reason| format!("default: {reason}"))
    }

    /// Something to build a template with, where there is no default: it is never used.
    pub fn sample(&self) -> Option<toml::Value> {
        let text = match self.kind {
            Kind::Url => {
                let scheme = self.schemes.first().map_or("https", String::as_str);
                format!("{scheme}://sample.invalid:1/app/name")
            }
            Kind::File => "/dev/null".to_owned(),
            Kind::String => "sample".to_owned(),
            _ => return None,
        };
        Some(toml::Value::String(text))
    }

    /// Every place it goes to.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        let rungs = self.height_sets.0.iter().chain(&self.keep_every_sets.0);
        self.sets.0.iter().chain(rungs)
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
    /// It has no default, and nothing was given.
    #[error("parameter '{name}' is needed{}", summary_of(.summary))]
    Missing {
        /// The parameter.
        name: String,
        /// What it is for.
        summary: String,
    },
    /// It names a file, and does not come from the configuration.
    #[error("parameter '{name}' is a file of this machine; only the configuration can set it")]
    Reserved {
        /// The parameter.
        name: String,
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

fn summary_of(summary: &str) -> String {
    match summary.is_empty() {
        true => String::new(),
        false => format!(": {summary}"),
    }
}

impl ParamError {
    /// The parameter.
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown { name, .. }
            | Self::Missing { name, .. }
            | Self::Reserved { name }
            | Self::Value { name, .. } => name,
        }
    }
}

#[cfg(test)]
mod tests;
