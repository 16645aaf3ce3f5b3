//! Random weights, exact references in float64, and memory that ends where it should.
#![allow(dead_code)] // each test file uses some

use std::sync::Once;

use kernels::{ALIGNMENT, Activation, InstructionSet, Matrix, Weights, pack};

/// All instruction sets of this machine but the scalar one; prints once which it lacks.
pub fn other_sets() -> impl Iterator<Item = InstructionSet> {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        for set in InstructionSet::ALL.into_iter().filter(|set| !set.is_available()) {
            println!("this machine lacks {set}: not tested");
        }
    });
    InstructionSet::available().filter(|&set| set != InstructionSet::Scalar)
}

/// xorshift64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From `-size` to `size`.
    pub fn floats(&mut self, count: usize, size: f32) -> Vec<f32> {
        (0..count).map(|_| ((self.next() & 0xff_ffff) as f32 / 8_388_608.0 - 1.0) * size).collect()
    }
}

/// Bytes that begin at a multiple of [`ALIGNMENT`].
pub struct Aligned {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    pub fn new(bytes: &[u8]) -> Self {
        let mut memory = vec![0; bytes.len() + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        memory[start..start + bytes.len()].copy_from_slice(bytes);
        Self { memory, start, length: bytes.len() }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.length]
    }
}

pub fn alternating(count: usize) -> Vec<f32> {
    (0..count).map(|at| if at % 2 == 0 { 1.0 } else { -1.0 }).collect()
}

/// A product's weights before they are packed, and the product in float64.
pub struct Reference {
    pub codes: Vec<i8>,
    pub inner: usize,
    pub columns: usize,
    pub scales: Vec<f32>,
    pub bias: Vec<f32>,
    pub input_scale: Option<Vec<f32>>,
}

impl Reference {
    /// Codes from the whole range that cannot saturate, small and large ones mixed.
    pub fn random(random: &mut Random, inner: usize, columns: usize, scaled: bool) -> Self {
        let mut codes = vec![0i8; inner * columns];
        for row in 0..inner {
            for column in 0..columns {
                let size = if random.below(3) == 0 { 256 } else { 60 };
                let mut code = random.below(size) as i32 - size as i32 / 2;
                if row % 2 == 1 {
                    let above = i32::from(codes[(row - 1) * columns + column]);
                    code = code.clamp(-128 - above.min(0), (128 - above.max(0)).min(127));
                }
                codes[row * columns + column] = code as i8;
            }
        }
        let mut this = Self::with_codes(codes, inner, columns);
        this.scales = random.floats(columns, 0.01).iter().map(|scale| scale.abs() + 1e-4).collect();
        this.bias = random.floats(columns, 1.0);
        this.input_scale = scaled.then(|| random.floats(inner, 0.5).iter().map(|scale| scale + 1.0).collect());
        this
    }

    pub fn with_codes(codes: Vec<i8>, inner: usize, columns: usize) -> Self {
        Self { codes, inner, columns, scales: vec![0.01; columns], bias: vec![0.5; columns], input_scale: None }
    }

    pub fn weights(&self) -> Weights<'_> {
        Weights {
            codes: &self.codes,
            inner: self.inner,
            columns: self.columns,
            scales: &self.scales,
            bias: &self.bias,
            input_scale: self.input_scale.as_deref(),
        }
    }

    pub fn pack(&self) -> Vec<u8> {
        pack(&self.weights()).unwrap()
    }

    /// Panics unless `found` is the product as far as rounding x to 256 codes allows.
    pub fn check(&self, x: &[f32], rows: usize, activation: Activation, found: &[f32]) {
        assert_eq!(found.len(), rows * self.columns);
        for row in 0..rows {
            let x: Vec<f64> = (0..self.inner)
                .map(|at| {
                    let x = x[row * self.inner + at];
                    f64::from(self.input_scale.as_ref().map_or(x, |scale| x * scale[at]))
                })
                .collect();
            let (least, most) = x.iter().fold((0f64, 0f64), |(least, most), &x| (least.min(x), most.max(x)));
            let step = (most - least).max(1e-12) / 255.0;
            let zero = (-least / step).round_ties_even();
            let rounded: Vec<f64> =
                x.iter().map(|x| ((x / step).round_ties_even() + zero).clamp(0.0, 255.0) - zero).collect();
            for column in 0..self.columns {
                let weight = |at: usize| f64::from(self.codes[at * self.columns + column]);
                let sum: f64 = rounded.iter().enumerate().map(|(at, x)| x * weight(at)).sum();
                let scale = step * f64::from(self.scales[column]);
                let value = sum * scale + f64::from(self.bias[column]);
                let exact = if activation == Activation::Gelu { gelu(value) } else { value };
                let found = f64::from(found[row * self.columns + column]);
                // Half a code may be rounded either way in float32: a few codes' worth, beside float32's own rounding.
                let allowed = scale.abs() * 128.0 * 4.0 + 1e-5 * exact.abs().max(1.0);
                assert!(
                    (found - exact).abs() <= allowed,
                    "row {row}, column {column}: {found}, exactly {exact} ± {allowed}"
                );
            }
        }
    }
}

pub fn assert_bits(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(found.to_bits() == expected.to_bits(), "{what}: value {at} is {found:e}, the scalar one {expected:e}");
    }
}

/// `x Φ(x)`.
pub fn gelu(x: f64) -> f64 {
    let y = -x / std::f64::consts::SQRT_2;
    let z = y.abs();
    // The complement of the error function: a series where it is short, else a continued fraction.
    let complement = if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        1.0 - sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..80).rev().fold(0.0, |fraction, n| f64::from(n) / 2.0 / (z + fraction));
        (-z * z).exp() * std::f64::consts::FRAC_2_SQRT_PI / 2.0 / (z + fraction)
    };
    x / 2.0 * if y >= 0.0 { complement } else { 2.0 - complement }
}

pub fn attention(query: Matrix<'_>, key: Matrix<'_>, value: Matrix<'_>, head_size: usize) -> Vec<f64> {
    let hidden = query.width();
    let mut out = vec![0.0; query.rows() * hidden];
    for row in 0..query.rows() {
        for head in (0..hidden).step_by(head_size) {
            let channels = head..head + head_size;
            let scores: Vec<f64> = (0..key.rows())
                .map(|at| {
                    let pairs = query.row(row)[channels.clone()].iter().zip(&key.row(at)[channels.clone()]);
                    pairs.map(|(&q, &k)| f64::from(q) * f64::from(k)).sum::<f64>() / (head_size as f64).sqrt()
                })
                .collect();
            let greatest = scores.iter().copied().fold(f64::MIN, f64::max);
            let powers: Vec<f64> = scores.iter().map(|score| (score - greatest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            for channel in channels {
                out[row * hidden + channel] =
                    powers.iter().enumerate().map(|(at, power)| power / sum * f64::from(value.row(at)[channel])).sum();
            }
        }
    }
    out
}

/// Panics unless `found` is the norm of `x + residual`.
pub fn check_norm(x: &[f32], residual: &[f32], gamma: &[f32], beta: &[f32], found: &[f32]) {
    let hidden = gamma.len();
    for (row, found) in found.chunks(hidden).enumerate() {
        let sums: Vec<f64> =
            (0..hidden).map(|at| f64::from(x[row * hidden + at] + residual[row * hidden + at])).collect();
        let mean = sums.iter().sum::<f64>() / hidden as f64;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / hidden as f64;
        for (at, &found) in found.iter().enumerate() {
            let exact = (sums[at] - mean) / (variance + 1e-12).sqrt() * f64::from(gamma[at]) + f64::from(beta[at]);
            assert!(
                (f64::from(found) - exact).abs() <= 2e-5 * exact.abs().max(1.0),
                "channel {at}: {found}, exactly {exact}"
            );
        }
    }
}

/// Memory that ends where a page begins that may not be touched.
#[cfg(target_os = "linux")]
pub struct Guarded {
    pages: *mut u8,
    whole: usize,
    start: usize,
    length: usize,
}

#[cfg(target_os = "linux")]
mod libc {
    unsafe extern "C" {
        pub fn mmap(at: *mut u8, length: usize, access: i32, flags: i32, file: i32, offset: i64) -> *mut u8;
        pub fn mprotect(at: *mut u8, length: usize, access: i32) -> i32;
        pub fn munmap(at: *mut u8, length: usize) -> i32;
    }
}

#[cfg(target_os = "linux")]
impl Guarded {
    /// The most that a page has on the systems that tests run on.
    const PAGE: usize = 65_536;

    pub fn bytes(bytes: &[u8]) -> Self {
        let whole = bytes.len().next_multiple_of(Self::PAGE) + Self::PAGE;
        // SAFETY: new private memory, of which the last page is closed; the content fits before it.
        unsafe {
            let pages = libc::mmap(std::ptr::null_mut(), whole, 3, 0x22, -1, 0);
            assert!(pages.addr() != usize::MAX, "mmap fails");
            let end = whole - Self::PAGE;
            assert_eq!(libc::mprotect(pages.add(end), Self::PAGE, 0), 0);
            let start = end - bytes.len();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), pages.add(start), bytes.len());
            Self { pages, whole, start, length: bytes.len() }
        }
    }

    pub fn floats(floats: &[f32]) -> Self {
        Self::bytes(&floats.iter().flat_map(|float| float.to_ne_bytes()).collect::<Vec<u8>>())
    }

    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: `bytes` wrote them, and they live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.pages.add(self.start), self.length) }
    }

    pub fn as_floats(&self) -> &[f32] {
        // SAFETY: as above; a page's end less a number of floats is aligned for them.
        unsafe { std::slice::from_raw_parts(self.pages.add(self.start).cast(), self.length / 4) }
    }

    pub fn as_floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.pages.add(self.start).cast(), self.length / 4) }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: mapped by `bytes`.
        unsafe { libc::munmap(self.pages, self.whole) };
    }
}
