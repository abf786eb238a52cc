//! What caps leave open, and how it is settled.

use super::fit::{Choice, Ratio, Shape, fit};

/// Longer sides would need tables and lines that nobody has pictures for.
pub(super) const MAX_SIDE: i32 = 32_767;

/// The same pictures in any size, with pixels of any shape.
pub(super) fn of_any_size(caps: &gst::CapsRef) -> gst::Caps {
    let mut any_size = caps.to_owned();
    for structure in any_size.make_mut().iter_mut() {
        structure.set("width", gst::IntRange::new(1, MAX_SIDE));
        structure.set("height", gst::IntRange::new(1, MAX_SIDE));
        if structure.has_field(PIXEL) {
            structure.set(PIXEL, any_pixel());
        }
    }
    any_size
}

const PIXEL: &str = "pixel-aspect-ratio";

fn any_pixel() -> gst::FractionRange {
    gst::FractionRange::new(gst::Fraction::new(1, i32::MAX), gst::Fraction::new(i32::MAX, 1))
}

/// The shape of a picture with these caps.
pub(super) fn shape_of(caps: &gst::StructureRef) -> Option<Shape> {
    let side = |name| {
        caps.get::<i32>(name)
            .ok()
            .and_then(|side| u32::try_from(side).ok())
            .filter(|side| *side > 0)
    };
    let pixel = caps.get::<gst::Fraction>(PIXEL).ok().and_then(ratio);
    Some(Shape {
        width: side("width")?,
        height: side("height")?,
        pixel: pixel.unwrap_or((1, 1)),
    })
}

/// Leaves no choice of size in `to`.
pub(super) fn settle(from: Shape, to: &mut gst::StructureRef) {
    if !to.has_field(PIXEL) {
        to.set(
            PIXEL,
            gst::FractionRange::new(gst::Fraction::new(1, i32::MAX), gst::Fraction::new(i32::MAX, 1)),
        );
    }
    let side = |name: &'static str| {
        let choice = to.to_owned();
        move |near: u32| {
            let mut choice = choice.clone();
            choice.fixate_field_nearest_int(name, i32::try_from(near).unwrap_or(i32::MAX));
            choice
                .get::<i32>(name)
                .ok()
                .and_then(|side| u32::try_from(side).ok())
                .unwrap_or(near)
        }
    };
    let pixels = to.to_owned();
    let pixel = |near: Ratio| {
        let mut choice = pixels.clone();
        let (over, under) = (
            i32::try_from(near.0).unwrap_or(i32::MAX),
            i32::try_from(near.1).unwrap_or(i32::MAX),
        );
        choice.fixate_field_nearest_fraction(PIXEL, gst::Fraction::new(over, under));
        choice.get::<gst::Fraction>(PIXEL).ok().and_then(ratio).unwrap_or(near)
    };
    let shape = fit(
        from,
        &Choice {
            width: side("width"),
            height: side("height"),
            pixel,
            width_is_fixed: to.get::<i32>("width").is_ok(),
            height_is_fixed: to.get::<i32>("height").is_ok(),
        },
    );
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    to.set("width", number(shape.width));
    to.set("height", number(shape.height));
    to.set(PIXEL, gst::Fraction::new(number(shape.pixel.0), number(shape.pixel.1)));
}

fn ratio(fraction: gst::Fraction) -> Option<Ratio> {
    let part = |part: i32| u32::try_from(part).ok().filter(|part| *part > 0);
    Some((part(fraction.numer())?, part(fraction.denom())?))
}
