//! Segments: what a track is cut into, and the chunks they are made of.

use std::{ops::Range, time::SystemTime};

use bytes::Bytes;
use streammill_media::MediaTime;

/// A part of a segment as the muxer delivers it: one `moof` and its `mdat`, maybe with a `styp` before.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The boxes.
    pub data: Bytes,
    /// Presentation time of its first frame, on the timeline that all tracks of the presentation share.
    pub start: MediaTime,
    /// How long its frames last.
    pub duration: MediaTime,
    /// A decoder can start at its first frame.
    pub independent: bool,
    /// It is the first of a new segment.
    pub starts_segment: bool,
}

impl Chunk {
    fn end(&self) -> MediaTime {
        self.start + self.duration.max(MediaTime::ZERO)
    }
}

/// A finished segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its media sequence number.
    pub sequence: u64,
    /// Its parts in order. Never empty.
    pub parts: Vec<Chunk>,
    /// How long it lasts.
    pub duration: MediaTime,
    /// Wall-clock time of its first frame.
    pub date_time: SystemTime,
    /// Number of the initialisation segment that it needs.
    pub init: u64,
    /// How many discontinuities lie between the presentation's first segment and this one.
    pub epoch: u64,
    /// Bytes of all parts.
    pub bytes: usize,
}

impl Segment {
    /// A decoder can start with this segment.
    pub fn is_independent(&self) -> bool {
        self.parts.first().is_some_and(|part| part.independent)
    }

    /// The bytes of `range`, as slices of the parts. What lies behind the end is left out.
    pub fn slices(&self, range: Range<usize>) -> Vec<Bytes> {
        let mut slices = Vec::with_capacity(self.parts.len());
        let mut offset = 0;
        for part in &self.parts {
            let length = part.data.len();
            let from = range.start.saturating_sub(offset).min(length);
            let to = range.end.saturating_sub(offset).min(length);
            if from < to {
                slices.push(part.data.slice(from..to));
            }
            offset += length;
        }
        slices
    }
}

/// A segment that chunks are still added to.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) init: u64,
    pub(super) epoch: u64,
    pub(super) date_time: SystemTime,
    pub(super) bytes: usize,
    parts: Vec<Chunk>,
}

/// A hole between two segments that is too short to be one: the muxer's rounding, a frame that came late.
const LARGEST_ROUNDING: MediaTime = MediaTime::from_millis(100);

impl OpenSegment {
    pub(super) fn new(init: u64, epoch: u64, date_time: SystemTime, first: Chunk) -> Self {
        Self {
            init,
            epoch,
            date_time,
            bytes: first.data.len(),
            parts: vec![first],
        }
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.data.len();
        self.parts.push(chunk);
    }

    /// Closes it. `next` is when the following segment begins, if one follows: then its duration is exact, where the
    /// sum of the frames' durations would let playlist and media drift apart.
    pub(super) fn close(self, sequence: u64, next: Option<MediaTime>) -> Segment {
        let start = self.parts.first().map_or(MediaTime::ZERO, |part| part.start);
        let end = self.parts.iter().map(Chunk::end).max().unwrap_or(start);
        let end = match next {
            Some(next) if next > start && next - end <= LARGEST_ROUNDING && end - next <= LARGEST_ROUNDING => next,
            _ => end,
        };
        Segment {
            sequence,
            parts: self.parts,
            duration: end - start,
            date_time: self.date_time,
            init: self.init,
            epoch: self.epoch,
            bytes: self.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn chunk(data: &'static [u8], start: i64, duration: i64) -> Chunk {
        Chunk {
            data: Bytes::from_static(data),
            start: MediaTime::from_millis(start),
            duration: MediaTime::from_millis(duration),
            independent: true,
            starts_segment: false,
        }
    }

    fn open() -> OpenSegment {
        let mut open = OpenSegment::new(1, 0, UNIX_EPOCH, chunk(b"abc", 1000, 480));
        open.push(chunk(b"defg", 1480, 500));
        open
    }

    #[test]
    fn a_range_is_cut_out_across_parts_without_copying() {
        let segment = open().close(7, None);
        assert_eq!(segment.bytes, 7);
        let cut = |range| segment.slices(range).concat();
        assert_eq!(cut(0..7), b"abcdefg");
        assert_eq!(cut(2..4), b"cd");
        assert_eq!(cut(3..7), b"defg");
        assert_eq!(cut(5..100), b"fg");
        assert_eq!(cut(7..9), b"");
        assert_eq!(segment.slices(0..3)[0].as_ptr(), segment.parts[0].data.as_ptr());
    }

    #[test]
    fn a_segment_lasts_until_the_next_one_begins_unless_there_is_a_hole() {
        let lasts = |next: Option<i64>| open().close(0, next.map(MediaTime::from_millis)).duration.as_millis();
        assert_eq!(lasts(None), 980);
        assert_eq!(lasts(Some(2000)), 1000);
        assert_eq!(lasts(Some(1970)), 970);
        assert_eq!(lasts(Some(9000)), 980, "a hole is not part of the segment");
        assert_eq!(lasts(Some(0)), 980, "time went back");
    }
}
