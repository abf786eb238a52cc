//! The elements.

mod imp;

use gst::{prelude::*, subclass::prelude::*};

glib::wrapper! {
    /// `x264enc` in a bin that calls itself hardware.
    pub struct FakeEncoder(ObjectSubclass<imp::FakeEncoder>) @extends gst::Bin, gst::Element, gst::Object, @implements gst::ChildProxy;
}

// SAFETY: its class and its instance hold nothing that a subclass could break.
unsafe impl<T: BinImpl> IsSubclassable<T> for FakeEncoder {}

/// A type of its own for each further device, as of other plugins: a factory makes one type, and a type has one factory.
macro_rules! device {
    ($module:ident, $name:literal) => {
        mod $module {
            use gst::subclass::prelude::*;

            #[derive(Default)]
            pub struct Imp;

            #[glib::object_subclass]
            impl ObjectSubclass for Imp {
                const NAME: &'static str = $name;
                type Type = Device;
                type ParentType = super::FakeEncoder;
            }

            impl ObjectImpl for Imp {}
            impl GstObjectImpl for Imp {}
            impl ElementImpl for Imp {}
            impl BinImpl for Imp {}

            glib::wrapper! {
                pub struct Device(ObjectSubclass<Imp>) @extends super::FakeEncoder, gst::Bin, gst::Element, gst::Object,
                    @implements gst::ChildProxy;
            }
        }
    };
}

device!(device1, "FakeEncoderDevice1");
device!(device2, "FakeEncoderDevice2");
device!(device3, "FakeEncoderDevice3");

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for (name, type_) in [
        ("fakehwh264enc", FakeEncoder::static_type()),
        ("fakehw1h264enc", device1::Device::static_type()),
        ("fakehw2h264enc", device2::Device::static_type()),
        ("fakehw3h264enc", device3::Device::static_type()),
    ] {
        gst::Element::register(Some(plugin), name, gst::Rank::NONE, type_)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
