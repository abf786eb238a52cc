//! Encoders that count from the start of their day, or that run into the end of the timestamp, are seen as streams
//! like any other: they begin near zero and rise.

use crate::harness::{Publish, Server, poll_until, probe, seconds};

const CONFIG: &str = r#"
[apps.live]
pipelines = ["hls"]
record = { path = "{dir}/recordings", format = "mp4" }
"#;

fn assert_works(first_timestamp: f64) {
    let server = Server::start(CONFIG);
    let mut publisher = Publish::new()
        .first_timestamp(first_timestamp)
        .seconds(14)
        .to(&server.rtmp("live/test"));
    let playlist = server.http("live/test.m3u8");
    let seen = poll_until(seconds(30), &playlist, || {
        probe(&playlist, 3).ok().filter(|seen| seen.tracks.len() == 2)
    });
    seen.assert_rises_for(1.5);
    let seen = probe(&server.rtmp("live/test"), 3).expect("the stream plays");
    seen.assert_rises_for(1.5);
    assert!(
        seen.video()[0].dts < 30.0,
        "the stream begins at {} s",
        seen.video()[0].dts
    );

    assert!(publisher.wait(seconds(40)).success(), "publishing failed");
    let recording = poll_until(seconds(15), "the finished recording", || {
        probe(server.files("recordings").first()?.to_str()?, 60).ok()
    });
    assert_eq!(server.files("recordings").len(), 1);
    recording.assert_rises_for(12.5);
    let duration = recording.duration.expect("a duration in the header");
    assert!(
        (13.0..15.0).contains(&duration),
        "14 s were published, {duration} s recorded"
    );
}

#[test]
fn a_stream_that_begins_at_an_hour() {
    assert_works(3600.0);
}

/// ffmpeg sends 31 bits of its timestamp, so that this stream goes from the largest of them back to zero.
#[test]
fn a_stream_whose_timestamps_wrap_while_it_runs() {
    assert_works(2_147_483.648 - 4.0);
}
