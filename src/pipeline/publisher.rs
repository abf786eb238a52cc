//! From `out` to the hub: what a pipeline encodes becomes a stream.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use gststreammill::{Delivery, Outlet, track_of_caps};
use streammill_media::{Codec, Format, Frame, FrameRole, MediaKind, MediaTime, Track, TrackId, flv};

use crate::hub::Publication;

/// A publication that takes what arrives at a `millsink`.
///
/// It outlives the pipelines that fill it: when one is restarted, viewers see a gap, not an end.
#[derive(Debug)]
pub struct Publisher {
    publication: Publication,
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    video: Lane,
    audio: Lane,
    /// The kinds that will come. Their metadata is announced when all are known.
    expected: Vec<MediaKind>,
    /// The tracks that were announced.
    announced: Vec<Track>,
}

#[derive(Debug, Default)]
struct Lane {
    caps: Option<gst::Caps>,
    track: Option<Track>,
    last: Option<MediaTime>,
    /// Pictures are left out until a decoder can start.
    needs_key: bool,
}

impl Publisher {
    /// Fills a publication.
    pub fn new(publication: Publication) -> Self {
        Self {
            publication,
            lanes: Mutex::default(),
        }
    }

    /// The outlet for a new instance with these tracks, whose running time zero is at `origin` on the stream's timeline.
    pub fn outlet(self: &Arc<Self>, expected: Vec<MediaKind>, origin: Arc<OnceLock<MediaTime>>) -> Outlet {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.expected = expected;
        lanes.video.needs_key = true;
        drop(lanes);
        // An instance that does not stop must not keep the publication.
        let publisher = Arc::downgrade(self);
        Arc::new(move |kind, delivery| {
            let publisher = publisher.upgrade().ok_or("the publication has ended")?;
            match delivery {
                Delivery::Sample(sample) => publisher.take(kind, &sample, origin.get().copied().unwrap_or_default()),
                Delivery::End => Ok(()),
            }
        })
    }

    /// The newest decoding time that was published.
    pub fn frontier(&self) -> Option<MediaTime> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.video.last.max(lanes.audio.last)
    }

    fn take(&self, kind: MediaKind, sample: &gst::Sample, origin: MediaTime) -> Result<(), String> {
        let segment = sample
            .segment()
            .and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
        let segment = segment.ok_or("samples without a time segment")?;
        let caps = sample.caps_owned().ok_or("samples without caps")?;
        let buffers = sample
            .buffer()
            .into_iter()
            .chain(sample.buffer_list().into_iter().flat_map(|list| list.iter()));
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        for buffer in buffers {
            let on_timeline = |time| running_time(segment, time).map(|time| (origin + time).max(MediaTime::ZERO));
            let Some(pts) = on_timeline(buffer.pts()) else { continue };
            let dts = on_timeline(buffer.dts()).unwrap_or(pts);
            if lanes.of(kind).caps.as_ref() != Some(&caps) {
                let track = track_of_caps(&caps, TrackId(0)).map_err(|error| error.to_string())?;
                lanes.of(kind).caps = Some(caps.clone());
                if lanes.of(kind).track.as_ref() != Some(&track) {
                    self.publication.push(config_frame(&track, dts));
                    lanes.of(kind).track = Some(track);
                    self.announce(&mut lanes, dts);
                }
            }
            let lane = lanes.of(kind);
            let key = kind == MediaKind::Audio || !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            // A restarted pipeline begins with a group of pictures that its forerunner had begun to encode.
            let is_late = lane.last.is_some_and(|last| dts < last);
            lane.needs_key = kind == MediaKind::Video && (is_late || (lane.needs_key && !key));
            if is_late || lane.needs_key {
                continue;
            }
            let Some(track) = &lane.track else { continue };
            let data = buffer.map_readable().map_err(|_| "a buffer that cannot be read")?;
            let (tag, header_len) = tag_body(track, FrameRole::Coded, key, pts - dts, &data);
            lane.last = Some(dts);
            self.publication.push(Frame {
                kind,
                track: TrackId(0),
                role: FrameRole::Coded,
                key,
                dts,
                pts,
                tag,
                header_len,
            });
        }
        Ok(())
    }

    /// Sends `onMetaData` once all tracks are known, and again when one of them has changed.
    fn announce(&self, lanes: &mut Lanes, dts: MediaTime) {
        let tracks: Vec<_> = [&lanes.audio, &lanes.video]
            .into_iter()
            .filter_map(|lane| lane.track.clone())
            .collect();
        let is_whole = lanes
            .expected
            .iter()
            .all(|kind| tracks.iter().any(|track| track.kind() == *kind));
        if !is_whole || tracks == lanes.announced {
            return;
        }
        self.publication.push(Frame {
            kind: MediaKind::Data,
            track: TrackId(0),
            role: FrameRole::Coded,
            key: true,
            dts,
            pts: dts,
            tag: flv::script::on_meta_data(&tracks),
            header_len: 0,
        });
        lanes.announced = tracks;
    }
}

impl Lanes {
    fn of(&mut self, kind: MediaKind) -> &mut Lane {
        match kind {
            MediaKind::Video => &mut self.video,
            MediaKind::Audio | MediaKind::Data => &mut self.audio,
        }
    }
}

/// A buffer's time since its pipeline began; before that, where an encoder's delay puts it there.
pub(super) fn running_time(
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

fn config_frame(track: &Track, dts: MediaTime) -> Frame {
    let (tag, header_len) = tag_body(track, FrameRole::Config, true, MediaTime::ZERO, &track.config);
    Frame {
        kind: track.kind(),
        track: TrackId(0),
        role: FrameRole::Config,
        key: true,
        dts,
        pts: dts,
        tag,
        header_len,
    }
}

/// The FLV tag body, and the length of its codec header.
fn tag_body(track: &Track, role: FrameRole, key: bool, offset: MediaTime, data: &[u8]) -> (Bytes, usize) {
    let tag = match track.format {
        Format::Video(_) => flv::video_body(Codec::H264, role, key, offset, data),
        Format::Audio(format) => flv::audio_body(track.codec, role, data, format),
    };
    let header_len = tag.len() - data.len();
    (tag, header_len)
}
