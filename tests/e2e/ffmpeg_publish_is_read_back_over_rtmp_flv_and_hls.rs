//! What ffmpeg publishes comes back over every output: the same codecs and sizes, on a timeline that rises.

use crate::harness::{Packet, Publish, Server, assert_decodes, poll_until, probe, seconds};

const CONFIG: &str = "[apps.live]\npipelines = [\"hls\"]\n";

fn assert_comes_back(server: &Server, url: &str) {
    let seen = poll_until(seconds(30), url, || {
        probe(url, 4).ok().filter(|seen| seen.tracks.len() == 2)
    });
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"], "{}", server.log());
    seen.assert_rises_for(2.5);
    assert!(seen.video()[0].key, "the first frame is not a key frame");
    let is_reordered = |packet: &Packet| packet.pts > packet.dts + 0.001;
    assert!(
        seen.video().iter().any(is_reordered),
        "the publisher's B-frames lost their order"
    );
    assert_decodes(url, 0, 2);
}

#[test]
fn over_rtmp() {
    let server = Server::start(CONFIG);
    let _publisher = Publish::new().to(&server.rtmp("live/test"));
    assert_comes_back(&server, &server.rtmp("live/test"));
}

#[test]
fn over_http_flv() {
    let server = Server::start(CONFIG);
    let _publisher = Publish::new().to(&server.rtmp("live/test"));
    assert_comes_back(&server, &server.http("live/test.flv"));
}

#[test]
fn over_hls() {
    let server = Server::start(CONFIG);
    let _publisher = Publish::new().to(&server.rtmp("live/test"));
    assert_comes_back(&server, &server.http("live/test.m3u8"));
}

#[test]
fn a_name_with_arguments_is_the_same_stream() {
    let server = Server::start(CONFIG);
    let _publisher = Publish::new().to(&server.rtmp("live/test?key=do-not-log-this"));
    let url = server.rtmp("live/test");
    let seen = poll_until(seconds(30), &url, || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    assert!(seen.tracks.contains(&"h264 640x360".to_owned()), "{:?}", seen.tracks);
    assert!(
        !server.log().contains("do-not-log-this"),
        "an argument of the URL is in the log"
    );
}
