//! Documents to vectors: an object in S3 becomes records in every configured store.
//!
//! ```text
//! Change (bucket, key, version, sequencer)
//!   -> document_task   is the document newer than what the stores hold?
//!   -> source_object   its bytes, streamed
//!   -> extract         bytes to Section: a stretch of text with its place
//!   -> chunk           a section to Chunk: a window the model takes whole
//!   -> chunk_reader    all of these, on a thread of their own, to batches of chunks
//!   -> attempt         batches to vectors, records, stores; checkpoints
//!   -> outcome         what became of the document; of all documents of a call, a Summary
//! ```
//!
//! Invariants: events may come late, twice or at once, and the stores hold the newest version, whole; an event counts
//! as done only when its result, or the reason why there is none, is written (an event whose bucket has no bucket's
//! name leaves a log line only); memory is bounded whatever the documents' sizes.

mod attempt;
mod call_order;
mod checkpoint;
pub mod chunk;
mod chunk_reader;
mod context;
mod document_task;
pub mod extract;
mod fingerprint;
mod outcome;
mod source_object;
mod spool;
mod task_error;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub use outcome::{DocumentFailure, Outcome, Summary, Times};

use crate::aws::{S3, why_no_bucket};
use crate::config::{Documents, S3Location};
use crate::embedding::Embedder;
use crate::error::{Error, Result};
use crate::observability::call::{self, Deadline};
use crate::record::{Change, ChangeKind, OutputLayout, VectorStore};
use call_order::ObjectChanges;
use chunk::Chunker;
use chunk_reader::ReadOptions;
use context::DocumentContext;
use document_task::DocumentTask;
pub use extract::pdf::PdfReader;
use fingerprint::fingerprint;

/// Documents of a call at work at once: a small one waits for S3 most of its time, 60 ms against 20 ms of a core.
const SIDE_BY_SIDE: usize = 8;

/// Embeds documents; shared between calls.
pub struct DocumentPipeline {
    context: DocumentContext,
}

impl DocumentPipeline {
    /// # Errors
    /// Chunk sizes that the model cannot take.
    pub fn new(
        settings: &Documents,
        pdf_reader: Option<PdfReader>,
        embedder: &Embedder,
        s3: S3,
        stores: Vec<Box<dyn VectorStore>>,
    ) -> Result<Self> {
        let manifest = embedder.manifest();
        let read_options = ReadOptions::new(settings, manifest, pdf_reader);
        Chunker::new(embedder.tokenizer(), manifest, read_options.chunk)?;
        if settings.input.is_none() {
            tracing::warn!(
                "EMBED_INPUT is not set: its invokers can have the function read any object that its role can read"
            );
        }
        let fingerprint = fingerprint(manifest, &read_options, settings);
        let context = DocumentContext {
            stores,
            embedder: embedder.clone(),
            settings: settings.clone(),
            megabytes: DocumentContext::megabytes(),
            layout: OutputLayout::new(&settings.output, settings.encode.format),
            output: s3.bucket(&settings.output.bucket),
            s3,
            read_options,
            fingerprint,
        };
        Ok(Self { context })
    }

    /// Does what `changes` ask for, several objects at once: an outcome for each change, in their order, and the sum of
    /// all. A document that is not done by `deadline` is unfinished.
    pub async fn take(self: &Arc<Self>, changes: Vec<Change>, deadline: Deadline) -> (Vec<Outcome>, Summary) {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let changes = Arc::new(changes);
        let start = |object: ObjectChanges| {
            let (pipeline, places, changes) = (Arc::clone(self), Arc::clone(&places), Arc::clone(&changes));
            let indices = object.concat();
            let task = tokio::spawn(call::traced(async move {
                let _place = places.acquire_owned().await;
                pipeline.object(object, &changes, deadline).await
            }));
            (indices, task)
        };
        let tasks: Vec<_> = call_order::by_object(&changes).into_iter().map(start).collect();
        let mut found = vec![None; changes.len()];
        let mut embedded = Vec::new();
        for (indices, task) in tasks {
            let outcomes = task.await.unwrap_or_else(|ended| {
                let reason = format!("a fault inside: {ended}");
                let outcome = Outcome::Failed(DocumentFailure { cause: "panic", reason, retryable: true });
                indices.iter().for_each(|&index| outcome.log(&changes[index]));
                indices.into_iter().map(|index| (index, outcome.clone(), Times::default())).collect()
            });
            embedded.extend(call_order::without_record(&outcomes).map(|index| &changes[index]));
            for (index, outcome, times) in outcomes {
                found[index] = Some((outcome, times));
            }
        }
        // All in one request: one for each document would be a quarter of its requests.
        if !embedded.is_empty() {
            Box::pin(self.context.delete_outcomes(&embedded)).await; // on the heap: this future is deep
        }
        let (mut outcomes, mut summary) = (Vec::with_capacity(changes.len()), Summary::default());
        for (outcome, times) in found.into_iter().flatten() {
            summary.count(&outcome, times);
            outcomes.push(outcome);
        }
        (outcomes, summary)
    }

    /// Does one object's changes one after another; see [`call_order`].
    async fn object(
        &self,
        object: ObjectChanges,
        changes: &[Change],
        deadline: Deadline,
    ) -> Vec<(usize, Outcome, Times)> {
        let (mut outcomes, mut waits) = (Vec::new(), false);
        for repetitions in object {
            let change = &changes[repetitions[0]];
            let (outcome, times) = match self.why_ignored(change) {
                Some(why) => (Outcome::Ignored { why }, Times::default()),
                None if waits => (call_order::after_a_retry(), Times::default()),
                None => self.one(change, deadline).await,
            };
            waits |= outcome.should_retry();
            let repeated = call_order::repeated(&outcome);
            outcomes.push((repetitions[0], outcome, times));
            outcomes.extend(repetitions[1..].iter().map(|&index| (index, repeated.clone(), Times::default())));
            for (index, outcome, _) in &outcomes[outcomes.len() - repetitions.len()..] {
                outcome.log(&changes[*index]);
            }
        }
        outcomes
    }

    async fn one(&self, change: &Change, deadline: Deadline) -> (Outcome, Times) {
        if let Some(reason) = why_no_bucket(&change.bucket) {
            // It has no outcome record, whose key begins with the bucket's name.
            let reason = format!("the event's bucket is {reason}");
            let failure = DocumentFailure { cause: "no_bucket_name", reason, retryable: false };
            return (Outcome::Failed(failure), Times::default());
        }
        DocumentTask::new(&self.context, change, deadline).run().await
    }

    fn why_ignored(&self, change: &Change) -> Option<&'static str> {
        let Change { kind, bucket, key, .. } = change;
        let is_outside = |input: &S3Location| *bucket != input.bucket || !input.covers(key);
        match (kind, key) {
            (ChangeKind::Other(why), _) => Some(why),
            _ if self.context.layout.is_ours(bucket, key) => Some("it lies below EMBED_OUTPUT"),
            _ if self.context.settings.input.as_ref().is_some_and(is_outside) => Some("it lies outside EMBED_INPUT"),
            (_, key) if key.ends_with('/') || key.ends_with("_$folder$") => Some("it marks a folder"),
            _ => None,
        }
    }
}

/// The error for a call that can only fail as a whole, if one of its documents has to come back.
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
