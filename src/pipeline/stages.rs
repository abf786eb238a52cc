//! Stages: how long pictures take through each part of a running pipeline.
//!
//! Probes note when a picture, told by its running time, passes the decoder, what lies before each encoder, the encoder and
//! the way out. The difference to the stage before is that stage's latency. A picture whose time an element changes is
//! not found again and is left out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gst::prelude::*;
use gststreammill::running_time;
use serde::{Deserialize, Serialize};
use streammill_media::MediaTime;

use super::memory::{MemoryPlan, plan::DECODE};

/// The latencies of a pipeline's stages, in the order pictures pass them.
pub type Stages = Vec<Stage>;

/// How long pictures take through one stage, lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// `in`: the queue before the first element. `decode`. `scale`: all between decoder and encoder. `encode`. `out`.
    pub name: String,
    /// The element that ends it.
    pub element: String,
    /// Pictures that have passed it.
    pub frames: u64,
    /// Mean of the last ones.
    pub mean: Duration,
    /// Longest of the last ones.
    pub max: Duration,
    /// The memory that pictures are in when they leave it, by the caps that were agreed on: `system`, or a device's, such as
    /// `CUDAMemory`. Nothing before the first one.
    pub memory: Option<String>,
    /// They came in another memory, and were copied.
    pub copied: bool,
    /// Why they are in system memory where the encoder is a device's.
    pub why: Option<String>,
}

/// What a stage's memory is called that is no device's.
pub const SYSTEM: &str = "system";

/// Pictures on their way. More than any encoder holds back.
const MAX_UNDERWAY: usize = 300;
/// The share of a new picture in the mean, and how fast the longest is forgotten.
const WEIGHT: f64 = 0.05;

/// What the probes of one pipeline note.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug, Default)]
struct Notes {
    stages: Vec<Noted>,
    /// When each picture passed each stage.
    underway: BTreeMap<MediaTime, Vec<Option<Instant>>>,
}

#[derive(Debug)]
struct Noted {
    stage: Stage,
    /// The stages it can follow.
    after: Vec<usize>,
    mean: f64,
    max: f64,
}

impl Probes {
    /// Installs probes on the elements of a bin, of which it is planned where pictures are.
    pub fn install(bin: &gst::Bin, memory: &MemoryPlan) -> Self {
        let probes = Self::default();
        let Some(source) = video_source(bin) else { return probes };
        let Some(pad) = source.static_pad("src") else {
            return probes;
        };
        let stage = |name: &str, element: &str, after: &[usize]| {
            let why = match name {
                "decode" => memory.why.get(DECODE),
                "scale" => memory.why.get(element),
                _ => None,
            };
            probes.stage(name, element, after, why.cloned())
        };
        let entered = stage("in", "in", &[]);
        probes.watch(&pad, entered);
        let mut decoders = Vec::new();
        for decoder in of_class(bin, "Decoder", "Video") {
            let Some(pad) = decoder.static_pad("src") else { continue };
            let decoded = stage("decode", &decoder.name(), &[entered]);
            probes.watch(&pad, decoded);
            decoders.push(decoded);
        }
        let before = match decoders.is_empty() {
            true => vec![entered],
            false => decoders,
        };
        let mut encoders = Vec::new();
        for encoder in of_class(bin, "Encoder", "Video") {
            let (Some(sink), Some(source)) = (encoder.static_pad("sink"), encoder.static_pad("src")) else {
                continue;
            };
            let scaled = stage("scale", &encoder.name(), &before);
            probes.watch(&sink, scaled);
            let encoded = stage("encode", &encoder.name(), &[scaled]);
            probes.watch(&source, encoded);
            encoders.push(encoded);
        }
        let before = if encoders.is_empty() { before } else { encoders };
        for sink in millsinks(bin) {
            let Some(pad) = sink.static_pad("video") else { continue };
            let out = stage("out", &sink.name(), &before);
            probes.watch(&pad, out);
        }
        probes
    }

    /// The latencies as they are now.
    pub fn stages(&self) -> Stages {
        let notes = self.notes();
        notes.stages.iter().map(|noted| noted.shown(&notes.stages)).collect()
    }

    fn stage(&self, name: &str, element: &str, after: &[usize], why: Option<String>) -> usize {
        let mut notes = self.notes();
        notes.stages.push(Noted {
            stage: Stage {
                name: name.to_owned(),
                element: element.to_owned(),
                why,
                ..Stage::default()
            },
            after: after.to_vec(),
            mean: 0.0,
            max: 0.0,
        });
        notes.stages.len() - 1
    }

    fn watch(&self, pad: &gst::Pad, stage: usize) {
        let probes = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let Some(buffer) = info.buffer()
                && probes.notes().stages[stage].stage.memory.is_none()
            {
                let memory = pad.current_caps().map(|caps| memory_of(&caps, buffer));
                probes.notes().stages[stage].stage.memory = memory;
            }
            if let Some(time) = info.buffer().and_then(|buffer| running(pad, buffer.pts())) {
                probes.notes().passed(stage, time, Instant::now());
            }
            gst::PadProbeReturn::Ok
        });
        let probes = self.clone();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Caps) {
                // The next picture tells.
                probes.notes().stages[stage].stage.memory = None;
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// The lock is held for arithmetic only; a poisoned one is still whole.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn passed(&mut self, stage: usize, picture: MediaTime, now: Instant) {
        let count = self.stages.len();
        let times = self.underway.entry(picture).or_insert_with(|| vec![None; count]);
        times[stage] = Some(now);
        let noted = &mut self.stages[stage];
        let before = noted.after.iter().filter_map(|before| times[*before]).max();
        if noted.after.is_empty() {
            noted.stage.frames += 1;
        }
        if let Some(before) = before {
            noted.add(now.saturating_duration_since(before));
        }
        while self.underway.len() > MAX_UNDERWAY {
            self.underway.pop_first();
        }
    }
}

impl Noted {
    fn add(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.mean += match self.stage.frames {
            0 => took,
            _ => (took - self.mean) * WEIGHT,
        };
        self.max = took.max(self.max * (1.0 - WEIGHT / 10.0));
        self.stage.frames += 1;
    }

    fn shown(&self, all: &[Self]) -> Stage {
        let own = self.stage.memory.as_deref();
        let before = self
            .after
            .iter()
            .filter_map(|stage| all[*stage].stage.memory.as_deref());
        // Where several lead here, a picture came by one of them.
        let came_as_it_is = before.clone().any(|memory| Some(memory) == own);
        let is_coded = matches!(self.stage.name.as_str(), "in" | "decode" | "encode" | "out");
        Stage {
            copied: !is_coded && own.is_some() && before.count() > 0 && !came_as_it_is,
            why: self.stage.why.clone().filter(|_| own == Some(SYSTEM)),
            mean: Duration::from_secs_f64(self.mean.max(0.0)),
            max: Duration::from_secs_f64(self.max.max(0.0)),
            ..self.stage.clone()
        }
    }
}

fn running(pad: &gst::Pad, time: Option<gst::ClockTime>) -> Option<MediaTime> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?.clone();
    running_time(&segment, time)
}

/// The memory that a picture is in: by its caps, or by itself where DMABufs go under the caps of system memory.
fn memory_of(caps: &gst::Caps, picture: &gst::BufferRef) -> String {
    let features = caps.features(0);
    let named = features.and_then(|features| features.iter().find_map(|name| name.strip_prefix("memory:")));
    match named.filter(|name| *name != "SystemMemory") {
        Some(memory) => memory.to_owned(),
        None if picture.n_memory() > 0 && picture.peek_memory(0).is_type("dmabuf") => "DMABuf".to_owned(),
        None => SYSTEM.to_owned(),
    }
}

/// The element that pictures come in by.
fn video_source(bin: &gst::Bin) -> Option<gst::Element> {
    let source = bin.by_name("in")?.downcast::<gst::Bin>().ok()?;
    source.by_name("video")
}

fn millsinks(bin: &gst::Bin) -> Vec<gst::Element> {
    let is_sink = |element: &gst::Element| element.is::<gststreammill::MillSink>();
    all(bin).into_iter().filter(is_sink).collect()
}

/// The outermost elements whose factory says that they are of a class, such as `Codec/Encoder/Video/Hardware`.
pub fn of_class(bin: &gst::Bin, what: &str, medium: &str) -> Vec<gst::Element> {
    let fits = |element: &gst::Element| {
        let class = element.factory().and_then(|factory| {
            let class = factory.metadata(gst::ELEMENT_METADATA_KLASS)?;
            Some(class.to_owned())
        });
        class.is_some_and(|class| class.contains(what) && class.contains(medium))
    };
    let found: Vec<_> = all(bin).into_iter().filter(fits).collect();
    let is_inside = |element: &gst::Element| {
        found
            .iter()
            .any(|other| other != element && element.has_as_ancestor(other))
    };
    found.iter().filter(|element| !is_inside(element)).cloned().collect()
}

fn all(bin: &gst::Bin) -> Vec<gst::Element> {
    bin.iterate_recurse().into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_takes_what_lies_between_it_and_the_one_before() {
        let probes = Probes::default();
        let entered = probes.stage("in", "in", &[], None);
        let decoded = probes.stage("decode", "d", &[entered], None);
        let start = Instant::now();
        for picture in 0..400 {
            let time = MediaTime::from_millis(picture * 40);
            probes.notes().passed(entered, time, start);
            probes.notes().passed(decoded, time, start + Duration::from_millis(8));
        }
        let stages = probes.stages();
        assert_eq!(stages[decoded].frames, 400);
        assert!((stages[decoded].mean.as_secs_f64() - 0.008).abs() < 1e-6);
        assert_eq!(stages[decoded].max, Duration::from_millis(8));
        assert!(probes.notes().underway.len() <= MAX_UNDERWAY);
    }

    #[test]
    fn a_copy_is_where_the_memory_is_another_than_before_and_the_reason_is_told_there() {
        let probes = Probes::default();
        let decoded = probes.stage("decode", "d", &[], Some("unused".to_owned()));
        let scaled = probes.stage("scale", "v", &[decoded], Some("no scaler".to_owned()));
        let set = |stage: usize, memory: &str| probes.notes().stages[stage].stage.memory = Some(memory.to_owned());
        assert!(probes.stages().iter().all(|stage| !stage.copied && stage.why.is_none()));
        set(decoded, "FakeMemory");
        set(scaled, SYSTEM);
        let stages = probes.stages();
        assert_eq!((stages[decoded].copied, &stages[decoded].why), (false, &None));
        assert_eq!(
            (stages[scaled].copied, stages[scaled].why.as_deref()),
            (true, Some("no scaler"))
        );
        set(scaled, "FakeMemory");
        let stages = probes.stages();
        assert_eq!((stages[scaled].copied, &stages[scaled].why), (false, &None));
    }

    #[test]
    fn a_picture_that_is_not_found_again_is_left_out() {
        let probes = Probes::default();
        let entered = probes.stage("in", "in", &[], None);
        let decoded = probes.stage("decode", "d", &[entered], None);
        probes.notes().passed(decoded, MediaTime::ZERO, Instant::now());
        assert_eq!(probes.stages()[decoded].frames, 0);
    }
}
