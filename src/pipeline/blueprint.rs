//! Blueprints: everything an instance is made from, as plain values.
//!
//! What a template means for a stream is settled here: its text with the elements that were chosen, and what is set on
//! which of them. An instance is built from the result alone, in this process or in a worker.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use streammill_media::{Format, MediaKind, MediaTime, Track, TrackId, TrackKey};

use super::{
    assembly::{Stock, launch_text, numbered_name, outgoing, pads, used},
    encoder::{Chosen, Demand, Encoder, Pictures, Role, Tune, workload::needs},
    instance::BuildError,
    ladder::common_multiple,
    memory::{Kits, MemoryPlan},
    params::{Place, Unit, Value},
    template::{Fitted, Output},
    worker::Limits,
};

/// How long nothing may move in a pipeline.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where all pictures go through hardware that gives each as it comes. It hangs rather than that it is slow.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);

/// What a blueprint is drawn from.
pub struct Recipe<'a> {
    /// The template with its parameters, fitted to the tracks.
    pub fitted: &'a Fitted,
    /// The encoders for its roles, as far as they are in use.
    pub encoders: &'a Chosen,
    /// What may be done on devices.
    pub kits: &'a Kits,
    /// The tracks that will be fed; none for a source.
    pub tracks: &'a [Track],
    /// The file it writes.
    pub file: Option<&'a Path>,
}

/// What an instance is built from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blueprint {
    /// The elements, in launch syntax.
    pub text: String,
    /// What is set on them, in order.
    pub settings: Vec<Setting>,
    /// What is fed.
    pub lanes: Vec<Lane>,
    /// What comes out, by the sinks it arrives at.
    pub outlets: Vec<Exit>,
    /// What form that has.
    pub output: Output,
    /// Where its running time zero lies on the stream's timeline, if that is known before the first frame is.
    pub origin: Option<MediaTime>,
    /// The encoders that stand for the template's roles.
    pub encoders: Vec<Coder>,
    /// Where its pictures are.
    pub memory: MemoryPlan,
    /// What of the machine it may have, in a worker.
    pub limits: Limits,
    /// How long nothing may move in it, in a worker.
    pub patience: Duration,
    /// What it depends on may take its time to begin.
    pub outside: bool,
}

/// A track on its way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// The track.
    pub track: Track,
    /// The pad of `in` that it is fed to.
    pub pad: TrackKey,
}

/// An encoder in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coder {
    /// The role it plays.
    pub role: String,
    /// The names of the elements that do: one for each track.
    pub elements: Vec<String>,
    /// What is chosen.
    pub encoder: Encoder,
    /// What is asked of it.
    pub demand: Demand,
    /// The pictures that it gets.
    pub pictures: Pictures,
}

/// What is changed while a pipeline runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// What is set on elements.
    pub settings: Vec<Setting>,
    /// Encoders that get another rate.
    pub rates: Vec<Coder>,
}

/// A `millsink`, and what arrives there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The element's name.
    pub element: String,
    /// Its pads.
    pub pads: Vec<TrackKey>,
}

/// Something that is set on an element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The element's name.
    pub element: String,
    /// What of it is set.
    pub place: Place,
    /// To what.
    pub value: Value,
    /// What is counted there, where the value leaves that open.
    pub unit: Option<Unit>,
    /// Whether it is an error that the element is not there.
    pub need: Need,
    /// The element takes it only before it starts.
    pub fixed: bool,
}

/// How much depends on a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Need {
    /// Everything; it is the value of this parameter, if of one.
    Must(Option<String>),
    /// The element may be missing, because it belongs to a track that the stream does not have.
    IfThere,
}

impl Blueprint {
    /// Draws a template for the tracks of the stream it was fitted to. `is_present` tells whether an element is installed.
    pub fn draw(recipe: &Recipe<'_>, is_present: impl Fn(&str) -> bool) -> Result<Self, BuildError> {
        let Recipe {
            fitted,
            encoders,
            kits,
            tracks,
            file,
        } = recipe;
        let (template, values, launch) = (&fitted.template, &fitted.values, fitted.launch());
        let targets = template.params.values().flat_map(|param| &param.sets.0);
        let stock = Stock {
            chosen: encoders,
            kits,
            set: &targets.map(|target| target.element.as_str()).collect(),
            is_present,
        };
        let (text, memory) = launch_text(launch, tracks, &stock).ok_or(BuildError::NothingToDo)?;
        let lanes = used(launch, tracks).cloned().zip(pads(launch, tracks));
        let lanes: Vec<_> = lanes.map(|(track, pad)| Lane { track, pad }).collect();
        let mut settings = Vec::new();
        let (source_rate, needs) = (frame_rate(tracks), needs(fitted, tracks));
        let group = common_multiple(template.keep_every.values().copied());
        let coder = |(name, role): (&String, &Role)| {
            let demand = role.demand(values);
            let keep_every = template.keep_every.get(name).copied().unwrap_or(1);
            let rate = source_rate.map(|(numerator, denominator)| (numerator, denominator.saturating_mul(keep_every)));
            let encoder = encoders.get(name)?.clone();
            let pictures = Pictures {
                rate: demand.slower(rate),
                group: group / keep_every,
                threads: needs.get(name).map_or(1, |need| need.threads(&encoder)),
            };
            Some(Coder {
                role: name.clone(),
                elements: copies(name, &lanes).collect(),
                encoder,
                pictures,
                demand,
            })
        };
        let coders: Vec<_> = template.encoders.iter().filter_map(coder).collect();
        for (name, param) in &template.params {
            // No file.
            if values[name] == Value::File(String::new()) {
                continue;
            }
            for target in &param.sets.0 {
                let set = |(number, element)| Setting {
                    element,
                    place: target.place.clone(),
                    value: values[name].clone(),
                    unit: param.unit,
                    need: match number == 0 && is_whole(fitted, tracks) {
                        true => Need::Must(Some(name.clone())),
                        false => Need::IfThere,
                    },
                    // Encoders begin anew with pictures of another form, and not all of them can.
                    fixed: matches!(target.place, Place::CapsField(_)),
                };
                settings.extend(copies(&target.element, &lanes).enumerate().map(set));
            }
        }
        if let (Output::File, Some(path)) = (template.output, file) {
            settings.push(location(path));
        }
        let outlets = outgoing(launch, tracks).into_iter();
        let outlets = outlets.map(|(element, pads)| Exit { element, pads }).collect();
        Ok(Self {
            text,
            settings,
            lanes,
            outlets,
            output: template.output,
            origin: None,
            patience: patience(&coders),
            outside: template.outside,
            encoders: coders,
            memory,
            limits: Limits::default(),
        })
    }
}

impl Blueprint {
    /// What has to be set on a pipeline that was built from this one, to make it one that was built from `other`; or why that
    /// takes a new pipeline.
    pub fn changes(&self, other: &Self) -> Result<Changes, String> {
        if self.text != other.text || self.lanes != other.lanes || self.outlets != other.outlets {
            return Err("that takes other elements; start the pipeline anew".to_owned());
        }
        let changed: Vec<_> = other
            .settings
            .iter()
            .filter(|setting| !self.settings.contains(setting))
            .cloned()
            .collect();
        match changed.iter().find(|setting| setting.fixed) {
            Some(setting) => Err(format!(
                "'{}' takes that only when it starts; start the pipeline anew",
                setting.element
            )),
            None => Ok(Changes {
                settings: changed,
                rates: self.rates(other)?,
            }),
        }
    }

    /// The encoders that get another rate. Nothing else of them can change while they run.
    fn rates(&self, other: &Self) -> Result<Vec<Coder>, String> {
        let mut rates = Vec::new();
        for (here, there) in self.encoders.iter().zip(&other.encoders) {
            if here == there {
                continue;
            }
            let with_rate = Demand {
                bitrate: there.demand.bitrate,
                max_bitrate: there.demand.max_bitrate,
                ..here.demand.clone()
            };
            if here.encoder != there.encoder || with_rate != there.demand {
                return Err(format!(
                    "encoder '{}' takes that only when it starts; start the pipeline anew",
                    here.role
                ));
            }
            rates.push(there.clone());
        }
        Ok(rates)
    }
}

/// How long nothing may move in a pipeline with these encoders.
fn patience(coders: &[Coder]) -> Duration {
    let mut pictures = coders.iter().filter(|coder| coder.encoder.codec.is_video()).peekable();
    let is_quick = |coder: &Coder| !coder.encoder.is_software() && coder.demand.tune == Tune::LowLatency;
    match pictures.peek().is_some() && pictures.all(is_quick) {
        true => SHORT_PATIENCE,
        false => PATIENCE,
    }
}

/// Whether an element is installed.
pub fn is_installed(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

/// The names of an element and of its copies for further tracks.
fn copies(name: &str, lanes: &[Lane]) -> impl Iterator<Item = String> {
    let further: BTreeSet<_> = lanes.iter().map(|lane| lane.pad.id).collect();
    let further = further.into_iter().filter(|id| *id != TrackId(0));
    let further: Vec<_> = further.map(|id| numbered_name(name, id)).collect();
    [name.to_owned()].into_iter().chain(further)
}

/// The path of what is written. It is set as text, so it is never anything but a path.
fn location(path: &Path) -> Setting {
    Setting {
        element: "file".to_owned(),
        place: Place::Property("location".to_owned()),
        value: Value::Text(path.to_string_lossy().into_owned()),
        unit: None,
        need: Need::Must(None),
        fixed: true,
    }
}

/// Whether every fragment of the template is in use, so that every element a parameter names has to be there.
fn is_whole(fitted: &Fitted, tracks: &[Track]) -> bool {
    let launch = fitted.launch();
    let uses = |kind| launch.track(kind).is_none() || tracks.iter().any(|track| track.kind() == kind);
    !fitted.template.is_part && uses(MediaKind::Video) && uses(MediaKind::Audio)
}

/// The frame rate of the video, where its configuration tells.
fn frame_rate(tracks: &[Track]) -> Option<(u32, u32)> {
    tracks.iter().find_map(|track| match track.format {
        Format::Video(video) => video.frame_rate,
        Format::Audio(_) => None,
    })
}
