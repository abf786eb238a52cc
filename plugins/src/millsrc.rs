//! `millsrc`: a stream's tracks as source pads.

mod imp;

use gst::{prelude::*, subclass::prelude::*};
use streammill_media::MediaKind;

use crate::Feed;

glib::wrapper! {
    /// A bin with one `appsrc` for each requested pad, `video` and `audio`.
    ///
    /// With `location` set it plays the stream over RTMP by itself; without, its host feeds it.
    pub struct MillSrc(ObjectSubclass<imp::MillSrc>) @extends gst::Bin, gst::Element, gst::Object, @implements gst::ChildProxy;
}

impl MillSrc {
    /// The feed of the pad for one kind of track, if the pipeline has asked for that pad.
    pub fn feed(&self, kind: MediaKind) -> Option<Feed> {
        self.imp().feed(kind)
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "millsrc", gst::Rank::NONE, MillSrc::static_type())
}
