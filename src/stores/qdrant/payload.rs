//! What a point carries beside its vector: the chunk, its source, and the number of its writing.
//!
//! Names are those of JSON Lines (docs/documents.md), with `source` for filters and `embed` for us.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::record::{Document, ModelRef, Record, WriteRequest};

/// The payload's field that names a document, `s3://bucket/key`; indexed.
pub const SOURCE: &str = "source";

/// The payload's field that holds the number of the writing; indexed.
pub const GENERATION: &str = "embed.writing";

/// A point as Qdrant takes it.
#[derive(Serialize)]
struct Point<'a> {
    id: uuid::Uuid,
    vector: &'a [f32],
    payload: Payload<'a>,
}

#[derive(Serialize)]
struct Payload<'a> {
    source: String,
    bucket: &'a str,
    key: &'a str,
    version: Option<&'a str>,
    etag: &'a str,
    /// Seconds since 1970.
    last_modified: i64,
    content_type: Option<&'a str>,
    chunk: usize,
    chunks: usize,
    start: usize,
    end: usize,
    tokens: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    page: Option<u32>,
    title: Option<&'a str>,
    headings: &'a [String],
    record: Option<u64>,
    fields: &'a Map<String, Value>,
    metadata: &'a BTreeMap<String, String>,
    model: &'a str,
    model_revision: &'a str,
    model_sha256: &'a str,
    embed: Value,
}

/// The value of [`SOURCE`].
pub fn source(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// The point of `record` as JSON; `embed` is its [`GENERATION`] and what belongs to it.
///
/// # Errors
/// A record that is no JSON, which a vector with values that are no numbers would be.
pub fn point(
    request: &WriteRequest<'_>,
    record: &Record,
    model: &ModelRef,
    text: bool,
    embed: Value,
) -> Result<String> {
    let Document { bucket, key, version, etag, last_modified, content_type, metadata, .. } = request.document;
    let payload = Payload {
        source: source(bucket, key),
        bucket,
        key,
        version: version.as_deref(),
        etag,
        last_modified: *last_modified,
        content_type: content_type.as_deref(),
        chunk: record.chunk,
        chunks: request.chunks,
        start: record.start,
        end: record.end,
        tokens: record.tokens,
        text: text.then_some(record.text.as_str()),
        page: record.place.page,
        title: record.place.title.as_deref(),
        headings: &record.place.headings,
        record: record.place.record,
        fields: &record.fields,
        metadata,
        model: &model.id,
        model_revision: &model.revision,
        model_sha256: &model.hash,
        embed,
    };
    let point = Point { id: record.id, vector: &record.vector, payload };
    serde_json::to_string(&point).map_err(|e| Error::internal("a point is no JSON", e))
}

/// A condition: points of this document.
pub fn of_document(bucket: &str, key: &str) -> Value {
    json!({"key": SOURCE, "match": {"value": source(bucket, key)}})
}
