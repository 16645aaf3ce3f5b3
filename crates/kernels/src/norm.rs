//! Layer norm of a sum.

use crate::InstructionSet;
use crate::lanes::{Kernel, LANES, Lanes};

/// `norm(x + residual) * gamma + beta`, each row of `gamma.len()` floats by itself, to `out`.
///
/// `epsilon` is added to the variance. Panics if `x`, `residual` and `out` are not equally many whole rows.
pub fn norm_residual(
    set: InstructionSet,
    x: &[f32],
    residual: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    out: &mut [f32],
) {
    let hidden = gamma.len();
    assert!(hidden > 0 && beta.len() == hidden, "gamma and beta have a value for each of {hidden} channels");
    assert!(x.len().is_multiple_of(hidden), "x is whole rows of {hidden} channels");
    assert!(x.len() == residual.len() && x.len() == out.len(), "x, residual and out have as many values");
    set.call(Norm { x, residual, gamma, beta, epsilon, out });
}

struct Norm<'a> {
    x: &'a [f32],
    residual: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f32,
    out: &'a mut [f32],
}

impl Kernel for Norm<'_> {
    type Result = ();

    /// Three passes over a row, which stays in the nearest cache. Sums have 32 lanes: 16 for even blocks of 16
    /// channels, 16 for odd ones.
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let hidden = self.gamma.len();
        let rows = self.x.chunks_exact(hidden).zip(self.residual.chunks_exact(hidden));
        for ((x, residual), out) in rows.zip(self.out.chunks_exact_mut(hidden)) {
            let blocks = hidden.div_ceil(LANES);
            let mut sums = [l.splat(0.0); 2];
            for index in 0..blocks {
                let sum = l.add(l.load_nth(x, index), l.load_nth(residual, index));
                sums[index % 2] = l.add(sums[index % 2], sum);
                l.store_nth(sum, out, index);
            }
            let mean = l.sum(l.add(sums[0], sums[1])) / hidden as f32;
            let mut squares = [l.splat(0.0); 2];
            for (index, out) in out.chunks(LANES).enumerate() {
                // What is beyond the last channel adds nothing.
                let distance = l.sub(l.load_part(out, mean), l.splat(mean));
                squares[index % 2] = l.fma(distance, distance, squares[index % 2]);
            }
            let variance = l.sum(l.add(squares[0], squares[1])) / hidden as f32;
            let factor = l.splat(1.0 / (variance + self.epsilon).sqrt());
            for index in 0..blocks {
                let normed = l.mul(l.sub(l.load_nth(out, index), l.splat(mean)), factor);
                let value = l.fma(normed, l.load_nth(self.gamma, index), l.load_nth(self.beta, index));
                l.store_nth(value, out, index);
            }
        }
    }
}
