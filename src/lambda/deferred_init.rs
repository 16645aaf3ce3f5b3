//! A start that may outlast Lambda's init: calls arrive while the model is still being loaded.
//!
//! ```text
//! load thread   app::open ────────────────────────────> outcome
//! init          waits for it, INIT_BUDGET at most ──> the loop asks for the first call
//! GET /health   answered at once: 503 and Retry-After until the model is loaded
//! other calls   wait for the outcome
//! ```
//!
//! Invariants: a start that fails within the budget fails the init; one that fails later fails the call
//! that waits for it, and ends the process, because it could answer no later call either.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::app;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::event::{EventSource, HttpRequest, HttpResponse, Invocation, ResponseStream};
use crate::handler::{self, Handler};
use crate::http_api::{Cors, Router};
use crate::observability::Observer;
use crate::observability::call::Call;

/// How long the init waits for the model. Lambda ends an init after 10 s and repeats it within the first call; the
/// remaining 1.5 s are for the process's own start and for slow machines.
pub const INIT_BUDGET: Duration = Duration::from_millis(8_500);

/// Time reserved before a call's deadline for the short answer that the model is not loaded.
const ANSWER_TIME: Duration = Duration::from_millis(100);

type LoadOutcome = std::result::Result<Handler, Arc<Error>>;

/// A handler that is loaded or being loaded; cheap to clone.
#[derive(Clone)]
pub struct DeferredInit {
    outcome: watch::Receiver<Option<LoadOutcome>>,
    /// Logs and counts calls before the model is loaded too.
    observer: Arc<Observer>,
    router: Router,
    cors: Cors,
    response_stream: bool,
}

/// Why a call has no answer.
pub enum InvocationError {
    /// The call itself failed; the next may not.
    Call(Error),
    /// The model cannot be loaded, so the process has to end.
    Start(Arc<Error>),
}

impl DeferredInit {
    /// Starts loading what `config` names; returns when it is loaded or `budget` is used up.
    ///
    /// # Errors
    /// What failed within the budget.
    pub async fn begin(config: Config, budget: Duration) -> std::result::Result<Self, Arc<Error>> {
        let (sender, outcome) = watch::channel(None);
        let observer = Arc::new(Observer::new(config.metrics.clone()));
        let mut deferred = Self {
            outcome,
            observer: Arc::clone(&observer),
            router: Router::new(&config),
            cors: Cors::new(&config),
            response_stream: config.response_stream,
        };
        std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                let opened = app::open_observed(Arc::new(config), observer).map(|(handler, startup)| {
                    startup.log(handler.model());
                    handler
                });
                // The receiver is gone only when the process ends.
                let _ = sender.send(Some(opened.map_err(Arc::new)));
            })
            .map_err(|e| Error::internal("the loading thread does not start", e))?;
        match tokio::time::timeout(budget, deferred.loaded()).await {
            Ok(outcome) => drop(outcome?),
            Err(_) => tracing::warn!(
                "the model is not loaded after {:.1} s; the function takes calls, and the first one waits for it",
                budget.as_secs_f32()
            ),
        }
        Ok(deferred)
    }

    /// Whether responses are streamed through front doors that can stream.
    pub fn streams(&self) -> bool {
        self.response_stream
    }

    /// Answers an event; waits for the model, unless the event asks for the health. `None`: the response went into
    /// `stream`, as far as it came.
    pub async fn handle(
        &self,
        event: &[u8],
        call: &Call,
        stream: Option<ResponseStream>,
    ) -> std::result::Result<Option<Box<RawValue>>, InvocationError> {
        let mut failed_start = None;
        let answered = self.observer.watch(call, async {
            let invocation = handler::decode(event, call)?;
            let loaded = self.outcome.borrow().clone();
            let outcome = match loaded {
                Some(outcome) => outcome,
                None => match &invocation {
                    Invocation::Http(source, request) if self.router.is_health_check(request) => {
                        return self.not_loaded(*source, request, stream, call).await;
                    }
                    _ => match (self.loaded_within(call.remaining()).await, &invocation) {
                        (Some(outcome), _) => outcome,
                        (None, Invocation::Http(source, request)) => {
                            call.meter.fail(&not_yet());
                            return self.not_loaded(*source, request, stream, call).await;
                        }
                        (None, _) => return Err(not_yet()),
                    },
                },
            };
            match (outcome, invocation, stream) {
                (Ok(handler), Invocation::Http(_, request), Some(stream)) if request.answer.streamed => {
                    handler.stream(handler.enter(event.len()), &request, stream, call).await.map(|()| None)
                }
                (Ok(handler), invocation, _) => {
                    handler.answer(handler.enter(event.len()), invocation, call).await.map(Some)
                }
                (Err(start), ..) => {
                    call.meter.fail(&start);
                    failed_start = Some(Arc::clone(&start));
                    Err(Error::internal("the model did not load", start))
                }
            }
        });
        let answered = answered.await;
        match failed_start {
            Some(start) => Err(InvocationError::Start(start)),
            None => answered.map_err(InvocationError::Call),
        }
    }

    /// Waits for the outcome; `None` once only [`ANSWER_TIME`] is left of the call.
    async fn loaded_within(&self, left: Option<Duration>) -> Option<LoadOutcome> {
        let mut waiting = self.clone();
        match left {
            None => Some(waiting.loaded().await),
            Some(left) => tokio::time::timeout(left.saturating_sub(ANSWER_TIME), waiting.loaded()).await.ok(),
        }
    }

    async fn loaded(&mut self) -> LoadOutcome {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("waited for"),
            Err(gone) => Err(Arc::new(Error::internal("loading the model ended early", gone))),
        }
    }

    /// Answers that the model is not loaded.
    async fn not_loaded(
        &self,
        source: EventSource,
        request: &HttpRequest,
        stream: Option<ResponseStream>,
        call: &Call,
    ) -> Result<Option<Box<RawValue>>> {
        let mut response = loading_response(request);
        self.cors.add(request, &mut response.headers);
        call.meter.note(|m| m.status = Some(response.status.as_u16()));
        match stream.filter(|_| request.answer.streamed) {
            Some(stream) => stream.send(response).await.map(|()| None),
            None => source.encode(response).map(Some),
        }
    }
}

/// The error of a call whose time ends before the model is loaded; a later call may find it loaded.
fn not_yet() -> Error {
    let message = "the model is still being loaded and this call's time ends; try again".to_owned();
    Error::Later { kind: Kind::Deadline, message }
}

fn loading_response(request: &HttpRequest) -> HttpResponse {
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        // Seconds. What the init did not finish takes about one more, or never ends.
        (header::RETRY_AFTER, HeaderValue::from_static("1")),
    ]);
    let body = if request.method == Method::HEAD { Vec::new() } else { br#"{"status":"loading"}"#.to_vec() };
    HttpResponse { status: StatusCode::SERVICE_UNAVAILABLE, headers, body }
}
