//! The map: which elements encode what, and what they call things.
//!
//! Roles are the same everywhere; elements are not. One calls the key-frame distance `gop-size`, another `key-int-max`, one
//! counts bits, another thousands. All of that is data, in `map.toml` and in the configuration's `[encoders.elements]`.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    codec::EncoderCodec,
    role::{RateControl, Tune},
    setting::{Count, Places, Rate, Setting},
};
use crate::config::Problem;

const BUILT_IN: &str = include_str!("map.toml");

/// An element that encodes, as the map has it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// The element.
    pub element: String,
    /// What it makes.
    pub codec: EncoderCodec,
    /// What it runs on.
    pub class: Class,
    /// What the elements for further devices are called, with a star for what differs.
    #[serde(default)]
    pub instances: Option<Instances>,
    /// The features of device memory that it takes pictures from, the best first. All of them take system memory too.
    #[serde(default)]
    pub memory: Vec<String>,
    /// Properties that tell its device.
    #[serde(default)]
    pub device: Vec<String>,
    /// Where the rate goes.
    pub bitrate: Rate,
    /// Where the largest rate goes.
    #[serde(default)]
    pub max_bitrate: Option<Rate>,
    /// Where the size of the buffer goes that evens the rate out: a second of the largest rate.
    #[serde(default)]
    pub buffer: Option<Rate>,
    /// Where the key-frame distance goes.
    #[serde(default)]
    pub gop: Option<Count>,
    /// Where the number of B-frames goes.
    #[serde(default)]
    pub b_frames: Places,
    /// Where the number of threads goes: few for small pictures, because each costs time, and often a picture's delay.
    #[serde(default)]
    pub threads: Places,
    /// Where the profile goes. Empty for caps behind the element, which is the usual way.
    #[serde(default)]
    pub profile: Places,
    /// What makes the rate even, or lets it vary.
    #[serde(default)]
    pub rate_control: RateControls,
    /// What is set in any case.
    #[serde(default)]
    pub always: Vec<Setting>,
    /// What is set for low latency.
    #[serde(default)]
    pub low_latency: Vec<Setting>,
    /// What is set for quality.
    #[serde(default)]
    pub quality: Vec<Setting>,
    /// Cores that 1080p at 30 pictures a second takes, for low latency and for quality.
    #[serde(default)]
    pub cores: [f64; 2],
}

/// What a rate control needs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateControls {
    /// An even rate.
    #[serde(default)]
    pub cbr: Vec<Setting>,
    /// A rate that varies.
    #[serde(default)]
    pub vbr: Vec<Setting>,
}

/// What an encoder runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// NVENC.
    Nvidia,
    /// VA-API, by the plugin that is kept up.
    Va,
    /// VA-API, by the one that was.
    Vaapi,
    /// Intel Quick Sync.
    Qsv,
    /// Intel Media SDK.
    Msdk,
    /// AMD AMF.
    Amf,
    /// A Video4Linux codec device.
    V4l2,
    /// Rockchip MPP.
    Rockchip,
    /// The processor.
    Software,
}

/// A pattern with one star.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instances {
    before: String,
    behind: String,
}

/// All encoders that are known, in order of preference. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Map {
    encoders: Arc<[Encoder]>,
}

impl Default for Map {
    fn default() -> Self {
        Self::built_in()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    encoder: Vec<toml::Table>,
}

impl Map {
    /// The rows of the program with those of the configuration put in: keys of a known element replace its own, and a new
    /// element comes behind the known ones.
    pub fn new(elements: &BTreeMap<String, toml::Table>) -> Result<Self, Vec<Problem>> {
        // The file is part of the program and read by its tests.
        let file: File = toml::from_str(BUILT_IN).map_err(|error| vec![Problem::of("encoders", &error)])?;
        let mut rows = file.encoder;
        let (mut encoders, mut problems) = (Vec::new(), Vec::new());
        for (element, changes) in elements {
            let named = |row: &toml::Table| row.get("element").and_then(toml::Value::as_str) == Some(element);
            let mut changes = changes.clone();
            changes.insert("element".to_owned(), element.clone().into());
            match rows.iter_mut().find(|row| named(row)) {
                Some(row) => row.extend(changes),
                None => rows.push(changes),
            }
        }
        for row in rows {
            let element = row.get("element").and_then(toml::Value::as_str).unwrap_or_default();
            let key = format!("encoders.elements.{element}");
            match Encoder::read(row) {
                Ok(encoder) => encoders.push(encoder),
                Err(error) => problems.push(Problem {
                    place: None,
                    key: Some(key),
                    message: error.message().to_owned(),
                    hint: None,
                }),
            }
        }
        match problems.is_empty() {
            true => Ok(Self {
                encoders: encoders.into(),
            }),
            false => Err(problems),
        }
    }

    /// The rows of the program alone.
    pub fn built_in() -> Self {
        // Without changes only the program's own file could be wrong, which its tests read.
        Self::new(&BTreeMap::new()).unwrap_or(Self { encoders: Arc::new([]) })
    }

    /// All encoders, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Encoder> {
        self.encoders.iter()
    }

    /// The row for an element, under the element's own name if it is that for a further device.
    pub fn find(&self, element: &str) -> Option<Encoder> {
        let is_instance = |row: &&Encoder| row.device_in(element).is_some();
        let row = self.iter().find(|row| row.element == element);
        let mut found = row.or_else(|| self.iter().find(is_instance))?.clone();
        element.clone_into(&mut found.element);
        Some(found)
    }
}

impl Encoder {
    fn read(mut row: toml::Table) -> Result<Self, toml::de::Error> {
        // A configuration may write one place where the file has a list.
        for key in ["device", "memory"] {
            if let Some(toml::Value::String(one)) = row.get(key).cloned() {
                row.insert(key.to_owned(), vec![one].into());
            }
        }
        row.try_into()
    }

    /// The settings that do not depend on values.
    pub fn settings(&self, tune: Tune, rate_control: RateControl) -> impl Iterator<Item = &Setting> {
        let tuned = match tune {
            Tune::LowLatency => &self.low_latency,
            Tune::Quality => &self.quality,
        };
        let controlled = match rate_control {
            RateControl::Cbr => &self.rate_control.cbr,
            RateControl::Vbr => &self.rate_control.vbr,
        };
        self.always.iter().chain(tuned).chain(controlled)
    }

    /// The device of which an element's name tells that it is for it: of `nvh264device1enc` it is 1.
    pub fn device_in<'a>(&self, element: &'a str) -> Option<&'a str> {
        let Instances { before, behind } = self.instances.as_ref()?;
        let device = element.strip_prefix(before)?.strip_suffix(behind)?;
        (!device.is_empty()).then_some(device)
    }

    /// Whether it runs on the processor.
    pub fn is_software(&self) -> bool {
        self.class == Class::Software
    }
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Nvidia,
        Self::Va,
        Self::Vaapi,
        Self::Qsv,
        Self::Msdk,
        Self::Amf,
        Self::V4l2,
        Self::Rockchip,
        Self::Software,
    ];

    /// As configurations write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Va => "va",
            Self::Vaapi => "vaapi",
            Self::Qsv => "qsv",
            Self::Msdk => "msdk",
            Self::Amf => "amf",
            Self::V4l2 => "v4l2",
            Self::Rockchip => "rockchip",
            Self::Software => "software",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Instances {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('*') {
            Some((before, behind)) if !before.is_empty() && !behind.contains('*') => Ok(Self {
                before: before.to_owned(),
                behind: behind.to_owned(),
            }),
            _ => Err(format!("'{text}' is not a name with one star in it")),
        }
    }
}

impl From<Instances> for String {
    fn from(instances: Instances) -> Self {
        format!("{}*{}", instances.before, instances.behind)
    }
}

#[cfg(test)]
mod tests;
