//! A stream of pictures alone, or of sound alone, plays, is packaged and is recorded like any other.

use crate::harness::{Publish, Server, poll_until, probe, seconds};

const CONFIG: &str = r#"
[apps.live]
pipelines = ["hls"]
record = { path = "{dir}/recordings", format = "mp4" }
"#;

fn assert_works(publish: Publish, track: &str) {
    let server = Server::start(CONFIG);
    let mut publisher = publish.to(&server.rtmp("live/test"));
    for url in [
        server.http("live/test.m3u8"),
        server.http("live/test.flv"),
        server.rtmp("live/test"),
    ] {
        let seen = poll_until(seconds(30), &url, || {
            probe(&url, 3).ok().filter(|seen| !seen.tracks.is_empty())
        });
        assert_eq!(seen.tracks, [track], "{url}");
        seen.assert_rises_for(1.5);
    }
    publisher.terminate(seconds(10));
    let seen = poll_until(seconds(15), "the finished recording", || {
        probe(server.files("recordings").first()?.to_str()?, 60).ok()
    });
    assert_eq!(seen.tracks, [track]);
    seen.assert_rises_for(3.0);
}

#[test]
fn video_alone() {
    assert_works(Publish::new().without_audio(), "h264 640x360");
}

#[test]
fn audio_alone() {
    assert_works(Publish::new().without_video(), "aac 44100");
}
