//! The policy: which encoder is taken first, which never, and how many at a time. Plain functions of plain values.

use std::fmt;

use super::{
    codec::EncoderCodec,
    map::{Class, Encoder, Map},
};
use crate::config::{CoreBudget, Encoders, Problem, SoftwareUse, nearest};

/// What the operator wants of encoders.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    prefer: Vec<Which>,
    forbid: Vec<Which>,
    /// Most sessions at a time of what is covered.
    limits: Vec<(Which, u32)>,
    /// Most sessions of pictures at a time on the processor.
    software: Option<u32>,
    /// Cores that such sessions may take, and whether the first of them is let through in any case.
    cores: (f64, bool),
}

/// Encoders that go by one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// An element.
    Element(String),
    /// Everything of a class.
    Class(Class),
    /// Everything of a class on one device.
    Device(Class, String),
    /// Everything that makes a codec.
    Codec(EncoderCodec),
}

impl Policy {
    /// What a configuration asks for on a machine with so many cores. Names that nothing has are problems.
    pub fn new(config: &Encoders, map: &Map, cores: usize) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut read = |key: &str, name: &String| match Which::parse(name, map) {
            Ok(which) => Some(which),
            Err(message) => {
                problems.push(Problem {
                    place: None,
                    key: Some(format!("encoders.{key}")),
                    message,
                    hint: None,
                });
                None
            }
        };
        let prefer = config.prefer.iter().filter_map(|name| read("prefer", name)).collect();
        let forbid = config.forbid.iter().filter_map(|name| read("forbid", name)).collect();
        let limits = config.limits.iter();
        let limits = limits.filter_map(|(name, most)| Some((read(&format!("limits.{name}"), name)?, *most)));
        let policy = Self {
            prefer,
            forbid,
            limits: limits.collect(),
            software: match config.software {
                SoftwareUse::Allow => None,
                SoftwareUse::Forbid => Some(0),
                SoftwareUse::UpTo(most) => Some(most),
            },
            cores: match config.software_cores {
                CoreBudget::Auto => (cores as f64 * 0.75, true),
                CoreBudget::Cores(cores) => (cores, false),
            },
        };
        match problems.is_empty() {
            true => Ok(policy),
            false => Err(problems),
        }
    }

    /// Where an encoder stands among those of its codec; less comes first. `index` is its place in the map.
    pub fn rank(&self, encoder: &Encoder, device: Option<&str>, index: usize) -> (usize, bool, usize) {
        let mut preferred = self.prefer.iter();
        let preference = preferred.position(|which| which.covers(encoder, device));
        (preference.unwrap_or(usize::MAX), encoder.is_software(), index)
    }

    /// What of the configuration forbids an encoder: a name, or `software` for pictures on the processor.
    pub fn forbidden(&self, encoder: &Encoder, device: Option<&str>) -> Option<String> {
        let named = self.forbid.iter().find(|which| which.covers(encoder, device));
        let is_software = self.software == Some(0) && encoder.is_software() && encoder.codec.is_video();
        let software = || is_software.then(|| Class::Software.to_string());
        named.map(ToString::to_string).or_else(software)
    }

    /// The limits that an encoder is under.
    pub fn limits<'a>(
        &'a self,
        encoder: &'a Encoder,
        device: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Which, u32)> {
        let limits = self
            .limits
            .iter()
            .filter(move |(which, _)| which.covers(encoder, device));
        limits.map(|(which, most)| (which, *most))
    }

    /// Most sessions of pictures at a time on the processor.
    pub fn software(&self) -> Option<u32> {
        self.software
    }

    /// Cores that they may take.
    pub fn cores(&self) -> f64 {
        self.cores.0
    }

    /// Whether a session that takes so much more fits in beside what is in use. On its own measure the server lets the first
    /// one through whatever it takes: better slow than not at all. A number of the operator's is kept.
    pub fn has_cores_for(&self, more: f64, in_use: f64) -> bool {
        let (cores, first_is_free) = self.cores;
        // Sums of fractions are not exact.
        in_use + more <= cores + 1e-6 || (first_is_free && in_use <= 1e-6)
    }
}

impl Default for Policy {
    /// Nothing is preferred, forbidden or limited.
    fn default() -> Self {
        Self {
            prefer: Vec::new(),
            forbid: Vec::new(),
            limits: Vec::new(),
            software: None,
            cores: (f64::INFINITY, true),
        }
    }
}

impl Which {
    /// From a name in a configuration.
    pub fn parse(name: &str, map: &Map) -> Result<Self, String> {
        let class = |name: &str| Class::ALL.into_iter().find(|class| class.as_str() == name);
        let codec = EncoderCodec::ALL.into_iter().find(|codec| codec.as_str() == name);
        if let Some(codec) = codec {
            return Ok(Self::Codec(codec));
        }
        if let Some(class) = class(name) {
            return Ok(Self::Class(class));
        }
        if let Some((class, device)) = name
            .split_once('/')
            .and_then(|(first, rest)| Some((class(first)?, rest)))
        {
            return Ok(Self::Device(class, device_name(device).to_owned()));
        }
        if map.find(name).is_some() {
            return Ok(Self::Element(name.to_owned()));
        }
        let elements = map.iter().map(|encoder| encoder.element.as_str());
        let classes = Class::ALL.iter().map(|class| class.as_str());
        let codecs = EncoderCodec::ALL.iter().map(|codec| codec.as_str());
        let hint = nearest(name, elements.chain(classes).chain(codecs));
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean '{hint}'?"));
        Err(format!(
            "'{name}' is no element that encodes, no class and no codec{hint}"
        ))
    }

    /// Whether it speaks of this encoder.
    pub fn covers(&self, encoder: &Encoder, device: Option<&str>) -> bool {
        match self {
            Self::Element(element) => encoder.element == *element,
            Self::Class(class) => encoder.class == *class,
            Self::Device(class, wanted) => encoder.class == *class && device == Some(wanted.as_str()),
            Self::Codec(codec) => encoder.codec == *codec,
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(element) => f.write_str(element),
            Self::Class(class) => class.fmt(f),
            Self::Device(class, device) => write!(f, "{class}/{device}"),
            Self::Codec(codec) => f.write_str(codec.as_str()),
        }
    }
}

/// A device without the directory that all of its kind are in.
pub fn device_name(device: &str) -> &str {
    device.rsplit('/').next().unwrap_or(device)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::new(&toml::from_str(text).unwrap(), &Map::built_in(), 8).unwrap()
    }

    /// The H.264 encoders of the map in the order they are taken, as far as they are named.
    fn order(text: &str, named: &[&str]) -> Vec<String> {
        let (policy, map) = (policy(text), Map::built_in());
        let mut encoders: Vec<_> = map.iter().enumerate().collect();
        encoders.retain(|(_, encoder)| named.contains(&encoder.element.as_str()));
        encoders.sort_by_key(|(index, encoder)| policy.rank(encoder, Some("renderD128"), *index));
        encoders.iter().map(|(_, encoder)| encoder.element.clone()).collect()
    }

    #[test]
    fn hardware_comes_before_software_and_preference_before_both() {
        let named = ["openh264enc", "x264enc", "vah264enc", "nvh264enc", "qsvh264enc"];
        let usual = ["nvh264enc", "vah264enc", "qsvh264enc", "x264enc", "openh264enc"];
        assert_eq!(order("", &named), usual);
        let prefer = "prefer = ['openh264enc', 'va/renderD128']";
        let changed = ["openh264enc", "vah264enc", "nvh264enc", "qsvh264enc", "x264enc"];
        assert_eq!(order(prefer, &named), changed);
        assert_eq!(order("prefer = ['software']", &named)[0], "x264enc");
        assert_eq!(order("prefer = ['va/renderD129']", &named)[0], "nvh264enc");
    }

    #[test]
    fn names_that_nothing_has_are_problems_with_the_nearest_one() {
        let text = "prefer = ['nvidea']\nforbid = ['x246enc']\nlimits = { h265 = 2, nvh264device1enc = 1 }";
        let problems = Policy::new(&toml::from_str(text).unwrap(), &Map::built_in(), 8).unwrap_err();
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 3, "{shown:?}");
        assert!(shown[0].starts_with("encoders.prefer: 'nvidea'"), "{shown:?}");
        assert!(shown[0].ends_with("did you mean 'nvidia'?"), "{shown:?}");
        assert!(shown[1].ends_with("did you mean 'x264enc'?"), "{shown:?}");
        assert!(shown[2].starts_with("encoders.limits.h265: "), "{shown:?}");
    }

    #[test]
    fn a_device_is_named_with_or_without_its_directory() {
        let map = Map::built_in();
        let short = Which::parse("va/renderD129", &map).unwrap();
        assert_eq!(Which::parse("va//dev/dri/renderD129", &map).unwrap(), short);
        let encoder = map.find("vah264enc").unwrap();
        assert!(short.covers(&encoder, Some("renderD129")));
        assert!(!short.covers(&encoder, Some("renderD128")) && !short.covers(&encoder, None));
    }

    #[test]
    fn the_budget_is_three_quarters_of_the_cores_and_lets_one_session_through() {
        let auto = policy("");
        assert_eq!(auto.cores(), 6.0);
        assert!(auto.has_cores_for(9.0, 0.0));
        assert!(auto.has_cores_for(2.0, 4.0) && !auto.has_cores_for(2.1, 4.0));
        let strict = policy("software_cores = 1.5");
        assert!(strict.has_cores_for(1.5, 0.0) && !strict.has_cores_for(1.6, 0.0));
    }
}
