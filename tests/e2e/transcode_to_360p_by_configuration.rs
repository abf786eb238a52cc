//! An operator who writes `transcode` in the configuration gets the smaller rendition as a stream of its own.

use crate::harness::{Publish, Server, assert_decodes, get, poll_until, probe, seconds};

const CONFIG: &str = r#"
[apps.big]
pipelines = [{ template = "transcode", params = { height = 360, video_bitrate = "800k" }, publish_to = "small/{name}" }]
[apps.small]
"#;

#[test]
fn the_rendition_plays_beside_its_source_and_leaves_with_it() {
    let server = Server::start(CONFIG);
    let mut publisher = Publish::new().size("1280x720").to(&server.rtmp("big/test"));

    let small = server.rtmp("small/test");
    let seen = poll_until(seconds(40), &small, || {
        probe(&small, 4).ok().filter(|seen| seen.tracks.len() == 2)
    });
    assert!(seen.tracks.contains(&"h264 640x360".to_owned()), "{:?}", seen.tracks);
    assert!(seen.tracks[0].starts_with("aac"), "{:?}", seen.tracks);
    seen.assert_rises_for(2.5);
    assert!(seen.video()[0].key, "the first frame is not a key frame");
    assert_decodes(&small, 0, 2);

    let big = probe(&server.rtmp("big/test"), 1).expect("the source still plays");
    assert!(big.tracks.contains(&"h264 1280x720".to_owned()), "{:?}", big.tracks);

    let is_listed = || get(&server.http("api/v1/streams")).is_some_and(|(_, list)| list.contains("small"));
    assert!(is_listed(), "the rendition is not listed as a stream");
    publisher.terminate(seconds(10));
    poll_until(seconds(15), "the rendition to leave with its source", || {
        (!is_listed()).then_some(())
    });
}
