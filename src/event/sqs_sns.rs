//! Messages of SQS and SNS, possibly one inside the other: the changes inside them, and the response to a queue.
//!
//! ```text
//! SQS { Records: [{ messageId, body }] }      body is one of the three below, as text
//! SNS { Records: [{ Sns: { Message } }] }     Message is one of the two below, as text
//! S3  { Records: [{ s3 }] }, EventBridge { source: "aws.s3", detail }, S3's test event
//! ```

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::eventbridge;
use super::lenient::{Maybe, MaybeObject};
use super::s3_notification::{Notification, malformed};
use crate::error::{Error, Result};
use crate::record::Change;

/// The deepest nesting that is opened: S3's event in SNS's in SQS's is three.
const DEEPEST: usize = 3;

/// One message of a queue.
#[derive(Debug)]
pub struct Message {
    pub id: String,
    /// Its changes; a message that cannot be decoded fails alone.
    pub changes: Result<Vec<Change>>,
}

/// The fields that identify a message's content.
#[derive(Deserialize, Default)]
#[serde(default)]
struct MessageShape {
    #[serde(rename = "Records")]
    records: Maybe<Vec<MessageRecord>>,
    /// EventBridge: `aws.s3`.
    source: Maybe<String>,
    /// SNS as it stands in a queue: `Notification`.
    #[serde(rename = "Type")]
    kind: Maybe<String>,
    #[serde(rename = "Message")]
    message: Maybe<String>,
    /// S3's message that a notification was set up: `s3:TestEvent`.
    #[serde(rename = "Event")]
    event: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MessageRecord {
    #[serde(rename = "Sns")]
    sns: MaybeObject<Sns>,
    s3: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Sns {
    #[serde(rename = "Message")]
    message: String,
}

/// An event of SQS.
#[derive(Deserialize)]
struct SqsEvent {
    #[serde(rename = "Records")]
    records: Vec<SqsRecord>,
}

#[derive(Deserialize)]
struct SqsRecord {
    #[serde(rename = "messageId")]
    id: String,
    #[serde(default)]
    body: Maybe<String>,
}

/// A message of SQS as EventBridge Pipes hands it on.
#[derive(Deserialize, Default)]
#[serde(default)]
struct PipedRecord<'a> {
    #[serde(rename = "messageId")]
    id: Option<IgnoredAny>,
    #[serde(rename = "eventSource")]
    source: Maybe<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Reads an event of SQS. A message's own error is in the message.
pub fn messages(json: &str) -> Result<Vec<Message>> {
    let event: SqsEvent = serde_json::from_str(json).map_err(|e| malformed("queue's event", e))?;
    let read = |record: SqsRecord| {
        let Maybe(body) = record.body;
        Message { id: record.id, changes: body.ok_or_else(not_s3).and_then(|body| changes(&body)) }
    };
    Ok(event.records.into_iter().map(read).collect())
}

/// What a message of SQS holds, as JSON: its text, or, where a pipe has parsed that, its value. `None` for what is no
/// message of SQS.
pub fn piped_body(json: &str) -> Option<String> {
    let record: PipedRecord<'_> = serde_json::from_str(json).ok()?;
    let body = record.body.filter(|_| record.id.is_some() && record.source.is("aws:sqs"))?;
    Some(serde_json::from_str(body.get()).unwrap_or_else(|_| body.get().to_owned()))
}

/// Opens nested messages down to the changes.
///
/// # Errors
/// [`Error::UnknownEvent`] for a message without an event of S3.
pub fn changes(json: &str) -> Result<Vec<Change>> {
    open(json, DEEPEST)
}

fn open(json: &str, depth: usize) -> Result<Vec<Change>> {
    let shape: MessageShape = serde_json::from_str(json).map_err(|_| not_s3())?;
    if shape.event.is("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if eventbridge::is_s3(&shape.source) {
        return Ok(vec![eventbridge::change(json)?]);
    }
    if let (Maybe(Some(_)), Maybe(Some(message))) = (&shape.kind, &shape.message)
        && depth > 1
    {
        return open(message, depth - 1);
    }
    match shape.records.0 {
        Some(records) if records.iter().all(|record| record.s3.is_some()) => Notification::read(json),
        Some(records) if depth > 1 && records.iter().all(|record| record.sns.0.is_some()) => {
            let messages = records.into_iter().filter_map(|record| record.sns.0);
            let opened: Result<Vec<_>> = messages.map(|sns| open(&sns.message, depth - 1)).collect();
            Ok(opened?.concat())
        }
        _ => Err(not_s3()),
    }
}

fn not_s3() -> Error {
    Error::UnknownEvent(
        "the message is no event of S3's; queues and topics are to carry S3's notifications (ObjectCreated, \
         ObjectRemoved), directly or through SNS, or EventBridge's events with source aws.s3"
            .to_owned(),
    )
}

/// The response to a queue: these messages need a retry, the others are done.
#[derive(Debug, Serialize)]
pub struct SqsBatchResponse {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<ItemFailure>,
}

#[derive(Debug, Serialize)]
struct ItemFailure {
    #[serde(rename = "itemIdentifier")]
    id: String,
}

impl SqsBatchResponse {
    pub fn failed(ids: impl IntoIterator<Item = String>) -> Self {
        Self { failures: ids.into_iter().map(|id| ItemFailure { id }).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn s3() -> Value {
        let object = json!({"key": "a%2Bb", "eTag": "e", "sequencer": "01", "versionId": "v"});
        json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "b"}, "object": object}}]})
    }

    fn bridge() -> Value {
        json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail":
            {"bucket": {"name": "b"}, "object": {"key": "a+b", "etag": "e", "sequencer": "01", "version-id": "v"}}})
    }

    fn in_topic(message: &Value) -> Value {
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": message.to_string()}}]})
    }

    fn topic_in_queue(message: &Value) -> Value {
        json!({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": message.to_string()})
    }

    #[test]
    fn every_envelope_holds_the_same_change() {
        let change = changes(&s3().to_string()).unwrap();
        assert_eq!((change.len(), change[0].key.as_str()), (1, "a+b"));
        let others = [bridge(), in_topic(&s3()), in_topic(&bridge()), topic_in_queue(&s3()), topic_in_queue(&bridge())];
        for event in others {
            assert_eq!(changes(&event.to_string()).unwrap(), change, "{event}");
        }
    }

    #[test]
    fn a_message_that_is_not_understood_fails_alone() {
        let record = |id: &str, body: String| json!({"messageId": id, "body": body, "eventSource": "aws:sqs"});
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
        let event = json!({"Records": [
            record("1", s3().to_string()), record("2", "hello".to_owned()), record("3", "{}".to_owned()),
            record("4", test.to_string()), record("5", topic_in_queue(&s3()).to_string()),
        ]});
        let read = messages(&event.to_string()).unwrap();
        let counts: Vec<_> = read.iter().map(|m| m.changes.as_ref().map(Vec::len).ok()).collect();
        assert_eq!(counts, [Some(1), None, None, Some(0), Some(1)]);
        let message = read[1].changes.as_ref().unwrap_err().to_string();
        assert!(message.contains("no event of S3's") && message.contains("aws.s3"), "{message}");
    }

    #[test]
    fn what_is_not_used_of_a_message_may_be_anything() {
        for odd in [json!(null), json!(5), json!([1]), json!({"a": []}), json!("x")] {
            let mut event = s3();
            for field in ["Type", "Event", "source", "Message"].into_iter().filter(|_| !odd.is_string()) {
                event[field] = odd.clone();
            }
            for field in ["userIdentity", "requestParameters", "glacierEventData", "eventSource", "awsRegion"] {
                event["Records"][0][field] = odd.clone();
            }
            event["Records"][0]["s3"]["object"]["size"] = odd.clone();
            event["Records"][0]["s3"]["bucket"]["ownerIdentity"] = odd.clone();
            assert_eq!(changes(&event.to_string()).unwrap(), changes(&s3().to_string()).unwrap(), "{odd}");
            let record =
                |body: Value| json!({"messageId": "1", "body": body, "attributes": odd, "messageAttributes": odd});
            let queue = json!({"Records": [record(json!(s3().to_string())), record(json!(5)), record(Value::Null)]});
            let read = messages(&queue.to_string()).unwrap();
            assert_eq!(read.iter().map(|message| message.changes.is_ok()).collect::<Vec<_>>(), [true, false, false]);
        }
    }

    #[test]
    fn a_piped_message_gives_its_body_as_json() {
        let record = |body: Value| json!({"messageId": "1", "eventSource": "aws:sqs", "body": body}).to_string();
        assert_eq!(piped_body(&record(json!("{\"inputs\": 1}"))).unwrap(), "{\"inputs\": 1}");
        assert_eq!(piped_body(&record(json!({"inputs": 1}))).unwrap(), "{\"inputs\":1}");
        for other in [json!({"inputs": 1}), json!({"messageId": "1", "body": "{}"}), json!(5), json!([])] {
            assert_eq!(piped_body(&other.to_string()), None, "{other}");
        }
    }

    #[test]
    fn envelopes_without_end_are_not_opened() {
        for envelope in [topic_in_queue, in_topic] {
            let mut event = s3();
            for _ in 1..DEEPEST {
                event = envelope(&event);
                assert!(changes(&event.to_string()).is_ok(), "{event}");
            }
            assert!(changes(&envelope(&event).to_string()).is_err());
        }
    }

    #[test]
    fn what_only_looks_like_an_event_of_s3_is_refused() {
        let mut other_source = bridge();
        other_source["source"] = "aws.ec2".into();
        let stream = json!({"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {}}]});
        let half = json!({"Records": [s3()["Records"][0], {"eventSource": "aws:dynamodb"}]});
        let test_of_another = json!({"Service": "Amazon EC2", "Event": "ec2:TestEvent"});
        for event in [other_source, stream, half, test_of_another] {
            assert!(changes(&event.to_string()).is_err(), "{event}");
        }
    }

    #[test]
    fn a_queue_is_told_what_comes_back() {
        let response = SqsBatchResponse::failed(["a".to_owned()]);
        assert_eq!(serde_json::to_value(response).unwrap(), json!({"batchItemFailures": [{"itemIdentifier": "a"}]}));
        let none = serde_json::to_value(SqsBatchResponse::failed([])).unwrap();
        assert_eq!(none, json!({"batchItemFailures": []}));
    }
}
