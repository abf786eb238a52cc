//! `millsrc` and `millsink`: GStreamer elements that subscribe to, and publish, streams of a streammill server.
//!
//! Inside the server they are the two ends of every pipeline template, fed and emptied by their host through
//! [`MillSrc::feed`] and [`MillSink::set_outlet`]. Built as a shared library the same elements work in a plain
//! `gst-launch-1.0`: with `stream` or `location` set they speak RTMP to a running server by themselves, over its local
//! socket or the network. They carry coded media only;
//! what is done with it is for the elements between them.

#![deny(missing_docs)]

mod address;
mod caps;
mod entry;
mod feed;
mod framer;
mod intake;
mod lane;
mod location;
mod milldrop;
mod millparse;
mod millscale;
mod millsink;
mod millsrc;
mod pads;
mod peer;
mod player;
mod publisher;
mod scaler;
mod socket;

pub use caps::{CapsError, caps_of_track, track_of_caps};
pub use entry::plugin_register_static;
pub use feed::{Feed, Level, NotTaken};
pub use framer::{FrameError, Framer, running_time};
pub use milldrop::MillDrop;
pub use millparse::MillParse;
pub use millscale::MillScale;
pub use millsink::{Delivery, MillSink, Outlet};
pub use millsrc::MillSrc;
