//! Settings: where a value goes on an element, as the map writes it.
//!
//! Elements change: a property gets another name, a preset is added. So a setting may have alternatives, of which the first
//! that the installed version takes is the one, and it may do without. They are text in the map and in configurations, and
//! are read once, here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::params::Unit;

/// A place for a value on an element.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// `PROPERTY`
    Property(String),
    /// `PROPERTY.FIELD` of a property that holds a structure.
    Field(String, String),
    /// `PROPERTY:KEY` of a property that holds `key=value:key=value`.
    Option(String, String),
}

/// A place and the text of the value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Assignment {
    /// Where it goes.
    pub place: Place,
    /// The value, as GStreamer reads it.
    pub value: String,
}

/// An assignment, or several of which the first that is taken counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "OneOrMany", into = "OneOrMany")]
pub struct Setting {
    /// In order of preference.
    pub alternatives: Vec<Assignment>,
    /// Whether the element does without.
    pub optional: bool,
}

/// Places of which the first that the element has is the one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "OneOrMany", into = "OneOrMany")]
pub struct Places(pub Vec<Place>);

/// A place for a rate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Where it goes.
    pub to: Places,
    /// What is counted there.
    pub unit: Unit,
}

/// A place for a number of pictures.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Where it goes.
    pub to: Places,
    /// What is taken off the number, where an element counts from elsewhere.
    #[serde(default)]
    pub less: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

impl Place {
    /// The property that it is in.
    pub fn property(&self) -> &str {
        match self {
            Self::Property(property) | Self::Field(property, _) | Self::Option(property, _) => property,
        }
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_name = |name: &str| {
            let mut chars = name.chars();
            chars.next().is_some_and(|first| first.is_ascii_alphabetic())
                && chars.all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let wrong = || format!("'{text}' is no PROPERTY, PROPERTY.FIELD or PROPERTY:KEY");
        let (property, inner, make): (_, _, fn(String, String) -> Self) = match text.split_once(['.', ':']) {
            None if is_name(&text) => return Ok(Self::Property(text)),
            None => return Err(wrong()),
            Some((property, field)) if text.as_bytes()[property.len()] == b'.' => (property, field, Self::Field),
            Some((property, key)) => (property, key, Self::Option),
        };
        match is_name(property) && is_name(inner) {
            true => Ok(make(property.to_owned(), inner.to_owned())),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Property(property) => f.write_str(property),
            Self::Field(property, field) => write!(f, "{property}.{field}"),
            Self::Option(property, key) => write!(f, "{property}:{key}"),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Assignment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (place, value) = text
            .split_once('=')
            .ok_or_else(|| format!("'{text}' is not PROPERTY=VALUE"))?;
        let place = Place::try_from(place.to_owned())?;
        // What ends an option would begin another one.
        if matches!(place, Place::Option(..)) && value.contains(':') {
            return Err(format!("'{value}' is more than one option"));
        }
        let value = value.to_owned();
        Ok(Self { place, value })
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.place, self.value)
    }
}

impl From<Assignment> for String {
    fn from(assignment: Assignment) -> Self {
        assignment.to_string()
    }
}

impl TryFrom<OneOrMany> for Setting {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        let mut texts = texts.into_vec();
        let optional = texts.pop_if(|last| last.is_empty()).is_some();
        let alternatives: Result<Vec<_>, _> = texts.into_iter().map(Assignment::try_from).collect();
        let alternatives = alternatives?;
        match alternatives.is_empty() {
            true => Err("a setting needs a PROPERTY=VALUE".to_owned()),
            false => Ok(Self { alternatives, optional }),
        }
    }
}

impl From<Setting> for OneOrMany {
    fn from(setting: Setting) -> Self {
        let mut texts: Vec<_> = setting.alternatives.iter().map(Assignment::to_string).collect();
        if setting.optional {
            texts.push(String::new());
        }
        Self::Many(texts)
    }
}

impl TryFrom<OneOrMany> for Places {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        let places = texts.into_vec().into_iter().map(Place::try_from);
        places.collect::<Result<_, _>>().map(Self)
    }
}

impl From<Places> for OneOrMany {
    fn from(places: Places) -> Self {
        Self::Many(places.0.iter().map(Place::to_string).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn setting(json: &str) -> Result<Setting, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read_with_their_alternatives_and_written_the_same() {
        let read = setting(r#"["preset=p4", "extra-controls.rate=1", "option-string:scenecut=0", ""]"#).unwrap();
        assert!(read.optional);
        let places: Vec<_> = read.alternatives.iter().map(|one| one.place.clone()).collect();
        let expected = [
            Place::Property("preset".to_owned()),
            Place::Field("extra-controls".to_owned(), "rate".to_owned()),
            Place::Option("option-string".to_owned(), "scenecut".to_owned()),
        ];
        assert_eq!(places, expected);
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(setting(&written).unwrap(), read);
        assert!(!setting(r#""tune=zerolatency""#).unwrap().optional);
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for wrong in [
            r#""""#,
            r#"[""]"#,
            r#""preset""#,
            r#""=1""#,
            r#""a b=1""#,
            r#""x ! filesink location=/x""#,
            r#""a.=1""#,
            r#""a:b:c=1""#,
            r#""options:a=1:b=2""#,
            r#"["", "a=1"]"#,
        ] {
            assert!(setting(wrong).is_err(), "{wrong} was accepted");
        }
    }
}
