//! Rows as uint8 codes, with one scale and zero point for each row.

use crate::InstructionSet;
use crate::lanes::{CHUNK, Kernel, LANES, Lanes, Rows};

/// Quantized rows. One that is used again keeps its memory.
#[derive(Default)]
pub struct Quantized {
    /// Whose codes they are; some sets keep them in another form.
    pub(crate) set: Option<InstructionSet>,
    /// Chunks of 512 inner channels; in a chunk 512 bytes for each row. What is beyond the last channel is arbitrary.
    codes: Vec<u8>,
    /// For each row, what a code is worth.
    scales: Vec<f32>,
    /// For each row, the code of 0.
    zeros: Vec<i32>,
    inner: usize,
}

impl Quantized {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// How many channels a row has.
    pub fn inner(&self) -> usize {
        self.inner
    }

    #[inline(always)]
    pub(crate) fn codes_from(&self, first: usize) -> Rows<'_> {
        Rows::new(&self.codes, self.rows(), first)
    }

    /// For some rows, what a code is worth and the code of 0.
    #[inline(always)]
    pub(crate) fn scales_and_zeros<const ROWS: usize>(&self, first: usize) -> (&[f32; ROWS], &[i32; ROWS]) {
        let scales = self.scales[first..].first_chunk().expect("as many rows");
        (scales, self.zeros[first..].first_chunk().expect("as many rows"))
    }

    /// Takes over the rows of `x`, times the input scale if there is one.
    pub(crate) fn fill(&mut self, set: InstructionSet, x: &[f32], rows: usize, inner: usize, scale: Option<&[f32]>) {
        assert_eq!(x.len(), rows * inner, "{rows} rows of {inner} channels have as many values");
        (self.set, self.inner) = (Some(set), inner);
        // Never shorter: products of different sizes may take turns.
        self.codes.resize(self.codes.len().max(inner.div_ceil(CHUNK) * rows * CHUNK), 0);
        self.scales.resize(rows, 0.0);
        self.zeros.resize(rows, 0);
        set.call(Quantize { x, scale, to: self });
    }
}

struct Quantize<'a> {
    x: &'a [f32],
    scale: Option<&'a [f32]>,
    to: &'a mut Quantized,
}

impl Kernel for Quantize<'_> {
    type Result = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        match self.scale {
            Some(scale) => rows::<L, true>(l, self.x, scale, self.to),
            None => rows::<L, false>(l, self.x, &[], self.to),
        }
    }
}

/// The `index`-th 16 channels or the rest of them, times their scales if there are any.
#[inline(always)]
fn channels<L: Lanes, const SCALED: bool>(l: L, x: &[f32], scale: &[f32], index: usize) -> L::Floats {
    let value = l.load_nth(x, index);
    if SCALED { l.mul(value, l.load_nth(scale, index)) } else { value }
}

#[inline(always)]
fn rows<L: Lanes, const SCALED: bool>(l: L, x: &[f32], scale: &[f32], to: &mut Quantized) {
    let rows = to.rows();
    for (row, x) in x.chunks_exact(to.inner).enumerate() {
        let (mut least, mut most) = (l.splat(0.0), l.splat(0.0));
        for index in 0..x.len().div_ceil(LANES) {
            let x = channels::<L, SCALED>(l, x, scale, index);
            least = l.min(x, least);
            most = l.max(x, most);
        }
        let (least, most) = (l.smallest(least), l.greatest(most));
        // A row of zeros has some scale too.
        let range = (most - least).max(1e-12);
        let factor = 255.0 / range;
        let zero = (-least * factor).round_ties_even() as i32;
        (to.scales[row], to.zeros[row]) = (range / 255.0, zero);
        let factor = l.splat(factor);
        for chunk in 0..x.len().div_ceil(CHUNK) {
            let line = to.codes[(chunk * rows + row) * CHUNK..][..CHUNK].as_chunks_mut().0;
            for (at, codes) in line.iter_mut().enumerate().take(x.len().div_ceil(LANES) - chunk * CHUNK / LANES) {
                let x = channels::<L, SCALED>(l, x, scale, chunk * CHUNK / LANES + at);
                l.to_codes(l.mul(x, factor), zero, codes);
            }
        }
    }
}
