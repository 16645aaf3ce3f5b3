//! A change of one object, as an event reports it.

/// One change of one object, as an event reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    pub bucket: String,
    /// As S3 names it, decoded.
    pub key: String,
    pub version: Option<String>,
    /// Without quotes.
    pub etag: Option<String>,
    /// The event's place among those of the same key; see [`SourceVersion`](super::SourceVersion).
    pub sequencer: Option<String>,
    /// Whether to embed it even if its vectors are there already.
    pub force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Created,
    Removed,
    /// Something else: tags, access, storage class. It needs no work.
    Other,
}
