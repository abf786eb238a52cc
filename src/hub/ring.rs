//! The ring: the recent packets of one publication, and the rules by which cursors move through it.
//!
//! Pure and synchronous; [`live`](super::live) puts a lock around it. It is queue, GOP cache and drop policy in one:
//! packets stay from the newest key frame on (the GOP cache), and from the slowest cursor on, but never longer or more
//! than the bounds allow. A cursor that is overtaken by the bounds, or lags more than its subscriber tolerates, jumps:
//! video is dropped up to the newest key frame, audio and data are kept where they are still held.

use std::{collections::VecDeque, sync::Arc};

use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, TrackId};

use super::Packet;

/// What a subscriber must see before media: metadata, decoder configurations and what a screen must know, as they stand at
/// one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Vec<Frame>);

impl Headers {
    /// Notes a frame if it is a header. True when it is one and says something new.
    fn note(&mut self, frame: &Frame) -> bool {
        if !is_header(frame) || self.0.iter().any(|known| is_same_header(known, frame)) {
            return false;
        }
        self.0
            .retain(|known| (known.kind, known.track, known.role) != (frame.kind, frame.track, frame.role));
        // Metadata goes first: players size their windows by it.
        let place = if frame.kind == MediaKind::Data { 0 } else { self.0.len() };
        self.0.insert(place, frame.clone());
        true
    }
}

fn is_header(frame: &Frame) -> bool {
    match frame.kind {
        // AMF0 string marker, length 10, then the name (AMF0 §2.4).
        MediaKind::Data => frame.tag.starts_with(b"\x02\x00\x0aonMetaData"),
        MediaKind::Audio | MediaKind::Video => matches!(frame.role, FrameRole::Config | FrameRole::Properties),
    }
}

fn is_same_header(a: &Frame, b: &Frame) -> bool {
    (a.kind, a.track, a.role) == (b.kind, b.track, b.role) && a.tag == b.tag
}

/// Bounds of one ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most payload bytes held. A GOP that is larger is not cached whole.
    pub(super) max_bytes: usize,
    /// Longest time a packet is held for a slow cursor once a newer key frame is there.
    pub(super) max_age: MediaTime,
}

/// Where a reader stands.
#[derive(Debug)]
pub(super) struct Cursor {
    /// Sequence number of the next packet to read.
    pub(super) next: u64,
    /// Video packets before this sequence number are dropped; `u64::MAX` until a key frame comes.
    video_from: u64,
    /// The headers this reader has been given.
    seen: Headers,
    /// Packets it lost since its first one.
    pub(super) dropped: u64,
    started: bool,
}

/// Successive packets that many readers are given alike.
#[derive(Debug)]
pub(super) struct Run {
    from: u64,
    pub(super) packets: Vec<Arc<Packet>>,
    has_video: bool,
    /// There was more behind it when it was made.
    pub(super) has_more: bool,
}

impl Run {
    fn end(&self) -> u64 {
        self.from + self.packets.len() as u64
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    packets: VecDeque<Arc<Packet>>,
    /// Sequence number of `packets[0]`.
    first: u64,
    bytes: usize,
    headers: Arc<Headers>,
    /// Key frames still held, oldest first, with the headers that were valid there.
    keys: VecDeque<(u64, Arc<Headers>)>,
    bounds: Bounds,
}

/// Streams without key frames (audio only) free memory once this many packets are held.
const KEYLESS_BATCH: usize = 64;

impl Ring {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            packets: VecDeque::new(),
            first: 0,
            bytes: 0,
            headers: Arc::default(),
            keys: VecDeque::new(),
            bounds,
        }
    }

    /// Sequence number of the packet that will come next.
    pub(super) fn end(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// Appends a frame. `slowest` says where the slowest cursor stands; it is asked only when something can be freed.
    pub(super) fn push(&mut self, frame: Frame, slowest: impl FnOnce() -> u64) {
        if is_header(&frame) {
            let mut headers = Headers::clone(&self.headers);
            if headers.note(&frame) {
                self.headers = Arc::new(headers);
            }
        }
        let is_key = is_video_key(&frame);
        let now = frame.dts;
        if is_key {
            self.keys.push_back((self.end(), self.headers.clone()));
        }
        self.bytes += frame.tag.len();
        self.packets.push_back(Arc::new(Packet::new(frame)));

        if is_key || (self.keys.is_empty() && self.packets.len() >= KEYLESS_BATCH) {
            let newest_key = self.keys.back().map_or(self.end(), |(seq, _)| *seq);
            let keep_from = newest_key.min(slowest());
            let oldest = now - self.bounds.max_age;
            while self.first < newest_key
                && self
                    .packets
                    .front()
                    .is_some_and(|packet| self.first < keep_from || packet.frame.dts < oldest)
            {
                self.drop_oldest();
            }
        }
        while self.bytes > self.bounds.max_bytes && self.packets.len() > 1 {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(packet) = self.packets.pop_front() {
            self.bytes -= packet.frame.tag.len();
            self.first += 1;
        }
        while self.keys.front().is_some_and(|(seq, _)| *seq < self.first) {
            self.keys.pop_front();
        }
    }

    /// A cursor for someone who joins now: at the newest key frame if one is held and wanted, else at the live edge,
    /// where video waits for the next key frame if it is to.
    pub(super) fn join(&self, from_cache: bool, wait_for_key: bool) -> Cursor {
        let key = self.keys.back().filter(|_| from_cache).map(|(seq, _)| *seq);
        let next = key.unwrap_or(self.end());
        let at_once = (!wait_for_key).then_some(next);
        Cursor {
            next,
            video_from: key.or(at_once).unwrap_or(u64::MAX),
            seen: Headers::default(),
            dropped: 0,
            started: false,
        }
    }

    /// Moves up to `max` packets to `out` and the cursor behind them. True if anything was moved.
    pub(super) fn read(&self, cursor: &mut Cursor, max_lag: MediaTime, max: usize, out: &mut Vec<Arc<Packet>>) -> bool {
        if cursor.next < self.first {
            cursor.dropped += self.first - cursor.next;
            cursor.next = self.first;
            cursor.video_from = u64::MAX;
        }
        self.skip_lag(cursor, max_lag);

        let before = out.len();
        while out.len() - before < max {
            let Some(packet) = self.packets.get((cursor.next - self.first) as usize) else {
                break;
            };
            let frame = &packet.frame;
            let sequence = cursor.next;
            cursor.next += 1;
            if cursor.video_from == u64::MAX && is_video_key(frame) {
                cursor.video_from = sequence;
            }
            if frame.kind == MediaKind::Video && frame.role == FrameRole::Coded && sequence < cursor.video_from {
                cursor.dropped += u64::from(cursor.started);
                continue;
            }
            if is_header(frame) {
                if cursor.seen.note(frame) {
                    out.push(packet.clone());
                }
                continue;
            }
            self.give_headers(cursor, sequence, frame, out);
            out.push(packet.clone());
            cursor.started = true;
        }
        out.len() > before
    }

    /// The packets from `from` on that any cursor which stands there is given as they are, up to `max`: none of them is a
    /// header, and nobody would be made to jump. See [`follow`](Self::follow).
    pub(super) fn run(&self, from: u64, max_lag: MediaTime, max: usize) -> Option<Run> {
        let at = usize::try_from(from.checked_sub(self.first)?).ok()?;
        let (newest, first) = (self.packets.back()?, self.packets.get(at)?);
        if newest.frame.dts - first.frame.dts > max_lag {
            return None;
        }
        let packets = self.packets.range(at..).take(max);
        let packets: Vec<_> = packets
            .take_while(|packet| !is_header(&packet.frame))
            .cloned()
            .collect();
        (!packets.is_empty()).then(|| Run {
            from,
            has_video: packets.iter().any(|packet| packet.frame.kind == MediaKind::Video),
            has_more: at + packets.len() < self.packets.len(),
            packets,
        })
    }

    /// Moves a cursor behind a run, if it is one that is given it as it is: it has begun, and waits for no key frame.
    pub(super) fn follow(cursor: &mut Cursor, run: &Run) -> bool {
        let waits = run.has_video && cursor.video_from > run.from;
        let follows = cursor.next == run.from && cursor.started && !waits;
        if follows {
            cursor.next = run.end();
        }
        follows
    }

    /// Gives the headers valid at `sequence` that the reader does not have: all at its start, the changed ones after a
    /// jump over a change.
    fn give_headers(&self, cursor: &mut Cursor, sequence: u64, frame: &Frame, out: &mut Vec<Arc<Packet>>) {
        let headers = match self.keys.binary_search_by_key(&sequence, |(key, _)| *key) {
            Ok(index) => &self.keys[index].1,
            Err(_) if !cursor.started => &self.headers,
            Err(_) => return,
        };
        for header in &headers.0 {
            if cursor.seen.note(header) {
                let mut header = header.clone();
                let time = match header.kind {
                    // FLV readers take metadata with a time for a track of subtitles.
                    MediaKind::Data => MediaTime::ZERO,
                    MediaKind::Audio | MediaKind::Video => frame.dts,
                };
                (header.dts, header.pts) = (time, time);
                out.push(Arc::new(Packet::new(header)));
            }
        }
    }

    /// Jumps video to the newest key frame when the cursor lags more than `max_lag` behind the newest packet.
    fn skip_lag(&self, cursor: &mut Cursor, max_lag: MediaTime) {
        let at = self.packets.get((cursor.next - self.first) as usize);
        let (Some(newest), Some(at)) = (self.packets.back(), at) else {
            return;
        };
        if newest.frame.dts - at.frame.dts <= max_lag {
            return;
        }
        if let Some((key, _)) = self.keys.back().filter(|(key, _)| *key > cursor.next) {
            cursor.video_from = *key;
        }
    }
}

fn is_video_key(frame: &Frame) -> bool {
    frame.kind == MediaKind::Video && frame.role == FrameRole::Coded && frame.key && frame.track == TrackId(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::*;

    const ROOMY: Bounds = Bounds {
        max_bytes: 1 << 20,
        max_age: MediaTime::from_millis(10_000),
    };
    const PATIENT: MediaTime = MediaTime::from_millis(10_000);

    fn frame(kind: MediaKind, role: FrameRole, key: bool, millis: i64, tag: &'static [u8]) -> Frame {
        let dts = MediaTime::from_millis(millis);
        Frame {
            kind,
            track: TrackId(0),
            role,
            key,
            dts,
            pts: dts,
            tag: Bytes::from_static(tag),
            header_len: 0,
        }
    }

    fn key(millis: i64) -> Frame {
        frame(MediaKind::Video, FrameRole::Coded, true, millis, b"K")
    }

    fn delta(millis: i64) -> Frame {
        frame(MediaKind::Video, FrameRole::Coded, false, millis, b"d")
    }

    fn audio(millis: i64) -> Frame {
        frame(MediaKind::Audio, FrameRole::Coded, true, millis, b"a")
    }

    fn config(tag: &'static [u8]) -> Frame {
        frame(MediaKind::Video, FrameRole::Config, true, 0, tag)
    }

    fn ring(bounds: Bounds, frames: impl IntoIterator<Item = Frame>) -> Ring {
        let mut ring = Ring::new(bounds);
        for frame in frames {
            ring.push(frame, || u64::MAX);
        }
        ring
    }

    /// What a cursor reads to the end, as `tag@millis`.
    fn read(ring: &Ring, cursor: &mut Cursor, max_lag: MediaTime) -> Vec<String> {
        let mut out = Vec::new();
        ring.read(cursor, max_lag, usize::MAX, &mut out);
        out.iter()
            .map(|packet| {
                let frame = &packet.frame;
                format!("{}@{}", String::from_utf8_lossy(&frame.tag), frame.dts.as_millis())
            })
            .collect()
    }

    #[test]
    fn a_late_joiner_gets_the_headers_then_the_newest_group_of_pictures() {
        let ring = ring(ROOMY, [config(b"c"), key(0), delta(40), key(80), audio(90), delta(120)]);
        let got = read(&ring, &mut ring.join(true, true), PATIENT);
        assert_eq!(got, ["c@80", "K@80", "a@90", "d@120"]);
    }

    #[test]
    fn readers_at_one_place_are_given_a_run_alike() {
        let mut ring = ring(ROOMY, [config(b"c"), key(0)]);
        let (mut read_on, mut late) = (ring.join(true, true), ring.join(false, true));
        read(&ring, &mut read_on, PATIENT);
        for frame in [delta(40), audio(50), key(80), config(b"C"), delta(120)] {
            ring.push(frame, || 0);
        }
        let run = ring.run(read_on.next, PATIENT, 64).unwrap();
        assert_eq!(run.packets.len(), 3, "a header ends it: not everyone needs it");
        assert!(run.has_more);
        assert!(
            !Ring::follow(&mut late, &run),
            "it has seen no header yet, and waits for a key frame"
        );
        assert!(Ring::follow(&mut read_on, &run));
        assert!(!Ring::follow(&mut read_on, &run), "it is elsewhere now");
        assert_eq!(read(&ring, &mut read_on, PATIENT), ["C@0", "d@120"]);
        assert_eq!(
            read(&ring, &mut late, PATIENT),
            ["C@50", "a@50", "c@80", "K@80", "C@0", "d@120"]
        );
        assert!(ring.run(read_on.next, PATIENT, 64).is_none(), "there is nothing more");
        assert!(
            ring.run(0, MediaTime::from_millis(50), 64).is_none(),
            "it begins with a header, and lags"
        );
    }

    #[test]
    fn a_reader_without_pictures_follows_sound_alone() {
        let mut ring = ring(ROOMY, [audio(0)]);
        let mut cursor = ring.join(true, true);
        ring.push(audio(20), || 0);
        read(&ring, &mut cursor, PATIENT);
        ring.push(audio(40), || 0);
        let run = ring.run(cursor.next, PATIENT, 64).unwrap();
        assert!(Ring::follow(&mut cursor, &run) && !run.has_more);
        ring.push(delta(60), || 0);
        let run = ring.run(cursor.next, PATIENT, 64).unwrap();
        assert!(!Ring::follow(&mut cursor, &run), "pictures begin with a key frame");
    }

    #[test]
    fn metadata_comes_first_and_without_a_time() {
        let meta = frame(MediaKind::Data, FrameRole::Coded, true, 0, b"\x02\x00\x0aonMetaData");
        let ring = ring(ROOMY, [config(b"c"), meta, key(0), key(80)]);
        let got = read(&ring, &mut ring.join(true, true), PATIENT);
        assert_eq!(got, ["\u{2}\0\nonMetaData@0", "c@80", "K@80"]);
    }

    #[test]
    fn without_the_cache_a_joiner_waits_for_the_next_key_frame_but_hears_at_once() {
        let mut ring = ring(ROOMY, [config(b"c"), key(0)]);
        let mut cursor = ring.join(false, true);
        for frame in [delta(40), audio(50), key(80), delta(120)] {
            ring.push(frame, || 0);
        }
        assert_eq!(read(&ring, &mut cursor, PATIENT), ["c@50", "a@50", "K@80", "d@120"]);
        assert_eq!(cursor.dropped, 0, "what came before its start is no loss");
    }

    #[test]
    fn a_reader_that_is_there_from_the_start_gets_each_header_once() {
        let mut ring = Ring::new(ROOMY);
        let mut cursor = ring.join(true, true);
        for frame in [
            config(b"c"),
            config(b"c"),
            key(0),
            config(b"c"),
            delta(40),
            config(b"C"),
            key(80),
        ] {
            ring.push(frame, || 0);
        }
        assert_eq!(read(&ring, &mut cursor, PATIENT), ["c@0", "K@0", "d@40", "C@0", "K@80"]);
    }

    #[test]
    fn a_lagging_reader_loses_video_up_to_the_newest_key_frame_and_no_audio() {
        let mut ring = Ring::new(ROOMY);
        let mut cursor = ring.join(true, true);
        for frame in [
            key(0),
            delta(500),
            audio(600),
            key(1000),
            delta(1500),
            audio(1600),
            key(2000),
            delta(2100),
        ] {
            ring.push(frame, || 0);
        }
        let got = read(&ring, &mut cursor, MediaTime::from_millis(1500));
        assert_eq!(got, ["a@600", "a@1600", "K@2000", "d@2100"]);
    }

    #[test]
    fn losses_after_the_start_are_counted() {
        let mut ring = ring(ROOMY, [key(0)]);
        let mut cursor = ring.join(true, true);
        read(&ring, &mut cursor, PATIENT);
        for frame in [delta(500), delta(1000), key(2000)] {
            ring.push(frame, || 0);
        }
        assert_eq!(read(&ring, &mut cursor, MediaTime::from_millis(1000)), ["K@2000"]);
        assert_eq!(cursor.dropped, 2);
    }

    #[test]
    fn a_reader_that_jumps_over_a_change_of_codec_gets_the_new_configuration() {
        let mut ring = ring(ROOMY, [config(b"c"), key(0)]);
        let mut cursor = ring.join(true, true);
        read(&ring, &mut cursor, PATIENT);
        for frame in [config(b"C"), key(20_000), delta(20_040)] {
            ring.push(frame, || u64::MAX);
        }
        assert_eq!(read(&ring, &mut cursor, PATIENT), ["C@20000", "K@20000", "d@20040"]);
    }

    #[test]
    fn packets_stay_for_the_slowest_reader_but_not_beyond_the_bounds() {
        let mut held = Ring::new(ROOMY);
        for second in 0..5 {
            held.push(key(second * 1000), || 0);
        }
        assert_eq!(held.first, 0);
        for second in 5..30 {
            held.push(key(second * 1000), || 0);
        }
        assert_eq!(held.packets.len(), 11, "ten seconds are kept");

        let small = Bounds { max_bytes: 3, ..ROOMY };
        let ring = ring(small, [key(0), delta(1), delta(2), delta(3), delta(4)]);
        assert_eq!(ring.bytes, 3);
        assert_eq!(
            read(&ring, &mut ring.join(true, true), PATIENT),
            Vec::<String>::new(),
            "a cut group is not served"
        );
    }

    #[test]
    fn an_audio_only_stream_frees_what_everyone_has_read() {
        let ring = ring(ROOMY, (0..1000).map(|n| audio(n * 20)));
        assert!(ring.packets.len() <= KEYLESS_BATCH);
    }
}
