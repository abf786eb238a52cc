//! SIGTERM ends the server in order: exit code zero, within the deadline, and nobody left holding a dead connection.

use crate::harness::{Process, Publish, Server, poll_until, probe, program, seconds};

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = Server::start("[apps.live]\n");
    server.signal("TERM");
    assert!(server.wait(seconds(3)).success(), "the exit code is not zero");
}

#[test]
fn a_busy_server_lets_go_of_everyone() {
    let mut server = Server::start("[apps.live]\npipelines = [\"hls\"]\n");
    let url = server.rtmp("live/test");
    let mut publisher = Publish::new().to(&url);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });

    let file = server.folder().join("played.flv");
    let mut command = program("ffmpeg -hide_banner -nostats -loglevel error -y -i");
    command
        .arg(server.http("live/test.flv"))
        .args(["-c", "copy"])
        .arg(&file);
    let mut player = Process::start("the playing ffmpeg", command);
    poll_until(seconds(20), "the player to receive", || {
        std::fs::metadata(&file).ok().filter(|file| file.len() > 20_000)
    });

    server.signal("TERM");
    assert!(server.wait(seconds(12)).success(), "the exit code is not zero");
    player.wait(seconds(10));
    publisher.wait(seconds(10));
}

#[test]
fn a_second_signal_stops_it_now() {
    let mut server = Server::start("[apps.live]\n[shutdown]\ndeadline = \"60s\"\n");
    let url = server.rtmp("live/test");
    let _publisher = Publish::new().to(&url);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    server.signal("TERM");
    server.signal("TERM");
    server.wait(seconds(2));
}
