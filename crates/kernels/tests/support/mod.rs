//! Random weights, exact references in float64, and memory that ends where it should.
#![allow(dead_code)] // each test file uses some

use std::ops::{Deref, DerefMut};

use fastrand::Rng;
use kernels::{Activation, InstructionSet, Weights, pack};
use region::{Allocation, Protection, page};

/// What the scalar set computes into `length` floats; all others give the same bits.
pub fn on_every_set(what: &str, length: usize, run: impl Fn(InstructionSet, &mut [f32])) -> Vec<f32> {
    let mut results = InstructionSet::available().map(|set| {
        let mut out = Guarded::new(&vec![f32::NAN; length]);
        run(set, &mut out);
        (set, out.to_vec())
    });
    let (_, scalar) = results.next().unwrap();
    results.for_each(|(set, found)| assert_bits(&format!("{set}, {what}"), &found, &scalar));
    scalar
}

pub fn assert_bits(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(found.to_bits() == expected.to_bits(), "{what}: value {at} is {found:e}, not {expected:e}");
    }
}

/// Panics unless `found` is `exact` within `allowed`, of the value where that is above 1.
pub fn assert_close(found: &[f32], exact: &[f64], allowed: f64) {
    assert_eq!(found.len(), exact.len());
    for (at, (&found, exact)) in found.iter().zip(exact).enumerate() {
        let within = (f64::from(found) - exact).abs() <= allowed * exact.abs().max(1.0);
        assert!(within, "value {at} is {found}, exactly {exact}");
    }
}

/// A copy of values whose last byte is the last of a page, before one that may not be touched.
pub struct Guarded<T> {
    pages: Allocation,
    length: usize,
    start: *mut T,
}

impl<T: Copy> Guarded<T> {
    pub fn new(values: &[T]) -> Self {
        let mut pages = region::alloc(size_of_val(values) + page::size(), Protection::READ_WRITE).unwrap();
        // SAFETY: the pages have room for the values before the last of them.
        let start = unsafe {
            let end = pages.as_mut_ptr::<u8>().add(pages.len() - page::size());
            region::protect(end, page::size(), Protection::NONE).unwrap();
            let start = end.sub(size_of_val(values)).cast::<T>();
            start.copy_from_nonoverlapping(values.as_ptr(), values.len());
            start
        };
        Self { pages, length: values.len(), start }
    }
}

impl<T> Deref for Guarded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` wrote them there, and the pages live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl<T> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

/// From `-size` to `size`.
pub fn floats(random: &mut Rng, count: usize, size: f32) -> Vec<f32> {
    (0..count).map(|_| (random.f32() * 2.0 - 1.0) * size).collect()
}

/// A product's weights before they are packed, and the product in float64.
pub struct Reference {
    pub codes: Vec<i8>,
    pub inner: usize,
    pub columns: usize,
    pub scales: Vec<f32>,
    pub bias: Vec<f32>,
    pub input_scale: Vec<f32>,
}

impl Reference {
    /// Codes from the whole range that cannot saturate, small and large ones mixed.
    pub fn random(random: &mut Rng, inner: usize, columns: usize) -> Self {
        let mut codes = vec![0i8; inner * columns];
        for at in 0..codes.len() {
            let size = if random.u8(..3) == 0 { 128 } else { 30 };
            let code = random.i32(-size..size);
            let above = if at / columns % 2 == 1 { i32::from(codes[at - columns]) } else { 0 };
            codes[at] = code.clamp(-128 - above.min(0), (128 - above.max(0)).min(127)) as i8;
        }
        Self {
            scales: floats(random, columns, 0.01).iter().map(|scale| scale.abs() + 1e-4).collect(),
            bias: floats(random, columns, 1.0),
            input_scale: floats(random, inner, 0.5).iter().map(|scale| scale + 1.0).collect(),
            ..Self::with_codes(codes, inner, columns)
        }
    }

    pub fn with_codes(codes: Vec<i8>, inner: usize, columns: usize) -> Self {
        Self {
            codes,
            inner,
            columns,
            scales: vec![0.01; columns],
            bias: vec![0.5; columns],
            input_scale: vec![1.0; inner],
        }
    }

    pub fn weights(&self) -> Weights<'_> {
        let Self { codes, inner, columns, scales, bias, input_scale } = self;
        Weights { codes, inner: *inner, columns: *columns, scales, bias, input_scale }
    }

    /// Packed, and at a multiple of 64 bytes, because its length is one.
    pub fn pack(&self) -> Guarded<u8> {
        Guarded::new(&pack(&self.weights()).unwrap())
    }

    /// Panics unless `found` is the product of row `x` as far as rounding x to 256 codes allows.
    pub fn check(&self, x: &[f32], activation: Activation, found: &[f32]) {
        let x: Vec<f64> = x.iter().zip(&self.input_scale).map(|(x, scale)| f64::from(x * scale)).collect();
        let (least, most) = x.iter().fold((0f64, 0f64), |(least, most), &x| (least.min(x), most.max(x)));
        let step = (most - least).max(1e-12) / 255.0;
        let zero = (-least / step).round_ties_even();
        let rounded = Vec::from_iter(x.iter().map(|x| ((x / step).round_ties_even() + zero).clamp(0.0, 255.0) - zero));
        for (column, &found) in found.iter().enumerate() {
            let weights = self.codes[column..].iter().step_by(self.columns);
            let sum: f64 = rounded.iter().zip(weights).map(|(x, &weight)| x * f64::from(weight)).sum();
            let scale = step * f64::from(self.scales[column]);
            let value = sum * scale + f64::from(self.bias[column]);
            let exact = if activation == Activation::Gelu { gelu(value) } else { value };
            // Half a code may be rounded either way in float32: a few codes' worth, beside float32's own rounding.
            let allowed = scale.abs() * 128.0 * 4.0 + 1e-5 * exact.abs().max(1.0);
            assert!(
                (f64::from(found) - exact).abs() <= allowed,
                "column {column}: {found}, exactly {exact} ± {allowed}"
            );
        }
    }
}

/// `x Φ(x)`.
pub fn gelu(x: f64) -> f64 {
    x / 2.0 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The first `queries` rows of a text's attention over all its rows, each of 3 * `hidden` values.
pub fn attention(qkv: &[f32], hidden: usize, head_size: usize, queries: usize) -> Vec<f64> {
    let part = |row: usize, part: usize, head: usize| {
        qkv[(3 * row + part) * hidden + head..][..head_size].iter().map(|&value| f64::from(value))
    };
    let rows = qkv.len() / (3 * hidden);
    let mut out = Vec::with_capacity(queries * hidden);
    for (query, head) in (0..queries).flat_map(|query| (0..hidden).step_by(head_size).map(move |head| (query, head))) {
        let product = |key| part(query, 0, head).zip(part(key, 1, head)).map(|(q, k)| q * k).sum::<f64>();
        let scores: Vec<f64> = (0..rows).map(|key| product(key) / (head_size as f64).sqrt()).collect();
        let greatest = scores.iter().copied().fold(f64::MIN, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - greatest).exp()).collect();
        let mut sums = vec![0.0; head_size];
        for (row, power) in powers.iter().enumerate() {
            sums.iter_mut().zip(part(row, 2, head)).for_each(|(sum, value)| *sum += power * value);
        }
        let all: f64 = powers.iter().sum();
        out.extend(sums.iter().map(|sum| sum / all));
    }
    out
}

/// The norm of one row of sums.
pub fn norm(sums: &[f64], gamma: &[f32], beta: &[f32], epsilon: f64) -> Vec<f64> {
    let count = sums.len() as f64;
    let mean = sums.iter().sum::<f64>() / count;
    let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / count;
    let normed = sums.iter().map(|sum| (sum - mean) / (variance + epsilon).sqrt());
    normed.zip(gamma).zip(beta).map(|((sum, &gamma), &beta)| sum * f64::from(gamma) + f64::from(beta)).collect()
}
