//! Products: what comes out of an instance, free of GStreamer.
//!
//! The elements' side turns samples into products, the server's side puts them where they belong. Between the two there may
//! be nothing, or another process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use gststreammill::{Delivery, Framer, Outlet};
use streammill_media::{Frame, MediaTime, Track, TrackKey};

use super::{cmaf, template::Output};
use crate::output::hls::Chunk;

/// What came out, and where.
#[derive(Clone, Debug)]
pub struct Product {
    /// The number of the output.
    pub output: usize,
    /// Its pad.
    pub pad: TrackKey,
    /// What arrived there.
    pub what: What,
}

/// What arrives at the pad of an output.
#[derive(Clone, Debug)]
pub enum What {
    /// The frames that follow are of this track.
    Track(Track),
    /// A frame. Its decoder configuration is one, too.
    Frame(Frame),
    /// The initialisation segment for the chunks that follow.
    Header(Bytes),
    /// A chunk of a CMAF track.
    Chunk(Chunk),
    /// A still picture, as a file.
    Picture(Bytes),
    /// Nothing more will come to this pad.
    End,
}

/// Takes products. What it answers with ends the pipeline.
pub type Emit = Arc<dyn Fn(Product) -> Result<(), String> + Send + Sync>;

/// Where running time zero lies on the stream's timeline; not known until the first frame is.
pub type Origin = Arc<OnceLock<MediaTime>>;

/// The outlet that makes products of what arrives at an output's pads.
pub fn outlet(form: Output, output: usize, pads: &[TrackKey], origin: Origin, emit: Emit) -> Outlet {
    let framers: BTreeMap<_, _> = pads.iter().map(|pad| (*pad, Mutex::new(Maker::new(*pad)))).collect();
    Arc::new(move |pad, delivery| {
        let origin = origin.get().copied().unwrap_or_default();
        let put = |what| emit(Product { output, pad, what });
        match (form, delivery) {
            (_, Delivery::End) => put(What::End),
            (Output::Segments, Delivery::Sample(sample)) => cmaf::parts(&sample, origin)?.into_iter().try_for_each(put),
            (Output::Pictures, Delivery::Sample(sample)) => pictures(&sample)?.into_iter().try_for_each(put),
            (_, Delivery::Sample(sample)) => {
                let maker = framers
                    .get(&pad)
                    .ok_or_else(|| format!("nothing is expected at {pad}"))?;
                // It is whole after a panic too: a frame is made or it is not.
                let mut maker = maker.lock().unwrap_or_else(PoisonError::into_inner);
                maker.take(&sample, origin)?.into_iter().try_for_each(put)
            }
        }
    })
}

/// The pictures in a sample.
fn pictures(sample: &gst::Sample) -> Result<Vec<What>, String> {
    let name = sample.caps().and_then(|caps| Some(caps.structure(0)?.name()));
    if name.is_none_or(|name| name != "image/jpeg") {
        return Err("what arrives at `out` is no picture; end with jpegenc".to_owned());
    }
    let lists = sample.buffer_list().into_iter().flat_map(|list| list.iter());
    let picture = |buffer: &gst::BufferRef| {
        let data = buffer.map_readable().map_err(|_| "a picture cannot be read")?;
        Ok(What::Picture(Bytes::copy_from_slice(&data)))
    };
    sample.buffer().into_iter().chain(lists).map(picture).collect()
}

/// Makes frames, and says when they are of another track than before.
struct Maker {
    framer: Framer,
    announced: Option<Track>,
}

impl Maker {
    fn new(pad: TrackKey) -> Self {
        Self {
            framer: Framer::new(pad),
            announced: None,
        }
    }

    fn take(&mut self, sample: &gst::Sample, origin: MediaTime) -> Result<Vec<What>, String> {
        let mut frames = Vec::new();
        let taken = self.framer.take(sample, origin, &mut frames);
        taken.map_err(|error| error.to_string())?;
        let mut made = Vec::with_capacity(frames.len() + 1);
        if self.announced.as_ref() != self.framer.track() {
            self.announced = self.framer.track().cloned();
            made.extend(self.announced.clone().map(What::Track));
        }
        made.extend(frames.into_iter().map(What::Frame));
        Ok(made)
    }
}
