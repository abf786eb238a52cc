//! What GStreamer calls when it loads the plugin, and the server when it registers it.

// The macro makes public items that it does not document.
#![allow(missing_docs)]

use crate::{milldrop, millparse, millscale, millsink, millsrc};

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    millsrc::register(plugin)?;
    millsink::register(plugin)?;
    milldrop::register(plugin)?;
    millparse::register(plugin)?;
    millscale::register(plugin)
}

gst::plugin_define!(
    streammill,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    env!("CARGO_PKG_VERSION"),
    // GStreamer knows licences by its own names, and none for a choice of two.
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    "streammill",
    env!("CARGO_PKG_NAME"),
    env!("BUILD_REL_DATE")
);
