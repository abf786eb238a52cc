//! Templates: files that say what a pipeline does with a stream.
//!
//! `docs/templates.md` tells how they are written. Here they are read, and held against everything that can be known
//! without GStreamer; [`library`](super::library) does the rest. A template's launch text is constant and its author's own.
//! No value is put into it: parameters go to properties after it has been parsed.

mod case;
mod contradictions;
mod fit;
mod fragment;
mod place;
mod schema;

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use streammill_media::MediaKind;

pub use case::{Case, TrackRule, When};
pub use fit::{Fitted, output_name};
pub use fragment::Fragments;
pub(super) use place::{line_in_fragments, line_of_word, line_of_word_in};
pub use schema::SCHEMA;

use super::{
    encoder::Role,
    params::{Kind, Param, Value, Values},
    shortage::Saving,
    syntax,
};
use crate::config::Problem;

/// The newest version of the format that is understood.
pub const VERSION: u32 = 1;

/// A template.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name: the file's, without the suffix.
    #[serde(skip)]
    pub name: String,
    /// The version of the format it is written in.
    #[serde(default = "first_version")]
    pub version: u32,
    /// What it does, in a line.
    pub summary: String,
    /// Where its result goes.
    pub output: Output,
    /// The streams it makes beside the one that arrives at `out`: NAME arrives at `out_NAME`.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// What becomes of it when a track changes its configuration in mid-stream.
    #[serde(default)]
    pub on_change: OnChange,
    /// Where it runs; `None` leaves that to [`Template::isolation`].
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// It depends on something outside of the server, a camera or a host, that may be away for long. Nothing is wrong with it
    /// then: it is tried again for as long as it is wanted, and may take its time to begin.
    #[serde(default)]
    pub outside: bool,
    /// What it means that a source comes to its end.
    #[serde(default)]
    pub on_end: OnEnd,
    /// What it does without when encoders are short; `None` leaves that to [`Template::savings`].
    #[serde(default)]
    pub shortage: Option<Vec<Saving>>,
    /// What it may be told.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The encoders it asks for, by the name of the element that stands for them.
    #[serde(default)]
    pub encoders: BTreeMap<String, Role>,
    /// Pieces of launch text by name: `@NAME` stands for one.
    #[serde(default)]
    pub fragments: BTreeMap<String, String>,
    /// Its elements.
    #[serde(default)]
    pub launch: Option<Launch>,
    /// Its elements for streams of some kinds: of those that fit the first.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// The enum parameter that chooses among `variants`.
    #[serde(default)]
    pub variant: Option<String>,
    /// Its elements, by the value of that parameter.
    #[serde(default)]
    pub variants: BTreeMap<String, Launch>,
    /// Of how many of the source's pictures a role encodes one, where it is part of a ladder.
    #[serde(skip)]
    pub keep_every: BTreeMap<String, u32>,
    /// It is what is left of another one for a stream, and may lack elements that its parameters name.
    #[serde(skip)]
    pub is_part: bool,
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
    /// To whoever asks for the stream's picture: the JPEGs that arrive at `out.video`.
    Pictures,
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

/// What it means that a source comes to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEnd {
    /// A failure: it is begun again after a while.
    #[default]
    Fail,
    /// It begins again at once, on the same timeline: a file that is played in a loop.
    Again,
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
    /// What the pictures of each rung of a ladder go through, from `above.`.
    #[serde(default)]
    pub rung: Option<String>,
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

fn first_version() -> u32 {
    1
}

impl Template {
    /// Reads a template file that uses no fragments but its own.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        Self::parse_with(path, text, &Fragments::default())
    }

    /// Reads a template file.
    pub fn parse_with(path: &Path, text: &str, shared: &Fragments) -> Result<Self, Vec<Problem>> {
        let problem = |(key, word, message): (String, Option<String>, String)| Problem {
            place: Some((path.to_owned(), line_of_word(text, &key, word.as_deref()))),
            key: Some(key),
            message,
            hint: None,
        };
        // First of all: of a newer format nothing else can be said.
        if let Some(version) = newer_version(text) {
            let message = format!("version {version} needs a newer streammill; this one knows {VERSION}");
            return Err(vec![problem(("version".to_owned(), None, message))]);
        }
        let mut template: Self = toml::from_str(text).map_err(|error| vec![Problem::of_file(path, text, &error)])?;
        template.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut found = template.expand(shared);
        if found.is_empty() {
            found = template.contradictions();
        }
        template.mark_patterns();
        let problems: Vec<_> = found.into_iter().map(problem).collect();
        match problems.is_empty() {
            true => Ok(template),
            false => Err(problems),
        }
    }

    /// Puts fragments where their names stand.
    fn expand(&mut self, shared: &Fragments) -> Vec<(String, Option<String>, String)> {
        let (fragments, mut problems) = shared.with(&self.fragments);
        for (key, launch) in self.launches_mut() {
            for (part, text) in launch.parts_mut() {
                match fragments.expand(text) {
                    Ok(expanded) => *text = expanded,
                    Err((word, message)) => problems.push((format!("{key}.{part}"), Some(word), message)),
                }
            }
        }
        problems
    }

    /// Notes which parameters must not hold a `%`.
    fn mark_patterns(&mut self) {
        let mut numbering = Vec::new();
        for element in self.launches().flat_map(Launch::texts).flat_map(syntax::elements) {
            for (name, param) in &self.params {
                let is_meant = |target: &&super::params::Target| Some(target.element.as_str()) == element.name();
                let reads = |target: &super::params::Target| target.place.reads_percent(element.factory.text);
                if param.kind == Kind::String && param.targets().filter(is_meant).any(reads) {
                    numbering.push(name.clone());
                }
            }
        }
        for name in numbering {
            if let Some(param) = self.params.get_mut(&name) {
                param.no_percent = true;
            }
        }
    }

    /// Every launch it may use.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.launches_with_keys().map(|(_, launch)| launch)
    }

    /// Every launch it may use, and the key it stands under.
    pub fn launches_with_keys(&self) -> impl Iterator<Item = (String, &Launch)> {
        let launch = self.launch.iter().map(|launch| ("launch".to_owned(), launch));
        let cases = self.cases.iter().enumerate();
        let cases = cases.map(|(number, case)| (format!("cases.{number}"), &case.launch));
        let variants = self.variants.iter();
        let variants = variants.map(|(value, launch)| (format!("variants.{value}"), launch));
        launch.chain(cases).chain(variants)
    }

    /// As [`Template::launches_with_keys`].
    fn launches_mut(&mut self) -> impl Iterator<Item = (String, &mut Launch)> {
        let launch = self.launch.iter_mut().map(|launch| ("launch".to_owned(), launch));
        let cases = self.cases.iter_mut().enumerate();
        let cases = cases.map(|(number, case)| (format!("cases.{number}"), &mut case.launch));
        let variants = self.variants.iter_mut();
        let variants = variants.map(|(value, launch)| (format!("variants.{value}"), launch));
        launch.chain(cases).chain(variants)
    }

    /// The launch for these values where no case fits.
    fn usual_launch(&self, values: &Values) -> Option<&Launch> {
        let chosen = self.variant.as_ref().and_then(|param| match values.get(param) {
            Some(Value::Choice(choice)) => self.variants.get(choice),
            _ => None,
        });
        chosen.or(self.launch.as_ref())
    }

    /// Which tracks it takes of a stream that is not known yet: all, if any stream's are.
    pub fn track_choice(&self, values: &Values) -> TrackChoice {
        let cases = self.cases.iter().map(|case| &case.launch);
        let mut launches = cases.chain(self.usual_launch(values));
        match launches.any(|launch| launch.tracks == TrackChoice::All) {
            true => TrackChoice::All,
            false => TrackChoice::First,
        }
    }

    /// Where it runs, once it is fitted to a stream. Codecs and drivers crash, so what decodes or encodes has a worker of its own unless it says otherwise.
    pub fn isolation(&self) -> Isolation {
        let has_codec = || {
            let mut words = self.launches().flat_map(Launch::texts).flat_map(syntax::words);
            words.any(|word| matches!(word.text, "decoder" | "encoder"))
        };
        match self.isolation {
            Some(isolation) => isolation,
            None if has_codec() => Isolation::Process,
            None => Isolation::Inline,
        }
    }

    /// Whether it works on no stream.
    pub fn is_source(&self) -> bool {
        self.launches().any(|launch| launch.source.is_some())
    }

    /// Whether it is only built in a trial: what it works with is not there.
    pub fn is_only_built(&self) -> bool {
        self.outside || self.params.values().any(|param| param.default.is_none())
    }

    /// Its parameter for a ladder.
    pub fn ladder(&self) -> Option<(&String, &Param)> {
        self.params.iter().find(|(_, param)| param.kind == Kind::Ladder)
    }
}

/// The version of the format that a file is written in, if it is too new. What else stands there does not matter.
fn newer_version(text: &str) -> Option<i64> {
    let table: toml::Table = text.parse().ok()?;
    let version = table.get("version")?.as_integer()?;
    (version > i64::from(VERSION)).then_some(version)
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
        self.parts().map(|(_, text)| text)
    }

    /// All its texts, and the keys they stand under.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parts = [
            ("shared", &self.shared),
            ("video", &self.video),
            ("rung", &self.rung),
            ("audio", &self.audio),
            ("source", &self.source),
        ];
        parts
            .into_iter()
            .filter_map(|(key, text)| Some((key, text.as_deref()?)))
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let parts = [
            ("shared", &mut self.shared),
            ("video", &mut self.video),
            ("rung", &mut self.rung),
            ("audio", &mut self.audio),
            ("source", &mut self.source),
        ];
        parts.into_iter().filter_map(|(key, text)| Some((key, text.as_mut()?)))
    }
}

#[cfg(test)]
mod tests;
