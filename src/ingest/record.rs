//! What is written for each chunk of a document; the one shape that every sink and both file formats share.

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// Fields beside the text (JSON, CSV), the heading above it, the page it is on.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// `[dimensions]`, of length 1.
    pub vector: Vec<f32>,
}
