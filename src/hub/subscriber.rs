//! Subscribers: cursors that wait.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use tokio::sync::watch;

use super::{
    Packet, PublicationId, StreamKey, Tracks,
    live::{Live, Read, Reading},
    registry::Place,
    ring::Run,
};

/// Tells subscribers apart, across all streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub u64);

/// Who subscribes, and how it wants to begin.
#[derive(Clone, Debug)]
pub struct Interest {
    /// By what way it is served.
    pub protocol: Protocol,
    /// Its address, if it is a client.
    pub peer: Option<SocketAddr>,
    /// What it calls itself: a player's `flashVer` or `User-Agent`, a pipeline's template.
    pub software: String,
    /// Begin with the newest group of pictures that is held, for a picture at once. Otherwise at the live edge.
    pub from_cache: bool,
    /// Begin pictures at a key frame, where they can be decoded.
    pub wait_for_key_frame: bool,
}

/// The ways a stream leaves the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP play.
    Rtmp,
    /// FLV over HTTP.
    HttpFlv,
    /// FLV over WebSocket.
    WsFlv,
    /// A GStreamer pipeline of ours.
    Pipeline,
}

/// A subscriber as others see it.
#[derive(Debug)]
pub(super) struct Presence {
    pub(super) id: SubscriberId,
    pub(super) interest: Interest,
    pub(super) since: SystemTime,
    pub(super) started: Instant,
    pub(super) bytes_out: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl Presence {
    pub(super) fn new(id: SubscriberId, interest: Interest) -> Self {
        Self {
            id,
            interest,
            since: SystemTime::now(),
            started: Instant::now(),
            bytes_out: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }
}

/// What a [`Subscriber`] is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A publication has begun, or was there already. Its packets follow.
    Started,
    /// There are packets in the batch.
    Packets,
    /// The publisher left, and all it sent has been read. Another [`Started`](Self::Started) may follow.
    Ended,
}

/// What [`Subscriber::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// There are packets in the batch.
    Packets,
    /// There is nothing new.
    Nothing,
    /// The publisher left, and all it sent has been read.
    Ended,
}

/// What comes next for one subscriber, and for all others of the stream that stand where it does: who serves many of them
/// prepares it once.
#[derive(Debug)]
pub struct Common {
    publication: PublicationId,
    run: Run,
}

impl Common {
    /// The packets. There is one at least.
    pub fn packets(&self) -> &[Arc<Packet>] {
        &self.run.packets
    }

    /// There is more to [`read`](Subscriber::read) behind them, be it the end.
    pub fn has_more(&self) -> bool {
        self.run.has_more
    }
}

/// Someone who receives a stream, now or once it is live.
#[derive(Debug)]
pub struct Subscriber {
    place: Arc<Place>,
    presence: Arc<Presence>,
    publications: watch::Receiver<Option<Arc<Live>>>,
    reading: Option<Reading>,
    last: Option<PublicationId>,
}

impl Subscriber {
    pub(super) fn new(place: Arc<Place>, presence: Arc<Presence>) -> Self {
        let publications = place.live.subscribe();
        Self {
            place,
            presence,
            publications,
            reading: None,
            last: None,
        }
    }

    /// Its number.
    pub fn id(&self) -> SubscriberId {
        self.presence.id
    }

    /// What it is subscribed to.
    pub fn key(&self) -> &StreamKey {
        &self.place.key
    }

    /// Reads what is there without waiting: for who is woken by [`head`](Self::head) for many subscribers at once.
    pub fn read(&mut self, max: usize, batch: &mut Vec<Arc<Packet>>) -> Now {
        let Some(reading) = &mut self.reading else {
            return Now::Nothing;
        };
        match reading.read(max, batch) {
            Read::Packets { dropped } => {
                self.presence.dropped.fetch_add(dropped, Ordering::Relaxed);
                Now::Packets
            }
            Read::Ended => {
                self.reading = None;
                Now::Ended
            }
            Read::Nothing => Now::Nothing,
        }
    }

    /// What comes next, if others can be given the same.
    pub fn common(&self, max: usize) -> Option<Common> {
        let reading = self.reading.as_ref()?;
        Some(Common {
            publication: reading.live.id,
            run: reading.run(max)?,
        })
    }

    /// Takes that as read. False if something else comes next here.
    pub fn follow(&mut self, common: &Common) -> bool {
        match &mut self.reading {
            Some(reading) if reading.live.id == common.publication => reading.follow(&common.run),
            _ => false,
        }
    }

    /// Moves whenever [`read`](Self::read) has something new to tell; `None` between publications.
    pub fn head(&self) -> Option<watch::Receiver<u64>> {
        self.reading.as_ref().map(|reading| reading.live.head())
    }

    /// Reads no further for now, and so keeps nothing from being freed. [`next`](Self::next) begins anew, with
    /// [`Event::Started`].
    pub fn detach(&mut self) {
        self.reading = None;
        self.last = None;
    }

    /// Waits until there is a publication that has not been read, and begins to read it. Cancelling loses nothing.
    pub async fn started(&mut self) {
        let last = self.last;
        let is_new = |live: &Option<Arc<Live>>| live.as_ref().is_some_and(|live| Some(live.id) != last);
        // The sender lives in `self.place`, so it cannot be gone.
        if let Ok(live) = self.publications.wait_for(is_new).await
            && let Some(live) = &*live
        {
            self.last = Some(live.id);
            self.reading = Some(live.join(&self.presence.interest));
        }
    }

    /// Waits for what comes next and puts at most `max` packets into `batch`, which the caller has emptied.
    ///
    /// Cancelling loses nothing: nothing is taken before it is returned.
    pub async fn next(&mut self, max: usize, batch: &mut Vec<Arc<Packet>>) -> Event {
        loop {
            let Some(reading) = &mut self.reading else {
                self.started().await;
                return Event::Started;
            };
            reading.look();
            match self.read(max, batch) {
                Now::Packets => return Event::Packets,
                Now::Ended => return Event::Ended,
                Now::Nothing => {}
            }
            if let Some(reading) = &mut self.reading {
                reading.changed().await;
            }
        }
    }

    /// Who it is.
    pub fn interest(&self) -> &Interest {
        &self.presence.interest
    }

    /// Notes bytes that went out to the client, for the statistics.
    pub fn sent(&self, bytes: u64) {
        self.presence.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is known of the tracks of the publication it reads; `None` between publications.
    pub fn tracks(&self) -> Option<watch::Receiver<Arc<Tracks>>> {
        self.reading.as_ref().map(|reading| reading.live.tracks.subscribe())
    }

    /// The publication it reads, or read last.
    pub fn publication(&self) -> Option<PublicationId> {
        self.last
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.reading = None;
        self.place.leave(&self.presence);
    }
}
