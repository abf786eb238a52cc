//! `millsink`: tracks as sink pads, to become a stream.

mod imp;
mod link;

use std::sync::Arc;

use gst::{prelude::*, subclass::prelude::*};
use streammill_media::TrackKey;

glib::wrapper! {
    /// A bin with one `appsink` for each requested pad: `video` and `audio`, and `video_1` and so on for further tracks.
    /// One of a link that names none is for what comes.
    ///
    /// With `stream` or `location` set it publishes over RTMP by itself; without, its host takes what arrives.
    pub struct MillSink(ObjectSubclass<imp::MillSink>) @extends gst::Bin, gst::Element, gst::Object, @implements gst::ChildProxy;
}

/// What a pad of [`MillSink`] hands to its host.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A buffer or a buffer list, with its caps and segment.
    Sample(gst::Sample),
    /// The pad is at its end.
    End,
}

/// The host's end. It is called on the streaming threads, one thread a pad, and must not block for long; what it returns
/// as an error stops the pipeline with that text.
pub type Outlet = Arc<dyn Fn(TrackKey, Delivery) -> Result<(), String> + Send + Sync>;

impl MillSink {
    /// Hands everything that arrives to `outlet`. To be set before the element starts.
    pub fn set_outlet(&self, outlet: Outlet) {
        self.imp().set_outlet(outlet);
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "millsink", gst::Rank::NONE, MillSink::static_type())
}
