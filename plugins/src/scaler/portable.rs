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

/// One line out of several: `lines` are the offsets of its taps in `source`.
pub(super) fn vertical(depth: Depth, source: &[u8], lines: &[usize], coefficients: &[i16], row: &mut [i16]) {
    let (start, shift) = first_pass(depth);
    for (at, sample) in row.iter_mut().enumerate() {
        let mut sum = start;
        for (line, coefficient) in lines.iter().zip(coefficients) {
            let tap = match depth {
                Depth::Eight => i16::from(source[line + at]),
                Depth::Ten => i16::from_le_bytes([source[line + 2 * at], source[line + 2 * at + 1]]),
            };
            sum += i32::from(tap) * i32::from(*coefficient);
        }
        *sample = (sum >> shift).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    }
}

/// Samples `from..` of a line: `start` says where a sample's taps begin in `row`, `coefficients` what they are.
pub(super) fn horizontal<'a>(
    depth: Depth,
    row: &[i16],
    taps: impl Iterator<Item = (usize, &'a [i16])>,
    line: &mut [u8],
) {
    let (start, shift) = second_pass(depth);
    for ((first, coefficients), sample) in taps.zip(line.chunks_exact_mut(depth.bytes())) {
        let taps = row[first..].iter().zip(coefficients);
        let sum: i32 = taps.map(|(tap, by)| i32::from(*tap) * i32::from(*by)).sum();
        let value = ((sum + start) >> shift).clamp(0, (1 << depth.bits()) - 1) as u16;
        sample.copy_from_slice(&value.to_le_bytes()[..depth.bytes()]);
    }
}
