//! Rows as uint8 codes, with one scale and zero point for each row.

use crate::lanes::{CHUNK, Kernel, LANES, Lanes, Rows};

/// Quantized rows. One that is used again keeps its memory.
#[derive(Default)]
pub struct Quantized {
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

    #[inline(always)]
    pub(crate) fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }

    #[inline(always)]
    pub(crate) fn zero(&self, row: usize) -> i32 {
        self.zeros[row]
    }

    /// Takes over the rows of `x`, times the input scale if there is one.
    pub(crate) fn fill(
        &mut self,
        set: crate::InstructionSet,
        x: &[f32],
        rows: usize,
        inner: usize,
        scale: Option<&[f32]>,
    ) {
        assert_eq!(x.len(), rows * inner, "{rows} rows of {inner} channels have as many values");
        self.inner = inner;
        self.codes.resize(inner.div_ceil(CHUNK) * rows * CHUNK, 0);
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
            Some(scale) => rows(l, self.x, self.to, |at, x| l.mul(x, l.load_part(&scale[at..], 0.0))),
            None => rows(l, self.x, self.to, |_, x| x),
        }
    }
}

/// `scaled` gets a channel and the 16 values from there on.
#[inline(always)]
fn rows<L: Lanes>(l: L, x: &[f32], to: &mut Quantized, scaled: impl Fn(usize, L::Floats) -> L::Floats) {
    let rows = to.rows();
    for (row, x) in x.chunks_exact(to.inner).enumerate() {
        let (mut least, mut most) = (l.splat(0.0), l.splat(0.0));
        for (index, x) in x.chunks(LANES).enumerate() {
            let x = scaled(index * LANES, l.load_part(x, 0.0));
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
        for (index, x) in x.chunks(LANES).enumerate() {
            let x = scaled(index * LANES, l.load_part(x, 0.0));
            let (chunk, at) = (index * LANES / CHUNK, index * LANES % CHUNK);
            let codes = to.codes[(chunk * rows + row) * CHUNK + at..].first_chunk_mut().expect("a chunk is whole");
            l.to_codes(l.mul(x, factor), zero, codes);
        }
    }
}
