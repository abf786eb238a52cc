//! Encoders: what a template asks for, which element does it, and how many may at a time.
//!
//! A template asks for a [`role`]; the [`map`] says what each element calls its parts, [`apply`] sets them. Which element
//! plays a role is for the [`mod@bench`] to say: it knows from [`survey`] what is installed, from [`probe`] what works, from
//! the operator's [`policy`] what is wanted, and counts what is in use. The bench and the policy are plain values and know
//! no element, so that what happens when a driver fails can be tested without one.

pub mod apply;
pub mod bench;
pub mod codec;
pub mod leases;
pub mod map;
pub mod policy;
pub mod probe;
pub mod refusal;
pub mod role;
pub mod sample;
mod seats;
pub mod setting;
pub mod standing;
pub mod status;
pub mod survey;
pub mod workload;

use std::collections::BTreeMap;

pub use bench::EncoderBench;
pub use codec::EncoderCodec;
pub use map::{Class, Encoder, Map};
pub use policy::Policy;
pub use refusal::Refused;
pub use role::{Asked, Demand, Pictures, RateControl, Role, Tune};

use super::{memory::Kits, template::Template};
use crate::config::{Encoders, Problem};

/// The encoders chosen for a template's roles, by the roles' names. It can be handed to another process.
pub type Chosen = BTreeMap<String, Encoder>;

/// What a configuration makes of the encoders that are installed.
#[derive(Clone, Debug)]
pub struct Equipment {
    /// All that are known.
    pub map: Map,
    /// Those that are installed, to be taken from.
    pub bench: EncoderBench,
    /// What works in the same memory as they do.
    pub kits: Kits,
    /// Those of them that are to be probed: what is forbidden is left alone.
    pub to_probe: Vec<Encoder>,
}

impl Equipment {
    /// [`start`](super::start) has to have been called.
    pub fn new(config: &Encoders) -> Result<Self, Vec<Problem>> {
        let map = Map::new(&config.elements)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let policy = Policy::new(config, &map, cores)?;
        let installed = survey::installed(&map);
        let is_wanted = |encoder: &&Encoder| policy.forbidden(encoder, None).is_none();
        Ok(Self {
            to_probe: installed.iter().filter(is_wanted).cloned().collect(),
            bench: EncoderBench::new(policy, installed, map.iter().cloned()),
            kits: Kits::new(&config.kits)?,
            map,
        })
    }
}

/// For each role of a template the first encoder of the map that is there, whatever its state: for checks and trials, which
/// nobody watches.
pub fn first_present(template: &Template, map: &Map, is_present: impl Fn(&str) -> bool) -> Result<Chosen, NoEncoder> {
    let choice = |(name, role): (&String, &Role)| {
        let candidates = || map.iter().filter(|encoder| encoder.codec == role.codec);
        let found = candidates().find(|encoder| is_present(&encoder.element));
        let encoder = found.ok_or_else(|| NoEncoder {
            codec: role.codec,
            candidates: candidates().map(|encoder| encoder.element.clone()).collect(),
        })?;
        Ok((name.clone(), encoder.clone()))
    };
    template.encoders.iter().map(choice).collect()
}

/// No encoder for a codec is installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {} encoder is installed; one of {} is needed", codec.as_str(), candidates.join(", "))]
pub struct NoEncoder {
    /// The codec.
    pub codec: EncoderCodec,
    /// The elements that would do.
    pub candidates: Vec<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    fn template() -> Template {
        let text = "summary = 's'\noutput = 'stream'\n[encoders.v]\ncodec = 'h264'\n[encoders.a]\ncodec = 'aac'\n\
                    [launch]\nvideo = 'in.video ! encoder name=v ! out.video'\naudio = 'in.audio ! encoder name=a ! out.audio'";
        Template::parse(Path::new("t.toml"), text).unwrap()
    }

    #[test]
    fn a_trial_takes_the_first_encoder_of_the_map_that_is_there() {
        let map = Map::built_in();
        let of = |present: &[&str]| {
            let chosen = first_present(&template(), &map, |element| present.contains(&element)).unwrap();
            let elements: Vec<_> = chosen.into_values().map(|encoder| encoder.element).collect();
            elements.join(" ")
        };
        assert_eq!(
            of(&["openh264enc", "x264enc", "voaacenc", "avenc_aac"]),
            "avenc_aac x264enc"
        );
        assert_eq!(of(&["openh264enc", "vah264enc", "voaacenc"]), "voaacenc vah264enc");
    }

    #[test]
    fn without_an_encoder_the_error_names_what_would_do() {
        let error = first_present(&template(), &Map::built_in(), |_| false)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "no aac encoder is installed; one of fdkaacenc, avenc_aac, voaacenc, faac is needed"
        );
    }
}
