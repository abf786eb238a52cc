//! Links: from the pads of a `millsink` that was told its stream to the thread of its connection.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::AtomicUsize,
        mpsc::{SyncSender, channel},
    },
    time::Duration,
};

use streammill_media::{Frame, MediaTime, TrackKey};

use super::Delivery;
use crate::{
    framer::{FrameError, Framer},
    location::Location,
    peer::Peer,
    publisher::{self, Item},
};

/// How long the end of a pad waits for the network to take what came before it.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection to a server, and the way to it. Dropping it cuts the connection.
pub(super) struct Link {
    // Dropped first, so that pads that wait for the network are let go.
    _peer: Peer,
    items: SyncSender<Item>,
    framers: BTreeMap<TrackKey, Framer>,
}

/// A delivery on its way. It holds nothing of the link, which may be dropped meanwhile.
pub(super) struct Parcel {
    items: SyncSender<Item>,
    frames: Vec<Frame>,
    is_end: bool,
}

impl Link {
    /// Publishes what is sent until as many pads have ended as are expected.
    pub(super) fn start(
        location: Location,
        element: &gst::Element,
        expected: Arc<AtomicUsize>,
    ) -> Result<Self, gst::StateChangeError> {
        let (items, received) = publisher::channel();
        let work = move |stop: &_| publisher::publish(&location, &received, &expected, stop);
        Ok(Self {
            _peer: Peer::start(element, "millsink", work)?,
            items,
            framers: BTreeMap::new(),
        })
    }

    /// Makes frames of a delivery.
    pub(super) fn pack(&mut self, track: Option<TrackKey>, delivery: Delivery) -> Result<Parcel, FrameError> {
        let mut frames = Vec::new();
        if let (Delivery::Sample(sample), Some(track)) = (&delivery, track) {
            let framer = self.framers.entry(track).or_insert_with(|| Framer::new(track));
            framer.take(sample, MediaTime::ZERO, &mut frames)?;
        }
        Ok(Parcel {
            items: self.items.clone(),
            frames,
            is_end: matches!(delivery, Delivery::End),
        })
    }
}

impl Parcel {
    /// Waits until the connection's thread has room. It fails when the thread is gone, which has said why.
    pub(super) fn send(self) -> Result<(), gst::FlowError> {
        for frame in self.frames {
            self.items.send(Item::Frame(frame)).map_err(|_| gst::FlowError::Eos)?;
        }
        if self.is_end {
            let (done, sent) = channel();
            self.items.send(Item::End(done)).map_err(|_| gst::FlowError::Eos)?;
            let _ = sent.recv_timeout(FLUSH_TIMEOUT);
        }
        Ok(())
    }
}
