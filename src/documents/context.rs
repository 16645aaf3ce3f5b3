//! What every document's work shares: clients, settings, stores, and the objects beside the output.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::chunk_reader::ReadOptions;
use super::outcome::{DocumentFailure, Outcome};
use super::task_error::store_cause;
use crate::aws::{Bucket, Headers, Precondition, S3};
use crate::config::Documents;
use crate::embedding::Embedder;
use crate::error::StoreError;
use crate::observability::call;
use crate::record::{Change, OutputLayout, SourceVersion, VectorStore};

/// Megabytes, as stored, of the documents at work at once; a larger document works alone.
const MAX_MEGABYTES: u32 = 64;

pub struct DocumentContext {
    pub s3: S3,
    pub embedder: Embedder,
    pub settings: Documents,
    pub read_options: ReadOptions,
    pub layout: OutputLayout,
    /// The bucket of outcome records and checkpoints.
    pub output: Bucket,
    pub stores: Vec<Box<dyn VectorStore>>,
    /// Hash of everything beside the object that its records depend on.
    pub fingerprint: String,
    /// One permit a megabyte.
    pub megabytes: Arc<Semaphore>,
}

impl DocumentContext {
    /// Permits for all documents that are at work at once.
    pub fn megabytes() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_MEGABYTES as usize))
    }

    /// Waits until a document of `size` bytes may start. Dropping the permit lets others start.
    pub async fn reserve(&self, size: u64) -> Option<OwnedSemaphorePermit> {
        let megabytes = (size >> 20).clamp(1, u64::from(MAX_MEGABYTES)) as u32;
        Arc::clone(&self.megabytes).acquire_many_owned(megabytes).await.ok()
    }

    /// Writes the outcome record, which says why a document has no vectors, or which parts of it have none.
    pub async fn write_outcome(
        &self,
        change: &Change,
        outcome: &Outcome,
        source_version: Option<&SourceVersion>,
    ) -> Result<(), StoreError> {
        let Change { bucket, key, version, sequencer, .. } = change;
        let (reason, retryable) = match outcome {
            Outcome::Failed(DocumentFailure { reason, retryable, .. }) => (reason.clone(), *retryable),
            other => (other.sentence(), false),
        };
        let skipped_records = outcome.skipped_records();
        let record = json!({
            "outcome": outcome.word(), "reason": reason, "retryable": retryable,
            "left_out": skipped_records.map(|parts| json!({"count": parts.count, "first": parts.reasons})),
            "bucket": bucket, "key": key, "version": source_version.map_or(version, |known| &known.version),
            "etag": source_version.map(|known| &known.etag), "sequencer": sequencer,
        });
        let metadata = source_version.map_or_else(BTreeMap::new, SourceVersion::entries);
        let headers = Headers { content_type: "application/json", metadata: &metadata };
        let bytes = Bytes::from(format!("{record}\n"));
        self.output.put(&self.layout.outcome(bucket, key), bytes, headers, Precondition::None).await
    }

    pub async fn delete_outcome(&self, bucket: &str, key: &str) {
        self.delete(&self.layout.outcome(bucket, key)).await;
    }

    /// Deletes the outcome records of an earlier version of each of these changes' documents, if there are any.
    pub async fn delete_outcomes(&self, changes: &[&Change]) {
        if let [Change { bucket, key, .. }] = changes {
            return self.delete_outcome(bucket, key).await;
        }
        let keys: Vec<_> = changes.iter().map(|change| self.layout.outcome(&change.bucket, &change.key)).collect();
        if let Err(error) = self.output.delete_all(&keys).await {
            let (id, cause) = (call::request_id(), store_cause(&error));
            tracing::warn!(requestId = id, cause, "older outcome records were not removed");
        }
    }

    pub async fn delete_checkpoint(&self, bucket: &str, key: &str) {
        self.delete(&self.layout.checkpoint(bucket, key)).await;
    }

    /// Deletes an object that is of no use any more. If that fails, the object harms nobody.
    async fn delete(&self, key: &str) {
        if let Err(error) = self.output.delete(key, None).await {
            tracing::warn!(requestId = call::request_id(), key, cause = store_cause(&error), "object was not removed");
        }
    }
}
