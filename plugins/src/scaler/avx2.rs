//! The two passes for processors with AVX2. They do what `portable` does, sixteen or thirty-two samples at a time.
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
const COLUMNS: usize = 32;

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
    let (wide, rest) = row.split_at_mut(row.len() / COLUMNS * COLUMNS);
    let bytes = wide.len() * depth.bytes();
    let furthest = lines.iter().max().map_or(0, |line| line + bytes);
    assert!(
        furthest <= source.len() && lines.len() == coefficients.len(),
        "the plane was measured"
    );
    // SAFETY: the processor has AVX2 (`Able`), and `bytes` bytes are there from each of `lines` on.
    unsafe {
        match depth {
            Depth::Eight => columns::<1>(source, lines, coefficients, wide, first_pass(depth)),
            Depth::Ten => columns::<2>(source, lines, coefficients, wide, first_pass(depth)),
        }
    }
    portable::vertical(depth, &source[bytes..], lines, coefficients, rest);
}

/// # Safety
/// `row` is a multiple of [`COLUMNS`] long, `source` has as many samples of `BYTES` bytes from each of `lines` on, and there
/// are as many of `lines` as of `coefficients`.
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
    let shift = _mm_cvtsi32_si128(shift as i32);
    for (group, out) in row.chunks_exact_mut(COLUMNS).enumerate() {
        let at = group * COLUMNS * BYTES;
        let mut sums = [_mm256_set1_epi32(start); 4];
        for (line, by) in lines.chunks_exact(2).zip(coefficients.chunks_exact(2)) {
            let by = both(by[0], by[1]);
            for half in 0..2 {
                let at = at + half * 16 * BYTES;
                let (upper, lower) = (load(line[0] + at), load(line[1] + at));
                let low = _mm256_madd_epi16(_mm256_unpacklo_epi16(upper, lower), by);
                let high = _mm256_madd_epi16(_mm256_unpackhi_epi16(upper, lower), by);
                sums[2 * half] = _mm256_add_epi32(sums[2 * half], low);
                sums[2 * half + 1] = _mm256_add_epi32(sums[2 * half + 1], high);
            }
        }
        let sums = sums.map(|sum| _mm256_sra_epi32(sum, shift));
        // SAFETY: `out` is COLUMNS samples long, which is two of these.
        unsafe {
            let out = out.as_mut_ptr();
            _mm256_storeu_si256(out.cast(), _mm256_packs_epi32(sums[0], sums[1]));
            _mm256_storeu_si256(out.add(16).cast(), _mm256_packs_epi32(sums[2], sums[3]));
        }
    }
}

/// A pair of coefficients in each 32 bits.
#[target_feature(enable = "avx2")]
fn both(first: i16, second: i16) -> __m256i {
    _mm256_set1_epi32(i32::from(second) << 16 | i32::from(first as u16))
}

/// Brings eight values into range and writes as many as there is room for.
#[target_feature(enable = "avx2")]
fn put(depth: Depth, values: __m256i, out: &mut [u8]) {
    let (low, high) = (_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    let packed = match depth {
        Depth::Eight => _mm_packus_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128()),
        Depth::Ten => _mm_min_epi16(_mm_packs_epi32(low, high), _mm_set1_epi16(1023)),
    };
    let packed = match depth {
        Depth::Eight => packed,
        Depth::Ten => _mm_max_epi16(packed, _mm_setzero_si128()),
    };
    let bytes = [_mm_cvtsi128_si64(packed), _mm_extract_epi64(packed, 1)].map(i64::to_le_bytes);
    let bytes = bytes.as_flattened();
    let length = 8 * depth.bytes();
    match out.len() == length {
        // A length that is known becomes a single store.
        true if length == 8 => out.copy_from_slice(&bytes[..8]),
        true => out.copy_from_slice(&bytes[..16]),
        false => out.copy_from_slice(&bytes[..out.len()]),
    }
}
