//! The element behind [`super::MillSink`].

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};
use streammill_media::MediaKind;

use super::{Delivery, Outlet};
use crate::caps::sink_caps;

static CAT: LazyLock<gst::DebugCategory> =
    LazyLock::new(|| gst::DebugCategory::new("millsink", gst::DebugColorFlags::empty(), Some("streammill sink")));

const PADS: [(&str, MediaKind); 2] = [("video", MediaKind::Video), ("audio", MediaKind::Audio)];

/// Buffers or lists that may wait in a pad. The host takes them as they come, so this is slack, not latency.
const MAX_WAITING: u32 = 16;

/// See [`super::MillSink`].
#[derive(Default)]
pub struct MillSink {
    location: Mutex<Option<String>>,
    outlet: Mutex<Option<Outlet>>,
    pads: Mutex<Vec<(MediaKind, gst_app::AppSink)>>,
}

impl MillSink {
    pub(super) fn set_outlet(&self, outlet: Outlet) {
        *held(&self.outlet) = Some(outlet);
    }

    fn deliver(&self, kind: MediaKind, delivery: Delivery) -> Result<gst::FlowSuccess, gst::FlowError> {
        let outlet = held(&self.outlet).clone();
        let Some(outlet) = outlet else {
            let text = "set location, or have a host take what arrives";
            gst::element_imp_error!(self, gst::ResourceError::NotFound, ["{}", text]);
            return Err(gst::FlowError::Error);
        };
        outlet(kind, delivery).map(|()| gst::FlowSuccess::Ok).map_err(|text| {
            gst::element_imp_error!(self, gst::ResourceError::Write, ["{}", text]);
            gst::FlowError::Error
        })
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

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            PADS.iter()
                .filter_map(|(name, _)| {
                    let (direction, presence) = (gst::PadDirection::Sink, gst::PadPresence::Request);
                    gst::PadTemplate::new(name, direction, presence, &sink_caps(name)).ok()
                })
                .collect()
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        _name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let name = template.name_template();
        let (_, kind) = *PADS.iter().find(|(known, _)| *known == name)?;
        if held(&self.pads).iter().any(|(taken, _)| *taken == kind) {
            gst::error!(CAT, imp = self, "pad {name} is in use already");
            return None;
        }
        let (on_sample, on_end) = (self.downgrade(), self.downgrade());
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |appsink| {
                let sample = appsink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let sink = on_sample.upgrade().ok_or(gst::FlowError::Flushing)?;
                sink.deliver(kind, Delivery::Sample(sample))
            })
            .eos(move |_| {
                if let Some(sink) = on_end.upgrade() {
                    // A failure has been posted on the bus.
                    let _ = sink.deliver(kind, Delivery::End);
                }
            })
            .build();
        let appsink = gst_app::AppSink::builder()
            .name(name)
            .caps(&sink_caps(name))
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
            .name(name)
            .build();
        held(&self.pads).push((kind, appsink.clone()));
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
