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
        writer.meta_len = writer.meta(&[(0.0, 0.0)]).len() + index_capacity.saturating_sub(1) * INDEX_ENTRY_LEN;
        let mut meta = writer.meta(&[]);
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

    /// The body of the file's `onMetaData`. Its length depends on the number of entries alone; nulls, which every AMF
    /// reader takes for more values, fill the tag behind it.
    fn meta(&self, entries: &[(f64, f64)]) -> bytes::BytesMut {
        let mut body = ScriptBody::new("onMetaData");
        body.number("duration", self.duration().as_secs_f64());
        script::describe(&self.tracks, &mut body);
        body.number("filesize", self.len as f64);
        body.boolean("hasKeyframes", !entries.is_empty());
        if !entries.is_empty() {
            // ffmpeg warns of an empty index.
            body.keyframes(entries);
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Cursor;

    use bytes::Bytes;

    use super::*;
    use crate::{
        AudioFormat, Codec, TrackId,
        flv::{Reader, Tag, audio_body, parse_video, video_body},
    };

    const AVCC: &[u8] =
        b"\x01\x64\x00\x1e\xff\xe1\x00\x1a\x67\x64\x00\x1e\xac\xd9\x40\xa0\x2f\xf9\x70\x11\x00\x00\x03\x00\
        \x01\x00\x00\x03\x00\x3c\x0f\x16\x2d\x96\x01\x00\x07\x68\xeb\xe3\xcb\x30\x02\xc0\xfd\xf8\xf8\x00";

    fn tracks() -> Vec<Track> {
        vec![
            Track::from_config(TrackId(0), Codec::H264, Bytes::from_static(AVCC)).unwrap(),
            Track::from_config(TrackId(0), Codec::Aac, Bytes::from_static(b"\x12\x10")).unwrap(),
        ]
    }

    fn frame(kind: MediaKind, role: FrameRole, key: bool, ms: i64, data: &[u8]) -> Frame {
        let format = AudioFormat {
            sample_rate: 44_100,
            channels: 2,
            profile: 2,
            samples_per_frame: 1024,
        };
        let tag = match kind {
            MediaKind::Video => video_body(Codec::H264, TrackId(0), role, key, MediaTime::ZERO, data),
            MediaKind::Audio => audio_body(Codec::Aac, TrackId(0), role, data, format),
            MediaKind::Data => Bytes::copy_from_slice(data),
        };
        let time = MediaTime::from_millis(ms);
        Frame {
            kind,
            track: TrackId(0),
            role,
            key,
            dts: time,
            pts: time,
            tag,
            header_len: 0,
        }
    }

    fn video(key: bool, ms: i64) -> Frame {
        frame(MediaKind::Video, FrameRole::Coded, key, ms, b"picture")
    }

    fn audio(ms: i64) -> Frame {
        frame(MediaKind::Audio, FrameRole::Coded, true, ms, b"sound")
    }

    /// 25 pictures a second with a key frame every second, and as much sound.
    fn record(capacity: usize, start_ms: i64, seconds: i64) -> Vec<u8> {
        let mut writer = FileWriter::new(Cursor::new(Vec::new()), &tracks(), capacity).unwrap();
        writer
            .write(&frame(MediaKind::Video, FrameRole::Config, false, 0, AVCC))
            .unwrap();
        writer
            .write(&frame(MediaKind::Audio, FrameRole::Config, true, 0, b"\x12\x10"))
            .unwrap();
        for n in 0..seconds * 25 {
            writer.write(&video(n % 25 == 0, start_ms + n * 40)).unwrap();
            writer.write(&audio(start_ms + n * 40 + 5)).unwrap();
        }
        let len = writer.bytes_written();
        let file = writer.finish().unwrap();
        assert_eq!((file.position(), file.get_ref().len() as u64), (len, len));
        file.into_inner()
    }

    fn read(file: &[u8]) -> Vec<Tag> {
        let mut reader = Reader::new(1 << 20);
        reader.push(file);
        std::iter::from_fn(|| reader.next_tag().unwrap()).collect()
    }

    /// The number behind a property name or array head in the metadata.
    fn number(meta: &[u8], name: &str) -> f64 {
        let needle = [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), b"\0"].concat();
        let at = meta.windows(needle.len()).position(|window| window == needle).unwrap() + needle.len();
        f64::from_be_bytes(*meta[at..].first_chunk().unwrap())
    }

    fn array(meta: &[u8], name: &str) -> Vec<f64> {
        let needle = [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), b"\x0a"].concat();
        let at = meta.windows(needle.len()).position(|window| window == needle).unwrap() + needle.len();
        let count = u32::from_be_bytes(*meta[at..].first_chunk().unwrap()) as usize;
        meta[at + 4..]
            .chunks(9)
            .take(count)
            .map(|value| f64::from_be_bytes(*value[1..].first_chunk().unwrap()))
            .collect()
    }

    #[test]
    fn every_index_entry_points_at_its_key_frame() {
        let file = record(64, 3_600_000, 10);
        let tags = read(&file);
        let (times, positions) = (array(&tags[0].body, "times"), array(&tags[0].body, "filepositions"));
        assert_eq!(times, (0..10).map(f64::from).collect::<Vec<_>>());
        assert_eq!(positions.len(), 10);
        for (time, position) in times.iter().zip(positions) {
            let tag = tags.iter().find(|tag| tag.offset == position as u64).unwrap();
            assert!(parse_video(&tag.body).unwrap().key);
            assert_eq!(f64::from(tag.timestamp_ms), time * 1000.0);
        }
    }

    #[test]
    fn duration_and_size_are_filled_in() {
        let file = record(64, 77, 10);
        let meta = &read(&file)[0].body;
        assert_eq!(
            number(meta, "duration"),
            10.005,
            "the last sound starts at 9.965 and lasts 40 ms"
        );
        assert_eq!(number(meta, "filesize"), file.len() as f64);
        assert_eq!((number(meta, "width"), number(meta, "height")), (640.0, 360.0));
        let hint = script::parse_meta(meta);
        assert_eq!((hint.audio, hint.video, hint.frame_rate), (true, true, Some(30.0)));
    }

    #[test]
    fn a_long_recording_thins_its_index_and_keeps_it_even() {
        for capacity in 1..20 {
            let meta = read(&record(capacity, 0, 100)).remove(0).body;
            let times = array(&meta, "times");
            assert!(
                times.len() <= capacity && 2 * times.len() >= capacity,
                "{capacity}: {times:?}"
            );
            let step = times.get(1).copied().unwrap_or(128.0);
            assert!(
                times.iter().enumerate().all(|(n, time)| *time == n as f64 * step),
                "{times:?}"
            );
        }
        let without_room = read(&record(0, 0, 10)).remove(0).body;
        assert!(!without_room.windows(9).any(|window| window == b"keyframes"));
    }

    #[test]
    fn the_room_for_the_index_does_not_move_the_frames() {
        let offsets = |capacity| {
            read(&record(capacity, 0, 3))
                .iter()
                .map(|tag| tag.offset)
                .collect::<Vec<_>>()
        };
        let (small, large) = (offsets(1), offsets(100));
        assert!(
            small[1..]
                .iter()
                .zip(&large[1..])
                .all(|(a, b)| b - a == 99 * INDEX_ENTRY_LEN as u64)
        );
    }

    #[test]
    fn an_unfinished_file_still_reads() {
        let mut bytes = Vec::new();
        let mut writer = FileWriter::new(Cursor::new(&mut bytes), &tracks(), 8).unwrap();
        writer.write(&video(true, 500)).unwrap();
        drop(writer);
        let tags = read(&bytes);
        assert_eq!((tags.len(), tags[1].timestamp_ms), (2, 0));
        assert_eq!(number(&tags[0].body, "duration"), 0.0);
    }

    #[test]
    fn old_configurations_do_not_set_the_clock() {
        let mut writer = FileWriter::new(Cursor::new(Vec::new()), &tracks(), 8).unwrap();
        let config = frame(MediaKind::Video, FrameRole::Config, false, 0, AVCC);
        writer.write(&config).unwrap();
        writer.write(&video(true, 9_000)).unwrap();
        writer.write(&video(false, 9_040)).unwrap();
        writer.write(&config).unwrap();
        writer.write(&audio(8_990)).unwrap();
        let tags = read(writer.finish().unwrap().get_ref());
        let stamps: Vec<_> = tags.iter().map(|tag| tag.timestamp_ms).collect();
        assert_eq!(stamps, [0, 0, 0, 40, 40, 0]);
    }

    #[test]
    fn foreign_metadata_is_left_out_and_other_data_kept() {
        let mut writer = FileWriter::new(Cursor::new(Vec::new()), &tracks(), 8).unwrap();
        let text = b"\x02\0\x0aonTextData\x05";
        writer
            .write(&frame(
                MediaKind::Data,
                FrameRole::Coded,
                true,
                0,
                &script::on_meta_data(&tracks()),
            ))
            .unwrap();
        writer
            .write(&frame(MediaKind::Data, FrameRole::Coded, true, 0, text))
            .unwrap();
        let tags = read(writer.finish().unwrap().get_ref());
        assert_eq!((tags.len(), &tags[1].body[..]), (2, &text[..]));
    }

    #[test]
    fn a_file_of_sound_only_is_indexed_by_the_second() {
        let mut writer = FileWriter::new(Cursor::new(Vec::new()), &tracks()[1..], 8).unwrap();
        (0..125).for_each(|n| writer.write(&audio(n * 40)).unwrap());
        let file = writer.finish().unwrap().into_inner();
        assert_eq!(array(&read(&file)[0].body, "times"), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(file[4], 4, "the header announces sound alone");
    }

    #[test]
    fn the_header_tells_what_really_came() {
        let mut writer = FileWriter::new(Cursor::new(Vec::new()), &tracks()[..1], 8).unwrap();
        writer.write(&video(true, 0)).unwrap();
        writer.write(&audio(10)).unwrap();
        assert_eq!(writer.finish().unwrap().get_ref()[4], 5);
    }

    #[test]
    fn a_file_may_start_inside_another() {
        let mut out = Cursor::new(b"before".to_vec());
        out.set_position(6);
        let mut writer = FileWriter::new(out, &tracks(), 8).unwrap();
        writer.write(&video(true, 0)).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        assert_eq!(&bytes[..9], b"beforeFLV");
        assert_eq!(number(&read(&bytes[6..])[0].body, "filesize"), (bytes.len() - 6) as f64);
    }

    #[test]
    fn a_frame_too_long_for_a_tag_is_an_error() {
        let mut writer = FileWriter::new(Cursor::new(Vec::new()), &[], 0).unwrap();
        let frame = frame(MediaKind::Video, FrameRole::Coded, true, 0, &vec![0; MAX_BODY]);
        assert_eq!(writer.write(&frame).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
