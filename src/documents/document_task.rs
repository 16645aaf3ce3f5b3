//! One document from the event that told of it to its outcome.
//!
//! ```text
//! look at every sink -> read the object's head -> newer than what is held? -> write -> finish
//!        ^─────────────────── someone else was faster ──────────────────────────────┘
//! ```
//!
//! What is embedded is what the object holds when it is read, or the version that the event names. Because
//! sinks are looked at before and refuse a write over anything else, events may come late, twice or at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::Ingest;
use super::attempt::{Attempt, SHORT};
use super::checkpoint::Progress;
use super::chunk_reader::Interrupted;
use super::extract::{Skip, Unreadable};
use super::outcome::{Failure, Outcome, Times};
use super::source_object::{Clock, Origin};
use crate::aws::{Body, Bucket, Found};
use crate::error::{Cause, Error, Trouble};
use crate::observability::call::{self, Deadline};
use crate::record::{Change, ChangeKind, Document, Held, Order, Refused, Stamp};

/// Races lost one after another before the document is left to a retry.
const ROUNDS: usize = 5;

/// Why an attempt at a document ended without an outcome.
pub enum Stop {
    /// Someone else wrote it, or the source changed: look again.
    Again,
    /// Time is up.
    Late,
    Failed(Failure),
    /// There is no text to be had; the cause and the reason of the outcome.
    Skipped(&'static str, String),
    /// It is not there any more.
    Gone,
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Superseded | Refused::StateLost(_) => Self::Again,
            // Nothing may be written down of it either, so the event has to come back.
            Refused::Trouble(trouble) => {
                Self::Failed(Failure { cause: of_a_sink(&trouble), reason: said(trouble), retryable: true })
            }
        }
    }
}

impl From<Interrupted> for Stop {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Source(trouble) => Self::of_source(trouble),
            Interrupted::Fault(error) => Self::of_fault(error),
            Interrupted::Unreadable(Unreadable::Skipped { why, reason }) => Self::Skipped(why.word(), reason),
            Interrupted::Unreadable(Unreadable::Broken(reason)) => {
                Self::Failed(Failure { cause: "broken", reason, retryable: false })
            }
            Interrupted::Unreadable(broken @ Unreadable::Input(_)) => {
                Self::Failed(Failure { cause: "source_busy", reason: broken.to_string(), retryable: true })
            }
        }
    }
}

impl Stop {
    /// What the object's own bucket said.
    fn of_source(trouble: Trouble) -> Self {
        match trouble.cause {
            Cause::Absent => Self::Gone,
            Cause::Condition => Self::Again,
            // A right that is missing may be given before the event comes back.
            cause => {
                let retryable = trouble.passing || cause == Cause::Denied;
                Self::Failed(Failure { cause: of_the_source(&trouble), reason: said(trouble), retryable })
            }
        }
    }

    pub fn of_fault(error: Error) -> Self {
        let row = error.kind().row();
        let (cause, retryable) = (row.lambda_type, row.retryable);
        Self::Failed(Failure { cause, reason: error.chain().to_string(), retryable })
    }
}

/// What the object's own bucket did, in a word for the log.
fn of_the_source(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble { cause: Cause::Denied, .. } => "source_denied",
        Trouble { cause: Cause::Elsewhere, .. } => "source_elsewhere",
        Trouble { passing: true, .. } => "source_busy",
        _ => "source_refused",
    }
}

/// What a sink, or the bucket of outcomes and checkpoints, did.
pub fn of_a_sink(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble { cause: Cause::Denied, .. } => "sink_denied",
        Trouble { cause: Cause::Elsewhere, .. } => "sink_elsewhere",
        Trouble { cause: Cause::Absent, .. } => "sink_absent",
        Trouble { passing: true, .. } => "sink_busy",
        _ => "sink_refused",
    }
}

/// The trouble and its causes on one line.
fn said(trouble: Trouble) -> String {
    match trouble.source {
        None => trouble.message,
        Some(source) => format!("{}: {}", trouble.message, Error::internal("caused by", source).chain()),
    }
}

/// One change at work.
pub struct Work<'a> {
    pub ingest: &'a Ingest,
    pub change: &'a Change,
    pub deadline: Deadline,
    pub source: Bucket,
    pub clock: Arc<Clock>,
    pub times: Times,
}

impl Work<'_> {
    /// Does what the change asks for; everything that goes wrong is an outcome.
    pub async fn run(mut self) -> (Outcome, Times) {
        let late = self.deadline.hard();
        let outcome = match self.change.kind {
            _ if self.deadline.is_soon() => Outcome::Unfinished,
            ChangeKind::Other => Outcome::Ignored { why: "the event tells of no new content" },
            _ => match late {
                None => self.rounds().await,
                // Whatever is under way is dropped; what is durable is in the sinks and the checkpoint.
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
        let mut stamp = None;
        for _ in 0..ROUNDS {
            let outcome = match self.change.kind {
                ChangeKind::Removed => self.removed().await,
                _ => self.created(false, &mut stamp).await,
            };
            match outcome {
                Ok(outcome) => return outcome,
                Err(Stop::Again) => continue,
                Err(Stop::Late) => return Outcome::Unfinished,
                Err(Stop::Gone) => return Outcome::Gone,
                Err(Stop::Skipped(cause, reason)) => {
                    return self.noted(Outcome::Skipped { cause, reason }, stamp.as_ref()).await;
                }
                Err(Stop::Failed(failure)) => return self.noted(Outcome::Failed(failure), stamp.as_ref()).await,
            }
        }
        let reason = format!("others wrote this document {ROUNDS} times while it was embedded; it is tried again");
        Outcome::Failed(Failure { cause: "raced", reason, retryable: true })
    }

    /// The change as a new content, `anyway` even if what is held is newer.
    async fn created(&mut self, anyway: bool, stamp: &mut Option<Stamp>) -> Result<Outcome, Stop> {
        let held = self.look().await?;
        if let Some(outcome) = self.told_by_the_event(&held).filter(|_| !anyway && !self.change.force) {
            self.forget_finished(&held).await;
            return Ok(outcome);
        }
        let (origin, document, body) = self.open_source().await?;
        let new = &*stamp.insert(Stamp::of(&document, &self.ingest.fingerprint));
        let mut open = Vec::new();
        let mut newer = false;
        for (index, held) in held.iter().enumerate() {
            match self.order(held, new, &document).await? {
                Order::Same if !self.change.force => {}
                Order::Newer if !anyway => newer = true,
                _ => open.push(index),
            }
        }
        if newer || (held.iter().all(|held| held.stamp.is_none()) && self.is_history(new).await?) {
            return Ok(Outcome::Outdated);
        }
        if open.is_empty() {
            self.forget_finished(&held).await;
            return Ok(Outcome::Unchanged);
        }
        if document.size > self.ingest.settings.limits.object {
            let limit = self.ingest.settings.limits.object;
            let reason = format!("it has {} bytes, EMBED_MAX_OBJECT_BYTES allows {limit}", document.size);
            return self.without_text(Skip::TooLarge.word(), reason, &held).await;
        }
        // One document of many megabytes at a time, or many small ones.
        let _room = self.ingest.room(document.size).await;
        let attempt = Attempt { work: self, origin: &origin, document: &document, stamp: new, held: &held, open };
        match attempt.write(body).await {
            Err(Stop::Skipped(cause, reason)) => self.without_text(cause, reason, &held).await,
            written => {
                let (chunks, tokens) = written?;
                self.forget_outcome().await;
                Ok(Outcome::Embedded { chunks, tokens })
            }
        }
    }

    /// The object is gone, or hidden by a delete marker.
    async fn removed(&mut self) -> Result<Outcome, Stop> {
        if !self.ingest.settings.remove {
            return Ok(Outcome::Ignored { why: "EMBED_ON_DELETE is keep" });
        }
        let held = self.look().await?;
        if matches!(self.told_by_the_event(&held), Some(Outcome::Outdated)) {
            return Ok(Outcome::Outdated);
        }
        let Change { bucket, key, version, .. } = self.change;
        let current = self.source.head(key, None).await.map_err(Stop::of_source)?;
        if current.is_some() {
            // Written anew meanwhile, of which its own event tells; or an older version shows again, because
            // the one that was embedded was deleted for good.
            let embedded = held.iter().filter_map(|held| held.stamp.as_ref()).any(|stamp| stamp.version == *version);
            if version.is_some() && embedded {
                let change =
                    Change { kind: ChangeKind::Created, version: None, sequencer: None, ..self.change.clone() };
                return self.again_as(&change, true).await;
            }
            return Ok(Outcome::Outdated);
        }
        for (sink, held) in self.ingest.sinks.iter().zip(&held) {
            sink.remove(bucket, key, held).await?;
        }
        self.forget_outcome().await;
        self.forget_progress().await;
        // Written anew in between, and its vectors taken away with the old ones? Then they are made again.
        if self.source.head(key, None).await.map_err(Stop::of_source)?.is_some() {
            let change = Change { kind: ChangeKind::Created, version: None, sequencer: None, ..self.change.clone() };
            return self.again_as(&change, false).await;
        }
        Ok(Outcome::Removed)
    }

    async fn again_as(&mut self, change: &Change, anyway: bool) -> Result<Outcome, Stop> {
        let (source, clock) = (self.source.clone(), Arc::clone(&self.clock));
        let mut work =
            Work { ingest: self.ingest, change, deadline: self.deadline, source, clock, times: Times::default() };
        let outcome = Box::pin(work.created(anyway, &mut None)).await;
        self.times.add(work.times);
        outcome
    }

    async fn look(&mut self) -> Result<Vec<Held>, Stop> {
        let asked = Instant::now();
        let mut held = Vec::with_capacity(self.ingest.sinks.len());
        for sink in &self.ingest.sinks {
            held.push(sink.look(&self.change.bucket, &self.change.key).await?);
        }
        self.times.write += asked.elapsed();
        Ok(held)
    }

    /// What the event alone says against what is held, so that a repeated delivery reads nothing.
    fn told_by_the_event(&self, held: &[Held]) -> Option<Outcome> {
        use std::cmp::Ordering;
        let sequencer = self.change.sequencer.as_ref()?;
        let stamps = held.iter().map(|held| held.stamp.as_ref()).collect::<Option<Vec<_>>>()?;
        let same = |stamp: &&Stamp| {
            self.change.etag.as_ref() == Some(&stamp.etag) && stamp.fingerprint == self.ingest.fingerprint
        };
        let orders: Option<Vec<_>> = stamps
            .iter()
            .map(|stamp| Some(crate::record::compare_sequencers(stamp.sequencer.as_ref()?, sequencer)))
            .collect();
        match orders? {
            orders if orders.iter().all(|order| *order == Ordering::Greater) => Some(Outcome::Outdated),
            orders if orders.iter().all(|order| *order == Ordering::Equal) && stamps.iter().all(same) => {
                Some(Outcome::Unchanged)
            }
            _ => None,
        }
    }

    async fn open_source(&mut self) -> Result<(Origin, Document, Body), Stop> {
        let Change { bucket, key, version, sequencer, .. } = self.change;
        let asked = Instant::now();
        let opened = self.source.get(key, version.as_deref(), None, 0).await;
        self.clock.add(asked.elapsed());
        let (found, body) = opened.map_err(Stop::of_source)?;
        let document = Document {
            bucket: bucket.clone(),
            key: key.clone(),
            version: found.version.clone(),
            etag: found.etag.clone(),
            sequencer: sequencer.clone(),
            last_modified: found.last_modified,
            content_type: found.content_type.clone(),
            size: found.size,
            metadata: if self.ingest.settings.metadata { found.metadata.clone() } else { BTreeMap::new() },
        };
        let origin = Origin { bucket: self.source.clone(), key: key.clone(), version: found.version.clone(), found };
        Ok((origin, document, body))
    }

    /// How what is held stands to `new`; a tie goes to what the source holds now.
    async fn order(&self, held: &Held, new: &Stamp, document: &Document) -> Result<Order, Stop> {
        let Some(stamp) = &held.stamp else { return Ok(Order::Older) };
        match stamp.order(new) {
            // Read without a version, after the look: it is what the source holds now.
            Order::Unknown if self.change.version.is_none() => Ok(Order::Older),
            Order::Unknown => match self.current().await? {
                Some(current) if current.version != document.version => Ok(Order::Newer),
                _ => Ok(Order::Older),
            },
            order => Ok(order),
        }
    }

    /// Whether a version that the event names, and of which nothing is held, has been dealt with since: a newer
    /// one had no text, or the object was deleted and its vectors were removed.
    async fn is_history(&self, new: &Stamp) -> Result<bool, Stop> {
        if self.change.version.is_none() {
            return Ok(false);
        }
        if self.ingest.settings.remove && self.current().await?.is_none() {
            return Ok(true);
        }
        let key = self.ingest.layout.outcome(&self.change.bucket, &self.change.key);
        let note = self.ingest.output.head(&key, None).await.map_err(|trouble| Stop::from(Refused::from(trouble)))?;
        let dealt = note.and_then(|note| Stamp::read(|name| note.metadata.get(name).map(String::as_str)));
        Ok(dealt.is_some_and(|dealt| dealt.order(new) == Order::Newer))
    }

    async fn current(&self) -> Result<Option<Found>, Stop> {
        self.source.head(&self.change.key, None).await.map_err(Stop::of_source)
    }

    /// The document has no text: what is held of an older version is not its text any more.
    async fn without_text(&mut self, cause: &'static str, reason: String, held: &[Held]) -> Result<Outcome, Stop> {
        for (sink, held) in self.ingest.sinks.iter().zip(held) {
            sink.remove(&self.change.bucket, &self.change.key, held).await?;
        }
        self.forget_progress().await;
        Err(Stop::Skipped(cause, reason))
    }

    pub async fn forget_progress(&self) {
        let key = self.ingest.layout.progress(&self.change.bucket, &self.change.key);
        self.forget(&key).await;
    }

    /// Removes the checkpoint of a version that is held by now: the call that wrote it was cut off right after.
    async fn forget_finished(&self, held: &[Held]) {
        let Some(stamp) = held.iter().find(|held| held.chunks > SHORT).and_then(|held| held.stamp.as_ref()) else {
            return;
        };
        let key = self.ingest.layout.progress(&self.change.bucket, &self.change.key);
        if let Ok(Some(progress)) = Progress::load(&self.ingest.output, &key).await
            && progress.is_of(stamp)
        {
            self.forget(&key).await;
        }
    }

    async fn forget_outcome(&self) {
        let key = self.ingest.layout.outcome(&self.change.bucket, &self.change.key);
        self.forget(&key).await;
    }

    /// Removes what is of no use any more; that it stays harms nobody.
    async fn forget(&self, key: &str) {
        if let Err(trouble) = self.ingest.output.delete(key, None).await {
            tracing::warn!(requestId = call::request_id(), key, cause = of_a_sink(&trouble), "not removed");
        }
    }

    /// Writes down why there are no vectors; an outcome that could not be written down comes back.
    async fn noted(&self, outcome: Outcome, stamp: Option<&Stamp>) -> Outcome {
        match self.ingest.note(self.change, &outcome, stamp).await {
            Ok(()) => outcome,
            Err(trouble) => {
                let cause = of_a_sink(&trouble);
                let reason = format!("{}; this could not be written down: {}", outcome.sentence(), said(trouble));
                Outcome::Failed(Failure { cause, reason, retryable: true })
            }
        }
    }
}
