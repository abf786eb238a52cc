//! When the publisher leaves, by word or by a cut line, every player's stream ends: nobody is left waiting.

use crate::harness::{Process, Publish, Server, get, poll_until, probe, program, seconds};

const CONFIG: &str = "[apps.live]\npipelines = [\"hls\"]\n";

fn player(server: &Server, url: &str, name: &str) -> (Process, std::path::PathBuf) {
    let file = server.folder().join(name);
    let mut command = program("ffmpeg -hide_banner -nostats -loglevel error -y");
    command.args(["-i", url, "-c", "copy", "-f", "flv"]).arg(&file);
    (Process::start(&format!("the ffmpeg that plays {url}"), command), file)
}

fn rtmpdump(server: &Server, url: &str) -> (Process, std::path::PathBuf) {
    let file = server.folder().join("rtmpdump.flv");
    let mut command = program("rtmpdump --quiet --live");
    command.args(["--rtmp", url, "--flv"]).arg(&file);
    (Process::start("rtmpdump", command), file)
}

fn assert_players_are_told(leave: impl FnOnce(&mut Process)) {
    let server = Server::start(CONFIG);
    let mut publisher = Publish::new().to(&server.rtmp("live/test"));
    let playlist = server.http("live/test.m3u8");
    let hls = poll_until(seconds(30), &playlist, || {
        probe(&playlist, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    assert_eq!(hls.tracks.len(), 2);

    let mut players = [
        player(&server, &server.http("live/test.flv"), "flv.flv"),
        rtmpdump(&server, &server.rtmp("live/test")),
    ];
    for (_, file) in &players {
        poll_until(seconds(20), "every player to receive", || {
            std::fs::metadata(file).ok().filter(|file| file.len() > 50_000)
        });
    }
    leave(&mut publisher);
    for (player, _) in &mut players {
        player.wait(seconds(15));
    }
    poll_until(seconds(15), "the playlists to be closed", || {
        closed(&server, &playlist).then_some(())
    });
}

/// Whether every media playlist below the multivariant playlist `url` has its end marker.
fn closed(server: &Server, url: &str) -> bool {
    let Some((200, main)) = get(url) else { return false };
    let media: Vec<String> = main
        .lines()
        .flat_map(|line| match line.split_once("URI=\"") {
            Some((_, rest)) => rest.split('"').next(),
            None => (!line.starts_with('#') && !line.is_empty()).then_some(line),
        })
        .map(|uri| match uri.strip_prefix('/') {
            Some(path) => server.http(path),
            None => server.http(&format!("live/{uri}")),
        })
        .collect();
    assert!(!media.is_empty(), "no media playlist in {main}");
    media
        .iter()
        .all(|playlist| matches!(get(playlist), Some((200, text)) if text.contains("#EXT-X-ENDLIST")))
}

#[test]
fn when_it_says_goodbye() {
    assert_players_are_told(|publisher| {
        publisher.terminate(seconds(10));
    });
}

#[test]
fn when_its_connection_is_cut() {
    assert_players_are_told(|publisher| publisher.signal("KILL"));
}
