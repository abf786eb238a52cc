//! The two passes for processors with AVX2. They do what `portable` does, eight to sixty-four samples at a time.
//!
//! This is the only part of the scaler with unsafe code: each safe function in it checks once that all of what the loop
//! behind it reads and writes is there.

mod second;

use std::arch::x86_64::*;

use super::{
    Depth,
    portable::{self, first_pass},
};

pub(super) use second::Horizontal;

/// Samples behind a row's last tap that the second pass may read.
pub(super) const READS_ON: usize = 48;

/// Samples that the first pass makes at a time.
const COLUMNS: usize = 64;

/// Proof that the processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Able(());

impl Able {
    pub(super) fn here() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// See [`portable::vertical`].
pub(super) fn vertical(_: Able, depth: Depth, source: &[u8], lines: &[usize], coefficients: &[i16], row: &mut [i16]) {
    let Some(last) = row.len().checked_sub(COLUMNS) else {
        return portable::vertical(depth, source, lines, coefficients, row);
    };
    let furthest = lines.iter().max().map_or(0, |line| line + row.len() * depth.bytes());
    let there = furthest <= source.len() && lines.len() == coefficients.len();
    assert!(there, "the plane was measured");
    // The last columns end with the row, and overlap the ones before.
    for at in (0..last).step_by(COLUMNS).chain([last]) {
        let source = &source[at * depth.bytes()..];
        // SAFETY: the processor has AVX2 (`Able`), and from each of `lines` on there are as many samples as in the row.
        unsafe {
            match depth {
                Depth::Eight => columns::<1>(
                    source,
                    lines,
                    coefficients,
                    &mut row[at..][..COLUMNS],
                    first_pass(depth),
                ),
                Depth::Ten => columns::<2>(
                    source,
                    lines,
                    coefficients,
                    &mut row[at..][..COLUMNS],
                    first_pass(depth),
                ),
            }
        }
    }
}

/// # Safety
/// `row` is [`COLUMNS`] long, `source` has as many samples of `BYTES` bytes from each of `lines` on, and there are as many of
/// `lines` as of `coefficients`.
#[target_feature(enable = "avx2")]
unsafe fn columns<const BYTES: usize>(
    source: &[u8],
    lines: &[usize],
    coefficients: &[i16],
    row: &mut [i16],
    (start, shift): (i32, u32),
) {
    // SAFETY: sixteen samples are read at `at`, which the caller has seen to.
    let load = |at: usize| unsafe {
        let from = source.as_ptr().add(at);
        match BYTES {
            1 => _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast())),
            _ => _mm256_loadu_si256(from.cast()),
        }
    };
    let mut sums = [[_mm256_set1_epi32(start); 2]; COLUMNS / 16];
    for (line, by) in lines.chunks_exact(2).zip(coefficients.chunks_exact(2)) {
        let by = both(by[0], by[1]);
        for (part, [low, high]) in sums.iter_mut().enumerate() {
            let at = part * 16 * BYTES;
            let (upper, lower) = (load(line[0] + at), load(line[1] + at));
            *low = _mm256_add_epi32(*low, _mm256_madd_epi16(_mm256_unpacklo_epi16(upper, lower), by));
            *high = _mm256_add_epi32(*high, _mm256_madd_epi16(_mm256_unpackhi_epi16(upper, lower), by));
        }
    }
    let shift = _mm_cvtsi32_si128(shift as i32);
    for (sums, out) in sums.into_iter().zip(row.chunks_exact_mut(16)) {
        let [low, high] = sums.map(|sum| _mm256_sra_epi32(sum, shift));
        // SAFETY: `out` is sixteen samples long.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_packs_epi32(low, high)) };
    }
}

/// A pair of coefficients in each 32 bits.
#[target_feature(enable = "avx2")]
fn both(first: i16, second: i16) -> __m256i {
    _mm256_set1_epi32(i32::from(second) << 16 | i32::from(first as u16))
}
