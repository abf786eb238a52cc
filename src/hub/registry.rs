//! The registry: which key is where, and the atomic claim of a key.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use streammill_media::MediaTime;

use tokio::sync::watch;

use super::{
    Interest, Limits, Origin, Publication, PublicationId, StreamKey, StreamSnapshot, Subscriber, SubscriberId, Terms,
    live::Live, subscriber::Presence,
};

/// All streams of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    places: Mutex<HashMap<StreamKey, Arc<Place>>>,
    changed: watch::Sender<u64>,
    ids: AtomicU64,
    limits: Limits,
    absences: Mutex<Vec<Absence>>,
}

/// A publisher that may come back.
#[derive(Debug)]
struct Absence {
    place: Weak<Place>,
    live: Weak<Live>,
    term: u64,
    until: Instant,
}

/// Where a key's publisher and subscribers meet. It exists while one of them does.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: StreamKey,
    pub(super) live: watch::Sender<Option<Arc<Live>>>,
    pub(super) present: Mutex<Vec<Arc<Presence>>>,
    hub: Weak<Shared>,
}

impl Hub {
    /// An empty hub whose publications have these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                places: Mutex::default(),
                changed: watch::Sender::new(0),
                ids: AtomicU64::new(1),
                limits,
                absences: Mutex::default(),
            }),
        }
    }

    /// Claims a key for a publisher. Of several who try at once one gets it.
    pub fn claim(&self, key: StreamKey, origin: Origin) -> Result<Publication, ClaimError> {
        self.claim_on(key, origin, Terms::default())
    }

    /// As [`claim`](Self::claim), on terms: the claim may follow a publisher who is there or has been.
    pub fn claim_on(&self, key: StreamKey, origin: Origin, terms: Terms) -> Result<Publication, ClaimError> {
        if origin.descends_from(&key) {
            return Err(ClaimError::Loop { key });
        }
        let mut places = self.shared.places();
        let place = self.shared.place(&mut places, key);
        let running = place.live.borrow().clone();
        if let Some(live) = running {
            let Some(follows) = live.follow(&origin, terms) else {
                return Err(ClaimError::Taken { key: place.key.clone() });
            };
            drop(places);
            self.shared.announce();
            return Ok(Publication::new(place, live, follows, terms.grace));
        }
        let live = Arc::new(Live::new(
            PublicationId(self.shared.next_id()),
            origin,
            self.shared.limits,
        ));
        place.live.send_replace(Some(live.clone()));
        drop(places);
        self.shared.announce();
        Ok(Publication::new(place, live, (0, MediaTime::ZERO), terms.grace))
    }

    /// Ends the publications whose publishers have been away for longer than their grace. To be called now and then: how
    /// often is how exactly the grace is kept.
    pub fn end_absent(&self) {
        let now = Instant::now();
        let due: Vec<Absence> = self
            .shared
            .absences()
            .extract_if(.., |absence| absence.until <= now)
            .collect();
        for Absence { place, live, term, .. } in due {
            let Some((place, live)) = place.upgrade().zip(live.upgrade()) else {
                continue;
            };
            if live.give_up(term) {
                place.release(&live);
            }
        }
    }

    /// Subscribes to a key, whether it is live or not: what comes first tells.
    pub fn subscribe(&self, key: &StreamKey, interest: Interest) -> Subscriber {
        let mut places = self.shared.places();
        let place = self.shared.place(&mut places, key.clone());
        let presence = Arc::new(Presence::new(SubscriberId(self.shared.next_id()), interest));
        place.present().push(presence.clone());
        drop(places);
        self.shared.announce();
        Subscriber::new(place, presence)
    }

    /// True while someone publishes the key.
    pub fn is_live(&self, key: &StreamKey) -> bool {
        let places = self.shared.places();
        places.get(key).is_some_and(|place| place.live.borrow().is_some())
    }

    /// Every key that has a publisher or a subscriber, in order of keys.
    pub fn streams(&self) -> Vec<StreamSnapshot> {
        let places: Vec<_> = self.shared.places().values().cloned().collect();
        let mut streams: Vec<_> = places.iter().map(|place| StreamSnapshot::take(place)).collect();
        streams.sort_by(|a, b| a.key.cmp(&b.key));
        streams
    }

    /// One key, if it has a publisher or a subscriber.
    pub fn stream(&self, key: &StreamKey) -> Option<StreamSnapshot> {
        let place = self.shared.places().get(key).cloned()?;
        Some(StreamSnapshot::take(&place))
    }

    /// Moves whenever a publication or a subscription starts or ends. Level-triggered: look at [`streams`](Self::streams)
    /// after each move.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}

impl Shared {
    /// The lock is held for map operations only; a poisoned one is still whole.
    fn places(&self) -> MutexGuard<'_, HashMap<StreamKey, Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(self: &Arc<Self>, places: &mut HashMap<StreamKey, Arc<Place>>, key: StreamKey) -> Arc<Place> {
        match places.entry(key) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(vacant) => {
                let place = Arc::new(Place {
                    key: vacant.key().clone(),
                    live: watch::Sender::new(None),
                    present: Mutex::default(),
                    hub: Arc::downgrade(self),
                });
                vacant.insert(place).clone()
            }
        }
    }

    fn absences(&self) -> MutexGuard<'_, Vec<Absence>> {
        self.absences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn announce(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    fn forget_if_empty(&self, place: &Place) {
        let mut places = self.places();
        if place.live.borrow().is_none() && place.present().is_empty() {
            places.remove(&place.key);
        }
    }
}

impl Place {
    pub(super) fn present(&self) -> MutexGuard<'_, Vec<Arc<Presence>>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a publication: the key is free before the subscribers are told.
    pub(super) fn release(&self, live: &Arc<Live>) {
        self.live.send_replace(None);
        live.end();
        self.left();
    }

    /// Keeps a publication whose publisher left until he, or someone else, follows or the grace is over.
    pub(super) fn wait_for_return(self: &Arc<Self>, live: &Arc<Live>, term: u64, grace: Duration) {
        let Some(hub) = self.hub.upgrade() else { return };
        let live = Arc::downgrade(live);
        let mut absences = hub.absences();
        // Someone who comes and goes leaves one behind.
        absences.retain(|absence| !absence.live.ptr_eq(&live));
        absences.push(Absence {
            place: Arc::downgrade(self),
            live,
            term,
            until: Instant::now() + grace,
        });
        drop(absences);
        hub.announce();
    }

    pub(super) fn leave(&self, presence: &Arc<Presence>) {
        self.present().retain(|known| !Arc::ptr_eq(known, presence));
        self.left();
    }

    fn left(&self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.forget_if_empty(self);
            hub.announce();
        }
    }
}

/// Why a publisher does not get a key. The text is shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Someone else publishes it.
    #[error("stream {key} is already being published; stop the other publisher or use another name")]
    Taken {
        /// The key.
        key: StreamKey,
    },
    /// A pipeline would feed the stream it is made from.
    #[error("stream {key} is what this pipeline works on; it cannot be published to as well")]
    Loop {
        /// The key.
        key: StreamKey,
    },
}
