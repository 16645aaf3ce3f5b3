//! Where vectors go: a sink holds, for every document, the records of its newest version and no others.
//!
//! ```text
//! look(bucket, key)                    -> Held: which version lies there? Asked before the source is read.
//! open(document, stamp, held, state)   -> Writing
//!   put(records)                       any number of times, chunks ascending
//!   suspend()                          -> state, with which a later invocation opens and goes on
//!   finish(end)                        surplus chunks of the version before are removed; the document is done
//! remove(bucket, key, held)            the object is gone, or holds no text any more
//! ```
//!
//! Invariants, of every sink:
//! - **repeatable**: records that are put twice are there once; whatever failed half-way, opening again and
//!   putting every record leaves what a first attempt would have left;
//! - **whole**: a version's [`Stamp`] is written by `finish` and by nothing before it, so that a stamp means that
//!   every record of that version is there;
//! - **ordered**: the caller compares stamps and opens only what is older ([`Stamp::order`]); the sink sees to it
//!   that nothing came between `look` and the moment the new version counts, and answers
//!   [`Refused::Superseded`] otherwise. Whoever gets that looks again. Because the source is read after the
//!   look, what is written is never older than what it replaces;
//! - **without memory**: what a sink has to know in a later invocation is in `state`, which the caller stores.
//!
//! A document is done when every configured sink has finished it. If one fails the document is tried again, and
//! those that had finished hold its stamp by then and are passed over.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::{Document, Record, Stamp};
use crate::error::Trouble;

/// A sink's work on its way.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refused>> + Send + 'a>>;

/// A place where vectors go.
pub trait Sink: Send + Sync {
    /// Its word in `EMBED_SINK`; also the key of its state in a checkpoint.
    fn name(&self) -> &'static str;

    /// What is held of the document at `key` of `bucket`.
    fn look<'a>(&'a self, bucket: &'a str, key: &'a str) -> Work<'a, Held>;

    /// Opens `document` for writing over `held`. `state` is what [`Writing::suspend`] gave for this very stamp:
    /// the next record is the one after those put by then; without it the next record is chunk 0.
    fn open<'a>(&'a self, job: Job<'a>, held: &'a Held, state: Option<&'a Value>) -> Work<'a, Box<dyn Writing + 'a>>;

    /// Removes every record of the document, stamp last; nothing to remove is no error.
    fn remove<'a>(&'a self, bucket: &'a str, key: &'a str, held: &'a Held) -> Work<'a, ()>;

    /// Drops what an earlier `state` keeps and nobody will go on with.
    fn forget<'a>(&'a self, bucket: &'a str, key: &'a str, state: &'a Value) -> Work<'a, ()>;
}

/// What a sink holds of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The version that is there, whole; `None`: none, or remains of an attempt.
    pub stamp: Option<Stamp>,
    /// By which the sink will know whether it still is so; its own affair.
    pub tag: Option<String>,
    /// Its chunks, or a number above.
    pub chunks: usize,
}

/// One version of a document that is to be written.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub document: &'a Document,
    pub stamp: &'a Stamp,
    /// Of the whole document; known before the first record.
    pub chunks: usize,
}

/// A document that is being written to one sink.
pub trait Writing: Send {
    /// Takes the next records, chunks ascending, each chunk once a writing.
    fn put<'a>(&'a mut self, records: &'a [Record]) -> Work<'a, ()>;

    /// Makes durable what was put; the state with which [`Sink::open`] goes on after it. So may this writing.
    fn suspend(&mut self) -> Work<'_, Value>;

    /// Ends the document: from now on it is there, and chunks that an older version had more are not.
    fn finish<'a>(self: Box<Self>, end: &'a End) -> Work<'a, ()>
    where
        Self: 'a;
}

/// What is known of a document once its last chunk is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Tokens that went through the model, special tokens included.
    pub tokens: usize,
}

/// Why a sink did not do what it was asked.
#[derive(Debug)]
pub enum Refused {
    /// Someone else wrote the document meanwhile: look again.
    Superseded,
    /// What `state` speaks of is not there any more: start the document anew.
    StateLost(Trouble),
    /// The sink failed, or says no.
    Trouble(Trouble),
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}
