//! Renditions that pipelines make of a stream are offered in its own HLS playlist, and a browser plays it.

use crate::harness::{Browser, Publish, Server, get, media_playlists, poll_until, probe, seconds};

#[test]
fn in_the_playlist_of_their_source() {
    let server = Server::start(
        "[apps.live]\npipelines = [\"hls\", { template = \"ladder\", publish_to = \"abr/{name}-{output}\",\n\
         params = { ladder = [{ height = 180, bitrate = \"300k\" }, { height = 90, bitrate = \"100k\" }] } }]\n\
         [apps.abr]\npipelines = [\"hls\"]\n",
    );
    let mut publisher = Publish::new().to(&server.rtmp("live/x"));
    let text = poll_until(seconds(60), "all renditions in the playlist", || {
        let (_, text) = get(&server.http("live/x.m3u8"))?;
        (text.matches("#EXT-X-STREAM-INF").count() == 3).then_some(text)
    });
    for size in ["640x360", "320x180", "160x90"] {
        assert_eq!(text.matches(&format!("RESOLUTION={size}")).count(), 1, "{text}");
    }
    assert_eq!(text.matches("TYPE=AUDIO").count(), 1, "one sound for all: {text}");
    // Each leads to segments, and a player is given pictures of it.
    let lists = media_playlists(&server, "live/x.m3u8");
    assert_eq!(lists.len(), 4, "{lists:?}");
    for list in &lists {
        let (status, text) = get(list).expect("an answer");
        assert!(status == 200 && text.contains("#EXTINF"), "{list}: {status} {text}");
    }
    let seen = probe(&server.http("live/x.m3u8"), 2).expect("the playlist plays");
    assert!(
        seen.tracks.iter().filter(|track| track.starts_with("h264")).count() >= 3,
        "{:?}",
        seen.tracks
    );
    // What is not made from it is not offered, and a rendition's own playlist is its own.
    let (_, own) = get(&server.http("abr/x-90.m3u8")).expect("an answer");
    assert_eq!(own.matches("#EXT-X-STREAM-INF").count(), 1, "{own}");

    let browser = Browser::start();
    browser.open(&server.http("preview/live/x?via=hls"));
    browser.wait_for_state("playing");
    browser.assert_it_moves();
    publisher.terminate(seconds(10));
}
