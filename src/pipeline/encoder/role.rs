//! Roles: what a template asks of an encoder.
//!
//! A role names no element and no property. It says what has to come out, and each value is a constant of the template's or
//! one of its parameters; [`Role::demand`] puts the values in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    super::params::{Fraction, Kind, Rung, Value, Values},
    codec::EncoderCodec,
};

/// What a template asks of an encoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What it has to make.
    pub codec: EncoderCodec,
    /// How much of it a second.
    #[serde(default)]
    pub bitrate: Option<Asked>,
    /// How much at most, where the rate may vary.
    #[serde(default)]
    pub max_bitrate: Option<Asked>,
    /// Longest distance between two key frames.
    #[serde(default)]
    pub keyframe_interval: Option<Asked>,
    /// Pictures a second that come at most, whatever the source has.
    #[serde(default)]
    pub max_fps: Option<Asked>,
    /// What it is tuned for: `low-latency` or `quality`.
    #[serde(default)]
    pub tune: Option<Asked>,
    /// The codec's profile, as its specification calls it.
    #[serde(default)]
    pub profile: Option<Asked>,
    /// Pictures between two others that need both.
    #[serde(default)]
    pub b_frames: Option<Asked>,
    /// Whether the rate may vary: `cbr` or `vbr`.
    #[serde(default)]
    pub rate_control: Option<Asked>,
}

/// What an encoder is tuned for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tune {
    /// Frames leave as they come: no reordering, no look-ahead.
    #[default]
    LowLatency,
    /// Better pictures for the same bits, half a second later.
    Quality,
}

/// Whether the rate may vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RateControl {
    /// As even as the encoder can make it.
    #[default]
    Cbr,
    /// More where the picture needs it, up to the largest rate.
    Vbr,
}

/// A value of a role: a parameter's, or a constant.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Asked {
    /// What the parameter has.
    Param(FromParam),
    /// What the rung of a ladder says.
    Rung(FromRung),
    /// This.
    Constant(toml::Value),
}

/// `{ param = "NAME" }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromParam {
    /// Name of the parameter.
    pub param: String,
}

/// `{ rung = "bitrate" }`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromRung {
    /// What of it.
    pub rung: OfRung,
}

/// What a role can take from a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OfRung {
    /// Its bit rate.
    Bitrate,
}

/// The pictures that an encoder gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Pictures {
    /// Pictures a second, where that is known.
    pub rate: Option<(u32, u32)>,
    /// Key frames are so many pictures apart, or a multiple of it: those of a ladder's rungs are at the same times.
    pub group: u32,
    /// Threads that they need of an encoder on the processor.
    pub threads: u32,
}

impl Default for Pictures {
    fn default() -> Self {
        Self {
            rate: None,
            group: 1,
            threads: 1,
        }
    }
}

/// What a role asks for once its parameters have values. It can be handed to another process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Demand {
    /// Bits a second.
    pub bitrate: Option<u64>,
    /// Bits a second at most.
    pub max_bitrate: Option<u64>,
    /// Longest distance between two key frames.
    pub keyframe_interval: Option<Duration>,
    /// Pictures a second that come at most.
    pub max_fps: Option<Fraction>,
    /// What it is tuned for.
    pub tune: Tune,
    /// The profile as GStreamer's caps call it, equally good ones behind it.
    pub profile: Vec<String>,
    /// Pictures between two others that need both; `None` leaves it to the tuning.
    pub b_frames: Option<u32>,
    /// Whether the rate may vary.
    pub rate_control: RateControl,
}

impl Demand {
    /// The rate that pictures of this one have when no more come than it says.
    pub fn slower(&self, rate: Option<(u32, u32)>) -> Option<(u32, u32)> {
        let of = |(numerator, denominator)| Fraction::new(numerator, denominator).map_or(f64::MAX, Fraction::as_f64);
        match self.max_fps {
            Some(most) if rate.is_some_and(|rate| of(rate) > most.as_f64()) => Some(most.into_parts()),
            _ => rate,
        }
    }
}

/// Most pictures that H.264 allows between two others.
const MAX_B_FRAMES: i64 = 16;

const TUNES: &[&str] = &["low-latency", "quality"];
const RATE_CONTROLS: &[&str] = &["cbr", "vbr"];

impl Role {
    /// The parameters it uses: its own key, the parameter, and the type that is needed.
    pub fn params(&self) -> impl Iterator<Item = (&'static str, &str, Kind)> {
        self.entries().into_iter().filter_map(|(key, asked, kind)| match asked {
            Some(Asked::Param(from)) => Some((key, from.param.as_str(), kind)),
            _ => None,
        })
    }

    /// Constants that cannot be read or make no sense: the key, and why.
    pub fn wrong_constants(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.entries().into_iter().filter_map(|(key, asked, kind)| match asked {
            Some(Asked::Constant(constant)) => {
                let read = kind.parse(constant);
                let checked = read.and_then(|value| self.check(key, &value));
                checked.err().map(|reason| (key, reason))
            }
            Some(Asked::Rung(_)) if kind != Kind::Bitrate => Some((key, "a rung does not say that".to_owned())),
            _ => None,
        })
    }

    /// Why a value cannot stand under a key. What an enum parameter may become has to be asked for value by value.
    pub fn check(&self, key: &str, value: &Value) -> Result<(), String> {
        match (value, self.choices(key)) {
            (Value::Choice(choice), Some(choices)) if !choices.contains(&choice.as_str()) => match choices.is_empty() {
                true => Err(format!("{} has no {key}s to choose from", self.codec.as_str())),
                false => Err(format!("{choice:?} is not one of {}", choices.join(", "))),
            },
            (Value::Int(number), _) if !(0..=MAX_B_FRAMES).contains(number) => {
                Err(format!("{number} is not between 0 and {MAX_B_FRAMES}"))
            }
            _ => Ok(()),
        }
    }

    /// The parameter that says how many pictures come at most, if one does.
    pub fn max_fps_param(&self) -> Option<&str> {
        match &self.max_fps {
            Some(Asked::Param(from)) => Some(&from.param),
            _ => None,
        }
    }

    /// Whether it takes something from the rung of a ladder.
    pub fn uses_rung(&self) -> bool {
        let mut entries = self.entries().into_iter();
        entries.any(|(_, asked, _)| matches!(asked, Some(Asked::Rung(_))))
    }

    /// As it is at a rung.
    pub fn at_rung(&self, rung: &Rung) -> Self {
        let mut role = self.clone();
        for asked in [&mut role.bitrate, &mut role.max_bitrate] {
            if let Some(asked @ Asked::Rung(_)) = asked {
                // A rung's bit rate has bounds far below this.
                *asked = Asked::Constant(toml::Value::Integer(i64::try_from(rung.bitrate).unwrap_or(i64::MAX)));
            }
        }
        role
    }

    /// What it asks for with these values.
    pub fn demand(&self, values: &Values) -> Demand {
        let value = |asked: &Option<Asked>, kind: Kind| match asked.as_ref()? {
            Asked::Param(from) => values.get(&from.param).cloned(),
            // Filled in by [`Role::at_rung`].
            Asked::Rung(_) => None,
            Asked::Constant(constant) => kind.parse(constant).ok(),
        };
        let bits = |asked| match value(asked, Kind::Bitrate)? {
            Value::Bitrate(bits) => Some(bits),
            _ => None,
        };
        let word = |asked| match value(asked, Kind::Enum)? {
            Value::Choice(word) | Value::Text(word) => Some(word),
            _ => None,
        };
        let profile = word(&self.profile).and_then(|wanted| {
            let mut known = self.codec.profiles().iter();
            known.find(|(name, _)| *name == wanted).map(|(_, caps)| *caps)
        });
        Demand {
            bitrate: bits(&self.bitrate),
            max_bitrate: bits(&self.max_bitrate),
            keyframe_interval: value(&self.keyframe_interval, Kind::Duration).and_then(|value| match value {
                Value::Duration(duration) => Some(duration),
                _ => None,
            }),
            max_fps: value(&self.max_fps, Kind::Fraction).and_then(|value| match value {
                Value::Fraction(rate) => Some(rate),
                _ => None,
            }),
            tune: match word(&self.tune).as_deref() {
                Some("quality") => Tune::Quality,
                _ => Tune::LowLatency,
            },
            profile: profile.unwrap_or_default().iter().map(ToString::to_string).collect(),
            b_frames: value(&self.b_frames, Kind::Int).and_then(|value| match value {
                Value::Int(number) => u32::try_from(number.clamp(0, MAX_B_FRAMES)).ok(),
                _ => None,
            }),
            rate_control: match word(&self.rate_control).as_deref() {
                Some("vbr") => RateControl::Vbr,
                _ => RateControl::Cbr,
            },
        }
    }

    fn entries(&self) -> [(&'static str, &Option<Asked>, Kind); 8] {
        [
            ("bitrate", &self.bitrate, Kind::Bitrate),
            ("max_bitrate", &self.max_bitrate, Kind::Bitrate),
            ("keyframe_interval", &self.keyframe_interval, Kind::Duration),
            ("max_fps", &self.max_fps, Kind::Fraction),
            ("tune", &self.tune, Kind::Enum),
            ("profile", &self.profile, Kind::Enum),
            ("b_frames", &self.b_frames, Kind::Int),
            ("rate_control", &self.rate_control, Kind::Enum),
        ]
    }

    /// The words that may stand under a key, if only some may.
    fn choices(&self, key: &str) -> Option<Vec<&'static str>> {
        match key {
            "tune" => Some(TUNES.to_vec()),
            "rate_control" => Some(RATE_CONTROLS.to_vec()),
            "profile" => Some(self.codec.profiles().iter().map(|(name, _)| *name).collect()),
            _ => None,
        }
    }
}

/// A key-frame distance in pictures. Where the rate is not known 30 a second are assumed: the distance in seconds is then
/// wrong, but there is one.
pub fn distance(interval: Duration, pictures: Pictures) -> u32 {
    let (numerator, denominator) = pictures.rate.filter(|(n, d)| *n > 0 && *d > 0).unwrap_or((30, 1));
    let group = pictures.group.max(1);
    let count = interval.as_secs_f64() * f64::from(numerator) / f64::from(denominator);
    let groups = (count / f64::from(group)).round();
    (groups as u32).clamp(1, 10_000).saturating_mul(group)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn role(text: &str) -> Role {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_key_frame_distance_follows_the_frame_rate() {
        let two = Duration::from_secs(2);
        let of = |interval, rate, group| {
            distance(
                interval,
                Pictures {
                    rate,
                    group,
                    threads: 1,
                },
            )
        };
        assert_eq!(of(two, Some((30, 1)), 1), 60);
        assert_eq!(of(two, Some((30_000, 1001)), 1), 60);
        assert_eq!(of(two, Some((25, 1)), 1), 50);
        assert_eq!(of(two, Some((0, 1)), 1), 60);
        assert_eq!(of(two, None, 1), 60);
        assert_eq!(of(Duration::ZERO, Some((30, 1)), 1), 1);
        let second = Duration::from_secs(1);
        assert_eq!(
            (of(second, Some((25, 1)), 2), of(second, Some((25, 2)), 1)),
            (26, 13),
            "halves of one ladder"
        );
    }

    #[test]
    fn a_role_takes_constants_and_parameters() {
        let role = role(
            "codec = 'h264'\nbitrate = { param = 'rate' }\nkeyframe_interval = '2s'\nprofile = { param = 'profile' }\n\
             b_frames = 2\nrate_control = 'vbr'\ntune = 'quality'",
        );
        let values = Values::from([
            ("rate".to_owned(), Value::Bitrate(5)),
            ("profile".to_owned(), Value::Choice("baseline".to_owned())),
        ]);
        let expected = Demand {
            bitrate: Some(5),
            max_bitrate: None,
            keyframe_interval: Some(Duration::from_secs(2)),
            max_fps: None,
            tune: Tune::Quality,
            profile: vec!["constrained-baseline".to_owned(), "baseline".to_owned()],
            b_frames: Some(2),
            rate_control: RateControl::Vbr,
        };
        assert_eq!(role.demand(&values), expected);
        let params: Vec<_> = role.params().collect();
        let wanted = [("bitrate", "rate", Kind::Bitrate), ("profile", "profile", Kind::Enum)];
        assert_eq!(params, wanted);
    }

    #[test]
    fn a_role_that_says_only_its_codec_is_for_low_latency_at_an_even_rate() {
        let demand = role("codec = 'opus'").demand(&Values::new());
        assert_eq!(demand, Demand::default());
        assert_eq!((demand.tune, demand.rate_control), (Tune::LowLatency, RateControl::Cbr));
    }

    #[test]
    fn constants_that_make_no_sense_are_named_with_what_would() {
        for (text, key, reason) in [
            (
                "codec = 'h264'\ntune = 'fast'",
                "tune",
                "\"fast\" is not one of low-latency, quality",
            ),
            (
                "codec = 'h264'\nrate_control = 'crf'",
                "rate_control",
                "\"crf\" is not one of cbr, vbr",
            ),
            (
                "codec = 'hevc'\nprofile = 'high'",
                "profile",
                "\"high\" is not one of main, main10",
            ),
            ("codec = 'opus'\nprofile = 'main'", "profile", "opus has no profiles"),
            (
                "codec = 'h264'\nb_frames = -1",
                "b_frames",
                "-1 is not between 0 and 16",
            ),
            ("codec = 'h264'\nb_frames = 'two'", "b_frames", "is not a whole number"),
            ("codec = 'h264'\nbitrate = 'fast'", "bitrate", "is not a bit rate"),
        ] {
            let wrong: Vec<_> = role(text).wrong_constants().collect();
            assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
            assert!(wrong[0].0 == key && wrong[0].1.contains(reason), "{text}: {wrong:?}");
        }
    }

    #[test]
    fn every_codec_is_written_as_it_is_read() {
        for codec in EncoderCodec::ALL {
            let text = format!("codec = '{}'", codec.as_str());
            assert_eq!(role(&text).codec, codec);
        }
    }
}
