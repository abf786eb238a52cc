//! Lanes: one pad's way from a stream's track to its queue.

use std::{thread, time::Duration};

use gst::{glib, prelude::*};
use streammill_media::{Format, Frame, MediaKind, MediaTime, SampleClock, Track, TrackKey};

use crate::{
    Feed,
    caps::{caps_of_track, source_caps},
    peer::Stop,
};

/// Most that waits in a pad's queue. The socket is not read while more does, which the server notices.
const MAX_WAITING: MediaTime = MediaTime::from_millis(8_000);
/// A pad, as the element hands it over.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// The track it is named after.
    pub(crate) track: Option<TrackKey>,
    pub(crate) pad: gst::Pad,
    pub(crate) feed: Feed,
}

/// Where the first frame is on the stream's timeline, and the running time at which it came.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    stream: MediaTime,
    running: MediaTime,
}

impl Start {
    /// At the first frame.
    pub(crate) fn now(stream: MediaTime, element: &glib::WeakRef<gst::Element>) -> Self {
        let time = element.upgrade().and_then(|element| element.current_running_time());
        let nanos = time.and_then(|time| i64::try_from(time.nseconds()).ok());
        let running = nanos.map_or(MediaTime::ZERO, MediaTime::from_nanos);
        Self { stream, running }
    }
}

/// A pad and what is on its way to it.
pub(crate) struct Lane {
    /// The track it carries, once that is known.
    pub(crate) track: Option<TrackKey>,
    pad: gst::Pad,
    feed: Feed,
    pub(crate) state: LaneState,
    clock: Option<SampleClock>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneState {
    /// Nothing is known of its track.
    Silent,
    /// The track is known; pictures wait for a key frame.
    Configured,
    Flowing,
    Ended,
}

impl Lane {
    pub(crate) fn new(outlet: Outlet) -> Self {
        Self {
            track: outlet.track,
            pad: outlet.pad,
            feed: outlet.feed,
            state: LaneState::Silent,
            clock: None,
        }
    }

    /// Whether a pad of no track's name is for this one. Sound waits until no picture can come that would go before it.
    pub(crate) fn may_take(&self, track: &Track, is_settled: bool) -> bool {
        if self.track.is_some() || self.state == LaneState::Ended {
            return false;
        }
        let taken = self.pad.peer_query_caps(None);
        let may_be_picture = || taken.can_intersect(&source_caps(MediaKind::Video));
        taken.can_intersect(&caps_of_track(track))
            && (track.kind() == MediaKind::Video || is_settled || !may_be_picture())
    }

    pub(crate) fn start(&mut self, track: &Track) {
        if self.state == LaneState::Ended {
            return;
        }
        self.track = Some(track.key());
        self.feed.start(track);
        self.clock = match track.format {
            Format::Audio(format) => Some(SampleClock::new(&format)),
            Format::Video(_) => None,
        };
        self.state = LaneState::Configured;
    }

    pub(crate) fn admits(&mut self, frame: &Frame) -> bool {
        if self.state == LaneState::Configured && frame.key {
            self.state = LaneState::Flowing;
        }
        self.state == LaneState::Flowing
    }

    pub(crate) fn push(&mut self, frame: &Frame, start: Start, stop: &Stop) {
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

    pub(crate) fn end(&mut self) {
        self.feed.end();
        self.state = LaneState::Ended;
    }
}
