//! One model's sessions, and which of them a text runs on.
//!
//! | parallelism | session | why |
//! |---|---|---|
//! | a lone text | all threads for one run | shortest answer |
//! | texts side by side | one thread a run, runs at once | most texts a second: no thread waits for another |
//!
//! Both use the weights where they are mapped. The second session is built when it first pays: a
//! function that answers single queries never has it. On one thread the two are one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Parallelism;
use super::session::{MappedFile, Output, Runtime, TextSession};
use super::session_holder::SessionHolder;
use crate::error::Result;

/// Runs beside others before the second session is built: building takes about as long as running
/// this many texts of 45 tokens on two cores.
const PAYS_FROM_RUNS: usize = 8;

/// A loaded graph; shared between threads.
pub struct Engine {
    runtime: Runtime,
    graph: Arc<MappedFile>,
    intra_op: SessionHolder<TextSession>,
    inter_op: OnceLock<SessionHolder<TextSession>>,
    inter_op_runs: AtomicUsize,
    threads: usize,
    discarded: Arc<AtomicUsize>,
}

impl Engine {
    /// Builds the lone text's session over `graph` with `threads` threads.
    ///
    /// # Errors
    /// A sentence on what is wrong with the graph.
    pub fn new(runtime: Runtime, graph: Arc<MappedFile>, threads: usize) -> Result<Self, String> {
        let discarded = Arc::default();
        let intra_op =
            SessionHolder::new(TextSession::build(&runtime, Arc::clone(&graph), threads)?, Arc::clone(&discarded));
        let inter_op_runs = AtomicUsize::new(0);
        Ok(Self { runtime, graph, intra_op, inter_op: OnceLock::new(), inter_op_runs, threads, discarded })
    }

    /// The count of sessions that were given up after a failed run.
    pub fn discarded(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.discarded)
    }

    /// Runs one text's ids; see [`TextSession::run`].
    pub fn run(&self, ids: &[u32], parallelism: Parallelism) -> Result<Output> {
        let (holder, threads) = match parallelism {
            Parallelism::IntraOp => (&self.intra_op, self.threads),
            Parallelism::InterOp => self.inter_op_session(),
        };
        holder.run(|| self.build(threads), |session| session.run(ids))
    }

    fn inter_op_session(&self) -> (&SessionHolder<TextSession>, usize) {
        if self.threads == 1 {
            return (&self.intra_op, 1);
        }
        // Exactly one caller sees this count and builds; the others go on with what there is.
        if self.inter_op_runs.fetch_add(1, Ordering::Relaxed) == PAYS_FROM_RUNS {
            match self.build(1) {
                Ok(session) => drop(self.inter_op.set(SessionHolder::new(session, self.discarded()))),
                Err(cause) => tracing::warn!(cause, "no session for texts side by side; the first one serves all"),
            }
        }
        self.inter_op.get().map_or((&self.intra_op, self.threads), |inter_op| (inter_op, 1))
    }

    fn build(&self, threads: usize) -> Result<TextSession, String> {
        TextSession::build(&self.runtime, Arc::clone(&self.graph), threads)
    }
}
