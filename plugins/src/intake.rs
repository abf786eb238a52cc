//! Intake: from the messages of a stream to the pads that want its tracks.
//!
//! A pad with a track's name gets that track. Any other gets what it can take of the rest: a picture as soon as there is
//! one, sound when it is known that no picture will come.

use std::collections::BTreeMap;

use bytes::Bytes;
use gst::glib;
use streammill_media::{
    Detection, Frame, FrameRole, MediaKind, MediaTime, Timeline, Track, TrackDetector, TrackKey,
    flv::{self, TagError},
};
use streammill_rtmp::MediaType;

use crate::{
    lane::{Lane, LaneState, Outlet, Start},
    peer::Stop,
};

/// Media after which a pad that has got nothing is ended. Less than may wait in a queue, for a muxer may take nothing before.
const SETTLED: MediaTime = MediaTime::from_millis(5_000);

/// Distributes a stream.
pub(crate) struct Intake {
    lanes: Vec<Lane>,
    known: BTreeMap<TrackKey, Known>,
    detector: TrackDetector,
    is_settled: bool,
    timeline: Timeline,
    first: Option<MediaTime>,
    start: Option<Start>,
}

/// What is known of a track.
#[derive(Default)]
struct Known {
    /// What a record left to the first key frame.
    config: Bytes,
    track: Option<Track>,
}

impl Intake {
    pub(crate) fn new(outlets: Vec<Outlet>) -> Self {
        Self {
            lanes: outlets.into_iter().map(Lane::new).collect(),
            known: BTreeMap::new(),
            detector: TrackDetector::new(),
            is_settled: false,
            timeline: Timeline::new(),
            first: None,
            start: None,
        }
    }

    /// Media has come, for whomever.
    pub(crate) fn has_begun(&self) -> bool {
        !self.known.is_empty()
    }

    /// Takes a message. `Err` when it is certain that no pad will ever get anything, with what the stream has instead.
    pub(crate) fn take(
        &mut self,
        media: MediaType,
        rtmp_millis: u32,
        body: Bytes,
        element: &glib::WeakRef<gst::Element>,
        stop: &Stop,
    ) -> Result<(), String> {
        let kind = match media {
            MediaType::Video => MediaKind::Video,
            MediaType::Audio => MediaKind::Audio,
            _ => {
                if flv::script::is_meta(&body) {
                    self.detector.metadata(&flv::script::parse_meta(&body));
                }
                return Ok(());
            }
        };
        // What is not understood is left out, as the server's own pipelines do.
        let Ok(unpacked) = flv::unpack(kind, body) else {
            return Ok(());
        };
        let nanos = MediaTime::from_nanos(unpacked.nanos.into());
        for body in std::iter::once(unpacked.first).chain(unpacked.rest) {
            if let Ok(mut frame) = read(kind, body) {
                let placed = self.timeline.place(kind, frame.track, frame.role, rtmp_millis);
                frame.pts = placed.dts + (frame.pts - frame.dts) + nanos;
                frame.dts = placed.dts + nanos;
                self.take_frame(&frame, element, stop)?;
            }
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: &Frame, element: &glib::WeakRef<gst::Element>, stop: &Stop) -> Result<(), String> {
        let learned = self.learn(frame);
        let evidence = if learned.is_some() {
            FrameRole::Config
        } else {
            frame.role
        };
        let detection = self.detector.frame(frame.kind, evidence, frame.dts);
        if let Some(track) = learned {
            self.begin(&track);
        }
        if detection == Detection::Settled {
            self.is_settled = true;
            let known = self.known.values().filter_map(|known| known.track.clone());
            for track in known.collect::<Vec<_>>() {
                if self.lane(track.key()).is_none() {
                    self.begin(&track);
                }
            }
        }
        if frame.role != FrameRole::Coded {
            return Ok(());
        }
        if let Some(lane) = self.lane(frame.track_key())
            && lane.admits(frame)
        {
            let start = *self.start.get_or_insert_with(|| Start::now(frame.dts, element));
            if let Some(lane) = self.lane(frame.track_key()) {
                lane.push(frame, start, stop);
            }
        }
        if frame.dts - *self.first.get_or_insert(frame.dts) > SETTLED {
            if self.lanes.iter().all(|lane| lane.state == LaneState::Silent) {
                // Before any pad ends: with the last one the pipeline would be over, and that would look well.
                return Err(self.contents());
            }
            let silent = self.lanes.iter_mut().filter(|lane| lane.state == LaneState::Silent);
            silent.for_each(Lane::end);
        }
        Ok(())
    }

    /// Reads what a frame says about its track. Answers with the track if it is new, or another one than before.
    fn learn(&mut self, frame: &Frame) -> Option<Track> {
        let (codec, key) = (frame.codec()?, frame.track_key());
        let known = self.known.entry(key).or_default();
        let track = match frame.role {
            FrameRole::Config => {
                known.config = frame.data();
                Track::from_config(key.id, codec, frame.data())
            }
            // Codings that have no record, or leave something to their first key frame.
            FrameRole::Coded if frame.key && known.track.is_none() => {
                Track::from_frame(key.id, codec, known.config.clone(), &frame.data())
            }
            _ => return None,
        };
        let track = track.ok().filter(|track| known.track.as_ref() != Some(track))?;
        known.track = Some(track.clone());
        Some(track)
    }

    /// Gives a track to the pad that it belongs to, if there is one.
    fn begin(&mut self, track: &Track) {
        let is_settled = self.is_settled;
        let own = self.lanes.iter().position(|lane| lane.track == Some(track.key()));
        let lane = own.or_else(|| self.lanes.iter().position(|lane| lane.may_take(track, is_settled)));
        if let Some(lane) = lane.and_then(|at| self.lanes.get_mut(at)) {
            lane.start(track);
        }
    }

    fn lane(&mut self, track: TrackKey) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.track == Some(track))
    }

    /// The stream's tracks, for a person to read.
    fn contents(&self) -> String {
        let tracks = self.known.iter().map(|(key, known)| match &known.track {
            Some(track) => format!("{key} ({:?})", track.codec).to_lowercase(),
            None => format!("{key} of a coding that is not known here"),
        });
        tracks.collect::<Vec<_>>().join(", ")
    }

    /// The stream is over.
    pub(crate) fn end(&mut self) {
        self.lanes.iter_mut().for_each(Lane::end);
    }
}

fn read(kind: MediaKind, body: Bytes) -> Result<Frame, TagError> {
    let (track, role, key, offset, header_len) = match kind {
        MediaKind::Video => {
            let tag = flv::parse_video(&body)?;
            (tag.track, tag.role, tag.key, tag.composition_offset, tag.header_len)
        }
        _ => {
            let tag = flv::parse_audio(&body)?;
            (tag.track, tag.role, true, MediaTime::ZERO, tag.header_len)
        }
    };
    Ok(Frame {
        kind,
        track,
        role,
        key,
        dts: MediaTime::ZERO,
        pts: offset,
        tag: body,
        header_len,
    })
}
