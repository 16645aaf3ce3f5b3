//! One invocation: an event's bytes in, the response that its source expects out.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::concurrency::admission::{Admission, Permit};
use crate::concurrency::offload;
use crate::documents::{self, DocumentPipeline, Outcome, Summary};
use crate::error::{Error, Kind, Result};
use crate::event::{
    self, EventSource, HttpRequest, HttpResponse, Invocation, Message, ResponseStream, S3BatchJob, SqsBatchResponse,
    TaskCode,
};
use crate::http_api::{Api, Reply};
use crate::observability::Observer;
use crate::observability::call::{self, Call, Deadline};
use crate::record::Change;

/// The answer to a ping that keeps an instance warm.
const WARM: Warm = Warm { status: "warm" };

#[derive(Serialize)]
struct Warm {
    status: &'static str,
}

/// Answers invocations with one loaded model; cheap to clone.
#[derive(Clone)]
pub struct Handler {
    api: Api,
    /// `None`: this function takes no documents.
    documents: Option<Arc<DocumentPipeline>>,
    admission: Admission,
    observer: Arc<Observer>,
}

impl Handler {
    /// A handler over parts that are ready; [`app::open`](crate::app::open) makes them.
    pub fn new(api: Api, documents: Option<DocumentPipeline>, admission: Admission, observer: Arc<Observer>) -> Self {
        Self { api, documents: documents.map(Arc::new), admission, observer }
    }

    /// The loaded model's id.
    pub fn model(&self) -> &str {
        self.api.model()
    }

    /// Runs of the model that have ended so far.
    pub fn runs(&self) -> u64 {
        self.api.runs()
    }

    /// Admits a call whose body has about `bytes` bytes; the permit counts it until dropped.
    ///
    /// # Errors
    /// [`Kind::Overloaded`](crate::error::Kind::Overloaded) when too many calls are under way.
    pub fn enter(&self, bytes: usize) -> Result<Permit> {
        self.admission.enter(bytes)
    }

    /// Whether a request is a health check, which needs no permit.
    pub fn is_health_check(&self, request: &HttpRequest) -> bool {
        self.api.is_health_check(request)
    }

    /// The answer to a request that is rejected before its body is read; logs and counts the call.
    pub async fn reject(&self, request: &HttpRequest, error: Error, call: &Call) -> HttpResponse {
        call.meter.note(|m| m.source = "http");
        let response = self.api.error_response(request, &error);
        call.meter.note(|m| m.status = Some(response.status.as_u16()));
        let _ = self.observer.watch(call, async { Err::<(), _>(error) }).await;
        response
    }

    /// `error` as the answer to a request.
    pub fn error_response(&self, request: &HttpRequest, error: &Error) -> HttpResponse {
        self.api.error_response(request, error)
    }

    /// This process's totals as Prometheus text.
    pub fn prometheus(&self) -> String {
        self.observer.prometheus(self.admission.calls())
    }

    /// Admits a call, decodes `event` and answers with the JSON that its source expects.
    ///
    /// # Errors
    /// For a direct invocation and an unknown event, what is wrong with it; for S3's own events, documents that
    /// need a retry. Mistakes in an HTTP request, a queue's message or a job's task are part of the answer.
    pub async fn handle(&self, event: &[u8], call: &Call) -> Result<Box<RawValue>> {
        let answered = async { self.answer(self.enter(event.len()), decode(event, call)?, call).await };
        self.watch(call, answered).await
    }

    /// Answers an HTTP request that did not come in an event, for a call that is watched already.
    pub async fn http(&self, request: &HttpRequest, call: &Call) -> HttpResponse {
        self.api.http(request, call).await
    }

    /// Notes that the process ends: calls dropped from now on are logged as stopped, not as abandoned.
    pub fn stop(&self) {
        self.observer.stop();
    }

    /// Does `work`, which ends in [`answer`](Self::answer), as the call's; see [`Observer::watch`].
    pub async fn watch<T>(&self, call: &Call, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.observer.watch(call, work).await
    }

    /// [`handle`](Self::handle) for an event that is decoded and a call that is watched already. `permit` is what
    /// [`enter`](Self::enter) gave; a health check is answered without one.
    pub async fn answer(&self, permit: Result<Permit>, invocation: Invocation, call: &Call) -> Result<Box<RawValue>> {
        match (invocation, permit) {
            (Invocation::WarmUp, _) => json(&WARM),
            (Invocation::Http(source, request), permit) => {
                let response = match permit {
                    Err(error) if !self.api.is_health_check(&request) => {
                        call.meter.fail(&error);
                        self.api.error_response(&request, &error)
                    }
                    _permit => self.http(&request, call).await,
                };
                self.envelope(source, &request, response, call).await
            }
            (_, Err(error)) => Err(error),
            (Invocation::Direct(body), Ok(_permit)) => self.api.direct(&body, 0, call).await,
            (Invocation::S3(changes), Ok(_permit)) => self.changes(changes, call).await,
            (Invocation::Queue(messages), Ok(_permit)) => self.queue(messages, call).await,
            (Invocation::Batch(job), Ok(_permit)) => self.batch(job, call).await,
            (Invocation::List(events), Ok(_permit)) => self.list(events, call).await,
        }
    }

    /// Answers an HTTP request piece by piece. `permit` is as in [`answer`](Self::answer).
    ///
    /// # Errors
    /// Those of an answer that has begun, which ends where it is.
    pub async fn stream(
        &self,
        permit: Result<Permit>,
        request: &HttpRequest,
        stream: ResponseStream,
        call: &Call,
    ) -> Result<()> {
        if let Err(error) = &permit
            && !self.api.is_health_check(request)
        {
            call.meter.fail(error);
            return stream.send(self.api.error_response(request, error)).await;
        }
        let mut vectors = match self.api.respond(request, true, call).await {
            Reply::Whole(response) => return stream.send(response).await,
            Reply::Stream(vectors) => vectors,
        };
        // The first piece is computed before the status is sent, so that its failure has one of its own.
        let mut next = match vectors.next(&self.api, call).await {
            Ok(first) => first,
            Err(error) => {
                call.meter.fail(&error);
                let response = self.api.error_response(request, &error);
                call.meter.note(|m| m.status = Some(response.status.as_u16()));
                return stream.send(response).await;
            }
        };
        let pieces = stream.begin(vectors.head.status, std::mem::take(&mut vectors.head.headers))?;
        while let Some(piece) = next {
            pieces.write(piece).await?;
            next = vectors.next(&self.api, call).await?;
        }
        Ok(())
    }

    /// `response` in its source's envelope, or the error that it is larger than the source takes: the size of headers
    /// is not known before the work.
    async fn envelope(
        &self,
        source: EventSource,
        request: &HttpRequest,
        response: HttpResponse,
        call: &Call,
    ) -> Result<Box<RawValue>> {
        let large = response.body.len() >= offload::FROM_BYTES;
        let encode = move |_: &_| source.encode(response);
        let encoded = offload::spawn_blocking_if(large, "encoding a response panicked", encode).await?;
        if encoded.get().len() <= source.largest() {
            return Ok(encoded);
        }
        let message = format!("the answer has more than the {} bytes that its way back takes", source.largest());
        let error = Error::request(Kind::TooLarge, None, message);
        call.meter.fail(&error);
        let response = self.api.error_response(request, &error);
        call.meter.note(|m| m.status = Some(response.status.as_u16()));
        source.encode(response)
    }

    /// Answers the events of a list one by one. A caller's mistake stands in its event's place; what a retry may help
    /// fails the list, because its sender repeats it as a whole.
    async fn list(&self, events: Vec<Result<Invocation>>, call: &Call) -> Result<Box<RawValue>> {
        let (mut answers, mut used) = (Vec::with_capacity(events.len()), 0);
        for event in events {
            let answered = match event {
                Ok(Invocation::Direct(body)) => self.api.direct(&body, used, call).await,
                Ok(Invocation::Http(source, request)) => {
                    let response = self.http(&request, call).await;
                    self.envelope(source, &request, response, call).await
                }
                Ok(Invocation::S3(changes)) => self.changes(changes, call).await,
                Ok(Invocation::Queue(messages)) => self.queue(messages, call).await,
                Ok(Invocation::Batch(job)) => self.batch(job, call).await,
                Ok(Invocation::WarmUp) => json(&WARM),
                Ok(Invocation::List(_)) => Err(Error::UnknownEvent("a list within the list".to_owned())),
                Err(error) => Err(error),
            };
            let answer = match answered {
                Ok(answer) => answer,
                Err(error) if error.kind().row().retryable || error.kind().is_fault() => return Err(error),
                Err(error) => {
                    // The error's kind alone, because its text may quote the event.
                    let kind = error.kind().row().lambda_type;
                    tracing::warn!(requestId = call::request_id(), kind, "an event of a list is refused");
                    json(&serde_json::json!({"errorType": kind, "errorMessage": error.public_message()}))?
                }
            };
            // A comma, or one of the brackets.
            used += answer.get().len() + 1;
            answers.push(answer);
        }
        json(&answers)
    }

    /// Answers an event that succeeds or fails as a whole.
    async fn changes(&self, changes: Vec<Change>, call: &Call) -> Result<Box<RawValue>> {
        let (outcomes, summary) = self.take(changes.clone(), call).await?;
        match documents::retry_error(&changes, &outcomes) {
            Some(error) => Err(error),
            None => json(&summary),
        }
    }

    /// Answers a queue with the messages that need a retry.
    async fn queue(&self, messages: Vec<Message>, call: &Call) -> Result<Box<RawValue>> {
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
    async fn batch(&self, job: S3BatchJob, call: &Call) -> Result<Box<RawValue>> {
        let changes: Vec<_> = job.tasks.iter().filter_map(|task| task.change.as_ref().ok().cloned()).collect();
        let mut outcomes = self.take(changes, call).await?.0.into_iter();
        let result = |task: &event::S3BatchTask| match &task.change {
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
            (m.documents, m.failed, m.unfinished) = (summary.documents, summary.failed, summary.unfinished);
            (m.unreadable, m.left_out) = (summary.unreadable, summary.skipped_records);
            m.skipped = summary.skipped + summary.unchanged + summary.outdated + summary.gone + summary.ignored;
            (m.texts, m.tokens) = (summary.chunks, summary.tokens);
            (m.read, m.write) = (summary.times.read, summary.times.write);
            (m.tokenize, m.run) = (summary.times.tokenize, summary.times.run);
            m.truncated_count = summary.times.truncated_count;
        });
        Ok((outcomes, summary))
    }
}

/// Decodes a call's event and notes its source, which logs and metrics name.
///
/// # Errors
/// Those of [`event::decode`].
pub fn decode(event: &[u8], call: &Call) -> Result<Invocation> {
    let invocation = event::decode(event)?;
    call.meter.note(|m| m.source = invocation.source());
    Ok(invocation)
}

/// The result of a task for S3 Batch Operations. A deleted or skipped object counts as done.
fn task_code(outcome: &Outcome) -> TaskCode {
    match outcome {
        outcome if outcome.should_retry() => TaskCode::TemporaryFailure,
        Outcome::Failed(_) => TaskCode::PermanentFailure,
        _ => TaskCode::Succeeded,
    }
}

fn json(value: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|e| Error::internal("the response cannot be encoded", e))
}
