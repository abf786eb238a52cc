#![allow(clippy::unwrap_used)]

//! That nothing gets at the memory but by them; otherwise tests that find pictures in it would prove nothing.

use super::*;

const CODED: &str =
    "videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=64,height=64 ! x264enc tune=zerolatency ! h264parse";

/// Runs a pipeline to its end, and answers with the caps at the element `name=end`.
fn run(text: &str) -> Result<String, String> {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        crate::plugin_register_static().unwrap();
    });
    let pipeline = gst::parse::launch(text).map_err(|error| error.to_string())?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    // A start that fails has posted why.
    let _ = pipeline.set_state(gst::State::Playing);
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(30), &ends);
    let error = match message.unwrap().view() {
        gst::MessageView::Error(error) => Some(error.error().to_string()),
        _ => None,
    };
    let caps = pipeline
        .by_name("end")
        .and_then(|end| end.static_pad("sink")?.current_caps());
    pipeline.set_state(gst::State::Null).unwrap();
    match error {
        Some(error) => Err(error),
        None => Ok(caps.unwrap().to_string()),
    }
}

#[test]
fn pictures_stay_in_the_memory_and_are_scaled_there() {
    let caps = run(&format!(
        "{CODED} ! fakehwh264dec ! fakehwscale ! video/x-raw(memory:FakeMemory),width=32,height=32 ! fakesink name=end"
    ));
    let caps = caps.unwrap();
    assert!(
        caps.contains("(memory:FakeMemory)") && caps.contains("width=(int)32"),
        "{caps}"
    );
    let caps = run(&format!(
        "{CODED} ! fakehwh264dec ! fakehwscale ! fakehwh264enc name=end ! fakesink"
    ))
    .unwrap();
    assert!(caps.contains("(memory:FakeMemory)"), "{caps}");
}

#[test]
fn software_gets_them_by_a_download_only() {
    assert!(run(&format!("{CODED} ! fakehwh264dec ! x264enc name=end ! fakesink")).is_err());
    let caps = run(&format!(
        "{CODED} ! fakehwh264dec ! fakehwdownload ! videoconvert name=end ! fakesink"
    ))
    .unwrap();
    assert!(caps.starts_with("video/x-raw, "), "{caps}");
    assert!(run("videotestsrc num-buffers=1 ! fakehwscale ! fakesink name=end").is_err());
    let caps = run("videotestsrc num-buffers=1 ! fakehwupload ! fakehwscale ! fakesink name=end").unwrap();
    assert!(caps.contains("(memory:FakeMemory)"), "{caps}");
}

#[test]
fn a_decoder_fails_when_it_is_told_to() {
    let error = run(&format!("{CODED} ! fakehwh264dec fault=fail@5 ! fakesink name=end")).unwrap_err();
    assert_eq!(error, "The device was lost");
}
