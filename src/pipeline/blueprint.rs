//! Blueprints: everything an instance is made from, as plain values.
//!
//! What a template means for a stream is settled here: its text with the elements that were chosen, and what is set on
//! which of them. An instance is built from the result alone, in this process or in a worker.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use streammill_media::{Format, MediaKind, MediaTime, Track, TrackId, TrackKey};

use super::{
    assembly::{Chosen, launch_text, numbered_name, outgoing, pads, used},
    encoder::{Encoder, NoEncoder, Role, pictures},
    instance::BuildError,
    params::{Place, Unit, Value, Values},
    template::{Launch, Output, Template},
    worker::Limits,
};

/// How long nothing may move in a pipeline.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a blueprint is drawn from.
pub struct Recipe<'a> {
    /// The template.
    pub template: &'a Template,
    /// Its parameters.
    pub values: &'a Values,
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
    /// The encoders that stand for the template's roles: the role, and the element.
    pub encoders: Vec<(String, String)>,
    /// What of the machine it may have, in a worker.
    pub limits: Limits,
    /// How long nothing may move in it, in a worker.
    pub patience: Duration,
}

/// A track on its way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// The track.
    pub track: Track,
    /// The pad of `in` that it is fed to.
    pub pad: TrackKey,
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
    /// To what: the first of these that the element takes.
    pub to: Vec<To>,
    /// Whether it is an error that the element, its property or every value is not there or not taken.
    pub need: Need,
    /// The element takes it only before it starts.
    pub fixed: bool,
}

/// What something is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum To {
    /// One of our constants, as text that GStreamer reads.
    Constant(String),
    /// A checked value, and what the property counts in.
    Value(Value, Option<Unit>),
}

/// How much depends on a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Need {
    /// Everything; it is the value of this parameter, if of one.
    Must(Option<String>),
    /// The element may be missing, because it belongs to a track that the stream does not have.
    IfThere,
    /// Nothing: an older version of the element may do without.
    IfTaken,
}

impl Blueprint {
    /// Draws a template for the tracks of a stream. `is_present` tells whether an element is installed.
    pub fn draw(recipe: &Recipe<'_>, is_present: impl Fn(&str) -> bool) -> Result<Self, BuildError> {
        let Recipe {
            template,
            values,
            tracks,
            file,
        } = recipe;
        let launch = template.launch(values);
        let chosen = choose_encoders(template, &is_present)?;
        let text = launch_text(launch, tracks, &chosen, &is_present).ok_or(BuildError::NothingToDo)?;
        let lanes = used(launch, tracks).cloned().zip(pads(launch, tracks));
        let lanes: Vec<_> = lanes.map(|(track, pad)| Lane { track, pad }).collect();
        let mut settings = Vec::new();
        for (name, role) in &template.encoders {
            for element in copies(name, &lanes) {
                encoder_settings(
                    &element,
                    chosen[name.as_str()],
                    role,
                    values,
                    frame_rate(tracks),
                    &mut settings,
                );
            }
        }
        for (name, param) in &template.params {
            for target in &param.sets.0 {
                let set = |(number, element)| Setting {
                    element,
                    place: target.place.clone(),
                    to: vec![To::Value(values[name].clone(), param.unit)],
                    need: match number == 0 && is_whole(template, launch, tracks) {
                        true => Need::Must(Some(name.clone())),
                        false => Need::IfThere,
                    },
                    fixed: false,
                };
                settings.extend(copies(&target.element, &lanes).enumerate().map(set));
            }
        }
        if let (Output::File, Some(path)) = (template.output, file) {
            settings.push(location(path));
        }
        let pads = outgoing(launch, tracks);
        let outlets = match pads.is_empty() {
            true => Vec::new(),
            false => vec![Exit {
                element: "out".to_owned(),
                pads,
            }],
        };
        Ok(Self {
            text,
            settings,
            lanes,
            outlets,
            output: template.output,
            origin: None,
            encoders: chosen
                .iter()
                .map(|(role, encoder)| (role.clone(), encoder.element.to_owned()))
                .collect(),
            limits: Limits::default(),
            patience: PATIENCE,
        })
    }
}

impl Blueprint {
    /// What has to be set on a pipeline that was built from this one, to make it one that was built from `other`; or why that
    /// takes a new pipeline.
    pub fn changes(&self, other: &Self) -> Result<Vec<Setting>, String> {
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
            None => Ok(changed),
        }
    }
}

/// Whether an element is installed.
pub fn is_installed(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

fn choose_encoders(template: &Template, is_present: impl Fn(&str) -> bool) -> Result<Chosen, NoEncoder> {
    let choice = |(name, role): (&String, &Role)| Ok((name.clone(), Encoder::choose(role.codec, &is_present)?));
    template.encoders.iter().map(choice).collect()
}

/// The names of an element and of its copies for further tracks.
fn copies(name: &str, lanes: &[Lane]) -> impl Iterator<Item = String> {
    let further: BTreeSet<_> = lanes.iter().map(|lane| lane.pad.id).collect();
    let further = further.into_iter().filter(|id| *id != TrackId(0));
    let further: Vec<_> = further.map(|id| numbered_name(name, id)).collect();
    [name.to_owned()].into_iter().chain(further)
}

fn encoder_settings(
    element: &str,
    encoder: &Encoder,
    role: &Role,
    values: &Values,
    frame_rate: Option<(u32, u32)>,
    settings: &mut Vec<Setting>,
) {
    let mut set = |name: &str, to: To, fixed: bool| {
        settings.push(Setting {
            element: element.to_owned(),
            place: Place::Property(name.to_owned()),
            to: vec![to],
            need: Need::IfThere,
            fixed,
        });
    };
    for (name, text) in encoder.settings(role.tune) {
        set(name, To::Constant(text.to_owned()), true);
    }
    if let Some(bitrate) = role.bitrate(values) {
        let (name, unit) = encoder.bitrate();
        set(name, To::Value(bitrate, Some(unit)), false);
    }
    if let (Some(interval), Some(name)) = (role.keyframe_interval(values), encoder.gop()) {
        // Encoders count pictures where a template says seconds, and take the number only before they start.
        let pictures = Value::Int(pictures(interval, frame_rate).into());
        set(name, To::Value(pictures, None), true);
    }
}

/// The path of what is written. It is set as text, so it is never anything but a path.
fn location(path: &Path) -> Setting {
    Setting {
        element: "file".to_owned(),
        place: Place::Property("location".to_owned()),
        to: vec![To::Value(Value::Text(path.to_string_lossy().into_owned()), None)],
        need: Need::Must(None),
        fixed: true,
    }
}

/// Whether every fragment of the template is in use, so that every element a parameter names has to be there.
fn is_whole(template: &Template, launch: &Launch, tracks: &[Track]) -> bool {
    let uses = |kind| launch.track(kind).is_none() || tracks.iter().any(|track| track.kind() == kind);
    template.variants.is_empty() && uses(MediaKind::Video) && uses(MediaKind::Audio)
}

/// The frame rate of the video, where its configuration tells.
fn frame_rate(tracks: &[Track]) -> Option<(u32, u32)> {
    tracks.iter().find_map(|track| match track.format {
        Format::Video(video) => video.frame_rate,
        Format::Audio(_) => None,
    })
}
