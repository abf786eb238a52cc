#![allow(clippy::unwrap_used)]

//! That they fail as they are told to; otherwise tests that use them would prove nothing.

use std::sync::Once;

use super::*;

fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        crate::plugin_register_static().unwrap();
    });
}

fn playing(encoder: &str) -> gst::Pipeline {
    start();
    let text = format!(
        "videotestsrc num-buffers=20 ! video/x-raw,format=I420,width=64,height=64 ! {encoder} name=v ! fakesink name=sink \
         sync=false"
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    // A start that fails has posted why.
    let _ = pipeline.set_state(gst::State::Playing);
    pipeline
}

/// The error that a pipeline ends with, if any.
fn end(pipeline: &gst::Pipeline) -> Option<String> {
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(30), &ends);
    let error = match message.unwrap().view() {
        gst::MessageView::Error(error) => {
            assert_eq!(error.src().unwrap().name(), "v", "whose error it is");
            Some(error.error().to_string())
        }
        _ => None,
    };
    pipeline.set_state(gst::State::Null).unwrap();
    error
}

#[test]
fn without_a_fault_it_encodes_and_calls_itself_hardware() {
    let pipeline = playing("fakehw2h264enc bitrate=500 gop-size=30");
    let encoder = pipeline.by_name("v").unwrap();
    assert!(encoder.metadata("klass").unwrap().ends_with("Hardware"));
    assert_eq!(encoder.property::<String>("device-path"), "/dev/fake2");
    assert_eq!(
        (encoder.property::<u32>("bitrate"), encoder.property::<u32>("gop-size")),
        (500, 30)
    );
    let inside = encoder.downcast::<gst::Bin>().unwrap().children().remove(0);
    assert_eq!(inside.property::<u32>("bitrate"), 500);
    assert_eq!(end(&pipeline), None);
}

#[test]
fn it_fails_at_once_or_in_mid_stream() {
    assert_eq!(
        end(&playing("fakehwh264enc fault=fail")).unwrap(),
        "Failed to open session"
    );
    assert_eq!(
        end(&playing("fakehw1h264enc fault=fail@10")).unwrap(),
        "The device was lost"
    );
    assert_eq!(end(&playing("fakehwh264enc fault=fail@100")), None);
}

#[test]
fn there_are_no_more_sessions_than_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let encoder = format!("fakehwh264enc max-sessions=1 sessions-dir={}", dir.path().display());
    let paused = playing(&encoder);
    let sink = paused.by_name("sink").unwrap();
    // It has the session as soon as something has come out, and keeps it after its end.
    while sink.property::<Option<gst::Sample>>("last-sample").is_none() {
        std::thread::yield_now();
    }
    assert_eq!(end(&playing(&encoder)).unwrap(), "Failed to open session");
    assert_eq!(end(&paused), None);
    assert_eq!(end(&playing(&encoder)), None);
}
