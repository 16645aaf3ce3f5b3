//! What is written of each record, and which model made its vector.

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
