//! A failed request to a store or to S3, and whether a retry may help.

use std::time::Duration;

/// Why a request or a transfer failed, and whether a retry may help.
#[derive(Debug)]
pub struct StoreError {
    /// What happened and what to do about it.
    pub message: String,
    /// Throttling, a reset or a server's fault, which may be over at the next attempt.
    pub retryable: bool,
    pub kind: StoreErrorKind,
    /// The pause before another attempt that the server asked for.
    pub retry_after: Option<Duration>,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of failure that callers handle differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No such object, version or bucket.
    NotFound,
    /// The object is not what the request's condition expects.
    PreconditionFailed,
    /// No such multipart upload, or not with these parts.
    NoSuchUpload,
    AccessDenied,
    /// The object lies in an archive and has to be restored before it can be read.
    Archived,
    /// The bucket lies in another region.
    WrongRegion,
    Other,
}

impl StoreError {
    /// An error that a retry may resolve.
    pub fn retryable(message: impl Into<String>) -> Self {
        let (message, kind) = (message.into(), StoreErrorKind::Other);
        Self { message, retryable: true, kind, retry_after: None, source: None }
    }

    /// An error that a retry does not resolve.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { retryable: false, ..Self::retryable(message) }
    }

    /// This error with its cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
