//! arm64 with dot products: sixteen lanes are four registers, and `sdot` multiplies and adds 16 codes, which it wants
//! signed.

use std::arch::aarch64::*;
use std::array::from_fn;

use crate::lanes::{Codes, LANES, Lanes, call_with};

/// Proves that the processor has NEON with dot products.
#[derive(Clone, Copy)]
pub struct Neon(());

impl Neon {
    pub fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Self(()))
    }
}

/// A method of two operands, register by register.
macro_rules! by_register {
    ($($name:ident = $instruction:ident;)*) => {
        $(
            #[inline(always)]
            fn $name(self, a: Floats, b: Floats) -> Floats {
                from_fn(|part| unsafe { $instruction(a[part], b[part]) })
            }
        )*
    };
}

type Floats = [float32x4_t; 4];

// SAFETY, of every block below: every arm64 processor has NEON, a value of this type exists only where there are dot
// products, and pointers come from references to as many bytes as are read or written.
impl Lanes for Neon {
    type Floats = Floats;
    type Sums = [int32x4_t; 4];
    /// 24 sums, a line of codes and a row's codes are 29 of 32 registers.
    const BLOCK: (usize, usize) = (6, 1);
    const FLOAT_BLOCK: (usize, usize) = (6, 1);
    const OFFSET: i32 = 128;

    call_with!("neon,dotprod");

    by_register! {
        add = vaddq_f32;
        sub = vsubq_f32;
        mul = vmulq_f32;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Floats {
        unsafe { [vdupq_n_f32(value); 4] }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Floats {
        unsafe { from.as_ptr().cast::<Floats>().read_unaligned() }
    }

    #[inline(always)]
    fn store(self, value: Floats, to: &mut [f32; LANES]) {
        unsafe { to.as_mut_ptr().cast::<Floats>().write_unaligned(value) }
    }

    #[inline(always)]
    fn fma(self, a: Floats, b: Floats, c: Floats) -> Floats {
        from_fn(|part| unsafe { vfmaq_f32(c[part], a[part], b[part]) })
    }

    #[inline(always)]
    fn max(self, a: Floats, b: Floats) -> Floats {
        from_fn(|part| unsafe { vbslq_f32(vcgtq_f32(a[part], b[part]), a[part], b[part]) })
    }

    #[inline(always)]
    fn min(self, a: Floats, b: Floats) -> Floats {
        from_fn(|part| unsafe { vbslq_f32(vcltq_f32(a[part], b[part]), a[part], b[part]) })
    }

    #[inline(always)]
    fn scale_by_power(self, value: Floats, shifted: Floats) -> Floats {
        from_fn(|part| unsafe {
            let exponent = vshlq_n_s32::<23>(vreinterpretq_s32_f32(shifted[part]));
            vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(value[part]), exponent))
        })
    }

    #[inline(always)]
    fn to_codes(self, value: Floats, zero: i32, to: &mut [u8; LANES]) {
        unsafe {
            let zero = vdupq_n_s32(zero);
            let [a, b, c, d] = value.map(|part| vqmovn_s32(vqaddq_s32(vcvtnq_s32_f32(part), zero)));
            let codes = vcombine_u8(vqmovun_s16(vcombine_s16(a, b)), vqmovun_s16(vcombine_s16(c, d)));
            // `code - 128` as int8 is the code with its highest bit turned.
            vst1q_u8(to.as_mut_ptr(), veorq_u8(codes, vdupq_n_u8(0x80)));
        }
    }

    #[inline(always)]
    fn scaled_sums(self, value: &[i32; LANES], factor: i32) -> [int32x4_t; 4] {
        from_fn(|part| unsafe { vmulq_n_s32(vld1q_s32(value.as_ptr().add(part * 4)), factor) })
    }

    #[inline(always)]
    fn sums_to_floats(self, sums: [int32x4_t; 4]) -> Floats {
        sums.map(|part| unsafe { vcvtq_f32_s32(part) })
    }

    #[inline(always)]
    fn dot(self, mut sums: [int32x4_t; 4], codes: u32, line: &Codes) -> [int32x4_t; 4] {
        let codes = unsafe { vdupq_n_u32(codes) };
        for (part, sum) in sums.iter_mut().enumerate() {
            // In assembly, because Rust's own name for it is not stable yet.
            unsafe {
                let line = vld1q_s8(line.as_ptr().add(part * 16));
                std::arch::asm!(
                    "sdot {sum:v}.4s, {codes:v}.16b, {line:v}.16b",
                    sum = inout(vreg) *sum, codes = in(vreg) codes, line = in(vreg) line,
                    options(pure, nomem, nostack),
                );
            }
        }
        sums
    }
}
