//! `millsrc`: a stream's tracks as source pads.

mod imp;

use gst::{prelude::*, subclass::prelude::*};
use streammill_media::TrackKey;

use crate::Feed;

glib::wrapper! {
    /// A bin with one `appsrc` for each requested pad: `video` and `audio`, and `video_1` and so on for further tracks.
    /// One of a link that names none carries what the stream has and the other side takes.
    ///
    /// With `stream` or `location` set it plays the stream over RTMP by itself; without, its host feeds it.
    pub struct MillSrc(ObjectSubclass<imp::MillSrc>) @extends gst::Bin, gst::Element, gst::Object, @implements gst::ChildProxy;
}

impl MillSrc {
    /// The feed of the pad for one track, if the pipeline has asked for that pad.
    pub fn feed(&self, key: TrackKey) -> Option<Feed> {
        self.imp().feed(key)
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "millsrc", gst::Rank::NONE, MillSrc::static_type())
}
