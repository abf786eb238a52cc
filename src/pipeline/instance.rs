//! Instances: a template's elements, made and running.
//!
//! An instance is built from the tracks that a stream really has, is fed, comes to its end, and is gone; what changes makes
//! another one. Its state changes may take as long as a driver likes, so none of them happens on an async worker.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use gst::prelude::*;
use gststreammill::{Feed, MillSink, MillSrc, Outlet};
use streammill_media::{Format, MediaKind, Track, TrackId, TrackKey};
use tokio::time::timeout;

use super::{
    assembly::{Chosen, launch_text, numbered_name, pads, used},
    encoder::{Encoder, NoEncoder, Role, pictures},
    packages,
    params::{Value, Values},
    set::{self, SetError},
    template::{Launch, Output, Template},
};

/// What an instance is made from.
pub struct Recipe<'a> {
    /// The template.
    pub template: &'a Template,
    /// Its parameters.
    pub values: &'a Values,
    /// The tracks that will be fed; none for a source.
    pub tracks: &'a [Track],
    /// The file it writes.
    pub file: Option<&'a Path>,
    /// Who takes what arrives at `out` and its kin, by the element's name.
    pub outlets: BTreeMap<String, Outlet>,
}

/// A pipeline that runs, or is about to.
#[derive(Debug)]
pub struct Instance {
    pipeline: gst::Pipeline,
    feeds: BTreeMap<TrackKey, Feed>,
    messages: gst::bus::BusStream,
}

/// What an instance reports by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// All that was fed has been worked on.
    End,
    /// It cannot go on.
    Failure(String),
}

impl Instance {
    /// Makes the elements and sets them. Loads plugins from disk, so it is not for async workers.
    pub fn build(recipe: &Recipe<'_>) -> Result<Self, BuildError> {
        let tracks = recipe.tracks;
        let fitted = recipe.template.fit(recipe.values, tracks);
        let (template, values, launch) = (&fitted.template, &fitted.values, fitted.launch());
        let is_present = |element: &str| gst::ElementFactory::find(element).is_some();
        let chosen = choose_encoders(template, is_present)?;
        let text = launch_text(launch, tracks, &chosen, is_present).ok_or(BuildError::NothingToDo)?;
        let bin = parse(&text)?;
        let copies: BTreeSet<_> = pads(launch, tracks).into_iter().map(|pad| pad.id).collect();
        for (name, role) in &template.encoders {
            let rate = template.rates.get(name).map(|rate| (rate.numerator, rate.denominator));
            for element in elements(&bin, name, &copies) {
                set_encoder(
                    &element,
                    chosen[name.as_str()],
                    role,
                    values,
                    rate.or(frame_rate(tracks)),
                )?;
            }
        }
        for (name, param) in &template.params {
            for target in &param.sets.0 {
                for element in elements(&bin, &target.element, &copies).skip(1) {
                    set::set_on(&element, target, &values[name], param.unit)?;
                }
                match set::set(&bin, target, &values[name], param.unit) {
                    Some(result) => result?,
                    None if is_whole(template, launch, tracks) => {
                        return Err(BuildError::NoSuchTarget {
                            param: name.clone(),
                            element: target.element.clone(),
                        });
                    }
                    None => {}
                }
            }
        }
        if template.output == Output::File {
            let file = bin.by_name("file").ok_or(BuildError::NoFileElement)?;
            if let Some(path) = recipe.file {
                let location = Value::Text(path.to_string_lossy().into_owned());
                set::set_value(&file, "location", &location, None)?;
            }
        }
        let feeds = start_feeds(&bin, launch, tracks);
        for (name, outlet) in &recipe.outlets {
            if let Some(sink) = bin.by_name(name).and_downcast::<MillSink>() {
                sink.set_outlet(outlet.clone());
            }
        }
        let pipeline = gst::Pipeline::new();
        pipeline.add(&bin).map_err(|_| BuildError::Parse {
            text: "the elements do not fit into a pipeline".to_owned(),
        })?;
        let bus = pipeline.bus().ok_or(BuildError::NoBus)?;
        let messages = bus.stream();
        Ok(Self {
            pipeline,
            feeds,
            messages,
        })
    }

    /// Starts it. Opens devices and files, so it is not for async workers.
    pub fn start(&mut self) -> Result<(), String> {
        let Err(error) = self.pipeline.set_state(gst::State::Playing) else {
            return Ok(());
        };
        // The state change tells that it failed; a message that came before tells why.
        match self.report().now_or_never() {
            Some(Report::Failure(reason)) => Err(reason),
            _ => Err(error.to_string()),
        }
    }

    /// The way in for a track of the stream.
    pub fn feed(&self, track: TrackKey) -> Option<&Feed> {
        self.feeds.get(&track)
    }

    /// Waits for the next report. Cancelling loses nothing.
    pub async fn report(&mut self) -> Report {
        while let Some(message) = self.messages.next().await {
            if let Some(report) = report_of(&message) {
                return report;
            }
        }
        Report::Failure("its bus is closed".to_owned())
    }

    /// Lets what is inside come out, for as long as `patience` lasts, then stops.
    pub async fn finish(mut self, patience: Duration) -> Result<(), String> {
        if self.feeds.is_empty() {
            let pipeline = self.pipeline.clone();
            // A pipeline that takes no event reports no end either, and `patience` ends the wait.
            let _ = tokio::task::spawn_blocking(move || pipeline.send_event(gst::event::Eos::new())).await;
        }
        for feed in self.feeds.values() {
            feed.end();
        }
        let result = match timeout(patience, self.report()).await {
            Ok(Report::End) => Ok(()),
            Ok(Report::Failure(reason)) => Err(reason),
            Err(_) => Err(format!("it did not come to its end within {patience:?}")),
        };
        self.stop().await;
        result
    }

    /// Stops at once.
    pub async fn stop(self) {
        let pipeline = self.pipeline.clone();
        // Whether elements stop without an error is of no use to anyone; that they have stopped is.
        let _ = tokio::task::spawn_blocking(move || pipeline.set_state(gst::State::Null)).await;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.pipeline.current_state() == gst::State::Null {
            return;
        }
        // An element must not be freed while it runs, and stopping it may take time that an async worker does not have.
        let pipeline = self.pipeline.clone();
        std::thread::spawn(move || pipeline.set_state(gst::State::Null));
    }
}

/// The element of this name, and those of its copies for further tracks.
fn elements<'a>(
    bin: &'a gst::Bin,
    name: &'a str,
    copies: &'a BTreeSet<TrackId>,
) -> impl Iterator<Item = gst::Element> + 'a {
    let first = bin.by_name(name).into_iter();
    let further = copies.iter().filter(|id| **id != TrackId(0));
    first.chain(further.filter_map(move |id| bin.by_name(&numbered_name(name, *id))))
}

fn choose_encoders(template: &Template, is_present: impl Fn(&str) -> bool) -> Result<Chosen, NoEncoder> {
    let choice = |(name, role): (&String, &Role)| Ok((name.clone(), Encoder::choose(role.codec, &is_present)?));
    template.encoders.iter().map(choice).collect()
}

fn parse(text: &str) -> Result<gst::Bin, BuildError> {
    let mut context = gst::ParseContext::new();
    let bin = gst::parse::bin_from_description_full(text, false, Some(&mut context), gst::ParseFlags::FATAL_ERRORS);
    let bin = bin.map_err(|error| match error.kind::<gst::ParseError>() {
        Some(gst::ParseError::NoSuchElement) => {
            let missing = context.missing_elements();
            BuildError::MissingElements {
                hint: packages::hint(missing.iter().map(String::as_str)),
                elements: missing.join(", "),
            }
        }
        _ => BuildError::Parse {
            text: error.message().to_owned(),
        },
    })?;
    bin.downcast().map_err(|_| BuildError::Parse {
        text: "the elements make no bin".to_owned(),
    })
}

fn set_encoder(
    element: &gst::Element,
    encoder: &Encoder,
    role: &Role,
    values: &Values,
    frame_rate: Option<(u32, u32)>,
) -> Result<(), SetError> {
    for (name, text) in encoder.settings(role.tune) {
        set::set_constant(element, name, text)?;
    }
    if let Some(bitrate) = role.bitrate(values) {
        let (name, unit) = encoder.bitrate();
        set::set_value(element, name, &bitrate, Some(unit))?;
    }
    if let (Some(interval), Some(name)) = (role.keyframe_interval(values), encoder.gop()) {
        // Encoders count pictures where a template says seconds, and take the number only before they start.
        let pictures = Value::Int(pictures(interval, frame_rate).into());
        set::set_value(element, name, &pictures, None)?;
    }
    Ok(())
}

/// Whether every fragment of the template is in use, so that every element a parameter names has to be there.
fn is_whole(template: &Template, launch: &Launch, tracks: &[Track]) -> bool {
    let uses = |kind| launch.track(kind).is_none() || tracks.iter().any(|track| track.kind() == kind);
    !template.is_part && uses(MediaKind::Video) && uses(MediaKind::Audio)
}

/// The frame rate of the video, where its configuration tells.
fn frame_rate(tracks: &[Track]) -> Option<(u32, u32)> {
    tracks.iter().find_map(|track| match track.format {
        Format::Video(video) => video.frame_rate,
        Format::Audio(_) => None,
    })
}

fn start_feeds(bin: &gst::Bin, launch: &Launch, tracks: &[Track]) -> BTreeMap<TrackKey, Feed> {
    let Some(source) = bin.by_name("in").and_downcast::<MillSrc>() else {
        return BTreeMap::new();
    };
    // Live aggregators give up waiting by this machine's clock, and a stream's times are not by this machine's clock:
    // after a pause of the publisher every fragment would be cut short.
    source.set_property("is-live", false);
    let mut feeds = BTreeMap::new();
    for (track, pad) in used(launch, tracks).zip(pads(launch, tracks)) {
        if let Some(feed) = source.feed(pad) {
            feed.start(track);
            feeds.insert(track.key(), feed);
        }
    }
    feeds
}

fn report_of(message: &gst::Message) -> Option<Report> {
    let source = || {
        message
            .src()
            .map_or_else(String::new, |source| format!("{}: ", source.name()))
    };
    match message.view() {
        gst::MessageView::Eos(_) => Some(Report::End),
        gst::MessageView::Error(error) => {
            let mut text = format!("{}{}", source(), error.error());
            // The first line is where in GStreamer's sources it was found; the rest is what happened.
            if let Some(detail) = error.debug().as_ref().and_then(|debug| debug.split_once('\n')) {
                text.push_str(&format!(" ({})", detail.1.trim()));
            }
            Some(Report::Failure(text))
        }
        gst::MessageView::Warning(warning) => {
            tracing::warn!("{}{}", source(), warning.error());
            None
        }
        _ => None,
    }
}

/// Why an instance cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The template has nothing for the tracks of the stream.
    #[error("the stream has no track that the template works on")]
    NothingToDo,
    /// Elements are not installed.
    #[error("element {elements} is not installed{hint}")]
    MissingElements {
        /// Their names.
        elements: String,
        /// What package has them.
        hint: String,
    },
    /// The launch text is wrong.
    #[error("launch: {text}")]
    Parse {
        /// What GStreamer says.
        text: String,
    },
    /// No encoder for a role.
    #[error(transparent)]
    NoEncoder(#[from] NoEncoder),
    /// A value is not accepted by its element.
    #[error(transparent)]
    Set(#[from] SetError),
    /// A parameter names an element that is not there.
    #[error("params.{param}: there is no element named '{element}'")]
    NoSuchTarget {
        /// The parameter.
        param: String,
        /// The element it names.
        element: String,
    },
    /// A template that writes a file does not say with what.
    #[error("output = \"file\" needs an element named 'file'")]
    NoFileElement,
    /// GStreamer gave no bus.
    #[error("the pipeline has no bus")]
    NoBus,
}

impl BuildError {
    /// What the template has to be searched for to find the place.
    pub fn culprit(&self) -> Option<&str> {
        match self {
            Self::MissingElements { elements, .. } => elements.split(", ").next(),
            Self::Set(error) => Some(error.target()),
            Self::NoSuchTarget { element, .. } => Some(element),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::encoder::EncoderCodec, *};

    #[test]
    fn every_installed_encoder_takes_what_the_table_says() {
        gst::init().unwrap();
        let mut tried = 0;
        for (codec, rate, elements) in [
            ("h264", "2500k", &["x264enc", "openh264enc"][..]),
            ("aac", "96k", &["fdkaacenc", "avenc_aac", "voaacenc", "faac"]),
        ] {
            for element in elements {
                let Ok(made) = gst::ElementFactory::make(element).build() else {
                    continue;
                };
                for tune in ["low-latency", "quality"] {
                    let text =
                        format!("codec = '{codec}'\nbitrate = '{rate}'\nkeyframe_interval = '2s'\ntune = '{tune}'");
                    let role: Role = toml::from_str(&text).unwrap();
                    let encoder = Encoder::choose(role.codec, |name| name == *element).unwrap();
                    set_encoder(&made, encoder, &role, &Values::new(), Some((25, 1))).unwrap();
                }
                tried += 1;
            }
        }
        assert!(tried >= 2, "only {tried} encoders are installed");
        let x264 = gst::ElementFactory::make("x264enc").build().unwrap();
        let role: Role = toml::from_str("codec = 'h264'\nbitrate = '2500k'\nkeyframe_interval = '2s'").unwrap();
        let encoder = Encoder::choose(EncoderCodec::H264, |name| name == "x264enc").unwrap();
        set_encoder(&x264, encoder, &role, &Values::new(), Some((25, 1))).unwrap();
        assert_eq!(
            (x264.property::<u32>("bitrate"), x264.property::<u32>("key-int-max")),
            (2500, 50)
        );
    }
}
