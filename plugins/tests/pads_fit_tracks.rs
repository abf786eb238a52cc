//! Links that name no pad: inside a host, the pad that is made for one carries the track that fits.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, Once},
};

use gst::prelude::*;
use gststreammill::{Delivery, MillSink, MillSrc};
use streammill_media::{MediaKind, TrackId, TrackKey};

const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(20);

fn launch(text: &str) -> gst::Pipeline {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gststreammill::plugin_register_static().unwrap();
    });
    gst::parse::launch(text).unwrap().downcast().unwrap()
}

#[test]
fn a_host_feeds_the_pad_whose_other_side_takes_the_track() {
    let pipeline = launch("millsrc name=in  in. ! aacparse ! fakesink  in. ! h264parse ! fakesink");
    let source = pipeline.by_name("in").and_downcast::<MillSrc>().unwrap();
    let [video, audio] = [MediaKind::Video, MediaKind::Audio].map(TrackKey::first);
    let second = TrackKey {
        id: TrackId(1),
        ..video
    };
    assert!(source.feed(video).is_some());
    assert!(source.feed(video).is_some(), "the same track again");
    assert!(source.feed(second).is_none(), "the pad that is left is for sound");
    assert!(source.feed(audio).is_some());
}

#[test]
fn a_host_is_told_which_track_a_pad_turned_out_to_carry() {
    let sound = "audiotestsrc num-buffers=20 ! voaacenc ! aacparse ! queue ! out.";
    let pipeline = launch(&format!(
        "millsink name=out  {sound}  {sound}  videotestsrc num-buffers=5 ! x264enc tune=zerolatency ! queue ! out."
    ));
    let sink = pipeline.by_name("out").and_downcast::<MillSink>().unwrap();
    let seen: Arc<Mutex<(BTreeSet<String>, usize)>> = Arc::default();
    let told = seen.clone();
    sink.set_outlet(Arc::new(move |track, delivery| {
        let mut seen = told.lock().unwrap();
        match delivery {
            Delivery::Sample(_) => drop(seen.0.insert(track.to_string())),
            Delivery::End => seen.1 += 1,
        }
        Ok(())
    }));
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(PATIENCE, &[gst::MessageType::Eos, gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(matches!(message.unwrap().view(), gst::MessageView::Eos(_)));
    let (tracks, ends) = &*seen.lock().unwrap();
    assert_eq!(tracks.iter().collect::<Vec<_>>(), ["audio", "audio_1", "video"]);
    assert_eq!(*ends, 3);
}

#[test]
fn a_pad_to_which_nothing_ever_came_ends_with_the_others() {
    let pipeline = launch(
        "millsink name=out  videotestsrc num-buffers=5 ! x264enc tune=zerolatency ! h264parse ! out.video  identity ! out.audio",
    );
    let sink = pipeline.by_name("out").and_downcast::<MillSink>().unwrap();
    sink.set_outlet(Arc::new(|_, _| Ok(())));
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(PATIENCE, &[gst::MessageType::Eos, gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(message.map(|message| message.type_()), Some(gst::MessageType::Eos));
}
