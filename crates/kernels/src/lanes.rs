//! What an instruction set has to bring: sixteen float lanes, sixteen integer sums, and a block of a product.
//!
//! Kernels are generic over [`Lanes`] and are compiled once for each instruction set, inside of [`Lanes::call`]. A
//! value of a type with `Lanes` proves that the processor has the instructions: it is made by a check alone. So its
//! methods are safe.
//!
//! An operation is one instruction only where it is inlined into [`Lanes::call`]. So kernels and methods are
//! `#[inline(always)]`, and operations stand in plain loops: a closure (as in `array::map`) is a function of its own,
//! which does not have the instructions.

/// Floats, columns of a panel and sums that are computed together.
pub const LANES: usize = 16;

/// Bytes of one row's codes in a chunk. The rows of a chunk are this far apart, so a block addresses them by constants.
pub const CHUNK: usize = 512;

/// Inner rows whose codes are multiplied and added by one instruction: a group.
pub const GROUP: usize = 4;

/// Groups in a whole chunk.
pub const CHUNK_GROUPS: usize = CHUNK / GROUP;

/// One group of a panel: for each of 16 columns the codes of 4 inner rows. In packed weights a cache line.
pub type Codes = [i8; LANES * GROUP];

/// 16 columns of packed weights.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    /// A line for each group of 4 inner rows.
    pub codes: &'a [Codes],
    /// In which order AVX2 takes the groups of a chunk, as distances; see [`crate::pairs::order`].
    pub order: &'a [u8],
    /// For each chunk, how many pairs `order` begins with.
    pub pairs: &'a [u16],
}

/// Quantized rows, from some row on: chunks of 512 bytes a row.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub codes: &'a [u8],
    /// Bytes from one chunk to the next.
    pub chunk_stride: usize,
}

impl<'a> Rows<'a> {
    /// The codes of chunk `chunk` of the first `rows` rows. Panics if there are fewer.
    #[inline(always)]
    pub fn chunk(&self, chunk: usize, rows: usize) -> &'a [u8] {
        &self.codes[chunk * self.chunk_stride..][..rows * CHUNK]
    }
}

/// A computation over lanes, as a value, because a closure cannot be generic.
pub trait Kernel {
    type Result;
    fn run<L: Lanes>(self, lanes: L) -> Self::Result;
}

/// Sixteen lanes of an instruction set. Every operation is the IEEE one, rounded to nearest, ties to even.
pub trait Lanes: Copy {
    type Floats: Copy;
    type Sums: Copy;

    /// The most rows of a block, and how many panels (of 16 columns) it spans: as many sums as registers hold.
    const BLOCK: (usize, usize);
    /// The same of attention, whose blocks are rows by groups of 16 floats.
    const FLOAT_BLOCK: (usize, usize);
    /// What `to_codes` takes off every code: 128 where the instruction for products wants signed codes.
    const OFFSET: i32 = 0;

    /// Runs a kernel with this instruction set's instructions.
    fn call<K: Kernel>(self, kernel: K) -> K::Result;

    fn splat(self, value: f32) -> Self::Floats;
    fn load(self, from: &[f32; LANES]) -> Self::Floats;
    fn store(self, value: Self::Floats, to: &mut [f32; LANES]);
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// `a` where it is greater, else `b`.
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a` where it is smaller, else `b`.
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `value * 2^n`, where `n` is what the lowest bits of `shifted` count: `n + 1.5 * 2^23`. No overflow is looked
    /// for.
    fn scale_by_power(self, value: Self::Floats, shifted: Self::Floats) -> Self::Floats;
    /// `value` rounded to an integer, plus `zero`, limited to 0..=255, less `OFFSET`.
    fn to_codes(self, value: Self::Floats, zero: i32, to: &mut [u8; LANES]);

    /// `factor * value` of every lane.
    fn scaled_sums(self, value: &[i32; LANES], factor: i32) -> Self::Sums;
    fn sums_to_floats(self, sums: Self::Sums) -> Self::Floats;
    /// Adds to each column's sum the products of `codes` (the four codes of a row, as bytes) with the column's.
    fn dot(self, sums: Self::Sums, codes: u32, line: &Codes) -> Self::Sums;

    /// Adds to each of `ROWS * PANELS` sums the products of a row's codes and a panel's columns, group after group.
    ///
    /// Panics if there are fewer than `ROWS` rows, or fewer chunks than the panels have.
    #[inline(always)]
    fn multiply<const ROWS: usize, const PANELS: usize>(
        self,
        rows: Rows<'_>,
        panels: &[Panel<'_>; PANELS],
        mut sums: [[Self::Sums; PANELS]; ROWS],
    ) -> [[Self::Sums; PANELS]; ROWS] {
        let all = panels[0].codes.len();
        for first in (0..all).step_by(CHUNK_GROUPS) {
            let codes = rows.chunk(first / CHUNK_GROUPS, ROWS).as_ptr().cast::<u32>();
            let groups = CHUNK_GROUPS.min(all - first);
            let lines: [*const Codes; PANELS] = std::array::from_fn(|p| panels[p].codes[first..][..groups].as_ptr());
            for group in 0..groups {
                for line in lines {
                    // The panels after these: they are read next, by the first block of rows.
                    self.prefetch(line.wrapping_add(group + PANELS * all));
                }
                for row in 0..ROWS {
                    // SAFETY: a row has 512 bytes in a chunk, 128 groups, and `codes` has `ROWS` rows.
                    let x = unsafe { codes.add(row * CHUNK_GROUPS + group).read_unaligned() };
                    for panel in 0..PANELS {
                        // SAFETY: `groups` lines begin there.
                        sums[row][panel] = self.dot(sums[row][panel], x, unsafe { &*lines[panel].add(group) });
                    }
                }
            }
        }
        sums
    }

    /// Asks for a line that will be read soon; any address will do.
    #[inline(always)]
    fn prefetch(self, _line: *const Codes) {}

    /// All lanes added: halves first (lane i and lane i + 8), then quarters, and so on.
    #[inline(always)]
    fn sum(self, value: Self::Floats) -> f32 {
        self.fold(value, |a, b| a + b)
    }

    #[inline(always)]
    fn greatest(self, value: Self::Floats) -> f32 {
        self.fold(value, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn smallest(self, value: Self::Floats) -> f32 {
        self.fold(value, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn fold(self, value: Self::Floats, both: impl Fn(f32, f32) -> f32) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(value, &mut lanes);
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] = both(lanes[lane], lanes[lane + half]);
            }
            half /= 2;
        }
        lanes[0]
    }

    /// Up to 16 floats; `rest` beyond them.
    #[inline(always)]
    fn load_part(self, from: &[f32], rest: f32) -> Self::Floats {
        match from.first_chunk() {
            Some(whole) => self.load(whole),
            None => {
                let mut lanes = [rest; LANES];
                lanes[..from.len()].copy_from_slice(from);
                self.load(&lanes)
            }
        }
    }

    /// The `index`-th 16 floats, zeros beyond the end.
    #[inline(always)]
    fn load_nth(self, from: &[f32], index: usize) -> Self::Floats {
        self.load_part(&from[index * LANES..], 0.0)
    }

    /// As many lanes as `to` has room for.
    #[inline(always)]
    fn store_part(self, value: Self::Floats, to: &mut [f32]) {
        match to.first_chunk_mut() {
            Some(whole) => self.store(value, whole),
            None => {
                let mut lanes = [0.0; LANES];
                self.store(value, &mut lanes);
                to.copy_from_slice(&lanes[..to.len()]);
            }
        }
    }

    /// Stores to the `index`-th 16 floats, as far as there are some.
    #[inline(always)]
    fn store_nth(self, value: Self::Floats, to: &mut [f32], index: usize) {
        self.store_part(value, &mut to[index * LANES..]);
    }
}

/// Parts of `count` rows of at most `most`, about equal: the first row of each, and how many it has.
pub fn even_parts(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let parts = count.div_ceil(most);
    (0..parts).scan(0, move |first, part| {
        let rows = (count - *first).div_ceil(parts - part);
        *first += rows;
        Some((*first - rows, rows))
    })
}

/// [`Lanes::call`] of a type that exists only where the processor has these features.
macro_rules! call_with {
    ($features:literal) => {
        #[inline(always)]
        fn call<K: $crate::lanes::Kernel>(self, kernel: K) -> K::Result {
            #[target_feature(enable = $features)]
            fn inside<L: $crate::lanes::Lanes, K: $crate::lanes::Kernel>(lanes: L, kernel: K) -> K::Result {
                kernel.run(lanes)
            }
            // SAFETY: the processor has the features, or there were no `self`.
            unsafe { inside(self, kernel) }
        }
    };
}
pub(crate) use call_with;

/// `l.call(Block::<rows, panels>(place))` for numbers of rows (up to 14) and panels (1 or 2) that are known only now.
macro_rules! call_block {
    ($l:expr, $rows:expr, $panels:expr, $block:ident $place:tt) => {
        call_block!($l, $rows, $panels, $block $place, 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    ($l:expr, $rows:expr, $panels:expr, $block:ident $place:tt, $($n:literal)*) => {
        match ($rows, $panels) {
            $(
                ($n, 1) => $l.call($block::<$n, 1> $place),
                ($n, 2) => $l.call($block::<$n, 2> $place),
            )*
            (rows, panels) => unreachable!("a block of {rows} rows and {panels} panels"),
        }
    };
}
pub(crate) use call_block;
