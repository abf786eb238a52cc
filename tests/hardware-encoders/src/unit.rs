//! A decoder and a scaler that give and take pictures in the memory of [`transfer`](crate::transfer) alone.

use std::sync::{
    LazyLock, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use gst::{prelude::*, subclass::prelude::*};

use crate::{
    fault::Fault,
    transfer::{download, there, upload},
};

/// A chain of elements in a bin, behind one pad each way.
macro_rules! unit {
    ($module:ident, $name:ident, $type:literal, $long:literal, $class:literal, $sink:expr, $src:expr, $parts:expr) => {
        glib::wrapper! {
            #[doc = $long]
            pub struct $name(ObjectSubclass<$module::Imp>) @extends gst::Bin, gst::Element, gst::Object,
                @implements gst::ChildProxy;
        }

        mod $module {
            use super::*;

            #[derive(Default)]
            pub struct Imp {
                fault: Mutex<String>,
                pictures: AtomicU64,
            }

            impl Imp {
                fn fault(&self) -> std::sync::MutexGuard<'_, String> {
                    self.fault.lock().unwrap_or_else(PoisonError::into_inner)
                }

                fn assemble(&self) -> Option<()> {
                    let (obj, parts) = (self.obj(), $parts?);
                    for part in &parts {
                        obj.add(part).ok()?;
                    }
                    gst::Element::link_many(&parts).ok()?;
                    for (name, part) in [("sink", parts.first()?), ("src", parts.last()?)] {
                        let template = obj.class().pad_template(name)?;
                        let target = part.static_pad(name)?;
                        let pad = gst::GhostPad::from_template_with_target(&template, &target).ok()?;
                        obj.add_pad(&pad).ok()?;
                    }
                    let this = obj.downgrade();
                    obj.static_pad("sink")?
                        .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                            let Some(this) = this.upgrade() else {
                                return gst::PadProbeReturn::Ok;
                            };
                            let this = this.imp();
                            let picture = this.pictures.fetch_add(1, Ordering::Relaxed);
                            let fault = Fault::parse(&this.fault());
                            if fault.is_some_and(|fault| fault.strikes(picture)) {
                                gst::element_imp_error!(this, gst::StreamError::Failed, ("The device was lost"));
                                info.flow_res = Err(gst::FlowError::Error);
                                return gst::PadProbeReturn::Handled;
                            }
                            gst::PadProbeReturn::Ok
                        })?;
                    Some(())
                }
            }

            #[glib::object_subclass]
            impl ObjectSubclass for Imp {
                const NAME: &'static str = $type;
                type Type = $name;
                type ParentType = gst::Bin;
            }

            impl ObjectImpl for Imp {
                fn properties() -> &'static [glib::ParamSpec] {
                    static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                        let fault = glib::ParamSpecString::builder("fault");
                        vec![fault.blurb("`fail`, and when").build()]
                    });
                    &PROPERTIES
                }

                fn set_property(&self, _id: usize, value: &glib::Value, _pspec: &glib::ParamSpec) {
                    // There is one property, whose type GLib has checked.
                    *self.fault() = value.get::<Option<String>>().ok().flatten().unwrap_or_default();
                }

                fn property(&self, _id: usize, _pspec: &glib::ParamSpec) -> glib::Value {
                    self.fault().to_value()
                }

                fn constructed(&self) {
                    self.parent_constructed();
                    // Without what it wraps there are no pads, which whoever links it is told.
                    let _ = self.assemble();
                }
            }

            impl GstObjectImpl for Imp {}

            impl ElementImpl for Imp {
                fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
                    static METADATA: LazyLock<gst::subclass::ElementMetadata> =
                        LazyLock::new(|| gst::subclass::ElementMetadata::new($long, $class, $long, "streammill"));
                    Some(&METADATA)
                }

                fn pad_templates() -> &'static [gst::PadTemplate] {
                    static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                        let template = |name, direction, caps: gst::Caps| {
                            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                        };
                        let both = [
                            template("sink", gst::PadDirection::Sink, $sink),
                            template("src", gst::PadDirection::Src, $src),
                        ];
                        both.into_iter().flatten().collect()
                    });
                    &TEMPLATES
                }
            }

            impl BinImpl for Imp {}
        }
    };
}

unit!(
    decoder,
    FakeDecoder,
    "FakeDecoder",
    "H.264 decoder of no device",
    "Codec/Decoder/Video/Hardware",
    gst::Caps::new_empty_simple("video/x-h264"),
    there(),
    decoder_parts()
);
unit!(
    scaler,
    FakeScaler,
    "FakeScaler",
    "Scaler of no device",
    "Filter/Converter/Video/Scaler/Hardware",
    there(),
    there(),
    scaler_parts()
);

fn decoder_parts() -> Option<Vec<gst::Element>> {
    let decoder = gst::ElementFactory::make("avdec_h264")
        .property("max-threads", 1)
        .build();
    Some(vec![decoder.ok()?, upload()])
}

fn scaler_parts() -> Option<Vec<gst::Element>> {
    let scaler = gst::ElementFactory::make("videoconvertscale").build();
    Some(vec![download(), scaler.ok()?, upload()])
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for (name, type_) in [
        ("fakehwh264dec", FakeDecoder::static_type()),
        ("fakehwscale", FakeScaler::static_type()),
    ] {
        gst::Element::register(Some(plugin), name, gst::Rank::NONE, type_)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
