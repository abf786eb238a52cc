//! A still of each stream is drawn every few seconds, and is there over HTTP for lists of what is on air.

use crate::harness::{Publish, Server, get, http_client, poll_until, seconds};

/// Status, type, entity tag and body of a picture; of one that the client says it has, if it says so.
fn picture(url: &str, known: Option<&str>) -> (u16, String, String, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut request = http_client().get(url);
        if let Some(known) = known {
            request = request.header("If-None-Match", known);
        }
        let response = request.send().await.expect("an answer");
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (kind, tag) = (header("content-type"), header("etag"));
        let status = response.status().as_u16();
        let body = response.bytes().await.expect("a body");
        (status, kind, tag, body.to_vec())
    })
}

#[test]
fn over_http_as_long_as_the_stream_is_live() {
    let server = Server::start(
        "[apps.live]\npipelines = [{ template = \"thumbnail\", params = { interval = \"1s\" } }]\n[apps.bare]\n",
    );
    let mut publisher = Publish::new().to(&server.rtmp("live/x"));
    // Who asks as soon as the stream is there waits for the first picture.
    poll_until(seconds(30), "the stream", || {
        get(&server.http("api/v1/streams/live/x")).filter(|(status, _)| *status == 200)
    });
    let url = server.http("live/x.jpg");
    let (status, kind, tag, body) = picture(&url, None);
    assert_eq!(
        (status, kind.as_str()),
        (200, "image/jpeg"),
        "{}",
        String::from_utf8_lossy(&body)
    );
    assert!(body.starts_with(b"\xff\xd8\xff") && body.ends_with(b"\xff\xd9"));
    poll_until(seconds(30), "the next picture", || {
        (picture(&url, Some(&tag)).0 == 200).then_some(())
    });

    let _other = Publish::new().to(&server.rtmp("bare/x"));
    poll_until(seconds(30), "the other stream", || {
        let (status, text) = get(&server.http("bare/x.jpg"))?;
        (status == 404 && text.contains("pipelines = [\"thumbnail\"]")).then_some(())
    });
    publisher.terminate(seconds(10));
    poll_until(seconds(30), "no picture of a stream that has ended", || {
        (picture(&url, None).0 == 404).then_some(())
    });
}

#[test]
fn drawn_when_someone_asks() {
    let server = Server::start(
        "[apps.live]\npipelines = [{ template = \"thumbnail\", when = \"demand\", keep = \"1s\", params = { from = \"all\" } }]\n",
    );
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    poll_until(seconds(30), "the stream", || {
        get(&server.http("api/v1/streams/live/x")).filter(|(status, _)| *status == 200)
    });
    let is_drawn = || get(&server.http("api/v1/pipelines")).is_some_and(|(_, list)| list.contains("thumbnail"));
    assert!(!is_drawn(), "it is drawn although nobody has asked");
    assert_eq!(picture(&server.http("live/x.jpg"), None).0, 200);
    poll_until(seconds(30), "the pipeline to end when nobody asks any more", || {
        (!is_drawn()).then_some(())
    });
}
