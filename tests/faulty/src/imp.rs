//! The element behind [`super::Faulty`].

use std::sync::{LazyLock, Mutex, PoisonError};

use gst::{glib, prelude::*};
use gst_base::subclass::{BaseTransformMode, prelude::*};

/// See [`super::Faulty`].
#[derive(Default)]
pub struct Faulty {
    settings: Mutex<Settings>,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    fault: String,
    after: u64,
    seen: u64,
    hoard: Vec<Vec<u8>>,
}

/// Taken with every buffer by one that eats memory.
const BITE: usize = 32 << 20;

impl Faulty {
    #[expect(clippy::print_stderr, reason = "printing without end is one of the faults")]
    fn fail(&self, fault: &str) -> Result<(), gst::FlowError> {
        match fault {
            "segfault" => {
                let nowhere = std::hint::black_box(std::ptr::null_mut::<u8>());
                // SAFETY: it is not safe, and that is the point.
                unsafe { nowhere.write_volatile(1) };
            }
            "abort" => std::process::abort(),
            "loop" => loop {
                std::hint::spin_loop();
            },
            "stop" => {
                raise(SIGSTOP);
            }
            "hog" => {
                let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
                settings.hoard.push(vec![1; BITE]);
            }
            "chatter" => {
                for _ in 0..300 {
                    eprintln!(
                        "{}",
                        "this element has a lot to say and nobody who wants to read it ".repeat(8)
                    );
                }
            }
            "error" => {
                gst::element_imp_error!(self, gst::StreamError::Failed, ["told to fail"]);
                return Err(gst::FlowError::Error);
            }
            _ => {}
        }
        Ok(())
    }
}

const SIGSTOP: std::ffi::c_int = 19;

unsafe extern "C" {
    safe fn raise(signal: std::ffi::c_int) -> std::ffi::c_int;
}

#[glib::object_subclass]
impl ObjectSubclass for Faulty {
    const NAME: &'static str = "GstFaulty";
    type Type = super::Faulty;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for Faulty {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("fault")
                    .blurb("segfault, abort, loop, stop, hog, chatter, error; unset for none")
                    .build(),
                glib::ParamSpecUInt64::builder("after")
                    .blurb("Buffers that go through before it fails")
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        // GObject has checked the types before it calls this.
        match pspec.name() {
            "fault" => settings.fault = value.get::<Option<String>>().unwrap_or_default().unwrap_or_default(),
            _ => settings.after = value.get().unwrap_or_default(),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        match pspec.name() {
            "fault" => settings.fault.to_value(),
            _ => settings.after.to_value(),
        }
    }
}

impl GstObjectImpl for Faulty {}

impl ElementImpl for Faulty {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new("faulty element", "Generic", "Fails on command", env!("CARGO_PKG_NAME"))
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)]
                .into_iter()
                .filter_map(|(name, direction)| {
                    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &gst::Caps::new_any()).ok()
                })
                .collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for Faulty {
    const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn transform_ip_passthrough(&self, _buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (fault, is_time) = {
            let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            settings.seen += 1;
            (settings.fault.clone(), settings.seen > settings.after)
        };
        if is_time {
            self.fail(&fault)?;
        }
        Ok(gst::FlowSuccess::Ok)
    }
}
