//! One plane, line by line.

use super::{
    Depth, portable,
    taps::{Axis, Taps},
};

#[cfg(target_arch = "x86_64")]
use super::avx2;

/// A plane does not have the lines that it was said to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a plane has {has} bytes, and {needs} are needed")]
pub(crate) struct Short {
    has: usize,
    needs: usize,
}

/// What a line of a plane is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samples {
    /// Samples of one kind.
    Single,
    /// Samples of two kinds that take turns.
    Paired,
}

impl Samples {
    fn kinds(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Paired => 2,
        }
    }
}

/// Scales planes of one size and kind.
#[derive(Debug)]
pub(super) struct PlaneScaler {
    depth: Depth,
    samples: Samples,
    x: Axis,
    y: Axis,
    vertical: Taps,
    horizontal: Horizontal,
    /// Samples that are put before a line and behind it.
    overhang: (usize, usize),
    /// A line between the passes.
    mixed: Vec<i16>,
    /// A line of each kind of samples, with what hangs over.
    rows: Vec<Vec<i16>>,
    /// A line of each kind behind the second pass.
    scaled: [Vec<u8>; 2],
    /// Where the lines of the vertical taps are.
    lines: Vec<usize>,
}

/// The second pass, prepared for what the processor can do.
#[derive(Debug)]
enum Horizontal {
    Portable(Taps),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Horizontal),
}

impl PlaneScaler {
    pub(super) fn new(depth: Depth, samples: Samples, x: Axis, y: Axis) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(able) = avx2::Able::here() {
            let taps = Taps::new(x, avx2::Horizontal::multiple(x.step));
            let overhang = taps.overhang(x.from);
            let horizontal = Horizontal::Avx2(avx2::Horizontal::new(able, depth, &taps, overhang.0));
            return Self::with(depth, samples, x, y, horizontal, overhang);
        }
        Self::portable(depth, samples, x, y)
    }

    /// Without what only some processors have.
    pub(super) fn portable(depth: Depth, samples: Samples, x: Axis, y: Axis) -> Self {
        let taps = Taps::new(x, 1);
        let overhang = taps.overhang(x.from);
        Self::with(depth, samples, x, y, Horizontal::Portable(taps), overhang)
    }

    fn with(
        depth: Depth,
        samples: Samples,
        x: Axis,
        y: Axis,
        horizontal: Horizontal,
        (before, behind): (usize, usize),
    ) -> Self {
        let width = before + x.from + behind;
        // Fast passes read on behind the last tap, with coefficients of zero.
        #[cfg(target_arch = "x86_64")]
        let width = width + avx2::READS_ON;
        Self {
            depth,
            samples,
            x,
            y,
            vertical: Taps::new(y, 2),
            horizontal,
            overhang: (before, behind),
            mixed: vec![0; x.from * samples.kinds()],
            rows: vec![vec![0; width]; samples.kinds()],
            scaled: [vec![0; x.to * depth.bytes()], vec![0; x.to * depth.bytes()]],
            lines: Vec::new(),
        }
    }

    /// Scales the plane `source`, whose lines begin `source_stride` bytes apart, into `target`.
    pub(super) fn scale(
        &mut self,
        source: &[u8],
        source_stride: usize,
        target: &mut [u8],
        target_stride: usize,
    ) -> Result<(), Short> {
        let sample = self.samples.kinds() * self.depth.bytes();
        let (from_width, to_width) = (self.x.from * sample, self.x.to * sample);
        enough(source.len(), source_stride, from_width, self.y.from)?;
        enough(target.len(), target_stride, to_width, self.y.to)?;
        for at in 0..self.y.to {
            self.first_pass(source, source_stride, at);
            let line = &mut target[at * target_stride..][..to_width];
            match self.samples {
                Samples::Single => self.horizontal.pass(self.depth, &self.rows[0], self.overhang.0, line),
                Samples::Paired => self.interleave(line),
            }
        }
        Ok(())
    }

    /// Puts line `at` together, and what hangs over on both sides.
    fn first_pass(&mut self, source: &[u8], stride: usize, at: usize) {
        let start = self.vertical.starts[at];
        let last = self.y.from as isize - 1;
        let taps = start..start + self.vertical.count as isize;
        self.lines.clear();
        self.lines
            .extend(taps.map(|line| line.clamp(0, last) as usize * stride));
        let coefficients = self.vertical.of(at);
        let (before, width) = (self.overhang.0, self.x.from);
        match self.rows.as_mut_slice() {
            [first, second] => {
                self.horizontal
                    .first(self.depth, source, &self.lines, coefficients, &mut self.mixed);
                let kinds = first[before..].iter_mut().zip(&mut second[before..]);
                for ((first, second), pair) in kinds.zip(self.mixed.as_chunks::<2>().0) {
                    [*first, *second] = *pair;
                }
            }
            rows => {
                let row = &mut rows[0][before..before + width];
                self.horizontal
                    .first(self.depth, source, &self.lines, coefficients, row);
            }
        }
        for row in &mut self.rows {
            let (left, right) = (row[before], row[before + width - 1]);
            row[..before].fill(left);
            row[before + width..].fill(right);
        }
    }

    /// The second pass for each kind, and then both in turn. Only samples of a byte come like this.
    fn interleave(&mut self, line: &mut [u8]) {
        for (row, scaled) in self.rows.iter().zip(&mut self.scaled) {
            self.horizontal.pass(self.depth, row, self.overhang.0, scaled);
        }
        let [first, second] = &self.scaled;
        for ((pair, first), second) in line.as_chunks_mut::<2>().0.iter_mut().zip(first).zip(second) {
            *pair = [*first, *second];
        }
    }
}

impl Horizontal {
    /// The first pass has no table of its own, but the same processor.
    fn first(&self, depth: Depth, source: &[u8], lines: &[usize], coefficients: &[i16], row: &mut [i16]) {
        match self {
            Self::Portable(_) => portable::vertical(depth, source, lines, coefficients, row),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(horizontal) => avx2::vertical(horizontal.able(), depth, source, lines, coefficients, row),
        }
    }

    fn pass(&self, depth: Depth, row: &[i16], before: usize, line: &mut [u8]) {
        match self {
            Self::Portable(taps) => {
                let starts = taps
                    .starts
                    .iter()
                    .map(|start| start.saturating_add_unsigned(before) as usize);
                let each = starts.zip(taps.coefficients.chunks_exact(taps.count));
                portable::horizontal(depth, row, each, line);
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(horizontal) => horizontal.pass(row, line),
        }
    }
}

/// Whether `height` lines of `width` bytes are there.
fn enough(has: usize, stride: usize, width: usize, height: usize) -> Result<(), Short> {
    let needs = height.saturating_sub(1).saturating_mul(stride).saturating_add(width);
    if has < needs || stride < width {
        return Err(Short { has, needs });
    }
    Ok(())
}
