//! The second pass: each sample of a line out of its neighbours in the row.

use std::{arch::x86_64::*, array::from_fn};

use super::{Able, READS_ON, both};
use crate::scaler::{Depth, portable::second_pass, taps::Taps};

/// The table of the second pass, in the order in which it is read.
#[derive(Debug)]
pub(in crate::scaler) struct Horizontal {
    able: Able,
    depth: Depth,
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
    pub(in crate::scaler) fn new(able: Able, depth: Depth, taps: &Taps, before: usize) -> Self {
        let width = taps.starts.len();
        let start = |at: usize| taps.starts[at.min(width - 1)].saturating_add_unsigned(before) as usize;
        let tap = |at: usize, tap: usize| if at < width { taps.of(at)[tap] } else { 0 };
        let groups = (0..width).step_by(8);
        let way = if depth == Depth::Eight && taps.halves() {
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
            depth,
            way,
            reach: start(width - 1) + taps.count + READS_ON,
            width,
        }
    }

    pub(in crate::scaler) fn able(&self) -> Able {
        self.able
    }

    /// See [`portable::horizontal`](crate::scaler::portable::horizontal).
    pub(in crate::scaler) fn pass(&self, row: &[i16], line: &mut [u8]) {
        let there = row.len() >= self.reach && line.len() == self.width * self.depth.bytes();
        assert!(there, "the row and the line were made for this table");
        // SAFETY: the processor has AVX2 (`Able`), and the row goes READS_ON samples beyond the last tap.
        unsafe {
            match (&self.way, self.depth) {
                (Way::Halve { start, coefficients }, _) => halve(&row[*start..], coefficients, line),
                (Way::Shuffle(groups), Depth::Eight) => shuffle::<8>(row, groups, line),
                (Way::Shuffle(groups), Depth::Ten) => shuffle::<16>(row, groups, line),
                (Way::Dot(groups), Depth::Eight) => dot::<8>(row, groups, line),
                (Way::Dot(groups), Depth::Ten) => dot::<16>(row, groups, line),
            }
        }
    }
}

/// Fills `line` with what `make` has for each `SIZE` bytes of it.
#[target_feature(enable = "avx2")]
fn fill<const SIZE: usize>(line: &mut [u8], make: impl Fn(usize) -> [u8; 16]) {
    let mut groups = line.chunks_exact_mut(SIZE);
    let mut at = 0;
    for out in &mut groups {
        out.copy_from_slice(&make(at)[..SIZE]);
        at += 1;
    }
    let rest = groups.into_remainder();
    if !rest.is_empty() {
        rest.copy_from_slice(&make(at)[..rest.len()]);
    }
}

/// What eight sums are as samples: eight bytes, or sixteen.
#[target_feature(enable = "avx2")]
fn finished<const SIZE: usize>(sums: __m256i, shift: u32) -> [u8; 16] {
    let sums = _mm256_sra_epi32(sums, _mm_cvtsi32_si128(shift as i32));
    let words = _mm_packs_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    let zero = _mm_setzero_si128();
    bytes(match SIZE {
        8 => _mm_packus_epi16(words, zero),
        _ => _mm_max_epi16(_mm_min_epi16(words, _mm_set1_epi16(1023)), zero),
    })
}

#[target_feature(enable = "avx2")]
fn bytes(register: __m128i) -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: both are sixteen bytes.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), register) };
    bytes
}

/// # Safety
/// `row` is twice as long as `line`, with the taps of the last one, and [`READS_ON`] longer.
#[target_feature(enable = "avx2")]
unsafe fn halve(row: &[i16], coefficients: &[i16], line: &mut [u8]) {
    let (start, shift) = second_pass(Depth::Eight);
    fill::<16>(line, |group| {
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
        let shift = _mm_cvtsi32_si128(shift as i32);
        let [low, high] = sums.map(|sum| _mm256_sra_epi32(sum, shift));
        let words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0b11_01_10_00);
        let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        bytes(_mm_packus_epi16(low, high))
    });
}

/// # Safety
/// Each of the starts, with the taps behind it, is in the row, which goes on for [`READS_ON`]. There is a group for each eight
/// samples of the line.
#[target_feature(enable = "avx2")]
unsafe fn shuffle<const SIZE: usize>(row: &[i16], groups: &[Shuffled], line: &mut [u8]) {
    let (start, shift) = second_pass(depth::<SIZE>());
    fill::<SIZE>(line, |at| {
        let group = &groups[at];
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
        finished::<SIZE>(sum, shift)
    });
}

/// # Safety
/// Each of the starts, with the taps behind it, is in the row. There is a group for each eight samples of the line.
#[target_feature(enable = "avx2")]
unsafe fn dot<const SIZE: usize>(row: &[i16], groups: &[Dotted], line: &mut [u8]) {
    let (start, shift) = second_pass(depth::<SIZE>());
    fill::<SIZE>(line, |at| {
        let group = &groups[at];
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
        finished::<SIZE>(_mm256_add_epi32(sum, _mm256_set1_epi32(start)), shift)
    });
}

/// The depth of which eight samples take `SIZE` bytes.
fn depth<const SIZE: usize>() -> Depth {
    match SIZE {
        8 => Depth::Eight,
        _ => Depth::Ten,
    }
}
