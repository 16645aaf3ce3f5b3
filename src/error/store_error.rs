//! Why a store, or S3 itself, did not do what it was asked, and whether asking again may help.

/// Why a request or a transfer failed, and whether asking again may help.
#[derive(Debug)]
pub struct StoreError {
    /// What happened and what to do about it.
    pub message: String,
    /// Throttling, a reset, a fault on the server's side: it may be gone at the next attempt.
    pub retryable: bool,
    pub kind: StoreErrorKind,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What of a refusal a caller may want to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No such object, version or bucket.
    NotFound,
    /// What lies there is not what the request's condition says.
    PreconditionFailed,
    /// No such multipart upload, or not with these parts.
    NoSuchUpload,
    AccessDenied,
    /// The bucket lies in another region.
    WrongRegion,
    Other,
}

impl StoreError {
    /// One that asking again may mend.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true, kind: StoreErrorKind::Other, source: None }
    }

    /// One that stays.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { retryable: false, ..Self::retryable(message) }
    }

    /// The same, with its cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
