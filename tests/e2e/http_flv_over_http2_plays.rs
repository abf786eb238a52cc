//! HTTP-FLV over HTTP/2 carries the same stream as over HTTP/1.1: several viewers on one connection, each with all of it.

use crate::harness::{Publish, Server, output_of, poll_until, probe, program, seconds};

#[test]
fn two_viewers_on_one_connection() {
    let server = Server::start("[apps.live]\n");
    let _publisher = Publish::new().to(&server.rtmp("live/test"));
    let url = server.http("live/test.flv");
    poll_until(seconds(30), "the stream to be live", || probe(&url, 1).ok());

    let files = ["one.flv", "two.flv"].map(|name| server.folder().join(name));
    let mut command = program("curl --silent --http2-prior-knowledge --parallel --parallel-immediate --max-time 5");
    command.args(["--write-out", "%{http_version} %{response_code} %{content_type}\n"]);
    for file in &files {
        command.arg("--output").arg(file).arg(&url);
    }
    let said = output_of(command, seconds(30)).stdout;
    let said = String::from_utf8_lossy(&said);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["2 200 video/x-flv"; 2]);
    for file in files {
        let seen = probe(file.to_str().expect("a path in UTF-8"), 10).expect("an FLV file");
        assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
        seen.assert_rises_for(3.0);
    }
}
