//! The specification: every operation in plain Rust, on any processor.

use crate::lanes::{Codes, GROUP, Kernel, LANES, Lanes};

#[derive(Clone, Copy)]
pub struct Scalar;

type Floats = [f32; LANES];

#[inline(always)]
fn each(a: Floats, b: Floats, both: impl Fn(f32, f32) -> f32) -> Floats {
    std::array::from_fn(|lane| both(a[lane], b[lane]))
}

impl Lanes for Scalar {
    type Floats = Floats;
    type Sums = [i32; LANES];
    const BLOCK: (usize, usize) = (1, 1);
    const FLOAT_BLOCK: (usize, usize) = (1, 1);

    fn call<K: Kernel>(self, kernel: K) -> K::Result {
        kernel.run(self)
    }

    fn splat(self, value: f32) -> Floats {
        [value; LANES]
    }

    fn load(self, from: &[f32; LANES]) -> Floats {
        *from
    }

    fn store(self, value: Floats, to: &mut [f32; LANES]) {
        *to = value;
    }

    fn add(self, a: Floats, b: Floats) -> Floats {
        each(a, b, |a, b| a + b)
    }

    fn sub(self, a: Floats, b: Floats) -> Floats {
        each(a, b, |a, b| a - b)
    }

    fn mul(self, a: Floats, b: Floats) -> Floats {
        each(a, b, |a, b| a * b)
    }

    fn fma(self, a: Floats, b: Floats, c: Floats) -> Floats {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    fn max(self, a: Floats, b: Floats) -> Floats {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    fn min(self, a: Floats, b: Floats) -> Floats {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    fn scale_by_power(self, value: Floats, shifted: Floats) -> Floats {
        each(value, shifted, |value, shifted| {
            f32::from_bits(value.to_bits().wrapping_add(shifted.to_bits().wrapping_shl(23)))
        })
    }

    fn to_codes(self, value: Floats, zero: i32, to: &mut [u8; LANES]) {
        for (code, value) in to.iter_mut().zip(value) {
            *code = (value.round_ties_even() as i32).saturating_add(zero).clamp(0, 255) as u8;
        }
    }

    fn scaled_sums(self, value: &[i32; LANES], factor: i32) -> [i32; LANES] {
        value.map(|value| value.wrapping_mul(factor))
    }

    fn sums_to_floats(self, sums: [i32; LANES]) -> Floats {
        sums.map(|sum| sum as f32)
    }

    fn dot(self, mut sums: [i32; LANES], codes: u32, line: &Codes) -> [i32; LANES] {
        for (sum, weights) in sums.iter_mut().zip(line.as_chunks::<GROUP>().0) {
            for (code, &weight) in codes.to_ne_bytes().into_iter().zip(weights) {
                *sum = sum.wrapping_add(i32::from(code) * i32::from(weight));
            }
        }
        sums
    }
}
