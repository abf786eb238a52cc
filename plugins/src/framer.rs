//! From samples to frames: what an encoder made, as a stream carries it.

use bytes::Bytes;
use streammill_media::{Codec, Format, Frame, FrameRole, MediaKind, MediaTime, Track, TrackKey, flv};

use crate::{CapsError, caps::track_of_caps};

/// Turns the samples of one pad into frames with FLV tag bodies, the decoder configuration before the first and wherever it
/// changes.
#[derive(Debug)]
pub struct Framer {
    key: TrackKey,
    caps: Option<gst::Caps>,
    track: Option<Track>,
}

impl Framer {
    /// For the pad of this track.
    pub fn new(key: TrackKey) -> Self {
        Self {
            key,
            caps: None,
            track: None,
        }
    }

    /// The track, once its first sample has come.
    pub fn track(&self) -> Option<&Track> {
        self.track.as_ref()
    }

    /// Appends a sample's frames to `out`. `origin` is where running time zero is on the stream's timeline; what an encoder
    /// puts before the start of that goes to its start.
    pub fn take(&mut self, sample: &gst::Sample, origin: MediaTime, out: &mut Vec<Frame>) -> Result<(), FrameError> {
        let segment = sample
            .segment()
            .and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
        let segment = segment.ok_or(FrameError::NoSegment)?;
        let caps = sample.caps().ok_or(FrameError::NoCaps)?;
        let mut is_known = self.caps.as_ref().is_some_and(|known| known.as_ref() == caps);
        let mut new_track = None;
        let lists = sample.buffer_list().into_iter().flat_map(|list| list.iter());
        for buffer in sample.buffer().into_iter().chain(lists) {
            let on_timeline = |time| running_time(segment, time).map(|time| (origin + time).max(MediaTime::ZERO));
            // A buffer without a time cannot be placed; encoders give every one a time.
            let Some(pts) = on_timeline(buffer.pts()) else { continue };
            let dts = on_timeline(buffer.dts()).unwrap_or(pts);
            let data = buffer.map_readable().map_err(|_| FrameError::Unreadable)?;
            if !std::mem::replace(&mut is_known, true) {
                new_track = self.learn(caps, &data)?;
            }
            if let Some(track) = new_track.take().filter(|track| !track.config.is_empty()) {
                out.push(frame(&track, FrameRole::Config, true, dts, dts, &track.config));
            }
            let Some(track) = &self.track else { continue };
            let key = self.key.kind == MediaKind::Audio || !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            out.push(frame(track, FrameRole::Coded, key, dts, pts, &data));
        }
        Ok(())
    }

    /// Takes new caps, and answers the track if it is another one than before.
    fn learn(&mut self, caps: &gst::CapsRef, first: &[u8]) -> Result<Option<Track>, FrameError> {
        let track = track_of_caps(caps, self.key.id, first)?;
        if track.kind() != self.key.kind {
            return Err(FrameError::WrongKind { pad: self.key });
        }
        self.caps = Some(caps.to_owned());
        if self.track.as_ref() == Some(&track) {
            return Ok(None);
        }
        self.track = Some(track.clone());
        Ok(Some(track))
    }
}

/// A buffer's time since its pipeline began, or before that, where an encoder's delay puts it there.
pub fn running_time(
    segment: &gst::FormattedSegment<gst::ClockTime>,
    time: Option<gst::ClockTime>,
) -> Option<MediaTime> {
    let nanos = |time: gst::ClockTime| i64::try_from(time.nseconds()).ok();
    let nanos = match segment.to_running_time_full(time?)? {
        gst::Signed::Positive(time) => nanos(time)?,
        gst::Signed::Negative(time) => -nanos(time)?,
    };
    Some(MediaTime::from_nanos(nanos))
}

fn frame(track: &Track, role: FrameRole, key: bool, dts: MediaTime, pts: MediaTime, data: &[u8]) -> Frame {
    // Only these two have a place for the difference; the rest is shown in the order it is sent in.
    let (dts, composition_offset) = match track.codec {
        Codec::H264 | Codec::Hevc => (dts, pts - dts),
        _ => (pts, MediaTime::ZERO),
    };
    let tag: Bytes = match track.format {
        Format::Video(_) => flv::video_body(track.codec, track.id, role, key, composition_offset, data),
        Format::Audio(format) => flv::audio_body(track.codec, track.id, role, data, format),
    };
    Frame {
        kind: track.kind(),
        track: track.id,
        role,
        key,
        dts,
        pts,
        header_len: tag.len() - data.len(),
        tag,
    }
}

/// Samples that make no frames.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Without a segment in time there are no times.
    #[error("samples come without a segment in time")]
    NoSegment,
    /// Without caps it is not known what they are.
    #[error("samples come without caps")]
    NoCaps,
    /// The caps say nothing a stream can carry.
    #[error(transparent)]
    Caps(#[from] CapsError),
    /// Sound on the video pad, or the other way round.
    #[error("what comes to the pad {pad} is of the other kind")]
    WrongKind {
        /// What the pad is for.
        pad: TrackKey,
    },
    /// A buffer cannot be mapped.
    #[error("a buffer cannot be read")]
    Unreadable,
}
