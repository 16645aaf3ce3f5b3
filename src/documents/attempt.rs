//! Reads, embeds and writes one version of a document, into the stores that do not hold it yet.
//!
//! ```text
//! up to SHORT chunks   read to the end, then embed and write: the records state the number of chunks
//! more                 read, embed and write at once, with a checkpoint now and then
//! ```
//!
//! Invariants: memory holds [`SHORT`] chunks, two batches at work and what the stores gather, whatever the document's
//! size; a long document that is interrupted anywhere goes on at its last checkpoint, and its output has the same bytes
//! as without the interruption; a document that cannot be read to its end leaves no records of the part that could.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::checkpoint::Checkpoint;
use super::chunk_reader::{BATCH, ChunkBatch, ChunkReader, NumberedChunk, ResumePoint, Start};
use super::context::DocumentContext;
use super::extract::{Skip, SkippedRecords};
use super::outcome::{Outcome, Times};
use super::source_object::{Clock, SourceObject};
use super::task_error::{TaskError, store_cause};
use crate::aws::Body;
use crate::embedding::{Embedder, Embeddings, Options, Truncation};
use crate::error::{Error, Result};
use crate::observability::call::{self, Deadline};
use crate::record::{Document, DocumentWriter, Existing, Place, Record, SourceVersion, WriteError, WriteRequest};

/// Chunks of a document that is read to its end before it is written: 20 s of one core at most.
pub const SHORT: usize = 2 * BATCH;

/// Batches that are embedded side by side: the second one keeps the cores busy while the first one ends.
const SIDE_BY_SIDE: usize = 2;

/// One attempt at one version.
pub struct Attempt<'a> {
    pub context: &'a DocumentContext,
    pub deadline: Deadline,
    pub clock: &'a Arc<Clock>,
    pub times: &'a mut Times,
    pub source_object: &'a SourceObject,
    pub document: &'a Document,
    pub source_version: &'a SourceVersion,
    /// What each store holds of the document.
    pub existing: &'a [Existing],
    /// Indices of the stores to write to.
    pub open: Vec<usize>,
}

type Writers<'a> = Vec<(&'static str, Box<dyn DocumentWriter + 'a>)>;

impl<'a> Attempt<'a> {
    /// Embeds and writes the document.
    pub async fn write(mut self, body: Body) -> Result<Outcome, TaskError> {
        let mut reader = self.read(Some(body), None, 0);
        let chunks = reader.read_ahead(SHORT / BATCH + 1).await?;
        if chunks == Some(0) {
            return Err(TaskError::Skipped { why: Skip::Unreadable, reason: "no chunk of it has text".to_owned() });
        }
        let mut checkpoint = Checkpoint::new(self.source_version);
        if chunks.is_none() {
            match self.load_checkpoint().await? {
                Some(loaded) if loaded.is_of(self.source_version) => {
                    reader = self.read(None, loaded.resume_point.clone(), loaded.done);
                    checkpoint = loaded;
                }
                Some(outdated) => self.abort_states(&outdated).await,
                None => {}
            }
        }
        let states = std::mem::take(&mut checkpoint.stores);
        let mut writers = self.begin(chunks, &states).await?;
        let written = self.write_batches(reader, chunks.is_none(), &mut writers, &mut checkpoint).await;
        let skipped_records = match written {
            Ok(skipped_records) => skipped_records,
            Err(error) => {
                if error.is_permanent() {
                    for (_, writer) in writers {
                        writer.abort().await?;
                    }
                    self.delete_checkpoint().await;
                }
                return Err(error);
            }
        };
        let asked = Instant::now();
        for (_, writer) in writers {
            let committed = writer.commit(checkpoint.done).await;
            self.drop_stale_checkpoint(committed).await?;
        }
        self.times.write += asked.elapsed();
        if chunks.is_none() {
            self.delete_checkpoint().await;
        }
        Ok(Outcome::Embedded { chunks: checkpoint.done, tokens: checkpoint.tokens, skipped_records })
    }

    /// A writer for each store, with the state that a checkpoint kept of it.
    async fn begin<'s>(
        &self,
        chunks: Option<usize>,
        states: &'s BTreeMap<String, Value>,
    ) -> Result<Writers<'s>, TaskError>
    where
        'a: 's,
    {
        let request = WriteRequest { document: self.document, source_version: self.source_version, chunks };
        let mut writers = Vec::with_capacity(self.open.len());
        for &index in &self.open {
            let (store, existing) = (&self.context.stores[index], &self.existing[index]);
            let begun = store.begin(request, existing, states.get(store.name())).await;
            if let Err(WriteError::StaleCheckpoint(error)) = &begun {
                let (key, cause) = (&self.document.key, store_cause(error));
                let id = call::request_id();
                tracing::warn!(requestId = id, key, cause, "the checkpoint is unusable: the document starts again");
            }
            writers.push((store.name(), self.drop_stale_checkpoint(begun).await?));
        }
        Ok(writers)
    }

    /// Embeds and writes what `reader` reads; with `checkpoints`, in steps that a later call need not repeat. Returns
    /// the parts that could not be read.
    async fn write_batches(
        &mut self,
        mut reader: ChunkReader,
        checkpoints: bool,
        writers: &mut Writers<'_>,
        checkpoint: &mut Checkpoint,
    ) -> Result<SkippedRecords, TaskError> {
        let mut at_work: VecDeque<(ChunkBatch, Embedding)> = VecDeque::new();
        loop {
            while at_work.len() < SIDE_BY_SIDE {
                let Some(batch) = reader.next().await? else { break };
                let embedding = Embedding::begin(&self.context.embedder, &batch);
                at_work.push_back((batch, embedding));
            }
            let Some((batch, embedding)) = at_work.pop_front() else { break };
            let asked = Instant::now();
            let embeddings = embedding.end().await.map_err(TaskError::of_fault)?;
            self.times.embed += asked.elapsed();
            self.times.tokenize += embeddings.timings.tokenize;
            self.times.run += embeddings.timings.inference;
            self.times.truncated_count += embeddings.truncated.len();
            checkpoint.resume_point = batch.resume_point.clone();
            let records = self.records(batch, embeddings);
            checkpoint.done += records.len();
            checkpoint.tokens += records.iter().map(|record| record.tokens).sum::<usize>();

            let asked = Instant::now();
            for (_, writer) in writers.iter_mut() {
                let written = writer.write(&records).await;
                self.drop_stale_checkpoint(written).await?;
            }
            // After the last batch the commit follows.
            if checkpoints && checkpoint.is_due() && !at_work.is_empty() {
                self.store_checkpoint(writers, checkpoint).await?;
            }
            self.times.write += asked.elapsed();
        }
        Ok(std::mem::take(&mut reader.skipped_records))
    }

    fn records(&self, batch: ChunkBatch, embeddings: Embeddings) -> Vec<Record> {
        let vectors = embeddings.vectors.into_iter().zip(embeddings.tokens);
        let record = |(numbered, (vector, tokens)): (NumberedChunk, (Vec<f32>, usize))| Record {
            id: Record::id_of(&self.document.bucket, &self.document.key, numbered.index),
            chunk: numbered.index,
            start: numbered.chunk.start,
            end: numbered.chunk.end,
            tokens,
            text: numbered.chunk.text,
            place: Place {
                properties: numbered.place.properties.filter(|_| self.context.settings.metadata),
                ..numbered.place
            },
            fields: numbered.fields,
            vector,
        };
        batch.chunks.into_iter().zip(vectors).map(record).collect()
    }

    fn read(&self, body: Option<Body>, resume_point: Option<ResumePoint>, first: usize) -> ChunkReader {
        let Self { context, source_object, clock, .. } = self;
        // A store that has begun to replace the older version holds it whole no longer.
        let replaces =
            |&index: &usize| context.stores[index].replaces_in_place() && self.existing[index].source_version.is_some();
        let to_the_end_first = self.open.iter().any(replaces);
        let start = Start { resume_point, first, to_the_end_first };
        context.read_options.read(&context.embedder, source_object, body, start, clock)
    }

    async fn load_checkpoint(&mut self) -> Result<Option<Checkpoint>, TaskError> {
        let Document { bucket, key, .. } = self.document;
        let asked = Instant::now();
        let key = self.context.layout.checkpoint(bucket, key);
        let loaded = Checkpoint::load(&self.context.output, &key).await.map_err(WriteError::from)?;
        self.times.write += asked.elapsed();
        Ok(loaded)
    }

    /// Makes the written records durable in every store, then stores the checkpoint.
    async fn store_checkpoint(&self, writers: &mut Writers<'_>, checkpoint: &mut Checkpoint) -> Result<(), TaskError> {
        for (name, writer) in writers {
            let state = writer.checkpoint().await;
            checkpoint.stores.insert((*name).to_owned(), self.drop_stale_checkpoint(state).await?);
        }
        let Document { bucket, key, .. } = self.document;
        let object = self.context.layout.checkpoint(bucket, key);
        checkpoint.store(&self.context.output, &object).await.map_err(WriteError::from)?;
        // The states may have megabytes, and a later call reads them from the object.
        checkpoint.stores.clear();
        tracing::debug!(requestId = call::request_id(), key, chunks = checkpoint.done, "checkpoint");
        match self.deadline.is_soon() {
            true => Err(TaskError::OutOfTime),
            false => Ok(()),
        }
    }

    /// Deletes the checkpoint where a store does not hold any more what the checkpoint says.
    async fn drop_stale_checkpoint<T>(&self, done: Result<T, WriteError>) -> Result<T, TaskError> {
        if let Err(WriteError::StaleCheckpoint(_) | WriteError::Conflict) = &done {
            self.delete_checkpoint().await;
        }
        Ok(done?)
    }

    async fn delete_checkpoint(&self) {
        self.context.delete_checkpoint(&self.document.bucket, &self.document.key).await;
    }

    /// Drops what the stores keep for a checkpoint of another version.
    async fn abort_states(&self, checkpoint: &Checkpoint) {
        let Document { bucket, key, .. } = self.document;
        for store in &self.context.stores {
            let Some(state) = checkpoint.stores.get(store.name()) else { continue };
            if let Err(WriteError::Store(error)) = store.abort(bucket, key, state).await {
                let cause = store_cause(&error);
                tracing::warn!(requestId = call::request_id(), key, cause, "an abandoned upload was not removed");
            }
        }
    }
}

/// The embedding of a batch; it ends when dropped.
struct Embedding(JoinHandle<Result<Embeddings>>);

impl Embedding {
    fn begin(embedder: &Embedder, batch: &ChunkBatch) -> Self {
        let texts = batch.chunks.iter().map(|numbered| numbered.chunk.text.clone()).collect();
        let options = Options { truncation: Truncation::Cut, ..Options::default() };
        let embedder = embedder.clone();
        Self(tokio::spawn(async move { embedder.embed(texts, options).await }))
    }

    async fn end(mut self) -> Result<Embeddings> {
        (&mut self.0).await.map_err(|e| Error::internal("embedding ended early", e))?
    }
}

impl Drop for Embedding {
    fn drop(&mut self) {
        self.0.abort();
    }
}
