//! The shipped templates on streams in a real hub.

#![allow(clippy::unwrap_used)]

mod ladder;
mod mill;
mod shipped;
mod shipped_pictures;
mod shipped_renditions;
