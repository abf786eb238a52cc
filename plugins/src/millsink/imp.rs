//! The element behind [`super::MillSink`].

use std::sync::{
    Arc, LazyLock, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use gst::{glib, prelude::*, subclass::prelude::*};
use streammill_media::{MediaKind, TrackKey};

use super::{Delivery, Outlet, link::Link};
use crate::{address::Address, caps::sink_caps, pads};

static CAT: LazyLock<gst::DebugCategory> =
    LazyLock::new(|| gst::DebugCategory::new("millsink", gst::DebugColorFlags::empty(), Some("streammill sink")));

/// Buffers or lists that may wait in a pad. The host takes them as they come, so this is slack, not latency.
const MAX_WAITING: u32 = 16;

/// See [`super::MillSink`].
#[derive(Default)]
pub struct MillSink {
    settings: Mutex<Settings>,
    outlet: Mutex<Option<Outlet>>,
    inlets: Mutex<Vec<Inlet>>,
    link: Mutex<Option<Link>>,
    /// How many ends of pads the connection's thread has to see: pads may be added while it runs.
    expected: Arc<AtomicUsize>,
}

#[derive(Clone, Default)]
struct Settings {
    address: Address,
    sync: bool,
}

/// One requested pad and what empties it.
struct Inlet {
    /// The track it is named after, or turned out to carry.
    track: Option<TrackKey>,
    pad: gst::Pad,
    appsink: gst_app::AppSink,
    has_ended: bool,
}

impl MillSink {
    pub(super) fn set_outlet(&self, outlet: Outlet) {
        *held(&self.outlet) = Some(outlet);
    }

    /// The track that arrives at a pad. One of no track's name has it from its first sample.
    fn track_of(&self, appsink: &gst_app::AppSink, sample: Option<&gst::Sample>) -> Option<TrackKey> {
        let mut inlets = held(&self.inlets);
        let at = inlets.iter().position(|inlet| inlet.appsink == *appsink)?;
        if inlets[at].track.is_none() {
            let caps = sample?.caps()?;
            let kind = match caps.structure(0)?.name().starts_with("audio/") {
                true => MediaKind::Audio,
                // Pictures too.
                false => MediaKind::Video,
            };
            inlets[at].track = pads::next_of(kind, inlets.iter().filter_map(|inlet| inlet.track));
        }
        inlets[at].track
    }

    fn deliver(&self, track: Option<TrackKey>, delivery: Delivery) -> Result<gst::FlowSuccess, gst::FlowError> {
        let outlet = held(&self.outlet).clone();
        match (outlet, track) {
            (Some(outlet), Some(track)) => outlet(track, delivery).map_err(|text| self.fail(&text))?,
            // The end of a pad to which nothing came: nobody has heard of it.
            (Some(_), None) => {}
            (None, _) => self.send(track, delivery)?,
        }
        Ok(gst::FlowSuccess::Ok)
    }

    /// Hands a delivery to the connection.
    fn send(&self, track: Option<TrackKey>, delivery: Delivery) -> Result<(), gst::FlowError> {
        let mut link = held(&self.link);
        let Some(link_now) = link.as_mut() else {
            return Err(match held(&self.settings).address.is_set() {
                // The element is about to stop.
                true => gst::FlowError::Flushing,
                false => self.fail("set stream or location, or have a host take what arrives"),
            });
        };
        let parcel = link_now
            .pack(track, delivery)
            .map_err(|error| self.fail(&error.to_string()))?;
        drop(link);
        // Without the lock from here on: the queue may be full for as long as the network likes.
        parcel.send()
    }

    fn fail(&self, text: &str) -> gst::FlowError {
        gst::element_imp_error!(self, gst::ResourceError::Write, ("{}", text));
        gst::FlowError::Error
    }

    /// Starts to publish, if it is said where.
    fn publish(&self) -> Result<(), gst::StateChangeError> {
        let location = held(&self.settings).address.resolve().map_err(|error| {
            gst::element_imp_error!(self, gst::ResourceError::Settings, ("{}", error));
            gst::StateChangeError
        })?;
        let Some(location) = location else { return Ok(()) };
        let mut inlets = held(&self.inlets);
        inlets.iter_mut().for_each(|inlet| inlet.has_ended = false);
        self.expected.store(inlets.len(), Ordering::Relaxed);
        drop(inlets);
        let element = self.obj().clone().upcast::<gst::Element>();
        *held(&self.link) = Some(Link::start(location, &element, self.expected.clone())?);
        Ok(())
    }

    /// Nothing more comes from a pad.
    fn end(&self, appsink: &gst_app::AppSink) {
        let track = self.track_of(appsink, None);
        for inlet in held(&self.inlets).iter_mut().filter(|inlet| inlet.appsink == *appsink) {
            inlet.has_ended = true;
        }
        // A failure has been posted on the bus.
        let _ = self.deliver(track, Delivery::End);
        self.end_unused();
    }

    /// When all that came has ended, what never came has, too: a source without sound leaves the pad for sound alone, and
    /// nobody else would ever end it.
    fn end_unused(&self) {
        let inlets = held(&self.inlets);
        let waiting: Vec<_> = inlets
            .iter()
            .filter(|inlet| !inlet.has_ended)
            .map(|inlet| inlet.pad.clone())
            .collect();
        drop(inlets);
        if !waiting.iter().all(leads_nowhere) {
            return;
        }
        for pad in waiting {
            let events = [gst::event::StreamStart::new("unused"), gst::event::Eos::new()];
            // A pad that takes no events is about to stop.
            for event in events {
                let _ = pad.send_event(event);
            }
        }
    }
}

/// Whether nothing is linked where the elements before a pad begin: what it waits for has never turned up.
fn leads_nowhere(pad: &gst::Pad) -> bool {
    let mut pad = pad.clone();
    // No chain is longer.
    for _ in 0..100 {
        let before = pad.peer().and_then(|peer| peer.parent_element());
        let Some(before) = before else { return true };
        match before.sink_pads().into_iter().next() {
            Some(next) => pad = next,
            None => return false,
        }
    }
    false
}

/// The locks are held for single assignments only; a poisoned one is still whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[glib::object_subclass]
impl ObjectSubclass for MillSink {
    const NAME: &'static str = "MillSink";
    type Type = super::MillSink;
    type ParentType = gst::Bin;
}

impl ObjectImpl for MillSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let sync = glib::ParamSpecBoolean::builder("sync")
                .nick("Sync")
                .blurb("Whether what arrives is sent by the clock: for files, which are read faster than they play")
                .mutable_ready()
                .build();
            Address::properties().into_iter().chain([sync]).collect()
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = held(&self.settings);
        // GObject has checked the types before it calls this.
        if settings.address.set(pspec.name(), value) {
            return;
        }
        settings.sync = value.get().unwrap_or(false);
        for inlet in &*held(&self.inlets) {
            inlet.appsink.set_sync(settings.sync);
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let mut settings = held(&self.settings);
        let sync = settings.sync;
        settings.address.get(pspec.name()).unwrap_or_else(|| sync.to_value())
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj()
            .set_suppressed_flags(gst::ElementFlags::SOURCE | gst::ElementFlags::SINK);
        self.obj().set_element_flags(gst::ElementFlags::SINK);
    }
}

impl GstObjectImpl for MillSink {}

impl ElementImpl for MillSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "streammill sink",
                "Sink/Network",
                "Publishes a stream to a streammill server",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            self.publish()?;
        }
        if transition == gst::StateChange::PausedToReady {
            // Before the pads stop: a pad that waits for the network would keep them.
            *held(&self.link) = None;
        }
        self.parent_change_state(transition)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> =
            LazyLock::new(|| pads::templates(gst::PadDirection::Sink, sink_caps));
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let taken = held(&self.inlets)
            .iter()
            .map(|inlet| inlet.pad.name().to_string())
            .collect();
        let Some((name, track)) = pads::name(template.name_template(), name, &taken) else {
            gst::error!(CAT, imp = self, "pad {name:?} is in use already, or none of a track");
            return None;
        };
        let (on_sample, on_end) = (self.downgrade(), self.downgrade());
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |appsink| {
                let sample = appsink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let sink = on_sample.upgrade().ok_or(gst::FlowError::Flushing)?;
                let track = sink.track_of(appsink, Some(&sample)).ok_or(gst::FlowError::Flushing)?;
                sink.deliver(Some(track), Delivery::Sample(sample))
            })
            .eos(move |appsink| {
                if let Some(sink) = on_end.upgrade() {
                    sink.end(appsink);
                }
            })
            .build();
        let appsink = gst_app::AppSink::builder()
            .name(&name)
            .caps(template.caps())
            .sync(held(&self.settings).sync)
            .async_(false)
            .enable_last_sample(false)
            .buffer_list(true)
            .max_buffers(MAX_WAITING)
            .drop(false)
            .callbacks(callbacks)
            .build();
        let bin = self.obj();
        bin.add(&appsink).ok()?;
        let pad = gst::GhostPad::builder_from_template_with_target(template, &appsink.static_pad("sink")?)
            .ok()?
            .name(&name)
            .build();
        let pad = pad.upcast::<gst::Pad>();
        held(&self.inlets).push(Inlet {
            track,
            pad: pad.clone(),
            appsink: appsink.clone(),
            has_ended: false,
        });
        self.expected.fetch_add(1, Ordering::Relaxed);
        bin.add_pad(&pad).ok()?;
        appsink.sync_state_with_parent().ok()?;
        Some(pad)
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let mut inlets = held(&self.inlets);
        let Some(at) = inlets.iter().position(|inlet| inlet.pad == *pad) else {
            return;
        };
        let Inlet { appsink, has_ended, .. } = inlets.swap_remove(at);
        drop(inlets);
        if !has_ended {
            self.expected.fetch_sub(1, Ordering::Relaxed);
        }
        let bin = self.obj();
        // An element that was never in a running pipeline has nothing to stop, and the pad goes either way.
        let _ = appsink.set_state(gst::State::Null);
        let _ = bin.remove_pad(pad);
        let _ = bin.remove(&appsink);
    }
}

impl BinImpl for MillSink {}
