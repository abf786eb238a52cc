//! Cases: elements for streams of some kinds only.

use serde::{Deserialize, Deserializer, de::Error};
use streammill_media::{Codec, Format, MediaKind, Track};

use super::{Launch, TrackChoice};
use crate::config::nearest;

/// What a template does with streams of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Table")]
pub struct Case {
    /// The streams it is for.
    pub when: When,
    /// What it does with them.
    pub launch: Launch,
}

/// What has to be true of a stream's first tracks. What is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Of its pictures.
    #[serde(deserialize_with = "video")]
    pub video: Option<TrackRule>,
    /// Of its sound.
    #[serde(deserialize_with = "audio")]
    pub audio: Option<TrackRule>,
    /// Lines that the picture has at least.
    pub min_height: Option<u32>,
    /// Lines that it has at most.
    pub max_height: Option<u32>,
}

/// What has to be true of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackRule {
    /// There is none.
    None,
    /// There is one.
    Any,
    /// There is one in one of these codings.
    Coded(Vec<Codec>),
}

/// As it is written; `#[serde(flatten)]` would not find unknown keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    when: When,
    #[serde(default)]
    tracks: TrackChoice,
    #[serde(default)]
    video: Option<String>,
    #[serde(default)]
    rung: Option<String>,
    #[serde(default)]
    audio: Option<String>,
    #[serde(default)]
    shared: Option<String>,
}

impl From<Table> for Case {
    fn from(table: Table) -> Self {
        Self {
            when: table.when,
            launch: Launch {
                tracks: table.tracks,
                video: table.video,
                rung: table.rung,
                audio: table.audio,
                shared: table.shared,
                source: None,
            },
        }
    }
}

/// How templates call codings.
const CODECS: [(&str, Codec); 11] = [
    ("h264", Codec::H264),
    ("hevc", Codec::Hevc),
    ("av1", Codec::Av1),
    ("vp8", Codec::Vp8),
    ("vp9", Codec::Vp9),
    ("aac", Codec::Aac),
    ("mp3", Codec::Mp3),
    ("opus", Codec::Opus),
    ("flac", Codec::Flac),
    ("ac3", Codec::Ac3),
    ("eac3", Codec::Eac3),
];

impl When {
    /// Whether a stream is of this kind.
    pub fn fits(&self, tracks: &[Track]) -> bool {
        let first = |kind| tracks.iter().find(|track| track.kind() == kind);
        let (video, audio) = (first(MediaKind::Video), first(MediaKind::Audio));
        let height = video.and_then(|track| match track.format {
            Format::Video(video) => Some(video.height),
            Format::Audio(_) => None,
        });
        let fits = |rule: &Option<TrackRule>, track| rule.as_ref().is_none_or(|rule| rule.fits(track));
        fits(&self.video, video)
            && fits(&self.audio, audio)
            && self
                .min_height
                .is_none_or(|least| height.is_some_and(|height| height >= least))
            && self
                .max_height
                .is_none_or(|most| height.is_some_and(|height| height <= most))
    }

    /// Why no stream is of this kind.
    pub(super) fn contradiction(&self) -> Option<String> {
        let has_height = self.min_height.is_some() || self.max_height.is_some();
        match (self.min_height, self.max_height) {
            (Some(least), Some(most)) if least > most => {
                Some(format!("no picture has at least {least} and at most {most} lines"))
            }
            _ if has_height && self.video == Some(TrackRule::None) => {
                Some("a stream without pictures has no height".to_owned())
            }
            _ => None,
        }
    }
}

impl TrackRule {
    fn fits(&self, track: Option<&Track>) -> bool {
        match self {
            Self::None => track.is_none(),
            Self::Any => track.is_some(),
            Self::Coded(codecs) => track.is_some_and(|track| codecs.contains(&track.codec)),
        }
    }

    fn read(words: &[String], kind: MediaKind) -> Result<Self, String> {
        let of_kind = || CODECS.iter().filter(|(_, codec)| codec.kind() == kind);
        let codec = |word: &String| {
            let known = of_kind().find(|(name, _)| name == word);
            known.map(|(_, codec)| *codec).ok_or_else(|| {
                let names = of_kind().map(|(name, _)| *name);
                let hint = nearest(word, names.clone());
                let hint = hint.map_or_else(String::new, |hint| format!("; did you mean \"{hint}\"?"));
                let names: Vec<_> = names.collect();
                format!("{word:?} is none of any, none, {}{hint}", names.join(", "))
            })
        };
        match words {
            [word] if word == "none" => Ok(Self::None),
            [word] if word == "any" => Ok(Self::Any),
            [] => Err("an empty list fits no stream".to_owned()),
            words => Ok(Self::Coded(words.iter().map(codec).collect::<Result<_, _>>()?)),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a codec, a list of codecs, \"any\" or \"none\" was expected")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn rule<'de, D: Deserializer<'de>>(deserializer: D, kind: MediaKind) -> Result<Option<TrackRule>, D::Error> {
    let words = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(word) => vec![word],
        OneOrMany::Many(words) => words,
    };
    TrackRule::read(&words, kind).map(Some).map_err(D::Error::custom)
}

fn video<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TrackRule>, D::Error> {
    rule(deserializer, MediaKind::Video)
}

fn audio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TrackRule>, D::Error> {
    rule(deserializer, MediaKind::Audio)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use streammill_media::TrackId;

    use super::*;

    fn when(text: &str) -> Result<When, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
    }

    fn video(codec: Codec, height: u16) -> Track {
        let [low, high] = height.to_le_bytes();
        let frame = [0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 2, low, high];
        let vp8 = Track::from_frame(TrackId(0), Codec::Vp8, Bytes::new(), &frame).unwrap();
        Track { codec, ..vp8 }
    }

    fn audio() -> Track {
        Track::from_config(TrackId(0), Codec::Aac, Bytes::from_static(b"\x12\x10")).unwrap()
    }

    #[test]
    fn every_codec_has_a_name() {
        for codec in Codec::ALL {
            assert!(CODECS.iter().any(|(_, named)| *named == codec), "{codec:?}");
        }
    }

    #[test]
    fn a_case_fits_by_codec_presence_and_height() {
        let (hevc, h264) = ([video(Codec::Hevc, 1080)], [video(Codec::H264, 720), audio()]);
        let sound = [audio()];
        for (text, fits) in [
            ("", [true, true, true]),
            ("video = ['hevc', 'av1']", [true, false, false]),
            ("video = 'h264'", [false, true, false]),
            ("video = 'any'", [true, true, false]),
            ("video = 'none'", [false, false, true]),
            ("audio = 'none'", [true, false, false]),
            ("audio = 'aac'", [false, true, true]),
            ("audio = 'opus'", [false, false, false]),
            ("min_height = 721", [true, false, false]),
            ("min_height = 720", [true, true, false]),
            ("max_height = 720", [false, true, false]),
            ("video = 'any'\naudio = 'any'\nmax_height = 720", [false, true, false]),
        ] {
            let when = when(text).unwrap();
            let found = [&hevc[..], &h264, &sound].map(|tracks| when.fits(tracks));
            assert_eq!(found, fits, "{text}");
        }
    }

    #[test]
    fn what_no_stream_can_be_is_refused() {
        for (text, reason) in [
            (
                "video = 'h256'",
                "\"h256\" is none of any, none, h264, hevc, av1, vp8, vp9; did you mean \"h264\"?",
            ),
            ("video = 'aac'", "\"aac\" is none of any, none, h264"),
            ("audio = []", "an empty list fits no stream"),
            ("audio = ['none', 'aac']", "\"none\" is none of"),
            ("audio = 3", "was expected"),
            ("hight = 3", "unknown field `hight`"),
        ] {
            let error = when(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let impossible = when("min_height = 2\nmax_height = 1").unwrap();
        assert!(impossible.contradiction().is_some());
        assert!(
            when("video = 'none'\nmin_height = 2")
                .unwrap()
                .contradiction()
                .is_some()
        );
        assert_eq!(when("min_height = 1\nmax_height = 1").unwrap().contradiction(), None);
    }
}
