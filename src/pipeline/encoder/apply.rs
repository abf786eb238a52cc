//! Setting an encoder: a role's demand, in the words and units of the element that plays it.

use gst::{glib, prelude::*};

use super::{
    super::{
        params::{Unit, Value},
        set::{self, SetError},
    },
    map::Encoder,
    role::{Demand, Pictures, RateControl, Tune, distance},
    setting::{Count, Place, Places, Rate, Setting},
};

/// B-frames where a role asks for quality and names no number.
const QUALITY_B_FRAMES: u32 = 2;

/// Sets all that the demand asks for. The element is in no use yet: most of it is read when it starts.
///
/// What an element has no property for it does without: B-frames, a largest rate. A rate or a profile that it cannot make is
/// an error.
pub fn apply(element: &gst::Element, encoder: &Encoder, demand: &Demand, pictures: Pictures) -> Result<(), SetError> {
    for setting in encoder.settings(demand.tune, demand.rate_control) {
        set_first(element, setting)?;
    }
    if let Some(bitrate) = demand.bitrate {
        set_bitrate(element, encoder, demand, bitrate)?;
    }
    if let (Some(interval), Some(gop)) = (demand.keyframe_interval, &encoder.gop) {
        set_count(element, gop, distance(interval, pictures))?;
    }
    let b_frames = demand.b_frames.unwrap_or(match demand.tune {
        Tune::LowLatency => 0,
        Tune::Quality => QUALITY_B_FRAMES,
    });
    set_at_most(element, &encoder.b_frames, b_frames)?;
    set_at_most(element, &encoder.threads, pictures.threads)?;
    require_profile(element, encoder, &demand.profile)
}

/// Sets the rate, and the largest one with it. Most elements take it while they run, too.
pub fn set_bitrate(element: &gst::Element, encoder: &Encoder, demand: &Demand, bitrate: u64) -> Result<(), SetError> {
    let most = match demand.rate_control {
        RateControl::Cbr => bitrate,
        RateControl::Vbr => demand.max_bitrate.unwrap_or(bitrate.saturating_mul(3) / 2).max(bitrate),
    };
    // Some take a largest rate only if it is not below the rate, at every moment; going down, the rate goes first.
    set_rate(element, &encoder.bitrate, bitrate)?;
    for rate in encoder.max_bitrate.iter().chain(&encoder.buffer) {
        set_rate(element, rate, most)?;
    }
    Ok(())
}

/// Sets what an element takes of these; it does without the rest.
pub fn set_if_taken(element: &gst::Element, settings: &[Setting]) {
    for setting in settings {
        if let Err(error) = set_first(element, setting) {
            tracing::debug!(%error, "left as it is");
        }
    }
}

/// Sets the first alternative that is taken.
fn set_first(element: &gst::Element, setting: &Setting) -> Result<(), SetError> {
    let mut refused = None;
    for assignment in &setting.alternatives {
        match set_text(element, &assignment.place, &assignment.value) {
            Ok(()) => return Ok(()),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) if !setting.optional => Err(error),
        _ => Ok(()),
    }
}

fn set_rate(element: &gst::Element, rate: &Rate, bits: u64) -> Result<(), SetError> {
    let Some(place) = first_there(element, &rate.to) else {
        return missing(element, &rate.to);
    };
    match place {
        Place::Property(name) => set::set_value(element, name, &Value::Bitrate(bits), Some(rate.unit)),
        place => {
            let count = match rate.unit {
                Unit::KilobitPerSecond => bits.div_ceil(1000),
                _ => bits,
            };
            set_text(element, place, &count.to_string())
        }
    }
}

fn set_count(element: &gst::Element, count: &Count, pictures: u32) -> Result<(), SetError> {
    let pictures = pictures.saturating_sub(count.less);
    match first_there(element, &count.to) {
        Some(Place::Property(name)) => set::set_value(element, name, &Value::Int(pictures.into()), None),
        Some(place) => set_text(element, place, &pictures.to_string()),
        None => missing(element, &count.to),
    }
}

/// As many as there can be. Where there is no property there are none.
/// Sets a number, or the largest that the element takes.
fn set_at_most(element: &gst::Element, places: &Places, wanted: u32) -> Result<(), SetError> {
    match first_there(element, places) {
        None => Ok(()),
        Some(Place::Property(name)) => {
            let most = element.find_property(name).and_then(|pspec| largest(&pspec));
            let number = i64::from(wanted).min(most.unwrap_or(i64::MAX));
            set::set_value(element, name, &Value::Int(number), None)
        }
        Some(place) => set_text(element, place, &wanted.to_string()),
    }
}

fn largest(pspec: &glib::ParamSpec) -> Option<i64> {
    let signed = pspec
        .downcast_ref::<glib::ParamSpecInt>()
        .map(|spec| spec.maximum().into());
    signed.or_else(|| {
        pspec
            .downcast_ref::<glib::ParamSpecUInt>()
            .map(|spec| spec.maximum().into())
    })
}

/// Sets what the map writes as text.
fn set_text(element: &gst::Element, place: &Place, text: &str) -> Result<(), SetError> {
    match place {
        Place::Property(name) => set::set_constant(element, name, text),
        Place::Field(name, field) => {
            let pspec = set::writable(element, name).map_err(|reason| SetError::at(element, name, reason))?;
            if pspec.value_type() != gst::Structure::static_type() {
                let reason = "it holds no structure".to_owned();
                return Err(SetError::at(element, name, reason));
            }
            let now = element.property::<Option<gst::Structure>>(name);
            let mut structure = now.unwrap_or_else(|| gst::Structure::new_empty("controls"));
            match text.parse::<i32>() {
                Ok(number) => structure.set(field, number),
                Err(_) => structure.set(field, text),
            }
            element.set_property(name, structure);
            Ok(())
        }
        Place::Option(name, key) => {
            let pspec = set::writable(element, name).map_err(|reason| SetError::at(element, name, reason))?;
            if pspec.value_type() != glib::Type::STRING {
                return Err(SetError::at(element, name, "it holds no text".to_owned()));
            }
            let now = element.property::<Option<String>>(name).unwrap_or_default();
            element.set_property(name, with_option(&now, key, text));
            Ok(())
        }
    }
}

/// Options with one put in.
fn with_option(options: &str, key: &str, value: &str) -> String {
    let name = |option: &str| option.split('=').next().map(str::to_owned);
    let kept = options.split(':').filter(|option| !option.is_empty());
    let mut kept: Vec<_> = kept
        .filter(|option| name(option).as_deref() != Some(key))
        .map(str::to_owned)
        .collect();
    kept.push(format!("{key}={value}"));
    kept.join(":")
}

fn first_there<'a>(element: &gst::Element, places: &'a Places) -> Option<&'a Place> {
    places
        .0
        .iter()
        .find(|place| element.find_property(place.property()).is_some())
}

fn missing(element: &gst::Element, places: &Places) -> Result<(), SetError> {
    let names: Vec<_> = places.0.iter().map(|place| place.property().to_owned()).collect();
    let names = names.join(" or ");
    Err(SetError::at(
        element,
        &names,
        "the element has no such property".to_owned(),
    ))
}

/// Has the element make one of the profiles: by its property, or by what caps behind it allow.
fn require_profile(element: &gst::Element, encoder: &Encoder, profiles: &[String]) -> Result<(), SetError> {
    if profiles.is_empty() {
        return Ok(());
    }
    let fail = |reason: String| SetError::at(element, "profile", reason);
    if let Some(place) = first_there(element, &encoder.profile) {
        let mut tried = profiles.iter().map(|profile| set_text(element, place, profile));
        return match tried.any(|tried| tried.is_ok()) {
            true => Ok(()),
            false => Err(fail(format!("{} makes no {}", encoder.element, profiles[0]))),
        };
    }
    let pad = element
        .static_pad("src")
        .ok_or_else(|| fail("it has no way out".to_owned()))?;
    let can = pad.pad_template_caps();
    let names_profiles = can.iter().any(|structure| structure.has_field("profile"));
    if !names_profiles {
        // Such an element has but one way, which is what every decoder knows.
        return match profiles.iter().any(|profile| profile == "main" || profile == "0") {
            true => Ok(()),
            false => Err(fail(format!("{} does not let one choose", encoder.element))),
        };
    }
    let wanted = gst::Caps::builder(encoder.codec.media_type())
        .field("profile", gst::List::new(profiles.iter().map(String::as_str)))
        .build();
    if !can.can_intersect(&wanted) {
        return Err(fail(format!("{} makes no {}", encoder.element, profiles[0])));
    }
    put_behind(&pad, &wanted).ok_or_else(|| fail("it cannot be asked for in the place where it stands".to_owned()))
}

/// Puts a filter between a pad and what it leads to.
fn put_behind(pad: &gst::Pad, caps: &gst::Caps) -> Option<()> {
    let element = pad.parent_element()?;
    let bin = element.parent()?.downcast::<gst::Bin>().ok()?;
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", caps)
        .build()
        .ok()?;
    bin.add(&filter).ok()?;
    let peer = pad.peer();
    if let Some(peer) = &peer {
        pad.unlink(peer).ok()?;
    }
    pad.link(&filter.static_pad("sink")?).ok()?;
    if let Some(peer) = &peer {
        filter.static_pad("src")?.link(peer).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
