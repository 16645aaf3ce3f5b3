//! AWS events: the fields in this table identify an event's kind, which is then decoded as that kind alone.
//!
//! | fields | event |
//! |---|---|
//! | `requestContext.http` | API Gateway HTTP API (payload 2.0), Lambda Function URL |
//! | `requestContext.elb` | Application Load Balancer |
//! | `requestContext`, `httpMethod` | API Gateway REST API (payload 1.0) |
//! | `Records[0].eventSource` is `aws:sqs` | SQS; each message holds one of the four below |
//! | `Records[0].EventSource` is `aws:sns` | SNS; each message holds one of the three below |
//! | `Records[0].s3` | S3's notification |
//! | `source` is `aws.s3` | EventBridge, from S3 |
//! | `Event` is `s3:TestEvent` | S3, when a notification is set up |
//! | `invocationSchemaVersion`, `tasks` | S3 Batch Operations |
//! | `input` or `inputs` | direct invocation: the request body itself |

mod http;
mod s3_batch;
mod s3_notification;
mod sqs_sns;

use serde::Deserialize;
use serde::de::IgnoredAny;

pub use self::http::{EventSource, HttpRequest, HttpResponse, without_prefix};
pub use self::s3_batch::{S3BatchJob, S3BatchTask, TaskCode};
pub use self::sqs_sns::{Message, SqsBatchResponse};
use crate::error::{Error, Kind, Result};
pub use crate::record::{Change, ChangeKind};

/// One decoded event.
#[derive(Debug)]
pub enum Invocation {
    /// A request through one of AWS's HTTP front doors.
    Http(EventSource, HttpRequest),
    /// A direct invocation: the event's bytes are the request body.
    Direct(Vec<u8>),
    /// Changes of S3 objects, from S3, SNS or EventBridge. The event succeeds or fails as a whole.
    S3(Vec<Change>),
    /// Messages of SQS. Each succeeds or fails alone.
    Queue(Vec<Message>),
    /// Tasks of an S3 Batch Operations job.
    Batch(S3BatchJob),
}

impl Invocation {
    /// The kind's name in logs and metrics.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Http(..) => "http",
            Self::Direct(_) => "direct",
            Self::S3(_) => "s3",
            Self::Queue(_) => "queue",
            Self::Batch(_) => "batch",
        }
    }
}

/// The fields that identify an event's kind; all others are ignored.
#[derive(Deserialize)]
struct EventShape {
    #[serde(rename = "requestContext")]
    request_context: Option<ContextShape>,
    #[serde(rename = "httpMethod")]
    http_method: Option<IgnoredAny>,
    /// Only an authorizer's event has it, which otherwise looks like a request.
    #[serde(rename = "methodArn", alias = "routeArn")]
    authorized: Option<IgnoredAny>,
    input: Option<IgnoredAny>,
    inputs: Option<IgnoredAny>,
    #[serde(rename = "Records")]
    records: Option<Vec<RecordShape>>,
    source: Option<Word>,
    #[serde(rename = "Event")]
    event: Option<Word>,
    #[serde(rename = "invocationSchemaVersion")]
    batch_schema: Option<IgnoredAny>,
    tasks: Option<IgnoredAny>,
}

/// One of several records; S3 and SQS write `eventSource`, SNS writes `EventSource`.
#[derive(Deserialize)]
struct RecordShape {
    #[serde(rename = "eventSource", alias = "EventSource")]
    source: Option<Word>,
    s3: Option<IgnoredAny>,
}

/// A field that identifies an event if it is a string, and is ignored if it is anything else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Other(IgnoredAny),
}

impl Word {
    fn is(this: &Option<Self>, word: &str) -> bool {
        matches!(this, Some(Self::Text(text)) if text == word)
    }
}

/// The service that sent these records.
fn source(records: &[RecordShape]) -> Option<&'static str> {
    let first = records.first()?;
    let known = ["aws:sqs", "aws:sns", "aws:s3"].into_iter().find(|source| Word::is(&first.source, source));
    known.or_else(|| first.s3.is_some().then_some("aws:s3"))
}

#[derive(Deserialize)]
struct ContextShape {
    http: Option<IgnoredAny>,
    elb: Option<IgnoredAny>,
}

/// Decodes an event's bytes.
///
/// # Errors
/// [`Kind::Malformed`] for bytes that are not JSON; [`Error::UnknownEvent`], which lists the known kinds, for any other
/// event.
pub fn decode(event: &[u8]) -> Result<Invocation> {
    let shape: EventShape = serde_json::from_slice(event).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => unknown(),
        _ => Error::request(Kind::Malformed, None, format!("the event is not JSON: {e}")),
    })?;
    match shape {
        EventShape { authorized: Some(_), .. } => Err(unknown()),
        EventShape { request_context: Some(ContextShape { http: Some(_), .. }), .. } => http::decode_v2(event),
        EventShape { request_context: Some(ContextShape { elb: Some(_), .. }), .. } => http::decode_alb(event),
        EventShape { request_context: Some(_), http_method: Some(_), .. } => http::decode_v1(event),
        EventShape { input: Some(_), .. } | EventShape { inputs: Some(_), .. } => {
            Ok(Invocation::Direct(event.to_vec()))
        }
        EventShape { batch_schema: Some(_), tasks: Some(_), .. } => {
            Ok(Invocation::Batch(S3BatchJob::read(text(event)?)?))
        }
        EventShape { records: Some(records), .. } => match source(&records) {
            Some("aws:sqs") => Ok(Invocation::Queue(sqs_sns::messages(text(event)?)?)),
            Some(_) => Ok(Invocation::S3(sqs_sns::changes(text(event)?)?)),
            None => Err(unknown()),
        },
        shape if Word::is(&shape.source, "aws.s3") || Word::is(&shape.event, "s3:TestEvent") => {
            Ok(Invocation::S3(sqs_sns::changes(text(event)?)?))
        }
        _ => Err(unknown()),
    }
}

fn text(event: &[u8]) -> Result<&str> {
    std::str::from_utf8(event).map_err(|e| Error::request(Kind::Malformed, None, format!("the event is not JSON: {e}")))
}

fn unknown() -> Error {
    Error::UnknownEvent(
        "this event is of no kind that is understood; those are: API Gateway HTTP API (payload 2.0) and REST API \
         (payload 1.0), Lambda Function URL, Application Load Balancer, a direct invocation with the request body \
         itself, {\"input\": …} or {\"inputs\": …}, and changes in S3: its notifications, directly or through SQS \
         or SNS, EventBridge's events with source aws.s3, and S3 Batch Operations"
            .to_owned(),
    )
}
