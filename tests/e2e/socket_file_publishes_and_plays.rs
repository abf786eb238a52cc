//! A socket file is as good as an address, is for the owner and the group, and goes with the server.

use std::{os::unix::fs::PermissionsExt, path::Path};

use crate::harness::{Publish, Server, get, poll_until, probe, relay_to_file, seconds};

#[test]
fn a_stream_goes_in_and_out_through_a_socket_file() {
    let mut server = Server::listening(&["127.0.0.1:0", "unix:{dir}/rtmp.sock"], "[apps.live]\n");
    let file = server.folder().join("rtmp.sock");
    assert_eq!(server.rtmp_listeners()[1], format!("rtmp+unix:{}", file.display()));
    let mode = |file: &Path| std::fs::metadata(file).map(|file| file.permissions().mode() & 0o777);
    assert_eq!(mode(&file).expect("the file is there"), 0o660);

    let url = format!("rtmp://{}/live/test", relay_to_file(&file));
    let _publisher = Publish::new().to(&url);
    let seen = poll_until(seconds(30), "the stream through the file", || {
        probe(&url, 3).ok().filter(|seen| !seen.video().is_empty())
    });
    seen.assert_rises_for(2.0);
    probe(&server.rtmp("live/test"), 1).expect("the same stream over TCP");
    let (_, json) = get(&server.http("api/v1/streams/live/test")).expect("the API");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["publisher"]["protocol"], "rtmp");
    assert!(json["publisher"]["address"].is_null(), "{json}");
    let (_, stat) = get(&server.http("stat")).expect("the statistics");
    assert!(stat.contains("<address>unix:</address>"), "{stat}");

    server.signal("TERM");
    assert!(server.wait(seconds(20)).success());
    assert!(!file.exists(), "the socket file was left behind");
}
