//! One model's sessions, and which of them a text runs on.
//!
//! | company | session | why |
//! |---|---|---|
//! | a lone text | all threads for one run | shortest answer |
//! | texts side by side | one thread a run, runs at once | most texts a second: no thread waits for another |
//!
//! Both use the weights where they are mapped. The second session is built when it first pays: a
//! function that answers single queries never has it. On one thread the two are one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Company;
use super::session::{MappedFile, Output, Runtime, TextSession};
use super::session_holder::Slot;
use crate::error::Result;

/// Runs beside others before the second session is built: building takes about as long as running
/// this many texts of 45 tokens on two cores.
const PAYS_FROM_RUNS: usize = 8;

/// A loaded graph; shared between threads.
pub struct Engine {
    runtime: Runtime,
    graph: Arc<MappedFile>,
    lone: Slot<TextSession>,
    beside: OnceLock<Slot<TextSession>>,
    runs_beside: AtomicUsize,
    threads: usize,
    given_up: Arc<AtomicUsize>,
}

impl Engine {
    /// Builds the lone text's session over `graph` with `threads` threads.
    ///
    /// # Errors
    /// A sentence on what is wrong with the graph.
    pub fn new(runtime: Runtime, graph: Arc<MappedFile>, threads: usize) -> Result<Self, String> {
        let given_up = Arc::default();
        let lone = Slot::new(TextSession::build(&runtime, Arc::clone(&graph), threads)?, Arc::clone(&given_up));
        let runs_beside = AtomicUsize::new(0);
        Ok(Self { runtime, graph, lone, beside: OnceLock::new(), runs_beside, threads, given_up })
    }

    /// The count of sessions that were given up after a failed run.
    pub fn given_up(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.given_up)
    }

    /// Runs one text's ids; see [`TextSession::run`].
    pub fn run(&self, ids: &[u32], company: Company) -> Result<Output> {
        let (slot, threads) = match company {
            Company::Alone => (&self.lone, self.threads),
            Company::Beside => self.for_company(),
        };
        slot.run(|| self.build(threads), |session| session.run(ids))
    }

    fn for_company(&self) -> (&Slot<TextSession>, usize) {
        if self.threads == 1 {
            return (&self.lone, 1);
        }
        // Exactly one caller sees this count and builds; the others go on with what there is.
        if self.runs_beside.fetch_add(1, Ordering::Relaxed) == PAYS_FROM_RUNS {
            match self.build(1) {
                Ok(session) => drop(self.beside.set(Slot::new(session, self.given_up()))),
                Err(cause) => tracing::warn!(cause, "no session for texts side by side; the first one serves all"),
            }
        }
        self.beside.get().map_or((&self.lone, self.threads), |beside| (beside, 1))
    }

    fn build(&self, threads: usize) -> Result<TextSession, String> {
        TextSession::build(&self.runtime, Arc::clone(&self.graph), threads)
    }
}
