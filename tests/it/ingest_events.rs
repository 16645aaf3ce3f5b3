//! Every source of S3's events: each sample under `events/` leads to vectors.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::harness::{fixture, root};
use crate::support::pipeline::{Pipeline, created, notification, queue};
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;
use crate::support::sample_events::{CREATED, sample};

/// A function that reads documents from the bucket in the samples.
fn pipeline(variables: &[(&str, &str)]) -> Pipeline {
    let (documents, vectors) = (Bucket::named("my-documents"), Bucket::new("samples-vecs"));
    Pipeline::between(documents, vectors, None, &fixture(), variables)
}

#[test]
fn every_sample_leads_to_its_documents_vectors() {
    needs!(s3);
    let pipeline = pipeline(&[]);
    let key = "guides/getting started.md";
    pipeline.put(key, "# Getting started\n\nPut a document into the bucket and read its vectors.\n");
    for name in CREATED {
        let result = format!("out/my-documents/{key}.jsonl");
        pipeline.vectors.delete(&result);
        let reply = pipeline.invoke(&sample(name)).unwrap();
        match name {
            name if name.starts_with("sqs") => assert_eq!(reply, json!({"batchItemFailures": []}), "{name}"),
            name if name.starts_with("s3-batch") => {
                assert_eq!(reply["invocationId"], sample(name)["invocationId"], "{name}");
                assert_eq!(reply["results"][0]["resultCode"], "Succeeded", "{name}: {reply}");
            }
            _ => assert_eq!((&reply["documents"], &reply["embedded"]), (&json!(1), &json!(1)), "{name}: {reply}"),
        }
        assert_eq!(pipeline.records(key)[0]["key"], key, "{name}");
    }
    assert_eq!(pipeline.invoke(&sample("s3-test")).unwrap()["documents"], 0);
    for name in ["s3-removed", "eventbridge-cloudtrail-delete", "eventbridge-tags-added"] {
        assert_eq!(pipeline.invoke(&sample(name)).unwrap()["ignored"], 1, "{name}");
    }
}

#[test]
fn only_the_failed_messages_come_back() {
    needs!(s3);
    let pipeline = Pipeline::new("partial", &[]);
    pipeline.put("a.txt", "one text");
    let bucket = &pipeline.documents.name;
    let event = queue(&[
        notification(&[created(bucket, "a.txt")]),
        json!({"hello": "queue"}),
        notification(&[created("no-such-bucket-anywhere", "a.txt")]),
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        notification(&[created(bucket, "folder/"), created(bucket, "gone.txt")]),
    ]);
    let reply = pipeline.invoke(&event).unwrap();
    assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    assert_eq!(pipeline.records("a.txt").len(), 1);
}

#[test]
fn what_is_not_begun_in_time_comes_back() {
    needs!(s3);
    let pipeline = Pipeline::new("late", &[]);
    pipeline.put("a.txt", "one text");
    let change = created(&pipeline.documents.name, "a.txt");
    let nothing_left = Some(Duration::ZERO);
    let reply = pipeline.invoke_within(&queue(&[notification(std::slice::from_ref(&change))]), nothing_left).unwrap();
    assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "0"}]}));
    let error = pipeline.invoke_within(&notification(&[change]), nothing_left).unwrap_err();
    assert_eq!(error.kind().row().lambda_type, "Documents.Retry");
    assert!(error.to_string().contains("a.txt unfinished"), "{error}");
    assert!(pipeline.vectors.keys().is_empty());
}

#[test]
fn a_job_gets_one_result_for_each_task() {
    needs!(s3);
    let pipeline = Pipeline::new("job", &[]);
    pipeline.put("a+b.txt", "one text");
    pipeline.put("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let task = |id: &str, key: &str| json!({"taskId": id, "s3Key": key, "s3Bucket": pipeline.documents.name});
    let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j", "userArguments": {}},
        "tasks": [task("1", "a%2Bb.txt"), task("2", "picture.png"), task("3", "%FF"), task("4", "gone.txt")]});
    let reply = pipeline.invoke(&event).unwrap();
    let codes: Vec<_> = reply["results"].as_array().unwrap().iter().map(|r| (&r["taskId"], &r["resultCode"])).collect();
    let expected = [("1", "Succeeded"), ("2", "Succeeded"), ("3", "PermanentFailure"), ("4", "Succeeded")];
    assert_eq!(json!(codes), json!(expected), "{reply}");
    assert!(reply["results"][1]["resultString"].as_str().unwrap().starts_with("skipped: "), "{reply}");
}

#[test]
fn a_job_may_embed_what_is_there_already() {
    needs!(s3);
    let pipeline = Pipeline::new("force", &[]);
    pipeline.put("a.txt", "one text");
    pipeline.created("a.txt");
    let result = format!("out/{}/a.txt.jsonl", pipeline.documents.name);
    let task = json!({"taskId": "1", "s3Key": "a.txt", "s3Bucket": pipeline.documents.name});
    for (force, text) in [("false", "unchanged"), ("true", "embedded: 1 chunks")] {
        let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [task],
            "job": {"id": "j", "userArguments": {"force": force}}});
        let reply = pipeline.invoke(&event).unwrap();
        assert!(reply["results"][0]["resultString"].as_str().unwrap().starts_with(text), "{reply}");
    }
    assert_eq!(pipeline.vectors.keys(), [result]);
}

#[test]
fn our_own_output_and_other_places_are_ignored() {
    needs!(s3);
    let documents = Bucket::new("own-docs");
    let name = documents.name.clone();
    let vectors = documents.clone();
    let input = format!("s3://{name}/in");
    let pipeline = Pipeline::between(documents, vectors, None, &fixture(), &[("EMBED_INPUT", &input)]);
    for key in ["in/a.txt", "elsewhere/a.txt", "out/x/a.txt.jsonl"] {
        pipeline.put(key, "one text");
        pipeline.created(key);
    }
    let mut keys = pipeline.vectors.keys();
    keys.retain(|key| key.starts_with("out/") && !key.starts_with("out/x/"));
    assert_eq!(keys, [format!("out/{name}/in/a.txt.jsonl")]);
}

/// The events of S3, SQS and SNS that AWS's own tool makes. The objects that they name exist, but not the job's bucket.
#[test]
fn samples_of_aws_have_the_outcomes_of_their_events() {
    needs!(samples, s3);
    let folder = root().join("target/sample-events");
    let sample = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let (documents, vectors) = (Bucket::named("example-bucket"), Bucket::new("aws-vecs"));
    let pipeline = Pipeline::between(documents, vectors, None, &fixture(), &[]);
    pipeline.put("test/key", "one text");
    let invoke = |name: &str| pipeline.invoke(&sample(name));
    assert_eq!(invoke("s3.put").unwrap()["embedded"], 1);
    assert_eq!(pipeline.records("test/key").len(), 1);
    assert_eq!(invoke("rekognition.s3-request").unwrap()["unchanged"], 1);
    assert_eq!(invoke("s3.delete").unwrap()["ignored"], 1);
    let job = invoke("s3.batch-invocation").unwrap();
    assert_eq!(
        (&job["results"][0]["resultCode"], &job["results"][0]["resultString"]),
        (&json!("Succeeded"), &json!("gone"))
    );
    let message = sample("sqs.receive-message")["Records"][0]["messageId"].clone();
    assert_eq!(invoke("sqs.receive-message").unwrap(), json!({"batchItemFailures": [{"itemIdentifier": message}]}));
    assert_eq!(invoke("sns.notification").unwrap_err().kind().row().lambda_type, "Event.Unknown");
    assert_eq!(invoke("cloudwatch.scheduled-event").unwrap(), json!({"status": "warm"}));
}

#[test]
fn an_event_of_a_foreign_bucket_causes_no_request() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("foreign-docs"), Bucket::new("foreign-vecs"));
    let foreign = Bucket::new("foreign-other");
    let proxy = Proxy::before(documents.server, |_| Fault::None);
    let input = format!("s3://{}", documents.name);
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[("EMBED_INPUT", &input)]);
    pipeline.put("a.txt", "one text");
    foreign.put("a.txt", &[], b"one text");
    let bridge = json!({"source": "aws.s3", "detail-type": "Object Created",
        "detail": {"bucket": {"name": foreign.name}, "object": {"key": "a.txt"}}});
    for event in [notification(&[created(&foreign.name, "a.txt")]), notification(&[created(ACCESS_POINT, "a")]), bridge]
    {
        assert_eq!(pipeline.invoke(&event).unwrap()["ignored"], 1, "{event}");
        assert_eq!(pipeline.invoke(&queue(&[event])).unwrap(), json!({"batchItemFailures": []}));
    }
    let reply = pipeline.invoke(&job_of(&foreign.name)).unwrap();
    assert_eq!(reply["results"][0]["resultString"], "ignored: it lies outside EMBED_INPUT");
    assert_eq!(proxy.requests(), 0);
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    assert!(proxy.requests() > 0);
}

#[test]
fn a_name_that_is_not_a_buckets_causes_no_request() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("names-docs"), Bucket::new("names-vecs"));
    let proxy = Proxy::before(documents.server, |_| Fault::None);
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    for (name, what) in [
        (ACCESS_POINT, "the ARN of an access point: name the bucket behind it"),
        ("arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap", "the ARN of a Multi-Region Access Point"),
        ("theirs-abcdefghijklmnopqrstuvwxyz1234-s3alias", "the alias of an access point: name the bucket behind it"),
        ("mfzwi23gnjvgw.mrap", "the alias of a Multi-Region Access Point"),
        ("theirs--use1-az4--x-s3", "a directory bucket (S3 Express One Zone)"),
        ("theirs--use1-az4--xa-s3", "an access point of a directory bucket"),
        ("../elsewhere", "no plain name of a bucket"),
        ("a b", "no plain name of a bucket"),
        ("", "no plain name of a bucket"),
    ] {
        assert_eq!(pipeline.invoke(&notification(&[created(name, "a.txt")])).unwrap()["failed"], 1, "{name}");
        let reply = pipeline.invoke(&job_of(name)).unwrap();
        assert_eq!(reply["results"][0]["resultCode"], "PermanentFailure", "{reply}");
        let told = reply["results"][0]["resultString"].as_str().unwrap();
        assert!(told.starts_with(&format!("failed: the event's bucket is {what}")), "{told}");
    }
    let mut by_arn = job_of("unused");
    by_arn["tasks"][0] = json!({"taskId": "1", "s3Key": "a.txt", "s3BucketArn": ACCESS_POINT});
    let reply = pipeline.invoke(&by_arn).unwrap();
    assert!(reply["results"][0]["resultString"].as_str().unwrap().contains("the ARN of an access point"), "{reply}");
    assert_eq!(proxy.requests(), 0);
    assert!(pipeline.vectors.keys().is_empty());
}

/// Of another account.
const ACCESS_POINT: &str = "arn:aws:s3:us-east-1:111122223333:accesspoint/theirs";

/// An event of a job with one object, in `bucket`.
fn job_of(bucket: &str) -> Value {
    json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j", "userArguments": {}},
        "tasks": [{"taskId": "1", "s3Key": "a.txt", "s3Bucket": bucket}]})
}

#[test]
fn without_an_output_the_event_is_refused_with_the_variable() {
    let handler = crate::support::harness::fixture_handler();
    let event = notification(&[created("bucket", "a.txt")]).to_string();
    let call = lambda_embed::observability::call::Call::default();
    let error = crate::support::harness::block_on(handler.handle(event.as_bytes(), &call)).unwrap_err();
    assert!(error.public_message().contains("set EMBED_OUTPUT"), "{error}");
}
