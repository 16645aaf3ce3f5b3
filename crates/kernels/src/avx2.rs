//! AVX2 without VNNI: sixteen lanes are two registers, and products of codes are added in 16 bits first.

use std::arch::x86_64::*;

use crate::lanes::{CHUNK_GROUPS, Codes, LANES, Lanes, Panel, Rows, call_with};

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
            unsafe { from.as_ptr().cast::<[__m256; 2]>().read_unaligned() }
        }

        #[inline(always)]
        fn store(self, value: [__m256; 2], to: &mut [f32; LANES]) {
            unsafe { to.as_mut_ptr().cast::<[__m256; 2]>().write_unaligned(value) }
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
                let [low, high] = value.as_ptr().cast::<[__m256i; 2]>().read_unaligned();
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

impl Lanes for Avx2 {
    lanes_of_two_registers!();

    /// 8 sums, two lines of codes, two rows' codes and ones.
    const BLOCK: (usize, usize) = (4, 1);

    call_with!("avx2,fma");

    #[inline(always)]
    fn dot(self, sums: [__m256i; 2], codes: u32, line: &Codes) -> [__m256i; 2] {
        // SAFETY: there is AVX2, or there were no `self`; a line has 64 bytes.
        unsafe {
            let [low, high] = line.as_ptr().cast::<[__m256i; 2]>().read_unaligned();
            let (codes, ones) = (_mm256_set1_epi32(codes.cast_signed()), _mm256_set1_epi16(1));
            let low = _mm256_madd_epi16(_mm256_maddubs_epi16(codes, low), ones);
            let high = _mm256_madd_epi16(_mm256_maddubs_epi16(codes, high), ones);
            [_mm256_add_epi32(sums[0], low), _mm256_add_epi32(sums[1], high)]
        }
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
                let groups = CHUNK_GROUPS.min(all.len() - first);
                let order = &order[first..][..groups];
                let (pairs, single) = order.split_at(2 * usize::from(pairs[chunk]).min(groups / 2));
                // SAFETY: there is AVX2, or there were no `self`. `codes` has `ROWS` rows of 128 groups, and whatever an
                // order says, a group is one of `groups`, as are the lines.
                unsafe {
                    // Opaque, because a constant would be loaded anew for each use.
                    let ones = std::hint::black_box(_mm256_set1_epi16(1));
                    let mut a = 0;
                    for (index, pair) in pairs.as_chunks::<2>().0.iter().enumerate() {
                        a = (a + usize::from(pair[0])).min(groups - 1);
                        let b = (a + usize::from(pair[1])).min(groups - 1);
                        let next = lines.wrapping_add(PANELS * all.len() + 2 * index);
                        self.prefetch(next);
                        self.prefetch(next.wrapping_add(1));
                        let line_a = lines.add(a).cast::<[__m256i; 2]>().read_unaligned();
                        let line_b = lines.add(b).cast::<[__m256i; 2]>().read_unaligned();
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
                    let mut group = 0;
                    for &step in single {
                        group = (group + usize::from(step)).min(groups - 1);
                        for row in 0..ROWS {
                            let x = codes.add(row * CHUNK_GROUPS + group).read_unaligned();
                            sums[row][panel] = self.dot(sums[row][panel], x, &*lines.add(group));
                        }
                    }
                }
            }
        }
        sums
    }
}
