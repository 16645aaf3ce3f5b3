//! How far a long document is written: one object beside its output, from which a later call goes on.
//!
//! It is written after every store has made the same records durable, in one PUT, so it is never half there.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chunk_reader::ResumePoint;
use crate::aws::{Bucket, Headers, Precondition};
use crate::error::StoreError;
use crate::record::SourceVersion;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The entries of the version and configuration that it belongs to.
    #[serde(rename = "stamp")]
    source_version: BTreeMap<String, String>,
    /// Where reading goes on; `None`: at the document's start.
    #[serde(rename = "anchor")]
    pub resume_point: Option<ResumePoint>,
    /// Chunks that are written.
    pub done: usize,
    /// Tokens of these chunks.
    pub tokens: usize,
    /// The stores' own states, by the stores' names.
    #[serde(rename = "sinks")]
    pub stores: BTreeMap<String, Value>,
}

impl Checkpoint {
    /// Of a document of which nothing is written yet.
    pub fn new(source_version: &SourceVersion) -> Self {
        let source_version = entries(source_version);
        Self { source_version, resume_point: None, done: 0, tokens: 0, stores: BTreeMap::new() }
    }

    /// Whether it belongs to this version under this configuration.
    pub fn is_of(&self, source_version: &SourceVersion) -> bool {
        self.source_version == entries(source_version)
    }

    /// Whether the stores make their records durable here. Every 128 chunks, 20 s of one core, so that a call of a
    /// minute gets further; every 512 in the longest documents, to keep a Parquet file's row groups few. It depends
    /// on the number of chunks alone, because stores may close a row group at each checkpoint: the output is the same
    /// wherever it was interrupted.
    pub fn is_due(&self) -> bool {
        let period = match self.done {
            0..16_384 => 128,
            16_384..32_768 => 256,
            _ => 512,
        };
        self.done.is_multiple_of(period)
    }

    /// The checkpoint at `key`; `None` also for one that cannot be parsed.
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

/// Without the sequencer: another event of the same version goes on with the same work.
fn entries(source_version: &SourceVersion) -> BTreeMap<String, String> {
    SourceVersion { sequencer: None, ..source_version.clone() }.entries()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::chunk_reader::BATCH;

    fn source_version() -> SourceVersion {
        SourceVersion {
            etag: "e".to_owned(),
            version: None,
            sequencer: Some("01".to_owned()),
            last_modified: 1,
            fingerprint: "f".to_owned(),
        }
    }

    #[test]
    fn checkpoints_lie_between_batches() {
        let mut checkpoint = Checkpoint::new(&source_version());
        let (mut last, mut periods) = (0, Vec::new());
        for done in 1..=650_000 {
            checkpoint.done = done;
            if checkpoint.is_due() {
                assert!(done.is_multiple_of(BATCH), "{done}");
                periods.push(done - last);
                last = done;
            }
        }
        assert!(periods.is_sorted(), "the period grows with the document");
        periods.dedup();
        assert_eq!(periods, [128, 256, 512]);
    }

    #[test]
    fn a_checkpoint_is_of_one_version_under_one_configuration() {
        let source_version = source_version();
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
