//! One publication while it is live: its ring, its readers and what is known of its tracks.

use std::{
    net::SocketAddr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use streammill_media::{Frame, FrameRole, MediaKind, MediaTime};
use tokio::sync::watch;

use super::{
    Interest, Packet, StreamKey,
    ownership::{Left, Owner, Terms},
    registry::Place,
    ring::{Bounds, Cursor, Ring, Run},
    tracks::{TrackBook, Tracks},
};

/// Bounds of every publication.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most payload bytes one publication holds for its viewers, GOP cache included.
    pub max_bytes: usize,
    /// How far behind the newest packet a viewer may read before video is skipped to a key frame.
    pub max_lag: MediaTime,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            max_lag: MediaTime::from_millis(10_000),
        }
    }
}

/// Who publishes.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A client over RTMP.
    Rtmp {
        /// Its address, unless it came by a socket file.
        peer: Option<SocketAddr>,
        /// What it calls itself (`flashVer`, `encoder`).
        software: String,
    },
    /// A pipeline of ours.
    Pipeline {
        /// The template.
        template: String,
        /// The streams it was made from, nearest first; empty for a source.
        ancestors: Vec<StreamKey>,
    },
}

impl Origin {
    /// True when `key` is among the streams this one was made from.
    pub fn descends_from(&self, key: &StreamKey) -> bool {
        matches!(self, Self::Pipeline { ancestors, .. } if ancestors.contains(key))
    }
}

/// Tells two publications of one key apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicationId(pub u64);

/// Least time between the last frame of one publisher and the first of the next.
const SHORTEST_GAP: MediaTime = MediaTime::from_millis(20);

/// The shared part of a publication: written by its owner, read by its subscribers.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: PublicationId,
    pub(super) since: SystemTime,
    pub(super) started: Instant,
    pub(super) counters: Counters,
    pub(super) tracks: watch::Sender<Arc<Tracks>>,
    state: RwLock<State>,
    /// Moves with every push and at the end; carries the ring's end.
    head: watch::Sender<u64>,
    limits: Limits,
    reading: AtomicUsize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes_in: AtomicU64,
    pub(super) video_bytes: AtomicU64,
    pub(super) audio_bytes: AtomicU64,
    pub(super) video_frames: AtomicU64,
    pub(super) audio_frames: AtomicU64,
    pub(super) last_dts_millis: AtomicU64,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    readers: Vec<Arc<AtomicU64>>,
    book: TrackBook,
    owner: Owner,
    /// Pictures are left out until a decoder can start: those of another publisher build on what nobody has.
    needs_key: bool,
    /// The newest decoding time, and when it came.
    newest: Option<(MediaTime, Instant)>,
}

/// A subscriber's place in a publication.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) live: Arc<Live>,
    cursor: Cursor,
    /// The cursor's position, for the ring to know whom it still has to wait for.
    position: Arc<AtomicU64>,
    head: watch::Receiver<u64>,
}

/// What [`Reading::read`] found.
pub(super) enum Read {
    Packets { dropped: u64 },
    Nothing,
    Ended,
}

impl Live {
    pub(super) fn new(id: PublicationId, origin: Origin, limits: Limits) -> Self {
        Self {
            id,
            since: SystemTime::now(),
            started: Instant::now(),
            counters: Counters::default(),
            tracks: watch::Sender::default(),
            state: RwLock::new(State {
                ring: Ring::new(Bounds {
                    max_bytes: limits.max_bytes,
                    max_age: limits.max_lag,
                }),
                readers: Vec::new(),
                book: TrackBook::default(),
                owner: Owner::new(origin),
                needs_key: false,
                newest: None,
            }),
            head: watch::Sender::new(0),
            limits,
            reading: AtomicUsize::new(0),
        }
    }

    fn push(&self, term: u64, frame: Frame) {
        let tracks;
        let end;
        {
            let mut state = self.write();
            if state.owner.term != term || !state.may_begin(&frame) {
                return;
            }
            self.counters.note(&frame);
            state.note_time(&frame);
            tracks = state.book.observe(&frame);
            let State { ring, readers, .. } = &mut *state;
            ring.push(frame, || {
                let positions = readers.iter().map(|position| position.load(Ordering::Relaxed));
                positions.min().unwrap_or(u64::MAX)
            });
            end = ring.end();
        }
        if let Some(tracks) = tracks {
            self.tracks.send_replace(Arc::new(tracks));
        }
        self.head.send_replace(end);
    }

    /// Tells the readers that the publication has ended, which it has by now.
    pub(super) fn end(&self) {
        self.write().owner.has_ended = true;
        self.head.send_modify(|_| {});
    }

    /// Who publishes, or did last.
    pub(super) fn owner(&self) -> Owner {
        self.read().owner.clone()
    }

    /// See [`Owner::follow`]. Answers the term, and where on the timeline the new publisher begins.
    pub(super) fn follow(&self, origin: &Origin, terms: Terms) -> Option<(u64, MediaTime)> {
        let mut state = self.write();
        let term = state.owner.follow(origin, terms)?;
        state.needs_key = true;
        let begin = state.newest.map_or(MediaTime::ZERO, |(dts, came)| {
            let gap = MediaTime::from_nanos(came.elapsed().as_nanos() as i64);
            dts + gap.max(SHORTEST_GAP)
        });
        Some((term, begin))
    }

    /// See [`Owner::give_up`].
    pub(super) fn give_up(&self, term: u64) -> bool {
        self.write().owner.give_up(term)
    }

    pub(super) fn join(self: &Arc<Self>, interest: &Interest) -> Reading {
        let head = self.head.subscribe();
        let mut state = self.write();
        let cursor = state.ring.join(interest.from_cache, interest.wait_for_key_frame);
        let position = Arc::new(AtomicU64::new(cursor.next));
        state.readers.push(position.clone());
        self.reading.fetch_add(1, Ordering::Relaxed);
        Reading {
            live: self.clone(),
            cursor,
            position,
            head,
        }
    }

    pub(super) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn leave(&self, position: &Arc<AtomicU64>) {
        self.write().readers.retain(|known| !Arc::ptr_eq(known, position));
        self.reading.fetch_sub(1, Ordering::Relaxed);
    }

    /// The lock is held for pointer moves only, by code that cannot panic half-way; a poisoned one is still whole.
    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn may_begin(&mut self, frame: &Frame) -> bool {
        let is_picture = frame.kind == MediaKind::Video && frame.role == FrameRole::Coded;
        if self.needs_key && is_picture {
            self.needs_key = !frame.key;
        }
        !(self.needs_key && is_picture)
    }

    fn note_time(&mut self, frame: &Frame) {
        let newest = self.newest.map_or(frame.dts, |(dts, _)| dts.max(frame.dts));
        self.newest = Some((newest, Instant::now()));
    }
}

impl Counters {
    fn note(&self, frame: &Frame) {
        let bytes = frame.tag.len() as u64;
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        if frame.role != FrameRole::Coded {
            return;
        }
        let (kind_bytes, kind_frames) = match frame.kind {
            MediaKind::Video => (&self.video_bytes, &self.video_frames),
            MediaKind::Audio => (&self.audio_bytes, &self.audio_frames),
            MediaKind::Data => return,
        };
        kind_bytes.fetch_add(bytes, Ordering::Relaxed);
        kind_frames.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(frame.dts.as_millis()).unwrap_or(0);
        self.last_dts_millis.store(millis, Ordering::Relaxed);
    }
}

impl Reading {
    /// Moves what is there to `out`.
    pub(super) fn read(&mut self, max: usize, out: &mut Vec<Arc<Packet>>) -> Read {
        let dropped_before = self.cursor.dropped;
        let state = self.live.read();
        let moved = state.ring.read(&mut self.cursor, self.live.limits.max_lag, max, out);
        let ended = state.owner.has_ended;
        drop(state);
        self.position.store(self.cursor.next, Ordering::Relaxed);
        match (moved, ended) {
            (true, _) => Read::Packets {
                dropped: self.cursor.dropped - dropped_before,
            },
            (false, true) => Read::Ended,
            (false, false) => Read::Nothing,
        }
    }

    /// The packets that come next, for others at the same place to follow.
    pub(super) fn run(&self, max: usize) -> Option<Run> {
        let state = self.live.read();
        let mut run = state.ring.run(self.cursor.next, self.live.limits.max_lag, max)?;
        run.has_more |= state.owner.has_ended;
        Some(run)
    }

    /// Takes a run as read, if it is what comes next.
    pub(super) fn follow(&mut self, run: &Run) -> bool {
        let follows = Ring::follow(&mut self.cursor, run);
        if follows {
            self.position.store(self.cursor.next, Ordering::Relaxed);
        }
        follows
    }

    /// What is pushed from now on ends a wait for [`changed`](Self::changed).
    pub(super) fn look(&mut self) {
        self.head.borrow_and_update();
    }

    /// Waits until something was pushed since the last [`look`](Self::look), or the publication ended.
    pub(super) async fn changed(&mut self) {
        // The sender lives in `self.live`, so it cannot be gone.
        let _ = self.head.changed().await;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.live.leave(&self.position);
    }
}

/// The right to publish one stream, held by whoever feeds it. Dropping it ends the publication, at once or after its
/// grace.
#[derive(Debug)]
pub struct Publication {
    place: Arc<Place>,
    live: Arc<Live>,
    term: u64,
    begin: MediaTime,
    grace: Duration,
}

impl Publication {
    pub(super) fn new(place: Arc<Place>, live: Arc<Live>, (term, begin): (u64, MediaTime), grace: Duration) -> Self {
        Self {
            place,
            live,
            term,
            begin,
            grace,
        }
    }

    /// Where on the stream's timeline this publisher begins: behind the one before, if there was one.
    pub fn begin(&self) -> MediaTime {
        self.begin
    }

    /// Another publisher has taken this one's place. What it pushes is ignored.
    pub fn is_replaced(&self) -> bool {
        self.live.read().owner.term != self.term
    }

    /// Its key.
    pub fn key(&self) -> &StreamKey {
        &self.place.key
    }

    /// Its number.
    pub fn id(&self) -> PublicationId {
        self.live.id
    }

    /// Gives a frame to everyone who watches. Decoding times of one track must not decrease.
    pub fn push(&self, frame: Frame) {
        self.live.push(self.term, frame);
    }

    /// True while someone reads what is pushed.
    pub fn is_watched(&self) -> bool {
        self.live.reading.load(Ordering::Relaxed) > 0
    }

    /// What is known of the tracks, as it changes.
    pub fn tracks(&self) -> watch::Receiver<Arc<Tracks>> {
        self.live.tracks.subscribe()
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let left = self.live.write().owner.leave(self.term, self.grace, Instant::now());
        match left {
            Left::Replaced => {}
            Left::Away => self.place.wait_for_return(&self.live, self.term, self.grace),
            Left::Ended => self.place.release(&self.live),
        }
    }
}
