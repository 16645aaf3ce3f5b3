//! Why an attempt at a document ended without its vectors, and the words for it in logs and outcome records.

use super::chunk_reader::ReadError;
use super::extract::{Skip, Unreadable};
use super::outcome::{DocumentFailure, Outcome};
use crate::error::{Error, StoreError, StoreErrorKind};
use crate::record::WriteError;

/// Why an attempt at a document ended without an outcome.
pub enum TaskError {
    /// Another call wrote the document, or its source changed: start again from the stores.
    Conflict,
    /// The call's time is up.
    OutOfTime,
    Failed(DocumentFailure),
    /// Nothing of the document was read, for the reason `why`, which `reason` explains to the documents' owner.
    Skipped {
        why: Skip,
        reason: String,
    },
    /// The object does not exist any more.
    Gone,
}

impl TaskError {
    /// Whether a later attempt would end in the same way.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Skipped { .. } | Self::Failed(DocumentFailure { retryable: false, .. }))
    }

    /// The outcome of a document of which nothing was read.
    pub fn skipped(why: Skip, reason: String) -> Outcome {
        match why {
            Skip::Unreadable | Skip::ImageOnly => Outcome::Unreadable { word: why.word(), reason },
            _ => Outcome::Skipped { cause: why.word(), reason },
        }
    }

    /// An error of a request to the document's own bucket.
    pub fn of_source(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::NotFound => Self::Gone,
            StoreErrorKind::PreconditionFailed => Self::Conflict,
            kind => {
                // A missing right may be granted before the event comes back.
                let retryable = error.retryable || kind == StoreErrorKind::AccessDenied;
                let cause = match kind {
                    StoreErrorKind::AccessDenied => "source_denied",
                    StoreErrorKind::WrongRegion => "source_elsewhere",
                    StoreErrorKind::Archived => "source_archived",
                    _ if error.retryable => "source_busy",
                    _ => "source_refused",
                };
                Self::Failed(DocumentFailure { cause, reason: with_causes(error), retryable })
            }
        }
    }

    /// An error inside: the tokenizer, the model, a thread.
    pub fn of_fault(error: Error) -> Self {
        let row = error.kind().row();
        let (cause, retryable) = (row.lambda_type, row.retryable);
        Self::Failed(DocumentFailure { cause, reason: error.chain().to_string(), retryable })
    }
}

impl From<WriteError> for TaskError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict | WriteError::StaleCheckpoint(_) => Self::Conflict,
            // The outcome record may not be writable either, so the event has to come back.
            WriteError::Store(error) => Self::Failed(DocumentFailure {
                cause: store_cause(&error),
                reason: with_causes(error),
                retryable: true,
            }),
        }
    }
}

impl From<ReadError> for TaskError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Source(error) => Self::of_source(error),
            ReadError::Fault(error) => Self::of_fault(error),
            ReadError::Unreadable(Unreadable::Skipped { why, reason }) => Self::Skipped { why, reason },
            ReadError::Unreadable(Unreadable::NoReader(reason)) => {
                Self::Failed(DocumentFailure { cause: "no_reader", reason, retryable: false })
            }
            ReadError::Unreadable(Unreadable::Broken(reason)) => {
                Self::Failed(DocumentFailure { cause: "broken", reason, retryable: false })
            }
            ReadError::Unreadable(input @ Unreadable::Input(_)) => {
                Self::Failed(DocumentFailure { cause: "source_busy", reason: input.to_string(), retryable: true })
            }
        }
    }
}

/// The word in the log for an error of a store, or of the bucket with outcome records and checkpoints.
pub fn store_cause(error: &StoreError) -> &'static str {
    match error.kind {
        StoreErrorKind::AccessDenied => "sink_denied",
        StoreErrorKind::WrongRegion => "sink_elsewhere",
        StoreErrorKind::NotFound => "sink_absent",
        _ if error.retryable => "sink_busy",
        _ => "sink_refused",
    }
}

/// The error's message and those of its causes, on one line.
pub fn with_causes(error: StoreError) -> String {
    match error.source {
        None => error.message,
        Some(source) => format!("{}: {}", error.message, Error::internal("caused by", source).chain()),
    }
}
