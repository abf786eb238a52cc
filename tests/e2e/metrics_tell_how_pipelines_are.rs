//! `/metrics` tells of every pipeline what it costs, how far it is behind and how long its stages take, and of every encoder
//! how many sessions are in use.

use crate::harness::{Publish, Server, get, poll_until, seconds};

/// The value of the first series whose name and labels have all these words.
fn value(text: &str, words: &[&str]) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| !line.starts_with('#') && words.iter().all(|word| line.contains(word)))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn of_a_transcode_that_runs() {
    let server = Server::start(
        "[apps.live]\npipelines = [{ template = \"transcode\", publish_to = \"small/{name}\" }]\n[apps.small]\n",
    );
    let _publisher = Publish::new().to(&server.rtmp("live/cam"));
    let wanted: [&[&str]; 7] = [
        &[
            "streammill_pipeline_cpu_seconds_total{",
            "template=\"transcode\"",
            "stream=\"live/cam\"",
        ],
        &["streammill_pipeline_memory_bytes{", "template=\"transcode\""],
        &["streammill_pipeline_stage_seconds{", "stage=\"encode\""],
        &["streammill_encoder_sessions{", "element=\"x264enc\""],
        &["streammill_pipelines{state=\"running\"}"],
        &["streammill_received_bytes_total{", "app=\"small\"", "name=\"cam\""],
        &["streammill_software_cores{}"],
    ];
    let text = poll_until(seconds(40), "figures above zero", || {
        let (code, text) = get(&server.http("metrics"))?;
        assert_eq!(code, 200, "{text}");
        let is_there = |words: &&[&str]| value(&text, words).is_some_and(|value| value > 0.0);
        wanted.iter().all(is_there).then_some(text)
    });
    assert_eq!(value(&text, &["streammill_pipeline_restarts_total{"]), Some(0.0));
    assert!(text.ends_with("# EOF\n"));
}
