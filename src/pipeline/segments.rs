//! From `out` to the packager: CMAF fragments as the muxer cuts them.
//!
//! `cmafmux` pushes one buffer list a fragment or chunk. What is what is said by buffer flags: HEADER with DISCONT is an
//! initialisation segment, HEADER begins a chunk (one that a decoder can start at, and a new segment, unless it is a
//! DELTA_UNIT too), and the rest is the chunk's media.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::{Bytes, BytesMut};
use gststreammill::{Delivery, Outlet, running_time};
use streammill_media::{Format, MediaTime, Track, TrackKey};

use crate::output::hls::{Chunk, Presentation, TrackInfo, TrackWriter, WriteError};

/// The outlet that writes a presentation with these tracks, which arrive at these pads, for a pipeline whose running time zero
/// is at `origin` on the stream's timeline. The presentation ends with the pipeline that holds it.
pub fn outlet(
    presentation: &Presentation,
    tracks: &[(TrackKey, &Track)],
    origin: Arc<OnceLock<MediaTime>>,
) -> Result<Outlet, WriteError> {
    let kinds: Vec<_> = tracks.iter().map(|(pad, _)| pad.kind).collect();
    presentation.expect(&kinds);
    let mut writers = BTreeMap::new();
    for (pad, track) in tracks {
        writers.insert(*pad, Mutex::new(Some(presentation.track(track_info(track))?)));
    }
    Ok(Arc::new(move |pad, delivery| {
        let Some(writer) = writers.get(&pad) else {
            return Err(format!("there is no track to write for {pad}"));
        };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        match (delivery, &*writer) {
            (Delivery::Sample(sample), Some(writer)) => {
                write(writer, &sample, origin.get().copied().unwrap_or_default())
            }
            (Delivery::Sample(_), None) => Err("media after the end".to_owned()),
            (Delivery::End, _) => {
                *writer = None;
                Ok(())
            }
        }
    }))
}

fn track_info(track: &Track) -> TrackInfo {
    let codecs = track.rfc6381();
    let kind = track.kind();
    match track.format {
        Format::Video(video) => TrackInfo {
            kind,
            codecs,
            width: Some(video.width),
            height: Some(video.height),
            frame_rate: video.frame_rate,
            channels: None,
            sample_rate: None,
        },
        Format::Audio(audio) => TrackInfo {
            kind,
            codecs,
            width: None,
            height: None,
            frame_rate: None,
            channels: Some(audio.channels),
            sample_rate: Some(audio.sample_rate),
        },
    }
}

fn write(writer: &TrackWriter, sample: &gst::Sample, origin: MediaTime) -> Result<(), String> {
    let segment = sample
        .segment()
        .and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
    let segment = segment.ok_or("fragments without a time segment")?;
    let buffers = sample
        .buffer()
        .into_iter()
        .chain(sample.buffer_list().into_iter().flat_map(|list| list.iter()));
    let mut open: Option<(Chunk, BytesMut)> = None;
    for buffer in buffers {
        let data = buffer.map_readable().map_err(|_| "a fragment that cannot be read")?;
        let flags = buffer.flags();
        if !flags.contains(gst::BufferFlags::HEADER) {
            let (_, media) = open.as_mut().ok_or("media before its fragment's header")?;
            media.extend_from_slice(&data);
            continue;
        }
        finish(writer, open.take());
        if flags.contains(gst::BufferFlags::DISCONT) {
            writer.init(Bytes::copy_from_slice(&data));
            continue;
        }
        let independent = !flags.contains(gst::BufferFlags::DELTA_UNIT);
        let duration = buffer.duration().map_or(0, |duration| duration.nseconds());
        let chunk = Chunk {
            data: Bytes::new(),
            start: origin + running_time(segment, buffer.pts()).ok_or("a fragment without a time")?,
            duration: MediaTime::from_nanos(i64::try_from(duration).unwrap_or(i64::MAX)),
            independent,
            starts_segment: independent,
        };
        open = Some((chunk, BytesMut::from(&data[..])));
    }
    finish(writer, open);
    Ok(())
}

fn finish(writer: &TrackWriter, chunk: Option<(Chunk, BytesMut)>) {
    if let Some((chunk, data)) = chunk {
        writer.chunk(Chunk {
            data: data.freeze(),
            ..chunk
        });
    }
}
