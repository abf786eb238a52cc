//! Ways to and from a memory that no device has.
//!
//! Pictures stay where they are; what changes is what caps say of them, so that whoever does not know the memory is not
//! given any.

mod imp;

use gst::prelude::*;

glib::wrapper! {
    /// Pictures from system memory.
    pub struct Upload(ObjectSubclass<imp::Upload>) @extends gst::Element, gst::Object;
}

glib::wrapper! {
    /// Pictures to system memory; those that are there already pass, too.
    pub struct Download(ObjectSubclass<imp::Download>) @extends gst::Element, gst::Object;
}

/// The memory, as caps name it.
pub(crate) const MEMORY: &str = "memory:FakeMemory";

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for (name, type_) in [
        ("fakehwupload", Upload::static_type()),
        ("fakehwdownload", Download::static_type()),
    ] {
        gst::Element::register(Some(plugin), name, gst::Rank::NONE, type_)?;
    }
    Ok(())
}

/// An element that is part of another one, which need not be registered.
pub(crate) fn upload() -> gst::Element {
    glib::Object::new::<Upload>().upcast()
}

/// See [`upload`].
pub(crate) fn download() -> gst::Element {
    glib::Object::new::<Download>().upcast()
}

/// Pictures in the memory.
pub(crate) fn there() -> gst::Caps {
    gst::Caps::builder("video/x-raw").features([MEMORY]).build()
}

/// Pictures in system memory.
pub(crate) fn here() -> gst::Caps {
    gst::Caps::new_empty_simple("video/x-raw")
}

/// Pictures in either.
pub(crate) fn anywhere() -> gst::Caps {
    let mut caps = there();
    caps.merge(here());
    caps
}
