//! Whoever comes in the middle of a group of pictures begins with a key frame, and need not wait for the next one.

use std::time::Instant;

use crate::harness::{Publish, Server, assert_decodes, poll_until, probe, seconds};

/// Longer than a player would want to wait for its first picture.
const KEY_FRAME_EVERY: u32 = 6;

fn assert_joins(join: impl Fn(&Server) -> String) {
    let server = Server::start("[apps.live]\n");
    let _publisher = Publish::new()
        .key_frame_every(KEY_FRAME_EVERY)
        .to(&server.rtmp("live/test"));
    let url = join(&server);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });

    // Each look takes about a second, so the looks fall on different places in the group of pictures.
    for _ in 0..4 {
        let before = Instant::now();
        let seen = probe(&url, 1).expect("the stream goes on");
        let took = before.elapsed();
        assert!(seen.video()[0].key, "the first frame is not a key frame");
        assert!(
            took < seconds(u64::from(KEY_FRAME_EVERY) - 1),
            "a second of video took {took:?} to come"
        );
        assert_decodes(&url, 0, 1);
    }
}

#[test]
fn over_rtmp() {
    assert_joins(|server| server.rtmp("live/test"));
}

#[test]
fn over_http_flv() {
    assert_joins(|server| server.http("live/test.flv"));
}
