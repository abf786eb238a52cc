//! A browser opens the page, and what is published moves on its screen: by HLS and by FLV, from a click or an address.

use std::thread;

use crate::harness::{Browser, Process, Publish, Server, clip, get, poll_until, seconds, wire::Wire};

const CONFIG: &str = "[apps.live]\npipelines = [\"hls\"]\n";

fn live_server() -> (Server, Process) {
    let server = Server::start(CONFIG);
    let publisher = Publish::new().to(&server.rtmp("live/test"));
    (server, publisher)
}

#[test]
fn a_browser_plays_hls() {
    let (server, _publisher) = live_server();
    let playlist = server.http("live/test.m3u8");
    poll_until(seconds(30), "the first segments", || {
        get(&playlist).filter(|(status, _)| *status == 200)
    });
    let browser = Browser::start();
    browser.open(&server.http("preview/live/test?via=hls"));
    browser.assert_it_moves();
    assert_eq!(browser.run("return document.documentElement.dataset.via"), "hls");
    let heard = browser.number("document.getElementById('video').webkitAudioDecodedByteCount");
    assert!(heard > 0.0, "no sound is decoded");
}

#[test]
fn a_browser_plays_flv_and_is_told_of_the_end() {
    let (server, mut publisher) = live_server();
    let browser = Browser::start();
    browser.open(&server.http("preview/live/test?via=flv"));
    browser.assert_it_moves();
    assert_eq!(browser.run("return document.documentElement.dataset.via"), "flv");
    publisher.terminate(seconds(10));
    browser.wait_for_state("ended");

    let _returned = Publish::new().to(&server.rtmp("live/test"));
    browser.assert_it_moves();
}

#[test]
fn a_browser_lists_what_is_live_and_a_click_plays_it() {
    let server = Server::start(CONFIG);
    let browser = Browser::start();
    browser.open(&server.http(""));
    browser.wait_for_state("empty");
    let hint = browser.run("return document.getElementById('ffmpeg-line').textContent");
    let target = server.rtmp("live/test");
    assert!(
        hint.as_str().is_some_and(|hint| hint.ends_with(&target)),
        "{hint} should end with {target}"
    );

    let _publisher = Publish::new().to(&target);
    browser.wait_for_state("list");
    let name = browser.run("return document.querySelector('.stream-name').textContent");
    assert_eq!(name, "live/test");
    browser.run("document.querySelector('a.stream').click()");
    browser.assert_it_moves();
    let path = browser.run("return location.pathname");
    assert_eq!(path, "/preview/live/test");
}

#[test]
fn a_browser_shows_a_hostile_name_as_text() {
    let server = Server::start(CONFIG);
    let name = "<img src=x onerror=document.title='broken'>";
    // By hand, because ffmpeg ends a name at its first space.
    let mut wire = Wire::connect(server.rtmp_address(), "live");
    wire.publish(name);
    wire.hears(seconds(5), &["NetStream.Publish.Start"]);
    thread::spawn(move || wire.play_flv(&clip("640x360", 40), 0, true));
    let browser = Browser::start();
    browser.open(&server.http(""));
    browser.wait_for_state("list");
    let shown = browser.run("return document.querySelector('.stream-name').textContent");
    assert_eq!(shown, format!("live/{name}"));
    browser.run("document.querySelector('a.stream').click()");
    browser.assert_it_moves();
    assert_eq!(
        browser.run("return document.querySelectorAll('img').length"),
        2,
        "the page's own two"
    );
    assert_eq!(
        browser.run("return document.title"),
        format!("live/{name} – streammill")
    );
}
