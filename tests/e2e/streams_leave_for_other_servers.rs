//! A stream goes on to other servers as it is, over RTMP, RTMPS and SRT, finds them again when they were away, and its address
//! is no secret that anyone is told.

use std::net::UdpSocket;

use crate::harness::{Certificate, Process, Publish, Server, get, poll_until, probe, program, seconds};

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("its address").port()
}

/// A server whose streams go elsewhere.
fn relaying(template: &str, params: &str) -> Server {
    Server::start(&format!(
        "[apps.live]\npipelines = [{{ template = \"{template}\", params = {{ {params} }} }}]\n"
    ))
}

fn assert_arrives(there: &Server, stream: &str) {
    let seen = poll_until(seconds(30), "the stream at the other server", || {
        probe(&there.rtmp(stream), 3)
            .ok()
            .filter(|seen| !seen.video().is_empty())
    });
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    seen.assert_rises_for(2.0);
}

#[test]
fn over_rtmp_under_their_own_names() {
    let there = Server::start("[apps.far]\n");
    let here = relaying(
        "relay-rtmp",
        &format!("url = \"{}\"", there.rtmp("far/{name}-of-{app}?key=hush-hush")),
    );
    let _publisher = Publish::new().to(&here.rtmp("live/a"));
    assert_arrives(&there, "far/a-of-live");
    let shown = get(&here.http("api/v1/pipelines")).expect("an answer").1;
    assert!(shown.contains("relay-rtmp"), "{shown}");
    for secret in ["hush-hush", "-of-live"] {
        assert!(
            !shown.contains(secret) && !here.log().contains(secret),
            "{secret} is told"
        );
    }
}

#[test]
fn over_rtmps_to_who_proves_to_be_who_he_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = Certificate::issue(folder.path(), "own", &["localhost"]);
    let there = Server::start(&format!(
        "rtmp.tls_listen = [\"127.0.0.1:0\"]\ntls.certificates = [{}]\n[apps.far]\n",
        certificate.in_configuration()
    ));
    let url = format!("{}/far/hush-hush", there.rtmp_listeners()[1]);
    let here = relaying("relay-rtmps", &format!("url = \"{url}\", certificate = \"any\""));
    let _publisher = Publish::new().to(&here.rtmp("live/a"));
    assert_arrives(&there, "far/hush-hush");

    let careful = relaying("relay-rtmps", &format!("url = \"{url}2\""));
    let _publisher = Publish::new().to(&careful.rtmp("live/a"));
    let told = poll_until(seconds(30), "a complaint about the certificate", || {
        let (_, list) = get(&careful.http("api/v1/pipelines"))?;
        list.contains("ertificate").then_some(list)
    });
    assert!(!told.contains("hush-hush"), "{told}");
    assert!(!careful.log().contains("hush-hush"), "the log tells the key");
}

#[test]
fn over_srt() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("received.ts");
    let here = relaying(
        "relay-srt",
        &format!("url = \"srt://127.0.0.1:{port}?streamid={{name}}\""),
    );
    // Nobody is there yet: it is tried again.
    let _publisher = Publish::new().to(&here.rtmp("live/a"));
    poll_until(seconds(30), "a failure", || {
        get(&here.http("api/v1/pipelines")).filter(|(_, list)| list.contains("\"state\":\"running\""))
    });
    let mut receiver = program("ffmpeg -v error -nostdin -y");
    receiver
        .args([
            "-i",
            &format!("srt://127.0.0.1:{port}?mode=listener"),
            "-c",
            "copy",
            "-t",
            "4",
        ])
        .arg(&file);
    let mut receiver = Process::start("srt receiver", receiver);
    assert!(receiver.wait(seconds(60)).success(), "{:?}", receiver.log());
    let seen = probe(file.to_str().expect("a path in UTF-8"), 10).expect("a file");
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    seen.assert_rises_for(2.5);
}

#[test]
fn again_when_the_other_server_was_away() {
    let there = Server::start("[apps.far]\n");
    let address = there.rtmp_address().to_owned();
    let here = relaying("relay-rtmp", &format!("url = \"rtmp://{address}/far/a\""));
    let _publisher = Publish::new().to(&here.rtmp("live/a"));
    assert_arrives(&there, "far/a");
    drop(there);
    poll_until(seconds(30), "the loss to be noticed", || {
        get(&here.http("api/v1/pipelines")).filter(|(_, list)| !list.contains("\"restarts\":0"))
    });
    let there = Server::listening(&[&address], "[apps.far]\n");
    assert_arrives(&there, "far/a");
}
