//! What is written for each chunk of a document; the one shape that every store and both file formats share.

mod change;
mod output;
mod output_layout;
mod source_version;
mod vector_store;

use std::collections::BTreeMap;

use serde::Serialize;

pub use change::{Change, ChangeKind};
pub use output::{EncodeOptions, ModelRef, OutputFormat, VectorEncoding};
pub use output_layout::OutputLayout;
pub use source_version::{SourceVersion, VersionOrder, compare_sequencers};
pub use vector_store::{DocumentWriter, End, Existing, StoreFuture, VectorStore, WriteError, WriteRequest};

/// An object that is, or was, a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    pub bucket: String,
    /// As S3 names it, decoded.
    pub key: String,
    pub version: Option<String>,
    /// Without quotes.
    pub etag: String,
    /// The event's order among those of the same key (hexadecimal digits); `None` where the source has none.
    pub sequencer: Option<String>,
    /// Seconds since 1970.
    pub last_modified: i64,
    pub content_type: Option<String>,
    /// Bytes as stored.
    pub size: u64,
    /// The object's own `x-amz-meta-` entries.
    pub metadata: BTreeMap<String, String>,
}

/// Where in its document a chunk stands; what does not apply to a format is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Of a PDF, from 1.
    pub page: Option<u32>,
    /// Of an HTML document.
    pub title: Option<String>,
    /// The headings above the text, outermost first (Markdown, HTML).
    pub headings: Vec<String>,
    /// Which record of JSON, JSON Lines or CSV, from 0, those that were left out included.
    pub record: Option<u64>,
}

/// One chunk with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// UUIDv5 of bucket, key and chunk index: the same chunk of a newer version replaces it.
    pub id: uuid::Uuid,
    /// Place among the document's chunks, from 0.
    pub chunk: usize,
    /// Characters (Unicode scalar values) of the extracted text, `[start, end)`.
    pub start: usize,
    pub end: usize,
    /// Tokens that went through the model, special tokens included.
    pub tokens: usize,
    pub text: String,
    pub place: Place,
    /// Fields beside the text (JSON, JSON Lines, CSV).
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// `[dimensions]`, of length 1.
    pub vector: Vec<f32>,
}

impl Record {
    /// The id of chunk `index` of a document: UUIDv5 of `s3://bucket/key#index` in the namespace of URLs.
    pub fn id_of(bucket: &str, key: &str, index: usize) -> uuid::Uuid {
        let name = format!("s3://{bucket}/{key}#{index}");
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What users' databases hold already: these are `uuid.uuid5(uuid.NAMESPACE_URL, …)` of Python.
    #[test]
    fn a_chunk_keeps_its_id() {
        for (index, id) in [(0, "2df80541-68df-5530-8a59-52a7cf60775e"), (1, "b1279bec-2f36-520b-bad2-20f81e421eb1")] {
            assert_eq!(Record::id_of("b", "docs/a.txt", index).to_string(), id);
        }
    }
}
