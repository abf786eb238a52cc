//! Feeds: the host's end of a `millsrc` pad.

use bytes::Bytes;
use streammill_media::{Frame, MediaTime, Track};

use crate::caps::caps_of_track;

/// Pushes one track into a `millsrc` pad. Nothing here blocks, so it may be used from an async task; in return the
/// queue behind it is not bounded by `appsrc`, and whoever pushes looks at [`level`](Self::level) first.
#[derive(Clone, Debug)]
pub struct Feed {
    appsrc: gst_app::AppSrc,
}

/// What waits in a [`Feed`]'s queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Bytes of media.
    pub bytes: u64,
    /// Distance between the oldest and the newest time stamp.
    pub time: MediaTime,
}

impl Feed {
    pub(crate) fn new(appsrc: gst_app::AppSrc) -> Self {
        Self { appsrc }
    }

    /// Announces what follows. A second call changes the caps in their place between the frames.
    pub fn start(&self, track: &Track) {
        self.appsrc.set_caps(Some(&caps_of_track(track)));
    }

    /// Hands over a coded frame without copying it.
    pub fn push(&self, frame: &Frame) -> Result<(), NotTaken> {
        self.push_data(frame.data(), frame.key, frame.dts, frame.pts)
    }

    /// As [`push`](Self::push), with times of the caller's.
    pub fn push_data(&self, data: Bytes, key: bool, dts: MediaTime, pts: MediaTime) -> Result<(), NotTaken> {
        let mut buffer = gst::Buffer::from_slice(data);
        // The buffer was just made, so there is no second reference to it.
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_dts(clock_time(dts));
            buffer.set_pts(clock_time(pts));
            if !key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.appsrc.push_buffer(buffer).map(drop).map_err(NotTaken)
    }

    /// What was pushed and has not left yet.
    pub fn level(&self) -> Level {
        let nanos = self.appsrc.current_level_time().nseconds();
        Level {
            bytes: self.appsrc.current_level_bytes(),
            time: MediaTime::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)),
        }
    }

    /// No more will come: sends EOS behind what was pushed.
    pub fn end(&self) {
        // Fails only while the element is stopped, when there is nobody left to tell.
        let _ = self.appsrc.end_of_stream();
    }
}

/// GStreamer's times are unsigned; a stream's first decoding time may lie a reordering delay before zero.
fn clock_time(time: MediaTime) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(time.as_nanos()).unwrap_or(0))
}

/// The element takes nothing any more: it was stopped, or is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("millsrc takes no more data: {0}")]
pub struct NotTaken(gst::FlowError);
