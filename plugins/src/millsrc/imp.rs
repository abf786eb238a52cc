//! The element behind [`super::MillSrc`].

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};
use streammill_media::{MediaKind, TrackKey};

use crate::{
    Feed,
    caps::source_caps,
    location::{Location, LocationError},
    peer::Peer,
    player,
};

static CAT: LazyLock<gst::DebugCategory> =
    LazyLock::new(|| gst::DebugCategory::new("millsrc", gst::DebugColorFlags::empty(), Some("streammill source")));

/// The first track of a kind has a pad of its own name, the others one with their number.
const PADS: [(&str, MediaKind); 4] = [
    ("video", MediaKind::Video),
    ("audio", MediaKind::Audio),
    ("video_%u", MediaKind::Video),
    ("audio_%u", MediaKind::Audio),
];

/// See [`super::MillSrc`].
#[derive(Default)]
pub struct MillSrc {
    settings: Mutex<Settings>,
    outlets: Mutex<Vec<Outlet>>,
    peer: Mutex<Option<Peer>>,
}

#[derive(Clone)]
struct Settings {
    location: Option<String>,
    is_live: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: None,
            is_live: true,
        }
    }
}

/// One requested pad and what feeds it.
struct Outlet {
    key: TrackKey,
    appsrc: gst_app::AppSrc,
}

impl MillSrc {
    pub(super) fn feed(&self, key: TrackKey) -> Option<Feed> {
        let outlets = self.outlets();
        let outlet = outlets.iter().find(|outlet| outlet.key == key)?;
        Some(Feed::new(outlet.appsrc.clone()))
    }

    /// The lock is held for list operations only; a poisoned one is still whole.
    fn outlets(&self) -> MutexGuard<'_, Vec<Outlet>> {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peer(&self) -> MutexGuard<'_, Option<Peer>> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to play, if there is a location.
    fn play(&self) -> Result<(), gst::StateChangeError> {
        let Some(location) = self.settings().location.clone() else {
            return Ok(());
        };
        let location: Location = location.parse().map_err(|error: LocationError| {
            gst::element_imp_error!(self, gst::ResourceError::Settings, ["{}", error]);
            gst::StateChangeError
        })?;
        let outlets = self.outlets();
        let feeds = outlets
            .iter()
            .map(|outlet| (outlet.key, Feed::new(outlet.appsrc.clone())));
        let feeds: Vec<_> = feeds.collect();
        drop(outlets);
        let element = self.obj().clone().upcast::<gst::Element>();
        let weak = element.downgrade();
        let work = move |stop: &_| player::play(&location, feeds, &weak, stop);
        *self.peer() = Some(Peer::start(&element, "millsrc", work)?);
        Ok(())
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[glib::object_subclass]
impl ObjectSubclass for MillSrc {
    const NAME: &'static str = "MillSrc";
    type Type = super::MillSrc;
    type ParentType = gst::Bin;
}

impl ObjectImpl for MillSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb("rtmp://host[:port]/app/name of the stream to play; unset where a host feeds the element")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("is-live")
                    .nick("Is live")
                    .blurb("Whether aggregators behind it time out by the clock or wait for data")
                    .default_value(true)
                    .mutable_ready()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings();
        // GObject has checked the types before it calls this.
        match pspec.name() {
            "location" => settings.location = value.get().unwrap_or_default(),
            "is-live" => {
                settings.is_live = value.get().unwrap_or(true);
                for outlet in &*self.outlets() {
                    outlet.appsrc.set_is_live(settings.is_live);
                }
            }
            name => gst::error!(CAT, imp = self, "no property {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = self.settings();
        match pspec.name() {
            "location" => settings.location.to_value(),
            _ => settings.is_live.to_value(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj()
            .set_suppressed_flags(gst::ElementFlags::SOURCE | gst::ElementFlags::SINK);
        self.obj().set_element_flags(gst::ElementFlags::SOURCE);
    }
}

impl GstObjectImpl for MillSrc {}

impl ElementImpl for MillSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "streammill source",
                "Source/Network",
                "Subscribes to a stream of a streammill server",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::PausedToReady {
            *self.peer() = None;
        }
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::ReadyToPaused {
            self.play()?;
        }
        Ok(success)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            PADS.iter()
                .filter_map(|(name, kind)| {
                    let (direction, presence) = (gst::PadDirection::Src, gst::PadPresence::Request);
                    gst::PadTemplate::new(name, direction, presence, &source_caps(*kind)).ok()
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
        if self.outlets().iter().any(|outlet| outlet.key == key) {
            gst::error!(CAT, imp = self, "pad {name} is in use already");
            return None;
        }
        // The queue is unbounded on purpose: `appsrc` could only block or drop anywhere. See `Feed`.
        let appsrc = gst_app::AppSrc::builder()
            .name(&name)
            .format(gst::Format::Time)
            .stream_type(gst_app::AppStreamType::Stream)
            .is_live(self.settings().is_live)
            .do_timestamp(false)
            .block(false)
            .max_bytes(0)
            .build();
        let bin = self.obj();
        bin.add(&appsrc).ok()?;
        let pad = gst::GhostPad::builder_from_template_with_target(template, &appsrc.static_pad("src")?)
            .ok()?
            .name(&name)
            .build();
        self.outlets().push(Outlet {
            key,
            appsrc: appsrc.clone(),
        });
        bin.add_pad(&pad).ok()?;
        appsrc.sync_state_with_parent().ok()?;
        Some(pad.upcast())
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let mut outlets = self.outlets();
        let Some(at) = outlets.iter().position(|outlet| outlet.appsrc.name() == pad.name()) else {
            return;
        };
        let outlet = outlets.swap_remove(at);
        drop(outlets);
        let bin = self.obj();
        // An element that was never in a running pipeline has nothing to stop, and the pad goes either way.
        let _ = outlet.appsrc.set_state(gst::State::Null);
        let _ = bin.remove_pad(pad);
        let _ = bin.remove(&outlet.appsrc);
    }
}

impl BinImpl for MillSrc {}
