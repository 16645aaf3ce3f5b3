//! Gaussian error linear unit, `x * Φ(x)`, by a polynomial.

use crate::lanes::Lanes;

/// Beyond this `Φ` is 0 or 1 to 1e-7.
const LIMIT: f32 = 5.2;

/// `Φ(x) - 1/2 = x * P(s)` with `s = 2 x² / LIMIT² - 1`, which runs from -1 to 1 and so keeps all terms small.
/// Coefficients of the polynomial with the smallest largest error, weighted by `x²`; the constant one first.
const COEFFICIENTS: [f32; 14] = [
    0.13594998,
    -0.06774361,
    0.050025396,
    -0.03993221,
    0.03197765,
    -0.024698718,
    0.018016418,
    -0.012611468,
    0.008423563,
    -0.0045757694,
    0.0019366571,
    -0.001421243,
    0.0012181044,
    -0.00041093517,
];

/// gelu of every lane, within 1e-6 (of the value where that is above 1).
#[inline(always)]
pub fn gelu<L: Lanes, const N: usize>(l: L, values: &mut [L::Floats; N]) {
    let (mut low, mut x, mut s) = (*values, *values, *values);
    for i in 0..N {
        low[i] = l.max(values[i], l.splat(-LIMIT));
        x[i] = l.min(low[i], l.splat(LIMIT));
        s[i] = l.fma(l.mul(x[i], x[i]), l.splat(2.0 / (LIMIT * LIMIT)), l.splat(-1.0));
    }
    let mut p = [l.splat(COEFFICIENTS[13]); N];
    for &coefficient in COEFFICIENTS[..13].iter().rev() {
        for i in 0..N {
            p[i] = l.fma(p[i], s[i], l.splat(coefficient));
        }
    }
    for i in 0..N {
        values[i] = l.mul(low[i], l.fma(p[i], x[i], l.splat(0.5)));
    }
}
