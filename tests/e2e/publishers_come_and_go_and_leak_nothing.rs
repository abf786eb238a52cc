//! Publishers with a transcode that come and go leave nothing behind: no thread, no descriptor, no process, no memory.

use std::fs;

use serde_json::Value;

use crate::harness::{Process, Server, clip, get, poll_until, program, seconds};

/// How many come and go: a few, or what the environment says.
fn rounds() -> u32 {
    let asked = std::env::var("STREAMMILL_LEAK_ROUNDS").ok();
    asked.map_or(15, |asked| asked.parse().expect("a number"))
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    threads: usize,
    descriptors: usize,
    children: usize,
    /// KiB that are in memory.
    resident: u64,
}

fn held(server: &Server) -> Held {
    let of = |what: &str| format!("/proc/{}/{what}", server.id());
    let count = |what: &str| fs::read_dir(of(what)).expect("it runs").count();
    let status = fs::read_to_string(of("status")).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let children: usize = fs::read_dir(of("task"))
        .expect("it runs")
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .map(|children| children.split_whitespace().count())
        .sum();
    Held {
        threads: count("task"),
        descriptors: count("fd"),
        children,
        resident: resident.expect("it is told"),
    }
}

fn streams(server: &Server) -> usize {
    let (_, text) = get(&server.http("api/v1/streams")).expect("an answer");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all["streams"].as_array().expect("a list").len()
}

#[test]
fn with_a_transcode_each() {
    let server = Server::start(
        "[apps.live]\npipelines = [{ template = \"transcode\", params = { height = 90 }, publish_to = \"small/{name}\" }]\n[apps.small]\n",
    );
    let file = server.folder().join("clip.flv");
    fs::write(&file, clip("320x180", 1)).expect("a clip");
    let come_and_go = |name: &str| {
        let mut publish = program("ffmpeg -nostdin -v error -re -stream_loop -1 -i");
        publish
            .arg(&file)
            .args(["-c", "copy", "-f", "flv"])
            .arg(server.rtmp(&format!("live/{name}")));
        let mut publisher = Process::start("a publisher", publish);
        poll_until(seconds(30), "the rendition", || (streams(&server) == 2).then_some(()));
        publisher.signal("KILL");
        publisher.wait(seconds(10));
        poll_until(seconds(30), "it to be over", || (streams(&server) == 0).then_some(()));
    };
    let settled = || {
        // The last worker goes on its own time, and the next one is got ready.
        poll_until(seconds(20), "the workers", || {
            let held = held(&server);
            (held.children <= 1).then_some(held)
        })
    };
    // Allocators and thread pools take what they keep in the first rounds.
    for round in 0..4 {
        come_and_go(&format!("warm{round}"));
    }
    let before = settled();
    for round in 0..rounds() {
        come_and_go(&format!("cam{round}"));
    }
    let after = settled();
    assert!(after.threads <= before.threads + 1, "{before:?} {after:?}");
    assert!(after.descriptors <= before.descriptors + 2, "{before:?} {after:?}");
    assert!(after.resident <= before.resident + 4096, "{before:?} {after:?}");
    say(&format!("{} publishers: {before:?}, then {after:?}", rounds()));
}

#[expect(clippy::print_stderr, reason = "a soak is run for its figures")]
fn say(figures: &str) {
    eprintln!("{figures}");
}
