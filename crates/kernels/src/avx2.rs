//! AVX2 without VNNI: sixteen lanes are two registers, and products of codes are added in 16 bits first.

use std::arch::x86_64::*;

use crate::lanes::{CHUNK_GROUPS, Codes, Kernel, LANES, Lanes, Panel, Rows};

/// Proves that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

/// Methods of two operands that are one instruction, for each of two registers.
macro_rules! binary {
    ($($name:ident = $instruction:ident;)*) => {
        $(
            #[inline(always)]
            fn $name(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
                unsafe { [$instruction(a[0], b[0]), $instruction(a[1], b[1])] }
            }
        )*
    };
}
pub(crate) use binary;

/// What AVX2 and AVX-VNNI have in common: everything but products.
///
/// SAFETY, of every block: a value of these types exists only where the processor has the instructions, and pointers
/// come from references to as many bytes as are read or written.
macro_rules! lanes_of_two_registers {
    () => {
        type Floats = [__m256; 2];
        type Sums = [__m256i; 2];
        /// 12 sums, two registers of keys and a query's channel are 15 of 16 registers.
        const FLOAT_BLOCK: (usize, usize) = (6, 1);

        crate::avx2::binary! {
            add = _mm256_add_ps;
            sub = _mm256_sub_ps;
            mul = _mm256_mul_ps;
            max = _mm256_max_ps;
            min = _mm256_min_ps;
        }

        #[inline(always)]
        fn splat(self, value: f32) -> [__m256; 2] {
            unsafe { [_mm256_set1_ps(value); 2] }
        }

        #[inline(always)]
        fn load(self, from: &[f32; LANES]) -> [__m256; 2] {
            unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] }
        }

        #[inline(always)]
        fn store(self, value: [__m256; 2], to: &mut [f32; LANES]) {
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), value[0]);
                _mm256_storeu_ps(to.as_mut_ptr().add(8), value[1]);
            }
        }

        #[inline(always)]
        fn fma(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
            unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
        }

        #[inline(always)]
        fn scale_by_power(self, value: [__m256; 2], shifted: [__m256; 2]) -> [__m256; 2] {
            unsafe {
                let low = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted[0]));
                let high = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted[1]));
                [
                    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value[0]), low)),
                    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value[1]), high)),
                ]
            }
        }

        #[inline(always)]
        fn to_codes(self, value: [__m256; 2], zero: i32, to: &mut [u8; LANES]) {
            unsafe {
                let zero = _mm256_set1_epi32(zero);
                let a = _mm256_add_epi32(_mm256_cvtps_epi32(value[0]), zero);
                let b = _mm256_add_epi32(_mm256_cvtps_epi32(value[1]), zero);
                // Packing works in halves of 128 bits: lanes 0-3, 8-11 and 4-7, 12-15, until the last line.
                let words = _mm256_packs_epi32(a, b);
                let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_shuffle_epi32::<0b11_01_10_00>(bytes));
            }
        }

        #[inline(always)]
        fn scaled_sums(self, value: &[i32; LANES], factor: i32) -> [__m256i; 2] {
            unsafe {
                let factor = _mm256_set1_epi32(factor);
                let low = _mm256_loadu_si256(value.as_ptr().cast());
                let high = _mm256_loadu_si256(value.as_ptr().add(8).cast());
                [_mm256_mullo_epi32(low, factor), _mm256_mullo_epi32(high, factor)]
            }
        }

        #[inline(always)]
        fn sums_to_floats(self, sums: [__m256i; 2]) -> [__m256; 2] {
            unsafe { [_mm256_cvtepi32_ps(sums[0]), _mm256_cvtepi32_ps(sums[1])] }
        }

        #[inline(always)]
        fn prefetch(self, line: *const Codes) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
        }
    };
}
pub(crate) use lanes_of_two_registers;

/// The two registers of a line of codes.
#[inline(always)]
pub fn halves(_: Avx2, line: &Codes) -> [__m256i; 2] {
    let line = line.0.as_ptr();
    // SAFETY: a line has 64 bytes and is aligned; the first argument proves that there is AVX2.
    unsafe { [_mm256_load_si256(line.cast()), _mm256_load_si256(line.add(32).cast())] }
}

impl Lanes for Avx2 {
    lanes_of_two_registers!();

    /// 8 sums, two lines of codes, two rows' codes and ones.
    const BLOCK: (usize, usize) = (4, 1);

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Result {
        #[target_feature(enable = "avx2,fma")]
        fn inside<K: Kernel>(lanes: Avx2, kernel: K) -> K::Result {
            kernel.run(lanes)
        }
        // SAFETY: the processor has AVX2 and FMA, or there were no `self`.
        unsafe { inside(self, kernel) }
    }

    /// Pairs of groups first, then single ones; see [`crate::pairs`].
    #[inline(always)]
    fn multiply<const ROWS: usize, const PANELS: usize>(
        self,
        rows: Rows<'_>,
        panels: &[Panel<'_>; PANELS],
        mut sums: [[[__m256i; 2]; PANELS]; ROWS],
    ) -> [[[__m256i; 2]; PANELS]; ROWS] {
        for panel in 0..PANELS {
            let Panel { codes: all, order, pairs } = panels[panel];
            for first in (0..all.len()).step_by(CHUNK_GROUPS) {
                let chunk = first / CHUNK_GROUPS;
                let codes = rows.chunk(chunk, ROWS).as_ptr().cast::<u32>();
                let lines = all[first..].as_ptr();
                let order = &order[first..all.len().min(first + CHUNK_GROUPS)];
                let (pairs, single) = order.split_at(2 * usize::from(pairs[chunk]));
                // SAFETY: there is AVX2, or there were no `self`. `codes` has `ROWS` rows of 128 groups, and an order's
                // groups are among them and the lines: `Packed::read` looked.
                unsafe {
                    // Opaque, because a constant would be loaded anew for each use.
                    let ones = std::hint::black_box(_mm256_set1_epi16(1));
                    for (index, pair) in pairs.as_chunks::<2>().0.iter().enumerate() {
                        let [a, b] = [usize::from(pair[0]), usize::from(pair[1])];
                        let next = lines.wrapping_add(PANELS * all.len() + 2 * index);
                        self.prefetch(next);
                        self.prefetch(next.wrapping_add(1));
                        let (line_a, line_b) = (halves(self, &*lines.add(a)), halves(self, &*lines.add(b)));
                        for row in 0..ROWS {
                            let x_a =
                                _mm256_set1_epi32(codes.add(row * CHUNK_GROUPS + a).read_unaligned().cast_signed());
                            let x_b =
                                _mm256_set1_epi32(codes.add(row * CHUNK_GROUPS + b).read_unaligned().cast_signed());
                            for half in 0..2 {
                                let products = _mm256_add_epi16(
                                    _mm256_maddubs_epi16(x_a, line_a[half]),
                                    _mm256_maddubs_epi16(x_b, line_b[half]),
                                );
                                let sum = &mut sums[row][panel][half];
                                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(products, ones));
                            }
                        }
                    }
                    for group in single {
                        let group = usize::from(*group);
                        let line = halves(self, &*lines.add(group));
                        for row in 0..ROWS {
                            let x =
                                _mm256_set1_epi32(codes.add(row * CHUNK_GROUPS + group).read_unaligned().cast_signed());
                            for half in 0..2 {
                                let products = _mm256_maddubs_epi16(x, line[half]);
                                let sum = &mut sums[row][panel][half];
                                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(products, ones));
                            }
                        }
                    }
                }
            }
        }
        sums
    }
}
