//! Encoders: what a template asks for, and which element does it.
//!
//! A template asks for a role: a codec with its rate, key-frame distance and tuning. Which element plays it is chosen from
//! this table, and the table says what the role's properties are called there and what they count in. Both are plain
//! data and plain functions; whether an element is installed is asked through a closure.

use std::time::Duration;

use serde::Deserialize;

use super::params::{Kind, Rung, Unit, Value, Values};

/// What a template asks of an encoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What it has to make.
    pub codec: EncoderCodec,
    /// How much of it a second.
    #[serde(default)]
    pub bitrate: Option<Asked>,
    /// Longest distance between two key frames.
    #[serde(default)]
    pub keyframe_interval: Option<Asked>,
    /// What it is tuned for.
    #[serde(default)]
    pub tune: Tune,
}

/// A codec there are encoders for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderCodec {
    /// H.264 / AVC.
    H264,
    /// AAC.
    Aac,
}

/// What an encoder is tuned for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tune {
    /// Frames leave as they come: no reordering, no look-ahead.
    #[default]
    LowLatency,
    /// Better pictures for the same bits, half a second later.
    Quality,
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

/// An element that encodes.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoder {
    /// The element.
    pub element: &'static str,
    /// What it makes.
    pub codec: EncoderCodec,
    bitrate: (&'static str, Unit),
    /// The property that takes the key-frame distance in pictures.
    gop: Option<&'static str>,
    always: &'static [Setting],
    low_latency: &'static [Setting],
    quality: &'static [Setting],
}

/// A property and what it is set to, as text that GStreamer reads.
pub type Setting = (&'static str, &'static str);

/// Every encoder that is known, the preferred one of each codec first.
///
/// `avenc_h264_omx` is left out although it is often installed: it works on no server.
const ENCODERS: &[Encoder] = &[
    Encoder {
        element: "x264enc",
        codec: EncoderCodec::H264,
        bitrate: ("bitrate", Unit::KilobitPerSecond),
        gop: Some("key-int-max"),
        // Key frames at scene cuts would move the segment boundaries of one rendition against another's.
        always: &[("option-string", "scenecut=0"), ("speed-preset", "veryfast")],
        // Zero latency would cut every picture into slices for its threads, which costs 15 % and looks worse.
        low_latency: &[("tune", "zerolatency"), ("sliced-threads", "false"), ("threads", "2")],
        quality: &[("bframes", "2")],
    },
    Encoder {
        element: "openh264enc",
        codec: EncoderCodec::H264,
        bitrate: ("bitrate", Unit::BitPerSecond),
        gop: Some("gop-size"),
        // Its default is to hold the quality and forget the rate.
        always: &[("rate-control", "bitrate"), ("scene-change-detection", "false")],
        low_latency: &[("complexity", "low")],
        quality: &[("complexity", "high")],
    },
    Encoder::aac("fdkaacenc"),
    Encoder::aac("avenc_aac"),
    Encoder::aac("voaacenc"),
    Encoder::aac("faac"),
];

impl Encoder {
    const fn aac(element: &'static str) -> Self {
        Self {
            element,
            codec: EncoderCodec::Aac,
            bitrate: ("bitrate", Unit::BitPerSecond),
            gop: None,
            always: &[],
            low_latency: &[],
            quality: &[],
        }
    }

    /// The first encoder in order of preference that is there.
    pub fn choose(codec: EncoderCodec, is_present: impl Fn(&str) -> bool) -> Result<&'static Self, NoEncoder> {
        let mut candidates = ENCODERS.iter().filter(|encoder| encoder.codec == codec);
        candidates.find(|encoder| is_present(encoder.element)).ok_or(NoEncoder {
            codec,
            candidates: ENCODERS
                .iter()
                .filter(|encoder| encoder.codec == codec)
                .map(|encoder| encoder.element)
                .collect(),
        })
    }

    /// The properties that do not depend on values.
    pub fn settings(&self, tune: Tune) -> impl Iterator<Item = Setting> {
        let tuned = match tune {
            Tune::LowLatency => self.low_latency,
            Tune::Quality => self.quality,
        };
        self.always.iter().chain(tuned).copied()
    }

    /// The property that takes the bit rate, and what it counts in.
    pub fn bitrate(&self) -> (&'static str, Unit) {
        self.bitrate
    }

    /// The property that takes the key-frame distance in pictures, if it has one.
    pub fn gop(&self) -> Option<&'static str> {
        self.gop
    }
}

impl Role {
    /// The parameters it uses: its own key, the parameter, and the type that is needed.
    pub fn params(&self) -> impl Iterator<Item = (&'static str, &str, Kind)> {
        let asked = [
            ("bitrate", &self.bitrate, Kind::Bitrate),
            ("keyframe_interval", &self.keyframe_interval, Kind::Duration),
        ];
        asked.into_iter().filter_map(|(key, asked, kind)| match asked {
            Some(Asked::Param(from)) => Some((key, from.param.as_str(), kind)),
            _ => None,
        })
    }

    /// Constants that cannot be read: the key, and why.
    pub fn wrong_constants(&self) -> impl Iterator<Item = (&'static str, String)> {
        let asked = [
            ("bitrate", &self.bitrate, Kind::Bitrate),
            ("keyframe_interval", &self.keyframe_interval, Kind::Duration),
        ];
        asked.into_iter().filter_map(|(key, asked, kind)| match asked {
            Some(Asked::Constant(constant)) => kind.parse(constant).err().map(|reason| (key, reason)),
            Some(Asked::Rung(_)) if kind != Kind::Bitrate => Some((key, "a rung does not say that".to_owned())),
            _ => None,
        })
    }

    /// Whether it takes something from the rung of a ladder.
    pub fn uses_rung(&self) -> bool {
        let mut asked = [&self.bitrate, &self.keyframe_interval].into_iter();
        asked.any(|asked| matches!(asked, Some(Asked::Rung(_))))
    }

    /// As it is at a rung.
    pub fn at_rung(&self, rung: &Rung) -> Self {
        let mut role = self.clone();
        if let Some(asked @ Asked::Rung(_)) = &mut role.bitrate {
            // A bit rate has bounds far below this.
            *asked = Asked::Constant(toml::Value::Integer(i64::try_from(rung.bitrate).unwrap_or(i64::MAX)));
        }
        role
    }

    /// The bit rate that is asked for.
    pub fn bitrate(&self, values: &Values) -> Option<Value> {
        match self.bitrate.as_ref()? {
            Asked::Rung(_) => None,
            Asked::Param(from) => values.get(&from.param).cloned(),
            Asked::Constant(constant) => Kind::Bitrate.parse(constant).ok(),
        }
    }

    /// The key-frame distance that is asked for.
    pub fn keyframe_interval(&self, values: &Values) -> Option<Duration> {
        let value = match self.keyframe_interval.as_ref()? {
            Asked::Rung(_) => None,
            Asked::Param(from) => values.get(&from.param).cloned(),
            Asked::Constant(constant) => Kind::Duration.parse(constant).ok(),
        };
        match value? {
            Value::Duration(duration) => Some(duration),
            _ => None,
        }
    }
}

/// A key-frame distance in pictures. Where the rate is not known 30 a second are assumed: the distance in seconds is then
/// wrong, but there is one.
pub fn pictures(interval: Duration, frame_rate: Option<(u32, u32)>) -> u32 {
    let (numerator, denominator) = frame_rate.filter(|(n, d)| *n > 0 && *d > 0).unwrap_or((30, 1));
    let pictures = interval.as_secs_f64() * f64::from(numerator) / f64::from(denominator);
    (pictures.round() as u32).clamp(1, 10_000)
}

/// No encoder for a codec is installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {codec:?} encoder is installed; one of {} is needed", candidates.join(", "))]
pub struct NoEncoder {
    /// The codec.
    pub codec: EncoderCodec,
    /// The elements that would do.
    pub candidates: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_preferred_encoder_that_is_there_is_chosen() {
        let all = Encoder::choose(EncoderCodec::H264, |_| true).unwrap();
        assert_eq!(all.element, "x264enc");
        let some = Encoder::choose(EncoderCodec::H264, |element| element == "openh264enc").unwrap();
        assert_eq!(
            (some.element, some.bitrate()),
            ("openh264enc", ("bitrate", Unit::BitPerSecond))
        );
        let aac = Encoder::choose(EncoderCodec::Aac, |element| element != "fdkaacenc").unwrap();
        assert_eq!(aac.element, "avenc_aac");
    }

    #[test]
    fn without_an_encoder_the_error_names_what_would_do() {
        let error = Encoder::choose(EncoderCodec::Aac, |_| false).unwrap_err().to_string();
        assert_eq!(
            error,
            "no Aac encoder is installed; one of fdkaacenc, avenc_aac, voaacenc, faac is needed"
        );
    }

    #[test]
    fn a_key_frame_distance_follows_the_frame_rate() {
        let two = Duration::from_secs(2);
        assert_eq!(pictures(two, Some((30, 1))), 60);
        assert_eq!(pictures(two, Some((30_000, 1001))), 60);
        assert_eq!(pictures(two, Some((25, 1))), 50);
        assert_eq!(pictures(two, Some((0, 1))), 60);
        assert_eq!(pictures(two, None), 60);
        assert_eq!(pictures(Duration::ZERO, Some((30, 1))), 1);
    }

    #[test]
    fn a_role_takes_constants_and_parameters() {
        let role: Role =
            toml::from_str("codec = 'h264'\nbitrate = { param = 'rate' }\nkeyframe_interval = '2s'").unwrap();
        let values = Values::from([("rate".to_owned(), Value::Bitrate(5))]);
        assert_eq!(role.bitrate(&values), Some(Value::Bitrate(5)));
        assert_eq!(role.keyframe_interval(&values), Some(Duration::from_secs(2)));
        assert_eq!(role.params().collect::<Vec<_>>(), [("bitrate", "rate", Kind::Bitrate)]);
    }
}
