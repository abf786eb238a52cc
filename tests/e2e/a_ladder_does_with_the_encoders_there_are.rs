//! Where there are fewer encoder sessions than a ladder has rungs, the lower rungs are made, and the API says what is missing.

use serde_json::Value;

use crate::harness::{Publish, Server, fake_hardware, get, poll_until, probe, seconds};

fn ladder(server: &Server) -> Option<Value> {
    let (_, text) = get(&server.http("api/v1/pipelines"))?;
    let all: Value = serde_json::from_str(&text).ok()?;
    let pipelines = all["pipelines"].as_array()?;
    pipelines.iter().find(|one| one["template"] == "ladder").cloned()
}

#[test]
fn the_top_rung_is_left_out() {
    let config = format!(
        "[encoders]\nsoftware = \"forbid\"\nlimits = {{ fakehwh264enc = 2 }}\n{}\n\
         [apps.live]\npipelines = [{{ template = \"ladder\", publish_to = \"abr/{{name}}_{{output}}\" }}]\n\
         [apps.live.templates.ladder]\n\
         ladder = [{{ height = 360, bitrate = \"800k\" }}, {{ height = 180, bitrate = \"300k\" }}, {{ height = 90, bitrate = \"100k\" }}]\n\
         [apps.abr]\n",
        fake_hardware::row("", &[])
    );
    let server = Server::with_fake_hardware(&config);
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    for (rung, size) in [("180", "320x180"), ("90", "160x90")] {
        let url = server.rtmp(&format!("abr/x_{rung}"));
        let seen = poll_until(seconds(40), &url, || probe(&url, 1).ok());
        assert!(
            seen.tracks.iter().any(|track| track == &format!("h264 {size}")),
            "{:?}",
            seen.tracks
        );
    }
    let ladder = ladder(&server).expect("it is listed");
    let shortage = ladder["shortage"].as_str().unwrap_or_default();
    assert!(
        shortage.starts_with("it makes no 360 lines; no h264 encoder is free: fakehwh264enc: 2 of 2 sessions"),
        "{ladder:#}"
    );
    assert_eq!(ladder["state"], "running");
    let mut outputs: Vec<_> = ladder["outputs"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    outputs.sort_unstable();
    assert_eq!(outputs, ["abr/x_180", "abr/x_90"]);
}
