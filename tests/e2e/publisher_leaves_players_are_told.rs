//! When the publisher leaves, by word or by a cut line, every player's stream ends: nobody is left waiting for longer than
//! the application lets players wait.

use crate::harness::{Process, Publish, Server, get, media_playlists, poll_until, probe, program, seconds};

const CONFIG: &str = "[apps.live]\npipelines = [\"hls\"]\nidle_timeout = \"2s\"\n";

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
        let media = media_playlists(&server, "live/test.m3u8");
        let is_closed = |url: &String| matches!(get(url), Some((200, text)) if text.contains("#EXT-X-ENDLIST"));
        (!media.is_empty() && media.iter().all(is_closed)).then_some(())
    });
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
