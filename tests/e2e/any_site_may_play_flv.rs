//! A page of another site may ask for FLV with the headers its player sends, read what comes, and read why nothing does.

use crate::harness::{Browser, Publish, Server, output_of, poll_until, probe, program, seconds};

#[test]
fn in_a_browser_that_asks_first() {
    let server = Server::start("[apps.live]\n");
    let _publisher = Publish::new().to(&server.rtmp("live/test"));
    let url = server.http("live/test.flv");
    poll_until(seconds(30), "the stream to be live", || probe(&url, 1).ok());
    // Another port is another site. This document of it has no policy of its own.
    let another = Server::start("");
    let browser = Browser::start();
    browser.open(&another.http("healthz"));
    let ask = |url: &str| {
        browser.run(&format!(
            "const headers = {{ Range: 'bytes=0-', 'Cache-Control': 'no-cache', 'X-Requested-With': 'a player' }};
             return fetch('{url}', {{ headers }}).then(async (answer) => {{
                 const reader = answer.body.getReader();
                 const {{ value }} = await reader.read();
                 await reader.cancel();
                 return `${{answer.status}} ${{String.fromCharCode(...value.slice(0, 14))}}`;
             }})"
        ))
    };
    let played = ask(&url);
    assert!(
        played.as_str().is_some_and(|it| it.starts_with("200 FLV\u{1}\u{5}")),
        "{played}"
    );
    assert_eq!(ask(&server.http("unknown/test.flv")), "404 there is no ap");
}

#[test]
fn and_head_tells_the_same_without_the_stream() {
    let server = Server::start("[apps.live]\n");
    let mut command = program("curl --silent --head --max-time 10");
    command.arg(server.http("live/test.flv"));
    let head = output_of(command, seconds(20)).stdout;
    let head = String::from_utf8_lossy(&head);
    for line in [
        "HTTP/1.1 200 OK",
        "content-type: video/x-flv",
        "cache-control: no-store",
        "access-control-allow-origin: *",
    ] {
        assert!(head.lines().any(|it| it == line), "{line} is not in {head}");
    }
}
