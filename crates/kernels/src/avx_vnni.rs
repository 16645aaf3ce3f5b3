//! AVX-VNNI: AVX2 and `vpdpbusd` over 32 codes, on Intel processors without AVX512 and on Zen 5.

use std::arch::x86_64::*;

use crate::avx2::lanes_of_two_registers;
use crate::lanes::{Codes, Dot, Kernel, LANES, Lanes, Panel, Rows};

/// Proves that the processor has AVX2, FMA and AVX-VNNI.
#[derive(Clone, Copy)]
pub struct AvxVnni(());

impl AvxVnni {
    pub fn new() -> Option<Self> {
        let found =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("avxvnni");
        found.then_some(Self(()))
    }
}

impl Lanes for AvxVnni {
    lanes_of_two_registers!();

    /// 12 sums, a line of codes and a row's codes are 15 of 16 registers.
    const BLOCK: (usize, usize) = (6, 1);

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Result {
        #[target_feature(enable = "avx2,fma,avxvnni")]
        fn inside<K: Kernel>(lanes: AvxVnni, kernel: K) -> K::Result {
            kernel.run(lanes)
        }
        // SAFETY: the processor has the instructions, or there were no `self`.
        unsafe { inside(self, kernel) }
    }

    #[inline(always)]
    fn multiply<const ROWS: usize, const PANELS: usize>(
        self,
        rows: Rows<'_>,
        panels: &[Panel<'_>; PANELS],
        sums: &mut [[[__m256i; 2]; PANELS]; ROWS],
    ) {
        self.multiply_by_dots(rows, panels, sums);
    }
}

impl Dot for AvxVnni {
    #[inline(always)]
    fn dot(self, sums: [__m256i; 2], codes: u32, line: &Codes) -> [__m256i; 2] {
        let line = line.0.as_ptr();
        // SAFETY: a line has 64 bytes and is aligned; `self` proves that there is AVX-VNNI.
        unsafe {
            let codes = _mm256_set1_epi32(codes.cast_signed());
            let [low, high] = [line, line.add(32)].map(|half| _mm256_load_si256(half.cast()));
            [_mm256_dpbusd_avx_epi32(sums[0], codes, low), _mm256_dpbusd_avx_epi32(sums[1], codes, high)]
        }
    }
}
