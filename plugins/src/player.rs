//! The player behind a `millsrc` with a location: RTMP in, feeds out.

use std::{thread, time::Duration};

use bytes::Bytes;
use gst::{glib, prelude::*};
use streammill_media::{
    Codec, Format, Frame, FrameRole, MediaKind, MediaTime, SampleClock, Timeline, Track, TrackId,
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
    feeds: Vec<(MediaKind, Feed)>,
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
    kind: MediaKind,
    feed: Feed,
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
        let Ok((codec, mut frame)) = read(kind, body) else {
            return;
        };
        let placed = self.timeline.place(kind, TrackId(0), frame.role, rtmp_millis);
        frame.pts = placed.dts + (frame.pts - frame.dts);
        frame.dts = placed.dts;
        let Some(at) = self.pads.iter().position(|pad| pad.kind == kind) else {
            return;
        };
        let flows = self.pads[at].prepare(codec, &frame);
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
    fn new((kind, feed): (MediaKind, Feed)) -> Self {
        Self {
            kind,
            feed,
            state: PadState::Silent,
            clock: None,
        }
    }

    /// Takes a configuration. True if the frame is one to push.
    fn prepare(&mut self, codec: Codec, frame: &Frame) -> bool {
        let track = match frame.role {
            FrameRole::Config => Track::from_config(TrackId(0), codec, frame.data()),
            FrameRole::Coded if codec == Codec::Mp3 && self.state == PadState::Silent => {
                Track::mp3(TrackId(0), &frame.data())
            }
            FrameRole::Coded => {
                let may_start = self.state == PadState::Configured && frame.key;
                if may_start {
                    self.state = PadState::Flowing;
                }
                return self.state == PadState::Flowing;
            }
            FrameRole::End => return false,
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

fn read(kind: MediaKind, body: Bytes) -> Result<(Codec, Frame), TagError> {
    let (codec, role, key, offset, header_len) = match kind {
        MediaKind::Video => {
            let tag = flv::parse_video(&body)?;
            (tag.codec, tag.role, tag.key, tag.composition_offset, tag.header_len)
        }
        _ => {
            let tag = flv::parse_audio(&body)?;
            (tag.codec, tag.role, true, MediaTime::ZERO, tag.header_len)
        }
    };
    let frame = Frame {
        kind,
        track: TrackId(0),
        role,
        key,
        dts: MediaTime::ZERO,
        pts: offset,
        tag: body,
        header_len,
    };
    Ok((codec, frame))
}

fn running_time(element: &glib::WeakRef<gst::Element>) -> MediaTime {
    let time = element.upgrade().and_then(|element| element.current_running_time());
    let nanos = time.and_then(|time| i64::try_from(time.nseconds()).ok());
    nanos.map_or(MediaTime::ZERO, MediaTime::from_nanos)
}
