//! Documents to vectors: an object in S3 becomes records in every configured store.
//!
//! ```text
//! Change (bucket, key, version, sequencer)         document   is there anything to do?
//!   -> source    its bytes, streamed               Document
//!   -> extract   bytes                             Section: a stretch of text with its place
//!   -> chunk     a section                         Chunk: a window the model takes whole
//!   -> embed     chunks, side by side              vectors
//!   -> record    chunk and vector                  Record
//!   -> encode    records                           bytes of JSON Lines or Parquet -> store
//!   -> outcome                                     what became of it; of all of them, a Summary
//! ```
//!
//! Invariants: an event may come late, twice or beside another of the same object, and what lies in the stores
//! is the newest version's, whole; an event is only taken as done when its result, or the reason why there is
//! none, is written down, but for events of what is no bucket, which leave a log line alone; memory is bounded
//! whatever the documents' sizes.

mod attempt;
mod checkpoint;
pub mod chunk;
mod chunk_reader;
mod document_task;
pub mod extract;
mod outcome;
mod source_object;

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use outcome::{DocumentFailure, Outcome, Summary, Times};

use crate::aws::{Bucket, Headers, Precondition, S3, is_bucket_name};
use crate::config::Documents;
use crate::embedding::Embedder;
use crate::error::{Error, Result, StoreError};
use crate::observability::call::{self, Deadline};
use crate::record::{Change, ModelRef, OutputLayout, SourceVersion, VectorStore};
use chunk::{ChunkOptions, Chunker};
use chunk_reader::ReadOptions;
use document_task::DocumentTask;
use extract::ExtractOptions;

/// Documents at work at once: a small one waits for S3 most of its time, 60 ms against 20 ms of a core.
const SIDE_BY_SIDE: usize = 8;

/// Megabytes, as stored, of the documents at work at once; a larger one works alone.
const ROOM: u32 = 64;

/// Changes whenever the same object under the same configuration gives other records than before.
const SCHEMA: u32 = 1;

/// Takes documents in; shared between calls.
pub struct DocumentPipeline {
    s3: S3,
    embedder: Embedder,
    settings: Documents,
    read_options: ReadOptions,
    layout: OutputLayout,
    output: Bucket,
    stores: Vec<Box<dyn VectorStore>>,
    /// Of everything beside the object that records depend on.
    fingerprint: String,
    room: Arc<Semaphore>,
}

impl DocumentPipeline {
    /// # Errors
    /// Chunk sizes that the model cannot take.
    pub fn new(settings: &Documents, embedder: &Embedder, s3: S3, stores: Vec<Box<dyn VectorStore>>) -> Result<Self> {
        let manifest = embedder.manifest();
        let read_options = ReadOptions { extract: extract_options(settings), chunk: chunk_options(settings, embedder) };
        Chunker::new(embedder.tokenizer(), manifest, read_options.chunk)?;
        if settings.input.is_none() {
            tracing::warn!(
                "EMBED_INPUT is not set: whoever may invoke this function chooses among all objects that its role reads"
            );
        }
        let model = ModelRef::of(manifest);
        let (ReadOptions { extract, chunk }, options, metadata) = (&read_options, &settings.encode, settings.metadata);
        // Where the reader of PDFs lies says nothing about what it reads.
        let extract = ExtractOptions { pdf_reader: None, ..extract.clone() };
        let fingerprint = fingerprint(&format!("{SCHEMA} {model:?} {extract:?} {chunk:?} {options:?} {metadata}"));
        Ok(Self {
            stores,
            embedder: embedder.clone(),
            settings: settings.clone(),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            layout: OutputLayout::new(&settings.output, settings.encode.format),
            output: s3.bucket(&settings.output.bucket),
            s3,
            read_options,
            fingerprint,
        })
    }

    /// Deals with `changes`, several at once; an outcome for each, in their order, and all of them summed up.
    /// What does not fit before `deadline` is unfinished.
    pub async fn take(self: &Arc<Self>, changes: Vec<Change>, deadline: Deadline) -> (Vec<Outcome>, Summary) {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let one = |change: &Change| {
            let change = change.clone();
            let (pipeline, places) = (Arc::clone(self), Arc::clone(&places));
            tokio::spawn(call::traced(async move {
                let _place = places.acquire_owned().await;
                let (outcome, times) = pipeline.one(&change, deadline).await;
                outcome.log(&change);
                (outcome, times)
            }))
        };
        let tasks: Vec<_> = changes.iter().map(one).collect();
        let (mut outcomes, mut summary) = (Vec::with_capacity(tasks.len()), Summary::default());
        for (task, change) in tasks.into_iter().zip(&changes) {
            let (outcome, times) = task.await.unwrap_or_else(|ended| {
                let reason = format!("a fault inside: {ended}");
                let outcome = Outcome::Failed(DocumentFailure { cause: "panic", reason, retryable: true });
                outcome.log(change);
                (outcome, Times::default())
            });
            summary.count(&outcome, times);
            outcomes.push(outcome);
        }
        (outcomes, summary)
    }

    async fn one(&self, change: &Change, deadline: Deadline) -> (Outcome, Times) {
        if let Some(why) = self.nothing_to_do(change) {
            return (Outcome::Ignored { why }, Times::default());
        }
        if !is_bucket_name(&change.bucket) {
            // Nothing is written down of it: an outcome lies below the name of its bucket, and this is none.
            let reason =
                "the event's bucket is no plain name of a bucket; access points, by ARN or alias, are not read";
            let failure = DocumentFailure { cause: "no_bucket_name", reason: reason.to_owned(), retryable: false };
            return (Outcome::Failed(failure), Times::default());
        }
        let source = self.s3.bucket(&change.bucket);
        let (clock, times) = (Arc::default(), Times::default());
        DocumentTask { pipeline: self, change, deadline, source, clock, times }.run().await
    }

    fn nothing_to_do(&self, change: &Change) -> Option<&'static str> {
        let Change { bucket, key, .. } = change;
        let outside = |input: &crate::config::S3Location| *bucket != input.bucket || !input.covers(key);
        match key {
            _ if self.layout.is_ours(bucket, key) => Some("it lies below EMBED_OUTPUT"),
            _ if self.settings.input.as_ref().is_some_and(outside) => Some("it lies outside EMBED_INPUT"),
            key if key.ends_with('/') || key.ends_with("_$folder$") => Some("it marks a folder"),
            _ => None,
        }
    }

    /// Room for a document of `size` bytes, free again when dropped.
    async fn room(&self, size: u64) -> Option<OwnedSemaphorePermit> {
        let megabytes = (size >> 20).clamp(1, u64::from(ROOM)) as u32;
        Arc::clone(&self.room).acquire_many_owned(megabytes).await.ok()
    }

    /// Writes down why a document has no vectors.
    async fn note(
        &self,
        change: &Change,
        outcome: &Outcome,
        source_version: Option<&SourceVersion>,
    ) -> Result<(), StoreError> {
        let Change { bucket, key, version, sequencer, .. } = change;
        let (reason, retryable) = match outcome {
            Outcome::Failed(DocumentFailure { reason, retryable, .. }) => (reason.clone(), *retryable),
            other => (other.sentence(), false),
        };
        let note = json!({
            "outcome": outcome.word(), "reason": reason, "retryable": retryable,
            "bucket": bucket, "key": key, "version": source_version.map_or(version, |source_version| &source_version.version),
            "etag": source_version.map(|source_version| &source_version.etag), "sequencer": sequencer,
        });
        let metadata = source_version.map_or_else(BTreeMap::new, SourceVersion::entries);
        let headers = Headers { content_type: "application/json", metadata: &metadata };
        let bytes = Bytes::from(format!("{note}\n"));
        self.output.put(&self.layout.outcome(bucket, key), bytes, headers, Precondition::None).await
    }
}

fn extract_options(settings: &Documents) -> ExtractOptions {
    let default = ExtractOptions::default();
    ExtractOptions {
        json_pointer: settings.json_pointer.clone().unwrap_or(default.json_pointer),
        csv_column: settings.csv_column.clone().unwrap_or(default.csv_column),
        max_decompressed_bytes: settings.limits.decompressed.unwrap_or(default.max_decompressed_bytes),
        max_whole_bytes: settings.limits.whole.unwrap_or(default.max_whole_bytes),
        max_record_bytes: settings.limits.record.unwrap_or(default.max_record_bytes),
        max_pdf_memory_bytes: settings.limits.pdf_memory.unwrap_or(default.max_pdf_memory_bytes),
        pdf_reader: settings.pdf_reader.clone(),
    }
}

fn chunk_options(settings: &Documents, embedder: &Embedder) -> ChunkOptions {
    let default = ChunkOptions::for_model(embedder.manifest());
    let tokens = settings.chunk_tokens.unwrap_or(default.tokens);
    let overlap =
        settings.chunk_overlap.unwrap_or(if settings.chunk_tokens.is_some() { tokens / 8 } else { default.overlap });
    ChunkOptions { tokens, overlap }
}

/// 64 bits are enough to tell configurations of one function apart.
fn fingerprint(text: &str) -> String {
    Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The error of a call without partial answers, some of whose documents have to come back.
pub fn retry_error(changes: &[Change], outcomes: &[Outcome]) -> Option<Error> {
    let waiting: Vec<_> = changes.iter().zip(outcomes).filter(|(_, outcome)| outcome.should_retry()).collect();
    let (change, outcome) = waiting.first()?;
    let others = match waiting.len() - 1 {
        0 => String::new(),
        others => format!(", and {others} more"),
    };
    let message = format!("s3://{}/{} {}{others}", change.bucket, change.key, outcome.sentence());
    Some(Error::Documents { message })
}
