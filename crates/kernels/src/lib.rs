//! The arithmetic of a BERT encoder for one text: int8 products, attention, norms.
//!
//! ```text
//! int8 codes, scales, bias -- pack, at build time --> packed weights, used where the file is mapped
//!
//! rows -- Product::quantize --> Quantized -- Product::multiply --> rows (bias and gelu included)
//! rows -- attention, norm_residual, feed_forward --> rows
//! ```
//!
//! Rows are float32, one after another. Every kernel is written once over sixteen lanes ([`lanes`]); a file for each
//! instruction set says what the lanes are: `scalar`, `avx2`, `avx_vnni`, `avx512`, `neon`.
//! [`scalar`](InstructionSet::Scalar) is plain Rust and is the specification: all others give the same bits, because
//! integer sums are exact and the order of float operations does not depend on the width of a register.
//!
//! A row's result depends on that row alone (in attention, on the rows of its text), so a text's vector depends on no
//! neighbour. Nothing here starts a thread: [`Output::split`] parts the columns of a result for threads of the
//! caller's.
//!
//! Values are taken to be finite. With others results are unspecified, but nothing else happens.

// A block's loops run over rows and panels, which index several arrays at once.
#![allow(clippy::needless_range_loop)]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod feed_forward;
mod gelu;
mod instruction_set;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod norm;
mod output;
mod pack;
mod packed;
mod pairs;
mod product;
mod quantize;
mod scalar;

pub use attention::{MOST_HEAD, attention};
pub use feed_forward::FeedForward;
pub use instruction_set::InstructionSet;
pub use norm::norm_residual;
pub use output::Output;
pub use pack::{Weights, pack};
pub use packed::{ALIGNMENT, Error, VERSION};
pub use product::{Activation, Product};
pub use quantize::Quantized;
