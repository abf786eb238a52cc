//! The element behind [`super::FakeEncoder`].

use std::{
    path::PathBuf,
    sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError},
};

use gst::{prelude::*, subclass::prelude::*};

use crate::{
    fault::{Fault, What},
    sessions::Session,
    transfer::{anywhere, download},
};

/// See [`super::FakeEncoder`].
#[derive(Default)]
pub struct FakeEncoder {
    inner: OnceLock<gst::Element>,
    /// What takes pictures from either memory.
    first: OnceLock<gst::Element>,
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    fault: String,
    sessions_dir: Option<String>,
    max_sessions: u32,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    pictures: u64,
}

#[glib::object_subclass]
impl ObjectSubclass for FakeEncoder {
    const NAME: &'static str = "FakeEncoder";
    type Type = super::FakeEncoder;
    type ParentType = gst::Bin;
}

/// Locks are held for a moment each; what a panic left is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeEncoder {
    /// What is proxied, and to which property of the encoder inside.
    const PROXIED: [(&'static str, &'static str); 3] = [
        ("bitrate", "bitrate"),
        ("gop-size", "key-int-max"),
        ("b-frames", "bframes"),
    ];

    fn proxied(&self, name: &str) -> Option<(&gst::Element, &'static str)> {
        let (_, inside) = Self::PROXIED.iter().find(|(outside, _)| *outside == name)?;
        Some((self.inner.get()?, inside))
    }

    fn pad(&self, name: &str) -> Option<gst::GhostPad> {
        let template = self.obj().pad_template(name)?;
        let end = if name == "sink" { &self.first } else { &self.inner };
        let target = end.get()?.static_pad(name)?;
        let pad = gst::GhostPad::from_template_with_target(&template, &target).ok()?;
        self.obj().add_pad(&pad).ok()?;
        Some(pad)
    }

    /// Opens the session when the format is known, as NVENC does.
    fn open(&self) -> Result<(), gst::FlowError> {
        let settings = lock(&self.settings).clone();
        if let Some(fault) = Fault::parse(&settings.fault).filter(Fault::strikes_opening) {
            self.strike(fault.what, "Failed to open session")?;
        }
        if lock(&self.state).session.is_some() {
            return Ok(());
        }
        let directory = settings.sessions_dir.map(PathBuf::from);
        match Session::open(directory.as_deref(), settings.max_sessions) {
            Ok(session) => {
                lock(&self.state).session = Some(session);
                Ok(())
            }
            Err(reason) => {
                gst::element_imp_error!(self, gst::StreamError::Encode, ("Failed to open session"), ["{reason}"]);
                Err(gst::FlowError::Error)
            }
        }
    }

    fn take(&self) -> Result<(), gst::FlowError> {
        let picture = {
            let mut state = lock(&self.state);
            if state.session.is_none() {
                return Err(gst::FlowError::NotNegotiated);
            }
            state.pictures += 1;
            state.pictures - 1
        };
        let fault = Fault::parse(&lock(&self.settings).fault);
        match fault.filter(|fault| fault.strikes(picture)) {
            Some(fault) => self.strike(fault.what, "The device was lost"),
            None => Ok(()),
        }
    }

    fn strike(&self, what: What, reason: &str) -> Result<(), gst::FlowError> {
        match what {
            What::Fail => {
                gst::element_imp_error!(self, gst::StreamError::Encode, ("{reason}"));
                Err(gst::FlowError::Error)
            }
            What::Abort => std::process::abort(),
            What::Hang => loop {
                std::thread::park();
            },
        }
    }
}

impl ObjectImpl for FakeEncoder {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let number = |name| glib::ParamSpecUInt::builder(name).maximum(2_048_000);
            vec![
                number("bitrate").default_value(2048).blurb("kbit/s").build(),
                number("gop-size").blurb("Pictures between key frames").build(),
                number("b-frames").maximum(4).blurb("B-frames between others").build(),
                number("max-sessions").blurb("Most sessions, 0 for any number").build(),
                glib::ParamSpecString::builder("sessions-dir")
                    .blurb("Where processes share them")
                    .build(),
                glib::ParamSpecString::builder("fault")
                    .blurb("What goes wrong, and when")
                    .build(),
                glib::ParamSpecString::builder("device-path")
                    .blurb("What it pretends to run on")
                    .read_only()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if let Some((inner, name)) = self.proxied(pspec.name()) {
            let number: u32 = value.get().unwrap_or_default();
            let any: glib::Value = match inner.find_property(name).map(|inside| inside.value_type()) {
                Some(glib::Type::I32) => i32::try_from(number).unwrap_or(i32::MAX).to_value(),
                _ => number.to_value(),
            };
            inner.set_property_from_value(name, &any);
            return;
        }
        let mut settings = lock(&self.settings);
        // GLib has checked the types.
        match pspec.name() {
            "max-sessions" => settings.max_sessions = value.get().unwrap_or_default(),
            "sessions-dir" => settings.sessions_dir = value.get().unwrap_or_default(),
            "fault" => settings.fault = value.get::<Option<String>>().ok().flatten().unwrap_or_default(),
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if let Some((inner, name)) = self.proxied(pspec.name()) {
            return inner
                .property_value(name)
                .transform::<u32>()
                .unwrap_or_else(|_| 0_u32.to_value());
        }
        let settings = lock(&self.settings);
        match pspec.name() {
            "max-sessions" => settings.max_sessions.to_value(),
            "sessions-dir" => settings.sessions_dir.to_value(),
            "fault" => settings.fault.to_value(),
            _ => {
                let element = self
                    .obj()
                    .factory()
                    .map_or_else(String::new, |factory| factory.name().to_string());
                let number: String = element
                    .chars()
                    .skip("fakehw".len())
                    .take_while(char::is_ascii_digit)
                    .collect();
                format!("/dev/fake{}", if number.is_empty() { "0" } else { &number }).to_value()
            }
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        // Without x264enc there are no pads, which whoever links it is told.
        let made = gst::ElementFactory::make("x264enc")
            .property_from_str("tune", "zerolatency")
            .property_from_str("speed-preset", "ultrafast")
            .property("option-string", "scenecut=0");
        let Ok(inner) = made.build() else { return };
        let from_device = download();
        let added = self.obj().add_many([&from_device, &inner]);
        if added.is_err() || from_device.link(&inner).is_err() {
            return;
        }
        self.inner.get_or_init(|| inner);
        self.first.get_or_init(|| from_device);
        let (Some(sink), Some(_)) = (self.pad("sink"), self.pad("src")) else {
            return;
        };
        let this = self.obj().downgrade();
        let what = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        sink.add_probe(what, move |_, info| {
            let Some(this) = this.upgrade() else {
                return gst::PadProbeReturn::Ok;
            };
            let result = match &info.data {
                Some(gst::PadProbeData::Buffer(_)) => this.imp().take(),
                Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::Caps => this.imp().open(),
                _ => Ok(()),
            };
            match result {
                Ok(()) => gst::PadProbeReturn::Ok,
                Err(error) => {
                    info.flow_res = Err(error);
                    gst::PadProbeReturn::Handled
                }
            }
        });
    }
}

impl GstObjectImpl for FakeEncoder {}

impl ElementImpl for FakeEncoder {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Encoder on bad days",
                "Codec/Encoder/Video/Hardware",
                "Pretends to be hardware and fails on command",
                "streammill",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let mut raw = anywhere();
            raw.make_mut().set("format", gst::List::new(["I420", "NV12"]));
            let coded = gst::Caps::builder("video/x-h264")
                .field("alignment", "au")
                .field("profile", gst::List::new(["constrained-baseline", "main", "high"]))
                .build();
            let template =
                |name, direction, caps| gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps);
            let both = [
                template("sink", gst::PadDirection::Sink, &raw),
                template("src", gst::PadDirection::Src, &coded),
            ];
            both.into_iter().flatten().collect()
        });
        &TEMPLATES
    }

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let result = self.parent_change_state(transition);
        if transition == gst::StateChange::PausedToReady {
            *lock(&self.state) = State::default();
        }
        result
    }
}

impl BinImpl for FakeEncoder {}
