//! GStreamer elements.
