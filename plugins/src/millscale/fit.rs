//! Which size a picture gets, where those behind leave a choice. Plain numbers; what they may be is asked through closures.

/// A fraction above zero.
pub(super) type Ratio = (u32, u32);

/// A picture's size, and the shape of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixel: Ratio,
}

/// What is possible. Each closure gives what is nearest to what was asked.
pub(super) struct Choice<W, H, P> {
    pub(super) width: W,
    pub(super) height: H,
    pub(super) pixel: P,
    pub(super) width_is_fixed: bool,
    pub(super) height_is_fixed: bool,
}

/// The shape nearest to `from` that looks like it: the same proportions on the screen, pixels of the same shape, even
/// numbers, and no larger than it has to be.
///
/// A size that is fixed decides the other one. Where both are, or the ends of a range, the pixels' shape makes up for it as
/// far as it may.
pub(super) fn fit<W, H, P>(from: Shape, choice: &Choice<W, H, P>) -> Shape
where
    W: Fn(u32) -> u32,
    H: Fn(u32) -> u32,
    P: Fn(Ratio) -> Ratio,
{
    let pixel = (choice.pixel)(from.pixel);
    let width_for = |height: u32| even(by(height, screen(from), (pixel.1, pixel.0)));
    let height_for = |width: u32| even(by(width, pixel, flipped(screen(from))));
    let (width, height) = match (choice.width_is_fixed, choice.height_is_fixed) {
        (true, true) => ((choice.width)(from.width), (choice.height)(from.height)),
        (true, false) => {
            let width = (choice.width)(from.width);
            (width, (choice.height)(height_for(width)))
        }
        (false, true) => {
            let height = (choice.height)(from.height);
            ((choice.width)(width_for(height)), height)
        }
        (false, false) => {
            let height = (choice.height)(from.height);
            let wanted = if height == from.height && pixel == from.pixel {
                from.width
            } else {
                width_for(height)
            };
            let width = (choice.width)(wanted);
            // Where the width met an end of its range, the height follows it.
            let height = if width == wanted {
                height
            } else {
                (choice.height)(height_for(width))
            };
            (width, height)
        }
    };
    let kept = Shape { width, height, pixel };
    if looks_alike(from, kept) {
        return kept;
    }
    let exact = reduced(
        u128::from(screen(from).0) * u128::from(height),
        u128::from(screen(from).1) * u128::from(width),
    );
    Shape {
        pixel: (choice.pixel)(exact),
        ..kept
    }
}

/// A picture's proportions on the screen.
fn screen(shape: Shape) -> Ratio {
    reduced(
        u128::from(shape.width) * u128::from(shape.pixel.0),
        u128::from(shape.height) * u128::from(shape.pixel.1),
    )
}

/// Whether the proportions differ by no more than rounding to even numbers makes them.
fn looks_alike(from: Shape, to: Shape) -> bool {
    let exact = by(to.height, screen(from), flipped(to.pixel));
    to.width.abs_diff(exact) <= 2
}

/// `value × a × b`, rounded, in the range of a size.
fn by(value: u32, a: Ratio, b: Ratio) -> u32 {
    let (over, under) = (u128::from(a.0) * u128::from(b.0), u128::from(a.1) * u128::from(b.1));
    let under = under.max(1);
    let exact = (u128::from(value) * over + under / 2) / under;
    u32::try_from(exact).unwrap_or(u32::MAX).clamp(1, i32::MAX as u32)
}

/// The nearest even number, and two at least.
fn even(value: u32) -> u32 {
    (value.saturating_add(1) & !1).clamp(2, i32::MAX as u32 - 1)
}

fn flipped((over, under): Ratio) -> Ratio {
    (under, over)
}

/// A fraction in its lowest terms, or close to it where those do not fit.
fn reduced(over: u128, under: u128) -> Ratio {
    let (mut a, mut b) = (over, under);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (mut over, mut under) = (over / a.max(1), under / a.max(1));
    while over > i32::MAX as u128 || under > i32::MAX as u128 {
        (over, under) = (over / 2, under / 2);
    }
    (over.max(1) as u32, under.max(1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: Shape = Shape {
        width: 1280,
        height: 720,
        pixel: (1, 1),
    };

    /// Sizes within the ranges, and pixels of the one shape or of any.
    fn shape(from: Shape, width: (u32, u32), height: (u32, u32), pixel: Option<Ratio>) -> (u32, u32, Ratio) {
        let choice = Choice {
            width: |near: u32| near.clamp(width.0, width.1),
            height: |near: u32| near.clamp(height.0, height.1),
            pixel: |near: Ratio| pixel.unwrap_or(near),
            width_is_fixed: width.0 == width.1,
            height_is_fixed: height.0 == height.1,
        };
        let shape = fit(from, &choice);
        (shape.width, shape.height, shape.pixel)
    }

    const ANY: (u32, u32) = (1, 32_767);

    #[test]
    fn a_height_decides_the_width() {
        assert_eq!(shape(HD, ANY, (360, 360), None), (640, 360, (1, 1)));
        assert_eq!(shape(HD, ANY, (480, 480), Some((1, 1))), (854, 480, (1, 1)));
        assert_eq!(shape(HD, (640, 640), ANY, None), (640, 360, (1, 1)));
    }

    #[test]
    fn pixels_that_are_not_square_stay_so_or_become_square() {
        let dv = Shape {
            width: 720,
            height: 576,
            pixel: (16, 15),
        };
        assert_eq!(shape(dv, ANY, (288, 288), None), (360, 288, (16, 15)));
        assert_eq!(shape(dv, ANY, (288, 288), Some((1, 1))), (384, 288, (1, 1)));
        assert_eq!(shape(dv, ANY, ANY, Some((1, 1))), (768, 576, (1, 1)));
    }

    #[test]
    fn what_may_stay_stays() {
        assert_eq!(shape(HD, ANY, ANY, None), (1280, 720, (1, 1)));
        let odd = Shape {
            width: 853,
            height: 479,
            pixel: (1, 1),
        };
        assert_eq!(shape(odd, ANY, ANY, Some((1, 1))), (853, 479, (1, 1)));
    }

    #[test]
    fn a_box_is_filled_as_far_as_the_proportions_go() {
        assert_eq!(shape(HD, (1, 640), (1, 640), Some((1, 1))), (640, 360, (1, 1)));
        assert_eq!(shape(HD, (1, 2000), (1, 360), Some((1, 1))), (640, 360, (1, 1)));
    }

    #[test]
    fn a_size_that_is_all_fixed_is_made_up_for_by_the_pixels() {
        assert_eq!(shape(HD, (720, 720), (576, 576), None), (720, 576, (64, 45)));
        assert_eq!(shape(HD, (720, 720), (576, 576), Some((1, 1))), (720, 576, (1, 1)));
    }

    #[test]
    fn nothing_overflows() {
        for extreme in [1, i32::MAX as u32] {
            for pixel in [(1, 1), (i32::MAX as u32, 1), (1, i32::MAX as u32)] {
                for size in [(1, 1), (extreme, 1), (1, extreme), (extreme, extreme)] {
                    let from = Shape {
                        width: size.0,
                        height: size.1,
                        pixel,
                    };
                    let (width, height, _) = shape(from, ANY, (360, 360), None);
                    assert!((1..=32_767).contains(&width) && height == 360);
                    shape(from, ANY, ANY, Some((1, 1)));
                }
            }
        }
    }
}
