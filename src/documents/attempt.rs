//! One version of a document into the sinks that do not hold it yet.
//!
//! ```text
//! up to SHORT chunks   read to the end first; then embedded and written, in one go
//! more                 count -> embed -> checkpoint every period -> … -> finish
//! ```
//!
//! Invariants: the number of chunks is known before the first record; memory holds [`SHORT`] chunks, two
//! batches at work and what the sinks gather, whatever the document's size; a long document that is interrupted
//! anywhere goes on at its last checkpoint and writes the bytes it would have written without.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use tokio::task::JoinHandle;

use super::checkpoint::{Progress, period};
use super::chunk_reader::{BATCH, Batch, Chunks};
use super::document_task::{Stop, Work, of_a_sink};
use super::extract::{Extracted, Skip};
use super::source_object::Origin;
use crate::aws::Body;
use crate::embedding::{Embeddings, Options, Truncate};
use crate::error::Result;
use crate::observability::call;
use crate::record::{Document, End, Held, Job, Record, Refused, Stamp, Writing};

/// Chunks of a document that is read to its end before it is written: 20 s of one core at most.
pub const SHORT: usize = 2 * BATCH;

/// Batches that are embedded side by side: the second keeps the cores busy while the first one ends.
const SIDE_BY_SIDE: usize = 2;

/// One attempt at one version.
pub struct Attempt<'a, 'w> {
    pub work: &'a mut Work<'w>,
    pub origin: &'a Origin,
    pub document: &'a Document,
    pub stamp: &'a Stamp,
    /// What each sink holds.
    pub held: &'a [Held],
    /// The sinks to write to, by their places.
    pub open: Vec<usize>,
}

/// Chunks that are on their way or there already.
enum Pieces {
    Short(VecDeque<Batch>),
    Long(Box<Chunks>),
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
    pub async fn write(mut self, body: Body) -> Result<(usize, usize), Stop> {
        let mut reading = self.begin(Some(body), None, 0);
        let mut batches = VecDeque::new();
        while batches.len() * BATCH < SHORT {
            match reading.next().await {
                Some(batch) => batches.push_back(batch),
                None => return self.short(reading.end().await?, batches).await,
            }
        }
        match reading.next().await {
            None => self.short(reading.end().await?, batches).await,
            Some(batch) => {
                batches.push_back(batch);
                self.long(reading, batches).await
            }
        }
    }

    async fn short(&mut self, extracted: Extracted, batches: VecDeque<Batch>) -> Result<(usize, usize), Stop> {
        self.tell(&extracted);
        let chunks = batches.iter().map(|batch| batch.pieces.len()).sum();
        if chunks == 0 {
            return Err(Stop::Skipped(Skip::Empty.word(), "it holds no text".to_owned()));
        }
        let progress = Progress::new(self.stamp).counted(chunks);
        self.embed(Pieces::Short(batches), progress, chunks, None).await
    }

    /// Goes on where a checkpoint says, or counts first.
    async fn long(&mut self, reading: Chunks, batches: VecDeque<Batch>) -> Result<(usize, usize), Stop> {
        let (ingest, change) = (self.work.ingest, self.work.change);
        let key = ingest.layout.progress(&change.bucket, &change.key);
        let asked = Instant::now();
        let found = Progress::load(&ingest.output, &key).await.map_err(Refused::from)?;
        self.work.times.write += asked.elapsed();
        let progress = match found {
            Some(found) if found.is_of(self.stamp) => found,
            found => {
                self.drop_states(found.as_ref()).await;
                Progress::new(self.stamp)
            }
        };
        let progress = match progress {
            Progress { total: Some(_), .. } => {
                drop(reading);
                progress
            }
            Progress { anchor: None, .. } => self.count(reading, batches, progress, &key).await?,
            // Counting was interrupted; what was read here anew lies before that.
            Progress { anchor: Some(_), .. } => {
                drop(reading);
                let reading = self.begin(None, progress.anchor.clone(), 0);
                self.count(reading, VecDeque::new(), progress, &key).await?
            }
        };
        let total = progress.total.unwrap_or_default();
        let reading = self.begin(None, progress.anchor.clone(), progress.done);
        let written = self.embed(Pieces::Long(Box::new(reading)), progress, total, Some(&key)).await;
        if written.is_ok() {
            self.work.forget_progress().await;
        }
        written
    }

    /// Counts the chunks to the document's end; a document that cannot be read to its end is known as such
    /// before anything is embedded.
    async fn count(
        &mut self,
        mut reading: Chunks,
        batches: VecDeque<Batch>,
        mut progress: Progress,
        key: &str,
    ) -> Result<Progress, Stop> {
        let first = progress.anchor.as_ref().map_or(0, |anchor| anchor.chunks);
        let mut anchor = batches.back().and_then(|batch| batch.anchor.clone()).or(progress.anchor.take());
        let mut chunks = first + batches.iter().map(|batch| batch.pieces.len()).sum::<usize>();
        drop(batches);
        loop {
            if self.work.deadline.is_soon() {
                progress.anchor = anchor;
                progress.store(&self.work.ingest.output, key).await.map_err(Refused::from)?;
                return Err(Stop::Late);
            }
            match self.work.deadline.in_time(reading.next()).await {
                None => continue,
                Some(None) => break,
                Some(Some(batch)) => {
                    chunks += batch.pieces.len();
                    anchor = batch.anchor.or(anchor);
                }
            }
        }
        self.tell(&reading.end().await?);
        Ok(progress.counted(chunks))
    }

    /// Embeds `pieces`, of `total` chunks altogether, and writes them; with `checkpoints` at that key.
    async fn embed(
        &mut self,
        mut pieces: Pieces,
        mut progress: Progress,
        total: usize,
        checkpoints: Option<&str>,
    ) -> Result<(usize, usize), Stop> {
        let ingest = self.work.ingest;
        let job = Job { document: self.document, stamp: self.stamp, chunks: total };
        let states = std::mem::take(&mut progress.sinks);
        let mut writings = Vec::with_capacity(self.open.len());
        for &index in &self.open {
            let (sink, held) = (&ingest.sinks[index], &self.held[index]);
            let opened = sink.open(job, held, states.get(sink.name())).await;
            if let Err(Refused::StateLost(trouble)) = &opened {
                let (key, cause) = (&self.document.key, of_a_sink(trouble));
                tracing::warn!(
                    requestId = call::request_id(),
                    key,
                    cause,
                    "the checkpoint is of no use: starting anew"
                );
                self.work.forget_progress().await;
            }
            writings.push((sink.name(), opened?));
        }
        let mut at_work: VecDeque<(Batch, Embedding)> = VecDeque::new();
        loop {
            while at_work.len() < SIDE_BY_SIDE {
                let Some(batch) = pieces.next().await else { break };
                let embedding = Embedding::begin(ingest, &batch);
                at_work.push_back((batch, embedding));
            }
            let Some((batch, embedding)) = at_work.pop_front() else { break };
            let asked = Instant::now();
            let embeddings = embedding.end().await.map_err(Stop::of_fault)?;
            self.work.times.embed += asked.elapsed();
            self.work.times.tokenize += embeddings.timings.tokenize;
            self.work.times.run += embeddings.timings.inference;
            self.work.times.truncated += embeddings.truncated.len();
            progress.anchor = batch.anchor.clone().or(progress.anchor);
            let records = self.records(batch, embeddings);
            progress.done += records.len();
            progress.tokens += records.iter().map(|record| record.tokens).sum::<usize>();

            let asked = Instant::now();
            for (_, writing) in &mut writings {
                let put = writing.put(&records).await;
                self.kept(put).await?;
            }
            if let Some(key) =
                checkpoints.filter(|_| progress.done.is_multiple_of(period(total)) && progress.done < total)
            {
                self.checkpoint(&mut writings, &mut progress, key).await?;
            }
            self.work.times.write += asked.elapsed();
        }
        if let Pieces::Long(reading) = pieces {
            reading.end().await?;
        }
        if progress.done != total {
            // The same bytes gave another number of chunks: a fault of ours, which writing down would hide.
            let counted = format!("{} chunks were embedded, {total} were counted", progress.done);
            self.work.forget_progress().await;
            return Err(Stop::of_fault(crate::Error::internal("the document was not read the same twice", counted)));
        }
        let asked = Instant::now();
        let end = End { tokens: progress.tokens };
        for (_, writing) in writings {
            let finished = writing.finish(&end).await;
            self.kept(finished).await?;
        }
        self.work.times.write += asked.elapsed();
        Ok((total, progress.tokens))
    }

    /// Makes durable what was put, then says so.
    async fn checkpoint(
        &self,
        writings: &mut [(&'static str, Box<dyn Writing + '_>)],
        progress: &mut Progress,
        key: &str,
    ) -> Result<(), Stop> {
        progress.sinks = BTreeMap::new();
        for (name, writing) in writings {
            let state = writing.suspend().await;
            progress.sinks.insert((*name).to_owned(), self.kept(state).await?);
        }
        progress.store(&self.work.ingest.output, key).await.map_err(Refused::from)?;
        // The states hold what may be megabytes and are read from the checkpoint alone.
        progress.sinks = BTreeMap::new();
        let (key, chunks) = (&self.document.key, progress.done);
        tracing::debug!(requestId = call::request_id(), key, chunks, total = progress.total, "checkpoint");
        match self.work.deadline.is_soon() {
            true => Err(Stop::Late),
            false => Ok(()),
        }
    }

    /// A sink that lost what its state speaks of makes the checkpoint worthless.
    async fn kept<T>(&self, done: Result<T, Refused>) -> Result<T, Stop> {
        if let Err(Refused::StateLost(_) | Refused::Superseded) = &done {
            self.work.forget_progress().await;
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

    fn begin(&self, body: Option<Body>, anchor: Option<super::chunk_reader::Anchor>, first: usize) -> Chunks {
        let Work { ingest, clock, .. } = &*self.work;
        ingest.reading.begin(&ingest.embedder, self.origin, body, anchor, first, clock)
    }

    /// What a checkpoint of another version keeps in the sinks is dropped.
    async fn drop_states(&self, progress: Option<&Progress>) {
        let Document { bucket, key, .. } = self.document;
        for (sink, state) in self.work.ingest.sinks.iter().filter_map(|sink| {
            let state = progress?.sinks.get(sink.name())?;
            Some((sink, state))
        }) {
            if let Err(Refused::Trouble(trouble)) = sink.forget(bucket, key, state).await {
                let cause = of_a_sink(&trouble);
                tracing::warn!(requestId = call::request_id(), key, cause, "an upload that nobody goes on with stays");
            }
        }
    }

    fn tell(&self, extracted: &Extracted) {
        if extracted.left_out.count > 0 {
            let Document { bucket, key, .. } = self.document;
            let (parts, first) = (extracted.left_out.count, extracted.left_out.kinds.join("; "));
            tracing::warn!(requestId = call::request_id(), bucket, key, parts, first, "parts were left out");
        }
    }
}

/// A batch that is being embedded; dropped, it is no longer.
struct Embedding(JoinHandle<Result<Embeddings>>);

impl Embedding {
    fn begin(ingest: &super::Ingest, batch: &Batch) -> Self {
        let texts = batch.pieces.iter().map(|piece| piece.chunk.text.clone()).collect();
        let options = Options { truncate: Truncate::Cut, ..Options::default() };
        let embedder = ingest.embedder.clone();
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
