//! Operators of our own for an ONNX Runtime session: thin adapters from its tensors to the slices of the `kernels` crate.
//!
//! | operator | inputs | attributes | output |
//! |---|---|---|---|
//! | `Product` | x `[1, n, in]` float, weights `[bytes]` uint8 | | `[1, n, out]` float |
//! | `FeedForward` | x `[1, n, hidden]` float, two products' weights uint8 | | the products with gelu between them, `[1, n, hidden]` float |
//! | `Attention` | qkv `[1, n, 3 * hidden]` float | `heads`; `queries`: how many of the first rows ask, 0 (default) for all | `[1, queries, hidden]` float |
//! | `NormResidual` | x and residual of as many values, gamma and beta `[hidden]`, float | `epsilon` | x's shape, float |
//! | `Pack` | codes `[in, out]` int8, scales `[out]`, bias `[out]`, input scale `[in]`, float | | `[bytes]` uint8, as `Product` takes it |
//!
//! `Pack` runs when a model is made, never in the function. Weights are used where the session has them, so in a mapped
//! model nothing is copied and nothing is prepared at start. A kernel must change nothing of its own when it runs, so a
//! session may run on several threads at once.
//!
//! The kernels panic on sizes that do not fit, and a panic below ONNX Runtime ends the process. So every size is checked
//! here first, and a graph that is wrong gets an error with a sentence.

mod attention;
mod feed_forward;
mod norm;
mod product;
mod tensor;
mod threads;
mod weights;

use ort::Result;
use ort::operator::OperatorDomain;

pub use kernels::InstructionSet;

/// The operators' name space in a graph.
const DOMAIN: &str = "lambda_embed";

/// The version of the operators, of their arithmetic and of their weights' packed form.
pub const VERSION: u32 = kernels::VERSION;

/// How the operators of one session run.
#[derive(Clone, Copy)]
struct Setup {
    set: InstructionSet,
    /// Threads that a run may use.
    threads: usize,
}

/// The operators for a session whose runs use `threads` threads and the instructions of `set`, which this machine must
/// have.
///
/// # Errors
/// ONNX Runtime's. Its library must be loaded.
pub fn domain(threads: usize, set: InstructionSet) -> Result<OperatorDomain> {
    let setup = Setup { set, threads };
    OperatorDomain::new(DOMAIN)?
        .add(product::ProductOperator(setup))?
        .add(feed_forward::FeedForwardOperator(setup))?
        .add(attention::AttentionOperator(setup))?
        .add(norm::NormOperator(setup))?
        .add(product::PackOperator)
}
