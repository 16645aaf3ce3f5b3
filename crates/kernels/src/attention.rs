//! Attention of one text: `softmax(q k^T / sqrt(head size)) v`, head by head, in float32.
//!
//! A head's keys are turned into panels of 16 keys, so scores are computed as products are: blocks of rows by lanes,
//! one channel after another. The softmax takes off its maximum: real scores reach 114, and `e^114` is no float32.

use crate::InstructionSet;
use crate::lanes::{Kernel, LANES, Lanes, call_block, even_parts};
use crate::output::Output;

/// The most channels of a head.
pub const MOST_HEAD: usize = 128;

/// Keys of a chunk of scores: rows of a block lie this far apart, as constants again.
const CHUNK: usize = 128;

/// Exponents below this are taken for this: 2^-120 is nothing beside the maximum's 1.
const LEAST_EXPONENT: f32 = -120.0;

/// Attention of a text's first rows, as many as `out` has, over all its rows. A row of `qkv` is a query, a key and a
/// value of `hidden` floats each, with heads of `head_size` channels side by side. Writes the heads whose columns `out`
/// holds.
///
/// Panics on sizes that do not fit, on a part of a head, and on a head of more than 128 channels.
pub fn attention(set: InstructionSet, qkv: &[f32], hidden: usize, head_size: usize, out: Output<'_>) {
    assert!((1..=MOST_HEAD).contains(&head_size), "a head has 1 to {MOST_HEAD} channels, not {head_size}");
    assert!(hidden > 0 && !qkv.is_empty() && qkv.len().is_multiple_of(3 * hidden), "rows have 3 * {hidden} values");
    assert!(out.rows() <= qkv.len() / (3 * hidden), "no more rows ask than there are");
    let columns = out.columns();
    assert!(
        columns.start.is_multiple_of(head_size) && columns.end.is_multiple_of(head_size) && columns.end <= hidden,
        "columns {columns:?} are no whole heads of {head_size} within {hidden}"
    );
    set.call(Attention { qkv, hidden, head_size, out });
}

struct Attention<'a> {
    qkv: &'a [f32],
    hidden: usize,
    head_size: usize,
    out: Output<'a>,
}

impl Kernel for Attention<'_> {
    type Result = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (most_rows, most_panels) = L::FLOAT_BLOCK;
        let (size, keys, queries) = (self.head_size, self.qkv.len() / (3 * self.hidden), self.out.rows());
        let mut head = Head {
            keys: vec![[0.0; LANES]; keys.div_ceil(LANES) * size],
            values: vec![[0.0; LANES]; keys * size.div_ceil(LANES)],
            queries: vec![[0.0; MOST_HEAD]; most_rows],
            scores: vec![[0.0; CHUNK]; keys.div_ceil(CHUNK) * most_rows],
            count: keys,
            size,
            first_column: 0,
            first_row: 0,
            out: self.out,
        };
        for column in head.out.columns().step_by(size) {
            let channels = |row: usize, part: usize| &self.qkv[(3 * row + part) * self.hidden + column..][..size];
            head.first_column = column;
            for row in 0..keys {
                head.take(l, row, channels(row, 1), channels(row, 2));
            }
            for (first, rows) in even_parts(queries, most_rows) {
                for row in 0..rows {
                    head.queries[row][..size].copy_from_slice(channels(first + row, 0));
                }
                head.first_row = first;
                call_block!(l, rows, most_panels, Block(&mut head));
            }
        }
    }
}

/// One head, laid out for blocks.
struct Head<'a> {
    /// Panels of 16 keys: for each channel a line.
    keys: Vec<[f32; LANES]>,
    /// Groups of 16 channels: in a group a line for each key.
    values: Vec<[f32; LANES]>,
    /// The block's queries.
    queries: Vec<[f32; MOST_HEAD]>,
    /// The block's scores: chunks of keys; in a chunk a line for each row.
    scores: Vec<[f32; CHUNK]>,
    /// How many keys there are.
    count: usize,
    /// Channels of the head.
    size: usize,
    /// The head's first column in the result.
    first_column: usize,
    /// The block's first row in the result.
    first_row: usize,
    out: Output<'a>,
}

impl Head<'_> {
    #[inline(always)]
    fn take<L: Lanes>(&mut self, l: L, row: usize, key: &[f32], value: &[f32]) {
        let panel = self.keys[row / LANES * self.size..][..self.size].as_flattened_mut();
        for (to, &channel) in panel[row % LANES..].iter_mut().step_by(LANES).zip(key) {
            *to = channel;
        }
        for (group, channels) in value.chunks(LANES).enumerate() {
            l.store(l.load_part(channels, 0.0), &mut self.values[group * self.count + row]);
        }
    }
}

/// `ROWS` queries of a head, `PANELS` registers of 16 wide.
struct Block<'h, 'a, const ROWS: usize, const PANELS: usize>(&'h mut Head<'a>);

impl<const ROWS: usize, const PANELS: usize> Kernel for Block<'_, '_, ROWS, PANELS> {
    type Result = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        if const { ROWS > L::FLOAT_BLOCK.0 || PANELS > L::FLOAT_BLOCK.1 } {
            return; // never called, so not compiled
        }
        let head = self.0;
        let panels = head.count.div_ceil(LANES);
        for panel in (0..panels).step_by(PANELS) {
            match panel + PANELS <= panels {
                true => scores::<L, ROWS, PANELS>(l, head, panel),
                false => scores::<L, ROWS, 1>(l, head, panel),
            }
        }
        let mut factors = [0.0; ROWS];
        for (row, factor) in factors.iter_mut().enumerate() {
            *factor = softmax(l, &mut head.scores[row..], ROWS, head.count);
        }
        let groups = head.size.div_ceil(LANES);
        for group in (0..groups).step_by(PANELS) {
            match group + PANELS <= groups {
                true => weighted_values::<L, ROWS, PANELS>(l, head, group, &factors),
                false => weighted_values::<L, ROWS, 1>(l, head, group, &factors),
            }
        }
    }
}

/// Scores of the block's queries and some panels of keys, in powers of 2: `q k * log2(e) / sqrt(size)`.
#[inline(always)]
fn scores<L: Lanes, const ROWS: usize, const PANELS: usize>(l: L, head: &mut Head<'_>, panel: usize) {
    let size = head.size.min(MOST_HEAD);
    let keys: [&[[f32; LANES]]; PANELS] = std::array::from_fn(|p| &head.keys[(panel + p) * size..][..size]);
    let queries: &[[f32; MOST_HEAD]; ROWS] = head.queries.first_chunk().expect("the block's queries");
    let mut sums = [[l.splat(0.0); PANELS]; ROWS];
    for channel in 0..size {
        for row in 0..ROWS {
            let query = l.splat(queries[row][channel]);
            for panel in 0..PANELS {
                sums[row][panel] = l.fma(query, l.load(&keys[panel][channel]), sums[row][panel]);
            }
        }
    }
    let scale = l.splat(std::f32::consts::LOG2_E / (size as f32).sqrt());
    let (chunk, at) = (panel * LANES / CHUNK, panel * LANES % CHUNK);
    for (scores, sums) in head.scores[chunk * ROWS..][..ROWS].iter_mut().zip(sums) {
        for (to, sum) in scores[at..].as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
            l.store(l.mul(sum, scale), to);
        }
    }
}

/// Turns a row of scores, a line of every `stride`, into powers of two of their distance to the greatest. Gives what
/// these have to be multiplied by to add up to 1.
#[inline(always)]
fn softmax<L: Lanes>(l: L, lines: &mut [[f32; CHUNK]], stride: usize, count: usize) -> f32 {
    let mut greatest = l.splat(f32::MIN);
    let mut left = count;
    for line in lines.iter().step_by(stride) {
        for scores in line[..left.min(CHUNK)].chunks(LANES) {
            greatest = l.max(l.load_part(scores, f32::MIN), greatest);
        }
        left = left.saturating_sub(CHUNK);
    }
    let greatest = l.splat(l.greatest(greatest));
    let mut sums = [l.splat(0.0); 2];
    let mut left = count;
    for line in lines.iter_mut().step_by(stride) {
        for (index, scores) in line[..left.min(CHUNK)].chunks_mut(LANES).enumerate() {
            let distance = l.sub(l.load_part(scores, f32::MIN), greatest);
            let power = power_of_two(l, l.max(distance, l.splat(LEAST_EXPONENT)));
            sums[index % 2] = l.add(sums[index % 2], power);
            l.store_part(power, scores);
        }
        left = left.saturating_sub(CHUNK);
    }
    1.0 / l.sum(l.add(sums[0], sums[1]))
}

/// `2^x` for x from -126 to 126, within 3e-7 of the value: `2^n * 2^r` with n the nearest integer, and for `2^r` the
/// polynomial with the smallest largest error.
#[inline(always)]
fn power_of_two<L: Lanes>(l: L, x: L::Floats) -> L::Floats {
    // Added to a small number this leaves no bits for a fraction: the sum's lowest bits count whole numbers.
    let shift = l.splat(12_582_912.0);
    let shifted = l.add(x, shift);
    let r = l.sub(x, l.sub(shifted, shift));
    let mut p = l.splat(1.327_647_1e-3);
    for coefficient in [9.675_541e-3, 0.055_507_13, 0.240_221_2, 0.693_146_94, 1.000_000_1] {
        p = l.fma(p, r, l.splat(coefficient));
    }
    l.scale_by_power(p, shifted)
}

/// The values weighted by the block's scores, some groups of 16 channels.
#[inline(always)]
fn weighted_values<L: Lanes, const ROWS: usize, const PANELS: usize>(
    l: L,
    head: &mut Head<'_>,
    group: usize,
    factors: &[f32; ROWS],
) {
    let mut sums = [[l.splat(0.0); PANELS]; ROWS];
    for first in (0..head.count).step_by(CHUNK) {
        let count = CHUNK.min(head.count - first);
        let values: [&[[f32; LANES]]; PANELS] =
            std::array::from_fn(|part| &head.values[(group + part) * head.count + first..][..count]);
        let scores: &[[f32; CHUNK]; ROWS] =
            head.scores[first / CHUNK * ROWS..].first_chunk().expect("a line for each row");
        for key in 0..count {
            for row in 0..ROWS {
                let score = l.splat(scores[row][key]);
                for part in 0..PANELS {
                    sums[row][part] = l.fma(score, l.load(&values[part][key]), sums[row][part]);
                }
            }
        }
    }
    let first = head.first_column + group * LANES;
    let columns = first..(first + PANELS * LANES).min(head.first_column + head.size);
    for ((sums, &factor), to) in
        sums.iter().zip(factors).zip(head.out.part(head.first_row..head.first_row + ROWS, columns))
    {
        for (part, &sum) in sums.iter().enumerate() {
            l.store_nth(l.mul(sum, l.splat(factor)), to, part);
        }
    }
}
