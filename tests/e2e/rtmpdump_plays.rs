//! librtmp, which many players and tools are built on, plays a live stream.

use crate::harness::{Process, Publish, Server, assert_decodes, probe, program, seconds};

#[test]
fn rtmpdump_receives_a_stream_from_its_first_frame_to_its_end() {
    let server = Server::start("[apps.live]\n");
    let url = server.rtmp("live/test");
    let file = server.folder().join("dumped.flv");
    let file = file.to_str().expect("a path in UTF-8");

    let mut player = Process::start(
        "rtmpdump",
        program(&format!("rtmpdump --quiet --live --rtmp {url} --flv {file}")),
    );
    let mut publisher = Publish::new().seconds(6).to(&url);
    assert!(publisher.wait(seconds(30)).success(), "publishing failed");
    player.wait(seconds(15));

    let seen = probe(file, 10).expect("the received FLV can be read");
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    seen.assert_rises_for(4.5);
    assert!(seen.video()[0].key, "the first frame is not a key frame");
    assert_decodes(file, 0, 10);
}
