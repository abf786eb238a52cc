//! A line: the writing side of a connection, shared by the connection's task and the fan-out.
//!
//! What a player is sent comes from two sides: statuses, pings and the like from its own task, media from the fan-out,
//! which goes through all players of a stream at once. Both go through the line's lock, so that messages stay whole and in
//! order. Nothing here waits: when the socket takes no more, the rest stays in the outbox, media stays in the hub's ring,
//! and the connection's task is called to wait for room.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use streammill_rtmp::MessageStreamId;
use tokio::sync::Notify;

use super::{
    feed::{Feed, Round},
    outbox::{Outbox, Sent},
    socket::Writer,
};
use crate::hub::{Now, Packet, Subscriber};

/// Most packets taken from the hub at a time: enough to merge a burst into one write, few enough to keep a batch small.
const MAX_BATCH: usize = 64;

/// Bytes of answers that may wait for a client that does not read. It is not listened to until it does.
const MAX_ANSWERS: usize = 64 * 1024;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    /// Calls the connection's task: a feed has ended, the socket is full, or writing has failed.
    pub(super) attention: Notify,
    chunk_size: u32,
}

#[derive(Debug)]
struct State {
    /// `None` once the line is closed.
    writer: Option<Arc<Writer>>,
    outbox: Outbox,
    feeds: Vec<Feed>,
    /// Since when the socket takes nothing.
    full_since: Option<Instant>,
    failure: Option<io::Error>,
}

/// What became of a feed that was looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// It will want more.
    Stays,
    /// It has ended, or the line is closed.
    Gone,
}

/// A feed was sent a batch.
struct Followed {
    /// There is more for it behind that.
    has_more: bool,
}

impl Line {
    pub(super) fn new(writer: Writer, chunk_size: u32) -> Self {
        Self {
            state: Mutex::new(State {
                writer: Some(Arc::new(writer)),
                outbox: Outbox::default(),
                feeds: Vec::new(),
                full_since: None,
                failure: None,
            }),
            attention: Notify::new(),
            chunk_size,
        }
    }

    /// The lock is held for queue moves and writes that do not wait; a poisoned one is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends messages of the session, behind what is waiting.
    pub(super) fn send(&self, messages: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state();
        for message in messages {
            state.outbox.push(message);
        }
        if !state.outbox.is_empty() && state.full_since.is_none() {
            state.flush();
        }
    }

    /// Adds a feed and gives it what is there.
    pub(super) fn open(&self, feed: Feed, scratch: &mut Vec<Arc<Packet>>) {
        let stream = feed.stream;
        self.state().feeds.push(feed);
        self.serve(stream, scratch);
    }

    /// Takes a feed back, whether it has ended or not.
    pub(super) fn close_feed(&self, stream: MessageStreamId) -> Option<Subscriber> {
        let mut state = self.state();
        let index = state.feeds.iter().position(|feed| feed.stream == stream)?;
        Some(state.feeds.swap_remove(index).subscriber)
    }

    /// Changes what a feed carries.
    pub(super) fn with_feed(&self, stream: MessageStreamId, change: impl FnOnce(&mut Feed)) {
        if let Some(feed) = self.state().feeds.iter_mut().find(|feed| feed.stream == stream) {
            change(feed);
        }
    }

    /// Message streams whose publisher left, everything of it being sent.
    pub(super) fn ended(&self) -> Vec<MessageStreamId> {
        let state = self.state();
        let ended = state.feeds.iter().filter(|feed| feed.has_ended);
        ended.map(|feed| feed.stream).collect()
    }

    /// Moves what the hub has for a feed to the socket, until one of them has no more.
    pub(super) fn serve(&self, stream: MessageStreamId, scratch: &mut Vec<Arc<Packet>>) -> Served {
        let mut state = self.state();
        let was_full = state.full_since.is_some();
        let served = state.serve(stream, self.chunk_size, scratch);
        let is_full = state.full_since.is_some();
        let has_failed = state.failure.is_some();
        drop(state);
        if has_failed || served == Served::Gone || (is_full && !was_full) {
            self.attention.notify_one();
        }
        served
    }

    /// As [`serve`](Self::serve), for one of many players: those who stand where the one before stood are sent the batch that
    /// was made for it. What was pushed since then is for the next round.
    pub(super) fn serve_alike(
        &self,
        stream: MessageStreamId,
        round: &mut Round,
        scratch: &mut Vec<Arc<Packet>>,
    ) -> Served {
        let mut state = self.state();
        let followed = state.follow(stream, self.chunk_size, round);
        let calls = followed.is_some() && (state.full_since.is_some() || state.failure.is_some());
        drop(state);
        if calls {
            self.attention.notify_one();
        }
        match followed {
            Some(Followed { has_more: false }) => Served::Stays,
            Some(Followed { has_more: true }) | None => self.serve(stream, scratch),
        }
    }

    /// Goes on after the socket has room again.
    pub(super) fn resume(&self, scratch: &mut Vec<Arc<Packet>>) {
        let mut state = self.state();
        state.flush();
        let streams: Vec<_> = state.feeds.iter().map(|feed| feed.stream).collect();
        drop(state);
        for stream in streams {
            self.serve(stream, scratch);
        }
    }

    /// The writer, while the socket is full: who waits for it calls [`resume`](Self::resume) then.
    pub(super) fn full(&self) -> Option<Arc<Writer>> {
        let state = self.state();
        state.full_since.and(state.writer.clone())
    }

    /// False while so many answers wait that no further request should be read.
    pub(super) fn may_listen(&self) -> bool {
        let state = self.state();
        state.full_since.is_none() || state.outbox.bytes() < MAX_ANSWERS
    }

    /// Why writing cannot go on: it failed, or the peer takes nothing for `patience`.
    pub(super) fn failure(&self, patience: Duration) -> Option<io::Error> {
        let mut state = self.state();
        if let Some(error) = state.failure.take() {
            return Some(error);
        }
        let is_stuck = state.full_since.is_some_and(|since| since.elapsed() >= patience);
        is_stuck.then(|| io::Error::new(io::ErrorKind::TimedOut, "the peer takes no data"))
    }

    /// Ends writing: the feeds are given up, and the peer sees the end behind what it was sent.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.feeds.clear();
        state.writer = None;
    }
}

impl State {
    fn serve(&mut self, stream: MessageStreamId, chunk_size: u32, scratch: &mut Vec<Arc<Packet>>) -> Served {
        loop {
            if self.writer.is_none() {
                return Served::Gone;
            }
            if self.full_since.is_some() {
                return Served::Stays;
            }
            let Some(feed) = self.feeds.iter_mut().find(|feed| feed.stream == stream) else {
                return Served::Gone;
            };
            scratch.clear();
            match feed.subscriber.read(MAX_BATCH, scratch) {
                Now::Nothing if feed.has_ended => return Served::Gone,
                Now::Nothing => return Served::Stays,
                Now::Ended => {
                    feed.has_ended = true;
                    return Served::Gone;
                }
                Now::Packets => {
                    feed.write(scratch, chunk_size, &mut self.outbox);
                    self.flush();
                }
            }
        }
    }

    /// Sends a feed what others at its place are sent. `None` if that cannot be.
    fn follow(&mut self, stream: MessageStreamId, chunk_size: u32, round: &mut Round) -> Option<Followed> {
        let writer = self.writer.as_ref().filter(|_| self.full_since.is_none())?;
        let feed = self.feeds.iter_mut().find(|feed| feed.stream == stream)?;
        if !self.outbox.is_empty() {
            return None;
        }
        let batch = round.batch_for(feed, MAX_BATCH, chunk_size)?;
        let slices = [io::IoSlice::new(&batch.chunks)];
        // Where that fails these very bytes have to come again, by way of the outbox.
        let written = writer.try_write_vectored(&slices).unwrap_or(0);
        if written < batch.chunks.len() {
            self.outbox.push(batch.chunks.slice(written..));
            self.flush();
        }
        Some(Followed {
            has_more: batch.has_more,
        })
    }

    fn flush(&mut self) {
        let Some(writer) = &self.writer else { return };
        match self.outbox.flush(writer) {
            Ok(Sent::All) => self.full_since = None,
            Ok(Sent::Some) => self.full_since = Some(Instant::now()),
            Ok(Sent::Nothing) => {
                self.full_since.get_or_insert_with(Instant::now);
            }
            Err(error) => {
                self.failure = Some(error);
                self.writer = None;
            }
        }
    }
}
