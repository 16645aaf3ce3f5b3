//! A document's chunks in batches, read and cut on a thread of their own while earlier ones are embedded.
//!
//! ```text
//! S3 -> Feed -> [blocking thread: extract -> Chunker] -> Batch, Batch, … -> end
//! ```
//!
//! Batches are cut at multiples of [`BATCH`] of the chunks' own numbers, wherever reading began: what is made
//! of them is the same after an interruption.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::chunk::{Chunk, ChunkOptions, Chunker};
use super::extract::{Cursor, ExtractOptions, Extracted, Hints, Section, Unreadable, extract};
use super::source_object::{Clock, Origin, Pump, stream};
use crate::aws::Body;
use crate::embedding::Embedder;
use crate::error::{Error, Trouble};
use crate::record::Place;

/// Chunks of a batch: enough to keep six cores busy, few enough for 64 chunks to be at work at most.
pub const BATCH: usize = 32;

/// Batches that wait to be embedded.
const WAITING: usize = 2;

/// Chunks that follow one another.
#[derive(Debug)]
pub struct Batch {
    pub pieces: Vec<Piece>,
    /// The last place in the object, up to the end of these, from which reading can go on.
    pub anchor: Option<Anchor>,
}

/// One chunk and what it inherits from its section.
#[derive(Debug)]
pub struct Piece {
    /// Place among the document's chunks, from 0.
    pub index: usize,
    pub chunk: Chunk,
    pub place: Place,
    pub fields: Map<String, Value>,
}

/// A place in an object and the number of chunks before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub cursor: Cursor,
    pub chunks: usize,
}

/// How documents are read.
#[derive(Debug, Clone)]
pub struct Reading {
    pub extract: ExtractOptions,
    pub chunk: ChunkOptions,
}

/// Chunks on their way; reading ends when this is dropped.
pub struct Chunks {
    batches: mpsc::Receiver<Batch>,
    thread: JoinHandle<Result<Extracted, Interrupted>>,
    pump: Pump,
}

/// Why there are no more chunks.
pub enum Interrupted {
    Unreadable(Unreadable),
    /// The bytes did not come.
    Source(Trouble),
    /// A fault of ours.
    Fault(Error),
}

impl Reading {
    /// Begins to read `origin`: from `anchor` on, else from its start, where `body` begins if it is there
    /// already. The chunks before number `first` are passed over.
    pub fn begin(
        &self,
        embedder: &Embedder,
        origin: &Origin,
        body: Option<Body>,
        anchor: Option<Anchor>,
        first: usize,
        clock: &Arc<Clock>,
    ) -> Chunks {
        let from = anchor.as_ref().map_or(0, |anchor| anchor.cursor.byte);
        let (feed, pump) = stream(origin.clone(), body, from, Arc::clone(clock));
        let (sender, batches) = mpsc::channel(WAITING);
        let (reading, embedder, origin) = (self.clone(), embedder.clone(), origin.clone());
        let thread = tokio::task::spawn_blocking(move || {
            let chunker = Chunker::new(embedder.tokenizer(), embedder.manifest(), reading.chunk);
            let chunker = chunker.map_err(Interrupted::Fault)?;
            let hints = Hints {
                key: &origin.key,
                content_type: origin.found.content_type.as_deref(),
                content_encoding: origin.found.content_encoding.as_deref(),
            };
            let cursor = anchor.as_ref().map(|anchor| anchor.cursor.clone());
            let next = anchor.as_ref().map_or(0, |anchor| anchor.chunks);
            let mut cutting = Cutting { chunker, sender, first, next, pieces: Vec::new(), anchor, fault: None };
            let read = extract(feed, &hints, &reading.extract, cursor.as_ref(), &mut |section| cutting.take(section));
            match (read, cutting.end()) {
                (_, Some(fault)) => Err(Interrupted::Fault(fault)),
                (Ok(extracted), None) => Ok(extracted),
                (Err(unreadable), None) => Err(Interrupted::Unreadable(unreadable)),
            }
        });
        Chunks { batches, thread, pump }
    }
}

impl Chunks {
    /// The next batch; `None` at the end, of which [`end`](Self::end) tells more.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// How reading ended. To be asked once there are no more batches.
    pub async fn end(self) -> Result<Extracted, Interrupted> {
        drop(self.batches);
        match self.thread.await {
            Ok(Err(Interrupted::Unreadable(Unreadable::Input(broken)))) => match self.pump.trouble().await {
                Some(trouble) => Err(Interrupted::Source(trouble)),
                None => Err(Interrupted::Unreadable(Unreadable::Input(broken))),
            },
            Ok(read) => read,
            // A reader that panics has met a document it does not understand; the same will happen again.
            Err(ended) => Err(Interrupted::Unreadable(Unreadable::Broken(format!("its reader gave up: {ended}")))),
        }
    }
}

/// Sections into batches of chunks.
struct Cutting<'a> {
    chunker: Chunker<'a>,
    sender: mpsc::Sender<Batch>,
    /// The first chunk that is wanted.
    first: usize,
    /// The number of the next chunk.
    next: usize,
    pieces: Vec<Piece>,
    anchor: Option<Anchor>,
    fault: Option<Error>,
}

impl Cutting<'_> {
    fn take(&mut self, section: Section) -> ControlFlow<()> {
        let chunks = match self.chunker.chunks(&section) {
            Ok(chunks) => chunks,
            Err(fault) => {
                self.fault = Some(fault);
                return ControlFlow::Break(());
            }
        };
        for chunk in chunks {
            let index = self.next;
            self.next += 1;
            if index < self.first {
                continue;
            }
            self.pieces.push(Piece { index, chunk, place: section.place.clone(), fields: section.fields.clone() });
            if self.next.is_multiple_of(BATCH) {
                self.send()?;
            }
        }
        if let Some(cursor) = section.resume {
            self.anchor = Some(Anchor { cursor, chunks: self.next });
        }
        ControlFlow::Continue(())
    }

    /// Sends what is left; the fault, if there was one.
    fn end(mut self) -> Option<Error> {
        if !self.pieces.is_empty() {
            let _ = self.send();
        }
        self.fault
    }

    /// Breaks off when nobody wants more.
    fn send(&mut self) -> ControlFlow<()> {
        let batch = Batch { pieces: std::mem::take(&mut self.pieces), anchor: self.anchor.clone() };
        match self.sender.blocking_send(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
