//! Instances: a template's elements, made and running.
//!
//! An instance is built from the tracks that a stream really has, is fed, comes to its end, and is gone; what changes makes
//! another one. Its state changes may take as long as a driver likes, so none of them happens on an async worker.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use gst::prelude::*;
use gststreammill::{Feed, Level, MillSink, MillSrc, NotTaken};
use serde::{Deserialize, Serialize};
use streammill_media::{MediaTime, Track, TrackKey};
use tokio::time::timeout;

use super::{
    blueprint::{Blueprint, Changes, Need, Setting},
    control::{self, Answer, Control},
    encoder::apply::{apply as apply_encoder, set_bitrate, set_if_taken},
    packages,
    product::{Emit, Origin, outlet},
    set::{self, SetError},
    stages::{Probes, Stages},
    vitals::{Amount, Pulse},
};

/// A pipeline that runs, or is about to.
#[derive(Debug)]
pub struct Instance {
    pipeline: gst::Pipeline,
    lanes: BTreeMap<TrackKey, Lane>,
    messages: gst::bus::BusStream,
    probes: Probes,
}

/// A track on its way in.
#[derive(Debug)]
struct Lane {
    feed: Feed,
    sent: Amount,
}

/// An instance, as one sees it who does not feed it.
#[derive(Clone, Debug)]
pub struct Handle {
    pipeline: gst::Pipeline,
    feeds: Vec<(TrackKey, Feed)>,
    probes: Probes,
}

impl Handle {
    /// What waits of each track.
    pub fn levels(&self) -> Vec<(TrackKey, Level)> {
        self.feeds.iter().map(|(track, feed)| (*track, feed.level())).collect()
    }

    /// How long pictures take through it.
    pub fn stages(&self) -> Stages {
        self.probes.stages()
    }

    /// Changes something, or answers something.
    pub fn control(&self, control: &Control) -> Result<Answer, String> {
        control::apply(&self.pipeline, control)
    }
}

/// What an instance reports by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// All that was fed has been worked on.
    End,
    /// It cannot go on.
    Failure(Failure),
}

/// Why a pipeline cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// For people.
    pub reason: String,
    /// The names of the element it began in, and of those around that, from the inside.
    pub elements: Vec<String>,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self {
            reason,
            elements: Vec::new(),
        }
    }
}

impl Instance {
    /// Makes the elements and sets them. Loads plugins from disk, so it is not for async workers.
    ///
    /// What comes out goes to `emit`, with times on the timeline on which the running time begins at `origin`.
    pub fn build(blueprint: &Blueprint, origin: &Origin, emit: &Emit) -> Result<Self, BuildError> {
        let bin = parse(&blueprint.text)?;
        for coder in &blueprint.encoders {
            for element in coder.elements.iter().filter_map(|name| bin.by_name(name)) {
                apply_encoder(&element, &coder.encoder, &coder.demand, coder.pictures)?;
            }
        }
        for (name, settings) in &blueprint.memory.elements {
            if let Some(element) = bin.by_name(name) {
                set_if_taken(&element, settings);
            }
        }
        for setting in &blueprint.settings {
            apply(&bin, setting)?;
        }
        let lanes = open_lanes(&bin, blueprint);
        for (number, exit) in blueprint.outlets.iter().enumerate() {
            if let Some(sink) = bin.by_name(&exit.element).and_downcast::<MillSink>() {
                sink.set_outlet(outlet(
                    blueprint.output,
                    number,
                    &exit.pads,
                    origin.clone(),
                    emit.clone(),
                ));
            }
        }
        let pipeline = gst::Pipeline::new();
        pipeline.add(&bin).map_err(|_| BuildError::Parse {
            text: "the elements do not fit into a pipeline".to_owned(),
        })?;
        let bus = pipeline.bus().ok_or(BuildError::NoBus)?;
        Ok(Self {
            probes: Probes::install(&bin, &blueprint.memory),
            messages: bus.stream(),
            pipeline,
            lanes,
        })
    }

    /// Starts it. Opens devices and files, so it is not for async workers.
    pub fn start(&mut self) -> Result<(), Failure> {
        let Err(error) = self.pipeline.set_state(gst::State::Playing) else {
            return Ok(());
        };
        // The state change tells that it failed; a message that came before tells why.
        match self.report().now_or_never() {
            Some(Report::Failure(failure)) => Err(failure),
            _ => Err(error.to_string().into()),
        }
    }

    /// Whether it takes a track of the stream.
    pub fn takes(&self, track: TrackKey) -> bool {
        self.lanes.contains_key(&track)
    }

    /// What follows of a track is configured anew.
    pub fn configure(&self, track: &Track) {
        if let Some(lane) = self.lanes.get(&track.key()) {
            lane.feed.start(track);
        }
    }

    /// What waits of a track.
    pub fn level(&self, track: TrackKey) -> Level {
        self.lanes
            .get(&track)
            .map_or_else(Level::default, |lane| lane.feed.level())
    }

    /// Hands over a frame, with times from zero. One of a track that it does not take is left out.
    pub fn push(
        &mut self,
        track: TrackKey,
        data: Bytes,
        key: bool,
        dts: MediaTime,
        pts: MediaTime,
    ) -> Result<(), NotTaken> {
        let Some(lane) = self.lanes.get_mut(&track) else {
            return Ok(());
        };
        lane.sent.bytes += data.len() as u64;
        lane.sent.until = dts;
        lane.feed.push_data(data, key, dts, pts)
    }

    /// How it is doing.
    pub fn pulse(&self) -> Pulse {
        let taken = |(track, lane): (&TrackKey, &Lane)| {
            let level = lane.feed.level();
            let amount = Amount {
                bytes: lane.sent.bytes.saturating_sub(level.bytes),
                until: lane.sent.until - level.time,
            };
            (*track, amount)
        };
        Pulse {
            taken: self.lanes.iter().map(taken).collect(),
            stages: self.probes.stages(),
        }
    }

    /// For whoever looks at it, or changes something, while another feeds it.
    pub fn handle(&self) -> Handle {
        let feeds = self.lanes.iter().map(|(track, lane)| (*track, lane.feed.clone()));
        Handle {
            pipeline: self.pipeline.clone(),
            feeds: feeds.collect(),
            probes: self.probes.clone(),
        }
    }

    /// Waits for the next report. Cancelling loses nothing.
    pub async fn report(&mut self) -> Report {
        while let Some(message) = self.messages.next().await {
            if let Some(report) = report_of(&message) {
                return report;
            }
        }
        Report::Failure("its bus is closed".to_owned().into())
    }

    /// Lets what is inside come out, for as long as `patience` lasts, then stops.
    pub async fn finish(mut self, patience: Duration) -> Result<(), Failure> {
        let result = self.drain(patience).await;
        self.stop().await;
        result
    }

    /// Lets what is inside come out, for as long as `patience` lasts.
    pub async fn drain(&mut self, patience: Duration) -> Result<(), Failure> {
        if self.lanes.is_empty() {
            let pipeline = self.pipeline.clone();
            // A pipeline that takes no event reports no end either, and `patience` ends the wait.
            let _ = tokio::task::spawn_blocking(move || pipeline.send_event(gst::event::Eos::new())).await;
        }
        for lane in self.lanes.values() {
            lane.feed.end();
        }
        match timeout(patience, self.report()).await {
            Ok(Report::End) => Ok(()),
            Ok(Report::Failure(failure)) => Err(failure),
            Err(_) => Err(format!("it did not come to its end within {patience:?}").into()),
        }
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

/// Sets what a setting says, if its element is there.
fn apply(bin: &gst::Bin, setting: &Setting) -> Result<(), BuildError> {
    let Some(element) = bin.by_name(&setting.element) else {
        return match &setting.need {
            Need::Must(Some(param)) => Err(BuildError::NoSuchTarget {
                param: param.clone(),
                element: setting.element.clone(),
            }),
            Need::Must(None) => Err(BuildError::NoFileElement),
            Need::IfThere => Ok(()),
        };
    };
    Ok(set::set(&element, setting)?)
}

/// Changes a pipeline that runs. All settings are checked before the first is changed.
pub(super) fn apply_live(bin: &gst::Bin, changes: &Changes) -> Result<(), String> {
    let mut found = Vec::with_capacity(changes.settings.len());
    for setting in &changes.settings {
        match bin.by_name(&setting.element) {
            Some(element) => {
                set::can_change(&element, &setting.place)?;
                found.push((element, setting));
            }
            None if setting.need == Need::IfThere => {}
            None => return Err(format!("there is no element named '{}'", setting.element)),
        }
    }
    for (element, setting) in found {
        set::set(&element, setting).map_err(|error| error.to_string())?;
    }
    for coder in &changes.rates {
        let Some(bitrate) = coder.demand.bitrate else { continue };
        for element in coder.elements.iter().filter_map(|name| bin.by_name(name)) {
            set_bitrate(&element, &coder.encoder, &coder.demand, bitrate).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn open_lanes(bin: &gst::Bin, blueprint: &Blueprint) -> BTreeMap<TrackKey, Lane> {
    let Some(source) = bin.by_name("in").and_downcast::<MillSrc>() else {
        return BTreeMap::new();
    };
    // Live aggregators give up waiting by this machine's clock, and a stream's times are not by this machine's clock:
    // after a pause of the publisher every fragment would be cut short.
    source.set_property("is-live", false);
    let mut lanes = BTreeMap::new();
    for lane in &blueprint.lanes {
        if let Some(feed) = source.feed(lane.pad) {
            feed.start(&lane.track);
            let sent = Amount::default();
            lanes.insert(lane.track.key(), Lane { feed, sent });
        }
    }
    lanes
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
            Some(Report::Failure(Failure {
                reason: text,
                elements: names_from(message.src()),
            }))
        }
        gst::MessageView::Warning(warning) => {
            tracing::warn!("{}{}", source(), warning.error());
            None
        }
        _ => None,
    }
}

/// The names of an object and of those around it.
fn names_from(source: Option<&gst::Object>) -> Vec<String> {
    std::iter::successors(source.cloned(), gst::Object::parent)
        .map(|object| object.name().to_string())
        .collect()
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
