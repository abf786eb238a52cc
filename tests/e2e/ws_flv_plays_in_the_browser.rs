//! FLV over WebSocket plays in a browser, with the player that the page ships.

use crate::harness::{Browser, Publish, Server, get, poll_until, seconds};

#[test]
fn it_moves_and_is_counted_and_the_end_is_told() {
    let server = Server::start("[apps.live]\nidle_timeout = \"5s\"\n");
    let mut publisher = Publish::new().to(&server.rtmp("live/test"));
    let browser = Browser::start();
    browser.open(&server.http("preview/live/test?via=ws"));
    browser.assert_it_moves();
    assert_eq!(browser.run("return document.documentElement.dataset.via"), "ws");
    let heard = browser.number("document.getElementById('video').webkitAudioDecodedByteCount");
    assert!(heard > 0.0, "no sound is decoded");
    let (_, text) = get(&server.http("api/v1/streams/live/test")).expect("an answer");
    assert!(text.contains("\"viewers\":1"), "{text}");

    publisher.terminate(seconds(10));
    browser.wait_for_state("ended");
    poll_until(seconds(15), "the viewer to be gone", || {
        let (_, text) = get(&server.http("api/v1/server"))?;
        text.contains("\"viewers\":0").then_some(())
    });
}
