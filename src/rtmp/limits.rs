//! Counting: how many connections there are of a client, and to an application, and no more than a limit.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Semaphore;
use tracing::warn;

use super::arrival::Place;

/// Most clients at a time that stay only to be told why they cannot. Further ones are closed without a word.
const MAX_REFUSALS: usize = 64;

/// The connections, counted by what limits there are for them.
#[derive(Debug)]
pub struct Clients {
    /// By [`client_of`] their address. All clients of socket files count as one.
    pub(super) addresses: Counts<Option<IpAddr>>,
    /// By the full name of their application.
    pub(super) apps: Counts<String>,
    refusals: Arc<Semaphore>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            addresses: Counts::default(),
            apps: Counts::default(),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
        }
    }
}

impl Clients {
    /// A place to be refused in, while there is one.
    pub(super) fn refuse(&self, reason: &'static str) -> Option<Place> {
        warn!(reason, "connection refused");
        let slot = self.refusals.clone().try_acquire_owned().ok()?;
        Some(Place::refused(slot, reason))
    }
}

/// Connections counted by what they have in common, their client's address or their application.
#[derive(Debug)]
pub(super) struct Counts<K>(Arc<Mutex<HashMap<K, usize>>>);

/// A place among those counted. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot<K: Hash + Eq> {
    counts: Counts<K>,
    key: K,
}

/// Who is counted as one client: an IPv4 address, or an IPv6 network of 64 bits, which is what one client has.
pub(super) fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

impl<K: Hash + Eq + Clone> Counts<K> {
    /// Counts one more, unless `limit` are there.
    pub(super) fn take(&self, key: K, limit: usize) -> Option<Slot<K>> {
        let mut counts = self.lock();
        let count = counts.entry(key.clone()).or_default();
        if *count >= limit {
            if limit == 0 {
                counts.remove(&key);
            }
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Slot {
            counts: self.clone(),
            key,
        })
    }
}

impl<K> Counts<K> {
    /// The lock is held for map operations only, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Clone for Counts<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_place_that_is_given_back_can_be_taken_again_and_nothing_is_kept() {
        let counts = Counts::default();
        let first = counts.take("a", 2).unwrap();
        let second = counts.take("a", 2).unwrap();
        assert!(counts.take("a", 2).is_none());
        assert!(counts.take("b", 2).is_some());
        drop(first);
        assert!(counts.take("a", 2).is_some());
        drop(second);
        assert!(counts.take("c", 0).is_none());
        assert!(counts.lock().is_empty());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client_and_a_mapped_address_as_what_it_maps() {
        let client = |text: &str| client_of(text.parse().unwrap());
        assert_eq!(client("2001:db8:0:1:aaaa::1"), client("2001:db8:0:1:bbbb::2"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8:0:2::1"));
        assert_eq!(client("::ffff:192.0.2.7"), client("192.0.2.7"));
        assert_ne!(client("192.0.2.7"), client("192.0.2.8"));
    }
}
