//! A viewer of HTTP-FLV waits for the publisher as an RTMP player may: it is answered at once, it is played to when the
//! publisher comes and again when one returns, and it is sent away when nobody does for the time the app allows.

use std::fs;

use crate::harness::{Process, Publish, Server, get, poll_until, probe, program, seconds};

const CONFIG: &str = r#"
[apps.patient]
idle_timeout = "8s"
[apps.strict]
idle_streams = false
"#;

#[test]
fn one_body_lasts_over_two_publications() {
    let server = Server::start(CONFIG);
    let file = server.folder().join("waited.flv");
    let head = server.folder().join("head");
    let mut command = program("curl --silent --no-buffer --max-time 90");
    command.arg("--dump-header").arg(&head).arg("--output").arg(&file);
    command.arg(server.http("patient/test.flv"));
    let mut viewer = Process::start("the waiting curl", command);
    let answer = poll_until(seconds(5), "an answer before anything is published", || {
        fs::read_to_string(&head).ok().filter(|head| head.ends_with("\r\n\r\n"))
    });
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: video/x-flv\r\n"), "{answer}");

    let length = || fs::metadata(&file).map_or(0, |file| file.len());
    for _ in 0..2 {
        let before = length();
        let mut publisher = Publish::new().to(&server.rtmp("patient/test"));
        poll_until(seconds(20), "the viewer to be played to", || {
            (length() > before + 150_000).then_some(())
        });
        publisher.terminate(seconds(10));
    }
    assert!(viewer.is_running(), "the viewer may still wait");
    assert!(viewer.wait(seconds(20)).success(), "the body ends as a body should");

    let seen = probe(file.to_str().expect("a path in UTF-8"), 60).expect("an FLV file");
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    seen.assert_rises_for(3.0);
}

#[test]
fn but_not_where_nobody_may_wait() {
    let server = Server::start(CONFIG);
    let (status, words) = get(&server.http("strict/test.flv")).expect("an answer");
    assert_eq!(status, 404, "{words}");
    assert!(words.contains("no such stream is live"), "{words}");
    let (status, words) = get(&server.http("unknown/test.flv")).expect("an answer");
    assert_eq!(status, 404, "{words}");
    assert!(words.contains("no application 'unknown'"), "{words}");

    let mut publisher = Publish::new().to(&server.rtmp("strict/test"));
    let url = server.http("strict/test.flv");
    poll_until(seconds(30), &url, || probe(&url, 1).ok());
    let mut command = program("curl --silent --output /dev/null --max-time 60");
    command.arg(&url);
    let mut viewer = Process::start("curl", command);
    poll_until(seconds(10), "the viewer to be counted", || {
        let (_, text) = get(&server.http("api/v1/streams/strict/test"))?;
        text.contains("\"viewers\":1").then_some(())
    });
    publisher.terminate(seconds(10));
    assert!(viewer.wait(seconds(5)).success(), "it ends with the publisher");
}
