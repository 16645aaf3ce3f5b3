//! One version of a document into the stores that do not hold it yet.
//!
//! ```text
//! up to SHORT chunks   read to the end first; then embedded and written, in one go
//! more                 count -> embed -> checkpoint every period -> … -> finish
//! ```
//!
//! Invariants: the number of chunks is known before the first record; memory holds [`SHORT`] chunks, two
//! batches at work and what the stores gather, whatever the document's size; a long document that is interrupted
//! anywhere goes on at its last checkpoint and writes the bytes it would have written without.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use tokio::task::JoinHandle;

use super::checkpoint::{Checkpoint, period};
use super::chunk_reader::{BATCH, Batch, ChunkReader};
use super::document_task::{DocumentTask, TaskError, store_cause};
use super::extract::{Extracted, Skip};
use super::source_object::SourceObject;
use crate::aws::Body;
use crate::embedding::{Embeddings, Options, Truncation};
use crate::error::Result;
use crate::observability::call;
use crate::record::{Document, DocumentWriter, End, Existing, Record, SourceVersion, WriteError, WriteRequest};

/// ChunkReader of a document that is read to its end before it is written: 20 s of one core at most.
pub const SHORT: usize = 2 * BATCH;

/// Batches that are embedded side by side: the second keeps the cores busy while the first one ends.
const SIDE_BY_SIDE: usize = 2;

/// One attempt at one version.
pub struct Attempt<'a, 'w> {
    pub task: &'a mut DocumentTask<'w>,
    pub source_object: &'a SourceObject,
    pub document: &'a Document,
    pub source_version: &'a SourceVersion,
    /// What each store holds.
    pub existing: &'a [Existing],
    /// The stores to write to, by their places.
    pub open: Vec<usize>,
}

/// ChunkReader that are on their way or there already.
enum Pieces {
    Short(VecDeque<Batch>),
    Long(Box<ChunkReader>),
}

impl Pieces {
    async fn next(&mut self) -> Option<Batch> {
        match self {
            Self::Short(batches) => batches.pop_front(),
            Self::Long(chunks) => chunks.next().await,
        }
    }
}

impl Attempt<'_, '_> {
    /// Embeds and writes the document; its chunks and tokens.
    pub async fn write(mut self, body: Body) -> Result<(usize, usize), TaskError> {
        let mut reader = self.begin(Some(body), None, 0);
        let mut batches = VecDeque::new();
        while batches.len() * BATCH < SHORT {
            match reader.next().await {
                Some(batch) => batches.push_back(batch),
                None => return self.short(reader.end().await?, batches).await,
            }
        }
        match reader.next().await {
            None => self.short(reader.end().await?, batches).await,
            Some(batch) => {
                batches.push_back(batch);
                self.long(reader, batches).await
            }
        }
    }

    async fn short(&mut self, extracted: Extracted, batches: VecDeque<Batch>) -> Result<(usize, usize), TaskError> {
        self.tell(&extracted);
        let chunks = batches.iter().map(|batch| batch.pieces.len()).sum();
        if chunks == 0 {
            return Err(TaskError::Skipped(Skip::Empty.word(), "it holds no text".to_owned()));
        }
        let checkpoint = Checkpoint::new(self.source_version).counted(chunks);
        self.embed(Pieces::Short(batches), checkpoint, chunks, None).await
    }

    /// Goes on where a checkpoint says, or counts first.
    async fn long(&mut self, reader: ChunkReader, batches: VecDeque<Batch>) -> Result<(usize, usize), TaskError> {
        let (pipeline, change) = (self.task.pipeline, self.task.change);
        let key = pipeline.layout.checkpoint(&change.bucket, &change.key);
        let asked = Instant::now();
        let found = Checkpoint::load(&pipeline.output, &key).await.map_err(WriteError::from)?;
        self.task.times.write += asked.elapsed();
        let checkpoint = match found {
            Some(found) if found.is_of(self.source_version) => found,
            found => {
                self.drop_states(found.as_ref()).await;
                Checkpoint::new(self.source_version)
            }
        };
        let checkpoint = match checkpoint {
            Checkpoint { total: Some(_), .. } => {
                drop(reader);
                checkpoint
            }
            Checkpoint { resume_point: None, .. } => self.count(reader, batches, checkpoint, &key).await?,
            // Counting was interrupted; what was read here anew lies before that.
            Checkpoint { resume_point: Some(_), .. } => {
                drop(reader);
                let reader = self.begin(None, checkpoint.resume_point.clone(), 0);
                self.count(reader, VecDeque::new(), checkpoint, &key).await?
            }
        };
        let total = checkpoint.total.unwrap_or_default();
        let reader = self.begin(None, checkpoint.resume_point.clone(), checkpoint.done);
        let written = self.embed(Pieces::Long(Box::new(reader)), checkpoint, total, Some(&key)).await;
        if written.is_ok() {
            self.task.delete_checkpoint().await;
        }
        written
    }

    /// Counts the chunks to the document's end; a document that cannot be read to its end is known as such
    /// before anything is embedded.
    async fn count(
        &mut self,
        mut reader: ChunkReader,
        batches: VecDeque<Batch>,
        mut checkpoint: Checkpoint,
        key: &str,
    ) -> Result<Checkpoint, TaskError> {
        let first = checkpoint.resume_point.as_ref().map_or(0, |resume_point| resume_point.chunks);
        let mut resume_point =
            batches.back().and_then(|batch| batch.resume_point.clone()).or(checkpoint.resume_point.take());
        let mut chunks = first + batches.iter().map(|batch| batch.pieces.len()).sum::<usize>();
        drop(batches);
        loop {
            if self.task.deadline.is_soon() {
                checkpoint.resume_point = resume_point;
                checkpoint.store(&self.task.pipeline.output, key).await.map_err(WriteError::from)?;
                return Err(TaskError::OutOfTime);
            }
            match self.task.deadline.in_time(reader.next()).await {
                None => continue,
                Some(None) => break,
                Some(Some(batch)) => {
                    chunks += batch.pieces.len();
                    resume_point = batch.resume_point.or(resume_point);
                }
            }
        }
        self.tell(&reader.end().await?);
        Ok(checkpoint.counted(chunks))
    }

    /// Embeds `pieces`, of `total` chunks altogether, and writes them; with `checkpoints` at that key.
    async fn embed(
        &mut self,
        mut pieces: Pieces,
        mut checkpoint: Checkpoint,
        total: usize,
        checkpoints: Option<&str>,
    ) -> Result<(usize, usize), TaskError> {
        let pipeline = self.task.pipeline;
        let request =
            WriteRequest { document: self.document, source_version: self.source_version, chunks: Some(total) };
        let states = std::mem::take(&mut checkpoint.stores);
        let mut writers = Vec::with_capacity(self.open.len());
        for &index in &self.open {
            let (store, existing) = (&pipeline.stores[index], &self.existing[index]);
            let opened = store.begin(request, existing, states.get(store.name())).await;
            if let Err(WriteError::StaleCheckpoint(error)) = &opened {
                let (key, cause) = (&self.document.key, store_cause(error));
                tracing::warn!(
                    requestId = call::request_id(),
                    key,
                    cause,
                    "the checkpoint is of no use: starting anew"
                );
                self.task.delete_checkpoint().await;
            }
            writers.push((store.name(), opened?));
        }
        let mut at_work: VecDeque<(Batch, Embedding)> = VecDeque::new();
        loop {
            while at_work.len() < SIDE_BY_SIDE {
                let Some(batch) = pieces.next().await else { break };
                let embedding = Embedding::begin(pipeline, &batch);
                at_work.push_back((batch, embedding));
            }
            let Some((batch, embedding)) = at_work.pop_front() else { break };
            let asked = Instant::now();
            let embeddings = embedding.end().await.map_err(TaskError::of_fault)?;
            self.task.times.embed += asked.elapsed();
            self.task.times.tokenize += embeddings.timings.tokenize;
            self.task.times.run += embeddings.timings.inference;
            self.task.times.truncated_count += embeddings.truncated.len();
            checkpoint.resume_point = batch.resume_point.clone().or(checkpoint.resume_point);
            let records = self.records(batch, embeddings);
            checkpoint.done += records.len();
            checkpoint.tokens += records.iter().map(|record| record.tokens).sum::<usize>();

            let asked = Instant::now();
            for (_, writer) in &mut writers {
                let put = writer.write(&records).await;
                self.kept(put).await?;
            }
            if let Some(key) =
                checkpoints.filter(|_| checkpoint.done.is_multiple_of(period(total)) && checkpoint.done < total)
            {
                self.checkpoint(&mut writers, &mut checkpoint, key).await?;
            }
            self.task.times.write += asked.elapsed();
        }
        if let Pieces::Long(reader) = pieces {
            reader.end().await?;
        }
        if checkpoint.done != total {
            // The same bytes gave another number of chunks: a fault of ours, which writer down would hide.
            let counted = format!("{} chunks were embedded, {total} were counted", checkpoint.done);
            self.task.delete_checkpoint().await;
            return Err(TaskError::of_fault(crate::Error::internal(
                "the document was not read the same twice",
                counted,
            )));
        }
        let asked = Instant::now();
        let end = End { chunks: total, tokens: checkpoint.tokens };
        for (_, writer) in writers {
            let finished = writer.commit(&end).await;
            self.kept(finished).await?;
        }
        self.task.times.write += asked.elapsed();
        Ok((total, checkpoint.tokens))
    }

    /// Makes durable what was put, then says so.
    async fn checkpoint(
        &self,
        writers: &mut [(&'static str, Box<dyn DocumentWriter + '_>)],
        checkpoint: &mut Checkpoint,
        key: &str,
    ) -> Result<(), TaskError> {
        checkpoint.stores = BTreeMap::new();
        for (name, writer) in writers {
            let state = writer.checkpoint().await;
            checkpoint.stores.insert((*name).to_owned(), self.kept(state).await?);
        }
        checkpoint.store(&self.task.pipeline.output, key).await.map_err(WriteError::from)?;
        // The states hold what may be megabytes and are read from the checkpoint alone.
        checkpoint.stores = BTreeMap::new();
        let (key, chunks) = (&self.document.key, checkpoint.done);
        tracing::debug!(requestId = call::request_id(), key, chunks, total = checkpoint.total, "checkpoint");
        match self.task.deadline.is_soon() {
            true => Err(TaskError::OutOfTime),
            false => Ok(()),
        }
    }

    /// A store that lost what its state speaks of makes the checkpoint worthless.
    async fn kept<T>(&self, done: Result<T, WriteError>) -> Result<T, TaskError> {
        if let Err(WriteError::StaleCheckpoint(_) | WriteError::Conflict) = &done {
            self.task.delete_checkpoint().await;
        }
        Ok(done?)
    }

    fn records(&self, batch: Batch, embeddings: Embeddings) -> Vec<Record> {
        let vectors = embeddings.vectors.into_iter().zip(embeddings.tokens);
        let record = |(piece, (vector, tokens)): (super::chunk_reader::Piece, (Vec<f32>, usize))| Record {
            id: Record::id_of(&self.document.bucket, &self.document.key, piece.index),
            chunk: piece.index,
            start: piece.chunk.start,
            end: piece.chunk.end,
            tokens,
            text: piece.chunk.text,
            place: piece.place,
            fields: piece.fields,
            vector,
        };
        batch.pieces.into_iter().zip(vectors).map(record).collect()
    }

    fn begin(
        &self,
        body: Option<Body>,
        resume_point: Option<super::chunk_reader::ResumePoint>,
        first: usize,
    ) -> ChunkReader {
        let DocumentTask { pipeline, clock, .. } = &*self.task;
        pipeline.read_options.begin(&pipeline.embedder, self.source_object, body, resume_point, first, clock)
    }

    /// What a checkpoint of another version keeps in the stores is dropped.
    async fn drop_states(&self, checkpoint: Option<&Checkpoint>) {
        let Document { bucket, key, .. } = self.document;
        for (store, state) in self.task.pipeline.stores.iter().filter_map(|store| {
            let state = checkpoint?.stores.get(store.name())?;
            Some((store, state))
        }) {
            if let Err(WriteError::Store(error)) = store.abort(bucket, key, state).await {
                let cause = store_cause(&error);
                tracing::warn!(requestId = call::request_id(), key, cause, "an upload that nobody goes on with stays");
            }
        }
    }

    fn tell(&self, extracted: &Extracted) {
        if extracted.skipped_records.count > 0 {
            let Document { bucket, key, .. } = self.document;
            let (parts, first) = (extracted.skipped_records.count, extracted.skipped_records.kinds.join("; "));
            tracing::warn!(requestId = call::request_id(), bucket, key, parts, first, "parts were left out");
        }
    }
}

/// A batch that is being embedded; dropped, it is no longer.
struct Embedding(JoinHandle<Result<Embeddings>>);

impl Embedding {
    fn begin(pipeline: &super::DocumentPipeline, batch: &Batch) -> Self {
        let texts = batch.pieces.iter().map(|piece| piece.chunk.text.clone()).collect();
        let options = Options { truncation: Truncation::Cut, ..Options::default() };
        let embedder = pipeline.embedder.clone();
        Self(tokio::spawn(async move { embedder.embed(texts, options).await }))
    }

    async fn end(mut self) -> Result<Embeddings> {
        (&mut self.0).await.map_err(|e| crate::Error::internal("embedding ended early", e))?
    }
}

impl Drop for Embedding {
    fn drop(&mut self) {
        self.0.abort();
    }
}
