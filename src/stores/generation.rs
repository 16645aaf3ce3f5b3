//! The head of a document, which its first point holds in stores without transactions: generation and version.
//!
//! A *generation* is a number that all points of one attempt carry. Attempts at the same version share it, because
//! they write the same. It only grows: of two points of a document the one with the higher number is newer.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::StoreError;
use crate::record::{Existing, Record, SourceVersion, WriteError, WriteRequest};

/// The entry `embed` of the first point's payload or metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentHead {
    #[serde(rename = "writing")]
    pub generation: u64,
    /// Of one version under one configuration: [`version_id`].
    #[serde(rename = "mark")]
    pub version_id: String,
    /// Chunks that there are at most, those of older versions and unfinished attempts included. Qdrant, which deletes
    /// by a filter and needs no such number, has 0 until it is known.
    pub chunks: usize,
    /// [`SourceVersion::entries`]; absent until every point is there.
    #[serde(rename = "stamp", default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<BTreeMap<String, String>>,
}

impl DocumentHead {
    /// The head in the tag, where [`existing`](Self::existing) puts it.
    pub fn of(existing: &Existing) -> Option<Self> {
        existing.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok())
    }

    /// What [`VectorStore::get`](crate::record::VectorStore::get) says of a document with this head.
    pub fn existing(head: Option<Self>) -> Existing {
        let Some(head) = head else { return Existing::default() };
        let source_version = head
            .source_version
            .as_ref()
            .and_then(|source_version| SourceVersion::read(|name| source_version.get(name).map(String::as_str)));
        Existing { source_version, tag: serde_json::to_string(&head).ok(), chunks: Some(head.chunks) }
    }

    /// Whether an unfinished attempt at `version_id` wrote it, so that another attempt can continue its generation.
    fn is_begun(&self, version_id: &str) -> bool {
        self.source_version.is_none() && self.version_id == version_id
    }
}

/// The generation that a writer writes: a new one, or one that it continues.
#[derive(Debug, PartialEq, Eq)]
pub struct Generation {
    /// The head that `get` found.
    pub previous: Option<DocumentHead>,
    /// This generation's head, until its last point is there.
    pub head: DocumentHead,
    /// Whether the first point carries this generation's number already.
    pub claimed: bool,
}

impl Generation {
    /// Starts to write what `request` asks for over `existing`; with the [`state`](Self::state) of an earlier call it
    /// continues that call's generation.
    ///
    /// # Errors
    /// [`WriteError::StaleCheckpoint`] when that generation is not what `existing` speaks of any more.
    pub fn of(request: &WriteRequest<'_>, existing: &Existing, state: Option<&Value>) -> Result<Self, WriteError> {
        let (previous, version_id) = (DocumentHead::of(existing), version_id(request.source_version));
        let begun = previous.as_ref().filter(|head| head.is_begun(&version_id)).map(|head| head.generation);
        if let Some(state) = state
            && (begun.is_none() || state["writing"].as_u64() != begun)
        {
            return Err(WriteError::StaleCheckpoint(StoreError::permanent(
                "someone else wrote to the document meanwhile",
            )));
        }
        let generation = begun.unwrap_or_else(|| next_generation(previous.as_ref().map(|head| head.generation)));
        let chunks = request.chunks.unwrap_or_default();
        let head = DocumentHead { generation, version_id, chunks, source_version: None };
        Ok(Self { previous, head, claimed: begun.is_some() })
    }

    pub fn number(&self) -> u64 {
        self.head.generation
    }

    /// The state with which a later call continues.
    pub fn state(&self) -> Value {
        json!({"writing": self.number()})
    }

    /// Whether `record` is in the store already: whoever claims a document does so with its first point.
    pub fn is_put(&self, record: &Record) -> bool {
        record.chunk == 0 && self.claimed
    }

    /// Whether `current`, the document's head, is this generation's.
    pub fn is_current(&self, current: Option<DocumentHead>) -> bool {
        current.is_some_and(|current| current.generation == self.number())
    }

    /// The head of the finished document, which has `chunks` points.
    pub fn finished(&self, chunks: usize, source_version: &SourceVersion) -> DocumentHead {
        DocumentHead { chunks, source_version: Some(source_version.entries()), ..self.head.clone() }
    }
}

/// The error of a commit that finds `found` of a document's `chunks` points.
pub fn incomplete(found: usize, chunks: usize) -> WriteError {
    WriteError::StaleCheckpoint(StoreError::permanent(format!("{found} of {chunks} chunks are there as they were put")))
}

/// The same id for every event of one version under one configuration.
fn version_id(source_version: &SourceVersion) -> String {
    let entries = SourceVersion { sequencer: None, ..source_version.clone() }.entries();
    let text = entries.into_iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

/// A number above `previous` and, if clocks agree, above that of every earlier attempt: microseconds since 1970. Stores
/// compare numbers as float64, which holds them exactly until 2255.
fn next_generation(previous: Option<u64>) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    previous.map_or(now, |previous| now.max(previous + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_version(etag: &str, sequencer: Option<&str>) -> SourceVersion {
        let sequencer = sequencer.map(str::to_owned);
        SourceVersion { etag: etag.to_owned(), version: None, sequencer, last_modified: 1, fingerprint: "f".to_owned() }
    }

    #[test]
    fn a_version_id_depends_on_the_version_and_not_on_the_event() {
        assert_eq!(version_id(&source_version("a", Some("01"))), version_id(&source_version("a", None)));
        assert_ne!(version_id(&source_version("a", None)), version_id(&source_version("b", None)));
    }

    #[test]
    fn numbers_grow_whatever_the_clock_says() {
        let now = next_generation(None);
        assert!(now > 1 << 50 && now < 1 << 53);
        assert_eq!(next_generation(Some(1 << 53)), (1 << 53) + 1);
    }

    #[test]
    fn a_head_survives_the_tag() {
        let source_version = source_version("a", Some("01"));
        let head = DocumentHead {
            generation: 7,
            version_id: version_id(&source_version),
            chunks: 3,
            source_version: Some(source_version.entries()),
        };
        let existing = DocumentHead::existing(Some(head.clone()));
        assert_eq!(
            (existing.source_version.as_ref(), DocumentHead::of(&existing)),
            (Some(&source_version), Some(head.clone()))
        );
        assert!(
            !head.is_begun(&head.version_id)
                && DocumentHead { source_version: None, ..head.clone() }.is_begun(&head.version_id)
        );
        assert_eq!(DocumentHead::of(&DocumentHead::existing(None)), None);
    }
}
