//! The Runtime API's loop: gets calls and answers them until SIGTERM.
//!
//! ```text
//! GET …/next ──> invoke ──> POST …/response or …/error      as many calls at once as Lambda allows
//! EMBED_RESPONSE_STREAM=on           the response of a front door that can stream is sent while it is computed
//! the connection breaks              the loop asks again, LOST times at most
//! the Runtime API answers nonsense   the process ends, and Lambda starts another
//! SIGTERM                            a call that does not end within DRAIN fails with an error that allows a retry
//! ```
//!
//! Metrics and log lines are written when a call ends, so nothing is left to flush.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Bytes, Frame};
use lambda_runtime::tower::{Layer, Service};
use lambda_runtime::{
    Diagnostic, FunctionResponse, LambdaEvent, LambdaInvocation, MetadataPrelude, Runtime, service_fn, streaming,
};
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{DeferredInit, InvocationError};
use crate::concurrency::panics;
use crate::error::{Error, Kind, Result};
use crate::event::ResponseStream;
use crate::observability::call::Call;

/// How long calls may go on after SIGTERM. Lambda kills the process 500 ms after it if an internal extension is
/// registered, 2 s if an external one is; without an extension it sends no SIGTERM.
const DRAIN: Duration = Duration::from_millis(300);

/// Connections lost in a row, without a call in between, after which the process ends.
const LOST: u32 = 5;

tokio::task_local! {
    /// The event of the call that a task works for, as the Runtime API sent it. The runtime itself gets `null`: it
    /// would parse the event once more, and would answer one that is not JSON without a log line or a metric.
    static EVENT: Bytes;
}

/// Takes calls until SIGTERM.
///
/// # Errors
/// The Runtime API does not answer, or not in its protocol.
pub async fn serve(handler: DeferredInit) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| Error::internal("signals cannot be watched", e))?;
    let calls = Calls::default();
    tokio::select! {
        outcome = take_calls(&handler, &calls) => outcome,
        () = async {
            terminate.recv().await;
            calls.stop().await;
        } => {
            tracing::info!("SIGTERM received; no call is under way");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn take_calls(handler: &DeferredInit, calls: &Calls) -> Result<ExitCode> {
    let mut lost = 0;
    loop {
        let (before, handler, counted) = (calls.received(), handler.clone(), calls.clone());
        let invoke = service_fn(move |event: LambdaEvent<()>| {
            let (handler, calls) = (handler.clone(), counted.clone());
            async move { invoke(&handler, &calls, &event.context).await }
        });
        let runtime = Runtime::new(invoke).layer(calls.clone());
        // The runtime panics on an answer without the headers of a call, such as a 500.
        let run = async {
            runtime.run_concurrent().await.map_err(|e| Error::internal("the connection to the Runtime API broke", e))
        };
        let error = match panics::caught("the Runtime API's answer is not understood", async { Ok(run.await) }).await? {
            Ok(()) => return Ok(ExitCode::SUCCESS),
            Err(error) => error,
        };
        lost = if calls.received() > before { 1 } else { lost + 1 };
        if lost >= LOST {
            return Err(error);
        }
        tracing::warn!(cause = %error.chain(), "asking for the next call again");
        tokio::time::sleep(Duration::from_millis(20) * lost).await;
    }
}

/// What goes to the Runtime API.
type RuntimeResponse = FunctionResponse<Box<RawValue>, streaming::Body>;

async fn invoke(
    handler: &DeferredInit,
    calls: &Calls,
    context: &lambda_runtime::Context,
) -> std::result::Result<RuntimeResponse, Diagnostic> {
    let (call, event) = (Call::from(context), EVENT.get());
    if !handler.streams() {
        return buffered(answer(handler, calls, &call, &event, None).await, context).await;
    }
    let (stream, mut begun) = ResponseStream::new();
    let (handler, calls) = (handler.clone(), calls.clone());
    // On a task of its own, because it goes on while the runtime sends what is there.
    let mut work = tokio::spawn(async move { answer(&handler, &calls, &call, &event, Some(stream)).await });
    tokio::select! {
        biased;
        Ok(response) = &mut begun => Ok(FunctionResponse::StreamingResponse(streaming::Response {
            metadata_prelude: MetadataPrelude {
                status_code: response.status,
                headers: response.headers,
                cookies: Vec::new(),
            },
            stream: streaming::Body::new(StreamedBody(response.pieces)),
        })),
        answered = &mut work => {
            let ended = |e| Err(InvocationError::Call(Error::internal("the call ended early", e)));
            buffered(answered.unwrap_or_else(ended), context).await
        }
    }
}

/// Answers a call, or ends it with the process.
async fn answer(
    handler: &DeferredInit,
    calls: &Calls,
    call: &Call,
    event: &[u8],
    stream: Option<ResponseStream>,
) -> std::result::Result<Option<Box<RawValue>>, InvocationError> {
    tokio::select! {
        answered = handler.handle(event, call, stream) => answered,
        error = async {
            calls.drained().await;
            let message = "the process received SIGTERM before this call was answered; try again".to_owned();
            let error = Error::Later { kind: Kind::Stopping, message };
            // Before the work is dropped, because dropping it writes the log line.
            call.meter.fail(&error);
            error
        } => Err(InvocationError::Call(error)),
    }
}

/// The response of a call that has no stream.
async fn buffered(
    answered: std::result::Result<Option<Box<RawValue>>, InvocationError>,
    context: &lambda_runtime::Context,
) -> std::result::Result<RuntimeResponse, Diagnostic> {
    match answered {
        Ok(response) => Ok(FunctionResponse::BufferedResponse(response.unwrap_or_default())),
        Err(InvocationError::Call(error)) => Err(Diagnostic::from(error)),
        Err(InvocationError::Start(error)) => {
            tracing::error!(error = %error.chain(), "the model did not load; this process ends");
            let path = format!("/2018-06-01/runtime/invocation/{}/error", context.request_id);
            report_failed_start(&path, &error).await;
            // Lambda starts another process for the next call; this one would fail every call.
            std::process::exit(1)
        }
    }
}

/// A streamed response's body. One that ends early ends without an error, because the runtime writes an error's text
/// into the body: what the client got is then no JSON, which every client notices.
struct StreamedBody(mpsc::Receiver<Vec<u8>>);

impl hyper::body::Body for StreamedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(Bytes::from(bytes)))))
    }
}

/// Tells Lambda that the init failed, and why.
pub async fn report_failed_init(error: &Error) {
    report_failed_start("/2018-06-01/runtime/init/error", error).await;
}

/// Tells Lambda why the start failed, so that the caller sees the cause instead of "exited".
async fn report_failed_start(path: &str, error: &Error) {
    let body = serde_json::json!({
        "errorType": error.kind().row().lambda_type,
        "errorMessage": error.chain().to_string(),
        "stackTrace": [],
    });
    if let Err(error) = post(path, body.to_string(), error.kind().row().lambda_type).await {
        eprintln!("the failed start could not be reported: {error}");
    }
}

async fn post(path: &str, body: String, error_type: &str) -> std::result::Result<(), lambda_runtime::Error> {
    let client = lambda_runtime_api_client::PooledClient::builder().build();
    let request = lambda_runtime_api_client::build_request()
        .method(http::Method::POST)
        .uri(path)
        .header("lambda-runtime-function-error-type", error_type)
        .body(body.into())?;
    client.call(request).await?;
    Ok(())
}

/// Counts the calls that the Runtime API has given out and has no answer to; clones share the count.
#[derive(Clone)]
struct Calls {
    under_way: Arc<watch::Sender<Count>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    received: u64,
    open: u64,
    stopping: bool,
}

impl Default for Calls {
    fn default() -> Self {
        Self { under_way: Arc::new(watch::Sender::new(Count::default())) }
    }
}

impl Calls {
    fn received(&self) -> u64 {
        self.under_way.borrow().received
    }

    /// Ends every call within [`DRAIN`]; returns when none is under way.
    async fn stop(&self) {
        self.under_way.send_modify(|count| count.stopping = true);
        // The sender lives in `self`, so this ends for no other reason.
        let _ = self.under_way.subscribe().wait_for(|count| count.open == 0).await;
    }

    /// Returns [`DRAIN`] after [`stop`](Self::stop); never without it.
    async fn drained(&self) {
        let _ = self.under_way.subscribe().wait_for(|count| count.stopping).await;
        tokio::time::sleep(DRAIN).await;
    }
}

/// One call under way, until the Runtime API has its answer.
struct Open(Calls);

impl Open {
    fn new(calls: &Calls) -> Self {
        calls.under_way.send_modify(|count| (count.received, count.open) = (count.received + 1, count.open + 1));
        Self(calls.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| count.open -= 1);
    }
}

impl<S> Layer<S> for Calls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, calls: self.clone() }
    }
}

/// The runtime's service: counts each call and puts its event into [`EVENT`].
#[derive(Clone)]
struct Counted<S> {
    inner: S,
    calls: Calls,
}

impl<S> Service<LambdaInvocation> for Counted<S>
where
    S: Service<LambdaInvocation, Response = (), Error = lambda_runtime::Error>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = lambda_runtime::Error;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<(), lambda_runtime::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let event = std::mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        let open = Open::new(&self.calls);
        let answered = EVENT.scope(event, self.inner.call(invocation));
        Box::pin(async move {
            let _open = open;
            answered.await
        })
    }
}
