//! A pipeline that runs on demand begins with the first viewer of what it makes, goes on for a while when the last one has
//! left, and comes back with the next.

use crate::harness::{Publish, Server, get, media_playlists, poll_until, probe, seconds};

const CONFIG: &str = r#"
[apps.live]
pipelines = [{ template = "transcode", when = "demand", keep = "1s", params = { height = 180 }, publish_to = "small/{name}" }]
[apps.small]
pipelines = ["hls"]
"#;

fn is_running(server: &Server) -> bool {
    get(&server.http("api/v1/pipelines")).is_some_and(|(_, list)| list.contains("transcode"))
}

#[test]
fn of_rtmp() {
    let server = Server::start(CONFIG);
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    probe(&server.rtmp("live/x"), 1).expect("the source plays");
    assert!(
        !is_running(&server),
        "it runs although nobody wants to see what it makes"
    );

    for _ in 0..2 {
        let seen = probe(&server.rtmp("small/x"), 3).expect("the rendition comes to whoever asks for it");
        assert!(seen.tracks.contains(&"h264 320x180".to_owned()), "{:?}", seen.tracks);
        assert!(seen.video()[0].key, "the first frame is not a key frame");
        seen.assert_rises_for(2.0);
        poll_until(seconds(15), "the pipeline to end when nobody watches", || {
            (!is_running(&server)).then_some(())
        });
    }
}

#[test]
fn of_hls() {
    let server = Server::start(CONFIG);
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    probe(&server.rtmp("live/x"), 1).expect("the source plays");
    let lists = poll_until(seconds(30), "the playlist of what is made on demand", || {
        let lists = media_playlists(&server, "small/x.m3u8");
        (!lists.is_empty()).then_some(lists)
    });
    assert_eq!(lists.len(), 2, "{lists:?}");
    assert!(is_running(&server));
    assert_eq!(
        get(&server.http("small/nobody.m3u8")).map(|(status, _)| status),
        Some(404)
    );
}
