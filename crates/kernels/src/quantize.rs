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
    /// For each row, what a code is worth, and the code of 0.
    pub(crate) scales: Vec<(f32, i32)>,
    /// How many channels a row has.
    pub(crate) inner: usize,
}

impl Quantized {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// The codes from row `first` on.
    #[inline(always)]
    pub(crate) fn rows_from(&self, first: usize) -> Rows<'_> {
        Rows { codes: &self.codes[first * CHUNK..], chunk_stride: self.rows() * CHUNK }
    }

    /// Takes over the rows of `x`, times the input scale.
    pub(crate) fn fill(&mut self, set: InstructionSet, x: &[f32], rows: usize, scale: &[f32]) {
        let inner = scale.len();
        assert_eq!(x.len(), rows * inner, "{rows} rows of {inner} channels have as many values");
        (self.set, self.inner) = (Some(set), inner);
        // Never shorter: products of different sizes may take turns.
        self.codes.resize(self.codes.len().max(inner.div_ceil(CHUNK) * rows * CHUNK), 0);
        self.scales.resize(rows, (0.0, 0));
        set.call(Quantize { x, scale, to: self });
    }
}

struct Quantize<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    to: &'a mut Quantized,
}

impl Kernel for Quantize<'_> {
    type Result = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Self { x, scale, to } = self;
        let (rows, blocks) = (to.rows(), scale.len().div_ceil(LANES));
        for (row, x) in x.chunks_exact(scale.len()).enumerate() {
            let (mut least, mut most) = (l.splat(0.0), l.splat(0.0));
            for block in 0..blocks {
                let x = l.mul(l.load_nth(x, block), l.load_nth(scale, block));
                least = l.min(x, least);
                most = l.max(x, most);
            }
            let (least, most) = (l.smallest(least), l.greatest(most));
            // A row of zeros has some scale too.
            let range = (most - least).max(1e-12);
            let factor = 255.0 / range;
            let zero = (-least * factor).round_ties_even() as i32;
            to.scales[row] = (range / 255.0, zero);
            for chunk in 0..blocks.div_ceil(CHUNK / LANES) {
                let line = to.codes[(chunk * rows + row) * CHUNK..][..CHUNK].as_chunks_mut().0;
                for (block, codes) in (chunk * CHUNK / LANES..blocks).zip(line) {
                    let x = l.mul(l.load_nth(x, block), l.load_nth(scale, block));
                    l.to_codes(l.mul(x, l.splat(factor)), zero, codes);
                }
            }
        }
    }
}
