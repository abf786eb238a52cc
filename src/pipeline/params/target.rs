//! Targets: where a value goes.

use std::fmt;

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Place {
    /// A property.
    Property(String),
    /// A field of its `caps` property.
    CapsField(String),
}

/// Elements that take `location` for a pattern, in which `%d` stands for a number. They hand it to C's `printf`, and with
/// another letter behind the `%` that reads and writes where it should not.
const NUMBERING: &[&str] = &[
    "multifilesink",
    "multifilesrc",
    "splitmuxsink",
    "hlssink",
    "hlssink2",
    "hlssink3",
    "hlscmafsink",
    "imagesequencesrc",
    "gdkpixbufsink",
];

impl Place {
    /// Whether an element from this factory reads a `%` in it as a place for a number.
    pub fn reads_percent(&self, factory: &str) -> bool {
        let is_location = |name: &str| name == "location" || name.ends_with("-location");
        matches!(self, Self::Property(name) if is_location(name)) && NUMBERING.contains(&factory)
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
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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
