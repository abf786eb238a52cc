//! One name under two hosts is two streams, over RTMP and over HTTP.

use crate::harness::{Publish, Server, get, poll_until, probe, seconds};

const CONFIG: &str = "[apps.live]\npipelines = [\"hls\"]\n[apps.only]\n\
                      [vhosts.\"localhost\".apps.live]\npipelines = [\"hls\"]\n";

#[test]
fn one_name_under_two_hosts_is_two_streams() {
    let server = Server::start(CONFIG);
    let at_localhost = |url: String| url.replace("127.0.0.1", "localhost");
    let _plain = Publish::new().to(&server.rtmp("live/test"));
    let _hosted = Publish::new()
        .size("320x240")
        .to(&at_localhost(server.rtmp("live/test")));
    for path in ["live/test.flv", "live/test.m3u8"] {
        for (url, size) in [
            (server.http(path), "h264 640x360"),
            (at_localhost(server.http(path)), "h264 320x240"),
            (server.http(&path.replace("live", "live%40localhost")), "h264 320x240"),
        ] {
            let seen = poll_until(seconds(30), &url, || {
                probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
            });
            assert!(seen.tracks.contains(&size.to_owned()), "{url}: {:?}", seen.tracks);
        }
    }
    let hosted = probe(&at_localhost(server.rtmp("live/test")), 1).expect("the host's stream over RTMP");
    assert!(
        hosted.tracks.contains(&"h264 320x240".to_owned()),
        "{:?}",
        hosted.tracks
    );
    let (status, _) = get(&server.http("api/v1/streams/live%40localhost/test")).expect("the API");
    assert_eq!(status, 200);
}

#[test]
fn a_host_has_no_applications_but_its_own() {
    let server = Server::start(CONFIG);
    let url = server.rtmp("only/test").replace("127.0.0.1", "localhost");
    let mut publisher = Publish::new().to(&url);
    assert!(!publisher.wait(seconds(20)).success(), "an application of another host");
    let url = server.http("only/test.flv").replace("127.0.0.1", "localhost");
    assert_eq!(get(&url).map(|(status, _)| status), Some(404));
}
