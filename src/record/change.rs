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
    /// Something else: tags, access, storage class. It needs no work, for this reason.
    Other(&'static str),
}

impl Change {
    /// A change that needs no work. Its event may name no object.
    pub fn other(why: &'static str, bucket: Option<String>, key: Option<String>) -> Self {
        let (bucket, key) = (bucket.unwrap_or_default(), key.unwrap_or_default());
        Self { kind: ChangeKind::Other(why), bucket, key, version: None, etag: None, sequencer: None, force: false }
    }
}
