//! A document's chunks in batches, read and cut on a thread of their own while earlier ones are embedded.
//!
//! ```text
//! S3 -> ObjectReader -> [blocking thread: extract -> Chunker] -> ChunkBatch, ChunkBatch, …
//! ```
//!
//! Batches are cut at multiples of [`BATCH`] of the chunks' own numbers, wherever reading began: what is made
//! of them is the same after an interruption.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::chunk::{Chunk, ChunkOptions, Chunker};
use super::extract::pdf::PdfReader;
use super::extract::{
    Cursor, ExtractOptions, Extracted, Hints, RecordText, Section, SkippedRecords, Unreadable, extract,
};
use super::source_object::{Clock, Prefetcher, SourceObject, stream};
use super::spool::Spool;
use crate::aws::Body;
use crate::concurrency::panics;
use crate::config::Documents;
use crate::embedding::Embedder;
use crate::error::{Error, StoreError};
use crate::model::Manifest;
use crate::record::Place;

/// Chunks of a batch: enough to keep six cores busy, few enough for 64 chunks to be at work at most.
pub const BATCH: usize = 32;

/// Batches that wait to be embedded.
const WAITING: usize = 2;

/// Chunks that follow one another.
#[derive(Debug)]
pub struct ChunkBatch {
    pub chunks: Vec<NumberedChunk>,
    /// The last place in the object, up to the end of these chunks, from which reading can go on.
    pub resume_point: Option<ResumePoint>,
}

/// One chunk, and what it inherits from its section.
#[derive(Debug)]
pub struct NumberedChunk {
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

/// Reads the chunks of one document; reading ends when this is dropped.
pub struct ChunkReader {
    /// Read ahead.
    waiting: VecDeque<ChunkBatch>,
    batches: mpsc::Receiver<ChunkBatch>,
    /// `None` after the last batch.
    thread: Option<JoinHandle<Result<Extracted, ReadError>>>,
    prefetcher: Prefetcher,
    /// Parts without text; complete after the last batch.
    pub skipped_records: SkippedRecords,
}

/// Why there are no more chunks.
pub enum ReadError {
    Unreadable(Unreadable),
    /// The object's bytes did not come.
    Source(StoreError),
    /// An error of our own code.
    Fault(Error),
}

/// Where reading begins, and which chunks it gives.
pub struct Start {
    /// `None`: at the object's start.
    pub resume_point: Option<ResumePoint>,
    /// The chunks before this number are left out.
    pub first: usize,
    /// Whether no chunk is given before the document's end has been read, up to [`LARGEST`](super::spool::LARGEST).
    pub to_the_end_first: bool,
}

impl ReadOptions {
    /// What `settings` ask for; for what they leave open, the model's own sizes and the reader's own limits.
    pub fn new(settings: &Documents, manifest: &Manifest, pdf_reader: Option<PdfReader>) -> Self {
        let default = ExtractOptions::default();
        let extract = ExtractOptions {
            record_text: match settings.json_pointer.as_deref() {
                None => RecordText::Usual,
                Some("*") => RecordText::Values,
                Some(pointer) => RecordText::At(pointer.to_owned()),
            },
            text_column: settings.csv_column.clone().filter(|column| column != "*"),
            max_decompressed_bytes: settings.limits.decompressed.unwrap_or(default.max_decompressed_bytes),
            max_whole_bytes: settings.limits.whole.unwrap_or(default.max_whole_bytes),
            max_record_bytes: settings.limits.record.unwrap_or(default.max_record_bytes),
            max_pdf_memory_bytes: settings.limits.pdf_memory.unwrap_or(default.max_pdf_memory_bytes),
            html_boilerplate: settings.html_boilerplate,
            pdf_reader,
        };
        let tokens = settings.chunk_tokens.unwrap_or_else(|| ChunkOptions::for_model(manifest).tokens);
        let overlap = settings.chunk_overlap.unwrap_or(tokens / 8);
        Self { extract, chunk: ChunkOptions { tokens, overlap } }
    }

    /// Begins to read `source_object` at `start`, where `body` begins if it is open already.
    pub fn read(
        &self,
        embedder: &Embedder,
        source_object: &SourceObject,
        body: Option<Body>,
        start: Start,
        clock: &Arc<Clock>,
    ) -> ChunkReader {
        let Start { resume_point, first, to_the_end_first } = start;
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
                ChunkBatcher { chunker, sender, first, next, chunks: Vec::new(), resume_point, fault: None };
            let mut spool = to_the_end_first.then(Spool::new);
            let read = extract(reader, &hints, &options.extract, cursor.as_ref(), &mut |section| match &mut spool {
                None => batcher.add(section),
                Some(held) => match held.add(&section) {
                    Err(fault) => batcher.fail(fault),
                    Ok(()) if held.is_full() => batcher.add_all(spool.take()),
                    Ok(()) => ControlFlow::Continue(()),
                },
            });
            if read.is_ok() {
                let _ = batcher.add_all(spool);
            }
            match batcher.finish() {
                Some(fault) => Err(ReadError::Fault(fault)),
                None => read.map_err(ReadError::Unreadable),
            }
        });
        let (waiting, skipped_records) = (VecDeque::new(), SkippedRecords::default());
        ChunkReader { waiting, batches, thread: Some(thread), prefetcher, skipped_records }
    }
}

impl ChunkReader {
    /// The next batch; `None` at the document's end.
    ///
    /// # Errors
    /// Why reading ended early, after every batch up to there.
    pub async fn next(&mut self) -> Result<Option<ChunkBatch>, ReadError> {
        match self.waiting.pop_front() {
            Some(batch) => Ok(Some(batch)),
            None => self.receive().await,
        }
    }

    /// Reads `batches` batches ahead. If the document has fewer, the number of its chunks.
    pub async fn read_ahead(&mut self, batches: usize) -> Result<Option<usize>, ReadError> {
        while self.waiting.len() < batches {
            match self.receive().await? {
                Some(batch) => self.waiting.push_back(batch),
                None => return Ok(Some(self.waiting.iter().map(|batch| batch.chunks.len()).sum())),
            }
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Option<ChunkBatch>, ReadError> {
        if let Some(batch) = self.batches.recv().await {
            return Ok(Some(batch));
        }
        let Some(thread) = self.thread.take() else { return Ok(None) };
        match thread.await {
            Ok(Ok(extracted)) => {
                self.skipped_records = extracted.skipped_records;
                Ok(None)
            }
            Ok(Err(ReadError::Unreadable(Unreadable::Input(input)))) => Err(match self.prefetcher.error().await {
                Some(error) => ReadError::Source(error),
                None => ReadError::Unreadable(Unreadable::Input(input)),
            }),
            Ok(Err(error)) => Err(error),
            Err(ended) => Err(match ended.try_into_panic() {
                // It would panic at the same text again.
                Ok(panic) => {
                    let reason = format!("it could not be cut into chunks: {}", panics::message(&*panic));
                    ReadError::Unreadable(Unreadable::Broken(reason))
                }
                Err(ended) => ReadError::Fault(Error::internal("reading was cut off", ended)),
            }),
        }
    }
}

/// Makes batches of chunks from sections.
struct ChunkBatcher<'a> {
    chunker: Chunker<'a>,
    sender: mpsc::Sender<ChunkBatch>,
    /// The first chunk that is wanted.
    first: usize,
    /// The number of the next chunk.
    next: usize,
    chunks: Vec<NumberedChunk>,
    resume_point: Option<ResumePoint>,
    fault: Option<Error>,
}

impl ChunkBatcher<'_> {
    /// Breaks off after an error, and when nobody wants more.
    fn add(&mut self, section: Section) -> ControlFlow<()> {
        let chunks = match self.chunker.chunks(&section) {
            Ok(chunks) => chunks,
            Err(fault) => return self.fail(fault),
        };
        for chunk in chunks {
            let index = self.next;
            self.next += 1;
            if index < self.first {
                continue;
            }
            let (place, fields) = (section.place.clone(), section.fields.clone());
            self.chunks.push(NumberedChunk { index, chunk, place, fields });
            if self.next.is_multiple_of(BATCH) {
                self.send()?;
            }
        }
        if let Some(cursor) = section.resume {
            self.resume_point = Some(ResumePoint { cursor, chunks: self.next });
        }
        ControlFlow::Continue(())
    }

    /// Adds the sections that were kept.
    fn add_all(&mut self, spool: Option<Spool>) -> ControlFlow<()> {
        let Some(spool) = spool.filter(|_| self.fault.is_none()) else { return ControlFlow::Continue(()) };
        match spool.sections() {
            Err(fault) => self.fail(fault),
            Ok(mut sections) => sections.try_for_each(|section| match section {
                Ok(section) => self.add(section),
                Err(fault) => self.fail(fault),
            }),
        }
    }

    fn fail(&mut self, fault: Error) -> ControlFlow<()> {
        self.fault = Some(fault);
        ControlFlow::Break(())
    }

    /// Sends the last chunks; the error, if there was one.
    fn finish(mut self) -> Option<Error> {
        if !self.chunks.is_empty() {
            let _ = self.send();
        }
        self.fault
    }

    fn send(&mut self) -> ControlFlow<()> {
        let batch = ChunkBatch { chunks: std::mem::take(&mut self.chunks), resume_point: self.resume_point.clone() };
        match self.sender.blocking_send(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
