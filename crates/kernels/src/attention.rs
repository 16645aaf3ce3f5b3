//! Attention of one text: `softmax(q k^T / sqrt(head size)) v`, head by head, in float32.
//!
//! A head's keys are turned into panels of 16 keys, so scores are computed as products are: blocks of rows by lanes,
//! one channel after another. The softmax takes off its maximum: real scores reach 114, and `e^114` is no float32.

use crate::InstructionSet;
use crate::lanes::{Kernel, LANES, Lanes};
use crate::matrix::{Matrix, Output};

/// The most channels of a head.
const MOST_HEAD: usize = 128;

/// Keys of a chunk of scores: rows of a block lie this far apart, as constants again.
const CHUNK: usize = 128;

/// Exponents below this are taken for this: 2^-120 is nothing beside the maximum's 1.
const LEAST_EXPONENT: f32 = -120.0;

/// Attention of all queries over all keys: `query` is n x hidden, `key` and `value` are m x hidden, all with the same
/// heads of `head_size` channels side by side. Writes the heads that `out` holds the columns of, n rows.
///
/// Panics on sizes that do not fit, on a part of a head, and on a head of more than 128 channels.
pub fn attention(
    set: InstructionSet,
    query: Matrix<'_>,
    key: Matrix<'_>,
    value: Matrix<'_>,
    head_size: usize,
    out: Output<'_>,
) {
    assert!((1..=MOST_HEAD).contains(&head_size), "a head has 1 to {MOST_HEAD} channels, not {head_size}");
    assert!(key.rows() > 0 && key.rows() == value.rows(), "there are keys, and as many values");
    assert_eq!(out.rows(), query.rows(), "the result has as many rows as there are queries");
    let (columns, hidden) = (out.columns(), query.width());
    assert!(key.width() == hidden && value.width() == hidden && columns.end <= hidden, "all have {hidden} channels");
    assert!(
        columns.start.is_multiple_of(head_size) && columns.end.is_multiple_of(head_size),
        "columns {columns:?} are no whole heads of {head_size}"
    );
    set.call(Attention { query, key, value, head_size, out });
}

struct Attention<'a> {
    query: Matrix<'a>,
    key: Matrix<'a>,
    value: Matrix<'a>,
    head_size: usize,
    out: Output<'a>,
}

/// Calls a block of an attention for a number of rows that is known only now.
macro_rules! by_rows {
    ($l:expr, $rows:expr, $head:expr, $panels:literal, [$($n:literal)*]) => {
        match $rows {
            $($n => $l.call(Block::<$n, $panels>($head)),)*
            rows => unreachable!("a block of {rows} rows"),
        }
    };
}

impl Kernel for Attention<'_> {
    type Result = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (most_rows, most_panels) = L::FLOAT_BLOCK;
        let (size, keys, queries) = (self.head_size, self.key.rows(), self.query.rows());
        let mut head = Head {
            keys: vec![[0.0; LANES]; keys.div_ceil(LANES) * size],
            values: vec![[0.0; LANES]; keys * size.div_ceil(LANES)],
            queries: vec![[0.0; MOST_HEAD]; most_rows],
            scores: vec![[0.0; CHUNK]; keys.div_ceil(CHUNK) * most_rows],
            count: keys,
            size,
            columns: 0,
            row: 0,
            out: self.out,
        };
        for column in head.out.columns().step_by(size) {
            head.columns = column;
            head.take(l, self.key.columns(column..column + size), self.value.columns(column..column + size));
            let query = self.query.columns(column..column + size);
            let blocks = queries.div_ceil(most_rows);
            head.row = 0;
            for block in 0..blocks {
                let rows = (queries - head.row).div_ceil(blocks - block);
                for row in 0..rows {
                    for (to, from) in head.queries[row].chunks_mut(LANES).zip(query.row(head.row + row).chunks(LANES)) {
                        l.store_part(l.load_part(from, 0.0), to);
                    }
                }
                if most_panels == 2 {
                    by_rows!(l, rows, &mut head, 2, [1 2 3 4 5 6 7 8 9 10 11 12]);
                } else {
                    by_rows!(l, rows, &mut head, 1, [1 2 3 4 5 6 7 8 9 10 11 12]);
                }
                head.row += rows;
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
    columns: usize,
    /// The block's first row in the result.
    row: usize,
    out: Output<'a>,
}

impl Head<'_> {
    #[inline(always)]
    fn take<L: Lanes>(&mut self, l: L, key: Matrix<'_>, value: Matrix<'_>) {
        for index in 0..self.count {
            let panel = self.keys[index / LANES * self.size..][..self.size].as_flattened_mut();
            for (to, &channel) in panel[index % LANES..].iter_mut().step_by(LANES).zip(key.row(index)) {
                *to = channel;
            }
            for (group, channels) in value.row(index).chunks(LANES).enumerate() {
                l.store(l.load_part(channels, 0.0), &mut self.values[group * self.count + index]);
            }
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
        let whole = panels / PANELS * PANELS;
        for panel in (0..whole).step_by(PANELS) {
            scores::<L, ROWS, PANELS>(l, head, panel);
        }
        for panel in whole..panels {
            scores::<L, ROWS, 1>(l, head, panel);
        }
        let mut factors = [0.0; ROWS];
        for (row, factor) in factors.iter_mut().enumerate() {
            *factor = softmax(l, &mut head.scores[row..], ROWS, head.count);
        }
        let groups = head.size.div_ceil(LANES);
        let whole = groups / PANELS * PANELS;
        for group in (0..whole).step_by(PANELS) {
            weighted_values::<L, ROWS, PANELS>(l, head, group, &factors);
        }
        for group in whole..groups {
            weighted_values::<L, ROWS, 1>(l, head, group, &factors);
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
    let first = head.columns + group * LANES;
    let columns = first..(first + PANELS * LANES).min(head.columns + head.size);
    for ((sums, &factor), to) in sums.iter().zip(factors).zip(head.out.rows_from(head.row, ROWS, columns)) {
        for (part, &sum) in sums.iter().enumerate() {
            l.store_nth(l.mul(sum, l.splat(factor)), to, part);
        }
    }
}
