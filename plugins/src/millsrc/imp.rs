//! The element behind [`super::MillSrc`].

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};
use streammill_media::TrackKey;

use crate::{Feed, address::Address, caps::source_caps, lane, pads, peer::Peer, player};

static CAT: LazyLock<gst::DebugCategory> =
    LazyLock::new(|| gst::DebugCategory::new("millsrc", gst::DebugColorFlags::empty(), Some("streammill source")));

/// See [`super::MillSrc`].
#[derive(Default)]
pub struct MillSrc {
    settings: Mutex<Settings>,
    outlets: Mutex<Vec<Outlet>>,
    peer: Mutex<Option<Peer>>,
}

#[derive(Clone)]
struct Settings {
    address: Address,
    wait: u32,
    is_live: bool,
    /// Milliseconds.
    latency: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::default(),
            wait: 0,
            is_live: true,
            latency: 200,
        }
    }
}

impl Settings {
    fn apply_to(&self, appsrc: &gst_app::AppSrc) {
        appsrc.set_is_live(self.is_live);
        appsrc.set_latency(gst::ClockTime::from_mseconds(self.latency.into()), gst::ClockTime::NONE);
    }
}

/// One requested pad and what feeds it.
struct Outlet {
    /// The track it is named after, or was given.
    track: Option<TrackKey>,
    pad: gst::Pad,
    appsrc: gst_app::AppSrc,
}

impl MillSrc {
    pub(super) fn feed(&self, track: TrackKey) -> Option<Feed> {
        let mut outlets = self.outlets();
        let own = outlets.iter().position(|outlet| outlet.track == Some(track));
        let at = own.or_else(|| outlets.iter().position(|outlet| outlet.may_take(track)))?;
        let outlet = &mut outlets[at];
        outlet.track = Some(track);
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
        let Settings { address, wait, .. } = self.settings().clone();
        let location = address.resolve().map_err(|error| {
            gst::element_imp_error!(self, gst::ResourceError::Settings, ("{}", error));
            gst::StateChangeError
        })?;
        let Some(location) = location else { return Ok(()) };
        let outlets = self.outlets();
        let outlets = outlets.iter().map(|outlet| lane::Outlet {
            track: outlet.track,
            pad: outlet.pad.clone(),
            feed: Feed::new(outlet.appsrc.clone()),
        });
        let outlets: Vec<_> = outlets.collect();
        let patience = (wait > 0).then_some(wait);
        let element = self.obj().clone().upcast::<gst::Element>();
        let weak = element.downgrade();
        let work = move |stop: &_| player::play(&location, patience, outlets, &weak, stop);
        *self.peer() = Some(Peer::start(&element, "millsrc", work)?);
        Ok(())
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet {
    /// Whether this pad of no track's name is for a track that its host has.
    fn may_take(&self, track: TrackKey) -> bool {
        self.track.is_none() && self.pad.peer_query_caps(None).can_intersect(&source_caps(track.kind))
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
            let own = [
                glib::ParamSpecUInt::builder("wait")
                    .nick("Wait")
                    .blurb("Seconds to wait for a stream that is not live; 0: as long as the server lets one wait")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("is-live")
                    .nick("Is live")
                    .blurb("Whether aggregators behind it time out by the clock or wait for data")
                    .default_value(true)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("latency")
                    .nick("Latency")
                    .blurb("Milliseconds that sinks wait for frames that come late, where the element is live")
                    .default_value(Settings::default().latency)
                    .mutable_ready()
                    .build(),
            ];
            Address::properties().into_iter().chain(own).collect()
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings();
        // GObject has checked the types before it calls this.
        match pspec.name() {
            name if settings.address.set(name, value) => {}
            "wait" => settings.wait = value.get().unwrap_or(0),
            "is-live" => settings.is_live = value.get().unwrap_or(true),
            "latency" => settings.latency = value.get().unwrap_or(0),
            name => gst::error!(CAT, imp = self, "no property {name}"),
        }
        for outlet in &*self.outlets() {
            settings.apply_to(&outlet.appsrc);
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let mut settings = self.settings();
        match pspec.name() {
            "wait" => settings.wait.to_value(),
            "is-live" => settings.is_live.to_value(),
            "latency" => settings.latency.to_value(),
            name => settings
                .address
                .get(name)
                .unwrap_or_else(|| pspec.default_value().clone()),
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
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> =
            LazyLock::new(|| pads::templates(gst::PadDirection::Src, source_caps));
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let taken = self
            .outlets()
            .iter()
            .map(|outlet| outlet.pad.name().to_string())
            .collect();
        let Some((name, track)) = pads::name(template.name_template(), name, &taken) else {
            gst::error!(CAT, imp = self, "pad {name:?} is in use already, or none of a track");
            return None;
        };
        // The queue is unbounded on purpose: `appsrc` could only block or drop anywhere. See `Feed`.
        let appsrc = gst_app::AppSrc::builder()
            .name(&name)
            .format(gst::Format::Time)
            .stream_type(gst_app::AppStreamType::Stream)
            .do_timestamp(false)
            .block(false)
            .max_bytes(0)
            .build();
        self.settings().apply_to(&appsrc);
        let bin = self.obj();
        bin.add(&appsrc).ok()?;
        let pad = gst::GhostPad::builder_from_template_with_target(template, &appsrc.static_pad("src")?)
            .ok()?
            .name(&name)
            .build();
        let pad = pad.upcast::<gst::Pad>();
        self.outlets().push(Outlet {
            track,
            pad: pad.clone(),
            appsrc: appsrc.clone(),
        });
        bin.add_pad(&pad).ok()?;
        appsrc.sync_state_with_parent().ok()?;
        Some(pad)
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let mut outlets = self.outlets();
        let Some(at) = outlets.iter().position(|outlet| outlet.pad == *pad) else {
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
