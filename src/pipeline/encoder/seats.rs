//! Seats: the encoders on the bench, with what is counted and known of each.
//!
//! All of it is plain values, and every question is answered for a time that is handed in.

use std::time::{Duration, Instant};

use super::{
    codec::EncoderCodec,
    map::Encoder,
    policy::Policy,
    refusal::Why,
    standing::{Health, Snapshot, Standing},
    workload::Need,
};

/// How long an element is passed over after a failure; each further one doubles it.
const ASIDE: Duration = Duration::from_secs(10);
/// And most.
const LONGEST_ASIDE: Duration = Duration::from_secs(600);

/// How long a learned limit holds. Others may have taken the sessions that were missing.
const LEARNED: Duration = Duration::from_secs(600);

/// All encoders that are installed.
#[derive(Debug)]
pub(super) struct State {
    pub(super) seats: Vec<Seat>,
    /// Sessions of pictures on the processor, and the cores that they take.
    software: u32,
    cores: f64,
}

/// An encoder and what is known of it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) encoder: Encoder,
    pub(super) device: Option<String>,
    pub(super) health: Health,
    pub(super) sessions: u32,
    pub(super) learned: Option<(u32, Instant)>,
    pub(super) failures: u32,
    aside_until: Option<Instant>,
    last_error: Option<String>,
}

impl State {
    /// With these encoders, in the map's order.
    pub(super) fn new(installed: Vec<Encoder>) -> Self {
        let seat = |encoder: Encoder| Seat {
            device: encoder.device_in(&encoder.element).map(str::to_owned),
            health: Health::Unknown,
            sessions: 0,
            learned: None,
            failures: 0,
            aside_until: None,
            last_error: None,
            encoder,
        };
        Self {
            seats: installed.into_iter().map(seat).collect(),
            software: 0,
            cores: 0.0,
        }
    }

    /// The places of a codec's encoders in the order they are taken.
    pub(super) fn order(&self, policy: &Policy, codec: EncoderCodec) -> Vec<usize> {
        let seats = &self.seats;
        let mut places: Vec<_> = (0..seats.len())
            .filter(|index| seats[*index].encoder.codec == codec)
            .collect();
        places.sort_by_key(|index| policy.rank(&seats[*index].encoder, seats[*index].device(), *index));
        places
    }

    /// What speaks against taking an encoder. What passes by itself comes last.
    pub(super) fn objection(&self, policy: &Policy, index: usize, need: &Need, now: Instant) -> Option<Why> {
        let seat = &self.seats[index];
        let (encoder, device) = (&seat.encoder, seat.device());
        if need.exclude.contains(&encoder.element) {
            return Some(Why::Excluded);
        }
        if let Some(which) = policy.forbidden(encoder, device) {
            return Some(Why::Forbidden(which));
        }
        match &seat.health {
            Health::Broken(reason) => return Some(Why::Broken(reason.clone())),
            Health::Awaited if !encoder.is_software() => return Some(Why::Probing),
            _ => {}
        }
        for (which, most) in policy.limits(encoder, device) {
            let covered = self
                .seats
                .iter()
                .filter(|seat| which.covers(&seat.encoder, seat.device()));
            let in_use: u32 = covered.map(|seat| seat.sessions).sum();
            if in_use + need.sessions > most {
                let of = which.to_string();
                return Some(Why::Limit { of, in_use, most });
            }
        }
        if encoder.is_software() && encoder.codec.is_video() {
            match policy.software() {
                Some(most) if self.software + need.sessions > most => {
                    let (of, in_use) = ("software".to_owned(), self.software);
                    return Some(Why::Limit { of, in_use, most });
                }
                _ => {}
            }
            let cores = need.cores(encoder);
            if !policy.has_cores_for(cores, self.cores) {
                return Some(Why::Cores {
                    needed: cores,
                    in_use: self.cores,
                    most: policy.cores(),
                });
            }
        }
        if let Some(most) = seat.learned(now).filter(|most| seat.sessions + need.sessions > *most) {
            let in_use = seat.sessions;
            return Some(Why::Learned { in_use, most });
        }
        seat.aside(now).map(|left| Why::SetAside {
            left,
            reason: seat.last_error.clone().unwrap_or_default(),
        })
    }

    /// Takes sessions into the counts, or out of them.
    pub(super) fn count(&mut self, index: usize, sessions: i64, cores: f64) {
        let add = |to: u32| u32::try_from((i64::from(to) + sessions).max(0)).unwrap_or(u32::MAX);
        let seat = &mut self.seats[index];
        seat.sessions = add(seat.sessions);
        if seat.encoder.is_software() && seat.encoder.codec.is_video() {
            self.software = add(self.software);
            // Without sessions nothing is in use, whatever rounding has left.
            self.cores = if self.software == 0 {
                0.0
            } else {
                (self.cores + cores).max(0.0)
            };
        }
    }

    /// Everything as it stands.
    pub(super) fn snapshot(&self, policy: &Policy, now: Instant) -> Snapshot {
        let standing = |index: usize| {
            let seat = &self.seats[index];
            let (encoder, device) = (&seat.encoder, seat.device());
            let limits = policy.limits(encoder, device).map(|(_, most)| most);
            let learned = seat.learned(now);
            let software = policy
                .software()
                .filter(|_| encoder.is_software() && encoder.codec.is_video());
            Standing {
                encoder: encoder.clone(),
                device: device.map(str::to_owned),
                health: seat.health.clone(),
                forbidden: policy.forbidden(encoder, device),
                sessions: seat.sessions,
                allowed: limits.chain(learned).chain(software).min(),
                learned,
                aside: seat.aside(now),
                last_error: seat.last_error.clone(),
            }
        };
        let codecs = EncoderCodec::ALL.into_iter();
        Snapshot {
            encoders: codecs
                .flat_map(|codec| self.order(policy, codec))
                .map(standing)
                .collect(),
            software: self.software,
            software_allowed: policy.software(),
            cores: self.cores,
            cores_allowed: policy.cores(),
        }
    }
}

impl Seat {
    /// It has failed once more, and is passed over for a while.
    pub(super) fn fail(&mut self, reason: &str, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let doublings = (self.failures - 1).min(16);
        self.aside_until = Some(now + ASIDE.saturating_mul(1 << doublings).min(LONGEST_ASIDE));
        self.last_error = Some(reason.to_owned());
    }

    fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    fn learned(&self, now: Instant) -> Option<u32> {
        let (most, since) = self.learned?;
        (now.saturating_duration_since(since) < LEARNED).then_some(most)
    }

    fn aside(&self, now: Instant) -> Option<Duration> {
        let left = self.aside_until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}
