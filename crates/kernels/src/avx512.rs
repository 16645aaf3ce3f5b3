//! AVX512: sixteen lanes are a register, and `vpdpbusd` multiplies and adds 64 codes.

use std::arch::x86_64::*;

use crate::lanes::{Codes, LANES, Lanes, call_with};

/// Proves that the processor has AVX512 F, BW, DQ, VL and VNNI, and FMA.
#[derive(Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    pub fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }
}

/// Methods of two operands that are one instruction.
macro_rules! binary {
    ($($name:ident = $instruction:ident;)*) => {
        $(
            #[inline(always)]
            fn $name(self, a: __m512, b: __m512) -> __m512 {
                unsafe { $instruction(a, b) }
            }
        )*
    };
}

// SAFETY, of every block below: a value of this type exists only where the processor has the instructions, and pointers
// come from references to as many bytes as are read or written.
impl Lanes for Avx512 {
    type Floats = __m512;
    type Sums = __m512i;
    /// 28 sums, two lines of codes and a row's codes are 31 of 32 registers.
    const BLOCK: (usize, usize) = (14, 2);
    const FLOAT_BLOCK: (usize, usize) = (12, 2);

    call_with!("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma");

    binary! {
        add = _mm512_add_ps;
        sub = _mm512_sub_ps;
        mul = _mm512_mul_ps;
        max = _mm512_max_ps;
        min = _mm512_min_ps;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> __m512 {
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m512, to: &mut [f32; LANES]) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn scale_by_power(self, value: __m512, shifted: __m512) -> __m512 {
        unsafe {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), exponent))
        }
    }

    #[inline(always)]
    fn to_codes(self, value: __m512, zero: i32, to: &mut [u8; LANES]) {
        unsafe {
            let codes = _mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(zero));
            let codes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(codes, _mm512_setzero_si512()));
            _mm_storeu_si128(to.as_mut_ptr().cast(), codes);
        }
    }

    #[inline(always)]
    fn scaled_sums(self, value: &[i32; LANES], factor: i32) -> __m512i {
        unsafe { _mm512_mullo_epi32(_mm512_loadu_si512(value.as_ptr().cast()), _mm512_set1_epi32(factor)) }
    }

    #[inline(always)]
    fn sums_to_floats(self, sums: __m512i) -> __m512 {
        unsafe { _mm512_cvtepi32_ps(sums) }
    }

    #[inline(always)]
    fn dot(self, sums: __m512i, codes: u32, line: &Codes) -> __m512i {
        unsafe {
            _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(codes.cast_signed()), _mm512_loadu_si512(line.as_ptr().cast()))
        }
    }

    #[inline(always)]
    fn prefetch(self, line: *const Codes) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
}
