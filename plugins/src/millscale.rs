//! `millscale`: pictures of another size.

mod caps;
mod fit;
mod imp;
mod scaling;

use gst::prelude::*;

glib::wrapper! {
    /// Scales I420, NV12 and ten-bit I420 to the size that the elements behind it ask for, as `videoscale` does, with less
    /// work. What has that size already goes through untouched.
    pub struct MillScale(ObjectSubclass<imp::MillScale>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "millscale", gst::Rank::NONE, MillScale::static_type())
}
