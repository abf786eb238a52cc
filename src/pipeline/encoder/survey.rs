//! The survey: which of the map's encoders are installed. It reads the registry and loads no plugin.

use gst::{glib, prelude::*};

use super::map::{Encoder, Map};

/// Whether an element is installed.
pub fn is_present(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

/// The encoders that are installed, in the map's order; those for further devices behind the one for the first.
pub fn installed(map: &Map) -> Vec<Encoder> {
    // The lowest rank: hardware that GStreamer does not choose by itself is hardware all the same.
    let kind = gst::ElementFactoryType::ENCODER;
    let factories = gst::ElementFactory::factories_with_type(kind, gst::Rank::NONE);
    let mut names: Vec<_> = factories.iter().map(|factory| factory.name().to_string()).collect();
    names.sort_unstable();
    let rows = map.iter().map(|encoder| encoder.element.as_str());
    let rows: Vec<_> = rows.collect();
    let mut found = Vec::new();
    for row in map.iter() {
        if is_present(&row.element) {
            found.push(row.clone());
        }
        let further = names
            .iter()
            .filter(|name| !rows.contains(&name.as_str()) && row.device_in(name).is_some());
        found.extend(further.map(|name| Encoder {
            element: name.clone(),
            ..row.clone()
        }));
    }
    found
}

/// On what an element runs, as far as its properties tell.
pub fn device(element: &gst::Element, encoder: &Encoder) -> Option<String> {
    let told = encoder.device.iter().find_map(|name| {
        let pspec = element.find_property(name)?;
        let is_readable = pspec.flags().contains(glib::ParamFlags::READABLE);
        let value = is_readable.then(|| element.property_value(name))?;
        match value.get::<Option<String>>() {
            Ok(text) => text,
            Err(_) => value.transform::<String>().ok()?.get().ok(),
        }
    });
    let told = told.filter(|device: &String| !device.is_empty());
    told.or_else(|| encoder.device_in(&encoder.element).map(str::to_owned))
}
