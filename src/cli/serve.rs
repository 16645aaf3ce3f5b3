//! `bootstrap serve`: the HTTP API on a socket, for people without Docker and for tests of clients.
//!
//! ```text
//! hyper's request -> admission -> body -> HttpRequest -> HTTP API -> HttpResponse -> hyper's response
//! ```
//!
//! Invariants: a request is admitted before its body is read, so a rejected one costs no memory; `/health` and
//! `/metrics` are answered whatever the load.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Kind, Result};
use crate::event::{AnswerTerms, BodyEncoding, HttpRequest, HttpResponse};
use crate::handler::Handler;
use crate::observability::call::Call;

/// API Gateway's limit for a request.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How long a body may take to arrive: until then it counts against the limit of calls.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long the server waits for calls under way before it ends.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves until SIGINT or SIGTERM, then waits [`DRAIN`] at most for calls under way.
pub async fn run(handler: Handler, address: SocketAddr) -> Result<ExitCode> {
    let failed = |context| move |e: std::io::Error| Error::internal(context, e);
    let listener = TcpListener::bind(address).await.map_err(failed("the address cannot be listened on"))?;
    let address = listener.local_addr().map_err(failed("the socket has no address"))?;
    println!("listening on http://{address} with {}", handler.model());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("signals cannot be watched"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("signals cannot be watched"))?;
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let handler = handler.clone();
                    let service = service_fn(move |request| answer(handler.clone(), request));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service);
                    let connection = graceful.watch(connection);
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection ended early");
                        }
                    });
                }
                // For example out of file descriptors: the open connections still work.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("calls were still under way after {} s", DRAIN.as_secs());
        handler.stop();
    }
    Ok(ExitCode::SUCCESS)
}

async fn answer(
    handler: Handler,
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/metrics" && matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(metrics(&handler));
    }
    let mut request = HttpRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        stage: None,
        headers: parts.headers,
        body: Vec::new(),
        encoding: BodyEncoding::Binary,
        answer: AnswerTerms { largest: None, compressed: true, streamed: false },
    };
    let call = Call::default();
    let length = request.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // A body of unknown length may be as large as any.
    let length = length.and_then(|value| value.parse().ok());
    let length = length.unwrap_or(if body.is_end_stream() { 0 } else { BODY_LIMIT });
    let permit = match handler.enter(length.min(BODY_LIMIT)) {
        Ok(permit) => Some(permit),
        Err(_) if handler.is_health_check(&request) => None,
        Err(error) => return Ok(response(handler.reject(&request, error, &call).await)),
    };
    let answered = handler.watch(&call, async {
        call.meter.note(|m| m.source = "http");
        let too_slow = |_| Err(Error::request(Kind::Abandoned, None, "the request's body did not arrive in time"));
        let body = tokio::time::timeout(BODY_TIME, read(body)).await.unwrap_or_else(too_slow);
        request.body = body.inspect_err(|error| call.meter.note(|m| m.status = Some(error.kind().row().status)))?;
        Ok(handler.http(&request, &call).await)
    });
    let answered = answered.await;
    // The call counts as under way while its request and its answer take memory.
    drop(permit);
    Ok(response(answered.unwrap_or_else(|error| handler.error_response(&request, &error))))
}

fn metrics(handler: &Handler) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(handler.prometheus())));
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

fn response(reply: HttpResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    (*response.status_mut(), *response.headers_mut()) = (reply.status, reply.headers);
    response
}

/// Reads a request's body.
///
/// # Errors
/// One that is larger than [`BODY_LIMIT`] or ends early.
async fn read(body: Incoming) -> Result<Vec<u8>> {
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Error::request(Kind::TooLarge, None, format!("a request has {BODY_LIMIT} bytes at most")),
        false => Error::request(Kind::Malformed, None, "the request could not be read"),
    })?;
    Ok(body.to_bytes().into())
}
