//! What crashes, hangs, eats memory or prints without end in a worker is a restart of that pipeline: its source, the other
//! pipelines and their players do not notice.

use serde_json::Value;

use crate::harness::{Process, Publish, Server, faulty_server, get, poll_until, probe, seconds};

fn config(fault: &str) -> String {
    format!(
        r#"
        workers.memory = "400MiB"
        [apps.live]
        pipelines = [
            {{ template = "faulty", params = {{ fault = "{fault}" }}, publish_to = "bad/{{name}}" }},
            {{ template = "transcode", params = {{ height = 180 }}, publish_to = "small/{{name}}" }},
        ]
        [apps.bad]
        [apps.small]
        "#
    )
}

fn pipeline(server: &Server, template: &str) -> Option<Value> {
    let (_, text) = get(&server.http("api/v1/pipelines"))?;
    let all: Value = serde_json::from_str(&text).ok()?;
    let mut all = all["pipelines"].as_array()?.iter();
    all.find(|pipeline| pipeline["template"] == template).cloned()
}

/// A server with a publisher, whose pipelines run.
fn running(fault: &str) -> (Server, Process) {
    let server = faulty_server(&config(fault));
    let publisher = Publish::new().to(&server.rtmp("live/x"));
    poll_until(seconds(30), "the sound pipeline to run", || {
        (pipeline(&server, "transcode")?["state"] == "running").then_some(())
    });
    (server, publisher)
}

/// The pipeline fails with a reason that says this, and is built again; nobody else notices.
fn costs_only_its_pipeline(fault: &str, reason: &str) {
    let (server, mut publisher) = running(fault);
    let sound = pipeline(&server, "transcode").expect("it is listed");
    let failed = poll_until(seconds(40), "the faulty pipeline to be built again", || {
        pipeline(&server, "faulty").filter(|pipeline| pipeline["restarts"].as_u64() > Some(0))
    });
    let message = failed["message"].as_str().unwrap_or_default();
    assert!(message.contains(reason), "{message:?} does not say {reason:?}");
    poll_until(seconds(20), "what it publishes to go on", || {
        let bad = pipeline(&server, "faulty")?;
        (bad["state"] == "running" && bad["process"]["pid"].is_u64()).then_some(())
    });

    for stream in ["live/x", "small/x"] {
        let seen = probe(&server.rtmp(stream), 3).expect("it plays");
        seen.assert_rises_for(1.5);
    }
    let after = pipeline(&server, "transcode").expect("it is listed");
    assert_eq!(after["restarts"], 0, "the sound pipeline failed, too: {after}");
    assert_eq!(
        after["process"]["pid"], sound["process"]["pid"],
        "the sound pipeline has another worker"
    );
    assert!(publisher.is_running(), "the publisher was sent away");
}

#[test]
fn segfault() {
    costs_only_its_pipeline("segfault", "SIGSEGV");
}

#[test]
fn abort() {
    costs_only_its_pipeline("abort", "SIGABRT");
}

#[test]
fn endless_loop() {
    costs_only_its_pipeline("loop", "nothing");
}

#[test]
fn a_process_that_stands_still() {
    costs_only_its_pipeline("stop", "not answered");
}

#[test]
fn memory_hog() {
    costs_only_its_pipeline("hog", "may use 400 MiB");
}

#[test]
fn element_error() {
    costs_only_its_pipeline("error", "told to fail");
}

#[test]
fn a_full_pipe_stops_nothing_and_fills_no_log() {
    let (server, _publisher) = running("chatter");
    let seen = poll_until(seconds(30), "the pipeline that prints to publish", || {
        probe(&server.rtmp("bad/x"), 5)
            .ok()
            .filter(|seen| seen.video().len() > 100)
    });
    seen.assert_rises_for(2.5);
    let chatter = pipeline(&server, "faulty").expect("it is listed");
    assert_eq!(chatter["restarts"], 0, "{chatter}");
    let lines = server
        .log()
        .lines()
        .filter(|line| line.contains("a lot to say"))
        .count();
    assert!((1..400).contains(&lines), "{lines} of its lines are in the log");
}

#[test]
fn no_worker_outlives_its_server() {
    let (mut server, _publisher) = running("");
    let worker = pipeline(&server, "transcode").expect("it is listed")["process"]["pid"].as_u64();
    let worker = worker.expect("it has a worker");
    let is_there = || std::path::Path::new(&format!("/proc/{worker}/exe")).exists();
    assert!(is_there());
    server.signal("KILL");
    server.wait(seconds(10));
    poll_until(seconds(10), "the worker to end with its server", || {
        (!is_there()).then_some(())
    });
}
