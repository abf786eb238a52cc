//! The player behind a `millsrc` with a location: RTMP in, feeds out.

use std::{thread, time::Duration};

use bytes::Bytes;
use gst::{glib, prelude::*};
use streammill_media::{
    Format, Frame, FrameRole, MediaKind, MediaTime, SampleClock, Timeline, Track, TrackKey,
    flv::{self, TagError},
};
use streammill_rtmp::{ClientEvent, MediaType};

use crate::{
    Feed,
    location::Location,
    peer::{Connection, Heard, PeerError, Stop},
};

/// Most that waits in a pad's queue. The socket is not read while more does, which the server notices.
const MAX_WAITING: MediaTime = MediaTime::from_millis(8_000);
/// Media after which a pad that has got nothing is ended. Less than [`MAX_WAITING`], for a muxer may take nothing before.
const SETTLED: MediaTime = MediaTime::from_millis(5_000);

/// Plays a stream until it ends.
pub(crate) fn play(
    location: &Location,
    feeds: Vec<(TrackKey, Feed)>,
    element: &glib::WeakRef<gst::Element>,
    stop: &Stop,
) -> Result<(), PeerError> {
    let mut connection = Connection::open(location, stop)?;
    connection.session.play(&location.name);
    let mut intake = Intake {
        pads: feeds.into_iter().map(Pad::new).collect(),
        timeline: Timeline::new(),
        start: None,
    };
    while !stop.is_asked() {
        connection.flush()?;
        while let Some(event) = connection.session.poll_event() {
            match event {
                ClientEvent::Media {
                    kind,
                    timestamp,
                    payload,
                } => intake.take(kind, timestamp.0, payload, element, stop),
                ClientEvent::Rejected { code, description } => return Err(PeerError::Refused { code, description }),
                ClientEvent::StreamEof => {
                    intake.end();
                    return Ok(());
                }
                ClientEvent::Status { code, .. } if code == "NetStream.Play.UnpublishNotify" => {
                    intake.end();
                    return Ok(());
                }
                _ => {}
            }
        }
        if connection.hear(Duration::from_millis(500))? == Heard::Closed {
            // Servers that say nothing at the end of a stream close; before its begin that is a failure.
            if intake.start.is_none() {
                return Err(PeerError::Closed);
            }
            intake.end();
            return Ok(());
        }
    }
    Ok(())
}

struct Intake {
    pads: Vec<Pad>,
    timeline: Timeline,
    start: Option<Start>,
}

/// Where the first frame is on the stream's timeline, and the running time at which it came.
#[derive(Clone, Copy)]
struct Start {
    stream: MediaTime,
    running: MediaTime,
}

struct Pad {
    key: TrackKey,
    feed: Feed,
    /// What a record left to the first key frame.
    config: Bytes,
    state: PadState,
    clock: Option<SampleClock>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PadState {
    /// Nothing is known of its track.
    Silent,
    /// The track is known; pictures wait for a key frame.
    Configured,
    Flowing,
    Ended,
}

impl Intake {
    fn take(
        &mut self,
        media: MediaType,
        rtmp_millis: u32,
        body: Bytes,
        element: &glib::WeakRef<gst::Element>,
        stop: &Stop,
    ) {
        let kind = match media {
            MediaType::Video => MediaKind::Video,
            MediaType::Audio => MediaKind::Audio,
            _ => return,
        };
        // What is not understood is left out, as the server's own pipelines do.
        let Ok(unpacked) = flv::unpack(kind, body) else {
            return;
        };
        let nanos = MediaTime::from_nanos(unpacked.nanos.into());
        for body in std::iter::once(unpacked.first).chain(unpacked.rest) {
            if let Ok(frame) = read(kind, body) {
                self.take_frame(frame, rtmp_millis, nanos, element, stop);
            }
        }
    }

    fn take_frame(
        &mut self,
        mut frame: Frame,
        rtmp_millis: u32,
        nanos: MediaTime,
        element: &glib::WeakRef<gst::Element>,
        stop: &Stop,
    ) {
        let placed = self.timeline.place(frame.kind, frame.track, frame.role, rtmp_millis);
        frame.pts = placed.dts + (frame.pts - frame.dts) + nanos;
        frame.dts = placed.dts + nanos;
        let Some(at) = self.pads.iter().position(|pad| pad.key == frame.track_key()) else {
            return;
        };
        let flows = self.pads[at].prepare(&frame);
        if !flows {
            return;
        }
        let start = *self.start.get_or_insert_with(|| Start {
            stream: frame.dts,
            running: running_time(element),
        });
        self.pads[at].push(&frame, start, stop);
        if frame.dts - start.stream > SETTLED {
            for pad in self.pads.iter_mut().filter(|pad| pad.state == PadState::Silent) {
                pad.end();
            }
        }
    }

    fn end(&mut self) {
        self.pads.iter_mut().for_each(Pad::end);
    }
}

impl Pad {
    fn new((key, feed): (TrackKey, Feed)) -> Self {
        Self {
            key,
            feed,
            config: Bytes::new(),
            state: PadState::Silent,
            clock: None,
        }
    }

    /// Takes a configuration. True if the frame is one to push.
    fn prepare(&mut self, frame: &Frame) -> bool {
        let Some(codec) = frame.codec() else { return false };
        let track = match frame.role {
            FrameRole::Config => {
                self.config = frame.data();
                Track::from_config(self.key.id, codec, frame.data())
            }
            // Codings that have no record, or leave something to their first key frame.
            FrameRole::Coded if frame.key && self.state == PadState::Silent => {
                Track::from_frame(self.key.id, codec, self.config.clone(), &frame.data())
            }
            FrameRole::Coded => {
                let may_start = self.state == PadState::Configured && frame.key;
                if may_start {
                    self.state = PadState::Flowing;
                }
                return self.state == PadState::Flowing;
            }
            FrameRole::End | FrameRole::Properties => return false,
        };
        let Ok(track) = track else { return false };
        if self.state == PadState::Ended {
            return false;
        }
        self.feed.start(&track);
        self.clock = match track.format {
            Format::Audio(format) => Some(SampleClock::new(&format)),
            Format::Video(_) => None,
        };
        self.state = if frame.role == FrameRole::Coded {
            PadState::Flowing
        } else {
            PadState::Configured
        };
        self.state == PadState::Flowing
    }

    fn push(&mut self, frame: &Frame, start: Start, stop: &Stop) {
        while self.feed.level().time > MAX_WAITING && !stop.is_asked() {
            thread::sleep(Duration::from_millis(10));
        }
        let shift = start.running - start.stream;
        let (dts, pts) = match &mut self.clock {
            Some(clock) => {
                let time = clock.retime(frame.pts).time;
                (time, time)
            }
            None => (frame.dts, frame.pts),
        };
        // A pad that takes nothing was stopped, and the thread is about to be.
        let _ = self.feed.push_data(frame.data(), frame.key, dts + shift, pts + shift);
    }

    fn end(&mut self) {
        self.feed.end();
        self.state = PadState::Ended;
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

fn running_time(element: &glib::WeakRef<gst::Element>) -> MediaTime {
    let time = element.upgrade().and_then(|element| element.current_running_time());
    let nanos = time.and_then(|time| i64::try_from(time.nseconds()).ok());
    nanos.map_or(MediaTime::ZERO, MediaTime::from_nanos)
}
