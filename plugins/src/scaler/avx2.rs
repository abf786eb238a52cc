//! The two passes for processors with AVX2. They do what `portable` does, sixteen or thirty-two samples at a time.
//!
//! This is the only part of the scaler with unsafe code: each safe function in it checks once that all of what the loop
//! behind it reads and writes is there.

use std::arch::x86_64::*;

use super::{
    Depth,
    portable::{self, first_pass, second_pass},
    taps::Taps,
};

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

/// The table of the second pass, in the order in which it is read.
#[derive(Debug)]
pub(super) struct Horizontal {
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
    /// their places. Two starts, a shuffle and `pairs` coefficients for each eight samples of the result.
    Shuffle {
        starts: Vec<[usize; 2]>,
        masks: Vec<[u8; 32]>,
        coefficients: Vec<[i16; 16]>,
        pairs: usize,
    },
    /// Smaller: each sample has taps enough of its own. Eight starts, and four coefficients for each `eights`, for each
    /// eight samples of the result.
    Dot {
        starts: Vec<[usize; 8]>,
        coefficients: Vec<[i16; 16]>,
        eights: usize,
    },
}

impl Horizontal {
    /// What the number of taps has to be a multiple of.
    pub(super) fn multiple(step: f64) -> usize {
        if step <= 2.0 { 2 } else { 8 }
    }

    /// `before` are the samples of a row before the picture's first.
    pub(super) fn new(able: Able, taps: &Taps, before: usize) -> Self {
        let width = taps.starts.len();
        let start = |at: usize| taps.starts[at.min(width - 1)].saturating_add_unsigned(before) as usize;
        let tap = |at: usize, tap: usize| if at < width { taps.of(at)[tap] } else { 0 };
        let groups = (0..width).step_by(8);
        let near = |at: usize| (0..8).all(|own| start(at + own) - start(at + own / 4 * 4) <= 6);
        let way = if taps.halves() && taps.count.is_multiple_of(2) {
            Way::Halve {
                start: start(0),
                coefficients: taps.of(0).to_vec(),
            }
        } else if taps.count.is_multiple_of(2) && groups.clone().all(near) {
            let pairs = taps.count / 2;
            let place = |at: usize, byte: usize| {
                let own = byte / 4;
                (2 * (start(at + own) - start(at + own / 4 * 4)) + byte % 4) as u8
            };
            let coefficients = |at: usize| {
                (0..pairs).map(move |pair| std::array::from_fn(|own| tap(at + own / 2, 2 * pair + own % 2)))
            };
            Way::Shuffle {
                starts: groups.clone().map(|at| [start(at), start(at + 4)]).collect(),
                masks: groups
                    .clone()
                    .map(|at| std::array::from_fn(|byte| place(at, byte)))
                    .collect(),
                coefficients: groups.flat_map(coefficients).collect(),
                pairs,
            }
        } else {
            let eights = taps.count / 8;
            let coefficients = |at: usize| {
                let each = move |part: usize| {
                    let (eight, low) = (part / 4, part % 4);
                    std::array::from_fn(|own| tap(at + low + own / 8 * 4, 8 * eight + own % 8))
                };
                (0..4 * eights).map(each)
            };
            Way::Dot {
                starts: groups
                    .clone()
                    .map(|at| std::array::from_fn(|own| start(at + own)))
                    .collect(),
                coefficients: groups.flat_map(coefficients).collect(),
                eights,
            }
        };
        Self {
            able,
            way,
            reach: start(width - 1) + taps.count + READS_ON,
            width,
        }
    }

    pub(super) fn able(&self) -> Able {
        self.able
    }

    /// See [`portable::horizontal`].
    pub(super) fn pass(&self, depth: Depth, row: &[i16], line: &mut [u8]) {
        let there = row.len() >= self.reach && line.len() == self.width * depth.bytes();
        assert!(there, "the row and the line were made for this table");
        // SAFETY: the processor has AVX2 (`Able`), and the row goes READS_ON samples beyond the last tap.
        unsafe {
            match &self.way {
                Way::Halve { start, coefficients } => halve(depth, &row[*start..], coefficients, line),
                Way::Shuffle {
                    starts,
                    masks,
                    coefficients,
                    pairs,
                } => {
                    shuffle(depth, row, (starts, masks, coefficients), *pairs, line);
                }
                Way::Dot {
                    starts,
                    coefficients,
                    eights,
                } => dot(depth, row, (starts, coefficients), *eights, line),
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
/// Each of the starts, with `pairs` times two taps, is in the row, which goes on for [`READS_ON`].
#[target_feature(enable = "avx2")]
unsafe fn shuffle(
    depth: Depth,
    row: &[i16],
    (starts, masks, coefficients): (&[[usize; 2]], &[[u8; 32]], &[[i16; 16]]),
    pairs: usize,
    line: &mut [u8],
) {
    let (start, shift) = second_pass(depth);
    let shift = _mm_cvtsi32_si128(shift as i32);
    let tables = starts.iter().zip(masks).zip(coefficients.chunks_exact(pairs));
    for (((starts, mask), coefficients), out) in tables.zip(line.chunks_mut(8 * depth.bytes())) {
        let mut sum = _mm256_set1_epi32(start);
        // SAFETY: a mask is 32 bytes. Eight samples are read at a tap, of which six may be behind the last one.
        unsafe {
            let mask = _mm256_loadu_si256(mask.as_ptr().cast());
            for (pair, by) in coefficients.iter().enumerate() {
                let from = starts.map(|start| _mm_loadu_si128(row.as_ptr().add(start + 2 * pair).cast()));
                let taps = _mm256_shuffle_epi8(_mm256_set_m128i(from[1], from[0]), mask);
                let product = _mm256_madd_epi16(taps, _mm256_loadu_si256(by.as_ptr().cast()));
                sum = _mm256_add_epi32(sum, product);
            }
        }
        put(depth, _mm256_sra_epi32(sum, shift), out);
    }
}

/// # Safety
/// Each of the starts, with `eights` times eight taps, is in the row.
#[target_feature(enable = "avx2")]
unsafe fn dot(
    depth: Depth,
    row: &[i16],
    (starts, coefficients): (&[[usize; 8]], &[[i16; 16]]),
    eights: usize,
    line: &mut [u8],
) {
    let (start, shift) = second_pass(depth);
    let (start, shift) = (_mm256_set1_epi32(start), _mm_cvtsi32_si128(shift as i32));
    let tables = starts.iter().zip(coefficients.chunks_exact(4 * eights));
    for ((starts, coefficients), out) in tables.zip(line.chunks_mut(8 * depth.bytes())) {
        let mut sums = [_mm256_setzero_si256(); 4];
        for (eight, each) in coefficients.chunks_exact(4).enumerate() {
            for low in 0..4 {
                // SAFETY: eight taps are there, and sixteen coefficients.
                unsafe {
                    let from = [starts[low], starts[low + 4]]
                        .map(|start| _mm_loadu_si128(row.as_ptr().add(start + 8 * eight).cast()));
                    let taps = _mm256_set_m128i(from[1], from[0]);
                    let product = _mm256_madd_epi16(taps, _mm256_loadu_si256(each[low].as_ptr().cast()));
                    sums[low] = _mm256_add_epi32(sums[low], product);
                }
            }
        }
        let [a, b, c, d] = sums;
        let sum = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        put(depth, _mm256_sra_epi32(_mm256_add_epi32(sum, start), shift), out);
    }
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
