//! How far a long document has come: one object beside its output, read by the call that goes on.
//!
//! Two stages. While chunks are counted it holds their number so far; while they are embedded, the number that
//! every store has made durable, with the stores' own states. DocumentWriter it is one PUT, so it is never half there.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chunk_reader::{BATCH, ResumePoint};
use crate::aws::{Bucket, Headers, Precondition};
use crate::error::StoreError;
use crate::record::SourceVersion;

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The source version's entries: of which version, under which configuration.
    #[serde(rename = "stamp")]
    source_version: BTreeMap<String, String>,
    /// Where reading goes on.
    #[serde(rename = "anchor")]
    pub resume_point: Option<ResumePoint>,
    /// Chunks of the whole document, once they are counted.
    pub total: Option<usize>,
    /// Chunks that are written.
    pub done: usize,
    /// Their tokens.
    pub tokens: usize,
    /// By the stores' names.
    #[serde(rename = "sinks")]
    pub stores: BTreeMap<String, Value>,
}

impl Checkpoint {
    pub fn new(source_version: &SourceVersion) -> Self {
        let source_version = Self::key(source_version);
        Self { source_version, resume_point: None, total: None, done: 0, tokens: 0, stores: BTreeMap::new() }
    }

    /// The same with all chunks counted: reading begins at the start again, to embed them.
    pub fn counted(self, chunks: usize) -> Self {
        Self { total: Some(chunks), resume_point: None, ..self }
    }

    /// Whether it is of this version under this configuration.
    pub fn is_of(&self, source_version: &SourceVersion) -> bool {
        self.source_version == Self::key(source_version)
    }

    /// Another event of the same version goes on with the same work.
    fn key(source_version: &SourceVersion) -> BTreeMap<String, String> {
        SourceVersion { sequencer: None, ..source_version.clone() }.entries()
    }

    /// What lies at `key`; what is not understood is as good as nothing.
    pub async fn load(bucket: &Bucket, key: &str) -> Result<Option<Self>, StoreError> {
        Ok(bucket.read(key).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub async fn store(&self, bucket: &Bucket, key: &str) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(self)
            .map_err(|e| StoreError::permanent("a checkpoint cannot be written").with_source(e))?;
        let headers = Headers { content_type: "application/json", metadata: &BTreeMap::new() };
        bucket.put(key, Bytes::from(bytes), headers, Precondition::None).await
    }
}

/// Chunks between two checkpoints of a document of `total`. Fixed by the document alone, because stores may
/// close a group of rows at each: 128 chunks are 20 s of a core, so that a call of a minute gets on; 512 keep
/// the groups of a document of 650,000 chunks few.
pub fn period(total: usize) -> usize {
    let period = (total / 64).clamp(128, 512);
    period - period % BATCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_lie_between_batches() {
        for total in [65, 128, 10_000, 20_001, 650_000] {
            let period = period(total);
            assert!((128..=512).contains(&period) && period.is_multiple_of(BATCH), "{total}: {period}");
        }
    }

    #[test]
    fn progress_is_of_one_version_under_one_configuration() {
        let source_version = SourceVersion {
            etag: "e".to_owned(),
            version: None,
            sequencer: Some("01".to_owned()),
            last_modified: 1,
            fingerprint: "f".to_owned(),
        };
        let checkpoint = Checkpoint::new(&source_version);
        let read: Checkpoint = serde_json::from_slice(&serde_json::to_vec(&checkpoint).unwrap()).unwrap();
        assert!(
            read == checkpoint
                && read.is_of(&source_version)
                && read.is_of(&SourceVersion { sequencer: None, ..source_version.clone() })
        );
        assert!(!read.is_of(&SourceVersion { etag: "g".to_owned(), ..source_version.clone() }));
        assert!(!read.is_of(&SourceVersion { fingerprint: "g".to_owned(), ..source_version.clone() }));
        assert!(!read.is_of(&SourceVersion { last_modified: 2, ..source_version }));
    }
}
