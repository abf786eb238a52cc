//! Screen: elements that decode and show on this machine.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{FutureExt, StreamExt};
use gst::prelude::*;
use gststreammill::MillSrc;
use streammill_media::{MediaKind, Track, TrackKey};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    super::{
        decoder::{decoder, parser},
        packages,
    },
    sight::Sight,
    supply::Feeds,
};

const PICTURE_SINK: &str = "autovideosink";
const SOUND_SINK: &str = "autoaudiosink";
/// What takes everything and shows nothing. The two above choose it where nothing else works.
const NO_SINK: &str = "fakesink";
/// A sink that is never chosen: DirectFB ends the process where there is no display.
const BAD_SINK: &str = "dfbvideosink";
/// How long a window may take to close.
const SWITCH_OFF: Duration = Duration::from_secs(5);

/// A pipeline that shows.
#[derive(Debug)]
pub(super) struct Screen {
    pipeline: gst::Pipeline,
    messages: gst::bus::BusStream,
    source: MillSrc,
    tracks: Vec<Track>,
    sight: Sight,
}

/// Says why an element cannot show anything.
pub(super) fn check(sink: Option<&str>) -> Result<(), String> {
    let Some(name) = sink else { return Ok(()) };
    let factory = gst::ElementFactory::find(name).ok_or_else(|| {
        let hint = packages::hint([name].into_iter());
        format!("there is no element '{}'{hint}", name.escape_debug())
    })?;
    match factory.has_type(gst::ElementFactoryType::SINK) {
        true => Ok(()),
        false => Err(format!("element '{name}' is no sink")),
    }
}

impl Screen {
    /// Makes the elements for these tracks and starts them. Opens windows and devices, which may take its time.
    pub(super) async fn start(tracks: Vec<Track>, sink: Option<String>, tell: &impl Fn(&str)) -> Result<Self, String> {
        let made = spawn_blocking(move || Self::build(&tracks, sink.as_deref())?.switch_on());
        // The task is not cancelled, and a panic in it is one here.
        let made = made
            .await
            .unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
        let (screen, is_mute) = made?;
        if is_mute {
            tell("no sound is heard: no audio device can be opened");
        }
        Ok(screen)
    }

    fn build(tracks: &[Track], sink: Option<&str>) -> Result<Self, String> {
        let failed = |error: gst::glib::BoolError| error.to_string();
        if let Some(bad) = gst::ElementFactory::find(BAD_SINK) {
            bad.set_rank(gst::Rank::NONE);
        }
        let pipeline = gst::Pipeline::new();
        let source = gst::ElementFactory::make("millsrc")
            .name("in")
            .build()
            .map_err(failed)?;
        pipeline.add(&source).map_err(failed)?;
        let mut shown = Vec::new();
        let mut sight = None;
        for kind in [MediaKind::Video, MediaKind::Audio] {
            let Some(track) = tracks.iter().find(|track| track.kind() == kind) else {
                continue;
            };
            let name = match (kind, sink) {
                (MediaKind::Video, None) => PICTURE_SINK,
                (MediaKind::Video, Some(sink)) => sink,
                (_, Some(NO_SINK)) => NO_SINK,
                _ => SOUND_SINK,
            };
            let converters = branch(track)?;
            let sink = gst::ElementFactory::make(name).build().map_err(failed)?;
            if sink.has_property_with_type("sync", bool::static_type()) {
                sink.set_property("sync", true);
            }
            pipeline.add(&converters).map_err(failed)?;
            pipeline.add(&sink).map_err(failed)?;
            source
                .link_pads(Some(&TrackKey::first(kind).to_string()), &converters, None)
                .map_err(failed)?;
            converters.link(&sink).map_err(failed)?;
            let pad = sink
                .static_pad("sink")
                .ok_or_else(|| format!("element '{name}' has no pad"))?;
            sight.get_or_insert_with(|| Sight::of(&pad, track));
            shown.push(track.clone());
        }
        let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
        Ok(Self {
            messages: bus.stream(),
            pipeline,
            source: source.downcast().map_err(|_| "millsrc is not ours")?,
            tracks: shown,
            sight: sight.ok_or("the stream has neither pictures nor sound that can be read")?,
        })
    }

    /// Starts it. Also tells whether there is sound that nobody will hear.
    fn switch_on(mut self) -> Result<(Self, bool), String> {
        let started = self.pipeline.set_state(gst::State::Playing);
        if self.has_given_up(PICTURE_SINK) {
            return Err(
                "no window can be opened here: no video sink of GStreamer works (is there a display?); \
                 --sink fakesink decodes without one"
                    .to_owned(),
            );
        }
        if started.is_err() {
            // A message that came before tells why.
            while let Some(Some(message)) = self.messages.next().now_or_never() {
                if let gst::MessageView::Error(error) = message.view() {
                    return Err(reason(error));
                }
            }
            return Err("the elements do not start".to_owned());
        }
        let is_mute = self.has_given_up(SOUND_SINK);
        Ok((self, is_mute))
    }

    /// Whether a sink that chooses among those installed found none that works.
    fn has_given_up(&self, chooser: &str) -> bool {
        let is = |element: &gst::Element, name: &str| element.factory().is_some_and(|factory| factory.name() == name);
        let mut choosers = self.pipeline.iterate_recurse().into_iter().flatten();
        let chooser = choosers.find(|element| is(element, chooser)).and_downcast::<gst::Bin>();
        chooser.is_some_and(|bin| bin.children().iter().any(|chosen| is(chosen, NO_SINK)))
    }

    /// What is to be seen of it.
    pub(super) fn sight(&self) -> Sight {
        self.sight.clone()
    }

    /// The ways in.
    pub(super) fn feeds(&self) -> Feeds {
        let mut tracks = BTreeMap::new();
        for track in &self.tracks {
            if let Some(feed) = self.source.feed(TrackKey::first(track.kind())) {
                feed.start(track);
                tracks.insert(track.key(), (track.codec, feed));
            }
        }
        Feeds {
            pipeline: self.pipeline.clone(),
            tracks,
        }
    }

    /// Waits until all was shown, the window was closed, or something fails.
    pub(super) async fn closed(&mut self) -> Result<(), String> {
        while let Some(message) = self.messages.next().await {
            if let Some(end) = end(&message) {
                return end;
            }
        }
        Ok(())
    }

    /// Closes the window.
    pub(super) async fn switch_off(self) {
        let pipeline = self.pipeline.clone();
        // A window that does not close goes with the process.
        let _ = timeout(SWITCH_OFF, spawn_blocking(move || pipeline.set_state(gst::State::Null))).await;
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.pipeline.current_state() == gst::State::Null {
            return;
        }
        // An element must not be freed while it runs, and stopping it may take time that an async worker does not have.
        let pipeline = self.pipeline.clone();
        std::thread::spawn(move || pipeline.set_state(gst::State::Null));
    }
}

/// The elements from a track's frames to what its sink takes. The text is put together from our own tables alone.
fn branch(track: &Track) -> Result<gst::Bin, String> {
    let is_present = |element: &str| gst::ElementFactory::find(element).is_some();
    let convert = match track.kind() {
        MediaKind::Video => "videoconvertscale",
        _ => "audioconvert ! audioresample",
    };
    let (parser, decoder) = (parser(track.codec), decoder(track, is_present));
    let text = format!("queue ! {parser} ! {decoder} ! {convert}");
    let mut context = gst::ParseContext::new();
    let parsed = gst::parse::bin_from_description_full(&text, true, Some(&mut context), gst::ParseFlags::FATAL_ERRORS);
    let element = parsed.map_err(|error| match context.missing_elements().as_slice() {
        [] => error.message().to_owned(),
        missing => {
            let hint = packages::hint(missing.iter().map(|name| name.as_str()));
            format!("element {} is not installed{hint}", missing.join(", "))
        }
    })?;
    element.downcast().map_err(|_| "the elements make no bin".to_owned())
}

/// What a message says about the end: `Err` of a failure.
fn end(message: &gst::Message) -> Option<Result<(), String>> {
    match message.view() {
        gst::MessageView::Eos(_) => Some(Ok(())),
        gst::MessageView::Error(error) => {
            // This is how all sinks that have a window say that it was closed.
            let is_window = source(error)
                .and_then(ElementExt::factory)
                .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::SINK));
            let is_closed = is_window && error.error().matches(gst::ResourceError::NotFound);
            Some(if is_closed { Ok(()) } else { Err(reason(error)) })
        }
        _ => None,
    }
}

fn source(error: &gst::message::Error) -> Option<&gst::Element> {
    error.src().and_then(|source| source.downcast_ref())
}

fn reason(error: &gst::message::Error) -> String {
    let name = source(error).map_or_else(String::new, |source| format!("{}: ", source.name()));
    format!("{name}{}", error.error())
}
