//! Texts to vectors: tokenise, run, pool, normalise.
//!
//! ```text
//! texts, Options
//!   -> prepare   prefix, token ids, limit             Prepared: sequences, token counts, truncated texts
//!   -> run       one sequence a run, several at once  Embeddings: one vector a text
//! ```
//!
//! Invariants: a text's vector depends on the text, the options and the model alone, never on the other texts of the
//! request, its index or the number of threads. Vectors come back in the texts' order.

mod engine;
mod latency;
pub mod pooling;
mod prepare;
mod scheduler;
mod self_test;
/// The one module with `unsafe`; its documentation has the reasons.
#[allow(unsafe_code)]
pub mod session;
mod split_points;
mod startup;
mod tokenizer;
mod worker_pool;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use prepare::Prepared;
pub use session::{ORT_VERSION, Runtime};
pub use startup::Startup;
pub use tokenizer::{Token, Tokenizer};

use crate::concurrency::offload;
use crate::error::{Error, Kind, Result};
use crate::model::Manifest;
use worker_pool::Pool;

/// What a text is for; asymmetric models put an instruction before queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputType {
    Query,
    #[default]
    Passage,
}

impl InputType {
    /// The text that the model wants before a text of this type; may be empty.
    pub fn prefix(self, manifest: &Manifest) -> &str {
        match self {
            Self::Query => &manifest.query_prefix,
            Self::Passage => &manifest.passage_prefix,
        }
    }
}

/// What happens to a text that has more tokens than the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Truncation {
    /// The text is cut, and its index reported.
    #[default]
    Cut,
    /// The request is refused.
    Reject,
    /// The text is embedded in windows; its vector is the normalised mean of theirs.
    Mean,
}

/// Which end of a long text is kept when it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TruncationDirection {
    #[default]
    Right,
    Left,
}

/// How a run uses the cores: all of them for one text (intra-op), or one core while other texts run (inter-op).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parallelism {
    IntraOp,
    InterOp,
}

/// How texts are embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub input_type: InputType,
    pub truncation: Truncation,
    pub truncation_direction: TruncationDirection,
    /// Whether vectors are scaled to length 1.
    pub normalize: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input_type: InputType::default(),
            truncation: Truncation::default(),
            truncation_direction: TruncationDirection::default(),
            normalize: true,
        }
    }
}

/// One vector a text, and what the answer says about the texts.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// `[texts][dimensions]`, each of length 1 unless [`Options::normalize`] is off.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that went through the model for each text, special tokens included.
    pub tokens: Vec<usize>,
    /// Indices of the texts that were cut, ascending.
    pub truncated: Vec<usize>,
    pub timings: Timings,
}

/// Where a request's time went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    pub tokenize: Duration,
    /// From the first sequence's queueing to the last one's vector.
    pub inference: Duration,
}

/// A loaded model; cheap to clone, shared between calls.
#[derive(Clone)]
pub struct Embedder(Arc<Inner>);

struct Inner {
    manifest: Manifest,
    tokenizer: Tokenizer,
    pool: Pool,
}

/// Up to this many bytes ([`bytes_to_tokenise`]), texts are tokenised on the I/O thread; more go to another thread.
/// Tokenising 16 KB takes about a millisecond.
const TOKENIZE_INLINE_BYTES: usize = 16 * 1024;

/// The cost of tokenising `texts` behind `prefix`, in bytes. However short, a text costs as much as 16 bytes more.
pub fn bytes_to_tokenise(texts: &[String], prefix: &str) -> usize {
    const TEXT_OVERHEAD: usize = 16;
    texts.iter().map(|text| text.len() + prefix.len() + TEXT_OVERHEAD).sum()
}

impl Embedder {
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// Tokenises `texts` and applies the model's limit; runs nothing.
    ///
    /// # Errors
    /// A request error for a text beyond the model's limit under [`Truncation::Reject`].
    pub async fn prepare(&self, texts: Vec<String>, options: Options) -> Result<Prepared> {
        let prefix = options.input_type.prefix(self.manifest());
        let long = bytes_to_tokenise(&texts, prefix) > TOKENIZE_INLINE_BYTES;
        let inner = Arc::clone(&self.0);
        offload::spawn_blocking_if(long, "tokenising panicked", move |waiting| {
            Prepared::new(&inner.tokenizer, &inner.manifest, &texts, options, waiting)
        })
        .await
    }

    /// [`prepare`](Self::prepare) within `limit`; `None` sets no limit.
    ///
    /// # Errors
    /// [`Kind::Deadline`] when the time is over, and the errors of `prepare`.
    pub async fn prepare_within(
        &self,
        texts: Vec<String>,
        options: Options,
        limit: Option<Duration>,
    ) -> Result<Prepared> {
        tokenised_within(limit, self.prepare(texts, options)).await
    }

    /// Runs the model on the prepared sequences.
    pub async fn run(&self, prepared: Prepared) -> Result<Embeddings> {
        let started = Instant::now();
        let (sequences, outline) = prepared.into_sequences();
        let vectors = self.0.pool.run(sequences).await?;
        Ok(outline.assemble(vectors, started.elapsed()))
    }

    /// [`run`](Self::run) within `limit`; `None` sets no limit.
    ///
    /// # Errors
    /// [`Kind::Deadline`]: at once if, by the speed of earlier runs, it would take longer than `limit`; else when the
    /// time is over. Sequences that have not started by then never run.
    pub async fn run_within(&self, prepared: Prepared, limit: Option<Duration>) -> Result<Embeddings> {
        self.check_time(&prepared, limit)?;
        let Some(limit) = limit else { return self.run(prepared).await };
        let tokens = prepared.total_tokens();
        tokio::time::timeout(limit, self.run(prepared)).await.unwrap_or_else(|_| {
            Err(too_late(format!(
                "{tokens} tokens did not end before this call's deadline; send fewer texts at once, or raise the \
                 function's timeout or memory"
            )))
        })
    }

    /// Whether `prepared` can be run within `limit`, by the speed of earlier runs; `None` sets no limit.
    ///
    /// # Errors
    /// [`Kind::Deadline`] if it cannot.
    pub fn check_time(&self, prepared: &Prepared, limit: Option<Duration>) -> Result<()> {
        let (tokens, runs) = (prepared.total_tokens(), prepared.runs());
        let Some((limit, expected)) =
            limit.and_then(|limit| Some((limit, self.0.pool.estimate_beyond(tokens, runs, limit)?)))
        else {
            return Ok(());
        };
        Err(too_late(format!(
            "{tokens} tokens would take about {:.1} s, and {:.1} s are left before this call's deadline; send \
             fewer texts at once, or raise the function's timeout or memory",
            expected.as_secs_f32(),
            limit.as_secs_f32()
        )))
    }

    /// The number of runs of the model that have ended.
    pub fn runs(&self) -> u64 {
        self.0.pool.runs()
    }

    /// [`prepare`](Self::prepare), then [`run`](Self::run).
    pub async fn embed(&self, texts: Vec<String>, options: Options) -> Result<Embeddings> {
        let prepared = self.prepare(texts, options).await?;
        self.run(prepared).await
    }

    /// The tokens of `text` as the model's tokenizer sees them, without prefix; see [`Tokenizer::tokens`].
    pub fn tokens(
        &self,
        text: &str,
        add_special_tokens: bool,
        more: impl FnMut(usize) -> Result<bool>,
    ) -> Result<Vec<Token>> {
        self.0.tokenizer.tokens(text, add_special_tokens, more)
    }
}

/// `work`, which tokenises, within `limit`; `None` sets no limit.
///
/// # Errors
/// [`Kind::Deadline`] when the time is over, and the errors of `work`.
pub async fn tokenised_within<T>(limit: Option<Duration>, work: impl Future<Output = Result<T>>) -> Result<T> {
    match limit {
        None => work.await,
        Some(Duration::ZERO) => Err(too_late("no time is left before this call's deadline".to_owned())),
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(too_late(
                "the texts could not be tokenised before this call's deadline; send fewer texts at once".to_owned(),
            ))
        }),
    }
}

fn too_late(message: String) -> Error {
    Error::Later { kind: Kind::Deadline, message }
}
