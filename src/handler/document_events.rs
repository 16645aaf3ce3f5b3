//! Answers to events of documents: as a whole, message by message, or task by task.

use serde_json::value::RawValue;

use super::{Handler, json};
use crate::documents::{self, Outcome, Summary};
use crate::error::{Error, Result};
use crate::event::{Change, Message, S3BatchJob, S3BatchTask, SqsBatchResponse, TaskCode};
use crate::observability::call::{self, Call, Deadline};

impl Handler {
    /// Answers an event that succeeds or fails as a whole.
    pub(super) async fn changes(&self, changes: Vec<Change>, call: &Call) -> Result<Box<RawValue>> {
        let (outcomes, summary) = self.take(changes.clone(), call).await?;
        match documents::retry_error(&changes, &outcomes) {
            Some(error) => Err(error),
            None => json(&summary),
        }
    }

    /// Answers a queue with the messages that need a retry.
    pub(super) async fn queue(&self, messages: Vec<Message>, call: &Call) -> Result<Box<RawValue>> {
        let (mut changes, mut owners, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (index, message) in messages.iter().enumerate() {
            match &message.changes {
                Ok(read) => {
                    owners.extend(read.iter().map(|_| index));
                    changes.extend_from_slice(read);
                }
                Err(error) => {
                    // The error's kind alone, because its text may quote the message.
                    let kind = error.kind().row().lambda_type;
                    let id = call::request_id();
                    tracing::error!(requestId = id, message_id = message.id, kind, "a message is not understood");
                    failed.push(index);
                }
            }
        }
        let (outcomes, _) = self.take(changes, call).await?;
        let back = owners.into_iter().zip(&outcomes).filter(|(_, outcome)| outcome.should_retry());
        failed.extend(back.map(|(index, _)| index));
        failed.sort_unstable();
        failed.dedup();
        json(&SqsBatchResponse::failed(failed.into_iter().map(|index| messages[index].id.clone())))
    }

    /// Answers a job task by task.
    pub(super) async fn batch(&self, job: S3BatchJob, call: &Call) -> Result<Box<RawValue>> {
        let changes: Vec<_> = job.tasks.iter().filter_map(|task| task.change.as_ref().ok().cloned()).collect();
        let mut outcomes = self.take(changes, call).await?.0.into_iter();
        let result = |task: &S3BatchTask| match &task.change {
            Err(error) => (TaskCode::PermanentFailure, error.to_string()),
            Ok(_) => match outcomes.next() {
                Some(outcome) => (task_code(&outcome), outcome.sentence()),
                None => (TaskCode::TemporaryFailure, String::new()),
            },
        };
        let results: Vec<_> = job.tasks.iter().map(result).collect();
        json(&job.response(results))
    }

    async fn take(&self, changes: Vec<Change>, call: &Call) -> Result<(Vec<Outcome>, Summary)> {
        let Some(pipeline) = &self.documents else {
            // A queue shows nobody the error, so the log has it too.
            tracing::error!(requestId = call::request_id(), "an event of documents came; EMBED_OUTPUT is not set");
            let message = "this function takes no documents; for events of S3, directly or through SQS, SNS, EventBridge \
                           or S3 Batch Operations, set EMBED_OUTPUT to the s3://bucket/prefix below which their vectors \
                           are to be written";
            return Err(Error::UnknownEvent(message.to_owned()));
        };
        let (outcomes, summary) = pipeline.take(changes, Deadline::of(call)).await;
        call.meter.note(|m| {
            // Added, because a list may hold several events of documents.
            m.documents += summary.documents;
            m.failed += summary.failed;
            m.unfinished += summary.unfinished;
            m.unreadable += summary.unreadable;
            m.left_out += summary.skipped_records;
            m.skipped += summary.skipped + summary.unchanged + summary.outdated + summary.gone + summary.ignored;
            m.texts += summary.chunks;
            m.tokens += summary.tokens;
            m.truncated_count += summary.times.truncated_count;
            m.read += summary.times.read;
            m.write += summary.times.write;
            m.tokenize += summary.times.tokenize;
            m.run += summary.times.run;
        });
        Ok((outcomes, summary))
    }
}

/// The result of a task for S3 Batch Operations. A deleted or skipped object counts as done.
fn task_code(outcome: &Outcome) -> TaskCode {
    match outcome {
        outcome if outcome.should_retry() => TaskCode::TemporaryFailure,
        Outcome::Failed(_) => TaskCode::PermanentFailure,
        _ => TaskCode::Succeeded,
    }
}
