//! Snapshots: what the hub looks like at one moment, for statistics, pages and policies.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use super::{Interest, Origin, PublicationId, StreamKey, SubscriberId, Tracks, live::Live, registry::Place};

/// One stream.
#[derive(Clone, Debug)]
pub struct StreamSnapshot {
    /// Its key.
    pub key: StreamKey,
    /// Its publication, while it is live.
    pub live: Option<LiveSnapshot>,
    /// Who receives it, or waits for it.
    pub subscribers: Vec<SubscriberSnapshot>,
}

/// A publication.
#[derive(Clone, Debug)]
pub struct LiveSnapshot {
    /// Its number.
    pub id: PublicationId,
    /// Who publishes it.
    pub origin: Origin,
    /// How long the publisher has been away, if he is and may come back.
    pub away: Option<Duration>,
    /// When it began.
    pub since: SystemTime,
    /// How long it has lasted.
    pub uptime: Duration,
    /// What is known of its tracks.
    pub tracks: Arc<Tracks>,
    /// FLV tag bodies received, bytes.
    pub bytes_in: u64,
    /// The video among them, bytes.
    pub video_bytes: u64,
    /// The audio among them, bytes.
    pub audio_bytes: u64,
    /// Pictures received.
    pub video_frames: u64,
    /// Audio frames received.
    pub audio_frames: u64,
    /// Decoding time of the newest frame, milliseconds on the stream's timeline.
    pub last_dts_millis: u64,
}

/// A subscriber.
#[derive(Clone, Debug)]
pub struct SubscriberSnapshot {
    /// Its number.
    pub id: SubscriberId,
    /// Who it is.
    pub interest: Interest,
    /// When it came.
    pub since: SystemTime,
    /// How long it has been there.
    pub uptime: Duration,
    /// Bytes sent to it.
    pub bytes_out: u64,
    /// Packets it lost because it read too slowly.
    pub dropped: u64,
}

impl StreamSnapshot {
    pub(super) fn take(place: &Place) -> Self {
        let subscribers = place
            .present()
            .iter()
            .map(|presence| SubscriberSnapshot {
                id: presence.id,
                interest: presence.interest.clone(),
                since: presence.since,
                uptime: presence.started.elapsed(),
                bytes_out: presence.bytes_out.load(Ordering::Relaxed),
                dropped: presence.dropped.load(Ordering::Relaxed),
            })
            .collect();
        Self {
            key: place.key.clone(),
            live: place.live.borrow().as_deref().map(LiveSnapshot::take),
            subscribers,
        }
    }
}

impl LiveSnapshot {
    fn take(live: &Live) -> Self {
        let counters = &live.counters;
        let owner = live.owner();
        Self {
            id: live.id,
            origin: owner.origin,
            away: owner.away_since.map(|since| since.elapsed()),
            since: live.since,
            uptime: live.started.elapsed(),
            tracks: live.tracks.borrow().clone(),
            bytes_in: counters.bytes_in.load(Ordering::Relaxed),
            video_bytes: counters.video_bytes.load(Ordering::Relaxed),
            audio_bytes: counters.audio_bytes.load(Ordering::Relaxed),
            video_frames: counters.video_frames.load(Ordering::Relaxed),
            audio_frames: counters.audio_frames.load(Ordering::Relaxed),
            last_dts_millis: counters.last_dts_millis.load(Ordering::Relaxed),
        }
    }

    /// The client's address, if a client publishes that has one.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self.origin {
            Origin::Rtmp { peer, .. } => peer,
            Origin::Pipeline { .. } => None,
        }
    }
}
