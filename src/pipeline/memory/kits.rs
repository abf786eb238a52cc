//! Kits: elements that hand pictures to each other in the memory of one device.
//!
//! As with encoders that is data, in `kits.toml` and in the configuration's `[encoders.kits]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use streammill_media::Codec;

use super::super::encoder::{Class, Encoder, setting::Setting};
use crate::config::Problem;

const BUILT_IN: &str = include_str!("kits.toml");

/// Elements that work in one kind of memory.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kit {
    /// What it is called.
    pub name: String,
    /// The memory, as GStreamer's caps call it, without `memory:`.
    pub memory: String,
    /// Whether caps name the memory. Some elements pass it on under the caps of system memory.
    #[serde(default = "yes")]
    pub in_caps: bool,
    /// The classes of encoders that share it.
    pub classes: Vec<Class>,
    /// The Debian package that has the elements.
    #[serde(default)]
    pub package: Option<String>,
    /// What decodes.
    #[serde(default)]
    pub decoders: Decoders,
    /// What scales and converts.
    #[serde(default)]
    pub scalers: Vec<Pattern>,
    /// What brings pictures from system memory; nothing if the scaler does.
    #[serde(default)]
    pub upload: Vec<Pattern>,
    /// What brings them back; nothing if any element can read the memory.
    #[serde(default)]
    pub download: Vec<Pattern>,
    /// Properties of a template's scaler that the kit's has, too.
    #[serde(default)]
    pub keeps: Vec<String>,
    /// What is set on its elements, as far as they take it.
    #[serde(default)]
    pub sets: BTreeMap<Pattern, Vec<Setting>>,
}

/// Decoders, by what they decode.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decoders {
    /// H.264.
    pub h264: Vec<Pattern>,
    /// H.265.
    pub hevc: Vec<Pattern>,
    /// AV1.
    pub av1: Vec<Pattern>,
    /// VP8.
    pub vp8: Vec<Pattern>,
    /// VP9.
    pub vp9: Vec<Pattern>,
}

/// The name of an element on each device: `va[*]h264dec`, where what is in brackets is left out for the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// All kits that are known, in order of preference. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kits {
    kits: Arc<[Kit]>,
    words: Arc<Words>,
}

/// What of templates has to do with memory.
#[derive(Debug, Default)]
struct Words {
    passing: BTreeSet<String>,
    scaling: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    passing: BTreeSet<String>,
    scaling: BTreeSet<String>,
    kit: Vec<toml::Table>,
}

fn yes() -> bool {
    true
}

impl Kits {
    /// The kits of the program with those of the configuration put in: keys of a known kit replace its own, and a new kit
    /// comes behind the known ones.
    pub fn new(changes: &BTreeMap<String, toml::Table>) -> Result<Self, Vec<Problem>> {
        // The file is part of the program and read by its tests.
        let file: File = toml::from_str(BUILT_IN).map_err(|error| vec![Problem::of("encoders.kits", &error)])?;
        let mut rows = file.kit;
        for (name, changes) in changes {
            let named = |row: &toml::Table| row.get("name").and_then(toml::Value::as_str) == Some(name);
            let mut changes = changes.clone();
            changes.insert("name".to_owned(), name.clone().into());
            match rows.iter_mut().find(|row| named(row)) {
                Some(row) => row.extend(changes),
                None => rows.push(changes),
            }
        }
        let (mut kits, mut problems) = (Vec::new(), Vec::new());
        for row in rows {
            let name = row.get("name").and_then(toml::Value::as_str).unwrap_or_default();
            let key = format!("encoders.kits.{name}");
            match row.try_into::<Kit>() {
                Ok(kit) => kits.push(kit),
                Err(error) => problems.push(Problem {
                    place: None,
                    key: Some(key),
                    message: error.message().to_owned(),
                    hint: None,
                }),
            }
        }
        let words = Words {
            passing: file.passing,
            scaling: file.scaling,
        };
        match problems.is_empty() {
            true => Ok(Self {
                kits: kits.into(),
                words: Arc::new(words),
            }),
            false => Err(problems),
        }
    }

    /// The kits of the program alone.
    pub fn built_in() -> Self {
        // Without changes only the program's own file could be wrong, which its tests read.
        Self::new(&BTreeMap::new()).unwrap_or_else(|_| Self::none())
    }

    /// None: all pictures are in system memory.
    pub fn none() -> Self {
        Self {
            kits: Arc::new([]),
            words: Arc::default(),
        }
    }

    /// Those that are not set aside.
    pub fn without(&self, aside: &BTreeSet<String>) -> Self {
        let kept = self.kits.iter().filter(|kit| !aside.contains(&kit.name));
        Self {
            kits: kept.cloned().collect(),
            words: self.words.clone(),
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Kit> {
        self.kits.iter()
    }

    /// Whether an element of a template passes pictures on in whatever memory they are.
    pub fn passes(&self, element: &str) -> bool {
        self.words.passing.contains(element)
    }

    /// Whether a kit's scaler stands in for an element of a template.
    pub fn scales(&self, element: &str) -> bool {
        self.words.scaling.contains(element)
    }
}

impl Kit {
    /// Whether an encoder takes its pictures.
    pub fn feeds(&self, encoder: &Encoder) -> bool {
        self.classes.contains(&encoder.class) && encoder.memory.contains(&self.memory)
    }

    /// What decodes a coding.
    pub fn decoders(&self, codec: Codec) -> &[Pattern] {
        match codec {
            Codec::H264 => &self.decoders.h264,
            Codec::Hevc => &self.decoders.hevc,
            Codec::Av1 => &self.decoders.av1,
            Codec::Vp8 => &self.decoders.vp8,
            Codec::Vp9 => &self.decoders.vp9,
            _ => &[],
        }
    }

    /// What is set on an element of it.
    pub fn settings(&self, element: &str, device: Option<&str>) -> Vec<Setting> {
        let of_it = self.sets.iter().filter(|(pattern, _)| pattern.on(device) == element);
        of_it.flat_map(|(_, settings)| settings.iter().cloned()).collect()
    }
}

impl Pattern {
    /// The element on a device; on the first one without a name for it.
    pub fn on(&self, device: Option<&str>) -> String {
        let Some((before, inner, behind)) = self.parts() else {
            return self.0.clone();
        };
        match device {
            None => format!("{before}{behind}"),
            Some(device) => format!("{before}{}{behind}", inner.replace('*', device)),
        }
    }

    fn parts(&self) -> Option<(&str, &str, &str)> {
        let (before, rest) = self.0.split_once('[')?;
        let (inner, behind) = rest.split_once(']')?;
        Some((before, inner, behind))
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_name = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let pattern = Self(text);
        let is_good = match pattern.parts() {
            None => !pattern.0.is_empty() && is_name(&pattern.0),
            Some((before, inner, behind)) => {
                is_name(before)
                    && is_name(behind)
                    && !(before.is_empty() && behind.is_empty())
                    && inner.matches('*').count() == 1
                    && is_name(&inner.replace('*', ""))
            }
        };
        match is_good {
            true => Ok(pattern),
            false => Err(format!("'{}' is no element's name, nor one as va[*]h264dec", pattern.0)),
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}
