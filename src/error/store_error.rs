//! Why a store, or S3 itself, did not do what it was asked, and whether asking again may help.

/// Why a request or a transfer failed, and whether asking again may help.
#[derive(Debug)]
pub struct Trouble {
    /// What happened and what to do about it.
    pub message: String,
    /// Throttling, a reset, a fault on the server's side: it may be gone at the next attempt.
    pub passing: bool,
    pub cause: Cause,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What of a refusal a caller may want to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No such object, version or bucket.
    Absent,
    /// What lies there is not what the request's condition says.
    Condition,
    /// No such multipart upload, or not with these parts.
    Upload,
    Denied,
    /// The bucket lies in another region.
    Elsewhere,
    Other,
}

impl Trouble {
    /// One that asking again may mend.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), passing: true, cause: Cause::Other, source: None }
    }

    /// One that stays.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { passing: false, ..Self::passing(message) }
    }

    /// The same, with its cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
