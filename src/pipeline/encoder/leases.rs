//! Leases: all the encoders that one pipeline uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use streammill_media::Track;
use tokio::time::timeout;

use super::{
    super::template::{Fitted, Template},
    Chosen,
    bench::{EncoderBench, Lease},
    refusal::Refused,
    workload::needs,
};

/// How long a pipeline waits for probes. One that works takes a fraction of it.
const BEARABLE: Duration = Duration::from_secs(5);

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
        fitted: &Fitted,
        tracks: &[Track],
        exclude: &BTreeSet<String>,
        now: Instant,
    ) -> Result<Self, Refused> {
        let mut leases = BTreeMap::new();
        for (name, mut need) in needs(fitted, tracks) {
            need.exclude.clone_from(exclude);
            leases.insert(name, bench.acquire(&need, now)?);
        }
        Ok(Self { leases })
    }

    /// Waits until the hardware that could do it has been probed, but no longer than is bearable.
    pub async fn settled(bench: &EncoderBench, template: &Template) {
        let all = async {
            for role in template.encoders.values() {
                bench.settled(role.codec).await;
            }
        };
        // What is not known by then is passed over.
        let _ = timeout(BEARABLE, all).await;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::{
        super::{
            super::{clip::Clip, params::Values},
            map::Map,
            policy::Policy,
            standing::{Health, Snapshot},
        },
        *,
    };

    const TEMPLATE: &str = "summary = 's'\noutput = 'stream'\n[encoders.v]\ncodec = 'h264'\n[encoders.a]\ncodec = 'aac'\n\
                            [launch]\ntracks = 'all'\nvideo = 'in.video ! encoder name=v ! out.video'\n\
                            audio = 'in.audio ! encoder name=a ! out.audio'";

    fn bench(installed: &[&str]) -> EncoderBench {
        let map = Map::built_in();
        let installed = installed.iter().map(|name| map.find(name).unwrap()).collect();
        EncoderBench::new(Policy::default(), installed, map.iter().cloned())
    }

    fn acquire(bench: &EncoderBench, tracks: &[Track]) -> Result<Leases, Refused> {
        let template = Template::parse(Path::new("t.toml"), TEMPLATE).unwrap();
        let fitted = template.fit(&Values::new(), tracks);
        Leases::acquire(bench, &fitted, tracks, &BTreeSet::new(), Instant::now())
    }

    fn sessions(snapshot: &Snapshot) -> Vec<u32> {
        snapshot.encoders.iter().map(|one| one.sessions).collect()
    }

    #[test]
    fn a_pipeline_gets_all_its_encoders_or_none() {
        let clip = Clip::canned().unwrap();
        let bench = bench(&["nvh264enc", "x264enc"]);
        let refused = acquire(&bench, &clip.tracks).unwrap_err().to_string();
        assert!(refused.starts_with("no aac encoder is installed"), "{refused}");
        assert_eq!(sessions(&bench.snapshot(Instant::now())), [0, 0]);
    }

    #[test]
    fn every_copy_for_a_further_track_is_a_session() {
        let mut tracks = Clip::canned().unwrap().tracks;
        let mut second = tracks
            .iter()
            .find(|track| track.kind() == streammill_media::MediaKind::Video)
            .unwrap()
            .clone();
        second.id = streammill_media::TrackId(1);
        tracks.push(second);
        let bench = bench(&["nvh264enc", "avenc_aac"]);
        let leases = acquire(&bench, &tracks).unwrap();
        assert_eq!(sessions(&bench.snapshot(Instant::now())), [2, 1]);
        assert_eq!(leases.chosen()["v"].element, "nvh264enc");
        drop(leases);
        assert_eq!(sessions(&bench.snapshot(Instant::now())), [0, 0]);
    }

    #[test]
    fn a_failure_is_laid_to_the_role_whose_element_reports_it() {
        let now = Instant::now();
        let bench = bench(&["nvh264enc", "avenc_aac"]);
        let mut leases = acquire(&bench, &Clip::canned().unwrap().tracks).unwrap();
        for (elements, role) in [
            (&["v", "pipeline0"][..], Some("v")),
            (&["inner", "v_1", "pipeline0"], Some("v")),
            (&["a"], Some("a")),
            (&["video"], None),
            (&["v_x"], None),
            // Nothing is named when a process dies, and drivers are the first to be suspected.
            (&[], Some("v")),
        ] {
            let names: Vec<_> = elements.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(leases.blamed(&names).as_deref(), role, "{elements:?}");
        }
        assert_eq!(leases.failed("v", "it broke", true, now).as_deref(), Some("nvh264enc"));
        assert_eq!(leases.failed("v", "it broke", true, now), None);
        assert_eq!(sessions(&bench.snapshot(now)), [0, 1]);
        assert_eq!(bench.snapshot(now).encoders[0].last_error.as_deref(), Some("it broke"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_hanging_probe_for_ever() {
        let bench = bench(&["nvh264enc", "x264enc", "avenc_aac"]);
        bench.await_probes(&[Map::built_in().find("nvh264enc").unwrap()]);
        let template = Template::parse(Path::new("t.toml"), TEMPLATE).unwrap();
        Leases::settled(&bench, &template).await;
        let leases = acquire(&bench, &Clip::canned().unwrap().tracks).unwrap();
        assert_eq!(leases.chosen()["v"].element, "x264enc");
        bench.probed("nvh264enc", Health::Works, None);
        let leases = acquire(&bench, &Clip::canned().unwrap().tracks).unwrap();
        assert_eq!(leases.chosen()["v"].element, "nvh264enc");
    }
}
