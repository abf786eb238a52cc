//! Who watches by HLS. A viewer is nobody's connection: it is an address and a player that asked not long ago.
//!
//! Two viewers behind one address with the same player count as one. That is the price of asking them for nothing.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::hub::StreamKey;

/// How long after its last request a viewer counts. Players ask once a target duration.
const PRESENT: Duration = Duration::from_secs(15);

/// Most viewers that are told apart. Later ones are served all the same, uncounted.
const MAX_VIEWERS: usize = 100_000;

/// The HLS viewers of all streams.
#[derive(Debug, Default)]
pub(super) struct Audience {
    streams: HashMap<StreamKey, Attendance>,
    viewers: usize,
}

#[derive(Debug, Default)]
struct Attendance {
    last_seen: HashMap<Viewer, Instant>,
    bytes_out: u64,
}

/// What tells viewers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Viewer(u64);

impl Viewer {
    pub(super) fn new(address: IpAddr, software: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (address, software).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Audience {
    /// A viewer was sent something.
    pub(super) fn note(&mut self, key: &StreamKey, viewer: Viewer, bytes: u64, now: Instant) {
        if self.viewers >= MAX_VIEWERS {
            self.forget(now);
        }
        let is_full = self.viewers >= MAX_VIEWERS;
        if is_full && !self.streams.contains_key(key) {
            return;
        }
        let attendance = self.streams.entry(key.clone()).or_default();
        attendance.bytes_out += bytes;
        if let Some(last_seen) = attendance.last_seen.get_mut(&viewer) {
            *last_seen = now;
        } else if !is_full {
            attendance.last_seen.insert(viewer, now);
            self.viewers += 1;
        }
    }

    /// How many watch a stream.
    pub(super) fn viewers(&self, key: &StreamKey, now: Instant) -> usize {
        self.streams.get(key).map_or(0, |attendance| {
            let seen = attendance.last_seen.values();
            seen.filter(|last| now.duration_since(**last) < PRESENT).count()
        })
    }

    /// Bytes that a stream's viewers were sent since the first of those who are there came.
    pub(super) fn bytes_out(&self, key: &StreamKey) -> u64 {
        self.streams.get(key).map_or(0, |attendance| attendance.bytes_out)
    }

    /// Forgets who has gone.
    pub(super) fn forget(&mut self, now: Instant) {
        for attendance in self.streams.values_mut() {
            attendance
                .last_seen
                .retain(|_, last| now.duration_since(*last) < PRESENT);
        }
        self.streams.retain(|_, attendance| !attendance.last_seen.is_empty());
        self.viewers = self.streams.values().map(|attendance| attendance.last_seen.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use super::*;

    fn viewer(last: u8) -> Viewer {
        Viewer::new(Ipv4Addr::new(127, 0, 0, last).into(), "player")
    }

    #[test]
    fn a_viewer_counts_once_and_until_it_stops_asking() {
        let key = StreamKey::new("live", "x").unwrap();
        let (mut audience, start) = (Audience::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        audience.note(&key, viewer(1), 10, start);
        audience.note(&key, viewer(1), 10, after(10));
        audience.note(&key, viewer(2), 10, after(10));
        assert_eq!((audience.viewers(&key, after(20)), audience.bytes_out(&key)), (2, 30));
        audience.note(&key, viewer(2), 10, after(20));
        assert_eq!(audience.viewers(&key, after(26)), 1);
        audience.forget(after(26));
        assert_eq!(audience.viewers, 1);
        audience.forget(after(60));
        assert!(audience.streams.is_empty());
    }

    #[test]
    fn a_crowd_is_counted_within_bounds() {
        let key = StreamKey::new("live", "x").unwrap();
        let (mut audience, start) = (Audience::default(), Instant::now());
        for number in 0..MAX_VIEWERS as u64 + 10 {
            audience.note(&key, Viewer(number), 1, start);
        }
        assert_eq!(audience.viewers(&key, start), MAX_VIEWERS);
        audience.note(&key, viewer(1), 1, start + PRESENT);
        assert_eq!(audience.viewers(&key, start + PRESENT), 1);
    }
}
