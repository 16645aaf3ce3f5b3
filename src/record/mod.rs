//! What documents and stores speak of: changes, documents, records with their fields, versions, the store trait.

mod change;
mod field;
mod output_layout;
mod source_version;
mod vector_store;

use std::collections::BTreeMap;

pub use change::{Change, ChangeKind};
pub use field::{FIELDS, Field, FieldType, FieldValue, Metadata, Presence, RecordKind, Row};
pub use output_layout::OutputLayout;
pub use source_version::{SourceVersion, VersionOrder, compare_sequencers};
pub use vector_store::{DocumentWriter, Existing, VectorStore, WriteError, WriteRequest};

use crate::model::Manifest;

/// An object that is, or was, a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub bucket: String,
    /// As S3 names it, decoded.
    pub key: String,
    pub version: Option<String>,
    /// Without quotes.
    pub etag: String,
    /// The order of the event among those of the same key (hexadecimal digits); `None` where the event has none.
    pub sequencer: Option<String>,
    /// Seconds since 1970.
    pub last_modified: i64,
    pub content_type: Option<String>,
    /// Bytes as stored.
    pub size: u64,
    /// The object's `x-amz-meta-` entries.
    pub metadata: BTreeMap<String, String>,
}

/// Where a chunk stands in its document; fields that do not apply to a format are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Of a PDF or a slide, from 1.
    pub page: Option<u32>,
    /// Of the document.
    pub title: Option<String>,
    /// The headings above the text, outermost first; a sheet's name, an attachment's.
    pub headings: Vec<String>,
    /// The number of the record in JSON, JSON Lines or CSV, from 0; skipped records count.
    pub record: Option<u64>,
    /// What the document says of itself; `None` where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}

/// What a document says of itself (office formats, e-books, mail). These are claims: nobody has checked them.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Properties {
    pub title: Option<String>,
    pub author: Option<String>,
    /// When it was last changed, or a mail was sent: RFC 3339, or what the document has in its place.
    pub modified: Option<String>,
}

impl Properties {
    /// The properties that there are, by their names in a record's metadata.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("author", &self.author), ("modified", &self.modified), ("title", &self.title)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// One chunk with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// UUIDv5 of bucket, key and chunk index: the same chunk of a newer version replaces it.
    pub id: uuid::Uuid,
    /// The chunk's number in its document, from 0.
    pub chunk: usize,
    /// Characters (Unicode scalar values) of the extracted text, `[start, end)`.
    pub start: usize,
    pub end: usize,
    /// Tokens that went through the model, special tokens included.
    pub tokens: usize,
    pub text: String,
    pub place: Place,
    /// The source record's other fields (JSON, JSON Lines, CSV).
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// `[dimensions]`, of length 1.
    pub vector: Vec<f32>,
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

impl Document {
    /// `s3://bucket/key`.
    pub fn uri(&self) -> String {
        Self::uri_of(&self.bucket, &self.key)
    }

    pub fn uri_of(bucket: &str, key: &str) -> String {
        format!("s3://{bucket}/{key}")
    }
}

impl Record {
    /// The id of chunk `index` of a document: UUIDv5 of `s3://bucket/key#index` in the namespace of URLs.
    pub fn id_of(bucket: &str, key: &str, index: usize) -> uuid::Uuid {
        let name = format!("{}#{index}", Document::uri_of(bucket, key));
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users' databases hold these ids already; they are `uuid.uuid5(uuid.NAMESPACE_URL, …)` of Python.
    #[test]
    fn a_chunk_keeps_its_id() {
        for (index, id) in [(0, "2df80541-68df-5530-8a59-52a7cf60775e"), (1, "b1279bec-2f36-520b-bad2-20f81e421eb1")] {
            assert_eq!(Record::id_of("b", "docs/a.txt", index).to_string(), id);
        }
    }
}
