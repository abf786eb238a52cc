//! `faulty`: an element that hands on what it gets, and fails in the way it is told to.
//!
//! Codecs and drivers crash, hang, eat memory and print without end. A test that wants to know what becomes of the rest needs
//! one that does so on command.

mod imp;

use gst::{glib, prelude::*};

glib::wrapper! {
    /// Hands on what it gets, and fails in the way it is told to.
    pub struct Faulty(ObjectSubclass<imp::Faulty>) @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "faulty", gst::Rank::NONE, Faulty::static_type())
}

gst::plugin_define!(
    faulty,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    env!("CARGO_PKG_VERSION"),
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    "https://example.org/",
    env!("BUILD_REL_DATE")
);
