//! The first run of a start: no caller waits for its page faults, and its vector shows whether this processor
//! computes what the model's makers did.
//!
//! ONNX Runtime picks its int8 kernels by processor, and they have been wrong on some: onnxruntime issues 6004
//! (AVX2), 19109 (Zen+), 26324 (AMX). Such a function answers every call, with vectors that find nothing.

use crate::error::{Error, Result};
use crate::model::ModelFolder;

/// What is embedded where the manifest has no probe: as short as a run can be.
const WARM_UP: &str = "warm";

/// The least cosine between the first vector and the probe's. int8 models of this project's recipe are at 0.9988
/// and above on x86_64 and on arm64; what has gone wrong anywhere was below 0.9.
const LEAST_COSINE: f64 = 0.98;

/// The text of `folder`'s first run.
pub fn text(folder: &ModelFolder) -> &str {
    folder.manifest.self_test.as_ref().map_or(WARM_UP, |self_test| &self_test.text)
}

/// Compares `vector`, what the first run gave, to the probe's.
///
/// # Errors
/// A model error that names the cosine and what to do.
pub fn check(folder: &ModelFolder, vector: &[f32]) -> Result<()> {
    let Some(self_test) = &folder.manifest.self_test else { return Ok(()) };
    let cosine = cosine(vector, &self_test.vector);
    if cosine >= LEAST_COSINE {
        return Ok(());
    }
    Err(unlike(folder, cosine))
}

fn unlike(folder: &ModelFolder, cosine: f64) -> Error {
    let arch = std::env::consts::ARCH;
    folder.unusable(format!(
        "its first vector is not the one that its makers had (cosine {cosine:.3}, at least {LEAST_COSINE} is right): \
         this processor ({arch}) or this ONNX Runtime computes the graph wrongly; use the other architecture, or \
         build the model anew if its files were changed"
    ))
}

/// NaN where one is zero, or not finite, which is no cosine to be content with.
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
