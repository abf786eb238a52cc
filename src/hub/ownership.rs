//! Ownership: which publisher a publication belongs to, and what may follow him.
//!
//! A publication outlives its publisher in two cases: another one takes his place, or he is away for a while and may come
//! back. Players stay and the timeline goes on in both. The rules are here, on plain values; the clock is the caller's.

use std::time::{Duration, Instant};

use super::Origin;

/// On which terms a publisher gets a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// He replaces a client that publishes it. Otherwise he is refused.
    pub takes_over: bool,
    /// How long the publication waits for him, or for anyone else, after he left. Encoders that are restarted come back
    /// from another port and, behind a router that was restarted, another address, so whoever may publish may return.
    pub grace: Duration,
}

/// Who has a publication.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// Moves with each publisher; one with an older number has been replaced.
    pub(super) term: u64,
    pub(super) origin: Origin,
    /// Since when he has been away.
    pub(super) away_since: Option<Instant>,
    pub(super) has_ended: bool,
}

impl Owner {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            term: 0,
            origin,
            away_since: None,
            has_ended: false,
        }
    }

    /// Makes `origin` the publisher if the terms allow it. Answers his term.
    ///
    /// A pipeline keeps what it publishes: it would claim it again at once.
    pub(super) fn follow(&mut self, origin: &Origin, terms: Terms) -> Option<u64> {
        let are_clients = matches!((&self.origin, origin), (Origin::Rtmp { .. }, Origin::Rtmp { .. }));
        let is_free = self.away_since.is_some() || (terms.takes_over && are_clients);
        if self.has_ended || !is_free {
            return None;
        }
        self.term += 1;
        self.origin = origin.clone();
        self.away_since = None;
        Some(self.term)
    }

    /// The publisher of `term` leaves. Answers what becomes of the publication.
    pub(super) fn leave(&mut self, term: u64, grace: Duration, now: Instant) -> Left {
        if term != self.term {
            return Left::Replaced;
        }
        if grace.is_zero() {
            self.has_ended = true;
            return Left::Ended;
        }
        self.away_since = Some(now);
        Left::Away
    }

    /// Ends the publication if the publisher of `term` has not been followed.
    pub(super) fn give_up(&mut self, term: u64) -> bool {
        let is_waiting = term == self.term && self.away_since.is_some() && !self.has_ended;
        self.has_ended |= is_waiting;
        is_waiting
    }
}

/// What became of a publication when its publisher left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Somebody else has it.
    Replaced,
    /// It waits.
    Away,
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Origin {
        Origin::Rtmp {
            peer: Some(([127, 0, 0, 1], 1).into()),
            software: String::new(),
        }
    }

    fn pipeline() -> Origin {
        Origin::Pipeline {
            template: String::new(),
            ancestors: Vec::new(),
        }
    }

    const TAKES_OVER: Terms = Terms {
        takes_over: true,
        grace: Duration::ZERO,
    };
    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn a_client_is_replaced_only_by_one_that_takes_over() {
        let mut owner = Owner::new(client());
        assert_eq!(owner.follow(&client(), Terms::default()), None);
        assert_eq!(owner.follow(&pipeline(), TAKES_OVER), None);
        assert_eq!(owner.follow(&client(), TAKES_OVER), Some(1));
        assert_eq!(owner.leave(0, GRACE, Instant::now()), Left::Replaced);
        assert_eq!(Owner::new(pipeline()).follow(&client(), TAKES_OVER), None);
    }

    #[test]
    fn who_is_away_may_be_followed_by_anyone_until_he_is_given_up() {
        let mut owner = Owner::new(client());
        assert_eq!(owner.leave(0, GRACE, Instant::now()), Left::Away);
        assert_eq!(owner.follow(&client(), Terms::default()), Some(1));
        assert!(!owner.give_up(0), "he has been followed");
        assert_eq!(owner.leave(1, GRACE, Instant::now()), Left::Away);
        assert!(owner.give_up(1));
        assert_eq!(
            owner.follow(&client(), TAKES_OVER),
            None,
            "what has ended is not taken up"
        );
    }

    #[test]
    fn without_a_grace_the_publication_ends_with_its_publisher() {
        assert_eq!(
            Owner::new(client()).leave(0, Duration::ZERO, Instant::now()),
            Left::Ended
        );
    }
}
