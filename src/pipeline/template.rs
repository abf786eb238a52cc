//! Templates: files that say what a pipeline does with a stream.
//!
//! `docs/templates.md` tells how they are written. Here they are read, and held against everything that can be known
//! without GStreamer; [`library`](super::library) does the rest. A template's launch text is constant and its author's own.
//! No value is put into it: parameters go to properties after it has been parsed.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use streammill_media::MediaKind;

use super::{
    encoder::Role,
    params::{Kind, Param, Value, Values},
};
use crate::config::{Problem, nearest};

/// A template.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name: the file's, without the suffix.
    #[serde(skip)]
    pub name: String,
    /// What it does, in a line.
    pub summary: String,
    /// Where its result goes.
    pub output: Output,
    /// What becomes of it when a track changes its configuration in mid-stream.
    #[serde(default)]
    pub on_change: OnChange,
    /// Where it runs; `None` leaves that to [`Template::isolation`].
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// What it may be told.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The encoders it asks for, by the name of the element that stands for them.
    #[serde(default)]
    pub encoders: BTreeMap<String, Role>,
    /// Its elements.
    #[serde(default)]
    pub launch: Option<Launch>,
    /// The enum parameter that chooses among `variants`.
    #[serde(default)]
    pub variant: Option<String>,
    /// Its elements, by the value of that parameter.
    #[serde(default)]
    pub variants: BTreeMap<String, Launch>,
}

/// Where a template's result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// To the hub, as a stream: what arrives at `out`.
    Stream,
    /// To the packager, as CMAF fragments: what arrives at `out`.
    Segments,
    /// To a file: the element named `file`, whose `location` the server sets.
    File,
    /// Elsewhere; the template's own elements see to it.
    None,
}

/// What becomes of a pipeline when a track changes its configuration in mid-stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// It gets the new caps between two frames: for elements that follow a change.
    Renegotiate,
    /// It is finished and another one begun: for files, whose headers cannot change.
    #[default]
    Rotate,
}

/// Where a template's pipelines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// In the server's process: for light work with elements that can be trusted.
    Inline,
    /// Each in a worker, a process of its own: what crashes or hangs there costs a restart of that pipeline.
    Process,
}

/// Elements in gst-launch syntax. What is there for a track is used only if the stream has that track, because a muxer with
/// a pad that nothing comes to waits for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// Which tracks of a stream it is for.
    #[serde(default)]
    pub tracks: TrackChoice,
    /// What pictures go through, from `in.video`.
    #[serde(default)]
    pub video: Option<String>,
    /// What sound goes through, from `in.audio`.
    #[serde(default)]
    pub audio: Option<String>,
    /// What both lead to.
    #[serde(default)]
    pub shared: Option<String>,
    /// The whole of a template that works on no stream.
    #[serde(default)]
    pub source: Option<String>,
}

/// Which tracks of a stream a launch is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackChoice {
    /// The first of each kind.
    #[default]
    First,
    /// All of them; each further one goes through a copy of the text for its kind.
    All,
}

impl Template {
    /// Reads a template file.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let mut template: Self = toml::from_str(text).map_err(|error| vec![Problem::of_file(path, text, &error)])?;
        template.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let problems: Vec<_> = template
            .contradictions()
            .into_iter()
            .map(|(key, message)| Problem {
                place: Some((path.to_owned(), line_of(text, &key))),
                key: Some(key),
                message,
                hint: None,
            })
            .collect();
        if problems.is_empty() {
            Ok(template)
        } else {
            Err(problems)
        }
    }

    /// The elements for these values.
    pub fn launch(&self, values: &Values) -> &Launch {
        let chosen = self.variant.as_ref().and_then(|param| match values.get(param) {
            Some(Value::Choice(choice)) => self.variants.get(choice),
            _ => None,
        });
        // A template that has neither does not pass `contradictions`.
        const NOTHING: &Launch = &Launch {
            tracks: TrackChoice::First,
            video: None,
            audio: None,
            shared: None,
            source: None,
        };
        chosen.or(self.launch.as_ref()).unwrap_or(NOTHING)
    }

    /// Every launch it may use.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.launch.iter().chain(self.variants.values())
    }

    /// Where it runs. Codecs and drivers crash, so what decodes or encodes has a worker of its own unless it says otherwise.
    pub fn isolation(&self) -> Isolation {
        let has_codec = || {
            let mut texts = self.launches().flat_map(Launch::texts);
            texts.any(|text| text.split_whitespace().any(|word| word == "decoder"))
        };
        match self.isolation {
            Some(isolation) => isolation,
            None if !self.encoders.is_empty() || has_codec() => Isolation::Process,
            None => Isolation::Inline,
        }
    }

    /// Whether it works on no stream.
    pub fn is_source(&self) -> bool {
        self.launches().any(|launch| launch.source.is_some())
    }

    /// Keys whose value does not fit the rest, and why.
    fn contradictions(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, param) in &self.params {
            if let Some(reason) = param.contradiction() {
                found.push((format!("params.{name}"), reason));
            }
        }
        for (name, role) in &self.encoders {
            for (key, used, kind) in role.params() {
                let place = format!("encoders.{name}.{key}");
                match self.params.get(used) {
                    Some(param) if param.kind == kind => {
                        let values = param.values.iter().map(|value| Value::Choice(value.clone()));
                        let wrong = values.filter_map(|value| role.check(key, &value).err());
                        found.extend(wrong.map(|reason| (place.clone(), format!("parameter '{used}': {reason}"))));
                    }
                    Some(_) => found.push((
                        place,
                        format!("parameter '{used}' is not of type {kind:?}").to_lowercase(),
                    )),
                    None => found.push((place, self.no_such_param(used))),
                }
            }
            found.extend(
                role.wrong_constants()
                    .map(|(key, reason)| (format!("encoders.{name}.{key}"), reason)),
            );
            let marker = |launch: &Launch| {
                launch
                    .texts()
                    .any(|text| encoder_names(text).any(|known| known == name))
            };
            if !self.launches().any(marker) {
                let message = format!("no launch text has `encoder name={name}`");
                found.push((format!("encoders.{name}"), message));
            }
        }
        match (&self.launch, &self.variant) {
            (Some(_), None) if self.variants.is_empty() => {}
            (None, Some(variant)) => match self.params.get(variant) {
                Some(param) if param.kind == Kind::Enum => {
                    let missing = param.values.iter().filter(|value| !self.variants.contains_key(*value));
                    found.extend(missing.map(|value| ("variant".to_owned(), format!("there is no variants.{value}"))));
                }
                Some(_) => found.push(("variant".to_owned(), format!("parameter '{variant}' is no enum"))),
                None => found.push(("variant".to_owned(), self.no_such_param(variant))),
            },
            _ => {
                let message = "either `launch` is needed, or `variant` with `variants`";
                found.push(("launch".to_owned(), message.to_owned()));
            }
        }
        for launch in self.launches() {
            found.extend(
                self.contradictions_of(launch)
                    .map(|message| ("launch".to_owned(), message)),
            );
        }
        found
    }

    fn contradictions_of(&self, launch: &Launch) -> impl Iterator<Item = String> {
        let takes_tracks = launch.video.is_some() || launch.audio.is_some();
        let shape = match (&launch.source, takes_tracks) {
            (Some(_), true) => Some("`source` works on no stream; `video` and `audio` do".to_owned()),
            (None, false) => Some("`video`, `audio` or `source` is needed".to_owned()),
            _ => None,
        };
        let unknown = launch
            .texts()
            .flat_map(encoder_names)
            .filter(|name| !self.encoders.contains_key(*name))
            .map(|name| format!("there is no [encoders.{name}]"))
            .collect::<Vec<_>>();
        shape.into_iter().chain(unknown)
    }

    fn no_such_param(&self, name: &str) -> String {
        let hint = nearest(name, self.params.keys().map(String::as_str));
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean '{hint}'?"));
        format!("there is no parameter '{name}'{hint}")
    }
}

impl Launch {
    /// The text for a track.
    pub fn track(&self, kind: MediaKind) -> Option<&str> {
        match kind {
            MediaKind::Video => self.video.as_deref(),
            MediaKind::Audio => self.audio.as_deref(),
            MediaKind::Data => None,
        }
    }

    /// All its texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.shared, &self.video, &self.audio, &self.source]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

/// The names given to `encoder`s in a launch text.
fn encoder_names(text: &str) -> impl Iterator<Item = &str> {
    let mut words = text.split_whitespace().peekable();
    std::iter::from_fn(move || {
        loop {
            if words.next()? == "encoder"
                && let Some(name) = words.peek().and_then(|word| word.strip_prefix("name="))
            {
                return Some(name);
            }
        }
    })
}

/// The line a dotted key stands on, as far as can be told from its text; 1 where it cannot.
fn line_of(text: &str, key: &str) -> usize {
    let (table, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut current = "";
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            current = header.split(']').next().unwrap_or_default();
            if current == key || current.starts_with(&format!("{key}.")) {
                return index + 1;
            }
        } else if current == table && line.split('=').next().is_some_and(|name| name.trim() == last) {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> Result<Template, String> {
        Template::parse(Path::new("t/mine.toml"), text).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
            lines.join("\n")
        })
    }

    const GOOD: &str = r#"
summary = "One rendition"
output = "stream"

[params]
height = { type = "int", default = 360, min = 64, max = 4320, sets = "size.caps:height" }
video_bitrate = { type = "bitrate", default = "800k" }

[encoders.v]
codec = "h264"
bitrate = { param = "video_bitrate" }
keyframe_interval = "2s"

[launch]
video = "in.video ! decodebin ! capsfilter name=size ! encoder name=v ! h264parse ! out.video"
audio = "in.audio ! out.audio"
"#;

    #[test]
    fn a_template_is_named_after_its_file() {
        let template = parse(GOOD).unwrap();
        assert_eq!(template.name, "mine");
        assert_eq!(
            (template.output, template.on_change),
            (Output::Stream, OnChange::Rotate)
        );
        assert!(!template.is_source());
    }

    #[test]
    fn an_unknown_key_is_named_with_file_line_and_the_nearest_key() {
        let error = parse(&GOOD.replace("default = 360", "defualt = 360")).unwrap_err();
        assert!(error.starts_with("t/mine.toml:6: params.height"), "{error}");
        assert!(error.ends_with("did you mean `default`?"), "{error}");
    }

    #[test]
    fn contradictions_are_named_with_file_and_line() {
        for (from, to, expected) in [
            (
                "max = 4320",
                "max = 100",
                "t/mine.toml:6: params.height: default: 360 is above 100",
            ),
            (
                "param = \"video_bitrate\"",
                "param = \"video_bitrat\"",
                "t/mine.toml:11: encoders.v.bitrate: there is no parameter 'video_bitrat'; did you mean 'video_bitrate'?",
            ),
            (
                "keyframe_interval = \"2s\"",
                "tune = \"fast\"",
                "t/mine.toml:12: encoders.v.tune: \"fast\" is not one of low-latency, quality",
            ),
            (
                "encoder name=v",
                "encoder name=w",
                "t/mine.toml:9: encoders.v: no launch text has `encoder name=v`",
            ),
            (
                "encoder name=v",
                "encoder name=w",
                "t/mine.toml:14: launch: there is no [encoders.w]",
            ),
            (
                "audio = ",
                "source = ",
                "t/mine.toml:14: launch: `source` works on no stream; `video` and `audio` do",
            ),
            (
                "[launch]",
                "[variants.mp4]",
                "launch: either `launch` is needed, or `variant` with `variants`",
            ),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn a_variant_is_chosen_by_an_enum_that_it_covers() {
        let text = r#"
summary = "s"
output = "file"
variant = "format"
[params]
format = { type = "enum", values = ["mp4", "flv"], default = "mp4" }
[variants.mp4]
video = "in.video ! h264parse ! mux.video_0"
"#;
        let error = parse(text).unwrap_err();
        assert_eq!(error, "t/mine.toml:4: variant: there is no variants.flv");
        let template = parse(&format!("{text}[variants.flv]\naudio = \"in.audio ! x\"\n")).unwrap();
        let values = Values::from([("format".to_owned(), Value::Choice("flv".to_owned()))]);
        assert!(template.launch(&values).video.is_none());
    }
}
