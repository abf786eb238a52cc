//! Over HTTP a pipeline is ordered for a live stream, looked at, changed without a stop, and stopped; and nobody else's page
//! does any of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Process, Publish, Server, http_client, poll_until, probe, seconds};

const CONFIG: &str = "[apps.live]\npipelines = []\n[apps.small]\n[apps.copy]\n";

/// Status and body of an answer.
fn ask(server: &Server, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    ask_from(server, method, path, body, None)
}

fn ask_from(server: &Server, method: Method, path: &str, body: Option<Value>, origin: Option<&str>) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = http_client();
        let mut request = client.request(method, server.http(&format!("api/v1/{path}")));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = request.send().await.expect("the server answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    })
}

fn published() -> (Server, Process) {
    let server = Server::start(CONFIG);
    let publisher = Publish::new().to(&server.rtmp("live/x"));
    probe(&server.rtmp("live/x"), 1).expect("the source plays");
    (server, publisher)
}

fn order(server: &Server) -> u64 {
    let body = json!({ "template": "transcode", "params": { "height": 180, "video_bitrate": "300k" }, "publish_to": "small/{name}" });
    let (status, pipeline) = ask(server, Method::POST, "streams/live/x/pipelines", Some(body));
    assert_eq!(status, 201, "{pipeline}");
    let id = pipeline["id"].as_u64().expect("a number");
    poll_until(seconds(20), "the ordered pipeline to run", || {
        let (_, pipeline) = ask(server, Method::GET, &format!("pipelines/{id}"), None);
        (pipeline["state"] == "running").then_some(())
    });
    id
}

#[test]
fn bit_rate_key_frame_and_outputs() {
    let (server, _publisher) = published();
    let id = order(&server);
    let item = format!("pipelines/{id}");
    probe(&server.rtmp("small/x"), 2).expect("it plays");

    let (status, changed) = ask(
        &server,
        Method::PATCH,
        &item,
        Some(json!({ "params": { "video_bitrate": "900k" }, "key_frame": true, "publish": ["copy/y"] })),
    );
    assert_eq!(status, 200, "{changed}");
    let seen = probe(&server.rtmp("copy/y"), 3).expect("the added output plays");
    assert!(seen.tracks.contains(&"h264 320x180".to_owned()), "{:?}", seen.tracks);
    seen.assert_rises_for(2.0);

    let shown = poll_until(seconds(10), "the change to be shown", || {
        let (_, shown) = ask(&server, Method::GET, &item, None);
        (shown["params"]["video_bitrate"] == 900_000).then_some(shown)
    });
    assert_eq!(shown["restarts"], 0);
    assert_eq!(shown["encoders"]["v"], "x264enc");
    assert_eq!(shown["outputs"], json!(["copy/y", "small/x"]));
    assert!(shown["process"]["memory_bytes"].as_u64() > Some(1 << 20), "{shown}");
    let stages: Vec<_> = shown["stages"].as_array().expect("a list").iter().collect();
    let names: Vec<_> = stages
        .iter()
        .map(|stage| stage["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["in", "decode", "scale", "encode", "out"]);
    assert!(
        stages.iter().all(|stage| stage["frames"].as_u64() > Some(10)),
        "{shown}"
    );

    let (status, _) = ask(&server, Method::PATCH, &item, Some(json!({ "unpublish": ["copy/y"] })));
    assert_eq!(status, 200);
    poll_until(seconds(10), "the removed output to end", || {
        let (_, streams) = ask(&server, Method::GET, "streams/copy/y", None);
        (streams["live"] != true).then_some(())
    });
    probe(&server.rtmp("small/x"), 1).expect("the other output goes on");

    let (status, _) = ask(&server, Method::DELETE, &item, None);
    assert_eq!(status, 204);
    poll_until(seconds(15), "the pipeline to end", || {
        let (status, _) = ask(&server, Method::GET, &item, None);
        (status == 404).then_some(())
    });
    probe(&server.rtmp("live/x"), 1).expect("the source goes on");
}

#[test]
fn one_output_of_several_and_the_text_in_the_pictures() {
    let (server, _publisher) = published();
    let orders = "streams/live/x/pipelines";
    let rungs = json!([{ "height": 180, "bitrate": "300k" }, { "height": 90, "bitrate": "100k" }]);
    let ladder = json!({ "template": "ladder", "params": { "ladder": rungs }, "publish_to": "small/{name}-{output}" });
    let (status, pipeline) = ask(&server, Method::POST, orders, Some(ladder));
    assert_eq!(status, 201, "{pipeline}");
    let item = format!("pipelines/{}", pipeline["id"]);
    poll_until(seconds(30), "the lower rung", || {
        probe(&server.rtmp("small/x-90"), 1).ok()
    });

    let (status, refused) = ask(&server, Method::PATCH, &item, Some(json!({ "publish": ["copy/y"] })));
    assert_eq!(status, 409, "{refused}");
    let refused = refused.to_string();
    assert!(
        refused.contains("several streams") && refused.contains("180"),
        "{refused}"
    );
    let wrong = json!({ "publish": [{ "output": "480", "publish_to": "copy/y" }] });
    let (status, refused) = ask(&server, Method::PATCH, &item, Some(wrong));
    assert_eq!(status, 409, "{refused}");
    assert!(refused.to_string().contains("no output '480'"), "{refused}");
    let right = json!({ "publish": [{ "output": "90", "publish_to": "copy/y" }] });
    let (status, changed) = ask(&server, Method::PATCH, &item, Some(right));
    assert_eq!(status, 200, "{changed}");
    let seen = poll_until(seconds(30), "the added output", || {
        probe(&server.rtmp("copy/y"), 2).ok()
    });
    assert!(seen.tracks.contains(&"h264 160x90".to_owned()), "{:?}", seen.tracks);

    let overlay = json!({ "template": "overlay", "publish_to": "copy/marked" });
    let (status, pipeline) = ask(&server, Method::POST, orders, Some(overlay));
    assert_eq!(status, 201, "{pipeline}");
    let item = format!("pipelines/{}", pipeline["id"]);
    poll_until(seconds(30), "the marked stream", || {
        probe(&server.rtmp("copy/marked"), 1).ok()
    });
    let (status, _) = ask(
        &server,
        Method::PATCH,
        &item,
        Some(json!({ "params": { "text": "Back <soon> & sound" } })),
    );
    assert_eq!(status, 200);
    let (status, refused) = ask(
        &server,
        Method::PATCH,
        &item,
        Some(json!({ "params": { "logo": "/etc/passwd" } })),
    );
    assert_eq!(status, 409);
    assert!(refused.to_string().contains("only the configuration"), "{refused}");
    let shown = poll_until(seconds(10), "the new text", || {
        let (_, shown) = ask(&server, Method::GET, &item, None);
        (shown["params"]["text"] == "Back <soon> & sound").then_some(shown)
    });
    assert_eq!((&shown["restarts"], &shown["state"]), (&json!(0), &json!("running")));
}

#[test]
fn with_errors_that_say_what_is_wrong() {
    let (server, _publisher) = published();
    let id = order(&server);
    let orders = "streams/live/x/pipelines";
    for (method, path, body, status, reason) in [
        (
            Method::POST,
            orders,
            json!({ "template": "transcod" }),
            409,
            "did you mean 'transcode'",
        ),
        (
            Method::POST,
            orders,
            json!({ "template": "transcode" }),
            409,
            "needs publish_to",
        ),
        (
            Method::POST,
            orders,
            json!({ "tmplate": "transcode" }),
            400,
            "unknown field",
        ),
        (
            Method::POST,
            orders,
            json!({ "template": "transcode", "publish_to": "live/{name}" }),
            409,
            "does not run",
        ),
        (
            Method::POST,
            orders,
            json!({ "template": "transcode", "publish_to": "small/{name}" }),
            409,
            "published by a pipeline already",
        ),
        (
            Method::POST,
            "streams/live/nobody/pipelines",
            json!({ "template": "hls" }),
            404,
            "live/nobody is not live",
        ),
        (
            Method::PATCH,
            "pipelines/ID",
            json!({ "params": { "height": 240 } }),
            409,
            "only when it starts",
        ),
        (
            Method::PATCH,
            "pipelines/ID",
            json!({ "params": { "height": 24_000_000_000_u64 } }),
            409,
            "above 4320",
        ),
        (
            Method::PATCH,
            "pipelines/ID",
            json!({ "params": { "keyframe_interval": "1s" } }),
            409,
            "only when it starts",
        ),
        (Method::PATCH, "pipelines/ID", json!({ "publish": ["../x"] }), 400, ""),
        (
            Method::PATCH,
            "pipelines/ID",
            json!({ "publish": ["live/x"] }),
            409,
            "feed itself",
        ),
        (
            Method::PATCH,
            "pipelines/999",
            json!({ "key_frame": true }),
            404,
            "no pipeline 999",
        ),
    ] {
        let path = path.replace("ID", &id.to_string());
        let (answered, text) = ask(&server, method, &path, Some(body.clone()));
        assert_eq!(answered, status, "{path} {body}: {text}");
        let text = text.to_string();
        assert!(text.contains(reason), "{path} {body}: {text} does not say {reason:?}");
    }
}

#[test]
fn by_this_machine_and_no_page_of_another_site() {
    let (server, _publisher) = published();
    let id = order(&server);
    let item = format!("pipelines/{id}");
    for origin in ["http://evil.example", "null"] {
        let (status, text) = ask_from(&server, Method::DELETE, &item, None, Some(origin));
        assert_eq!(status, 403, "{text}");
    }
    let own = format!("http://{}", server.http_address());
    let (status, text) = ask_from(&server, Method::DELETE, &item, None, Some(&own));
    assert_eq!(status, 204, "{text}");
}

#[test]
fn and_drawn_as_they_are() {
    let (server, _publisher) = published();
    let id = order(&server);
    let (status, picture) = ask(&server, Method::GET, &format!("pipelines/{id}/graph"), None);
    assert_eq!(status, 200, "{picture}");
    let picture = picture.as_str().expect("a picture");
    assert!(
        picture.contains("<svg") && picture.contains("GstX264Enc"),
        "{picture:.300}"
    );
}
