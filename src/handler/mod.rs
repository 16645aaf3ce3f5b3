//! One invocation: an event's bytes in, the response that its source expects out.
//!
//! ```text
//! Http               -> http_answers      http_api, whole or streamed
//! S3, Queue, Batch   -> document_events   documents
//! Direct             -> http_api
//! List               -> each of its events
//! ```

mod document_events;
mod http_answers;

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::concurrency::admission::{Admission, Permit};
use crate::documents::DocumentPipeline;
use crate::error::{Error, Result};
use crate::event::{self, HttpRequest, Invocation};
use crate::http_api::Api;
use crate::observability::Observer;
use crate::observability::call::{self, Call};

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
        let needs_permit = match &invocation {
            Invocation::WarmUp => false,
            Invocation::Http(_, request) => !self.is_health_check(request),
            _ => true,
        };
        let _permit = match (permit, &invocation) {
            (Err(error), Invocation::Http(source, request)) if needs_permit => {
                return self.envelope(*source, request, self.failed(request, &error, call), call).await;
            }
            (Err(error), _) if needs_permit => return Err(error),
            (permit, _) => permit.ok(),
        };
        match invocation {
            Invocation::List(events) => self.list(events, call).await,
            one => self.one(one, 0, call).await,
        }
    }

    /// Answers an event that is no list. `used` bytes of the response are taken already.
    async fn one(&self, invocation: Invocation, used: usize, call: &Call) -> Result<Box<RawValue>> {
        match invocation {
            Invocation::WarmUp => json(&serde_json::json!({"status": "warm"})),
            Invocation::Http(source, request) => {
                let response = self.http(&request, call).await;
                self.envelope(source, &request, response, call).await
            }
            Invocation::Direct(body) => self.api.direct(&body, used, call).await,
            Invocation::S3(changes) => self.changes(changes, call).await,
            Invocation::Queue(messages) => self.queue(messages, call).await,
            Invocation::Batch(job) => self.batch(job, call).await,
            Invocation::List(_) => Err(Error::UnknownEvent("a list within the list".to_owned())),
        }
    }

    /// Answers the events of a list one by one. A caller's mistake stands in its event's place; what a retry may help
    /// fails the list, because its sender repeats it as a whole.
    async fn list(&self, events: Vec<Result<Invocation>>, call: &Call) -> Result<Box<RawValue>> {
        let (mut answers, mut used) = (Vec::with_capacity(events.len()), 0);
        for event in events {
            let answered = match event {
                Ok(event) => self.one(event, used, call).await,
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

fn json(value: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|e| Error::internal("the response cannot be encoded", e))
}
