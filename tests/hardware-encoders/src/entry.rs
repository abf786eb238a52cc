//! What GStreamer calls when it loads the plugin.

// The macro makes public items that it does not document.
#![allow(missing_docs)]

use crate::{encoder, transfer, unit};

fn register(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    encoder::register(plugin)?;
    transfer::register(plugin)?;
    unit::register(plugin)
}

gst::plugin_define!(
    fakehardware,
    env!("CARGO_PKG_DESCRIPTION"),
    register,
    env!("CARGO_PKG_VERSION"),
    // GStreamer knows licences by its own names, and none for a choice of two.
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    "streammill",
    env!("CARGO_PKG_NAME"),
    env!("BUILD_REL_DATE")
);
