//! AWS events: the fields in this table identify an event's kind, which is then decoded as that kind alone.
//!
//! | fields | event |
//! |---|---|
//! | `requestContext.http` | API Gateway HTTP API (payload 2.0), Lambda Function URL |
//! | `requestContext.elb` | Application Load Balancer |
//! | `requestContext.serviceArn` or `.targetGroupArn`; `raw_path` | VPC Lattice, payloads 2.0 and 1.0; with `method` |
//! | `requestContext`, `httpMethod` | API Gateway REST API (payload 1.0) |
//! | `Records[0].eventSource` is `aws:sqs` | SQS; each message holds one of the four below |
//! | `Records[0].EventSource` is `aws:sns` | SNS; each message holds one of the three below |
//! | `Records[0].s3` | S3's notification |
//! | `source` is `aws.s3` or `aws.s3express` | EventBridge, from S3 or CloudTrail; see [`eventbridge`] |
//! | `Event` is `s3:TestEvent` | S3, when a notification is set up |
//! | `invocationSchemaVersion`, `tasks` | S3 Batch Operations |
//! | `input` or `inputs` | direct invocation: the request body itself |
//! | a list of these, or of messages of SQS that hold one | EventBridge Pipes |
//! | see [`warm_up`] | a ping that keeps an instance warm |
//!
//! Fields that are not used may hold anything; [`lenient`] has the rules.

mod eventbridge;
mod front_door;
mod http;
mod lenient;
mod response_stream;
mod s3_batch;
mod s3_notification;
mod sqs_sns;
mod warm_up;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

pub use self::front_door::EventSource;
pub use self::http::{AnswerTerms, BodyEncoding, HttpRequest, HttpResponse};
use self::lenient::{Maybe, MaybeObject};
pub use self::response_stream::{Pieces, ResponseStream, StreamedResponse};
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
    /// Events of EventBridge Pipes, which are answered one by one. None of them is a list.
    List(Vec<Result<Invocation>>),
    /// A ping that keeps an instance warm.
    WarmUp,
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
            Self::List(_) => "list",
            Self::WarmUp => "warmup",
        }
    }
}

/// The fields that identify an event's kind.
#[derive(Deserialize, Default)]
#[serde(default)]
struct EventShape {
    #[serde(rename = "requestContext")]
    request_context: MaybeObject<ContextShape>,
    #[serde(rename = "httpMethod")]
    http_method: Option<IgnoredAny>,
    method: Option<IgnoredAny>,
    raw_path: Option<IgnoredAny>,
    /// Only an authorizer's event has one of these two; it looks like a request otherwise.
    #[serde(rename = "methodArn")]
    method_arn: Option<IgnoredAny>,
    #[serde(rename = "routeArn")]
    route_arn: Option<IgnoredAny>,
    input: Option<IgnoredAny>,
    inputs: Option<IgnoredAny>,
    #[serde(rename = "Records")]
    records: Maybe<Vec<RecordShape>>,
    source: Maybe<String>,
    #[serde(rename = "Event")]
    event: Maybe<String>,
    #[serde(rename = "invocationSchemaVersion")]
    batch_schema: Option<IgnoredAny>,
    tasks: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContextShape {
    http: Option<IgnoredAny>,
    elb: Option<IgnoredAny>,
    #[serde(rename = "serviceArn")]
    service_arn: Option<IgnoredAny>,
    #[serde(rename = "targetGroupArn")]
    target_group_arn: Option<IgnoredAny>,
}

/// One of several records; S3 and SQS write `eventSource`, SNS writes `EventSource`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RecordShape {
    #[serde(rename = "eventSource")]
    source: Maybe<String>,
    #[serde(rename = "EventSource")]
    capital_source: Maybe<String>,
    s3: Option<IgnoredAny>,
}

/// The service that sent these records.
fn source(records: &[RecordShape]) -> Option<&'static str> {
    let first = records.first()?;
    let named = |source: &&str| first.source.is(source) || first.capital_source.is(source);
    let known = ["aws:sqs", "aws:sns", "aws:s3"].into_iter().find(named);
    known.or_else(|| first.s3.is_some().then_some("aws:s3"))
}

/// Decodes an event's bytes.
///
/// # Errors
/// [`Kind::Malformed`] for bytes that are not JSON; [`Error::UnknownEvent`], which lists the known kinds, for any other
/// event.
pub fn decode(event: &[u8]) -> Result<Invocation> {
    let text = lenient::text(event);
    let json = text.trim_start_matches('\u{FEFF}').trim_start();
    if json.starts_with('[') { list(json) } else { one(json) }
}

/// Decodes an event that is no list.
fn one(json: &str) -> Result<Invocation> {
    let shape: EventShape = parse(json)?;
    let http = |source: EventSource| source.decode(json).map(|(source, request)| Invocation::Http(source, request));
    let (in_context, context) = match shape.request_context {
        MaybeObject(Some(context)) => (true, context),
        MaybeObject(None) => (false, ContextShape::default()),
    };
    if shape.method_arn.is_some() || shape.route_arn.is_some() {
        return Err(unknown());
    }
    if context.http.is_some() {
        return http(EventSource::ApiGatewayV2);
    }
    if context.elb.is_some() {
        return http(EventSource::Alb { multi_value: false });
    }
    let of_lattice = context.service_arn.is_some() || context.target_group_arn.is_some() || shape.raw_path.is_some();
    if of_lattice && shape.method.is_some() {
        return http(EventSource::VpcLattice);
    }
    if in_context && shape.http_method.is_some() {
        return http(EventSource::ApiGatewayV1);
    }
    if shape.input.is_some() || shape.inputs.is_some() {
        return Ok(Invocation::Direct(lenient::bytes(json.to_owned())));
    }
    if shape.batch_schema.is_some() && shape.tasks.is_some() {
        return S3BatchJob::read(json).map(Invocation::Batch);
    }
    match shape.records.0.as_deref().map(source) {
        Some(Some("aws:sqs")) => return sqs_sns::messages(json).map(Invocation::Queue),
        Some(Some(_)) => return sqs_sns::changes(json).map(Invocation::S3),
        Some(None) => return Err(unknown()),
        None => (),
    }
    if eventbridge::is_s3(&shape.source) || shape.event.is("s3:TestEvent") {
        return sqs_sns::changes(json).map(Invocation::S3);
    }
    if warm_up::is_ping(json) { Ok(Invocation::WarmUp) } else { Err(unknown()) }
}

/// Decodes a list of events. One that is not understood fails alone, unless none of them is.
fn list(json: &str) -> Result<Invocation> {
    let elements: Vec<&RawValue> = parse(json)?;
    let events: Vec<_> = elements.into_iter().map(|element| piped(element.get())).collect();
    match events.iter().any(Result::is_ok) {
        true => Ok(Invocation::List(events)),
        false => Err(events.into_iter().find_map(Result::err).unwrap_or_else(unknown)),
    }
}

/// Decodes an element of a list: an event, or a message of SQS with an event in its body.
fn piped(json: &str) -> Result<Invocation> {
    let Some(body) = sqs_sns::piped_body(json) else { return one(json) };
    match one(&body) {
        // A notification of SNS in a queue is known to the queue alone.
        Err(Error::UnknownEvent(_)) => sqs_sns::changes(&body).map(Invocation::S3).map_err(|_| unknown()),
        decoded => decoded,
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => unknown(),
        _ => Error::request(Kind::Malformed, None, format!("the event is not JSON: {e}")),
    })
}

fn unknown() -> Error {
    Error::UnknownEvent(
        "this event is of no kind that is understood; those are: API Gateway HTTP API (payload 2.0) and REST API \
         (payload 1.0), Lambda Function URL, Application Load Balancer, VPC Lattice, a direct invocation with the \
         request body itself, {\"input\": …} or {\"inputs\": …}, a list of these, as EventBridge Pipes sends it, and \
         changes in S3: its notifications, directly or through SQS or SNS, EventBridge's events with source aws.s3, \
         and S3 Batch Operations"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(event: &str) -> &'static str {
        decode(event.as_bytes()).map_or("unknown", |invocation| invocation.source())
    }

    #[test]
    fn what_identifies_an_event_stands_beside_anything() {
        for odd in ["null", "5", "\"x\"", "[]", "{}", "[{}]", "\"\\ud800\"", "true"] {
            for (field, event) in [
                ("requestContext", r#""inputs": "a""#),
                ("Records", r#""inputs": "a""#),
                ("source", r#""input": ["a"]"#),
                ("Event", r#""input": ["a"]"#),
                ("headers", r#""requestContext": {"http": {"method": "GET"}}, "rawPath": "/""#),
                ("Records", r#""requestContext": {"elb": null, "http": {"method": "GET"}}, "rawPath": "/""#),
            ] {
                let event = format!("{{\"{field}\": {odd}, {event}}}");
                assert!(["direct", "http"].contains(&kind(&event)), "{event}");
            }
        }
    }

    #[test]
    fn a_list_is_decoded_one_by_one() {
        let event = json!([{"inputs": "a"}, {"messageId": "1", "eventSource": "aws:sqs", "body": "{\"inputs\": \"b\"}"},
            {"what": "else"}, {"warmer": true}, [{"inputs": "c"}]]);
        let Invocation::List(events) = decode(event.to_string().as_bytes()).unwrap() else { panic!("no list") };
        let kinds: Vec<_> = events.iter().map(|event| event.as_ref().map_or("unknown", Invocation::source)).collect();
        assert_eq!(kinds, ["direct", "direct", "unknown", "warmup", "unknown"]);
        for none in ["[]", "[1]", "[\"a\", {}]", "[[]]"] {
            assert_eq!(kind(none), "unknown", "{none}");
        }
    }

    #[test]
    fn a_byte_that_is_no_utf8_spoils_its_own_field() {
        let event = b"{\"inputs\": \"a\xE9\"}";
        let Invocation::Direct(body) = decode(event).unwrap() else { panic!("not direct") };
        assert!(std::str::from_utf8(&body).is_err());
        let event =
            b"{\"requestContext\": {\"elb\": {}}, \"httpMethod\": \"POST\", \"path\": \"/embed\", \"body\": \"{}\", \
            \"headers\": {\"user-agent\": \"caf\xE9\", \"accept\": \"a\"}}";
        let Invocation::Http(_, request) = decode(event).unwrap() else { panic!("not HTTP") };
        assert_eq!((request.headers.len(), request.body.as_slice()), (1, &b"{}"[..]));
    }
}
