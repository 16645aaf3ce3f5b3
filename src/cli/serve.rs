//! `bootstrap serve`: HTTP requests become API Gateway (payload 2.0) events and go the way every event
//! goes; their answers become HTTP again. For people without Docker, and for clients in tests.
//!
//! A request is taken in before its body is read, so one that is turned away costs no memory. `/health` and
//! `/metrics` are answered whatever the load.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::concurrency::admission::Permit;
use crate::concurrency::offload;
use crate::error::{Error, Kind, Result};
use crate::event::HttpResponse;
use crate::handler::Handler;
use crate::observability::call::Call;

/// What API Gateway lets through.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How long a body may take to arrive; a slow sender holds a place that others could have.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a stop waits for calls under way.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves until SIGINT or SIGTERM, then ends what is under way.
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
                // Out of file descriptors, say: what is open may still end well.
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
    let path = request.uri().path();
    if path == "/metrics" && matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(metrics(&handler));
    }
    let call = Call::default();
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // A body of unknown length may be as large as any.
    let length = length.and_then(|value| value.parse().ok());
    let length = length.unwrap_or(if request.body().is_end_stream() { 0 } else { BODY_LIMIT });
    let permit = match handler.enter(length.min(BODY_LIMIT)) {
        Ok(permit) => Some(permit),
        Err(_) if handler.is_health_check(path) => None,
        Err(error) => return Ok(as_it_is(handler.reject(path, error, &call).await)),
    };
    let answered = handler.watch(&call, async {
        call.meter.note(|m| m.source = "http");
        let answered = read_and_answer(&handler, permit, request, &call).await;
        answered.inspect_err(|error| call.meter.note(|m| m.status = Some(error.kind().row().status)))
    });
    Ok(answered.await.unwrap_or_else(|error| {
        let status = StatusCode::from_u16(error.kind().row().status);
        plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error.public_message())
    }))
}

async fn read_and_answer(
    handler: &Handler,
    permit: Option<Permit>,
    request: Request<Incoming>,
    call: &Call,
) -> Result<Response<Full<Bytes>>> {
    let read = tokio::time::timeout(BODY_TIME, event(request)).await;
    let too_slow = |_| Err(Error::request(Kind::Abandoned, None, "the request's body did not arrive in time"));
    let event = read.unwrap_or_else(too_slow)?;
    let reply = handler.answer(Ok(None), &event, call).await?;
    let large = reply.get().len() >= offload::FROM_BYTES;
    let answered =
        offload::spawn_blocking_if(large, "reading an answer panicked", move |_| Ok(response(reply.get()))).await;
    // Room is needed for the answer's copies too.
    drop(permit);
    answered
}

fn metrics(handler: &Handler) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(handler.prometheus())));
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

fn as_it_is(reply: HttpResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    (*response.status_mut(), *response.headers_mut()) = (reply.status, reply.headers);
    response
}

/// The request as API Gateway would hand it to the function.
async fn event(request: Request<Incoming>) -> Result<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|error| match error
        .is::<http_body_util::LengthLimitError>(
    ) {
        true => Error::request(Kind::TooLarge, None, format!("a request has {BODY_LIMIT} bytes at most")),
        false => Error::request(Kind::Malformed, None, "the request could not be read"),
    })?;
    let body = body.to_bytes();
    let large = body.len() >= offload::FROM_BYTES;
    offload::spawn_blocking_if(large, "writing an event panicked", move |_| Ok(written(&parts, &body))).await
}

fn written(parts: &Parts, body: &[u8]) -> Vec<u8> {
    let (body, is_base64) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (BASE64.encode(body), true),
    };
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.uri.path(),
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": joined(&parts.headers),
        "requestContext": {
            "stage": "$default",
            "http": {"method": parts.method.as_str(), "path": parts.uri.path(), "protocol": "HTTP/1.1"},
        },
        "body": body,
        "isBase64Encoded": is_base64,
    });
    event.to_string().into_bytes()
}

/// Repeated headers joined by commas, as payload 2.0 has them.
fn joined(headers: &HeaderMap) -> serde_json::Map<String, serde_json::Value> {
    let mut joined = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        joined.insert(name.to_string(), values.join(",").into());
    }
    joined
}

/// The parts of a payload 2.0 answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProxyResponse {
    status_code: u16,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
}

fn response(reply: &str) -> Response<Full<Bytes>> {
    let broken = || plain(StatusCode::BAD_GATEWAY, "the function's answer is not one of payload 2.0");
    let Ok(reply) = serde_json::from_str::<ProxyResponse>(reply) else { return broken() };
    let body = match reply.is_base64_encoded {
        true => BASE64.decode(&reply.body).ok(),
        false => Some(reply.body.into_bytes()),
    };
    let (Some(body), Ok(status)) = (body, StatusCode::from_u16(reply.status_code)) else { return broken() };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn plain(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{message}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
