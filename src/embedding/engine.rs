//! One model's two sessions, and which of them runs a text.
//!
//! | parallelism | session | why |
//! |---|---|---|
//! | intra-op: one text alone | all threads share one run | shortest answer |
//! | inter-op: several texts | one thread a run, several runs at once | most texts a second: no thread waits for another |
//!
//! Both sessions use the weights where they are mapped. The second one is built when it first pays off: a function
//! that answers single queries never builds it. With one thread, one session serves both.
//!
//! A session outlives a failed run: ONNX Runtime keeps a run's state in that run's own frame.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Parallelism;
use super::session::{MappedFile, Output, Runtime, TextSession};
use crate::error::Result;

/// Inter-op runs before the second session is built. Building it takes as long as running about this many texts of 45
/// tokens on two cores.
const PAYS_FROM_RUNS: usize = 8;

/// A loaded graph; shared between threads.
pub struct Engine {
    runtime: Runtime,
    graph: Arc<MappedFile>,
    intra_op: TextSession,
    inter_op: OnceLock<TextSession>,
    inter_op_runs: AtomicUsize,
    threads: usize,
}

impl Engine {
    /// Builds the intra-op session over `graph` with `threads` threads.
    ///
    /// # Errors
    /// A sentence on what is wrong with the graph.
    pub fn new(runtime: Runtime, graph: Arc<MappedFile>, threads: usize) -> Result<Self, String> {
        let intra_op = TextSession::build(&runtime, Arc::clone(&graph), threads)?;
        Ok(Self { runtime, graph, intra_op, inter_op: OnceLock::new(), inter_op_runs: AtomicUsize::new(0), threads })
    }

    /// Runs one text's ids; see [`TextSession::run`].
    pub fn run(&self, ids: &[u32], parallelism: Parallelism) -> Result<Output> {
        match parallelism {
            Parallelism::IntraOp => &self.intra_op,
            Parallelism::InterOp => self.inter_op_session(),
        }
        .run(ids)
    }

    fn inter_op_session(&self) -> &TextSession {
        // Exactly one caller sees this count and builds; the others go on with the session that there is.
        if self.threads > 1 && self.inter_op_runs.fetch_add(1, Ordering::Relaxed) == PAYS_FROM_RUNS {
            match TextSession::build(&self.runtime, Arc::clone(&self.graph), 1) {
                Ok(session) => drop(self.inter_op.set(session)),
                Err(cause) => tracing::warn!(cause, "the inter-op session cannot be built; the first session runs all"),
            }
        }
        self.inter_op.get().unwrap_or(&self.intra_op)
    }
}
