//! The self-test: the first run of every start, whose vector is compared with the one in the manifest.
//!
//! ONNX Runtime chooses its int8 kernels by processor, and on some processors they were wrong: onnxruntime issues 6004
//! (AVX2), 19109 (Zen+), 26324 (AMX). A function on such a processor would answer every call with useless vectors. The
//! run also brings in the model's pages, so that no caller waits for them.

use crate::error::{Error, Result};
use crate::model::ModelFolder;

/// The text of the first run if the manifest has no self-test.
const WARM_UP: &str = "warm";

/// The smallest accepted cosine between the first vector and the manifest's. Models of this project's int8 recipe
/// reach 0.9988 or more on x86_64 and on arm64; the wrong kernels that were reported gave less than 0.9.
const LEAST_COSINE: f64 = 0.98;

/// The text of `folder`'s first run.
pub fn text(folder: &ModelFolder) -> &str {
    folder.manifest.self_test.as_ref().map_or(WARM_UP, |self_test| &self_test.text)
}

/// Compares the first run's `vector` with the manifest's.
///
/// # Errors
/// A model error that names the cosine and says what to do.
pub fn check(folder: &ModelFolder, vector: &[f32]) -> Result<()> {
    let Some(self_test) = &folder.manifest.self_test else { return Ok(()) };
    let cosine = cosine(vector, &self_test.vector);
    if cosine >= LEAST_COSINE {
        return Ok(());
    }
    Err(failed(folder, cosine))
}

fn failed(folder: &ModelFolder, cosine: f64) -> Error {
    let arch = std::env::consts::ARCH;
    folder.unusable(format!(
        "the self-test failed: its vector has cosine {cosine:.3} to the manifest's, and {LEAST_COSINE} is needed; this \
         processor ({arch}) or this ONNX Runtime computes the graph wrongly: use the other architecture, or build the \
         model again if its files were changed"
    ))
}

/// The cosine of two vectors; NaN, which fails every comparison, if one is zero or not finite.
fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_of_directions() {
        assert!((cosine(&[3.0, 4.0], &[6.0, 8.0]) - 1.0).abs() < 1e-12);
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5f64.sqrt()).abs() < 1e-12);
        assert!(cosine(&[0.0, 0.0], &[1.0, 0.0]).is_nan());
    }
}
