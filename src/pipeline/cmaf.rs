//! CMAF: what the muxer pushes, taken apart.
//!
//! `cmafmux` pushes one buffer list a fragment or chunk. What is what is said by buffer flags: HEADER with DISCONT is an
//! initialisation segment, HEADER begins a chunk (one that a decoder can start at, and a new segment, unless it is a
//! DELTA_UNIT too), and the rest is the chunk's media.

use bytes::{Bytes, BytesMut};
use gststreammill::running_time;
use streammill_media::MediaTime;

use super::product::What;
use crate::output::hls::Chunk;

/// The headers and chunks in a sample of a pipeline whose running time zero is at `origin` on the stream's timeline.
pub fn parts(sample: &gst::Sample, origin: MediaTime) -> Result<Vec<What>, String> {
    let segment = sample
        .segment()
        .and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
    let segment = segment.ok_or("fragments without a time segment")?;
    let buffers = sample
        .buffer()
        .into_iter()
        .chain(sample.buffer_list().into_iter().flat_map(|list| list.iter()));
    let mut found = Vec::new();
    let mut open: Option<(Chunk, BytesMut)> = None;
    for buffer in buffers {
        let data = buffer.map_readable().map_err(|_| "a fragment that cannot be read")?;
        let flags = buffer.flags();
        if !flags.contains(gst::BufferFlags::HEADER) {
            let (_, media) = open.as_mut().ok_or("media before its fragment's header")?;
            media.extend_from_slice(&data);
            continue;
        }
        found.extend(open.take().map(closed));
        if flags.contains(gst::BufferFlags::DISCONT) {
            found.push(What::Header(Bytes::copy_from_slice(&data)));
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
    found.extend(open.map(closed));
    Ok(found)
}

fn closed((chunk, data): (Chunk, BytesMut)) -> What {
    What::Chunk(Chunk {
        data: data.freeze(),
        ..chunk
    })
}
