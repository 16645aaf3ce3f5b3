//! Products of float rows with packed int8 weights.
//!
//! Sums are int32 and exact: `Σ (code - zero) * weight = Σ code * weight - zero * Σ weight`. A result is
//! `sum * (row's scale * column's scale) + bias`, then perhaps gelu.

use std::ops::Range;

use crate::InstructionSet;
use crate::gelu::gelu;
use crate::lanes::{Kernel, LANES, Lanes, Panel, call_block, even_parts};
use crate::output::Output;
use crate::packed::{Error, Packed};
use crate::quantize::Quantized;

/// What becomes of a product's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    /// `x * Φ(x)`, with the error function, within 1e-6.
    Gelu,
}

/// A product with constant weights, used where they are.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    packed: Packed<'a>,
    set: InstructionSet,
}

impl<'a> Product<'a> {
    /// `packed` is what [`crate::pack`] gave, at a multiple of 64 bytes. Panics later if this machine lacks `set`.
    pub fn new(packed: &'a [u8], set: InstructionSet) -> Result<Self, Error> {
        Ok(Self { packed: Packed::read(packed)?, set })
    }

    /// How many channels a row of x has.
    pub fn inner(&self) -> usize {
        self.packed.shape.inner
    }

    /// How many channels a row of the result has.
    pub fn columns(&self) -> usize {
        self.packed.shape.columns
    }

    /// `activation(x @ weights + bias)`: `rows * inner` floats to `rows * columns`. Panics on another number of either.
    pub fn run(&self, x: &[f32], rows: usize, out: &mut [f32], activation: Activation) {
        let mut quantized = Quantized::default();
        self.quantize(x, rows, &mut quantized);
        self.multiply(&quantized, activation, Output::new(out, rows, self.columns()));
    }

    /// The first half of [`Product::run`]: `rows * inner` floats become codes. Panics on another number.
    pub fn quantize(&self, x: &[f32], rows: usize, to: &mut Quantized) {
        to.fill(self.set, x, rows, self.packed.input_scale);
    }

    /// The second half: all rows, and the columns of `out`, which may be a part of the result (from a multiple of 16
    /// on, to such a multiple or to the end). Panics if rows or columns do not fit.
    pub fn multiply(&self, x: &Quantized, activation: Activation, out: Output<'_>) {
        assert!(x.inner == self.inner() && x.set == Some(self.set), "rows were quantized for another product");
        assert_eq!(x.rows(), out.rows(), "a product has as many rows as its input");
        let Range { start, end } = out.columns();
        assert!(
            end <= self.columns()
                && start.is_multiple_of(LANES)
                && (end.is_multiple_of(LANES) || end == self.columns()),
            "columns {start} to {end} of {} do not begin and end at multiples of {LANES}",
            self.columns()
        );
        self.set.call(Multiply { packed: &self.packed, x, activation, out });
    }
}

struct Multiply<'a, 'o> {
    packed: &'a Packed<'a>,
    x: &'a Quantized,
    activation: Activation,
    out: Output<'o>,
}

impl Kernel for Multiply<'_, '_> {
    type Result = ();

    /// Panels outside, so that a panel's codes stay in the nearest cache for all rows.
    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let columns = self.out.columns();
        let panels = columns.start / LANES..columns.end.div_ceil(LANES);
        let (most_rows, most_panels) = L::BLOCK;
        let mut panel = panels.start;
        while panel < panels.end {
            let wide = most_panels.min(panels.end - panel);
            for (row, rows) in even_parts(self.x.rows(), most_rows) {
                call_block!(l, rows, wide, Block(&mut self, panel, row));
            }
            panel += wide;
        }
    }
}

/// `ROWS` rows by `PANELS` panels, from a panel and a row on.
struct Block<'w, 'a, 'o, const ROWS: usize, const PANELS: usize>(&'w mut Multiply<'a, 'o>, usize, usize);

impl<const ROWS: usize, const PANELS: usize> Kernel for Block<'_, '_, '_, ROWS, PANELS> {
    type Result = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        if const { ROWS > L::BLOCK.0 || PANELS > L::BLOCK.1 } {
            return; // never called, so not compiled
        }
        let Self(Multiply { packed, x, activation, out }, panel, row) = self;
        let panels: [Panel<'_>; PANELS] = std::array::from_fn(|index| packed.panel(panel + index));
        let scales: &[(f32, i32); ROWS] = x.scales[row..].first_chunk().expect("as many rows");
        let mut sums = [[l.scaled_sums(&packed.sums[panel], 0); PANELS]; ROWS];
        for p in 0..PANELS {
            for r in 0..ROWS {
                sums[r][p] = l.scaled_sums(&packed.sums[panel + p], L::OFFSET - scales[r].1);
            }
        }
        let sums = l.multiply(x.rows_from(row), &panels, sums);
        let mut values = [[l.splat(0.0); PANELS]; ROWS];
        for p in 0..PANELS {
            let (scale, bias) = (l.load(&packed.scales[panel + p]), l.load(&packed.bias[panel + p]));
            for r in 0..ROWS {
                values[r][p] = l.fma(l.sums_to_floats(sums[r][p]), l.mul(scale, l.splat(scales[r].0)), bias);
            }
        }
        if *activation == Activation::Gelu {
            // Four at once: one alone waits for each of its own operations.
            let (fours, rest) = values.as_flattened_mut().as_chunks_mut::<4>();
            for four in fours {
                gelu(l, four);
            }
            for one in rest.as_chunks_mut::<1>().0 {
                gelu(l, one);
            }
        }
        let columns = panel * LANES..((panel + PANELS) * LANES).min(out.columns().end);
        for (values, to) in values.iter().zip(out.part(row..row + ROWS, columns)) {
            for p in 0..PANELS {
                l.store_nth(values[p], to, p);
            }
        }
    }
}
