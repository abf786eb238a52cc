//! A hardware encoder that fails in mid-stream, with an error, by taking its process along or by hanging, is replaced by the next one:
//! the rendition goes on after less than two seconds, and the API says what happened.

use std::{fs, thread};

use serde_json::Value;

use crate::harness::{Publish, Server, fake_hardware, get, poll_until, probe, seconds};

fn transcode(server: &Server) -> Option<Value> {
    let (_, text) = get(&server.http("api/v1/pipelines"))?;
    let all: Value = serde_json::from_str(&text).ok()?;
    all["pipelines"].as_array()?.first().cloned()
}

fn is_replaced_when_it(fault: &str) {
    let row = fake_hardware::row("", &[&format!("fault={fault}@{{dir}}/now")]);
    let config = format!(
        "{row}\n[apps.live]\n\
         pipelines = [{{ template = \"transcode\", params = {{ height = 180 }}, publish_to = \"small/{{name}}\" }}]\n[apps.small]\n"
    );
    let server = Server::with_fake_hardware(&config);
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    let small = server.rtmp("small/x");
    poll_until(seconds(40), "the rendition", || probe(&small, 1).ok());
    let before = transcode(&server).expect("it is listed");
    assert_eq!(before["encoders"]["v"], "fakehwh264enc");

    let player = {
        let small = small.clone();
        thread::spawn(move || probe(&small, 8))
    };
    poll_until(seconds(20), "the player", || {
        let (_, stream) = get(&server.http("api/v1/streams/small/x"))?;
        let stream: Value = serde_json::from_str(&stream).ok()?;
        (stream["viewers"].as_u64() > Some(0)).then_some(())
    });
    fs::write(server.folder().join("now"), "").expect("the sign to fail");
    let after = poll_until(seconds(20), "the next encoder to go on", || {
        transcode(&server).filter(|pipeline| pipeline["encoders"]["v"] != "fakehwh264enc")
    });
    let warning = after["warning"].as_str().unwrap_or_default();
    assert!(warning.contains("encoder fakehwh264enc has failed"), "{after}");

    let seen = player.join().expect("no panic").expect("it played through");
    let pictures = seen.video();
    let gap = pictures
        .windows(2)
        .map(|pair| pair[1].dts - pair[0].dts)
        .fold(0.0, f64::max);
    assert!(gap < 2.0, "nothing to see for {gap} s");
    let span = pictures.last().map_or(0.0, |last| last.dts - pictures[0].dts);
    assert!(span > 5.0, "it ended after {span} s");
}

#[test]
fn in_mid_stream_with_an_error() {
    is_replaced_when_it("fail");
}

#[test]
fn in_mid_stream_with_its_process() {
    is_replaced_when_it("abort");
}

#[test]
fn in_mid_stream_when_it_hangs() {
    is_replaced_when_it("hang");
}
