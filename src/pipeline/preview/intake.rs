//! Intake: from the server's local socket to a hub.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::StreamExt;
use gst::prelude::*;
use gststreammill::{Delivery, Framer, MillSink, Outlet};
use streammill_media::{MediaKind, MediaTime, TrackKey};

use super::Request;
use crate::hub::{Hub, Origin, Publication, PublicationId, StreamKey};

/// Seconds that a stream which is not live is waited for.
const WAIT: u32 = 10;

/// A stream of the server as a publication here.
#[derive(Debug)]
pub(super) struct Intake {
    pipeline: gst::Pipeline,
    messages: gst::bus::BusStream,
    /// Gone when the stream is over.
    publication: Option<Arc<Publication>>,
    id: PublicationId,
}

impl Intake {
    pub(super) fn open(request: &Request, hub: &Hub, key: &StreamKey) -> Result<Self, String> {
        let origin = Origin::Pipeline {
            template: "preview".to_owned(),
            ancestors: Vec::new(),
        };
        let publication = hub.claim(key.clone(), origin).map_err(|error| error.to_string())?;
        let publication = Arc::new(publication);
        let id = publication.id();
        let failed = |error: gst::glib::BoolError| error.to_string();
        let source = gst::ElementFactory::make("millsrc")
            .property("stream", &request.stream)
            .property("socket", request.socket.as_ref().map(|path| path.display().to_string()))
            .property("wait", WAIT)
            .build()
            .map_err(failed)?;
        let sink = gst::ElementFactory::make("millsink").build().map_err(failed)?;
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([&source, &sink]).map_err(failed)?;
        for kind in [MediaKind::Video, MediaKind::Audio] {
            let pad = TrackKey::first(kind).to_string();
            source.link_pads(Some(&pad), &sink, Some(&pad)).map_err(failed)?;
        }
        if let Some(sink) = sink.downcast_ref::<MillSink>() {
            sink.set_outlet(into(&publication));
        }
        let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
        let messages = bus.stream();
        // It connects on a thread of its own; what fails at once has posted why.
        let _ = pipeline.set_state(gst::State::Playing);
        Ok(Self {
            pipeline,
            messages,
            publication: Some(publication),
            id,
        })
    }

    /// What is published.
    pub(super) fn publication(&self) -> PublicationId {
        self.id
    }

    /// Waits until the stream is over, which it tells once.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        while let Some(message) = self.messages.next().await {
            match message.view() {
                gst::MessageView::Error(error) => return Err(error.error().to_string()),
                gst::MessageView::Eos(_) if self.publication.take().is_some() => return Ok(()),
                _ => {}
            }
        }
        std::future::pending().await
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // Closing a socket takes no time.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Pushes what arrives into a publication, for as long as that lasts.
fn into(publication: &Arc<Publication>) -> Outlet {
    let publication = Arc::downgrade(publication);
    let framers: BTreeMap<_, _> = [MediaKind::Video, MediaKind::Audio]
        .map(|kind| (TrackKey::first(kind), Mutex::new(Framer::new(TrackKey::first(kind)))))
        .into();
    Arc::new(move |track, delivery| {
        let (Delivery::Sample(sample), Some(framer)) = (delivery, framers.get(&track)) else {
            return Ok(());
        };
        let Some(publication) = publication.upgrade() else {
            return Ok(());
        };
        let mut frames = Vec::new();
        // A framer that panicked has taken half a sample at most.
        let mut framer = framer.lock().unwrap_or_else(PoisonError::into_inner);
        framer
            .take(&sample, MediaTime::ZERO, &mut frames)
            .map_err(|error| error.to_string())?;
        for frame in frames {
            publication.push(frame);
        }
        Ok(())
    })
}
