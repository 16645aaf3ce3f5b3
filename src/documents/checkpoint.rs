//! How far a long document has come: one object beside its output, read by the call that goes on.
//!
//! Two stages. While chunks are counted it holds their number so far; while they are embedded, the number that
//! every sink has made durable, with the sinks' own states. Writing it is one PUT, so it is never half there.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chunk_reader::{Anchor, BATCH};
use crate::aws::{Bucket, Condition, Headers};
use crate::error::Trouble;
use crate::record::Stamp;

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The stamp's entries: of which version, under which configuration.
    stamp: BTreeMap<String, String>,
    /// Where reading goes on.
    pub anchor: Option<Anchor>,
    /// Chunks of the whole document, once they are counted.
    pub total: Option<usize>,
    /// Chunks that are written.
    pub done: usize,
    /// Their tokens.
    pub tokens: usize,
    /// By the sinks' names.
    pub sinks: BTreeMap<String, Value>,
}

impl Progress {
    pub fn new(stamp: &Stamp) -> Self {
        let stamp = Self::key(stamp);
        Self { stamp, anchor: None, total: None, done: 0, tokens: 0, sinks: BTreeMap::new() }
    }

    /// The same with all chunks counted: reading begins at the start again, to embed them.
    pub fn counted(self, chunks: usize) -> Self {
        Self { total: Some(chunks), anchor: None, ..self }
    }

    /// Whether it is of this version under this configuration.
    pub fn is_of(&self, stamp: &Stamp) -> bool {
        self.stamp == Self::key(stamp)
    }

    /// Another event of the same version goes on with the same work.
    fn key(stamp: &Stamp) -> BTreeMap<String, String> {
        Stamp { sequencer: None, ..stamp.clone() }.entries()
    }

    /// What lies at `key`; what is not understood is as good as nothing.
    pub async fn load(bucket: &Bucket, key: &str) -> Result<Option<Self>, Trouble> {
        Ok(bucket.read(key).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub async fn store(&self, bucket: &Bucket, key: &str) -> Result<(), Trouble> {
        let bytes =
            serde_json::to_vec(self).map_err(|e| Trouble::lasting("a checkpoint cannot be written").because(e))?;
        let headers = Headers { content_type: "application/json", metadata: &BTreeMap::new() };
        bucket.put(key, Bytes::from(bytes), headers, Condition::Always).await
    }
}

/// Chunks between two checkpoints of a document of `total`. Fixed by the document alone, because sinks may
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
        let stamp = Stamp {
            etag: "e".to_owned(),
            version: None,
            sequencer: Some("01".to_owned()),
            last_modified: 1,
            fingerprint: "f".to_owned(),
        };
        let progress = Progress::new(&stamp);
        let read: Progress = serde_json::from_slice(&serde_json::to_vec(&progress).unwrap()).unwrap();
        assert!(read == progress && read.is_of(&stamp) && read.is_of(&Stamp { sequencer: None, ..stamp.clone() }));
        assert!(!read.is_of(&Stamp { etag: "g".to_owned(), ..stamp.clone() }));
        assert!(!read.is_of(&Stamp { fingerprint: "g".to_owned(), ..stamp.clone() }));
        assert!(!read.is_of(&Stamp { last_modified: 2, ..stamp }));
    }
}
