//! One document from its event to its outcome.
//!
//! ```text
//! get from every store -> open the source object -> is it newer? -> Attempt
//!        ^──────────────── another call was faster ────────────────────┘
//! ```
//!
//! What is embedded is what the object holds when it is read, or the version that the event names. Events may come
//! late, twice or at once: the stores are read before the source, and each refuses a write if its document changed
//! since.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::attempt::{Attempt, SHORT};
use super::checkpoint::Checkpoint;
use super::context::DocumentContext;
use super::extract::Skip;
use super::outcome::{DocumentFailure, Outcome, Times};
use super::source_object::{Clock, SourceObject};
use super::task_error::{TaskError, store_cause, with_causes};
use crate::aws::{Body, Bucket, ObjectMetadata};
use crate::observability::call::Deadline;
use crate::record::{
    Change, ChangeKind, Document, Existing, SourceVersion, VersionOrder, WriteError, compare_sequencers,
};

/// Conflicts with other calls, one after another, before the document is left to a retry.
const ROUNDS: usize = 5;

/// The work on one change.
pub struct DocumentTask<'a> {
    context: &'a DocumentContext,
    change: &'a Change,
    deadline: Deadline,
    source: Bucket,
    /// Time spent waiting for the source.
    clock: Arc<Clock>,
    times: Times,
}

impl<'a> DocumentTask<'a> {
    pub fn new(context: &'a DocumentContext, change: &'a Change, deadline: Deadline) -> Self {
        let (source, clock) = (context.s3.bucket(&change.bucket), Arc::default());
        Self { context, change, deadline, source, clock, times: Times::default() }
    }

    /// Does what the change, a creation or a removal, asks for; every error becomes an outcome.
    pub async fn run(mut self) -> (Outcome, Times) {
        let outcome = match self.deadline.hard() {
            _ if self.deadline.is_soon() => Outcome::Unfinished,
            None => self.rounds().await,
            // Work that is cut off here goes on at what the stores and the checkpoint have.
            Some(hard) => tokio::time::timeout_at(hard.into(), self.rounds()).await.unwrap_or(Outcome::Unfinished),
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
                Err(TaskError::Skipped { why, reason }) => {
                    return self.recorded(TaskError::skipped(why, reason), source_version.as_ref()).await;
                }
                Err(TaskError::Failed(failure)) => {
                    return self.recorded(Outcome::Failed(failure), source_version.as_ref()).await;
                }
            }
        }
        let reason = format!("others wrote this document {ROUNDS} times while it was embedded; it is tried again");
        Outcome::Failed(DocumentFailure { cause: "raced", reason, retryable: true })
    }

    /// The object has new content. `anyway` embeds it even if a store holds a newer version.
    async fn created(
        &mut self,
        anyway: bool,
        source_version: &mut Option<SourceVersion>,
    ) -> Result<Outcome, TaskError> {
        let existing = self.get_existing().await?;
        if let Some(outcome) = self.outcome_by_event(&existing).filter(|_| !anyway && !self.change.force) {
            self.delete_finished_checkpoint(&existing).await;
            return Ok(outcome);
        }
        let (source_object, document, body) = self.open_source().await?;
        let new = &*source_version.insert(SourceVersion::of(&document, &self.context.fingerprint));
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
        let limit = self.context.settings.limits.object;
        if document.size > limit {
            let reason = format!("it has {} bytes, EMBED_MAX_OBJECT_BYTES allows {limit}", document.size);
            self.remove(&existing).await?;
            return Err(TaskError::Skipped { why: Skip::TooLarge, reason });
        }
        let _permit = self.context.reserve(document.size).await;
        let attempt = Attempt {
            context: self.context,
            deadline: self.deadline,
            clock: &self.clock,
            times: &mut self.times,
            source_object: &source_object,
            document: &document,
            source_version: new,
            existing: &existing,
            open,
        };
        match attempt.write(body).await {
            Ok(embedded) if embedded.skipped_records().is_some() => Ok(self.recorded(embedded, Some(new)).await),
            Ok(embedded) => Ok(embedded),
            Err(skipped @ TaskError::Skipped { why, .. }) if !why.is_loss() => {
                self.remove(&existing).await?;
                Err(skipped)
            }
            Err(error) => Err(error),
        }
    }

    /// The object is gone, or hidden by a delete marker.
    async fn removed(&mut self) -> Result<Outcome, TaskError> {
        if !self.context.settings.remove {
            return Ok(Outcome::Ignored { why: "EMBED_ON_DELETE is keep" });
        }
        let existing = self.get_existing().await?;
        if matches!(self.outcome_by_event(&existing), Some(Outcome::Outdated)) {
            return Ok(Outcome::Outdated);
        }
        let Change { bucket, key, version, .. } = self.change;
        if self.current().await?.is_some() {
            // The object was written again, and that has an event of its own. Or a version was deleted for good: the
            // one that was embedded, so an older one is the object now; or the delete marker with which the vectors
            // went. The outcome record went with them; a document that never had vectors has one.
            let mut versions = existing.iter().map(|existing| existing.source_version.as_ref());
            let is_uncovered = version.is_some()
                && match versions.clone().all(|found| found.is_none()) {
                    true => self.outcome_record().await?.is_none(),
                    false => versions.any(|found| found.is_some_and(|found| found.version == *version)),
                };
            return match is_uncovered {
                true => self.embed_current(true).await,
                false => Ok(Outcome::Outdated),
            };
        }
        self.remove(&existing).await?;
        self.context.delete_outcome(bucket, key).await;
        // The object may have been written meanwhile, and its new vectors removed with the old ones.
        if self.current().await?.is_some() {
            return self.embed_current(false).await;
        }
        Ok(Outcome::Removed)
    }

    /// Embeds what the object holds now. `anyway` as in [`created`](Self::created).
    async fn embed_current(&mut self, anyway: bool) -> Result<Outcome, TaskError> {
        let change = Change { kind: ChangeKind::Created, version: None, sequencer: None, ..self.change.clone() };
        let mut task = DocumentTask {
            context: self.context,
            change: &change,
            deadline: self.deadline,
            source: self.source.clone(),
            clock: Arc::clone(&self.clock),
            times: Times::default(),
        };
        let outcome = Box::pin(task.created(anyway, &mut None)).await;
        self.times.add(task.times);
        outcome
    }

    /// What each store holds of the document.
    async fn get_existing(&mut self) -> Result<Vec<Existing>, TaskError> {
        let asked = Instant::now();
        let mut existing = Vec::with_capacity(self.context.stores.len());
        for store in &self.context.stores {
            existing.push(store.get(&self.change.bucket, &self.change.key).await?);
        }
        self.times.write += asked.elapsed();
        Ok(existing)
    }

    /// The outcome where the event's sequencer decides it, so that a repeated delivery reads nothing of the source.
    fn outcome_by_event(&self, existing: &[Existing]) -> Option<Outcome> {
        let sequencer = self.change.sequencer.as_ref()?;
        let versions = existing.iter().map(|existing| existing.source_version.as_ref());
        let versions = versions.collect::<Option<Vec<_>>>()?;
        let orders = versions.iter().map(|version| Some(compare_sequencers(version.sequencer.as_ref()?, sequencer)));
        let orders = orders.collect::<Option<Vec<_>>>()?;
        let is_same = |version: &&SourceVersion| {
            self.change.etag.as_ref() == Some(&version.etag) && version.fingerprint == self.context.fingerprint
        };
        if orders.iter().all(|order| *order == Ordering::Greater) {
            return Some(Outcome::Outdated);
        }
        let same = orders.iter().all(|order| *order == Ordering::Equal) && versions.iter().all(is_same);
        same.then_some(Outcome::Unchanged)
    }

    async fn open_source(&self) -> Result<(SourceObject, Document, Body), TaskError> {
        let Change { bucket, key, version, sequencer, .. } = self.change;
        let asked = Instant::now();
        let opened = self.source.get(key, version.as_deref(), None, 0).await;
        self.clock.add(asked.elapsed());
        let (metadata, body) = opened.map_err(TaskError::of_source)?;
        let document = Document {
            bucket: bucket.clone(),
            key: key.clone(),
            version: metadata.version.clone(),
            etag: metadata.etag.clone(),
            sequencer: sequencer.clone(),
            last_modified: metadata.last_modified,
            content_type: metadata.content_type.clone(),
            size: metadata.size,
            metadata: if self.context.settings.metadata { metadata.metadata.clone() } else { BTreeMap::new() },
        };
        let (bucket, version) = (self.source.clone(), metadata.version.clone());
        Ok((SourceObject { bucket, key: key.clone(), version, metadata }, document, body))
    }

    /// How the version in a store stands to `new`. Where neither is newer, the one that the object holds now is.
    async fn order(
        &self,
        existing: &Existing,
        new: &SourceVersion,
        document: &Document,
    ) -> Result<VersionOrder, TaskError> {
        let Some(source_version) = &existing.source_version else { return Ok(VersionOrder::Older) };
        match source_version.order(new) {
            // The object was read without a version, after the store: it holds `new` now.
            VersionOrder::Unknown if self.change.version.is_none() => Ok(VersionOrder::Older),
            VersionOrder::Unknown => match self.current().await? {
                Some(current) if current.version != document.version => Ok(VersionOrder::Newer),
                _ => Ok(VersionOrder::Older),
            },
            order => Ok(order),
        }
    }

    /// Whether the version that the event names is over although no store holds anything: a newer one had no text,
    /// or the object was deleted and its vectors were removed.
    async fn is_history(&self, new: &SourceVersion) -> Result<bool, TaskError> {
        if self.change.version.is_none() {
            return Ok(false);
        }
        if self.context.settings.remove && self.current().await?.is_none() {
            return Ok(true);
        }
        let recorded = self
            .outcome_record()
            .await?
            .and_then(|object| SourceVersion::read(|name| object.metadata.get(name).map(String::as_str)));
        Ok(recorded.is_some_and(|recorded| recorded.order(new) == VersionOrder::Newer))
    }

    /// The head of the document's outcome record.
    async fn outcome_record(&self) -> Result<Option<ObjectMetadata>, TaskError> {
        let key = self.context.layout.outcome(&self.change.bucket, &self.change.key);
        Ok(self.context.output.head(&key, None).await.map_err(WriteError::from)?)
    }

    /// What the object holds now.
    async fn current(&self) -> Result<Option<ObjectMetadata>, TaskError> {
        self.source.head(&self.change.key, None).await.map_err(TaskError::of_source)
    }

    /// Removes the document from every store, and its checkpoint.
    async fn remove(&self, existing: &[Existing]) -> Result<(), TaskError> {
        let Change { bucket, key, .. } = self.change;
        for (store, existing) in self.context.stores.iter().zip(existing) {
            store.remove(bucket, key, existing).await?;
        }
        self.context.delete_checkpoint(bucket, key).await;
        Ok(())
    }

    /// Deletes the checkpoint of a version that a store holds whole: a call was cut off before it did so.
    async fn delete_finished_checkpoint(&self, existing: &[Existing]) {
        let is_long = |existing: &&Existing| existing.chunks.is_none_or(|chunks| chunks > SHORT);
        let mut versions = existing.iter().filter(is_long).filter_map(|existing| existing.source_version.as_ref());
        let Some(version) = versions.next() else { return };
        let Change { bucket, key, .. } = self.change;
        let checkpoint = Checkpoint::load(&self.context.output, &self.context.layout.checkpoint(bucket, key)).await;
        if checkpoint.is_ok_and(|loaded| loaded.is_some_and(|checkpoint| checkpoint.is_of(version))) {
            self.context.delete_checkpoint(bucket, key).await;
        }
    }

    /// Writes the outcome record. If that fails, the event comes back.
    async fn recorded(&self, outcome: Outcome, source_version: Option<&SourceVersion>) -> Outcome {
        match self.context.write_outcome(self.change, &outcome, source_version).await {
            Ok(()) => outcome,
            Err(error) => {
                let cause = store_cause(&error);
                let reason = format!("{}; this could not be written down: {}", outcome.sentence(), with_causes(error));
                Outcome::Failed(DocumentFailure { cause, reason, retryable: true })
            }
        }
    }
}
