//! Filter tables: for every sample of the result, which samples it is made of and how much of each.

/// Bits behind the point of a coefficient. 1.0 and a little more fit a signed 16-bit number.
pub(super) const COEFFICIENT_BITS: u32 = 14;

/// Half the width of the kernel in samples of the smaller picture.
const RADIUS: f64 = 2.0;

/// One direction of a plane: how its samples lie before and after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Samples before.
    pub(crate) from: usize,
    /// Samples after.
    pub(crate) to: usize,
    /// Distance of two samples after, counted in samples before. It is the picture's, not the plane's: a plane of 427 for a
    /// picture of 853 is scaled as 426.5.
    pub(crate) step: f64,
    /// Where in its cell a sample lies: 0.5 in the middle, 0.25 for chroma that stands at the left of two pixels.
    pub(crate) phase: f64,
}

/// The filter for an [`Axis`].
#[derive(Debug)]
pub(super) struct Taps {
    /// Coefficients a sample, a multiple of what was asked for; the last ones may be zero.
    pub(super) count: usize,
    /// Where each sample's taps begin. Taps that lie outside stand for the sample at the edge.
    pub(super) starts: Vec<isize>,
    /// `count` for each sample; each sample's add up to one.
    pub(super) coefficients: Vec<i16>,
}

/// The cubic kernel through its points with slope -0.6, the one that swscale calls bicubic.
fn cubic(x: f64) -> f64 {
    const SLOPE: f64 = -0.6;
    let x = x.abs();
    if x < 1.0 {
        ((SLOPE + 2.0) * x - (SLOPE + 3.0)) * x * x + 1.0
    } else if x < RADIUS {
        (((x - 5.0) * x + 8.0) * x - 4.0) * SLOPE
    } else {
        0.0
    }
}

impl Taps {
    pub(super) fn new(axis: Axis, multiple: usize) -> Self {
        // When a picture gets smaller the kernel gets wider, so that no sample is skipped.
        let stretch = axis.step.max(1.0);
        let radius = RADIUS * stretch;
        let reach = (2.0 * radius).ceil() as usize;
        let count = reach.next_multiple_of(multiple);
        let mut taps = Self {
            count,
            starts: Vec::with_capacity(axis.to),
            coefficients: Vec::with_capacity(axis.to * count),
        };
        for at in 0..axis.to {
            let centre = (at as f64 + axis.phase) * axis.step - axis.phase;
            let start = (centre - radius).floor() as isize + 1;
            taps.starts.push(start);
            let weight = |tap: usize| cubic(((start + tap as isize) as f64 - centre) / stretch);
            let sum: f64 = (0..reach).map(weight).sum();
            // What rounding takes from one tap the next one gets, so that the sum is exact even for thousands of taps.
            let mut owed = 0.0;
            taps.coefficients.extend((0..count).map(|tap| {
                let exact = if tap < reach { weight(tap) / sum } else { 0.0 };
                owed += exact * f64::from(1 << COEFFICIENT_BITS);
                let rounded = owed.round();
                owed -= rounded;
                rounded as i16
            }));
        }
        taps
    }

    pub(super) fn of(&self, at: usize) -> &[i16] {
        &self.coefficients[at * self.count..][..self.count]
    }

    /// Whether every sample has the same coefficients, two samples on from those of its neighbour: half the size.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(super) fn halves(&self) -> bool {
        let same = self.coefficients.chunks(self.count).all(|taps| taps == self.of(0));
        same && self.starts.windows(2).all(|pair| pair[1] == pair[0] + 2)
    }

    /// How far samples before the first and behind the last are reached for, given `from` samples.
    pub(super) fn overhang(&self, from: usize) -> (usize, usize) {
        let first = self.starts.first().copied().unwrap_or(0);
        let last = self.starts.last().copied().unwrap_or(0) + self.count as isize;
        let before = usize::try_from(-first).unwrap_or(0);
        (before, usize::try_from(last - from as isize).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(from: usize, to: usize) -> Axis {
        Axis {
            from,
            to,
            step: from as f64 / to as f64,
            phase: 0.5,
        }
    }

    #[test]
    fn what_a_sample_is_made_of_adds_up_to_one() {
        for (from, to) in [
            (1280, 640),
            (1920, 1280),
            (720, 481),
            (360, 720),
            (1, 5),
            (9000, 1),
            (3, 3),
        ] {
            let taps = Taps::new(axis(from, to), 8);
            for at in 0..to {
                let sum: i32 = taps.of(at).iter().map(|tap| i32::from(*tap)).sum();
                assert_eq!(sum, 1 << COEFFICIENT_BITS, "{from} to {to} at {at}");
            }
        }
    }

    #[test]
    fn equal_sizes_take_each_sample_as_it_is() {
        let taps = Taps::new(axis(10, 10), 2);
        for at in 0..10 {
            let own = (at as isize - taps.starts[at]) as usize;
            assert_eq!(taps.of(at)[own], 1 << COEFFICIENT_BITS);
        }
    }

    #[test]
    fn half_is_recognised_wherever_the_samples_lie() {
        assert!(Taps::new(axis(1280, 640), 2).halves());
        assert!(
            Taps::new(
                Axis {
                    phase: 0.25,
                    ..axis(640, 320)
                },
                2
            )
            .halves()
        );
        assert!(!Taps::new(axis(1280, 852), 2).halves());
    }
}
