//! A name that is taken stays with whoever has it.

use crate::harness::{Publish, Server, poll_until, probe, seconds};

#[test]
fn the_second_publisher_is_sent_away_and_the_first_is_not_disturbed() {
    let server = Server::start("[apps.live]\n");
    let url = server.rtmp("live/test");
    let mut first = Publish::new().to(&url);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });

    let seen = std::thread::scope(|scope| {
        let player = scope.spawn(|| probe(&url, 6).expect("the first stream goes on"));
        let mut second = Publish::new().size("320x240").to(&url);
        let status = second.wait(seconds(20));
        assert!(!status.success(), "the second publisher was let in");
        player.join().expect("the player ends well")
    });
    assert_eq!(seen.tracks, ["aac 44100", "h264 640x360"]);
    seen.assert_rises_for(4.0);
    assert!(first.is_running(), "the first publisher lost its connection");
}

#[test]
fn the_name_is_free_again_when_the_first_publisher_has_left() {
    let server = Server::start("[apps.live]\n");
    let url = server.rtmp("live/test");
    let mut first = Publish::new().to(&url);
    poll_until(seconds(30), "the stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    first.terminate(seconds(10));

    let _second = Publish::new().size("320x240").to(&url);
    let seen = poll_until(seconds(30), "the second stream", || {
        probe(&url, 1).ok().filter(|seen| !seen.video().is_empty())
    });
    assert!(seen.tracks.contains(&"h264 320x240".to_owned()), "{:?}", seen.tracks);
}
