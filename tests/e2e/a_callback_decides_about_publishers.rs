//! A service of the operator's is asked before a stream begins: it lets publishers in or not, gives streams other names, and
//! says which pipelines they get, whether they are recorded, and for how long they last.

use serde_json::Value;

use crate::harness::{Publish, Server, Service, get, poll_until, probe, seconds};

fn streams(server: &Server) -> Vec<String> {
    let (_, text) = get(&server.http("api/v1/streams")).expect("an answer");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let streams = all["streams"].as_array().expect("a list").iter();
    streams
        .filter(|stream| stream["live"] == true)
        .map(|stream| {
            format!(
                "{}/{}",
                stream["app"].as_str().unwrap_or("?"),
                stream["name"].as_str().unwrap_or("?")
            )
        })
        .collect()
}

#[test]
fn a_reply_renames_the_stream_and_starts_pipelines_and_a_recording() {
    let reply = r#"{"name": "public", "record": true,
        "pipelines": [{"template": "transcode", "params": {"height": 90}, "publish_to": "small/{name}"}, "nonsense"]}"#;
    let service = Service::answering("200 OK\r\nContent-Type: application/json", reply);
    let server = Server::start(&format!(
        "[apps.live]\non_publish = \"{}\"\nrecord = {{ path = \"rec\", when = \"manual\" }}\n[apps.small]\n",
        service.url()
    ));
    let mut publisher = Publish::new().to(&server.rtmp("live/stream-key?token=a%26b"));
    let small = server.rtmp("small/public");
    let seen = poll_until(seconds(40), "the rendition", || probe(&small, 1).ok());
    assert!(seen.tracks.contains(&"h264 160x90".to_owned()), "{:?}", seen.tracks);
    assert_eq!(streams(&server), ["live/public", "small/public"]);
    let asked = service.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    for field in [
        "app=live&",
        "&addr=127.0.0.1&",
        "&call=publish&",
        "&name=stream-key&",
        "&token=a%26b",
    ] {
        assert!(asked[0].contains(field), "{field} is not in {}", asked[0]);
    }
    poll_until(seconds(20), "the recording", || server.files("rec").into_iter().next());
    publisher.terminate(seconds(10));
    let log = server.log();
    assert!(
        log.contains("there is no template 'nonsense'"),
        "what cannot be done is said"
    );
    for secret in ["stream-key", "a%26b", "of-the-operator"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_refusal_sends_the_publisher_away() {
    let service = Service::answering("403 Forbidden", "no");
    let server = Server::start(&format!(
        "[apps.live]\non_publish = \"{}\"\n[apps.free]\n",
        service.url()
    ));
    let mut publisher = Publish::new().to(&server.rtmp("live/x"));
    assert!(!publisher.wait(seconds(20)).success(), "it was let in");
    assert_eq!((streams(&server), service.asked().len()), (vec![], 1));
    let _other = Publish::new().to(&server.rtmp("free/x"));
    poll_until(seconds(20), "another app", || {
        (streams(&server) == ["free/x"]).then_some(())
    });
}

#[test]
fn a_redirection_is_another_name_as_for_nginx_rtmp() {
    let service = Service::answering("302 Found\r\nLocation: other", "");
    let server = Server::start(&format!("[apps.live]\non_publish = \"{}\"\n", service.url()));
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    poll_until(seconds(20), "the stream", || {
        (streams(&server) == ["live/other"]).then_some(())
    });
}

#[test]
fn where_nobody_can_be_asked_the_configuration_decides() {
    for (unreachable, is_let_in) in [("deny", false), ("allow", true)] {
        let server = Server::start(&format!(
            "[callbacks]\ntimeout = \"2s\"\nunreachable = \"{unreachable}\"\n\
             [apps.live]\non_publish = \"http://127.0.0.1:1/publish\"\n"
        ));
        let mut publisher = Publish::new().to(&server.rtmp("live/x"));
        match is_let_in {
            true => poll_until(seconds(20), "the stream", || {
                (streams(&server) == ["live/x"]).then_some(())
            }),
            false => assert!(!publisher.wait(seconds(20)).success(), "it was let in"),
        }
        assert!(server.log().contains("on_publish: the service cannot be asked"));
    }
}

#[test]
fn a_stream_ends_when_its_time_is_over() {
    let service = Service::answering("200 OK\r\nContent-Type: application/json", r#"{"max_duration": "2s"}"#);
    let server = Server::start(&format!("[apps.live]\non_publish = \"{}\"\n", service.url()));
    let mut publisher = Publish::new().to(&server.rtmp("live/x"));
    poll_until(seconds(20), "the stream", || {
        (streams(&server) == ["live/x"]).then_some(())
    });
    assert!(!publisher.wait(seconds(20)).success(), "nobody ended it");
    assert!(server.log().contains("The time for this stream, 2s, is over."));
}
