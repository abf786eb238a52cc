//! HLS: a store of fMP4 segments in memory, and the playlists that list them.
//!
//! Whoever packages a stream opens a [`Presentation`] in the [`Store`], adds its tracks and writes chunks; HTTP asks the
//! store for playlists and segments. A chunk is a part of a segment and stays one, so that low-latency playlists and DASH
//! can be made from what is held here. Everything lives in memory and within bounds; a file system never sees a name from
//! the network.
//!
//! The store knows no muxer and no HTTP, and its rules (`presentation`, `playlist`) know no clock.

mod playlist;
mod presentation;
mod resource;
mod segment;
mod store;

pub use presentation::{Settings, TrackInfo};
pub use resource::{Resource, TrackName};
pub use segment::{Chunk, Segment};
pub use store::{Missing, Presentation, Store, TrackWriter, WriteError};
