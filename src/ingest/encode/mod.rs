//! Records to the bytes of one output object, in parts that can be written while later records are still being made.
//!
//! ```text
//! encoder -> push(records) … take() -> bytes          uploaded as they come
//!                          state() + take()           a later invocation goes on: encoder(…, resumed)
//!                          finish() -> last bytes
//! ```
//!
//! Invariants: the bytes depend on the records and on where they were checkpointed alone; what `take` returned is
//! never changed by what follows.

mod document_vector;
mod jsonl;
mod parquet;

use crate::error::{Error, Result};
use crate::ingest::record::{Document, Record};
use crate::model::Manifest;

/// The two formats of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputFormat {
    #[default]
    JsonLines,
    Parquet,
}

/// How a vector stands in JSON; Parquet holds it as floats always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VectorEncoding {
    #[default]
    Numbers,
    /// Base64 of little-endian float32, as OpenAI's API has it.
    Base64,
}

/// What is written beside the vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeOptions {
    pub format: OutputFormat,
    pub vector: VectorEncoding,
    /// Whether a record carries its text.
    pub text: bool,
    /// Whether a last record follows with the document's own vector: the mean of the chunks', of length 1.
    pub document_vector: bool,
    /// Chunks of the whole document, where that is known before the first record is written.
    pub chunks: Option<usize>,
}

/// The model that made the vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    pub id: String,
    pub revision: String,
    /// sha256 of the model's file, lower-case hex.
    pub hash: String,
    pub dimensions: usize,
}

impl ModelRef {
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id.clone(),
            revision: manifest.revision.clone(),
            hash: manifest.files.model.sha256.clone(),
            dimensions: manifest.dimensions,
        }
    }
}

/// One output object in the making.
pub trait Encoder: Send {
    /// Adds records, in the chunks' order.
    fn push(&mut self, records: &[Record]) -> Result<()>;

    /// The bytes that are final and were not taken yet.
    fn take(&mut self) -> Vec<u8>;

    /// Closes what is open and returns what a later [`encoder`] needs to go on after every record pushed so
    /// far; the bytes before it are those of all `take`s, one after this call included.
    fn state(&mut self) -> Result<Vec<u8>>;

    /// The bytes that are left, after the last record.
    fn finish(self: Box<Self>) -> Result<Vec<u8>>;
}

/// An encoder for `document`'s records; `resumed` is the [`state`](Encoder::state) of the one that began.
///
/// # Errors
/// A state that is not one, or that another format or model left.
pub fn encoder(
    document: &Document,
    model: &ModelRef,
    options: &EncodeOptions,
    resumed: Option<&[u8]>,
) -> Result<Box<dyn Encoder>> {
    Ok(match options.format {
        OutputFormat::JsonLines => Box::new(jsonl::JsonLines::new(document, model, options, resumed)?),
        OutputFormat::Parquet => Box::new(parquet::Parquet::new(document, model, options, resumed)?),
    })
}

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Chunk,
    Document,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Document => "document",
        }
    }
}

/// What stands in a file beside each record, the same for all of them.
#[derive(Debug, Clone)]
struct Constants {
    document: Document,
    model: ModelRef,
    chunks: Option<usize>,
    text: bool,
}

impl Constants {
    fn new(document: &Document, model: &ModelRef, options: &EncodeOptions) -> Self {
        Self { document: document.clone(), model: model.clone(), chunks: options.chunks, text: options.text }
    }
}

fn bad_state(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("the checkpoint's encoder state is not this version's", why)
}
