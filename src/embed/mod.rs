//! Texts to vectors: tokenise, run, pool, normalise.
//!
//! ```text
//! Request { texts, options }
//!   -> prepare   prefix, token ids, limit         Prepared: units, token counts, what was cut
//!   -> run       one unit a run, side by side     Embeddings: one vector a text
//! ```
//!
//! Invariants: a text's vector depends on the text, the options and the model alone, never on its
//! neighbours, its place or the number of threads; vectors come back in the texts' order.

mod engine;
mod pool;
pub mod pooling;
mod prepare;
pub mod session;
mod startup;
mod tokenizer;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use prepare::Prepared;
pub use session::{ORT_VERSION, Runtime};
pub use startup::Startup;
pub use tokenizer::{Token, Tokenizer};

use crate::error::{Error, Result};
use crate::model::Manifest;
use pool::Pool;

/// What a text is for; asymmetric models put an instruction before queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputType {
    Query,
    #[default]
    Passage,
}

/// What happens to a text that has more tokens than the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Truncate {
    /// The rest is cut off and the text reported.
    #[default]
    Cut,
    /// The request is refused.
    Refuse,
    /// The text is embedded in windows; its vector is the normalised mean of theirs.
    Mean,
}

/// Which end of a long text is kept when it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    #[default]
    Start,
    End,
}

/// How texts are embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub input_type: InputType,
    pub truncate: Truncate,
    pub keep: Keep,
    /// Whether vectors are scaled to length 1.
    pub normalize: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { input_type: InputType::default(), truncate: Truncate::default(), keep: Keep::default(), normalize: true }
    }
}

/// One vector a text, with what is to be told about it.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// `[texts][dimensions]`, of length 1 unless asked otherwise.
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
    /// From the first unit's queueing to the last one's vector.
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

/// Texts below this many bytes together are tokenised where the call runs; above, on a thread of its
/// own, so that other calls go on. Tokenising 16 KB takes about a millisecond.
const TOKENIZE_INLINE_BYTES: usize = 16 * 1024;

impl Embedder {
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// Token ids and limits for `texts`; nothing has run yet.
    ///
    /// # Errors
    /// A request error for a text beyond the model's limit under [`Truncate::Refuse`].
    pub async fn prepare(&self, texts: Vec<String>, options: Options) -> Result<Prepared> {
        if texts.iter().map(String::len).sum::<usize>() <= TOKENIZE_INLINE_BYTES {
            return Prepared::new(&self.0.tokenizer, &self.0.manifest, &texts, options);
        }
        let inner = Arc::clone(&self.0);
        let task =
            tokio::task::spawn_blocking(move || Prepared::new(&inner.tokenizer, &inner.manifest, &texts, options));
        task.await.map_err(|e| Error::internal("tokenising ended early", e))?
    }

    /// Runs what was prepared.
    pub async fn run(&self, prepared: Prepared) -> Result<Embeddings> {
        let started = Instant::now();
        let (units, outline) = prepared.into_units();
        let vectors = self.0.pool.run(units).await?;
        Ok(outline.assemble(vectors, started.elapsed()))
    }

    /// [`prepare`](Self::prepare) and [`run`](Self::run) in one.
    pub async fn embed(&self, texts: Vec<String>, options: Options) -> Result<Embeddings> {
        let prepared = self.prepare(texts, options).await?;
        self.run(prepared).await
    }

    /// The tokens of `text` as the model's tokenizer sees them, without prefix and limit.
    pub fn tokens(&self, text: &str, add_special_tokens: bool) -> Result<Vec<Token>> {
        self.0.tokenizer.tokens(text, add_special_tokens)
    }
}
