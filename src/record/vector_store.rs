//! Where vectors go: a store holds, for every document, the records of its newest version and no others.
//!
//! ```text
//! get(bucket, key)                     -> Existing: which version lies there? Asked before the source is read.
//! begin(request, existing, state)      -> DocumentWriter
//!   write(records)                     any number of times, chunks ascending
//!   checkpoint()                       -> state, with which a later invocation begins and goes on
//!   commit(chunks)                     surplus chunks of the version before are removed; the document is done
//!   abort()                            the document cannot be read to its end: its new records go
//! remove(bucket, key, existing)        the object is gone, or holds no text any more
//! abort(bucket, key, state)            nobody goes on with that checkpoint
//! ```
//!
//! Invariants, of every store:
//! - **repeatable**: records that are written twice are there once; whatever failed half-way, beginning again and
//!   writing every record leaves what a first attempt would have left;
//! - **whole**: a [`SourceVersion`] is written by `commit` and by nothing before it, so that a source version means
//!   that every record of that version is there;
//! - **ordered**: the caller compares source versions and replaces only what is older ([`SourceVersion::order`]); the
//!   store sees to it that nothing came between `get` and the moment the new version counts, and answers
//!   [`WriteError::Conflict`] otherwise. Whoever gets that calls `get` again. Because the source is read after
//!   `get`, what is written is never older than what it replaces;
//! - **without memory**: what a store has to know in a later invocation is in `state`, which the caller stores.
//!
//! A document is done when every configured store has finished it. If one fails the document is tried again, and
//! those that had finished hold its source version by then and are passed over.

use async_trait::async_trait;
use serde_json::Value;

use super::{Document, ModelRef, Record, RecordKind, Row, SourceVersion};
use crate::error::StoreError;

/// A place where vectors go.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Its word in `EMBED_SINK`; also the key of its state in a checkpoint.
    fn name(&self) -> &'static str;

    /// Asks, without changing anything, whether documents can be written here; the answer is for people.
    ///
    /// # Errors
    /// What is in the way and what to do about it.
    async fn check(&self) -> Result<String, StoreError>;

    /// Whether new chunks replace those of an older version before `commit`.
    fn replaces_in_place(&self) -> bool {
        false
    }

    /// What there is of the document at `key` of `bucket`.
    async fn get(&self, bucket: &str, key: &str) -> Result<Existing, WriteError>;

    /// Begins to write a document over `existing`. `state` is what [`DocumentWriter::checkpoint`] gave for this very
    /// source version: the next record is the one after those written by then; without it the next record is chunk 0.
    async fn begin<'a>(
        &'a self,
        request: WriteRequest<'a>,
        existing: &'a Existing,
        state: Option<&'a Value>,
    ) -> Result<Box<dyn DocumentWriter + 'a>, WriteError>;

    /// Removes every record of the document, source version last; nothing to remove is no error.
    async fn remove(&self, bucket: &str, key: &str, existing: &Existing) -> Result<(), WriteError>;

    /// Drops what an earlier `state` keeps and nobody will go on with. By default nothing: the next attempt
    /// overwrites or deletes it.
    async fn abort(&self, _bucket: &str, _key: &str, _state: &Value) -> Result<(), WriteError> {
        Ok(())
    }
}

/// What a store holds of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// The version that is there completely; `None`: no version, or remains of an unfinished attempt.
    pub source_version: Option<SourceVersion>,
    /// Opaque to callers. The store uses it to detect that another writer changed the document after `get`.
    pub tag: Option<String>,
    /// Its chunks, or a number above; `None`: the store does not know.
    pub chunks: Option<usize>,
}

/// One version of a document that is to be written.
#[derive(Clone, Copy)]
pub struct WriteRequest<'a> {
    pub document: &'a Document,
    pub source_version: &'a SourceVersion,
    /// Chunks of the whole document, where that is known before the first record.
    pub chunks: Option<usize>,
}

impl<'a> WriteRequest<'a> {
    /// `record`, a chunk of this document, with all that its fields are taken from; `text`: whether it carries its
    /// text.
    pub fn row(&self, record: &'a Record, model: &'a ModelRef, text: bool) -> Row<'a> {
        Row { document: self.document, model, record, kind: RecordKind::Chunk, chunks: self.chunks, text }
    }
}

/// A document that is being written to one store.
#[async_trait]
pub trait DocumentWriter: Send {
    /// Takes the next records, chunks ascending, each chunk once a writer.
    async fn write(&mut self, records: &[Record]) -> Result<(), WriteError>;

    /// Makes durable what was written; the state with which [`VectorStore::begin`] goes on after it. So may this
    /// writer.
    async fn checkpoint(&mut self) -> Result<Value, WriteError>;

    /// Completes the document, of `chunks` chunks: from now on its version is there, and surplus chunks of an older
    /// version are not.
    async fn commit(self: Box<Self>, chunks: usize) -> Result<(), WriteError>;

    /// Ends the writing of a document that cannot be read to its end. A store in which the new records replaced those
    /// of the version before holds nothing of the document afterwards; any other still holds that version.
    async fn abort(self: Box<Self>) -> Result<(), WriteError>;
}

/// Why a store did not write.
#[derive(Debug)]
pub enum WriteError {
    /// Another writer changed the document meanwhile: call `get` again.
    Conflict,
    /// The store no longer holds what `state` refers to: start the document anew.
    StaleCheckpoint(StoreError),
    /// The store failed, or refused the request.
    Store(StoreError),
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
