//! The two passes in plain Rust, for every processor. The fast ones give the same results to the bit.

use super::{Depth, taps::COEFFICIENT_BITS};

/// Bits in front of the point of a sample between the passes: any depth is spread over ±16384, and half as much again is
/// left for the overshoot at edges.
const SPREAD: u32 = 15;

/// What the sum of the first pass begins with, and how far it is shifted: it makes the middle of the range zero.
pub(super) fn first_pass(depth: Depth) -> (i32, u32) {
    let shift = COEFFICIENT_BITS + depth.bits() - SPREAD;
    ((1 << (shift - 1)) - (1 << (depth.bits() - 1 + COEFFICIENT_BITS)), shift)
}

/// The same for the second pass, which brings the middle back.
pub(super) fn second_pass(depth: Depth) -> (i32, u32) {
    let shift = COEFFICIENT_BITS + SPREAD - depth.bits();
    ((1 << (shift - 1)) + (1 << (depth.bits() - 1 + shift)), shift)
}

/// Samples that the first pass makes at a time; what is summed up stays in registers.
const COLUMNS: usize = 32;

/// One line out of several: `lines` are the offsets of its taps in `source`.
pub(super) fn vertical(depth: Depth, source: &[u8], lines: &[usize], coefficients: &[i16], row: &mut [i16]) {
    let (start, shift) = first_pass(depth);
    for (group, out) in row.chunks_mut(COLUMNS).enumerate() {
        let (at, length) = (group * COLUMNS * depth.bytes(), out.len() * depth.bytes());
        let mut sums = [start; COLUMNS];
        for (line, by) in lines.iter().zip(coefficients) {
            let taps = &source[line + at..][..length];
            match depth {
                Depth::Eight => add(&mut sums, taps.iter().map(|tap| i16::from(*tap)), *by),
                Depth::Ten => add(
                    &mut sums,
                    taps.as_chunks().0.iter().map(|tap| i16::from_le_bytes(*tap)),
                    *by,
                ),
            }
        }
        for (sample, sum) in out.iter_mut().zip(sums) {
            *sample = (sum >> shift).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }
}

fn add(sums: &mut [i32; COLUMNS], taps: impl Iterator<Item = i16>, by: i16) {
    for (sum, tap) in sums.iter_mut().zip(taps) {
        *sum += i32::from(tap) * i32::from(by);
    }
}

/// A line out of a row: for each sample, where its taps begin and what they are.
pub(super) fn horizontal<'a>(
    depth: Depth,
    row: &[i16],
    taps: impl Iterator<Item = (usize, &'a [i16])>,
    line: &mut [u8],
) {
    let (start, shift) = second_pass(depth);
    let most = (1 << depth.bits()) - 1;
    let samples = taps.map(|(first, coefficients)| {
        let taps = row[first..][..coefficients.len()].iter().zip(coefficients);
        let sum: i32 = taps.map(|(tap, by)| i32::from(*tap) * i32::from(*by)).sum();
        ((sum + start) >> shift).clamp(0, most) as u16
    });
    match depth {
        Depth::Eight => line.iter_mut().zip(samples).for_each(|(to, sample)| *to = sample as u8),
        Depth::Ten => {
            let places = line.as_chunks_mut().0.iter_mut();
            places.zip(samples).for_each(|(to, sample)| *to = sample.to_le_bytes());
        }
    }
}
