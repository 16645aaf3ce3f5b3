//! EventBridge's events of S3: its own, and the calls of its API that CloudTrail records.
//!
//! | `detail-type` | what it tells of | where the object is named |
//! |---|---|---|
//! | `Object Created`, `Object Restore Completed`, `Object Deleted` | a change | `detail.bucket`, `detail.object` |
//! | `AWS API Call via CloudTrail` | a change, if it is one of [`CALLS`] and did not fail | `detail.requestParameters` |
//! | any other | nothing that needs work | |
//!
//! Keys are not URL-encoded in either. CloudTrail gives a version in `responseElements`, for the removal of a version in
//! `requestParameters`, and no sequencer. It wrote some values as lists of one in its older record versions.
//!
//! Sources: "Amazon S3 event message structure" for EventBridge and "CloudTrail log file entries for Amazon S3" in S3's
//! user guide, "CloudTrail record contents" in CloudTrail's.

use serde::Deserialize;

use super::lenient::{Maybe, MaybeObject, Text};
use super::s3_notification::{Bucket, NO_CONTENT, Object, malformed, whole_key};
use crate::aws::why_no_bucket;
use crate::error::Result;
use crate::record::{Change, ChangeKind};

/// The sources of these events. Directory buckets have one of their own, and CloudTrail's events alone.
const SOURCES: [&str; 2] = ["aws.s3", "aws.s3express"];

/// Calls that change what an object holds.
const CALLS: [(&str, ChangeKind); 5] = [
    ("PutObject", ChangeKind::Created),
    ("PostObject", ChangeKind::Created),
    ("CompleteMultipartUpload", ChangeKind::Created),
    ("CopyObject", ChangeKind::Created),
    ("DeleteObject", ChangeKind::Removed),
];
/// CloudTrail records no keys of it: "Logging options for Amazon S3" in S3's user guide.
const DELETES: &str = "DeleteObjects";

#[derive(Deserialize)]
struct BridgeEvent {
    #[serde(rename = "detail-type")]
    detail_type: String,
    #[serde(default)]
    detail: MaybeObject<Detail>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    bucket: MaybeObject<Bucket>,
    object: MaybeObject<Object>,
    event_name: Maybe<String>,
    /// The call failed, and changed nothing.
    error_code: Maybe<String>,
    request_parameters: MaybeObject<Request>,
    response_elements: MaybeObject<Response>,
    /// What the call was about, with the bucket behind an access point.
    resources: Maybe<Vec<Resource>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    bucket_name: Text,
    key: Text,
    version_id: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Response {
    #[serde(rename = "x-amz-version-id")]
    version: Text,
    #[serde(alias = "ETag", alias = "eTag")]
    etag: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource {
    #[serde(rename = "type")]
    kind: Maybe<String>,
    #[serde(rename = "ARN", alias = "arn")]
    arn: Maybe<String>,
}

/// Whether an event is of S3, by its `source`.
pub fn is_s3(source: &Maybe<String>) -> bool {
    SOURCES.iter().any(|name| source.is(name))
}

/// Reads an event.
///
/// # Errors
/// [`Kind::Malformed`](crate::error::Kind::Malformed) for a change whose bucket or key is missing, or whose key is not
/// text.
pub fn change(json: &str) -> Result<Change> {
    let event: BridgeEvent = serde_json::from_str(json).map_err(|e| malformed("EventBridge event", e))?;
    let detail = event.detail.0.unwrap_or_default();
    match event.detail_type.as_str() {
        "Object Created" | "Object Restore Completed" => detail.own(ChangeKind::Created),
        "Object Deleted" => detail.own(ChangeKind::Removed),
        // "AWS API Call via CloudTrail"; the documentation of AWS's regions in China has another first word.
        name if name.ends_with("API Call via CloudTrail") => detail.call(),
        _ => detail.own(ChangeKind::Other(NO_CONTENT)),
    }
}

impl Detail {
    /// S3's own event.
    fn own(self, kind: ChangeKind) -> Result<Change> {
        let bucket = self.bucket.0.and_then(|bucket| bucket.name.0);
        self.object.0.unwrap_or_default().change(kind, bucket, whole_key)
    }

    /// A call that CloudTrail has recorded.
    fn call(self) -> Result<Change> {
        let name = self.event_name.0.as_deref().unwrap_or_default();
        let failed = self.error_code.0.is_some_and(|code| !code.is_empty());
        let kind = match CALLS.iter().find(|(call, _)| *call == name) {
            Some(_) if failed => ChangeKind::Other("the call failed and changed nothing"),
            Some((_, kind)) => *kind,
            None if name == DELETES => ChangeKind::Other("CloudTrail does not name the objects of DeleteObjects"),
            None => ChangeKind::Other(NO_CONTENT),
        };
        let request = self.request_parameters.0.unwrap_or_default();
        let response = self.response_elements.0.unwrap_or_default();
        let object = Object {
            key: Maybe(request.key.0),
            etag: Maybe(response.etag.0),
            version: Maybe(request.version_id.0.or(response.version.0)),
            sequencer: Maybe(None),
        };
        let bucket = request.bucket_name.0.map(|name| match why_no_bucket(&name) {
            None => name,
            Some(_) => self.resources.0.as_deref().and_then(bucket_behind).unwrap_or(name),
        });
        object.change(kind, bucket, whole_key)
    }
}

/// The bucket among the resources of a call that went through an access point ("Monitoring and logging access points" in
/// S3's user guide).
fn bucket_behind(resources: &[Resource]) -> Option<String> {
    let bucket = resources.iter().find(|resource| resource.kind.is("AWS::S3::Bucket"))?;
    bucket.arn.0.as_ref()?.split_once(":::").map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::lenient;
    use serde_json::{Value, json};

    fn own(name: &str) -> Value {
        json!({"source": "aws.s3", "detail-type": name, "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}})
    }

    fn call(name: &str) -> Value {
        json!({"source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": {
            "eventSource": "s3.amazonaws.com", "eventName": name, "responseElements": null,
            "requestParameters": {"bucketName": "b", "Host": "b.s3.us-east-1.amazonaws.com", "key": "k"}}})
    }

    fn read(event: &Value) -> Change {
        change(&event.to_string()).unwrap_or_else(|e| panic!("{e}: {event}"))
    }

    fn is_other(kind: ChangeKind) -> bool {
        matches!(kind, ChangeKind::Other(_))
    }

    #[test]
    fn every_event_of_s3_has_its_kind() {
        for (name, kind) in [
            ("Object Created", ChangeKind::Created),
            ("Object Deleted", ChangeKind::Removed),
            ("Object Restore Completed", ChangeKind::Created),
        ] {
            assert_eq!(read(&own(name)).kind, kind, "{name}");
        }
        for name in [
            "Object Restore Initiated",
            "Object Restore Expired",
            "Object Tags Added",
            "Object Tags Deleted",
            "Object ACL Updated",
            "Object Storage Class Changed",
            "Object Access Tier Changed",
            "Async Copy Completion",
            "AWS Service Event via CloudTrail",
        ] {
            let change = read(&own(name));
            assert!(is_other(change.kind), "{name}");
            assert_eq!((change.bucket.as_str(), change.key.as_str()), ("b", "k"), "{name}");
        }
    }

    #[test]
    fn every_recorded_call_has_its_kind() {
        for (name, kind) in [
            ("PutObject", ChangeKind::Created),
            ("PostObject", ChangeKind::Created),
            ("CompleteMultipartUpload", ChangeKind::Created),
            ("CopyObject", ChangeKind::Created),
            ("DeleteObject", ChangeKind::Removed),
        ] {
            let change = read(&call(name));
            assert_eq!((change.kind, change.bucket.as_str(), change.key.as_str()), (kind, "b", "k"), "{name}");
            assert_eq!((change.version, change.etag, change.sequencer), (None, None, None), "{name}");
        }
        for name in ["GetObject", "HeadObject", "CreateMultipartUpload", "UploadPart", "PutObjectAcl", "RestoreObject"]
        {
            assert!(is_other(read(&call(name)).kind), "{name}");
        }
    }

    #[test]
    fn a_call_that_failed_is_no_change() {
        for name in ["PutObject", "CopyObject", "DeleteObject"] {
            let mut event = call(name);
            event["detail"]["errorCode"] = "AccessDenied".into();
            assert_eq!(read(&event).kind, ChangeKind::Other("the call failed and changed nothing"), "{name}");
            for none in [Value::Null, "".into()] {
                event["detail"]["errorCode"] = none;
                assert!(!is_other(read(&event).kind), "{event}");
            }
        }
    }

    #[test]
    fn a_call_names_the_version_that_it_made_or_removed() {
        let mut made = call("PutObject");
        made["detail"]["responseElements"] = json!({"x-amz-version-id": "v2", "etag": "\"e\""});
        let change = read(&made);
        assert_eq!((change.version.as_deref(), change.etag.as_deref()), (Some("v2"), Some("e")));
        made["detail"]["responseElements"] = json!({"x-amz-version-id": ["v2"]});
        assert_eq!(read(&made).version.as_deref(), Some("v2"));
        let mut removed = call("DeleteObject");
        removed["detail"]["requestParameters"]["versionId"] = "v1".into();
        removed["detail"]["responseElements"] = json!({"x-amz-version-id": "v1"});
        assert_eq!(read(&removed).version.as_deref(), Some("v1"));
        removed["detail"]["requestParameters"]["versionId"] = "null".into();
        assert_eq!(read(&removed).version, None);
    }

    #[test]
    fn what_needs_no_work_need_name_no_object() {
        let mut no_key = call("ListBuckets");
        no_key["detail"]["requestParameters"] = Value::Null;
        let mut deletes = call("DeleteObjects");
        deletes["detail"]["requestParameters"] = json!({"bucketName": "b", "delete": ""});
        for event in [
            no_key,
            deletes,
            json!({"source": "aws.s3", "detail-type": "Object Tags Added"}),
            json!({"source": "aws.s3", "detail-type": "Object Tags Added", "detail": {"bucket": 5, "object": []}}),
            json!({"source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": {"eventName": 5}}),
        ] {
            let change = read(&event);
            assert!(is_other(change.kind) && change.key.is_empty(), "{event}");
        }
    }

    #[test]
    fn a_change_without_bucket_or_key_is_malformed() {
        for (event, place) in [
            (call("PutObject"), "/detail/requestParameters"),
            (call("DeleteObject"), "/detail/requestParameters/bucketName"),
            (call("CopyObject"), "/detail/requestParameters/key"),
            (own("Object Created"), "/detail/bucket"),
            (own("Object Deleted"), "/detail/object/key"),
        ] {
            let mut without = event;
            *without.pointer_mut(place).unwrap() = Value::Null;
            let message = change(&without.to_string()).unwrap_err().to_string();
            assert!(message.contains("it names no "), "{message}: {without}");
        }
    }

    #[test]
    fn behind_an_access_point_is_the_bucket_among_the_resources() {
        let mut event = call("PutObject");
        let point = "arn:aws:s3:us-east-1:111122223333:accesspoint/ours";
        event["detail"]["requestParameters"]["bucketName"] = point.into();
        assert_eq!(read(&event).bucket, point);
        event["detail"]["resources"] = json!([
            {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::behind/k"},
            {"accountId": "111122223333", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::behind"},
            {"accountId": "111122223333", "type": "AWS::S3::AccessPoint", "ARN": point},
        ]);
        assert_eq!(read(&event).bucket, "behind");
        event["detail"]["requestParameters"]["bucketName"] = "documents".into();
        assert_eq!(read(&event).bucket, "documents");
    }

    #[test]
    fn a_key_that_is_no_utf8_is_malformed_and_no_other_key() {
        for event in [own("Object Created"), call("PutObject")] {
            let (before, after) =
                event.to_string().split_once("\"key\":\"k").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
            let lost = [before.as_bytes(), b"\"key\":\"k\xE9", after.as_bytes()].concat();
            assert!(change(&lenient::text(&lost)).unwrap_err().to_string().contains("UTF-8"), "{event}");
        }
        let elsewhere = [b"{\"x\": \"\xE9\", ", &own("Object Created").to_string().as_bytes()[1..]].concat();
        assert_eq!(change(&lenient::text(&elsewhere)).unwrap().key, "k");
    }

    proptest::proptest! {
        #[test]
        fn any_key_is_taken_as_it_stands(key: String) {
            let (mut own, mut call) = (own("Object Created"), call("PutObject"));
            own["detail"]["object"]["key"] = key.clone().into();
            call["detail"]["requestParameters"]["key"] = key.clone().into();
            assert_eq!((&read(&own).key, &read(&call).key), (&key, &key));
        }
    }
}
