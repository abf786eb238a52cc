#![allow(clippy::unwrap_used)]

//! Over real connections: what players and scripts get, byte by byte where it matters.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use streammill_media::{Frame, FrameRole, MediaKind, MediaTime, TrackId};

use super::*;
use crate::{
    hub::{Limits, Origin, Publication, StreamKey},
    output::hls::{Chunk, Presentation, Settings, Store, TrackInfo, TrackWriter},
    pipeline::{
        job::{Destination, Status},
        plan::PipelineId,
    },
};

/// A site on a free port, stopped when it is dropped.
struct Running {
    hub: Hub,
    hls: Store,
    base: String,
    stop: Stop,
    client: Client,
}

impl Running {
    /// Of the applications there is `live`, whose viewers do not wait, and `idle`, whose do.
    async fn start() -> Self {
        Self::with(|site| site).await
    }

    async fn with(change: impl FnOnce(Site) -> Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (hub, hls) = (Hub::new(Limits::default()), Store::new(1 << 20));
        let mut site = Site::new(hub.clone(), hls.clone());
        site.apps = Box::new(|app| {
            let is_known = app == "live" || app == "idle";
            is_known.then(|| App {
                idle_streams: app == "idle",
                ..App::default()
            })
        });
        let site = Arc::new(change(site));
        let stop = Stop::default();
        tokio::spawn(serve(vec![listener], site, stop.clone()));
        Self {
            hub,
            hls,
            base,
            stop,
            client: http_client(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        self.get(path).await.text().await.unwrap()
    }

    fn publish(&self, name: &str) -> Publication {
        self.publish_as(key(name))
    }

    fn publish_as(&self, key: StreamKey) -> Publication {
        let origin = Origin::Rtmp {
            peer: Some("192.0.2.1:50000".parse().unwrap()),
            software: "an encoder <script>alert(1)</script>\u{0}".to_owned(),
        };
        let publication = self.hub.claim(key, origin).unwrap();
        for millis in [0, 40, 80] {
            publication.push(Frame {
                kind: MediaKind::Video,
                track: TrackId(0),
                role: FrameRole::Coded,
                key: millis == 0,
                dts: MediaTime::from_millis(millis),
                pts: MediaTime::from_millis(millis),
                tag: Bytes::from_static(b"\x17\x01\0\0\0frame"),
                header_len: 5,
            });
        }
        publication
    }

    /// A presentation with two finished segments of three and five bytes in two parts each.
    fn package(&self, name: &str) -> (Presentation, TrackWriter) {
        let presentation = self.hls.open(&key(name), Settings::default());
        presentation.expect(&[MediaKind::Video]);
        let video = presentation
            .track(TrackInfo {
                kind: MediaKind::Video,
                codecs: "avc1.64001f".to_owned(),
                width: Some(640),
                height: Some(360),
                frame_rate: Some((25, 1)),
                channels: None,
                sample_rate: None,
            })
            .unwrap();
        video.init(Bytes::from_static(b"init"));
        for (index, data) in ["ab", "c", "defg", "h", "i"].into_iter().enumerate() {
            video.chunk(Chunk {
                data: Bytes::from_static(data.as_bytes()),
                start: MediaTime::from_millis(500 * index as i64),
                duration: MediaTime::from_millis(500),
                independent: index % 2 == 0,
                starts_segment: index % 2 == 0,
            });
        }
        (presentation, video)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.accepting.cancel();
        self.stop.connections.cancel();
    }
}

fn key(name: &str) -> StreamKey {
    StreamKey::new("live", name).unwrap()
}

fn http_client() -> Client {
    // The second one in a process is refused, and the first is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn hls_is_followed_from_playlist_to_segment_to_range() {
    let server = Running::start().await;
    let _live = server.package("a b");
    let main = server.get("/live/a%20b.m3u8").await;
    assert_eq!(header(&main, "content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(header(&main, "cache-control"), "no-cache");
    let main = main.text().await.unwrap();
    assert!(main.contains("RESOLUTION=640x360,FRAME-RATE=25.000\n"), "{main}");
    let media = main.lines().last().unwrap();
    assert!(media.starts_with("a%20b/video."), "{media}");

    let media = server.text(&format!("/live/{media}")).await;
    let segment = media.lines().find(|line| line.ends_with(".m4s")).unwrap();
    let segment = format!("/live/a%20b/{segment}");
    let whole = server.get(&segment).await;
    assert_eq!(
        (header(&whole, "content-type"), header(&whole, "content-length")),
        ("video/mp4", "3")
    );
    assert!(header(&whole, "cache-control").contains("immutable"));
    let tag = header(&whole, "etag").to_owned();
    assert_eq!(whole.text().await.unwrap(), "abc");

    let part = server.request(Method::GET, &segment).header("range", "bytes=1-");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), "bytes 1-2/3");
    assert_eq!(part.text().await.unwrap(), "bc");
    let beyond = server.request(Method::GET, &segment).header("range", "bytes=3-");
    let beyond = beyond.send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&beyond, "content-range"), "bytes */3");
    let known = server.request(Method::GET, &segment).header("if-none-match", tag);
    assert_eq!(known.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);

    let init = media
        .split("#EXT-X-MAP:URI=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(server.text(&format!("/live/a%20b/{init}")).await, "init");
}

#[tokio::test]
async fn pages_of_other_sites_may_read_every_answer_good_or_bad() {
    let server = Running::start().await;
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::HEAD, "/", 200),
        (Method::OPTIONS, "/live/x.m3u8", 204),
        (Method::GET, "/live/x.m3u8", 404),
        (Method::GET, "/live/x.flv", 404),
        (Method::HEAD, "/live/x.flv", 404),
        (Method::OPTIONS, "/live/x.flv", 204),
        (Method::GET, "/unknown/x.flv", 404),
        (Method::GET, "/idle/x.flv?only=subtitles", 400),
        (Method::HEAD, "/idle/x.flv", 200),
        (Method::GET, "/live/x/video.1.1.m4s", 404),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/live/%00.flv", 400),
        (Method::POST, "/api/v1/streams", 405),
        (Method::GET, "/api/v1/streams/live/x", 404),
        (Method::GET, "/api/v1/streams", 200),
        (Method::GET, "/api/v1/pipelines", 200),
        (Method::GET, "/api/v1/encoders", 200),
        (Method::GET, "/healthz", 200),
        (Method::GET, "/readyz", 200),
        (Method::GET, "/stat", 200),
    ] {
        let response = server.request(method.clone(), path).send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(header(&response, "access-control-allow-origin"), "*", "{method} {path}");
        let is_empty = response.text().await.unwrap().is_empty();
        assert_eq!(is_empty, method == Method::HEAD || status == 204, "{method} {path}");
    }
}

#[tokio::test]
async fn flv_goes_on_until_the_publisher_leaves() {
    let server = Running::start().await;
    let publication = server.publish("x");
    let head = server.request(Method::HEAD, "/live/x.flv").send().await.unwrap();
    assert_eq!(
        (head.status(), header(&head, "content-type")),
        (StatusCode::OK, "video/x-flv")
    );

    let response = server.get("/live/x.flv").await;
    assert_eq!(header(&response, "content-type"), "video/x-flv");
    let mut body = response.bytes_stream();
    let first = body.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"FLV\x01"));
    assert_eq!(server.hub.stream(&key("x")).unwrap().subscribers.len(), 1);
    drop(publication);
    while let Some(chunk) = body.next().await {
        chunk.unwrap();
    }
    let after = server.get("/live/x.flv").await;
    assert_eq!(after.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn players_of_other_sites_are_let_ask_for_ranges() {
    let server = Running::start().await;
    let preflight = server
        .request(Method::OPTIONS, "/idle/x.flv")
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "range,x-requested-with");
    let preflight = preflight.send().await.unwrap();
    let allowed = header(&preflight, "access-control-allow-headers").to_ascii_lowercase();
    for wanted in ["range", "authorization", "x-requested-with", "cache-control"] {
        assert!(
            allowed.split(", ").any(|it| it == wanted),
            "{wanted} is not in {allowed}"
        );
    }
    assert!(header(&preflight, "access-control-allow-methods").contains("GET"));
}

#[tokio::test]
async fn viewers_are_answered_before_anyone_publishes_and_played_to_when_someone_does() {
    let server = Running::start().await;
    let request = server.request(Method::GET, "/idle/x.flv?only=video");
    let response = request.header("range", "bytes=0-").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "of a live stream there are no parts");
    assert_eq!(
        (header(&response, "content-type"), header(&response, "accept-ranges")),
        ("video/x-flv", "none")
    );
    assert_eq!(header(&response, "content-length"), "");
    let _publication = server.publish_as(StreamKey::new("idle", "x").unwrap());
    let mut body = response.bytes_stream();
    let first = body.next().await.unwrap().unwrap();
    assert_eq!(first[..5], *b"FLV\x01\x01");

    let unknown = server.get("/unknown/x.flv").await.text().await.unwrap();
    assert_eq!(unknown, "there is no application 'unknown' on this server\n");
}

#[tokio::test]
async fn the_json_tells_which_encoders_there_are() {
    let server = Running::with(|site| Site {
        encoders: Box::new(|| EncodersStatus {
            software_sessions: 3,
            software_cores_allowed: 1.5,
            ..EncodersStatus::default()
        }),
        ..site
    })
    .await;
    let response = server.get("/api/v1/encoders").await;
    assert_eq!(header(&response, "content-type"), "application/json");
    let all: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(
        (&all["software_sessions"], &all["software_cores_allowed"]),
        (&3.into(), &1.5.into())
    );
    assert_eq!(all["software_sessions_allowed"], serde_json::Value::Null);
    assert_eq!(all["encoders"], serde_json::json!([]));
}

#[tokio::test]
async fn the_json_tells_what_is_live_and_who_watches() {
    let server = Running::with(|site| Site {
        pipelines: Box::new(|| {
            vec![PipelineSnapshot {
                number: 1,
                id: PipelineId::Source("s".to_owned()),
                template: "hls".to_owned(),
                input: Some(key("x")),
                destination: Destination::None,
                status: Status {
                    restarts: 2,
                    ..Status::default()
                },
            }]
        }),
        rtmp_port: Some(1935),
        ..site
    })
    .await;
    let _publication = server.publish("x");
    let _live = server.package("x");
    let main = server.text("/live/x.m3u8").await;
    server.text(&format!("/live/{}", main.lines().last().unwrap())).await;
    let mut flv = server.get("/live/x.flv").await.bytes_stream();
    flv.next().await.unwrap().unwrap();

    let text = server.text("/api/v1/streams").await;
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let stream = &all["streams"][0];
    assert_eq!((&stream["app"], &stream["name"]), (&"live".into(), &"x".into()));
    assert_eq!(stream["live"], true);
    assert_eq!(stream["publisher"]["address"], "192.0.2.1:50000");
    assert_eq!(stream["viewers"], 2, "one by FLV, one by HLS: {text}");
    let by = serde_json::json!({ "rtmp": 0, "http_flv": 1, "ws_flv": 0, "hls": 1 });
    assert_eq!(stream["viewers_by"], by);
    assert_eq!(stream["play"]["hls"], "/live/x.m3u8");
    assert_eq!(stream["pipelines"][0]["restarts"], 2);
    assert!(stream["bytes_in"].as_u64() > Some(0));

    let one: serde_json::Value = serde_json::from_str(&server.text("/api/v1/streams/live/x").await).unwrap();
    assert_eq!(one["name"], "x");
    let info: serde_json::Value = serde_json::from_str(&server.text("/api/v1/server").await).unwrap();
    assert_eq!((&info["rtmp_port"], &info["viewers"]), (&1935.into(), &2.into()));
}

#[tokio::test]
async fn the_statistics_are_xml_whatever_clients_call_themselves() {
    let server = Running::start().await;
    let _publication = server.publish("x & <y>");
    let text = server.text("/stat").await;
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut path = Vec::new();
    let mut values = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(start) => {
                path.push(start.name().as_ref().to_owned());
            }
            quick_xml::events::Event::End(_) => {
                path.pop();
            }
            quick_xml::events::Event::Empty(_) => values.push(path.join("/")),
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert!(path.is_empty(), "unclosed: {path:?}");
    assert!(values.contains(&"rtmp/server/application/live/stream".to_owned()));
    assert!(text.contains("<name>x &amp; &lt;y&gt;</name>"), "{text}");
    assert!(!text.contains("<script>") && !text.contains('\0'), "{text}");
}

#[tokio::test]
async fn a_stop_ends_viewers_and_idle_connections() {
    let server = Running::start().await;
    let _publication = server.publish("x");
    let mut body = server.get("/live/x.flv").await.bytes_stream();
    body.next().await.unwrap().unwrap();
    assert_eq!(server.text("/readyz").await, "ready\n");
    server.stop.accepting.cancel();
    // By the connection that the last answer left open.
    assert_eq!(server.get("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);

    server.stop.connections.cancel();
    while let Some(chunk) = body.next().await {
        chunk.unwrap();
    }
    server.stop.tasks.close();
    let stopped = tokio::time::timeout(Duration::from_secs(5), server.stop.tasks.wait()).await;
    assert!(stopped.is_ok(), "{} connections hang", server.stop.tasks.len());
}

#[tokio::test]
async fn the_page_is_in_the_binary_and_may_load_nothing_from_elsewhere() {
    let server = Running::start().await;
    let page = server.get("/preview/live/any%20name").await;
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert!(header(&page, "content-security-policy").starts_with("default-src 'self';"));
    let tag = header(&page, "etag").to_owned();
    let again = server.request(Method::GET, "/").header("if-none-match", tag);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let script = server.get("/assets/vendor/hls.min.js").await;
    assert_eq!(header(&script, "content-type"), "text/javascript; charset=utf-8");
}
