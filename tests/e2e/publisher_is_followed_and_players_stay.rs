//! A publisher that comes back, or that another replaces where the application says so, is followed by the next one:
//! players keep their connection, and their time goes on.

use std::path::{Path, PathBuf};

use crate::harness::{Process, Publish, Server, poll_until, probe, program, seconds};

fn player(server: &Server) -> (Process, PathBuf) {
    let file = server.folder().join("played.flv");
    let mut command = program("ffmpeg -hide_banner -nostats -loglevel error -y -i");
    command
        .arg(server.rtmp("live/test"))
        .args(["-c", "copy", "-f", "flv"])
        .arg(&file);
    (Process::start("the ffmpeg that plays", command), file)
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// Until the player has written this much more.
fn wait_for_more(file: &Path, more: u64) {
    let before = size(file);
    poll_until(seconds(30), "the player to receive more", || {
        (size(file) >= before + more).then_some(())
    });
}

/// What the player got, after it has been ended: of both publishers, on one rising timeline.
fn assert_one_stream(mut player: Process, file: &Path) {
    assert!(player.is_running(), "the player lost its connection");
    player.terminate(seconds(10));
    let seen = probe(&file.to_string_lossy(), 60).expect("what was played can be read");
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    for packets in [seen.video(), seen.audio()] {
        let rises = packets.windows(2).all(|pair| pair[0].dts <= pair[1].dts);
        let length = packets.last().map_or(0.0, |last| last.dts - packets[0].dts);
        // There is a gap between the two, as long as nobody published.
        assert!(rises && (4.0..30.0).contains(&length), "{length} s, {packets:?}");
    }
}

#[test]
fn when_it_returns_within_the_grace() {
    let server = Server::start("[apps.live]\npublisher_grace = \"15s\"\npipelines = [\"hls\"]\n");
    let url = server.rtmp("live/test");
    let mut first = Publish::new().to(&url);
    let (player, file) = player(&server);
    wait_for_more(&file, 150_000);
    first.terminate(seconds(10));
    let _second = Publish::new().to(&url);
    wait_for_more(&file, 200_000);
    assert_one_stream(player, &file);
    let hls = poll_until(seconds(30), "HLS goes on", || {
        probe(&server.http("live/test.m3u8"), 1)
            .ok()
            .filter(|seen| !seen.video().is_empty())
    });
    assert_eq!(hls.tracks.len(), 2);
}

#[test]
fn when_another_takes_over() {
    let server = Server::start("[apps.live]\npublish_policy = \"takeover\"\n");
    let url = server.rtmp("live/test");
    let mut first = Publish::new().to(&url);
    let (player, file) = player(&server);
    wait_for_more(&file, 150_000);
    let mut second = Publish::new().to(&url);
    let status = first.wait(seconds(20));
    assert!(!status.success(), "the first publisher was not told");
    wait_for_more(&file, 200_000);
    assert_one_stream(player, &file);
    assert!(second.is_running(), "the second publisher was sent away");
}
