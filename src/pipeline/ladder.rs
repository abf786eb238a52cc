//! Ladders: several renditions of one picture, each scaled from the one above it.
//!
//! A template writes down one rung; the stream's height says which of those that are asked for are of use. What is written
//! for one rung is then written for each of them, with the rung's height behind the name of every element.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{
    params::{Fraction, Rung},
    syntax,
};

/// The element in the `video` text that the highest rung begins at.
pub const TOP: &str = "top";
/// The element in the `rung` text that the next rung begins at.
pub const THIS: &str = "this";
/// What stands in the `rung` text for the element that a rung begins at.
pub const ABOVE: &str = "above";
/// The output that sound goes to when there are no pictures.
pub const AUDIO_OUTPUT: &str = "audio";

/// A rung that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// As it was asked for. Its height is the step's name, so that a stream is called the same whatever comes in.
    pub rung: Rung,
    /// Lines it really has.
    pub height: u32,
    /// Of so many of the source's pictures it has one. Counted and not timed, so that all rungs have key frames at the same
    /// pictures however unevenly those come.
    pub keep_every: u32,
}

/// Pictures a second of a source that does not tell.
const USUAL_RATE: f64 = 30.0;
/// More would not be moving pictures.
const MOST_DROPPED: f64 = 240.0;

/// The rungs that a picture of this height and rate allows, the highest first: those that need no enlarging, or else the
/// lowest at the picture's own height. Where that is not known, all of them.
pub fn steps(rungs: &[Rung], height: Option<u32>, rate: Option<Fraction>) -> Vec<Step> {
    let mut sorted = rungs.to_vec();
    sorted.sort_by_key(|rung| Reverse(rung.height));
    let step = |rung: &Rung| Step {
        rung: *rung,
        height: rung.height,
        keep_every: keep_every(rung.fps, rate),
    };
    let Some(height) = height.filter(|height| *height > 0) else {
        return sorted.iter().map(step).collect();
    };
    let fitting: Vec<_> = sorted.iter().filter(|rung| rung.height <= height).map(step).collect();
    match (fitting.is_empty(), sorted.last()) {
        (true, Some(lowest)) => vec![Step {
            rung: *lowest,
            // Chroma has half as many lines.
            height: (height - height % 2).max(2),
            ..step(lowest)
        }],
        _ => fitting,
    }
}

/// How many pictures of a source there may be for one, so that no more than `most` come a second.
fn keep_every(most: Option<Fraction>, rate: Option<Fraction>) -> u32 {
    let Some(most) = most else { return 1 };
    let rate = rate.map_or(USUAL_RATE, Fraction::as_f64);
    // 30000/1001 is not twice as many as 15, and nobody means it to be three times as many as 14.98.
    let times = (rate / most.as_f64() - 0.01).ceil();
    // In bounds before it is converted.
    times.clamp(1.0, MOST_DROPPED) as u32
}

/// A number that all of these divide, if there is a small one.
pub fn common_multiple(numbers: impl Iterator<Item = u32>) -> u32 {
    let divisor = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a.max(1)
    };
    let common = numbers.fold(1u32, |common, number| {
        let multiple = common / divisor(common, number) * number.max(1);
        multiple.min(LARGEST_MULTIPLE)
    });
    match common < LARGEST_MULTIPLE {
        true => common,
        false => 1,
    }
}

/// Beyond it groups of pictures would be longer than anyone wants.
const LARGEST_MULTIPLE: u32 = 120;

/// The ladder without the highest rung that a picture of this height has use for: what is left when there is not enough to
/// encode it with. `None` if nothing would be left.
pub fn without_top(rungs: &[Rung], height: Option<u32>) -> Option<Vec<Rung>> {
    let steps = steps(rungs, height, None);
    let (top, rest) = steps.split_first()?;
    let lower = rungs.iter().filter(|rung| rung.height < top.rung.height).copied();
    (!rest.is_empty()).then(|| lower.collect())
}

/// The name that an element of the `rung` text has in the copy for a rung.
pub fn name_at(name: &str, height: u32) -> String {
    format!("{name}_{height}")
}

/// The `rung` text for each of these steps, one behind the other.
pub fn unroll(text: &str, steps: &[Step]) -> String {
    let own = syntax::names(text);
    let above = std::iter::once(TOP.to_owned()).chain(steps.iter().map(|step| name_at(THIS, step.rung.height)));
    let copies: Vec<_> = steps
        .iter()
        .zip(above)
        .map(|(step, above)| copy(text, &own, step.rung.height, &above))
        .collect();
    copies.join("  ")
}

fn copy(text: &str, own: &BTreeSet<&str>, height: u32, above: &str) -> String {
    syntax::map_words(text, |word, _| {
        if let Some(name) = word.strip_prefix("name=") {
            return Some(format!("name={}", name_at(name, height)));
        }
        let (element, pad) = word.split_once('.')?;
        match element {
            ABOVE => Some(format!("{above}.{pad}")),
            "out" => Some(format!("{}.{pad}", name_at(element, height))),
            element if own.contains(element) => Some(format!("{}.{pad}", name_at(element, height))),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(heights: &[u32]) -> Vec<Rung> {
        let rung = |height: &u32| Rung {
            height: *height,
            bitrate: 1_000_000,
            fps: None,
        };
        heights.iter().map(rung).collect()
    }

    fn heights(steps: &[Step]) -> Vec<(u32, u32)> {
        steps.iter().map(|step| (step.rung.height, step.height)).collect()
    }

    #[test]
    fn nothing_is_enlarged() {
        let ladder = rungs(&[1080, 720, 480, 240]);
        let of = |height| heights(&steps(&ladder, height, None));
        assert_eq!(of(Some(2160)), [(1080, 1080), (720, 720), (480, 480), (240, 240)]);
        assert_eq!(of(Some(720)), [(720, 720), (480, 480), (240, 240)]);
        assert_eq!(of(Some(719)), [(480, 480), (240, 240)]);
        assert_eq!(of(None).len(), 4);
        assert_eq!(of(Some(0)).len(), 4);
    }

    #[test]
    fn a_picture_below_every_rung_keeps_its_height() {
        let ladder = rungs(&[720, 480]);
        assert_eq!(heights(&steps(&ladder, Some(361), None)), [(480, 360)]);
        assert_eq!(heights(&steps(&ladder, Some(1), None)), [(480, 2)]);
    }

    #[test]
    fn the_order_in_which_rungs_are_given_does_not_matter() {
        assert_eq!(
            heights(&steps(&rungs(&[240, 720]), None, None)),
            [(720, 720), (240, 240)]
        );
    }

    #[test]
    fn the_highest_rung_in_use_is_dropped_first() {
        let of = |ladder: &[u32], height| {
            let left = without_top(&rungs(ladder), height)?;
            Some(left.iter().map(|rung| rung.height).collect::<Vec<_>>())
        };
        assert_eq!(of(&[1080, 720, 480], Some(1080)), Some(vec![720, 480]));
        assert_eq!(of(&[1080, 720, 480], Some(720)), Some(vec![480]));
        assert_eq!(of(&[1080, 720, 480], Some(480)), None, "the last one stays");
        assert_eq!(of(&[1080], None), None);
        assert_eq!(of(&[], None), None);
    }

    #[test]
    fn each_rung_hangs_on_the_one_above_it() {
        let text =
            "above. ! queue name=q ! size ! tee name=this  this. ! encoder name=v ! q.x ! t=\"above.\" ! out.video";
        assert_eq!(
            unroll(text, &steps(&rungs(&[720, 480]), Some(720), None)),
            "top. ! queue name=q_720 ! size ! tee name=this_720  this_720. ! encoder name=v_720 ! q_720.x ! t=\"above.\" ! out_720.video  \
             this_720. ! queue name=q_480 ! size ! tee name=this_480  this_480. ! encoder name=v_480 ! q_480.x ! t=\"above.\" ! out_480.video"
        );
        assert_eq!(unroll(text, &[]), "");
    }

    #[test]
    fn fewer_pictures_are_a_whole_part_of_the_sources() {
        let rate = |text: &str| Fraction::parse(text);
        let of = |most: &str, source: &str| keep_every(rate(most), rate(source));
        assert_eq!((of("15", "30"), of("15", "30000/1001"), of("15", "60")), (2, 2, 4));
        assert_eq!(
            (of("14.9", "30"), of("25", "30"), of("25", "25"), of("60", "25")),
            (1, 2, 1, 1)
        );
        assert_eq!((keep_every(None, rate("60")), keep_every(rate("15"), None)), (1, 2));
        let multiple = |numbers: &[u32]| common_multiple(numbers.iter().copied());
        assert_eq!((multiple(&[1, 2, 2]), multiple(&[2, 3]), multiple(&[])), (2, 6, 1));
        assert_eq!(multiple(&[7, 11, 13, 17]), 1, "too long a group helps nobody");
    }
}
