//! The element behind [`super::MillSink`].

use std::{
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, channel},
    },
    time::Duration,
};

use gst::{glib, prelude::*, subclass::prelude::*};
use streammill_media::{MediaKind, MediaTime, TrackKey};

use super::{Delivery, Outlet};
use crate::{
    caps::sink_caps,
    framer::Framer,
    location::{Location, LocationError},
    peer::Peer,
    publisher::{self, Item},
};

static CAT: LazyLock<gst::DebugCategory> =
    LazyLock::new(|| gst::DebugCategory::new("millsink", gst::DebugColorFlags::empty(), Some("streammill sink")));

/// The first track of a kind has a pad of its own name, the others one with their number.
const PADS: [(&str, MediaKind); 4] = [
    ("video", MediaKind::Video),
    ("audio", MediaKind::Audio),
    ("video_%u", MediaKind::Video),
    ("audio_%u", MediaKind::Audio),
];

/// Buffers or lists that may wait in a pad. The host takes them as they come, so this is slack, not latency.
const MAX_WAITING: u32 = 16;

/// How long the end of a pad waits for the network to take what came before it.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// See [`super::MillSink`].
#[derive(Default)]
pub struct MillSink {
    location: Mutex<Option<String>>,
    outlet: Mutex<Option<Outlet>>,
    pads: Mutex<Vec<(TrackKey, gst_app::AppSink)>>,
    link: Mutex<Option<Link>>,
}

/// The connection to a server, and the way to it.
struct Link {
    // Dropped first, so that pads that wait for the network are let go.
    _peer: Peer,
    items: SyncSender<Item>,
    framers: Vec<(TrackKey, Framer)>,
}

impl MillSink {
    pub(super) fn set_outlet(&self, outlet: Outlet) {
        *held(&self.outlet) = Some(outlet);
    }

    fn deliver(&self, key: TrackKey, delivery: Delivery) -> Result<gst::FlowSuccess, gst::FlowError> {
        let outlet = held(&self.outlet).clone();
        let Some(outlet) = outlet else {
            return self.send(key, delivery);
        };
        outlet(key, delivery).map(|()| gst::FlowSuccess::Ok).map_err(|text| {
            gst::element_imp_error!(self, gst::ResourceError::Write, ["{}", text]);
            gst::FlowError::Error
        })
    }

    /// Hands a delivery to the connection's thread.
    fn send(&self, key: TrackKey, delivery: Delivery) -> Result<gst::FlowSuccess, gst::FlowError> {
        let fail = |text: &str| {
            gst::element_imp_error!(self, gst::ResourceError::Write, ["{}", text]);
            gst::FlowError::Error
        };
        let mut link = held(&self.link);
        let link_now = link
            .as_mut()
            .ok_or_else(|| fail("set location, or have a host take what arrives"))?;
        let items = link_now.items.clone();
        let mut frames = Vec::new();
        if let Delivery::Sample(sample) = &delivery
            && let Some((_, framer)) = link_now.framers.iter_mut().find(|(known, _)| *known == key)
        {
            let taken = framer.take(sample, MediaTime::ZERO, &mut frames);
            taken.map_err(|error| fail(&error.to_string()))?;
        }
        drop(link);
        // Without the lock from here on: the queue may be full for as long as the network likes. It is gone when the
        // connection is, and then the thread has said why.
        for frame in frames {
            items.send(Item::Frame(frame)).map_err(|_| gst::FlowError::Eos)?;
        }
        if let Delivery::End = delivery {
            let (done, sent) = channel();
            items.send(Item::End(done)).map_err(|_| gst::FlowError::Eos)?;
            let _ = sent.recv_timeout(FLUSH_TIMEOUT);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    /// Starts to publish, if there is a location.
    fn publish(&self) -> Result<(), gst::StateChangeError> {
        let Some(location) = held(&self.location).clone() else {
            return Ok(());
        };
        let location: Location = location.parse().map_err(|error: LocationError| {
            gst::element_imp_error!(self, gst::ResourceError::Settings, ["{}", error]);
            gst::StateChangeError
        })?;
        let keys: Vec<_> = held(&self.pads).iter().map(|(key, _)| *key).collect();
        let (items, received) = publisher::channel();
        let pads = keys.len();
        let element = self.obj().clone().upcast::<gst::Element>();
        let work = move |stop: &_| publisher::publish(&location, &received, pads, stop);
        *held(&self.link) = Some(Link {
            _peer: Peer::start(&element, "millsink", work)?,
            items,
            framers: keys.into_iter().map(|key| (key, Framer::new(key))).collect(),
        });
        Ok(())
    }
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
            vec![
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb("rtmp://host[:port]/app/name to publish to; unset where a host takes what arrives")
                    .mutable_ready()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, _pspec: &glib::ParamSpec) {
        // There is one property, and GObject has checked its type before it calls this.
        *held(&self.location) = value.get().unwrap_or_default();
    }

    fn property(&self, _id: usize, _pspec: &glib::ParamSpec) -> glib::Value {
        held(&self.location).to_value()
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
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            PADS.iter()
                .filter_map(|(name, kind)| {
                    let (direction, presence) = (gst::PadDirection::Sink, gst::PadPresence::Request);
                    gst::PadTemplate::new(name, direction, presence, &sink_caps(*kind)).ok()
                })
                .collect()
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let key: TrackKey = name.unwrap_or(template.name_template()).parse().ok()?;
        let name = key.to_string();
        if held(&self.pads).iter().any(|(taken, _)| *taken == key) {
            gst::error!(CAT, imp = self, "pad {name} is in use already");
            return None;
        }
        let (on_sample, on_end) = (self.downgrade(), self.downgrade());
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |appsink| {
                let sample = appsink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let sink = on_sample.upgrade().ok_or(gst::FlowError::Flushing)?;
                sink.deliver(key, Delivery::Sample(sample))
            })
            .eos(move |_| {
                if let Some(sink) = on_end.upgrade() {
                    // A failure has been posted on the bus.
                    let _ = sink.deliver(key, Delivery::End);
                }
            })
            .build();
        let appsink = gst_app::AppSink::builder()
            .name(&name)
            .caps(&sink_caps(key.kind))
            .sync(false)
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
        held(&self.pads).push((key, appsink.clone()));
        bin.add_pad(&pad).ok()?;
        appsink.sync_state_with_parent().ok()?;
        Some(pad.upcast())
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let mut pads = held(&self.pads);
        let Some(at) = pads.iter().position(|(_, appsink)| appsink.name() == pad.name()) else {
            return;
        };
        let (_, appsink) = pads.swap_remove(at);
        drop(pads);
        let bin = self.obj();
        // An element that was never in a running pipeline has nothing to stop, and the pad goes either way.
        let _ = appsink.set_state(gst::State::Null);
        let _ = bin.remove_pad(pad);
        let _ = bin.remove(&appsink);
    }
}

impl BinImpl for MillSink {}
