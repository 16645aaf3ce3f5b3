//! Calls of S3's API that CloudTrail records, and events of S3 that tell of no content.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::pipeline::{Pipeline, created, document_function, notification, queue};
use crate::support::s3_server::Bucket;

/// EventBridge's event of a call that CloudTrail recorded.
fn call(name: &str, bucket: &str, key: &str) -> Value {
    json!({"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "resources": [], "detail": {
        "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": name, "responseElements": null,
        "requestParameters": {"bucketName": bucket, "Host": format!("{bucket}.s3.us-east-1.amazonaws.com"), "key": key}}})
}

/// EventBridge's event of S3 itself.
fn own(name: &str, bucket: &str, key: &str) -> Value {
    json!({"version": "0", "detail-type": name, "source": "aws.s3",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key}}})
}

/// A notification of this name.
fn notified(name: &str, bucket: &str, key: &str) -> Value {
    let mut record = created(bucket, key);
    record["eventName"] = name.into();
    notification(&[record])
}

/// One event of every kind that needs no work; the tests of `event` hold all their names.
fn without_work(bucket: &str, key: &str) -> Vec<Value> {
    let mut failed = call("PutObject", bucket, key);
    failed["detail"]["errorCode"] = "AccessDenied".into();
    let mut deletes = call("DeleteObjects", bucket, key);
    deletes["detail"]["requestParameters"] = json!({"bucketName": bucket, "delete": ""});
    let mut list = call("ListBuckets", bucket, key);
    list["detail"]["requestParameters"] = Value::Null;
    let call = call("GetObject", bucket, key);
    let (own, notified) = (own("Object Tags Added", bucket, key), notified("ObjectTagging:Put", bucket, key));
    vec![failed, deletes, list, call, own, notified]
}

#[test]
fn recorded_calls_embed_and_remove_what_they_name() {
    needs!(s3);
    let pipeline = Pipeline::new("cloudtrail", &[("EMBED_ON_DELETE", "remove")]);
    let bucket = &pipeline.documents.name;
    // No letter of a key is encoded, and what looks encoded is not decoded.
    for (name, key) in [
        ("PutObject", "a b+c/100%25 ü.txt"),
        ("CompleteMultipartUpload", "plain.txt"),
        ("CopyObject", "x=1/y%2Fz.txt"),
        ("PostObject", "日本.txt"),
    ] {
        pipeline.put(key, "one text");
        assert_eq!(pipeline.invoke(&call(name, bucket, key)).unwrap()["embedded"], 1, "{key}");
        assert!(pipeline.result(key).is_some(), "{key}: {:?}", pipeline.vectors.keys());
        pipeline.documents.delete(key);
        assert_eq!(pipeline.invoke(&call("DeleteObject", bucket, key)).unwrap()["removed"], 1, "{key}");
        assert!(pipeline.result(key).is_none(), "{key}");
    }
}

#[test]
fn recorded_calls_name_versions_and_their_order_does_not_matter() {
    needs!(s3);
    let pipeline = Pipeline::new("trail-versions", &[("EMBED_ON_DELETE", "remove")]);
    let bucket = &pipeline.documents.name;
    let on = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(pipeline.documents.request("PUT", "?versioning", on).0, 200);
    let [first, second] = ["The first version.", "The second version."].map(|text| {
        pipeline.put("a.txt", text);
        let head = pipeline.documents.head("a.txt").unwrap();
        head.lines().find_map(|line| line.strip_prefix("x-amz-version-id: ")).unwrap().trim().to_owned()
    });
    let put = |version: &str| {
        let mut event = call("PutObject", bucket, "a.txt");
        event["detail"]["responseElements"] = json!({"x-amz-version-id": version});
        pipeline.invoke(&event).unwrap()
    };
    assert_eq!(put(&second)["embedded"], 1);
    assert_eq!(put(&first)["outdated"], 1);
    assert_eq!(pipeline.records("a.txt")[0]["version"], second.as_str());
    // The version that is embedded is deleted for good, so the older one is the object again.
    assert_eq!(pipeline.documents.request("DELETE", &format!("a.txt?versionId={second}"), b"").0, 204);
    let mut deleted = call("DeleteObject", bucket, "a.txt");
    deleted["detail"]["requestParameters"]["versionId"] = second.as_str().into();
    deleted["detail"]["responseElements"] = json!({"x-amz-version-id": second});
    assert_eq!(pipeline.invoke(&deleted).unwrap()["embedded"], 1);
    assert_eq!(pipeline.records("a.txt")[0]["version"], first.as_str());
}

#[test]
fn what_needs_no_work_is_done_with_one_log_line_each() {
    needs!(s3);
    let vectors = Bucket::new("no-work-vecs");
    // Any request would fail, and its message would come back.
    let function = document_function(&vectors, "127.0.0.1:9", &[("EMBED_ON_DELETE", "remove")]);
    let events = without_work("documents", "a.txt");
    assert_eq!(function.response(&queue(&events)), json!({"batchItemFailures": []}));
    for event in &events {
        assert_eq!(function.response(event)["ignored"], 1, "{event}");
    }
    let lines = function.lines("document");
    assert_eq!(lines.len(), 2 * events.len());
    assert!(lines.iter().all(|line| line["outcome"] == "ignored" && line["level"] == "INFO"), "{lines:?}");
    let causes = |cause: &str| lines.iter().filter(|line| line["cause"] == cause).count();
    assert_eq!(causes("the call failed and changed nothing"), 2);
    assert_eq!(causes("CloudTrail does not name the objects of DeleteObjects"), 2);
    assert_eq!(causes("the event tells of no new content"), lines.len() - 2 * 2);
    assert!(lines.iter().any(|line| line["bucket"] == "documents" && line["key"] == "a.txt"));
}

#[test]
fn what_needs_no_work_never_comes_back() {
    needs!(s3);
    let pipeline = Pipeline::new("never-back", &[]);
    let bucket = &pipeline.documents.name;
    let events = without_work(bucket, "a.txt");
    // Neither when the call's time is up, nor behind a change of the same object that has to be retried.
    let nothing_left = Some(Duration::ZERO);
    assert_eq!(pipeline.invoke_within(&queue(&events), nothing_left).unwrap(), json!({"batchItemFailures": []}));
    let mut batch = vec![notification(&[created(bucket, "a.txt")])];
    batch.extend(events);
    batch.push(notification(&[created(bucket, "a.txt")]));
    let reply = pipeline.invoke_within(&queue(&batch), nothing_left).unwrap();
    let last = (batch.len() - 1).to_string();
    assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "0"}, {"itemIdentifier": last}]}));
}

#[test]
fn a_recorded_change_without_a_key_comes_back() {
    needs!(s3);
    let pipeline = Pipeline::new("keyless", &[]);
    let mut event = call("PutObject", &pipeline.documents.name, "a.txt");
    event["detail"]["requestParameters"].as_object_mut().unwrap().remove("key");
    let error = pipeline.invoke(&event).unwrap_err();
    assert!(error.to_string().contains("it names no key"), "{error}");
    assert_eq!(pipeline.invoke(&queue(&[event])).unwrap(), json!({"batchItemFailures": [{"itemIdentifier": "0"}]}));
}

#[test]
fn a_call_through_an_access_point_is_one_of_the_bucket_behind_it() {
    needs!(s3);
    let pipeline = Pipeline::new("behind", &[]);
    let bucket = &pipeline.documents.name;
    pipeline.put("a.txt", "one text");
    let point = "arn:aws:s3:us-east-1:111122223333:accesspoint/ours";
    let mut event = call("PutObject", point, "a.txt");
    assert_eq!(pipeline.invoke(&event).unwrap()["failed"], 1);
    event["detail"]["resources"] = json!([
        {"type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}")}, {"type": "AWS::S3::AccessPoint", "ARN": point}
    ]);
    assert_eq!(pipeline.invoke(&event).unwrap()["embedded"], 1);
    assert_eq!(pipeline.records("a.txt").len(), 1);
}

#[test]
fn a_call_on_a_directory_bucket_fails_for_good() {
    needs!(s3);
    let pipeline = Pipeline::new("express", &[]);
    let mut event = call("PutObject", "theirs--use1-az4--x-s3", "a.txt");
    event["source"] = "aws.s3express".into();
    event["detail"]["eventSource"] = "s3express.amazonaws.com".into();
    assert_eq!(pipeline.invoke(&event).unwrap()["failed"], 1);
    assert_eq!(pipeline.invoke(&queue(&[event])).unwrap(), json!({"batchItemFailures": []}));
    assert!(pipeline.vectors.keys().is_empty());
}
