//! Setting values on elements, after the launch text has been parsed.
//!
//! A value goes through the property's own `GParamSpec`: its type decides how the value is read, its bounds whether it is
//! taken. GLib would clamp or wrap a number that does not fit and print a warning; here it is an error.

use std::borrow::Cow;

use gst::{glib, prelude::*};

use super::{
    blueprint::Setting,
    params::{Fraction, Place, Target, Unit, Value},
};
use crate::config::nearest;

/// Sets a property, or a field of a capsfilter.
pub fn set(element: &gst::Element, setting: &Setting) -> Result<(), SetError> {
    let result = match &setting.place {
        Place::Property(name) => {
            let checked = harmless(element, &setting.place, &setting.value);
            checked.and_then(|value| set_property(element, name, &value, setting.unit))
        }
        Place::CapsField(field) => set_caps_field(element, field, &setting.value, setting.unit),
    };
    result.map_err(|reason| SetError {
        target: Target {
            element: element.name().to_string(),
            place: setting.place.clone(),
        }
        .to_string(),
        reason,
    })
}

/// Properties whose text is read as Pango's markup, which could ask for letters larger than any memory.
const MARKUP: [(&str, &str); 4] = [
    ("textoverlay", "text"),
    ("clockoverlay", "text"),
    ("timeoverlay", "text"),
    ("clockoverlay", "time-format"),
];

/// A value in which an element finds nothing but a value.
fn harmless<'a>(element: &gst::Element, place: &Place, value: &'a Value) -> Result<Cow<'a, Value>, String> {
    let (Value::Text(text) | Value::File(text), Place::Property(property)) = (value, place) else {
        return Ok(Cow::Borrowed(value));
    };
    let factory = factory_of(element);
    if place.reads_percent(&factory) && text.contains('%') {
        return Err(format!(
            "{text:?} holds a '%', which {factory} would read as a place for a number"
        ));
    }
    Ok(match MARKUP.contains(&(factory.as_str(), property.as_str())) {
        true => Cow::Owned(Value::Text(glib::markup_escape_text(text).to_string())),
        false => Cow::Borrowed(value),
    })
}

/// Sets a property from a constant of ours or the operator's, as GStreamer writes it.
pub fn set_constant(element: &gst::Element, name: &str, text: &str) -> Result<(), SetError> {
    constant(element, name, text).map_err(|reason| SetError::at(element, name, reason))
}

fn constant(element: &gst::Element, name: &str, text: &str) -> Result<(), String> {
    let pspec = writable(element, name)?;
    // GStreamer reads numbers too, but clamps and wraps those that do not fit.
    let number = text.parse().ok().and_then(|number| whole(number, &pspec));
    let value = number.unwrap_or_else(|| {
        glib::Value::deserialize_with_pspec(text, &pspec).map_err(|_| format!("{text:?} is not accepted"))
    })?;
    element.set_property_from_value(name, &value);
    Ok(())
}

/// Whether a property takes a text, as a launch text gives it. Of properties that are no plain values this is not known
/// before they are set.
pub fn check_text(element: &gst::Element, name: &str, text: &str) -> Result<(), String> {
    let pspec = writable(element, name)?;
    let factory = factory_of(element);
    let kind = pspec.value_type();
    if kind.is_a(glib::Type::OBJECT) || kind.is_a(glib::Type::INTERFACE) {
        return Ok(());
    }
    let number = text.trim().parse().ok().and_then(|number| whole(number, &pspec));
    let number = number.or_else(|| float(text.trim().parse().ok()?, &pspec));
    let taken = number.unwrap_or_else(|| {
        let read = glib::Value::deserialize_with_pspec(text, &pspec);
        read.map_err(|_| format!("{text:?} is not accepted"))
    });
    taken.map(drop).map_err(|reason| format!("{factory} {name}: {reason}"))
}

/// Sets a property from a value of a role.
pub fn set_value(element: &gst::Element, name: &str, value: &Value, unit: Option<Unit>) -> Result<(), SetError> {
    set_property(element, name, value, unit).map_err(|reason| SetError::at(element, name, reason))
}

/// Whether something can be changed while its element runs.
pub fn can_change(element: &gst::Element, place: &Place) -> Result<(), String> {
    let name = match place {
        Place::Property(name) => name,
        // A capsfilter renegotiates whenever its caps change.
        Place::CapsField(_) => "caps",
    };
    let flags = writable(element, name)?.flags();
    let always = flags.contains(gst::PARAM_FLAG_MUTABLE_PLAYING) || element.type_().name() == "GstCapsFilter";
    // Elements from before these flags say nothing of what can be changed when.
    let only_before = flags.intersects(gst::PARAM_FLAG_MUTABLE_READY | gst::PARAM_FLAG_MUTABLE_PAUSED);
    match always || !only_before {
        true => Ok(()),
        false => Err(format!(
            "{}: '{name}' cannot be changed while it runs; start the pipeline anew",
            element.name()
        )),
    }
}

fn set_property(element: &gst::Element, name: &str, value: &Value, unit: Option<Unit>) -> Result<(), String> {
    let pspec = writable(element, name)?;
    let value = convert(value, unit, &pspec)?;
    element.set_property_from_value(name, &value);
    Ok(())
}

fn factory_of(element: &gst::Element) -> String {
    let factory = element.factory();
    factory.map_or_else(String::new, |factory| factory.name().to_string())
}

/// The description of a property that can be set.
pub(super) fn writable(element: &gst::Element, name: &str) -> Result<glib::ParamSpec, String> {
    let factory = factory_of(element);
    let pspec = element.find_property(name).ok_or_else(|| {
        let known = element.list_properties();
        let hint = nearest(name, known.iter().map(|pspec| pspec.name()));
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean '{hint}'?"));
        format!("{factory} has no property '{name}'{hint}")
    })?;
    if !pspec.flags().contains(glib::ParamFlags::WRITABLE) || pspec.flags().contains(glib::ParamFlags::CONSTRUCT_ONLY) {
        return Err(format!("property '{name}' of {factory} cannot be set"));
    }
    Ok(pspec)
}

/// The value as the property's type, or why it cannot be.
fn convert(value: &Value, unit: Option<Unit>, pspec: &glib::ParamSpec) -> Result<glib::Value, String> {
    let no_fit = || format!("{value} does not fit the property's type {}", pspec.value_type());
    match value {
        // Text is never read as anything but text: "NULL" is a word.
        Value::Text(text) | Value::File(text) if pspec.value_type() == glib::Type::STRING => Ok(text.to_value()),
        Value::Secret(secret) if pspec.value_type() == glib::Type::STRING => Ok(secret.reveal().to_value()),
        Value::Address(address) if pspec.value_type() == glib::Type::STRING => Ok(address.reveal().to_value()),
        Value::Secret(_) | Value::Address(_) | Value::File(_) => Err(no_fit()),
        Value::Text(text) | Value::Choice(text) => match pspec.value_type() {
            glib::Type::STRING => Ok(text.to_value()),
            _ => glib::Value::deserialize_with_pspec(text, pspec).map_err(|_| no_fit()),
        },
        Value::Bool(bool) if pspec.value_type() == glib::Type::BOOL => Ok(bool.to_value()),
        Value::Bool(_) | Value::Ladder(_) => Err(no_fit()),
        Value::Fraction(value) => fraction(*value, pspec).ok_or_else(no_fit)?,
        Value::Float(number) => float(*number, pspec).ok_or_else(no_fit)?,
        Value::Int(_) | Value::Bitrate(_) | Value::Duration(_) | Value::Size(_) => {
            whole(count(value, unit).ok_or_else(no_fit)?, pspec).ok_or_else(no_fit)?
        }
    }
}

/// The number in the property's unit.
fn count(value: &Value, unit: Option<Unit>) -> Option<i128> {
    Some(match (value, unit) {
        (Value::Int(number), _) => i128::from(*number),
        (Value::Bitrate(bits), Some(Unit::KilobitPerSecond)) => i128::from(bits.div_ceil(1000)),
        (Value::Bitrate(number) | Value::Size(number), _) => i128::from(*number),
        (Value::Duration(duration), Some(Unit::Seconds)) => i128::from(duration.as_secs()),
        (Value::Duration(duration), Some(Unit::Milliseconds)) => i128::try_from(duration.as_millis()).ok()?,
        (Value::Duration(duration), _) => i128::try_from(duration.as_nanos()).ok()?,
        _ => return None,
    })
}

/// A whole number as the property's type, within its bounds; `None` if the type is no number.
fn whole(number: i128, pspec: &glib::ParamSpec) -> Option<Result<glib::Value, String>> {
    macro_rules! fit {
        ($($spec:ty => $number:ty),*) => {
            $(if let Some(spec) = pspec.downcast_ref::<$spec>() {
                let (low, high) = (i128::from(spec.minimum()), i128::from(spec.maximum()));
                return Some(match <$number>::try_from(number) {
                    Ok(fitting) if (low..=high).contains(&number) => Ok(fitting.to_value()),
                    _ => Err(format!("{number} is not between {low} and {high}")),
                });
            })*
        };
    }
    fit!(
        glib::ParamSpecInt => i32,
        glib::ParamSpecUInt => u32,
        glib::ParamSpecInt64 => i64,
        glib::ParamSpecUInt64 => u64
    );
    float(number as f64, pspec)
}

fn float(number: f64, pspec: &glib::ParamSpec) -> Option<Result<glib::Value, String>> {
    let within = |low: f64, high: f64, value: glib::Value| match (low..=high).contains(&number) {
        true => Ok(value),
        false => Err(format!("{number} is not between {low} and {high}")),
    };
    if let Some(spec) = pspec.downcast_ref::<glib::ParamSpecDouble>() {
        return Some(within(spec.minimum(), spec.maximum(), number.to_value()));
    }
    let spec = pspec.downcast_ref::<glib::ParamSpecFloat>()?;
    Some(within(
        spec.minimum().into(),
        spec.maximum().into(),
        (number as f32).to_value(),
    ))
}

/// A fraction as the property's type. One that counts whole pictures gets the next number.
fn fraction(value: Fraction, pspec: &glib::ParamSpec) -> Option<Result<glib::Value, String>> {
    if !pspec.is::<gst::ParamSpecFraction>() {
        return whole(value.as_f64().ceil() as i128, pspec);
    }
    let spec = pspec.downcast_ref::<gst::ParamSpecFraction>()?;
    let number = gst_fraction(value)?;
    Some(match spec.minimum() <= number && number <= spec.maximum() {
        true => Ok(number.to_value()),
        false => Err(format!(
            "{value} is not between {} and {}",
            spec.minimum(),
            spec.maximum()
        )),
    })
}

/// `None` of what is beyond its range, which no checked value is.
fn gst_fraction(value: Fraction) -> Option<gst::Fraction> {
    let number = |number: u32| i32::try_from(number).ok().filter(|number| *number > 0);
    Some(gst::Fraction::new(number(value.numerator)?, number(value.denominator)?))
}

fn set_caps_field(element: &gst::Element, field: &str, value: &Value, unit: Option<Unit>) -> Result<(), String> {
    let pspec = writable(element, "caps")?;
    if pspec.value_type() != gst::Caps::static_type() {
        return Err("its property 'caps' holds no caps".to_owned());
    }
    let mut caps = element
        .property::<Option<gst::Caps>>("caps")
        .filter(|caps| !caps.is_any() && !caps.is_empty());
    let caps = caps
        .as_mut()
        .ok_or("its caps need a media type first, such as caps=video/x-raw")?;
    let value = match value {
        Value::Text(text) | Value::Choice(text) => text.to_send_value(),
        Value::Bool(bool) => bool.to_send_value(),
        Value::Float(number) => number.to_send_value(),
        Value::Fraction(fraction) => {
            let no_fit = || format!("{value} does not fit a caps field");
            gst_fraction(*fraction).ok_or_else(no_fit)?.to_send_value()
        }
        number => {
            let number = count(number, unit).and_then(|number| i32::try_from(number).ok());
            number
                .ok_or_else(|| format!("{value} does not fit a caps field"))?
                .to_send_value()
        }
    };
    for structure in caps.make_mut().iter_mut() {
        structure.set_value(field, value.clone());
    }
    element.set_property("caps", &*caps);
    Ok(())
}

/// A value that an element does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{target}: {reason}")]
pub struct SetError {
    target: String,
    reason: String,
}

impl SetError {
    /// The element and what of it was to be set.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// About a property of an element.
    pub(super) fn at(element: &gst::Element, name: &str, reason: String) -> Self {
        Self {
            target: format!("{}:{name}", element.name()),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::blueprint::Need, *};

    fn bin(text: &str) -> gst::Bin {
        gst::init().unwrap();
        gst::parse::bin_from_description(text, false).unwrap()
    }

    fn try_set(bin: &gst::Bin, target: &str, value: Value) -> Result<(), String> {
        let param: super::super::params::Targets = toml::Value::String(target.to_owned()).try_into().unwrap();
        let Target { element, place } = &param.0[0];
        let element = bin.by_name(element).unwrap();
        let setting = Setting {
            element: element.name().to_string(),
            place: place.clone(),
            value,
            unit: None,
            need: Need::IfThere,
            fixed: false,
        };
        set(&element, &setting).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_outside_the_property_are_refused_and_the_default_stays() {
        let bin = bin("queue name=q max-size-buffers=7");
        for number in [-5, 99_999_999_999, i64::MIN] {
            assert!(
                try_set(&bin, "q:max-size-buffers", Value::Int(number)).is_err(),
                "{number}"
            );
        }
        let queue = bin.by_name("q").unwrap();
        assert_eq!(queue.property::<u32>("max-size-buffers"), 7);
        try_set(&bin, "q:max-size-buffers", Value::Int(9)).unwrap();
        assert_eq!(queue.property::<u32>("max-size-buffers"), 9);
    }

    #[test]
    fn text_is_taken_as_it_is_and_never_as_pipeline_syntax() {
        let bin = bin("fakesrc ! filesink name=file");
        for text in ["x\" ! filesink location=/tmp/x", "NULL", "a b", "%n"] {
            try_set(&bin, "file:location", Value::Text(text.to_owned())).unwrap();
            let file = bin.by_name("file").unwrap();
            assert_eq!(file.property::<String>("location"), text);
        }
        assert_eq!(bin.children().len(), 2);
    }

    #[test]
    fn unknown_and_read_only_properties_and_enum_values_are_refused() {
        let bin = bin("queue name=q");
        assert_eq!(
            try_set(&bin, "q:max-bufers", Value::Int(1)).unwrap_err(),
            "q:max-bufers: queue has no property 'max-bufers'; did you mean 'max-size-buffers'?"
        );
        assert!(try_set(&bin, "q:current-level-buffers", Value::Int(1)).is_err());
        assert!(try_set(&bin, "q:leaky", Value::Choice("sideways".to_owned())).is_err());
        assert!(try_set(&bin, "q:max-size-buffers", Value::Bool(true)).is_err());
        try_set(&bin, "q:leaky", Value::Choice("downstream".to_owned())).unwrap();
    }

    #[test]
    fn a_percent_does_not_reach_an_element_that_counts_with_it() {
        let bin = bin("videotestsrc ! multifilesink name=numbered  filesink name=plain");
        for hostile in ["/tmp/%n", "/tmp/%s%s", "/tmp/%05d", "%"] {
            let value = Value::Text(hostile.to_owned());
            let error = try_set(&bin, "numbered:location", value.clone()).unwrap_err();
            assert!(
                error.contains("multifilesink would read as a place for a number"),
                "{error}"
            );
            try_set(&bin, "plain:location", value).unwrap();
        }
        try_set(&bin, "numbered:location", Value::Text("/tmp/x".to_owned())).unwrap();
    }

    #[test]
    fn text_that_is_shown_is_never_markup() {
        let bin = bin("textoverlay name=t  identity name=i");
        let markup = "<span size='999999999'>a & b</span>";
        try_set(&bin, "t:text", Value::Text(markup.to_owned())).unwrap();
        let shown = bin.by_name("t").unwrap().property::<String>("text");
        assert_eq!(shown, "&lt;span size=&apos;999999999&apos;&gt;a &amp; b&lt;/span&gt;");
    }

    #[test]
    fn a_fraction_sets_a_rate() {
        let bin = bin("capsfilter name=rate caps=video/x-raw  videorate name=r");
        let fraction = Value::Fraction(Fraction::new(30_000, 1001).unwrap());
        try_set(&bin, "rate.caps:framerate", fraction.clone()).unwrap();
        let caps = bin.by_name("rate").unwrap().property::<gst::Caps>("caps");
        assert!(caps.to_string().contains("framerate=(fraction)30000/1001"), "{caps}");
        try_set(&bin, "r:max-rate", fraction).unwrap();
        assert_eq!(bin.by_name("r").unwrap().property::<i32>("max-rate"), 30);
    }

    #[test]
    fn a_caps_field_is_set_in_every_structure() {
        let bin = bin("capsfilter name=size caps=\"video/x-raw;video/x-raw(memory:DMABuf)\"");
        try_set(&bin, "size.caps:height", Value::Int(360)).unwrap();
        assert!(try_set(&bin, "size.caps:height", Value::Int(99_999_999_999)).is_err());
        let caps = bin.by_name("size").unwrap().property::<gst::Caps>("caps");
        assert!(
            caps.iter().all(|structure| structure.get::<i32>("height") == Ok(360)),
            "{caps}"
        );
        assert_eq!(caps.size(), 2);
    }
}
