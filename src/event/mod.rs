//! What woke us: an AWS event decoded by the fields that set its kind apart, never by trial.
//!
//! | fields | event |
//! |---|---|
//! | `requestContext.http` | API Gateway HTTP API (payload 2.0), Lambda Function URL |
//! | `requestContext.elb` | Application Load Balancer |
//! | `requestContext`, `httpMethod` | API Gateway REST API (payload 1.0) |
//! | `input` or `inputs` | direct invocation: the request body itself |

mod http;

use serde::Deserialize;
use serde::de::IgnoredAny;

pub use self::http::{Door, HttpReply, HttpRequest, without_prefix};
use crate::error::{Error, Kind, Result};

/// One decoded event.
#[derive(Debug)]
pub enum Invocation {
    /// A request through one of AWS's HTTP front doors.
    Http(HttpRequest),
    /// A request body without HTTP around it: the event's own bytes.
    Direct(Vec<u8>),
}

impl Invocation {
    /// What logs and metrics call this kind of event.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Direct(_) => "direct",
        }
    }
}

/// The fields that tell events apart; everything else is passed over.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "requestContext")]
    request_context: Option<ContextShape>,
    #[serde(rename = "httpMethod")]
    http_method: Option<IgnoredAny>,
    /// What an authorizer is asked about; such an event looks like the request it stands for.
    #[serde(rename = "methodArn", alias = "routeArn")]
    authorized: Option<IgnoredAny>,
    input: Option<IgnoredAny>,
    inputs: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ContextShape {
    http: Option<IgnoredAny>,
    elb: Option<IgnoredAny>,
}

/// Decodes an event's bytes.
///
/// # Errors
/// [`Kind::Malformed`] for what is not a JSON object, [`Error::UnknownEvent`] for one of no known shape,
/// with the list of those that are known.
pub fn decode(event: &[u8]) -> Result<Invocation> {
    let shape: Shape = serde_json::from_slice(event).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => unknown(),
        _ => Error::request(Kind::Malformed, None, format!("the event is not JSON: {e}")),
    })?;
    match shape {
        Shape { authorized: Some(_), .. } => Err(unknown()),
        Shape { request_context: Some(ContextShape { http: Some(_), .. }), .. } => http::decode_v2(event),
        Shape { request_context: Some(ContextShape { elb: Some(_), .. }), .. } => http::decode_alb(event),
        Shape { request_context: Some(_), http_method: Some(_), .. } => http::decode_v1(event),
        Shape { input: Some(_), .. } | Shape { inputs: Some(_), .. } => Ok(Invocation::Direct(event.to_vec())),
        _ => Err(unknown()),
    }
}

/// Takes any bytes the way of an event, without a model: decoded, its body unpacked, an answer put into
/// its door's envelope. For fuzzing; what is refused on the way is dropped.
pub fn check(event: &[u8]) {
    /// Small, so that a fuzzer reaches both sides of it.
    const BODY_LIMIT: usize = 4096;
    if let Ok(Invocation::Http(request)) = decode(event) {
        let body = request.bytes(BODY_LIMIT).unwrap_or_default();
        assert!(body.len() <= BODY_LIMIT, "a body beyond its limit came through");
        let reply = HttpReply { status: ::http::StatusCode::OK, headers: request.headers, body };
        let _ = request.door.encode(reply);
    }
}

fn unknown() -> Error {
    Error::UnknownEvent(
        "this event is of no kind that is understood; those are: API Gateway HTTP API (payload 2.0) and REST API \
         (payload 1.0), Lambda Function URL, Application Load Balancer, and a direct invocation with the request \
         body itself, {\"input\": …} or {\"inputs\": …}"
            .to_owned(),
    )
}
