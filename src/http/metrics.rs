//! `/metrics`: how the server is, as Prometheus and OpenMetrics collectors read it.
//!
//! Each scrape builds its families from snapshots, so nothing is counted twice and nothing outlives what it is about. What
//! the network may choose is a label of few streams only: beyond [`MOST_STREAMS`] a stream is part of its app's rest.

use std::{collections::BTreeMap, fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{Site, api};
use crate::{
    hub::{StreamKey, StreamSnapshot},
    pipeline::{encoder::status::EncodersStatus, job::State, roster::PipelineSnapshot},
};

/// Media type of the answer.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Most streams that are told one by one.
const MOST_STREAMS: usize = 1_000;
/// Most pipelines that are.
const MOST_PIPELINES: usize = 1_000;
/// What stands for the name of all further streams of an app. No stream can have it: it is no name that can be published.
const OTHERS: &str = "";

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Counters = Family<Labels, Counter<u64>>;
type Sums = Family<Labels, Counter<f64, AtomicU64>>;

/// The whole text.
pub(super) fn text(site: &Site) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("streammill");
    server(site, &mut registry);
    streams(site, &mut registry);
    let pipelines = (site.pipelines)();
    pipelines_of(&pipelines, &mut registry);
    encoders(&(site.encoders)(), &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn gauges(registry: &mut Registry, name: &str, help: &str) -> Gauges {
    let family = Gauges::default();
    registry.register(name, help, family.clone());
    family
}

fn gauges_in(registry: &mut Registry, name: &str, help: &str, unit: Unit) -> Gauges {
    let family = Gauges::default();
    registry.register_with_unit(name, help, unit, family.clone());
    family
}

fn counters(registry: &mut Registry, name: &str, help: &str) -> Counters {
    let family = Counters::default();
    registry.register(name, help, family.clone());
    family
}

fn bytes(registry: &mut Registry, name: &str, help: &str) -> Counters {
    let family = Counters::default();
    registry.register_with_unit(name, help, Unit::Bytes, family.clone());
    family
}

fn server(site: &Site, registry: &mut Registry) {
    let build = gauges(registry, "build_info", "Which version runs; always 1");
    build
        .get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())])
        .set(1.0);
    let uptime = gauges_in(registry, "uptime", "Time since the server began", Unit::Seconds);
    uptime
        .get_or_create(&Labels::new())
        .set(site.statistics.started.elapsed().as_secs_f64());
}

/// What is told of a stream, or of all further ones of an app.
#[derive(Default)]
struct Sum {
    streams: u64,
    bytes_in: u64,
    bytes_out: u64,
    dropped: u64,
    viewers: BTreeMap<&'static str, u64>,
}

fn streams(site: &Site, registry: &mut Registry) {
    let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
    let streams = site.hub.streams();
    for (number, stream) in streams.iter().enumerate() {
        let StreamSnapshot { key, live, .. } = stream;
        let name = match number < MOST_STREAMS {
            true => key.name(),
            false => OTHERS,
        };
        let sum = sums.entry((key.app().to_owned(), name.to_owned())).or_default();
        sum.streams += u64::from(live.is_some());
        sum.bytes_in += live.as_ref().map_or(0, |live| live.bytes_in);
        sum.bytes_out += site.meter().rates(key).bytes_out;
        sum.dropped += stream.subscribers.iter().map(|one| one.dropped).sum::<u64>();
        for (protocol, viewers) in api::viewers_by_protocol(site, stream) {
            *sum.viewers.entry(protocol).or_default() += viewers;
        }
    }
    let live = gauges(registry, "streams", "Streams that someone publishes");
    let received = bytes(registry, "received", "Media received of the publication that is live");
    let sent = bytes(
        registry,
        "sent",
        "Media sent to viewers and pipelines of the publication that is live",
    );
    let dropped = counters(
        registry,
        "dropped_packets",
        "Packets lost by present viewers that read too slowly",
    );
    let viewers = gauges(registry, "viewers", "Viewers, by the way they watch");
    for ((app, name), sum) in sums {
        let labels: Labels = vec![("app", app.clone()), ("name", name)];
        live.get_or_create(&vec![("app", app)]).inc_by(sum.streams as f64);
        received.get_or_create(&labels).inc_by(sum.bytes_in);
        sent.get_or_create(&labels).inc_by(sum.bytes_out);
        dropped.get_or_create(&labels).inc_by(sum.dropped);
        for (protocol, count) in sum.viewers {
            let mut labels = labels.clone();
            labels.push(("protocol", protocol.to_owned()));
            viewers.get_or_create(&labels).set(count as f64);
        }
    }
}

fn pipelines_of(pipelines: &[PipelineSnapshot], registry: &mut Registry) {
    let states = gauges(registry, "pipelines", "Pipelines, by their template and state");
    let restarts = counters(
        registry,
        "pipeline_restarts",
        "How often a pipeline was built again after a failure",
    );
    let dropped = counters(
        registry,
        "pipeline_dropped_frames",
        "Frames that a pipeline was too slow for",
    );
    let queued = gauges_in(registry, "pipeline_queued", "Media that waits to go in", Unit::Bytes);
    let behind = gauges_in(
        registry,
        "pipeline_behind",
        "Media time that waits to go in",
        Unit::Seconds,
    );
    let stages = gauges_in(
        registry,
        "pipeline_stage",
        "Mean time from the stage before, over the last frames",
        Unit::Seconds,
    );
    let short = gauges(
        registry,
        "pipeline_shortage",
        "1 where a pipeline does less for want of encoders",
    );
    let cpu = Sums::default();
    registry.register_with_unit(
        "pipeline_cpu",
        "Processor time of its worker",
        Unit::Seconds,
        cpu.clone(),
    );
    let memory = gauges_in(
        registry,
        "pipeline_memory",
        "Memory that its worker occupies",
        Unit::Bytes,
    );
    for state in State::ALL {
        // A state that none is in is told, too: a missing series cannot be alerted on.
        states
            .get_or_create(&vec![("state", state.as_str().to_owned())])
            .set(0.0);
    }
    for pipeline in pipelines {
        let status = &pipeline.status;
        states
            .get_or_create(&vec![("state", status.state.as_str().to_owned())])
            .inc();
    }
    for pipeline in pipelines.iter().take(MOST_PIPELINES) {
        let status = &pipeline.status;
        let labels: Labels = vec![
            ("pipeline", pipeline.number.to_string()),
            ("template", pipeline.template.clone()),
            (
                "stream",
                pipeline.input.as_ref().map_or_else(String::new, StreamKey::to_string),
            ),
        ];
        let with = |name: &'static str, value: String| {
            let mut labels = labels.clone();
            labels.push((name, value));
            labels
        };
        restarts.get_or_create(&labels).inc_by(status.restarts.into());
        dropped.get_or_create(&labels).inc_by(status.dropped);
        short.get_or_create(&labels).set(f64::from(status.shortage.is_some()));
        for (track, level) in &status.levels {
            let labels = with("track", track.to_string());
            queued.get_or_create(&labels).set(level.bytes as f64);
            behind.get_or_create(&labels).set(level.time.as_millis() as f64 / 1e3);
        }
        for stage in &status.stages {
            stages
                .get_or_create(&with("stage", stage.name.clone()))
                .set(stage.mean.as_secs_f64());
        }
        if let Some(usage) = &status.usage {
            cpu.get_or_create(&labels).inc_by(usage.cpu.as_secs_f64());
            memory.get_or_create(&labels).set(usage.memory as f64);
        }
    }
}

fn encoders(status: &EncodersStatus, registry: &mut Registry) {
    let works = gauges(
        registry,
        "encoder_works",
        "1 where an encoder can be taken, by its state",
    );
    let sessions = gauges(registry, "encoder_sessions", "Sessions in use");
    let allowed = gauges(
        registry,
        "encoder_sessions_allowed",
        "Most sessions at a time, where that is limited",
    );
    for encoder in &status.encoders {
        let labels: Labels = vec![
            ("element", encoder.element.clone()),
            ("codec", encoder.codec.to_owned()),
            ("class", encoder.class.to_owned()),
            ("device", encoder.device.clone().unwrap_or_default()),
        ];
        works.get_or_create(&labels).set(f64::from(encoder.state == "works"));
        sessions.get_or_create(&labels).set(encoder.sessions.into());
        if let Some(most) = encoder.sessions_allowed {
            allowed.get_or_create(&labels).set(most.into());
        }
    }
    let cores = gauges(
        registry,
        "software_cores",
        "Cores that software encoders take, as estimated",
    );
    cores.get_or_create(&Labels::new()).set(status.software_cores);
    let most = gauges(
        registry,
        "software_cores_allowed",
        "Cores that software encoders may take",
    );
    most.get_or_create(&Labels::new()).set(status.software_cores_allowed);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        hub::{Hub, Limits, Origin},
        output::hls,
    };

    fn site_with(keys: &[&str]) -> (Site, Vec<crate::hub::Publication>) {
        let hub = Hub::new(Limits::default());
        let publications = keys
            .iter()
            .map(|key| {
                let (app, name) = key.split_once('/').unwrap();
                let origin = Origin::Rtmp {
                    peer: None,
                    software: "test".to_owned(),
                };
                hub.claim(StreamKey::new(app, name).unwrap(), origin).unwrap()
            })
            .collect();
        (Site::new(hub, hls::Store::new(0)), publications)
    }

    #[test]
    fn a_scrape_ends_as_openmetrics_wants_and_tells_streams_and_states() {
        let (site, _publications) = site_with(&["live/a", "live/b", "tv/a"]);
        let text = text(&site).unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        for line in [
            "streammill_streams{app=\"live\"} 2.0",
            "streammill_streams{app=\"tv\"} 1.0",
            "streammill_received_bytes_total{app=\"tv\",name=\"a\"} 0",
            "streammill_pipelines{state=\"running\"} 0.0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn a_name_stays_a_label_whatever_is_in_it() {
        let hostile = "live/a\"} 1\\ b";
        let (site, _publications) = site_with(&[hostile]);
        let text = text(&site).unwrap();
        let line = "streammill_received_bytes_total{app=\"live\",name=\"a\\\"} 1\\\\ b\"} 0";
        assert!(text.lines().any(|other| other == line), "{text}");
    }

    #[test]
    fn more_streams_than_anyone_looks_at_are_told_as_one() {
        let keys: Vec<_> = (0..MOST_STREAMS + 5).map(|number| format!("live/{number}")).collect();
        let (site, _publications) = site_with(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        let text = text(&site).unwrap();
        let told = text
            .lines()
            .filter(|line| line.starts_with("streammill_received_bytes_total{"));
        assert_eq!(told.count(), MOST_STREAMS + 1);
        assert!(text.contains("streammill_received_bytes_total{app=\"live\",name=\"\"} 0"));
    }
}
