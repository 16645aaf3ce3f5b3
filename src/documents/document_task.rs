//! One document from the event that told of it to its outcome.
//!
//! ```text
//! look at every store -> read the object's head -> newer than what is there? -> write -> finish
//!        ^─────────────────── someone else was faster ──────────────────────────────┘
//! ```
//!
//! What is embedded is what the object holds when it is read, or the version that the event names. Because
//! stores are looked at before and refuse a write over anything else, events may come late, twice or at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::DocumentPipeline;
use super::attempt::{Attempt, SHORT};
use super::checkpoint::Checkpoint;
use super::chunk_reader::ReadError;
use super::extract::{Skip, Unreadable};
use super::outcome::{DocumentFailure, Outcome, Times};
use super::source_object::{Clock, SourceObject};
use crate::aws::{Body, Bucket, ObjectMetadata};
use crate::error::{Error, StoreError, StoreErrorKind};
use crate::observability::call::{self, Deadline};
use crate::record::{Change, ChangeKind, Document, Existing, SourceVersion, VersionOrder, WriteError};

/// Races lost one after another before the document is left to a retry.
const ROUNDS: usize = 5;

/// Why an attempt at a document ended without an outcome.
pub enum TaskError {
    /// Someone else wrote it, or the source changed: look again.
    Conflict,
    /// Time is up.
    OutOfTime,
    Failed(DocumentFailure),
    /// There is no text to be had; the cause and the reason of the outcome.
    Skipped(&'static str, String),
    /// It is not there any more.
    Gone,
}

impl From<WriteError> for TaskError {
    fn from(refused: WriteError) -> Self {
        match refused {
            WriteError::Conflict | WriteError::StaleCheckpoint(_) => Self::Conflict,
            // Nothing may be written down of it either, so the event has to come back.
            WriteError::Store(error) => {
                Self::Failed(DocumentFailure { cause: store_cause(&error), reason: said(error), retryable: true })
            }
        }
    }
}

impl From<ReadError> for TaskError {
    fn from(read_error: ReadError) -> Self {
        match read_error {
            ReadError::Source(error) => Self::of_source(error),
            ReadError::Fault(error) => Self::of_fault(error),
            ReadError::Unreadable(Unreadable::Skipped { why, reason }) => Self::Skipped(why.word(), reason),
            ReadError::Unreadable(Unreadable::Broken(reason)) => {
                Self::Failed(DocumentFailure { cause: "broken", reason, retryable: false })
            }
            ReadError::Unreadable(broken @ Unreadable::Input(_)) => {
                Self::Failed(DocumentFailure { cause: "source_busy", reason: broken.to_string(), retryable: true })
            }
        }
    }
}

impl TaskError {
    /// What the object's own bucket said.
    fn of_source(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::NotFound => Self::Gone,
            StoreErrorKind::PreconditionFailed => Self::Conflict,
            // A right that is missing may be given before the event comes back.
            cause => {
                let retryable = error.retryable || cause == StoreErrorKind::AccessDenied;
                Self::Failed(DocumentFailure { cause: source_cause(&error), reason: said(error), retryable })
            }
        }
    }

    pub fn of_fault(error: Error) -> Self {
        let row = error.kind().row();
        let (cause, retryable) = (row.lambda_type, row.retryable);
        Self::Failed(DocumentFailure { cause, reason: error.chain().to_string(), retryable })
    }
}

/// What the object's own bucket did, in a word for the log.
fn source_cause(error: &StoreError) -> &'static str {
    match error {
        StoreError { kind: StoreErrorKind::AccessDenied, .. } => "source_denied",
        StoreError { kind: StoreErrorKind::WrongRegion, .. } => "source_elsewhere",
        StoreError { retryable: true, .. } => "source_busy",
        _ => "source_refused",
    }
}

/// What a store, or the bucket of outcomes and checkpoints, did.
pub fn store_cause(error: &StoreError) -> &'static str {
    match error {
        StoreError { kind: StoreErrorKind::AccessDenied, .. } => "sink_denied",
        StoreError { kind: StoreErrorKind::WrongRegion, .. } => "sink_elsewhere",
        StoreError { kind: StoreErrorKind::NotFound, .. } => "sink_absent",
        StoreError { retryable: true, .. } => "sink_busy",
        _ => "sink_refused",
    }
}

/// The trouble and its causes on one line.
fn said(error: StoreError) -> String {
    match error.source {
        None => error.message,
        Some(source) => format!("{}: {}", error.message, Error::internal("caused by", source).chain()),
    }
}

/// One change at task.
pub struct DocumentTask<'a> {
    pub pipeline: &'a DocumentPipeline,
    pub change: &'a Change,
    pub deadline: Deadline,
    pub source: Bucket,
    pub clock: Arc<Clock>,
    pub times: Times,
}

impl DocumentTask<'_> {
    /// Does what the change asks for; everything that goes wrong is an outcome.
    pub async fn run(mut self) -> (Outcome, Times) {
        let late = self.deadline.hard();
        let outcome = match self.change.kind {
            _ if self.deadline.is_soon() => Outcome::Unfinished,
            ChangeKind::Other => Outcome::Ignored { why: "the event tells of no new content" },
            _ => match late {
                None => self.rounds().await,
                // Whatever is under way is dropped; what is durable is in the stores and the checkpoint.
                Some(late) => {
                    let rounds = tokio::time::timeout_at(late.into(), self.rounds()).await;
                    rounds.unwrap_or(Outcome::Unfinished)
                }
            },
        };
        self.times.read = self.clock.total();
        (outcome, self.times)
    }

    async fn rounds(&mut self) -> Outcome {
        let mut source_version = None;
        for _ in 0..ROUNDS {
            let outcome = match self.change.kind {
                ChangeKind::Removed => self.removed().await,
                _ => self.created(false, &mut source_version).await,
            };
            match outcome {
                Ok(outcome) => return outcome,
                Err(TaskError::Conflict) => continue,
                Err(TaskError::OutOfTime) => return Outcome::Unfinished,
                Err(TaskError::Gone) => return Outcome::Gone,
                Err(TaskError::Skipped(cause, reason)) => {
                    return self.noted(Outcome::Skipped { cause, reason }, source_version.as_ref()).await;
                }
                Err(TaskError::Failed(failure)) => {
                    return self.noted(Outcome::Failed(failure), source_version.as_ref()).await;
                }
            }
        }
        let reason = format!("others wrote this document {ROUNDS} times while it was embedded; it is tried again");
        Outcome::Failed(DocumentFailure { cause: "raced", reason, retryable: true })
    }

    /// The change as a new content, `anyway` even if what is there is newer.
    async fn created(
        &mut self,
        anyway: bool,
        source_version: &mut Option<SourceVersion>,
    ) -> Result<Outcome, TaskError> {
        let existing = self.get_existing().await?;
        if let Some(outcome) = self.told_by_the_event(&existing).filter(|_| !anyway && !self.change.force) {
            self.delete_finished_checkpoint(&existing).await;
            return Ok(outcome);
        }
        let (source_object, document, body) = self.open_source().await?;
        let new = &*source_version.insert(SourceVersion::of(&document, &self.pipeline.fingerprint));
        let mut open = Vec::new();
        let mut newer = false;
        for (index, existing) in existing.iter().enumerate() {
            match self.order(existing, new, &document).await? {
                VersionOrder::Same if !self.change.force => {}
                VersionOrder::Newer if !anyway => newer = true,
                _ => open.push(index),
            }
        }
        if newer || (existing.iter().all(|existing| existing.source_version.is_none()) && self.is_history(new).await?) {
            return Ok(Outcome::Outdated);
        }
        if open.is_empty() {
            self.delete_finished_checkpoint(&existing).await;
            return Ok(Outcome::Unchanged);
        }
        if document.size > self.pipeline.settings.limits.object {
            let limit = self.pipeline.settings.limits.object;
            let reason = format!("it has {} bytes, EMBED_MAX_OBJECT_BYTES allows {limit}", document.size);
            return self.without_text(Skip::TooLarge.word(), reason, &existing).await;
        }
        // One document of many megabytes at a time, or many small ones.
        let _room = self.pipeline.room(document.size).await;
        let attempt = Attempt {
            task: self,
            source_object: &source_object,
            document: &document,
            source_version: new,
            existing: &existing,
            open,
        };
        match attempt.write(body).await {
            Err(TaskError::Skipped(cause, reason)) => self.without_text(cause, reason, &existing).await,
            written => {
                let (chunks, tokens) = written?;
                self.delete_outcome().await;
                Ok(Outcome::Embedded { chunks, tokens })
            }
        }
    }

    /// The object is gone, or hidden by a delete marker.
    async fn removed(&mut self) -> Result<Outcome, TaskError> {
        if !self.pipeline.settings.remove {
            return Ok(Outcome::Ignored { why: "EMBED_ON_DELETE is keep" });
        }
        let existing = self.get_existing().await?;
        if matches!(self.told_by_the_event(&existing), Some(Outcome::Outdated)) {
            return Ok(Outcome::Outdated);
        }
        let Change { bucket, key, version, .. } = self.change;
        let current = self.source.head(key, None).await.map_err(TaskError::of_source)?;
        if current.is_some() {
            // Written anew meanwhile, of which its own event tells; or an older version shows again, because
            // the one that was embedded was deleted for good.
            let embedded = existing
                .iter()
                .filter_map(|existing| existing.source_version.as_ref())
                .any(|source_version| source_version.version == *version);
            if version.is_some() && embedded {
                let change =
                    Change { kind: ChangeKind::Created, version: None, sequencer: None, ..self.change.clone() };
                return self.again_as(&change, true).await;
            }
            return Ok(Outcome::Outdated);
        }
        for (store, existing) in self.pipeline.stores.iter().zip(&existing) {
            store.remove(bucket, key, existing).await?;
        }
        self.delete_outcome().await;
        self.delete_checkpoint().await;
        // Written anew in between, and its vectors taken away with the old ones? Then they are made again.
        if self.source.head(key, None).await.map_err(TaskError::of_source)?.is_some() {
            let change = Change { kind: ChangeKind::Created, version: None, sequencer: None, ..self.change.clone() };
            return self.again_as(&change, false).await;
        }
        Ok(Outcome::Removed)
    }

    async fn again_as(&mut self, change: &Change, anyway: bool) -> Result<Outcome, TaskError> {
        let (source, clock) = (self.source.clone(), Arc::clone(&self.clock));
        let mut task = DocumentTask {
            pipeline: self.pipeline,
            change,
            deadline: self.deadline,
            source,
            clock,
            times: Times::default(),
        };
        let outcome = Box::pin(task.created(anyway, &mut None)).await;
        self.times.add(task.times);
        outcome
    }

    async fn get_existing(&mut self) -> Result<Vec<Existing>, TaskError> {
        let asked = Instant::now();
        let mut existing = Vec::with_capacity(self.pipeline.stores.len());
        for store in &self.pipeline.stores {
            existing.push(store.get(&self.change.bucket, &self.change.key).await?);
        }
        self.times.write += asked.elapsed();
        Ok(existing)
    }

    /// What the event alone says against what is there, so that a repeated delivery reads nothing.
    fn told_by_the_event(&self, existing: &[Existing]) -> Option<Outcome> {
        use std::cmp::Ordering;
        let sequencer = self.change.sequencer.as_ref()?;
        let source_versions =
            existing.iter().map(|existing| existing.source_version.as_ref()).collect::<Option<Vec<_>>>()?;
        let same = |source_version: &&SourceVersion| {
            self.change.etag.as_ref() == Some(&source_version.etag)
                && source_version.fingerprint == self.pipeline.fingerprint
        };
        let orders: Option<Vec<_>> = source_versions
            .iter()
            .map(|source_version| {
                Some(crate::record::compare_sequencers(source_version.sequencer.as_ref()?, sequencer))
            })
            .collect();
        match orders? {
            orders if orders.iter().all(|order| *order == Ordering::Greater) => Some(Outcome::Outdated),
            orders if orders.iter().all(|order| *order == Ordering::Equal) && source_versions.iter().all(same) => {
                Some(Outcome::Unchanged)
            }
            _ => None,
        }
    }

    async fn open_source(&mut self) -> Result<(SourceObject, Document, Body), TaskError> {
        let Change { bucket, key, version, sequencer, .. } = self.change;
        let asked = Instant::now();
        let opened = self.source.get(key, version.as_deref(), None, 0).await;
        self.clock.add(asked.elapsed());
        let (found, body) = opened.map_err(TaskError::of_source)?;
        let document = Document {
            bucket: bucket.clone(),
            key: key.clone(),
            version: found.version.clone(),
            etag: found.etag.clone(),
            sequencer: sequencer.clone(),
            last_modified: found.last_modified,
            content_type: found.content_type.clone(),
            size: found.size,
            metadata: if self.pipeline.settings.metadata { found.metadata.clone() } else { BTreeMap::new() },
        };
        let source_object = SourceObject {
            bucket: self.source.clone(),
            key: key.clone(),
            version: found.version.clone(),
            metadata: found,
        };
        Ok((source_object, document, body))
    }

    /// How what is there stands to `new`; a tie goes to what the source holds now.
    async fn order(
        &self,
        existing: &Existing,
        new: &SourceVersion,
        document: &Document,
    ) -> Result<VersionOrder, TaskError> {
        let Some(source_version) = &existing.source_version else { return Ok(VersionOrder::Older) };
        match source_version.order(new) {
            // Read without a version, after the look: it is what the source holds now.
            VersionOrder::Unknown if self.change.version.is_none() => Ok(VersionOrder::Older),
            VersionOrder::Unknown => match self.current().await? {
                Some(current) if current.version != document.version => Ok(VersionOrder::Newer),
                _ => Ok(VersionOrder::Older),
            },
            order => Ok(order),
        }
    }

    /// Whether a version that the event names, and of which nothing is there, has been dealt with since: a newer
    /// one had no text, or the object was deleted and its vectors were removed.
    async fn is_history(&self, new: &SourceVersion) -> Result<bool, TaskError> {
        if self.change.version.is_none() {
            return Ok(false);
        }
        if self.pipeline.settings.remove && self.current().await?.is_none() {
            return Ok(true);
        }
        let key = self.pipeline.layout.outcome(&self.change.bucket, &self.change.key);
        let note =
            self.pipeline.output.head(&key, None).await.map_err(|error| TaskError::from(WriteError::from(error)))?;
        let dealt = note.and_then(|note| SourceVersion::read(|name| note.metadata.get(name).map(String::as_str)));
        Ok(dealt.is_some_and(|dealt| dealt.order(new) == VersionOrder::Newer))
    }

    async fn current(&self) -> Result<Option<ObjectMetadata>, TaskError> {
        self.source.head(&self.change.key, None).await.map_err(TaskError::of_source)
    }

    /// The document has no text: what there is of an older version is not its text any more.
    async fn without_text(
        &mut self,
        cause: &'static str,
        reason: String,
        existing: &[Existing],
    ) -> Result<Outcome, TaskError> {
        for (store, existing) in self.pipeline.stores.iter().zip(existing) {
            store.remove(&self.change.bucket, &self.change.key, existing).await?;
        }
        self.delete_checkpoint().await;
        Err(TaskError::Skipped(cause, reason))
    }

    pub async fn delete_checkpoint(&self) {
        let key = self.pipeline.layout.checkpoint(&self.change.bucket, &self.change.key);
        self.delete_object(&key).await;
    }

    /// Removes the checkpoint of a version that is there by now: the call that wrote it was cut off right after.
    async fn delete_finished_checkpoint(&self, existing: &[Existing]) {
        let Some(source_version) = existing
            .iter()
            .find(|existing| existing.chunks.is_none_or(|chunks| chunks > SHORT))
            .and_then(|existing| existing.source_version.as_ref())
        else {
            return;
        };
        let key = self.pipeline.layout.checkpoint(&self.change.bucket, &self.change.key);
        if let Ok(Some(checkpoint)) = Checkpoint::load(&self.pipeline.output, &key).await
            && checkpoint.is_of(source_version)
        {
            self.delete_object(&key).await;
        }
    }

    async fn delete_outcome(&self) {
        let key = self.pipeline.layout.outcome(&self.change.bucket, &self.change.key);
        self.delete_object(&key).await;
    }

    /// Removes what is of no use any more; that it stays harms nobody.
    async fn delete_object(&self, key: &str) {
        if let Err(error) = self.pipeline.output.delete(key, None).await {
            tracing::warn!(requestId = call::request_id(), key, cause = store_cause(&error), "not removed");
        }
    }

    /// Writes down why there are no vectors; an outcome that could not be written down comes back.
    async fn noted(&self, outcome: Outcome, source_version: Option<&SourceVersion>) -> Outcome {
        match self.pipeline.note(self.change, &outcome, source_version).await {
            Ok(()) => outcome,
            Err(error) => {
                let cause = store_cause(&error);
                let reason = format!("{}; this could not be written down: {}", outcome.sentence(), said(error));
                Outcome::Failed(DocumentFailure { cause, reason, retryable: true })
            }
        }
    }
}
