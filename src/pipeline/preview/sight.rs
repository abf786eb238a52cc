//! Sight: what has come to the elements that show.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use gst::prelude::*;
use streammill_media::{Codec, MediaKind, Track};
use tokio::sync::watch;

/// What is seen of a screen. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    kind: MediaKind,
    codec: Codec,
    frames: Arc<AtomicU64>,
    first: watch::Sender<Option<First>>,
}

/// The first that was decoded.
#[derive(Clone, Debug)]
pub(super) struct First {
    /// `picture`, or `sound` of a stream that has no pictures.
    pub(super) kind: &'static str,
    /// Coding and size.
    pub(super) what: String,
    pub(super) at: Instant,
}

impl Sight {
    /// Of what comes to `pad`, decoded from `track`.
    pub(super) fn of(pad: &gst::Pad, track: &Track) -> Self {
        let sight = Self {
            kind: track.kind(),
            codec: track.codec,
            frames: Arc::default(),
            first: watch::Sender::new(None),
        };
        let seen = sight.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
            if seen.frames.fetch_add(1, Ordering::Relaxed) == 0 {
                seen.first.send_replace(Some(First {
                    kind: seen.word(),
                    what: seen.describe(pad.current_caps()),
                    at: Instant::now(),
                }));
            }
            gst::PadProbeReturn::Ok
        });
        sight
    }

    /// Waits until something was decoded.
    pub(super) async fn first(&self) -> First {
        let mut changes = self.first.subscribe();
        let first = changes
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|first| first.clone());
        match first {
            Some(first) => first,
            // The sender is `self`, so this is not reached.
            None => std::future::pending().await,
        }
    }

    /// How much was shown, for the user.
    pub(super) fn count(&self) -> String {
        let frames = self.frames.load(Ordering::Relaxed);
        match self.kind {
            MediaKind::Video => format!("{frames} frames shown"),
            _ => format!("{frames} pieces of sound played"),
        }
    }

    fn word(&self) -> &'static str {
        match self.kind {
            MediaKind::Video => "picture",
            _ => "sound",
        }
    }

    fn describe(&self, caps: Option<gst::Caps>) -> String {
        let codec = format!("{:?}", self.codec).to_lowercase();
        let number = |field| {
            let caps = caps.as_ref()?;
            caps.structure(0)?.get::<i32>(field).ok()
        };
        match (number("width"), number("height"), number("rate"), number("channels")) {
            (Some(width), Some(height), ..) => format!("{codec} {width}x{height}"),
            (.., Some(rate), Some(channels)) => format!("{codec} {rate} Hz, channels: {channels}"),
            _ => codec,
        }
    }
}
