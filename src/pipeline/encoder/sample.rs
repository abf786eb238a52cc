//! A sample: a few frames, really encoded.
//!
//! That an element is installed says little. Drivers are missing, devices belong to others, sessions are used up; all of that
//! shows when a session is opened, which is at the first frame. Drivers also crash and hang, so samples are taken in a
//! process of their own, which [`probe`](super::probe) watches.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use gst::prelude::*;

use super::{
    apply::apply,
    codec::EncoderCodec,
    map::Encoder,
    role::{Demand, Pictures},
    survey,
};

/// Frames that are encoded.
const FRAMES: usize = 5;
/// Pictures a second of them.
const RATE: (u32, u32) = (30, 1);
/// Time that is waited for the end of it. Whoever runs this has less patience.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(3600);

/// What a sample was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Buffers that came out.
    pub frames: usize,
    /// On what the encoder runs.
    pub device: Option<String>,
}

/// Encodes a few frames.
pub fn encode(encoder: &Encoder) -> Result<Sample, String> {
    let name = &encoder.element;
    let element = gst::ElementFactory::make(name)
        .build()
        .map_err(|_| format!("{name} is not installed, or cannot be made"))?;
    let source = match encoder.codec.is_video() {
        true => format!(
            "videotestsrc num-buffers={FRAMES} ! video/x-raw,format=I420,width=640,height=360,framerate={}/{} ! videoconvert",
            RATE.0, RATE.1
        ),
        false => format!(
            "audiotestsrc num-buffers={FRAMES} samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 ! audioconvert"
        ),
    };
    let source = gst::parse::bin_from_description(&source, true).map_err(|error| error.to_string())?;
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .build()
        .map_err(|error| error.to_string())?;
    let pipeline = gst::Pipeline::new();
    let link = || {
        pipeline.add_many([source.upcast_ref(), &element, &sink])?;
        gst::Element::link_many([source.upcast_ref(), &element, &sink])
    };
    link().map_err(|_| format!("{name} takes no plain pictures or sound"))?;
    let pictures = Pictures {
        rate: Some(RATE),
        ..Pictures::default()
    };
    apply(&element, encoder, &demand(encoder.codec), pictures).map_err(|error| error.to_string())?;
    let frames = count_output(&sink);
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    // A start that fails has posted why.
    let _ = pipeline.set_state(gst::State::Playing);
    let message = bus.timed_pop_filtered(PATIENCE, &[gst::MessageType::Eos, gst::MessageType::Error]);
    let device = survey::device(&element, encoder);
    let ended = match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => Err(described(error)),
        _ => Err("it came to no end".to_owned()),
    };
    // What a driver says when it is left is of no use; that it can be left is.
    let _ = pipeline.set_state(gst::State::Null);
    ended?;
    match frames.load(Ordering::Relaxed) {
        0 => Err("it took frames and gave none".to_owned()),
        frames => Ok(Sample { frames, device }),
    }
}

/// What a usual template asks for.
fn demand(codec: EncoderCodec) -> Demand {
    Demand {
        bitrate: Some(if codec.is_video() { 1_000_000 } else { 96_000 }),
        keyframe_interval: codec.is_video().then_some(std::time::Duration::from_secs(2)),
        ..Demand::default()
    }
}

fn count_output(sink: &gst::Element) -> Arc<AtomicUsize> {
    let frames = Arc::new(AtomicUsize::new(0));
    let counter = frames.clone();
    if let Some(pad) = sink.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            // Opus begins with headers, which have no frame in them.
            if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data
                && !buffer.flags().contains(gst::BufferFlags::HEADER)
                && buffer.size() > 0
            {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
    }
    frames
}

fn described(error: &gst::message::Error) -> String {
    let mut text = error.error().to_string();
    // The first line is where in GStreamer's sources it was found; the rest is what happened.
    if let Some((_, detail)) = error.debug().as_ref().and_then(|debug| debug.split_once('\n')) {
        text.push_str(&format!(" ({})", detail.trim()));
    }
    text
}
