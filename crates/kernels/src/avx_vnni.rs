//! AVX2 and `vpdpbusd` over 32 codes: AVX-VNNI's, on Intel processors without AVX512 and on Zen 5.
//!
//! AVX512's processors know the same instruction in another encoding. It is slower there than 512 bits, but lets tests
//! run these kernels.

use std::arch::x86_64::*;

use crate::avx2::{Avx2, lanes_of_two_registers};
use crate::lanes::{Codes, LANES, Lanes, call_with};

/// Proves that the processor has AVX2, FMA and AVX-VNNI.
#[derive(Clone, Copy)]
pub struct AvxVnni(());

/// Proves that the processor has AVX2, FMA and the same instruction of AVX512.
#[derive(Clone, Copy)]
pub struct Avx512Vl(());

impl AvxVnni {
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avxvnni") && Avx2::new().is_some()).then_some(Self(()))
    }
}

impl Avx512Vl {
    pub fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512vnni");
        (found && Avx2::new().is_some()).then_some(Self(()))
    }
}

macro_rules! lanes_with_dots {
    ($name:ident, $features:literal, $dot:ident) => {
        impl Lanes for $name {
            lanes_of_two_registers!();

            /// 12 sums, a line of codes and a row's codes are 15 of 16 registers.
            const BLOCK: (usize, usize) = (6, 1);

            call_with!($features);

            #[inline(always)]
            fn dot(self, sums: [__m256i; 2], codes: u32, line: &Codes) -> [__m256i; 2] {
                // SAFETY: a line has 64 bytes; `self` proves that there is the instruction.
                unsafe {
                    let codes = _mm256_set1_epi32(codes.cast_signed());
                    let [low, high] = line.as_ptr().cast::<[__m256i; 2]>().read_unaligned();
                    [$dot(sums[0], codes, low), $dot(sums[1], codes, high)]
                }
            }
        }
    };
}

lanes_with_dots!(AvxVnni, "avx2,fma,avxvnni", _mm256_dpbusd_avx_epi32);
lanes_with_dots!(Avx512Vl, "avx2,fma,avx512vl,avx512vnni", _mm256_dpbusd_epi32);
