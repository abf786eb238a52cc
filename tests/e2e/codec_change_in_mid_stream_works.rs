//! An encoder that changes its picture size without reconnecting: players go on, HLS marks the seam, and each recording
//! holds one size.

use std::thread;

use crate::harness::{Server, clip, get, media_playlists, poll_until, probe, seconds, wire::Wire};

const CONFIG: &str = r#"
[apps.live]
pipelines = ["hls"]
record = { path = "{dir}/recordings", format = "mp4" }
"#;

#[test]
fn a_new_picture_size_on_the_same_connection() {
    let (large, small) = (clip("640x360", 5), clip("320x240", 5));
    let server = Server::start(CONFIG);
    let mut wire = Wire::connect(server.rtmp_address(), "live");
    wire.publish("test");
    wire.hears(seconds(5), &["NetStream.Publish.Start"]);

    let played = thread::scope(|scope| {
        let player = scope.spawn(|| probe(&server.rtmp("live/test"), 8).expect("the stream plays"));
        let last = wire.play_flv(&large, 0, true);
        wire.play_flv(&small, last + 40, true);
        drop(wire);
        player.join().expect("the player ends well")
    });
    played.assert_rises_for(6.0);

    let playlists = media_playlists(&server, "live/test.m3u8");
    let has_seam = playlists.iter().any(|url| {
        get(url).is_some_and(|(_, text)| {
            let seam = text.lines().any(|line| line == "#EXT-X-DISCONTINUITY");
            seam && text.matches("#EXT-X-MAP").count() == 2
        })
    });
    assert!(has_seam, "no playlist of {playlists:?} has a seam with a new map");

    let mut sizes: Vec<String> = poll_until(seconds(15), "two finished recordings", || {
        let files = server.files("recordings");
        let seen: Vec<_> = files.iter().filter_map(|file| probe(file.to_str()?, 60).ok()).collect();
        let whole = seen.len() == 2 && seen.iter().all(|seen| seen.duration.is_some_and(|length| length > 3.0));
        whole.then(|| seen.into_iter().flat_map(|seen| seen.tracks).collect())
    });
    sizes.retain(|track| track.starts_with("h264"));
    sizes.sort();
    assert_eq!(sizes, ["h264 320x240", "h264 640x360"]);
}
