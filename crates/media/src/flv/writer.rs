//! FLV files that can be sought in.
//!
//! A plain dump of tags plays, but has no duration and no index, so players cannot seek in it. This writer keeps room
//! for both in the `onMetaData` tag at the front and fills it in at the end. A file whose writer died before that is
//! still a playable dump.

use std::io::{self, Seek, SeekFrom, Write};

use super::{
    amf::{self, ScriptBody},
    script,
    tag::{
        FILE_HEADER_LEN, MAX_BODY, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN, file_header, previous_tag_size, tag_header,
    },
};
use crate::{Frame, FrameRole, MediaKind, MediaTime, Track};

/// Writes frames of one stream into an FLV file.
///
/// Times are moved so that the first coded frame is at zero. Which frames a file starts with (a key frame, after the
/// configurations) is the caller's choice. Writes are small: give it a [`BufWriter`](std::io::BufWriter).
#[derive(Debug)]
pub struct FileWriter<W> {
    out: W,
    /// Where the file starts in `out`.
    origin: u64,
    /// Length of the file so far.
    len: u64,
    tracks: Vec<Track>,
    meta_len: usize,
    index: KeyframeIndex,
    /// Time of the first coded frame, subtracted from all.
    base: Option<MediaTime>,
    /// Time of the newest coded frame in the file.
    now_ms: u32,
    audio: Span,
    video: Span,
}

/// How long a kind of media lasts: the last frame's time and its duration, taken from the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    last_ms: Option<u32>,
    step_ms: u32,
}

/// An audio-only file is indexed at about this distance.
const AUDIO_INDEX_STEP_MS: u32 = 1_000;
/// Two AMF0 numbers.
const INDEX_ENTRY_LEN: usize = 18;

impl<W: Write + Seek> FileWriter<W> {
    /// Starts a file at the current position of `out`, with room for `index_capacity` keyframes (18 bytes each).
    ///
    /// A recording that has more keeps every second, every fourth, … of them: seeking gets coarser, the file does not
    /// have to be written again.
    pub fn new(mut out: W, tracks: &[Track], index_capacity: usize) -> io::Result<Self> {
        let origin = out.stream_position()?;
        let mut writer = Self {
            out,
            origin,
            len: 0,
            tracks: tracks.to_vec(),
            meta_len: 0,
            index: KeyframeIndex::new(index_capacity),
            base: None,
            now_ms: 0,
            audio: Span::default(),
            video: Span::default(),
        };
        let has = |kind| tracks.iter().any(|track| track.kind() == kind);
        writer
            .out
            .write_all(&file_header(has(MediaKind::Audio), has(MediaKind::Video)))?;
        writer.len = FILE_HEADER_LEN as u64;
        let mut meta = writer.meta(&[]);
        writer.meta_len = meta.len() + index_capacity * INDEX_ENTRY_LEN;
        meta.resize(writer.meta_len, amf::NULL);
        writer.tag(MediaKind::Data, 0, &meta)?;
        Ok(writer)
    }

    /// Adds a frame. The stream's own `onMetaData` is left out: the file's describes the file.
    ///
    /// After an error the file is damaged at its end; there is nothing to retry.
    pub fn write(&mut self, frame: &Frame) -> io::Result<()> {
        if frame.kind == MediaKind::Data && script::is_meta(&frame.tag) {
            return Ok(());
        }
        let position = self.len;
        if frame.kind == MediaKind::Data || frame.role != FrameRole::Coded {
            // Configurations may be as old as the stream. They count from where they stand.
            return self.tag(frame.kind, self.now_ms, &frame.tag);
        }
        let base = *self.base.get_or_insert(frame.dts);
        // After 49.7 days the file's clock wraps, as the stream's did.
        let ms = (frame.dts.as_millis() - base.as_millis()).max(0) as u32;
        self.tag(frame.kind, ms, &frame.tag)?;
        self.now_ms = ms;
        let span = if frame.kind == MediaKind::Video {
            &mut self.video
        } else {
            &mut self.audio
        };
        span.extend(ms);
        let has_video = self.video.last_ms.is_some() || self.tracks.iter().any(|t| t.kind() == MediaKind::Video);
        match frame.kind {
            MediaKind::Video if frame.key => self.index.add(ms, position, 0),
            MediaKind::Audio if !has_video => self.index.add(ms, position, AUDIO_INDEX_STEP_MS),
            _ => {}
        }
        Ok(())
    }

    /// Length of the file so far, in bytes.
    pub fn bytes_written(&self) -> u64 {
        self.len
    }

    /// How long the file plays so far.
    pub fn duration(&self) -> MediaTime {
        MediaTime::from_millis(self.audio.end_ms().max(self.video.end_ms()).into())
    }

    /// Fills in duration, size and index and leaves `out` flushed, at the end of the file.
    pub fn finish(mut self) -> io::Result<W> {
        let entries: Vec<_> = self.index.entries().collect();
        let mut meta = self.meta(&entries);
        meta.resize(self.meta_len, amf::NULL);
        self.out.seek(SeekFrom::Start(self.origin))?;
        self.out
            .write_all(&file_header(self.audio.last_ms.is_some(), self.video.last_ms.is_some()))?;
        self.out.write_all(&tag_header(MediaKind::Data, 0, meta.len()))?;
        self.out.write_all(&meta)?;
        self.out.seek(SeekFrom::Start(self.origin + self.len))?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// The body of the file's `onMetaData`, without padding. Its length depends on the number of entries alone.
    fn meta(&self, entries: &[(f64, f64)]) -> bytes::BytesMut {
        let mut body = ScriptBody::new("onMetaData");
        body.number("duration", self.duration().as_secs_f64());
        script::describe(&self.tracks, &mut body);
        body.number("filesize", self.len as f64);
        body.boolean("hasKeyframes", !entries.is_empty());
        body.keyframes(entries);
        body.finish()
    }

    fn tag(&mut self, kind: MediaKind, ms: u32, body: &[u8]) -> io::Result<()> {
        if body.len() > MAX_BODY {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the frame is too long for an FLV tag",
            ));
        }
        self.out.write_all(&tag_header(kind, ms, body.len()))?;
        self.out.write_all(body)?;
        self.out.write_all(&previous_tag_size(body.len()))?;
        self.len += (TAG_HEADER_LEN + body.len() + PREVIOUS_TAG_SIZE_LEN) as u64;
        Ok(())
    }
}

impl Span {
    fn extend(&mut self, ms: u32) {
        if let Some(last) = self.last_ms {
            self.step_ms = ms.saturating_sub(last);
        }
        self.last_ms = Some(ms);
    }

    fn end_ms(&self) -> u32 {
        self.last_ms.map_or(0, |last| last.saturating_add(self.step_ms))
    }
}

/// Key frames evenly thinned to a fixed number.
#[derive(Debug)]
struct KeyframeIndex {
    entries: Vec<(u32, u64)>,
    capacity: usize,
    /// One in this many is kept.
    stride: u64,
    seen: u64,
}

impl KeyframeIndex {
    fn new(capacity: usize) -> Self {
        Self {
            entries: Vec::new(),
            capacity,
            stride: 1,
            seen: 0,
        }
    }

    fn add(&mut self, ms: u32, position: u64, min_distance_ms: u32) {
        if self
            .entries
            .last()
            .is_some_and(|(last, _)| ms < last.saturating_add(min_distance_ms))
        {
            return;
        }
        let wanted = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        if !wanted || self.capacity == 0 {
            return;
        }
        if self.entries.len() == self.capacity {
            let mut nth = 0;
            self.entries.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.stride *= 2;
            if self.entries.len() == self.capacity || !(self.seen - 1).is_multiple_of(self.stride) {
                return;
            }
        }
        self.entries.push((ms, position));
    }

    /// Seconds and byte positions.
    fn entries(&self) -> impl Iterator<Item = (f64, f64)> {
        self.entries
            .iter()
            .map(|(ms, position)| (f64::from(*ms) / 1e3, *position as f64))
    }
}
