//! A document's chunks in batches, read and cut on a thread of their own while earlier ones are embedded.
//!
//! ```text
//! S3 -> ObjectReader -> [blocking thread: extract -> Chunker] -> Batch, Batch, … -> end
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
use super::source_object::{Clock, Prefetcher, SourceObject, stream};
use crate::aws::Body;
use crate::embedding::Embedder;
use crate::error::{Error, StoreError};
use crate::record::Place;

/// ChunkReader of a batch: enough to keep six cores busy, few enough for 64 chunks to be at work at most.
pub const BATCH: usize = 32;

/// Batches that wait to be embedded.
const WAITING: usize = 2;

/// ChunkReader that follow one another.
#[derive(Debug)]
pub struct Batch {
    pub pieces: Vec<Piece>,
    /// The last place in the object, up to the end of these, from which reading can go on.
    pub resume_point: Option<ResumePoint>,
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
pub struct ResumePoint {
    pub cursor: Cursor,
    pub chunks: usize,
}

/// How documents are read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    pub extract: ExtractOptions,
    pub chunk: ChunkOptions,
}

/// ChunkReader on their way; reading ends when this is dropped.
pub struct ChunkReader {
    batches: mpsc::Receiver<Batch>,
    thread: JoinHandle<Result<Extracted, ReadError>>,
    prefetcher: Prefetcher,
}

/// Why there are no more chunks.
pub enum ReadError {
    Unreadable(Unreadable),
    /// The bytes did not come.
    Source(StoreError),
    /// A fault of ours.
    Fault(Error),
}

impl ReadOptions {
    /// Begins to read `source_object`: from `resume_point` on, else from its start, where `body` begins if it is there
    /// already. The chunks before number `first` are passed over.
    pub fn begin(
        &self,
        embedder: &Embedder,
        source_object: &SourceObject,
        body: Option<Body>,
        resume_point: Option<ResumePoint>,
        first: usize,
        clock: &Arc<Clock>,
    ) -> ChunkReader {
        let from = resume_point.as_ref().map_or(0, |resume_point| resume_point.cursor.byte);
        let (reader, prefetcher) = stream(source_object.clone(), body, from, Arc::clone(clock));
        let (sender, batches) = mpsc::channel(WAITING);
        let (options, embedder, source_object) = (self.clone(), embedder.clone(), source_object.clone());
        let thread = tokio::task::spawn_blocking(move || {
            let chunker = Chunker::new(embedder.tokenizer(), embedder.manifest(), options.chunk);
            let chunker = chunker.map_err(ReadError::Fault)?;
            let hints = Hints {
                key: &source_object.key,
                content_type: source_object.metadata.content_type.as_deref(),
                content_encoding: source_object.metadata.content_encoding.as_deref(),
            };
            let cursor = resume_point.as_ref().map(|resume_point| resume_point.cursor.clone());
            let next = resume_point.as_ref().map_or(0, |resume_point| resume_point.chunks);
            let mut batcher =
                ChunkBatcher { chunker, sender, first, next, pieces: Vec::new(), resume_point, fault: None };
            let read = extract(reader, &hints, &options.extract, cursor.as_ref(), &mut |section| batcher.take(section));
            match (read, batcher.end()) {
                (_, Some(fault)) => Err(ReadError::Fault(fault)),
                (Ok(extracted), None) => Ok(extracted),
                (Err(unreadable), None) => Err(ReadError::Unreadable(unreadable)),
            }
        });
        ChunkReader { batches, thread, prefetcher }
    }
}

impl ChunkReader {
    /// The next batch; `None` at the end, of which [`end`](Self::end) tells more.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// How reading ended. To be asked once there are no more batches.
    pub async fn end(self) -> Result<Extracted, ReadError> {
        drop(self.batches);
        match self.thread.await {
            Ok(Err(ReadError::Unreadable(Unreadable::Input(broken)))) => match self.prefetcher.error().await {
                Some(error) => Err(ReadError::Source(error)),
                None => Err(ReadError::Unreadable(Unreadable::Input(broken))),
            },
            Ok(read) => read,
            // A reader that panics has met a document it does not understand; the same will happen again.
            Err(ended) => Err(ReadError::Unreadable(Unreadable::Broken(format!("its reader gave up: {ended}")))),
        }
    }
}

/// Sections into batches of chunks.
struct ChunkBatcher<'a> {
    chunker: Chunker<'a>,
    sender: mpsc::Sender<Batch>,
    /// The first chunk that is wanted.
    first: usize,
    /// The number of the next chunk.
    next: usize,
    pieces: Vec<Piece>,
    resume_point: Option<ResumePoint>,
    fault: Option<Error>,
}

impl ChunkBatcher<'_> {
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
            self.resume_point = Some(ResumePoint { cursor, chunks: self.next });
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
        let batch = Batch { pieces: std::mem::take(&mut self.pieces), resume_point: self.resume_point.clone() };
        match self.sender.blocking_send(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
