//! Players that stop reading cost bounded memory and are let go; the others see every picture.

use std::fs;

use crate::harness::{Publish, Server, poll_until, probe, seconds, wire::Wire};

/// What the hub may hold for the stream, and the server let a write stand still.
const CONFIG: &str = "rtmp.timeout = \"4s\"\n[apps.live]\n";
const STUCK: usize = 50;

/// Resident memory of the server, KiB.
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the server is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("a size")
}

#[test]
fn they_are_let_go_and_the_others_see_every_picture() {
    let server = Server::start(CONFIG);
    let url = server.rtmp("live/test");
    let _publisher = Publish::new().bit_rate("8M").size("1280x720").to(&url);
    poll_until(seconds(30), &url, || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    let before = resident(&server);

    let stuck: Vec<_> = (0..STUCK)
        .map(|_| {
            let mut player = Wire::connect(server.rtmp_address(), "live");
            player.play("test");
            player
        })
        .collect();
    // They do not read from here on. One who does sees nothing of it.
    let seen = probe(&url, 6).expect("the stream");
    seen.assert_rises_for(4.0);
    let during = resident(&server);
    // One megabyte a second comes in; fifty copies of the six seconds would be 300 MiB.
    assert!(during < before + 64 * 1024, "from {before} to {during} KiB");

    // The systems' buffers take some megabytes for each; then a write stands still, and the player goes.
    poll_until(seconds(60), "the end of those who do not read", || {
        let log = server.log();
        let gone = log.matches("the peer takes no data").count();
        (gone >= STUCK).then_some(())
    });
    drop(stuck);
    probe(&url, 3).expect("the stream").assert_rises_for(1.0);
}
