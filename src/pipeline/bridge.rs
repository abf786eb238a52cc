//! The bridge: from a subscription to the feeds of an instance.
//!
//! It reads the stream frame by frame, so a change of configuration takes effect exactly where it came; it never blocks
//! and never queues: what a pipeline does not take stays in the stream's ring until that moves on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use streammill_media::{
    Codec, Format, Frame, FrameRole, MediaKind, MediaTime, SampleClock, Track, TrackKey, codec::opus,
};
use tokio::time::{Instant as Clock, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    instance::{Failure, Report},
    policy::{Gate, Verdict},
    running::Running,
    template::{OnChange, TrackChoice},
};
use crate::hub::{Event, Hub, Packet, PublicationId, StreamKey, Subscriber};

/// Packets taken from the hub at a time.
const BATCH: usize = 64;
/// How often a full queue is looked at, and how long one that does not move is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_millis(500);

/// A stream on its way into pipelines, one after the other.
#[derive(Debug)]
pub struct Bridge {
    subscriber: Subscriber,
    batch: Vec<Arc<Packet>>,
    next: usize,
    tracks: Chosen,
    dropped: u64,
}

/// The tracks that are fed, of those a stream has.
#[derive(Debug)]
struct Chosen {
    choice: TrackChoice,
    tracks: Vec<Track>,
    /// Decoder configurations, for codings that leave something to their key frames.
    configs: BTreeMap<TrackKey, Bytes>,
}

/// Why a bridge stopped feeding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The publisher left, and all it sent has been fed.
    Ended,
    /// It was told to stop.
    Stopped,
    /// The tracks are others now; the frames that follow need another instance.
    Changed,
    /// The pipeline came to its end by itself.
    Finished,
    /// The pipeline failed.
    Failed(Failure),
}

/// What becomes of one frame.
enum Step {
    Go,
    Wait,
    Leave(Outcome),
}

impl Bridge {
    /// Begins to read a publication, and waits until its tracks are known. `None` if it ended before, or was told to stop.
    pub async fn open(
        hub: &Hub,
        subscriber: Subscriber,
        id: PublicationId,
        choice: TrackChoice,
        stop: &CancellationToken,
    ) -> Option<Self> {
        let mut subscriber = subscriber;
        let mut batch = Vec::new();
        let key = subscriber.key().clone();
        let started = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            event = subscriber.next(BATCH, &mut batch) => event,
            () = gone(hub, &key, id) => return None,
        };
        if started != Event::Started || subscriber.publication() != Some(id) {
            return None;
        }
        let mut tracks = subscriber.tracks()?;
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            _ = tracks.wait_for(|tracks| tracks.settled) => {}
            // A publication that ends before it has settled is read to its end with what is known.
            () = gone(hub, &key, id) => {}
        }
        let settled = tracks.borrow().clone();
        Some(Self {
            subscriber,
            batch,
            next: 0,
            tracks: Chosen::new(choice, &settled.tracks),
            dropped: 0,
        })
    }

    /// The tracks of the frames to come.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks.tracks
    }

    /// Frames that pipelines were too slow for.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Feeds a pipeline for as long as it is the right one. Its time begins with the first frame: muxers measure the length
    /// of a file from zero.
    pub async fn feed(&mut self, instance: &mut Running, on_change: OnChange, stop: &CancellationToken) -> Outcome {
        // Sound need not wait for pictures that this pipeline does not take.
        let is_video = |track: &Track| track.kind() == MediaKind::Video && instance.takes(track.key());
        let has_video = self.tracks().iter().any(is_video);
        let mut feeding = Feeding::new(has_video);
        let mut waits_since = None;
        loop {
            while let Some(packet) = self.batch.get(self.next) {
                let patience = waits_since.is_none_or(|since: Clock| since.elapsed() < PATIENCE);
                match feeding.step(&packet.frame, &mut self.tracks, instance, on_change, patience) {
                    Step::Go => {}
                    Step::Wait => {
                        waits_since.get_or_insert_with(Clock::now);
                        tokio::select! {
                            biased;
                            () = stop.cancelled() => return Outcome::Stopped,
                            report = instance.report() => return outcome_of(report),
                            () = sleep(LOOK_AGAIN) => continue,
                        }
                    }
                    Step::Leave(outcome) => {
                        self.next += 1;
                        self.dropped += feeding.dropped;
                        return outcome;
                    }
                }
                waits_since = None;
                self.subscriber.sent(packet.frame.tag.len() as u64);
                self.next += 1;
            }
            self.batch.clear();
            self.next = 0;
            self.dropped += std::mem::take(&mut feeding.dropped);
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Outcome::Stopped,
                report = instance.report() => return outcome_of(report),
                event = self.subscriber.next(BATCH, &mut self.batch) => event,
            };
            match event {
                Event::Packets | Event::Started => {}
                Event::Ended => return Outcome::Ended,
            }
        }
    }

    /// Reads on without a pipeline until the tracks change.
    pub async fn pass(&mut self, stop: &CancellationToken) -> Outcome {
        loop {
            while let Some(packet) = self.batch.get(self.next) {
                self.next += 1;
                if self.tracks.adopt(&packet.frame).is_some() {
                    return Outcome::Changed;
                }
            }
            self.batch.clear();
            self.next = 0;
            let event = tokio::select! {
                () = stop.cancelled() => return Outcome::Stopped,
                event = self.subscriber.next(BATCH, &mut self.batch) => event,
            };
            if event == Event::Ended {
                return Outcome::Ended;
            }
        }
    }
}

/// Waits until a publication is over.
async fn gone(hub: &Hub, key: &StreamKey, id: PublicationId) {
    let mut changes = hub.changes();
    while hub
        .stream(key)
        .and_then(|stream| stream.live)
        .is_some_and(|live| live.id == id)
    {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn outcome_of(report: Report) -> Outcome {
    match report {
        Report::End => Outcome::Finished,
        Report::Failure(failure) => Outcome::Failed(failure),
    }
}

/// What is remembered while one instance is fed.
struct Feeding {
    gate: Gate,
    clocks: BTreeMap<TrackKey, SampleClock>,
    dropped: u64,
}

impl Feeding {
    fn new(has_video: bool) -> Self {
        Self {
            gate: Gate::new(has_video),
            clocks: BTreeMap::new(),
            dropped: 0,
        }
    }

    fn step(
        &mut self,
        frame: &Frame,
        tracks: &mut Chosen,
        instance: &mut Running,
        on_change: OnChange,
        patience: bool,
    ) -> Step {
        let key = frame.track_key();
        let changed = tracks.adopt(frame);
        if !instance.takes(key) {
            // A track that was not there when the instance was built.
            return match changed {
                Some(_) => Step::Leave(Outcome::Changed),
                None => Step::Go,
            };
        }
        match changed {
            // Elements follow another size, not another coding.
            Some(Change { recoded: true, .. }) => return Step::Leave(Outcome::Changed),
            Some(_) if on_change == OnChange::Rotate => return Step::Leave(Outcome::Changed),
            Some(Change { track, .. }) => {
                instance.configure(track);
                match frame.kind {
                    MediaKind::Video => self.gate.require_key(key),
                    _ => drop(self.clocks.remove(&key)),
                }
            }
            None => {}
        }
        if frame.role != FrameRole::Coded {
            return Step::Go;
        }
        match self
            .gate
            .admit(key, frame.key, frame.dts, instance.level(key), patience)
        {
            Verdict::Push => {}
            Verdict::Wait => return Step::Wait,
            Verdict::Skip => return Step::Go,
            Verdict::Drop => {
                self.dropped += 1;
                return Step::Go;
            }
            Verdict::Stalled => {
                return Step::Leave(Outcome::Failed(format!("it has taken no {key} for too long").into()));
            }
        }
        let origin = instance.origin(frame.dts);
        if frame.dts < origin {
            // Sound from before the first picture that happened to be sent after it.
            return Step::Go;
        }
        let (dts, pts) = self.times(frame, &tracks.tracks);
        let (dts, pts) = (dts - origin, pts - origin);
        match instance.push(key, frame.data(), frame.key, dts, pts) {
            Ok(()) => Step::Go,
            Err(reason) => Step::Leave(Outcome::Failed(reason.into())),
        }
    }

    /// RTMP's milliseconds are too coarse for sound: muxers would write frames of uneven length.
    fn times(&mut self, frame: &Frame, tracks: &[Track]) -> (MediaTime, MediaTime) {
        let key = frame.track_key();
        let track = tracks.iter().find(|track| track.key() == key);
        let Some((codec, Format::Audio(format))) = track.map(|track| (track.codec, track.format)) else {
            return (frame.dts, frame.pts);
        };
        let clock = self.clocks.entry(key).or_insert_with(|| SampleClock::new(&format));
        // Opus packets of one stream may differ in length.
        let samples = match codec {
            Codec::Opus => opus::packet_samples(&frame.data()),
            _ => None,
        };
        let time = clock.retime_frame(frame.pts, samples).time;
        (time, time)
    }
}

/// Another decoder configuration.
struct Change<'a> {
    track: &'a Track,
    /// The coding is another one, too, or the track is new.
    recoded: bool,
}

impl Chosen {
    fn new(choice: TrackChoice, all: &[Track]) -> Self {
        let mut chosen = Self {
            choice,
            tracks: Vec::new(),
            configs: BTreeMap::new(),
        };
        for track in all {
            if chosen.takes(track.key()) {
                chosen.configs.insert(track.key(), track.config.clone());
                chosen.tracks.push(track.clone());
            }
        }
        chosen
    }

    /// Whether a track is among those that are fed, or would be if it came.
    fn takes(&self, key: TrackKey) -> bool {
        let mut of_kind = self.tracks.iter().filter(|track| track.kind() == key.kind);
        match self.choice {
            TrackChoice::All => true,
            TrackChoice::First => of_kind.next().is_none_or(|first| first.key() == key),
        }
    }

    /// Takes note of a decoder configuration. Answers with the track if it is another one than before.
    fn adopt(&mut self, frame: &Frame) -> Option<Change<'_>> {
        let key = frame.track_key();
        let may_tell = frame.role == FrameRole::Config || (frame.role == FrameRole::Coded && frame.key);
        if !may_tell || frame.kind == MediaKind::Data || !self.takes(key) {
            return None;
        }
        let at = self.tracks.iter().position(|known| known.key() == key);
        if frame.role == FrameRole::Coded && at.is_some() && frame.kind == MediaKind::Audio {
            return None;
        }
        let codec = frame.codec()?;
        // What cannot be read is relayed by the hub as it is; a pipeline stays with what it has.
        let track = if frame.role == FrameRole::Config {
            self.configs.insert(key, frame.data());
            Track::from_config(key.id, codec, frame.data()).ok()?
        } else {
            if matches!(codec, Codec::H264 | Codec::Hevc) {
                return None;
            }
            let config = self.configs.get(&key).cloned().unwrap_or_default();
            Track::from_frame(key.id, codec, config, &frame.data()).ok()?
        };
        let at = match at {
            Some(at) if self.tracks[at] == track => return None,
            Some(at) => {
                let recoded = self.tracks[at].codec != track.codec;
                self.tracks[at] = track;
                return Some(Change {
                    track: &self.tracks[at],
                    recoded,
                });
            }
            None => {
                self.tracks.push(track);
                self.tracks.sort_by_key(Track::key);
                self.tracks.iter().position(|known| known.key() == key)?
            }
        };
        Some(Change {
            track: &self.tracks[at],
            recoded: true,
        })
    }
}
