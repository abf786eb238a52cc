//! The second pass: each sample of a line out of its neighbours in the row.

use std::{arch::x86_64::*, array::from_fn};

use super::{Able, READS_ON, both, put};
use crate::scaler::{Depth, portable::second_pass, taps::Taps};

/// The table of the second pass, in the order in which it is read.
#[derive(Debug)]
pub(in crate::scaler) struct Horizontal {
    able: Able,
    way: Way,
    /// Samples of a row that are read.
    reach: usize,
    /// Samples of the result.
    width: usize,
}

#[derive(Debug)]
enum Way {
    /// Half the size: neighbours in the row are taps of neighbours in the result, and nothing has to be moved.
    Halve { start: usize, coefficients: Vec<i16> },
    /// Anything down to half: four samples of the result are made of what one load gets, and a shuffle brings the taps to
    /// their places.
    Shuffle(Vec<Shuffled>),
    /// Smaller: each sample has taps enough of its own.
    Dot(Vec<Dotted>),
}

/// Eight samples of the result: where the taps of either half begin, which bytes are whose, and coefficients for each pair
/// of taps.
#[derive(Debug)]
struct Shuffled {
    starts: [usize; 2],
    places: [u8; 32],
    coefficients: Vec<[i16; 16]>,
}

/// Eight samples of the result: where the taps of each begin, and coefficients for each eight of them, the first sample's
/// with the fifth's and so on.
#[derive(Debug)]
struct Dotted {
    starts: [usize; 8],
    coefficients: Vec<[[i16; 16]; 4]>,
}

impl Horizontal {
    /// What the number of taps has to be a multiple of.
    pub(in crate::scaler) fn multiple(step: f64) -> usize {
        if step <= 2.0 { 2 } else { 8 }
    }

    /// `before` are the samples of a row before the picture's first.
    pub(in crate::scaler) fn new(able: Able, taps: &Taps, before: usize) -> Self {
        let width = taps.starts.len();
        let start = |at: usize| taps.starts[at.min(width - 1)].saturating_add_unsigned(before) as usize;
        let tap = |at: usize, tap: usize| if at < width { taps.of(at)[tap] } else { 0 };
        let groups = (0..width).step_by(8);
        let way = if taps.halves() {
            Way::Halve {
                start: start(0),
                coefficients: taps.of(0).to_vec(),
            }
        } else if taps.count.is_multiple_of(8) {
            let coefficients = |at: usize, eight: usize| {
                from_fn(|low| from_fn(|own| tap(at + low + own / 8 * 4, 8 * eight + own % 8)))
            };
            let group = |at: usize| Dotted {
                starts: from_fn(|own| start(at + own)),
                coefficients: (0..taps.count / 8).map(|eight| coefficients(at, eight)).collect(),
            };
            Way::Dot(groups.map(group).collect())
        } else {
            let pair = |at: usize, pair: usize| from_fn(|own| tap(at + own / 2, 2 * pair + own % 2));
            let place = |own: usize, from: usize, byte: usize| (2 * (start(from + own % 4) - start(from)) + byte) as u8;
            let group = |at: usize| Shuffled {
                starts: [start(at), start(at + 4)],
                places: from_fn(|byte| place(byte / 4, at + byte / 16 * 4, byte % 4)),
                coefficients: (0..taps.count / 2).map(|number| pair(at, number)).collect(),
            };
            Way::Shuffle(groups.map(group).collect())
        };
        Self {
            able,
            way,
            reach: start(width - 1) + taps.count + READS_ON,
            width,
        }
    }

    pub(in crate::scaler) fn able(&self) -> Able {
        self.able
    }

    /// See [`portable::horizontal`].
    pub(in crate::scaler) fn pass(&self, depth: Depth, row: &[i16], line: &mut [u8]) {
        let there = row.len() >= self.reach && line.len() == self.width * depth.bytes();
        assert!(there, "the row and the line were made for this table");
        // SAFETY: the processor has AVX2 (`Able`), and the row goes READS_ON samples beyond the last tap.
        unsafe {
            match &self.way {
                Way::Halve { start, coefficients } => halve(depth, &row[*start..], coefficients, line),
                Way::Shuffle(groups) => shuffle(depth, row, groups, line),
                Way::Dot(groups) => dot(depth, row, groups, line),
            }
        }
    }
}

/// # Safety
/// `row` is twice as long as `line` has samples, with the taps of the last one, and [`READS_ON`] longer.
#[target_feature(enable = "avx2")]
unsafe fn halve(depth: Depth, row: &[i16], coefficients: &[i16], line: &mut [u8]) {
    let (start, shift) = second_pass(depth);
    let shift = _mm_cvtsi32_si128(shift as i32);
    for (group, out) in line.chunks_mut(16 * depth.bytes()).enumerate() {
        let mut sums = [_mm256_set1_epi32(start); 2];
        for (pair, by) in coefficients.chunks_exact(2).enumerate() {
            let by = both(by[0], by[1]);
            // SAFETY: the last of sixteen samples may be fifteen beyond the line; that is thirty beyond the row's last tap.
            unsafe {
                let from = row.as_ptr().add(32 * group + 2 * pair);
                let low = _mm256_madd_epi16(_mm256_loadu_si256(from.cast()), by);
                let high = _mm256_madd_epi16(_mm256_loadu_si256(from.add(16).cast()), by);
                sums = [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)];
            }
        }
        let [low, high] = sums.map(|sum| _mm256_sra_epi32(sum, shift));
        let (first, second) = out.split_at_mut(out.len().min(8 * depth.bytes()));
        put(depth, low, first);
        put(depth, high, second);
    }
}

/// # Safety
/// Each of the starts, with the taps behind it, is in the row, which goes on for [`READS_ON`].
#[target_feature(enable = "avx2")]
unsafe fn shuffle(depth: Depth, row: &[i16], groups: &[Shuffled], line: &mut [u8]) {
    let (start, shift) = second_pass(depth);
    let shift = _mm_cvtsi32_si128(shift as i32);
    for (group, out) in groups.iter().zip(line.chunks_mut(8 * depth.bytes())) {
        let mut sum = _mm256_set1_epi32(start);
        // SAFETY: the places are 32 bytes. Eight samples are read at a tap, of which six may be behind the last one.
        unsafe {
            let places = _mm256_loadu_si256(group.places.as_ptr().cast());
            for (pair, by) in group.coefficients.iter().enumerate() {
                let [low, high] = group
                    .starts
                    .map(|start| _mm_loadu_si128(row.as_ptr().add(start + 2 * pair).cast()));
                let taps = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), places);
                let product = _mm256_madd_epi16(taps, _mm256_loadu_si256(by.as_ptr().cast()));
                sum = _mm256_add_epi32(sum, product);
            }
        }
        put(depth, _mm256_sra_epi32(sum, shift), out);
    }
}

/// # Safety
/// Each of the starts, with the taps behind it, is in the row.
#[target_feature(enable = "avx2")]
unsafe fn dot(depth: Depth, row: &[i16], groups: &[Dotted], line: &mut [u8]) {
    let (start, shift) = second_pass(depth);
    let (start, shift) = (_mm256_set1_epi32(start), _mm_cvtsi32_si128(shift as i32));
    for (group, out) in groups.iter().zip(line.chunks_mut(8 * depth.bytes())) {
        let mut sums = [_mm256_setzero_si256(); 4];
        for (eight, coefficients) in group.coefficients.iter().enumerate() {
            for low in 0..4 {
                // SAFETY: eight taps are there, and sixteen coefficients.
                unsafe {
                    let [first, second] = [group.starts[low], group.starts[low + 4]]
                        .map(|start| _mm_loadu_si128(row.as_ptr().add(start + 8 * eight).cast()));
                    let by = _mm256_loadu_si256(coefficients[low].as_ptr().cast());
                    let product = _mm256_madd_epi16(_mm256_set_m128i(second, first), by);
                    sums[low] = _mm256_add_epi32(sums[low], product);
                }
            }
        }
        let [a, b, c, d] = sums;
        let sum = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        put(depth, _mm256_sra_epi32(_mm256_add_epi32(sum, start), shift), out);
    }
}
