//! librtmp, which many players and tools are built on, plays a live stream.

use crate::harness::{Publish, Server, assert_decodes, output_of, poll_until, probe, program, seconds};

#[test]
fn rtmpdump_receives_a_whole_stream() {
    let server = Server::start("[apps.live]\n");
    let _publisher = Publish::new().to(&server.rtmp("live/test"));
    let url = server.rtmp("live/test");
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });

    let file = server.folder().join("dumped.flv");
    let file = file.to_str().expect("a path in UTF-8");
    let output = output_of(
        program(&format!("rtmpdump --live --stop 4 --rtmp {url} --flv {file}")),
        seconds(40),
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Download"), "{said}");

    let seen = probe(file, 10).expect("the received FLV can be read");
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"], "{said}");
    seen.assert_rises_for(2.0);
    assert_decodes(file, 0, 3);
}
