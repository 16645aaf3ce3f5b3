//! Two products with gelu between them, in stripes of rows.
//!
//! What is between them is four times as wide as a row: 1.9 MB for 300 tokens of bge-small, more than a core's own
//! cache. In stripes it stays there.

use crate::lanes::even_parts;
use crate::output::Output;
use crate::product::{Activation, Product};
use crate::quantize::Quantized;

/// Rows of a stripe, at most: four blocks of AVX512. Their inner rows are 350 kB in bge-small, a third of Zen 4's L2.
const STRIPE: usize = 56;

/// The two products' memory: rows as codes, and what is between. One that is used again keeps it.
#[derive(Default)]
pub struct FeedForward {
    pub quantized: Quantized,
    pub between: Vec<f32>,
}

impl FeedForward {
    /// `down(gelu(up(x)))`: `rows` rows of `up.inner()` floats to rows of `down.columns()`. Panics on other sizes.
    pub fn run(&mut self, up: &Product<'_>, down: &Product<'_>, x: &[f32], rows: usize, out: &mut [f32]) {
        let (outer, inner, columns) = (up.inner(), down.inner(), down.columns());
        assert_eq!(up.columns(), inner, "the second product takes what the first gives");
        assert!(x.len() == rows * outer && out.len() == rows * columns, "rows have {outer} and {columns} channels");
        let Self { quantized, between } = self;
        between.resize(between.len().max(rows.min(STRIPE) * inner), 0.0);
        for (first, count) in even_parts(rows, STRIPE) {
            let between = &mut between[..count * inner];
            up.quantize(&x[first * outer..][..count * outer], count, quantized);
            up.multiply(quantized, Activation::Gelu, Output::new(between, count, inner));
            down.quantize(between, count, quantized);
            let out = &mut out[first * columns..][..count * columns];
            down.multiply(quantized, Activation::None, Output::new(out, count, columns));
        }
    }
}
