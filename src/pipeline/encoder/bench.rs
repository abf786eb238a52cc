//! The bench: where encoders wait to be taken.
//!
//! It counts the sessions of each, holds what is known of their health, and says for a need which one to take: the first in
//! the policy's order that nothing speaks against. Drivers refuse sessions beyond a number that they tell nobody, so a
//! limit is learned from the session that failed while others ran. Time is handed in.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use super::{
    codec::EncoderCodec,
    map::Encoder,
    policy::{Policy, device_name},
    refusal::{PassedOver, Refused, Why},
    seats::{Seat, State},
    standing::{Health, Snapshot},
    workload::Need,
};

/// All encoders that are installed. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct EncoderBench {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    policy: Policy,
    known: Vec<Encoder>,
    state: Mutex<State>,
    probed: Notify,
}

/// The right to use an encoder. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    inner: Arc<Inner>,
    seat: usize,
    sessions: u32,
    cores: f64,
    encoder: Encoder,
    passed_over: Vec<PassedOver>,
}

impl EncoderBench {
    /// A bench with these encoders, in the map's order. `known` are those that could be there, for messages.
    pub fn new(policy: Policy, installed: Vec<Encoder>, known: impl Iterator<Item = Encoder>) -> Self {
        let inner = Inner {
            policy,
            known: known.collect(),
            state: Mutex::new(State::new(installed)),
            probed: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes the first encoder that nothing speaks against.
    pub fn acquire(&self, need: &Need, now: Instant) -> Result<Lease, Refused> {
        let mut state = self.inner.lock();
        let policy = &self.inner.policy;
        let mut passed_over = Vec::new();
        let mut taken = None;
        for index in state.order(policy, need.codec) {
            match state.objection(policy, index, need, now) {
                None => {
                    taken = Some(index);
                    break;
                }
                Some(why) => passed_over.push((index, why)),
            }
        }
        // Software does not fail by itself; what failed was one stream's, and another's is better served than refused.
        let spared = || {
            let is_spared = |(index, why): &&(usize, Why)| {
                matches!(why, Why::SetAside { .. }) && state.seats[*index].encoder.is_software()
            };
            passed_over.iter().find(is_spared).map(|(index, _)| *index)
        };
        let taken = taken.or_else(spared);
        let passed_over = passed_over.into_iter().filter(|(index, _)| Some(*index) != taken);
        let passed_over: Vec<_> = passed_over
            .map(|(index, why)| PassedOver {
                element: state.seats[index].encoder.element.clone(),
                why,
            })
            .collect();
        let Some(seat) = taken else {
            let would_do = self.inner.known.iter().filter(|encoder| encoder.codec == need.codec);
            return Err(Refused {
                codec: need.codec,
                passed_over,
                would_do: would_do.map(|encoder| encoder.element.clone()).collect(),
            });
        };
        let encoder = state.seats[seat].encoder.clone();
        let cores = need.cores(&encoder);
        state.count(seat, i64::from(need.sessions), cores);
        Ok(Lease {
            inner: self.inner.clone(),
            seat,
            sessions: need.sessions,
            cores,
            encoder,
            passed_over,
        })
    }

    /// Says that these are going to be probed. [`settled`](Self::settled) waits for them.
    pub fn await_probes(&self, elements: &[Encoder]) {
        let mut state = self.inner.lock();
        for seat in &mut state.seats {
            if elements.iter().any(|encoder| encoder.element == seat.encoder.element) {
                seat.health = Health::Awaited;
            }
        }
    }

    /// Takes down what a probe found out, and on what the encoder runs.
    pub fn probed(&self, element: &str, health: Health, device: Option<&str>) {
        let mut state = self.inner.lock();
        if let Some(seat) = state.seats.iter_mut().find(|seat| seat.encoder.element == element) {
            seat.health = health;
            seat.device = device
                .map(|device| device_name(device).to_owned())
                .or(seat.device.take());
        }
        self.inner.probed.notify_waiters();
    }

    /// Waits until all hardware for a codec that is going to be probed has been. What pipelines get in the first seconds they
    /// keep, and that should not be software because a probe was still running. Hardware is not taken before.
    pub async fn settled(&self, codec: EncoderCodec) {
        loop {
            let mut probed = std::pin::pin!(self.inner.probed.notified());
            // From here on no notice is missed.
            probed.as_mut().enable();
            let is_awaited = |seat: &Seat| {
                seat.health == Health::Awaited && seat.encoder.codec == codec && !seat.encoder.is_software()
            };
            if !self.inner.lock().seats.iter().any(is_awaited) {
                return;
            }
            probed.await;
        }
    }

    /// Everything as it stands.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        self.inner.lock().snapshot(&self.inner.policy, now)
    }
}

impl Inner {
    /// The lock is held for counting only; a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The encoder to use.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Those that would have come first, and why they did not.
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Something has come out of it: earlier failures count no more.
    pub fn works(&self) {
        self.inner.lock().seats[self.seat].failures = 0;
    }

    /// It has failed, before or after something came out of it. It is passed over for a while; and if it is hardware of which
    /// other sessions run, and nothing came, those are as many as there can be.
    pub fn failed(self, reason: &str, had_output: bool, now: Instant) {
        let mut state = self.inner.lock();
        let seat = &mut state.seats[self.seat];
        seat.fail(reason, now);
        let others = seat.sessions.saturating_sub(self.sessions);
        if !had_output && others > 0 && !seat.encoder.is_software() {
            seat.learned = Some((others, now));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.inner
            .lock()
            .count(self.seat, -i64::from(self.sessions), -self.cores);
    }
}

#[cfg(test)]
mod tests;
