//! Leases: all the encoders that one pipeline uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use streammill_media::Track;

use super::{
    super::{params::Values, template::Template},
    Chosen,
    bench::{EncoderBench, Lease},
    refusal::Refused,
    workload::needs,
};

/// The encoders of a pipeline, by role. Dropping them gives them back.
#[derive(Debug, Default)]
pub struct Leases {
    leases: BTreeMap<String, Lease>,
}

impl Leases {
    /// Takes an encoder for each role that is in use, or none at all. `exclude` are elements that have failed in this
    /// pipeline.
    pub fn acquire(
        bench: &EncoderBench,
        template: &Template,
        values: &Values,
        tracks: &[Track],
        exclude: &BTreeSet<String>,
        now: Instant,
    ) -> Result<Self, Refused> {
        let mut leases = BTreeMap::new();
        for (name, mut need) in needs(template, values, tracks) {
            need.exclude.clone_from(exclude);
            leases.insert(name, bench.acquire(&need, now)?);
        }
        Ok(Self { leases })
    }

    /// Waits until the hardware that could do it has been probed.
    pub async fn settled(bench: &EncoderBench, template: &Template) {
        for role in template.encoders.values() {
            bench.settled(role.codec).await;
        }
    }

    /// The encoders, for [`Recipe`](super::super::blueprint::Recipe).
    pub fn chosen(&self) -> Chosen {
        let encoders = self.leases.iter();
        encoders
            .map(|(name, lease)| (name.clone(), lease.encoder().clone()))
            .collect()
    }

    /// The lease for each role.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Lease)> {
        self.leases.iter().map(|(name, lease)| (name.as_str(), lease))
    }

    /// The role whose encoder a failure is about. `elements` are the names of the element it began in and of those around
    /// it; copies for further tracks are named after the first. Where they name no encoder, as when a process died, hardware
    /// is the first to be suspected.
    pub fn blamed(&self, elements: &[String]) -> Option<String> {
        let is_it = |role: &str, element: &str| {
            let rest = element.strip_prefix(role)?;
            let copy = rest.strip_prefix('_').map(|number| number.parse::<u16>().is_ok());
            (rest.is_empty() || copy == Some(true)).then_some(())
        };
        let mut roles = self.leases.keys();
        let named = roles.find(|role| elements.iter().any(|element| is_it(role, element).is_some()));
        let suspected = || {
            let mut leases = self.leases.iter();
            let hardware = leases.find(|(_, lease)| !lease.encoder().is_software());
            hardware.map(|(role, _)| role).filter(|_| elements.is_empty())
        };
        named.or_else(suspected).cloned()
    }

    /// Something has come out of all of them.
    pub fn work(&self) {
        self.leases.values().for_each(Lease::works);
    }

    /// The encoder of a role has failed: tells the bench, gives it back, and answers with the element.
    pub fn failed(&mut self, role: &str, reason: &str, had_output: bool, now: Instant) -> Option<String> {
        let lease = self.leases.remove(role)?;
        let element = lease.encoder().element.clone();
        lease.failed(reason, had_output, now);
        Some(element)
    }
}
