//! The store: every presentation of the server, under one short lock, with those who wait for a first segment.
//!
//! All rules are [`presentation`](super::presentation)'s. This is the shell around them: the lock, the clock, the wake-up,
//! and the bound on all presentations together.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use streammill_media::MediaKind;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Chunk, Segment, Settings, TrackInfo, TrackName, presentation::State};
use crate::hub::StreamKey;

/// The presentations of all streams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    presentations: Mutex<HashMap<StreamKey, State>>,
    max_bytes: usize,
    /// Moves when a presentation is opened, gets a segment, or ends.
    changed: watch::Sender<u64>,
    last_id: AtomicU64,
}

impl Store {
    /// An empty store whose presentations hold at most `max_bytes` together.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                presentations: Mutex::default(),
                max_bytes,
                changed: watch::Sender::new(0),
                last_id: AtomicU64::new(0),
            }),
        }
    }

    /// Opens the presentation of a stream, anew if there was one. An earlier opening that is still written to is cut
    /// off: what its writers bring from now on is dropped.
    pub fn open(&self, key: &StreamKey, settings: Settings) -> Presentation {
        let now = SystemTime::now();
        let mut presentations = self.shared.presentations();
        forget_what_is_over(&mut presentations, now);
        let opening = presentations
            .entry(key.clone())
            .or_insert_with(|| State::new(self.shared.next_id(now), settings.clone()))
            .open(settings);
        drop(presentations);
        self.shared.announce();
        Presentation {
            session: Arc::new(Session {
                shared: self.shared.clone(),
                key: key.clone(),
                opening,
            }),
        }
    }

    /// True if a stream has a presentation, live or ended.
    pub fn has(&self, key: &StreamKey) -> bool {
        self.read(key, |_, _| ()).is_some()
    }

    /// The multivariant playlist, with its tracks' files below the relative URL `folder`. The pictures of `renditions`, other
    /// streams with the URLs their files are below, are offered beside its own, as far as they have segments.
    ///
    /// A presentation that has just begun is waited for, for up to `patience`; one that does not exist only if
    /// `may_come`.
    pub async fn multivariant(
        &self,
        key: &StreamKey,
        folder: &str,
        renditions: &[(StreamKey, String)],
        may_come: bool,
        patience: Duration,
    ) -> Result<String, Missing> {
        let deadline = Instant::now() + patience;
        let ready = self.wait(key, may_come, deadline, |state, _| {
            state.multivariant().filter(|_| state.is_ready())
        });
        let mut playlist = match ready.await {
            // Better without the track that does not come than not at all.
            Err(Missing::NotYet) => self
                .read(key, |state, _| state.multivariant())
                .flatten()
                .ok_or(Missing::NotYet)?,
            answer => answer?,
        };
        // Beside sound alone there are no pictures to choose from.
        if !playlist.videos.is_empty() {
            for (rendition, folder) in renditions {
                let other = self.read(rendition, |state, _| {
                    state.multivariant().filter(|_| state.ended().is_none())
                });
                let videos = other.flatten().map(|other| other.videos).unwrap_or_default();
                playlist
                    .renditions
                    .extend(videos.into_iter().map(|video| (folder.clone(), video)));
            }
        }
        playlist.text(folder).map_err(|_| Missing::NotYet)
    }

    /// The playlist of one track, of the presentation that its name tells.
    pub fn media(&self, key: &StreamKey, presentation: u64, track: TrackName) -> Result<String, Missing> {
        let found = self.read(key, |state, now| {
            let is_it = state.is(presentation);
            is_it.then(|| state.media(track, now)).ok_or(Missing::NoStream)
        });
        let playlist = found.ok_or(Missing::NoStream)??;
        Ok(playlist.ok_or(Missing::NotYet)?.to_string())
    }

    /// A segment, while it is held.
    pub fn segment(&self, key: &StreamKey, presentation: u64, track: TrackName, sequence: u64) -> Option<Arc<Segment>> {
        self.read(key, |state, _| state.segment(presentation, track, sequence))?
    }

    /// An initialisation segment, while it is held.
    pub fn init(&self, key: &StreamKey, presentation: u64, track: TrackName, number: u64) -> Option<Bytes> {
        self.read(key, |state, _| state.init_segment(presentation, track, number))?
    }

    /// Bytes of all segments held.
    pub fn bytes(&self) -> usize {
        self.shared.presentations().values().map(State::bytes).sum()
    }

    /// Frees what ended presentations hold once their time is over, until `stop`. Nothing is served late without it;
    /// memory is.
    pub async fn keep_clean(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            forget_what_is_over(&mut self.shared.presentations(), SystemTime::now());
        }
    }

    async fn wait<T>(
        &self,
        key: &StreamKey,
        may_come: bool,
        deadline: Instant,
        look: impl Fn(&State, SystemTime) -> Option<T>,
    ) -> Result<T, Missing> {
        let mut changes = self.shared.changed.subscribe();
        loop {
            match self.read(key, |state, now| (look(state, now), state.ended())) {
                Some((Some(found), _)) => return Ok(found),
                Some((None, Some(_))) => return Err(Missing::NotYet),
                Some((None, None)) => {}
                None if may_come => {}
                None => return Err(Missing::NoStream),
            }
            // The sender lives in `self.shared`, so only the deadline ends the wait without a change.
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return Err(if self.has(key) {
                    Missing::NotYet
                } else {
                    Missing::NoStream
                });
            }
        }
    }

    fn read<T>(&self, key: &StreamKey, look: impl FnOnce(&State, SystemTime) -> T) -> Option<T> {
        let now = SystemTime::now();
        let presentations = self.shared.presentations();
        let state = presentations.get(key).filter(|state| !state.is_over(now))?;
        Some(look(state, now))
    }
}

/// Why there is no playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// Nothing is packaged under this key.
    #[error("no HLS presentation of this stream")]
    NoStream,
    /// The presentation has begun, but has no segment of what was asked for.
    #[error("no segment yet")]
    NotYet,
}

/// The right to write one stream's presentation. It ends when this and all its [`TrackWriter`]s are dropped.
#[derive(Debug)]
pub struct Presentation {
    session: Arc<Session>,
}

impl Presentation {
    /// Says what tracks will come, before they are added. Players are told of the presentation once each kind has a
    /// segment.
    pub fn expect(&self, kinds: &[MediaKind]) {
        let shared = &self.session.shared;
        self.session
            .write(|state, opening, now| state.expect(opening, kinds, shared.next_id(now)));
        self.session.shared.announce();
    }

    /// Adds a track.
    pub fn track(&self, info: TrackInfo) -> Result<TrackWriter, WriteError> {
        let kind = info.kind;
        let track = self
            .session
            .write(|state, opening, _| state.add_track(opening, info))
            .flatten()
            .ok_or(WriteError { kind })?;
        Ok(TrackWriter {
            session: self.session.clone(),
            track,
        })
    }
}

/// The right to write one track. Dropping it finishes the track's last segment.
#[derive(Debug)]
pub struct TrackWriter {
    session: Arc<Session>,
    track: TrackName,
}

impl TrackWriter {
    /// Gives the initialisation segment of the chunks that follow. One that differs from the last begins a
    /// discontinuity.
    pub fn init(&self, data: Bytes) {
        self.session
            .write(|state, opening, _| state.init(opening, self.track, data));
    }

    /// Adds a chunk.
    pub fn chunk(&self, chunk: Chunk) {
        let finished_segment = self
            .session
            .write(|state, opening, now| state.chunk(opening, self.track, chunk, now));
        if finished_segment == Some(true) {
            self.session.shared.make_room();
            self.session.shared.announce();
        }
    }
}

impl Drop for TrackWriter {
    fn drop(&mut self) {
        self.session
            .write(|state, opening, _| state.end_track(opening, self.track));
        self.session.shared.announce();
    }
}

/// A track that cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no {kind:?} track can be added: HLS carries sound and pictures, and this presentation has not been opened anew"
)]
pub struct WriteError {
    kind: MediaKind,
}

/// One opening of a presentation, shared by its writers.
#[derive(Debug)]
struct Session {
    shared: Arc<Shared>,
    key: StreamKey,
    opening: u64,
}

impl Session {
    fn write<T>(&self, act: impl FnOnce(&mut State, u64, SystemTime) -> T) -> Option<T> {
        let now = SystemTime::now();
        let mut presentations = self.shared.presentations();
        let state = presentations.get_mut(&self.key)?;
        Some(act(state, self.opening, now))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.write(|state, opening, now| state.end(opening, now));
        self.shared.announce();
    }
}

impl Shared {
    /// The lock is held for short, synchronous work; a state that a panic left is bounded and whole.
    fn presentations(&self) -> MutexGuard<'_, HashMap<StreamKey, State>> {
        self.presentations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// A number no presentation had before, in this process or, as far as the clock is right, in one before it.
    fn next_id(&self, now: SystemTime) -> u64 {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX / 2);
        let previous = self.last_id.fetch_max(millis, Ordering::Relaxed);
        if previous < millis {
            millis
        } else {
            self.last_id.fetch_add(1, Ordering::Relaxed) + 1
        }
    }

    /// Keeps all presentations together within bounds: ended ones go first, the one that ended longest ago before the
    /// others, then the largest loses its oldest segments.
    fn make_room(&self) {
        let mut presentations = self.presentations();
        let mut held: usize = presentations.values().map(State::bytes).sum();
        while held > self.max_bytes {
            let ended = presentations
                .iter()
                .filter_map(|(key, state)| Some((state.ended()?, key.clone())));
            if let Some((_, key)) = ended.min() {
                held -= presentations.remove(&key).map_or(0, |state| state.bytes());
                continue;
            }
            let Some(largest) = presentations.values_mut().max_by_key(|state| state.bytes()) else {
                return;
            };
            let before = largest.bytes();
            if !largest.drop_oldest() {
                return;
            }
            held -= before - largest.bytes();
        }
    }
}

fn forget_what_is_over(presentations: &mut HashMap<StreamKey, State>, now: SystemTime) {
    presentations.retain(|_, state| !state.is_over(now));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use streammill_media::MediaTime;

    use super::{super::Resource, *};

    fn key(name: &str) -> StreamKey {
        StreamKey::new("live", name).unwrap()
    }

    fn info(kind: MediaKind) -> TrackInfo {
        TrackInfo {
            kind,
            codecs: "avc1.64001f".to_owned(),
            width: None,
            height: None,
            frame_rate: None,
            channels: None,
            sample_rate: None,
        }
    }

    fn second(number: i64, bytes: usize) -> Chunk {
        Chunk {
            data: Bytes::from(vec![b'x'; bytes]),
            start: MediaTime::from_millis(number * 1000),
            duration: MediaTime::from_millis(1000),
            independent: true,
            starts_segment: true,
        }
    }

    fn patience() -> Duration {
        Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_before_the_first_segment_gets_it_when_it_is_there() {
        let store = Store::new(1 << 20);
        let presentation = store.open(&key("x"), Settings::default());
        presentation.expect(&[MediaKind::Video]);
        let video = presentation.track(info(MediaKind::Video)).unwrap();
        video.init(Bytes::from_static(b"init"));
        let asked = tokio::spawn({
            let store = store.clone();
            async move { store.multivariant(&key("x"), "x", &[], false, patience()).await }
        });
        tokio::task::yield_now().await;
        video.chunk(second(0, 10));
        video.chunk(second(1, 10));
        assert!(asked.await.unwrap().unwrap().ends_with(".media.m3u8\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_not_there_is_told_at_once_and_one_that_stalls_in_time() {
        let store = Store::new(1 << 20);
        let before = Instant::now();
        let answer = store.multivariant(&key("x"), "x", &[], false, patience()).await;
        assert_eq!((answer, before.elapsed()), (Err(Missing::NoStream), Duration::ZERO));

        let _presentation = store.open(&key("x"), Settings::default());
        let answer = store.multivariant(&key("x"), "x", &[], false, patience()).await;
        assert_eq!((answer, before.elapsed()), (Err(Missing::NotYet), patience()));

        let answer = store.multivariant(&key("y"), "y", &[], true, patience()).await;
        assert_eq!((answer, before.elapsed()), (Err(Missing::NoStream), 2 * patience()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_track_that_never_comes_does_not_keep_the_other_from_players() {
        let store = Store::new(1 << 20);
        let presentation = store.open(&key("x"), Settings::default());
        presentation.expect(&[MediaKind::Video, MediaKind::Audio]);
        let video = presentation.track(info(MediaKind::Video)).unwrap();
        video.init(Bytes::from_static(b"init"));
        video.chunk(second(0, 10));
        video.chunk(second(1, 10));
        let text = store
            .multivariant(&key("x"), "x", &[], false, patience())
            .await
            .unwrap();
        assert!(text.contains("x/video.") && !text.contains("audio"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn segments_are_fetched_by_the_names_in_the_playlist() {
        let store = Store::new(1 << 20);
        let presentation = store.open(&key("x"), Settings::default());
        let video = presentation.track(info(MediaKind::Video)).unwrap();
        video.init(Bytes::from_static(b"init"));
        video.chunk(second(0, 3));
        drop(video);
        let main = store
            .multivariant(&key("x"), "x", &[], false, patience())
            .await
            .unwrap();
        let Ok(Resource::Playlist { track, presentation }) = main.lines().last().unwrap()[2..].parse() else {
            panic!("{main} names no playlist")
        };
        let text = store.media(&key("x"), presentation, track).unwrap();
        assert_eq!(store.media(&key("x"), presentation + 1, track), Err(Missing::NoStream));
        let file = text.lines().find(|line| line.ends_with(".m4s")).unwrap();
        let Ok(Resource::Segment {
            track,
            presentation,
            sequence,
        }) = file.parse()
        else {
            panic!("{file} is no segment")
        };
        let segment = store.segment(&key("x"), presentation, track, sequence).unwrap();
        assert_eq!(segment.slices(0..3), [Bytes::from_static(b"xxx")]);
        assert!(store.segment(&key("x"), presentation + 1, track, sequence).is_none());
        assert_eq!(
            store.init(&key("x"), presentation, track, 0).unwrap(),
            Bytes::from_static(b"init")
        );
    }

    #[tokio::test]
    async fn all_presentations_together_stay_within_the_bound_and_the_ended_one_goes_first() {
        let store = Store::new(10_000);
        let fill = |name: &str| {
            let presentation = store.open(&key(name), Settings::default());
            let video = presentation.track(info(MediaKind::Video)).unwrap();
            video.init(Bytes::from_static(b"init"));
            for number in 0..5 {
                video.chunk(second(number, 1000));
            }
            (presentation, video)
        };
        drop(fill("ended"));
        let _live = fill("live");
        assert_eq!(store.bytes(), 10_000);
        assert!(store.has(&key("ended")));

        let _third = fill("third");
        assert!(!store.has(&key("ended")));
        let _fourth = fill("fourth");
        assert!(store.bytes() <= 10_000, "{} bytes are held", store.bytes());
    }

    #[tokio::test]
    async fn writers_of_an_earlier_opening_write_nothing() {
        let store = Store::new(1 << 20);
        let first = store.open(&key("x"), Settings::default());
        let old = first.track(info(MediaKind::Video)).unwrap();
        let second_opening = store.open(&key("x"), Settings::default());
        old.init(Bytes::from_static(b"init"));
        old.chunk(second(0, 10));
        assert!(first.track(info(MediaKind::Video)).is_err());
        drop((old, first));
        assert_eq!(store.bytes(), 0);
        assert!(
            second_opening.track(info(MediaKind::Video)).is_ok(),
            "the new one was ended by the old"
        );
    }

    #[test]
    fn a_presentation_number_is_never_given_twice() {
        let store = Store::new(0);
        let now = UNIX_EPOCH + Duration::from_millis(1000);
        let first = store.shared.next_id(now);
        let second = store.shared.next_id(now);
        let after_the_clock_was_set_back = store.shared.next_id(UNIX_EPOCH);
        assert!(first < second && second < after_the_clock_was_set_back);
    }
}
