//! What became of documents: an outcome for each, and the sum of a call's.

use std::time::Duration;

use serde::Serialize;

use super::extract::SkippedRecords;
use crate::observability::call;
use crate::record::Change;

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its vectors are in every store.
    Embedded {
        chunks: usize,
        tokens: usize,
        /// Parts that could not be read: pages, records.
        skipped_records: SkippedRecords,
    },
    /// Every store held this version already.
    Unchanged,
    /// A store held a newer version already.
    Outdated,
    /// It is no text, is empty or exceeds a limit, as its outcome record says. `cause` and `reason` as in
    /// [`DocumentFailure`].
    Skipped {
        cause: &'static str,
        reason: String,
    },
    /// It has content of which no word could be read, as its outcome record says. The stores keep what they hold of an
    /// older version. `word` says how: `unreadable` or `image_only`.
    Unreadable {
        word: &'static str,
        reason: String,
    },
    /// The object was deleted, and its vectors were removed.
    Removed,
    /// The object was deleted before it could be read.
    Gone,
    /// The change needs no work: a folder's marker, our own output, another kind of event.
    Ignored {
        why: &'static str,
    },
    Failed(DocumentFailure),
    /// The call's time was up; a later call goes on.
    Unfinished,
}

/// Why a document has no vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFailure {
    /// A fixed word of this program, for the log.
    pub cause: &'static str,
    /// What happened and what to do about it, for the documents' owner. It may quote the document or a store's
    /// response, so it is in outcome records and responses, and never in the log.
    pub reason: String,
    /// Whether the same event may succeed later, so that it has to be delivered again.
    pub retryable: bool,
}

impl Outcome {
    /// The outcome's word in logs, metrics and outcome records.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Embedded { .. } => "embedded",
            Self::Unchanged => "unchanged",
            Self::Outdated => "outdated",
            Self::Skipped { .. } => "skipped",
            Self::Unreadable { word, .. } => word,
            Self::Removed => "removed",
            Self::Gone => "gone",
            Self::Ignored { .. } => "ignored",
            Self::Failed(_) => "failed",
            Self::Unfinished => "unfinished",
        }
    }

    /// The fixed word in the log that says why.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Skipped { cause, .. } | Self::Failed(DocumentFailure { cause, .. }) => Some(cause),
            Self::Unreadable { word, .. } => Some(word),
            Self::Ignored { why } => Some(why),
            _ => None,
        }
    }

    /// The parts of an embedded document that could not be read.
    pub fn skipped_records(&self) -> Option<&SkippedRecords> {
        match self {
            Self::Embedded { skipped_records, .. } if skipped_records.count > 0 => Some(skipped_records),
            _ => None,
        }
    }

    /// Whether the document has an outcome record afterwards; `None` if this outcome says nothing of one.
    pub fn leaves_record(&self) -> Option<bool> {
        match self {
            Self::Embedded { .. } => Some(self.skipped_records().is_some()),
            Self::Skipped { .. } | Self::Unreadable { .. } | Self::Failed(_) => Some(true),
            Self::Removed => Some(false),
            Self::Unchanged | Self::Outdated | Self::Gone | Self::Ignored { .. } | Self::Unfinished => None,
        }
    }

    /// Whether the event has to be delivered again.
    pub fn should_retry(&self) -> bool {
        matches!(self, Self::Unfinished | Self::Failed(DocumentFailure { retryable: true, .. }))
    }

    /// Writes the one log line of a change. Except for the object's name, all of its words are this program's: it
    /// quotes no document, store or event.
    pub(super) fn log(&self, change: &Change) {
        let Change { bucket, key, .. } = change;
        let (outcome, cause) = (self.word(), self.cause());
        let (chunks, tokens) = match self {
            Self::Embedded { chunks, tokens, .. } => (Some(chunks), Some(tokens)),
            _ => (None, None),
        };
        let id = call::request_id();
        if let Some(SkippedRecords { count: parts, kinds, .. }) = self.skipped_records() {
            let first = kinds.join("; ");
            tracing::warn!(requestId = id, bucket, key, parts, first, "parts were left out");
        }
        match self {
            Self::Failed(_) | Self::Unreadable { .. } => {
                tracing::warn!(requestId = id, bucket, key, outcome, cause, "document")
            }
            _ => tracing::info!(requestId = id, bucket, key, outcome, cause, chunks, tokens, "document"),
        }
    }

    /// The outcome and its reason, for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Embedded { chunks, tokens, skipped_records: SkippedRecords { count, reasons, .. } } => {
                let embedded = format!("embedded: {chunks} chunks, {tokens} tokens");
                match count {
                    0 => embedded,
                    _ => {
                        format!("{embedded}; left out are {count} parts that could not be read: {}", reasons.join("; "))
                    }
                }
            }
            Self::Skipped { reason, .. } => format!("skipped: {reason}"),
            Self::Unreadable { word, reason } => format!("{word}: {reason}"),
            Self::Failed(failure) => format!("failed: {}", failure.reason),
            Self::Unfinished => "unfinished: time was up, the next attempt goes on".to_owned(),
            Self::Ignored { why } => format!("ignored: {why}"),
            Self::Unchanged | Self::Outdated | Self::Removed | Self::Gone => self.word().to_owned(),
        }
    }
}

/// What a call did, for its log line, its metrics and its response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All changes; the sum of the counts below.
    pub documents: usize,
    pub embedded: usize,
    pub unchanged: usize,
    pub outdated: usize,
    pub skipped: usize,
    pub unreadable: usize,
    pub removed: usize,
    pub gone: usize,
    pub ignored: usize,
    pub failed: usize,
    pub unfinished: usize,
    /// Of the embedded documents.
    pub chunks: usize,
    /// Of the embedded documents; special tokens included.
    pub tokens: usize,
    /// Parts of the embedded documents that could not be read.
    #[serde(rename = "leftOut")]
    pub skipped_records: u64,
    #[serde(flatten)]
    pub times: Times,
}

/// Where the documents' time went, and how many chunks were cut. Documents are worked on side by side, so the times
/// may add up to more than the call's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// Waiting for the source's bytes.
    #[serde(rename = "readMs", serialize_with = "milliseconds")]
    pub read: Duration,
    /// Waiting for vectors.
    #[serde(rename = "embedMs", serialize_with = "milliseconds")]
    pub embed: Duration,
    /// Waiting for stores: reads, writes and checkpoints.
    #[serde(rename = "writeMs", serialize_with = "milliseconds")]
    pub write: Duration,
    /// Turning chunks into token ids.
    #[serde(skip)]
    pub tokenize: Duration,
    /// Batches of chunks in the model, each from its queueing to its last vector.
    #[serde(skip)]
    pub run: Duration,
    /// Chunks that were cut at the model's limit.
    #[serde(skip)]
    pub truncated_count: usize,
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_millis() as u64)
}

impl Times {
    pub fn add(&mut self, other: Self) {
        self.read += other.read;
        self.embed += other.embed;
        self.write += other.write;
        self.tokenize += other.tokenize;
        self.run += other.run;
        self.truncated_count += other.truncated_count;
    }
}

impl Summary {
    pub fn count(&mut self, outcome: &Outcome, times: Times) {
        self.documents += 1;
        self.times.add(times);
        let count = match outcome {
            Outcome::Embedded { chunks, tokens, skipped_records } => {
                self.chunks += chunks;
                self.tokens += tokens;
                self.skipped_records += skipped_records.count;
                &mut self.embedded
            }
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Outdated => &mut self.outdated,
            Outcome::Skipped { .. } => &mut self.skipped,
            Outcome::Unreadable { .. } => &mut self.unreadable,
            Outcome::Removed => &mut self.removed,
            Outcome::Gone => &mut self.gone,
            Outcome::Ignored { .. } => &mut self.ignored,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::Unfinished => &mut self.unfinished,
        };
        *count += 1;
    }
}
