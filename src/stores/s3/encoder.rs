//! Records to the bytes of one output object, in parts that can be written while later records are still being made.
//!
//! ```text
//! encoder -> push(records) … take() -> bytes          uploaded as they come
//!                          state() + take()           a later invocation goes on: encoder(…, state)
//!                          finish() -> last bytes
//! ```
//!
//! Invariants: the bytes depend on the records and on where they were checkpointed alone; what `take` returned is
//! never changed by what follows.

use crate::error::{Error, Result};
use crate::record::{Document, ModelRef, Record, RecordKind, Row};

/// The encoder of one output object.
pub trait Encoder: Send {
    /// Adds records, in the chunks' order.
    fn push(&mut self, records: &[Record]) -> Result<()>;

    /// The bytes that are final and not taken yet.
    fn take(&mut self) -> Vec<u8>;

    /// Closes what is open and returns what a later [`encoder`](super::encoder()) needs to go on after every record
    /// pushed so far; the bytes before it are those of all `take`s, one after this call included.
    fn state(&mut self) -> Result<Vec<u8>>;

    /// The remaining bytes, after the last record.
    fn finish(self: Box<Self>) -> Result<Vec<u8>>;
}

/// The parts of a row that are the same for all records of a file.
pub(super) struct Constants {
    pub(super) document: Document,
    pub(super) model: ModelRef,
    pub(super) chunks: Option<usize>,
    /// Whether chunks' texts are written.
    pub(super) text: bool,
}

impl Constants {
    pub(super) fn row<'a>(&'a self, record: &'a Record, kind: RecordKind) -> Row<'a> {
        let Self { document, model, chunks, text } = self;
        Row { document, model, record, kind, chunks: *chunks, text: *text }
    }
}

pub(super) fn bad_state(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal("the checkpoint's encoder state is not this version's", why)
}
