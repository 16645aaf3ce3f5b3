//! Every way in that S3's events have: the samples under `events/`, each to its vectors.

use std::time::Duration;

use serde_json::{Value, json};

use crate::documents::{World, created, notification, queue};
use crate::harness::{fixture, root};
use crate::s3_proxy::{Fault, Proxy};
use crate::s3_server::Bucket;

/// The samples that tell of an object, which all name the same one.
const CREATED: [&str; 8] = [
    "s3-put",
    "sqs-s3",
    "sqs-eventbridge",
    "sns-s3",
    "sqs-sns-s3",
    "eventbridge-object-created",
    "s3-batch-1",
    "s3-batch-2",
];

/// The samples of S3 that tell of none.
pub const OTHERS: [&str; 2] = ["s3-test", "s3-removed"];

pub fn is_of_documents(sample: &str) -> bool {
    CREATED.iter().chain(&OTHERS).any(|name| sample == format!("{name}.json"))
}

fn sample(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join(format!("events/{name}.json"))).unwrap()).unwrap()
}

/// A function that takes documents from the bucket that the samples name.
fn world(variables: &[(&str, &str)]) -> World {
    let (documents, vectors) = (Bucket::named("my-documents"), Bucket::new("samples-vecs"));
    World::between(documents, vectors, None, &fixture(), variables)
}

#[test]
fn every_sample_leads_to_its_documents_vectors() {
    needs!(s3);
    let world = world(&[]);
    let key = "guides/getting started.md";
    world.put(key, "# Getting started\n\nPut a document into the bucket and read its vectors.\n");
    for name in CREATED {
        let result = format!("out/my-documents/{key}.jsonl");
        world.vectors.delete(&result);
        let reply = world.invoke(&sample(name)).unwrap();
        match name {
            name if name.starts_with("sqs") => assert_eq!(reply, json!({"batchItemFailures": []}), "{name}"),
            name if name.starts_with("s3-batch") => {
                assert_eq!(reply["invocationId"], sample(name)["invocationId"], "{name}");
                assert_eq!(reply["results"][0]["resultCode"], "Succeeded", "{name}: {reply}");
            }
            _ => assert_eq!((&reply["documents"], &reply["embedded"]), (&json!(1), &json!(1)), "{name}: {reply}"),
        }
        assert_eq!(world.records(key)[0]["key"], key, "{name}");
    }
    assert_eq!(world.invoke(&sample("s3-test")).unwrap()["documents"], 0);
    assert_eq!(world.invoke(&sample("s3-removed")).unwrap()["ignored"], 1);
}

#[test]
fn only_the_failed_messages_come_back() {
    needs!(s3);
    let world = World::new("partial", &[]);
    world.put("a.txt", "one text");
    let bucket = &world.documents.name;
    let event = queue(&[
        notification(&[created(bucket, "a.txt")]),
        json!({"hello": "queue"}),
        notification(&[created("no-such-bucket-anywhere", "a.txt")]),
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        notification(&[created(bucket, "folder/"), created(bucket, "gone.txt")]),
    ]);
    let reply = world.invoke(&event).unwrap();
    assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    assert_eq!(world.records("a.txt").len(), 1);
}

#[test]
fn what_is_not_begun_in_time_comes_back() {
    needs!(s3);
    let world = World::new("late", &[]);
    world.put("a.txt", "one text");
    let change = created(&world.documents.name, "a.txt");
    let nothing_left = Some(Duration::ZERO);
    let reply = world.invoke_within(&queue(&[notification(std::slice::from_ref(&change))]), nothing_left).unwrap();
    assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "0"}]}));
    let error = world.invoke_within(&notification(&[change]), nothing_left).unwrap_err();
    assert_eq!(error.kind().row().lambda_type, "Documents.Retry");
    assert!(error.to_string().contains("a.txt unfinished"), "{error}");
    assert!(world.vectors.keys().is_empty());
}

#[test]
fn a_job_is_told_task_by_task() {
    needs!(s3);
    let world = World::new("job", &[]);
    world.put("a+b.txt", "one text");
    world.put("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let task = |id: &str, key: &str| json!({"taskId": id, "s3Key": key, "s3Bucket": world.documents.name});
    let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j", "userArguments": {}},
        "tasks": [task("1", "a%2Bb.txt"), task("2", "picture.png"), task("3", "%FF"), task("4", "gone.txt")]});
    let reply = world.invoke(&event).unwrap();
    let codes: Vec<_> = reply["results"].as_array().unwrap().iter().map(|r| (&r["taskId"], &r["resultCode"])).collect();
    let expected = [("1", "Succeeded"), ("2", "Succeeded"), ("3", "PermanentFailure"), ("4", "Succeeded")];
    assert_eq!(json!(codes), json!(expected), "{reply}");
    assert!(reply["results"][1]["resultString"].as_str().unwrap().starts_with("skipped: "), "{reply}");
}

#[test]
fn a_job_may_embed_what_is_there_already() {
    needs!(s3);
    let world = World::new("force", &[]);
    world.put("a.txt", "one text");
    world.created("a.txt");
    let result = format!("out/{}/a.txt.jsonl", world.documents.name);
    let task = json!({"taskId": "1", "s3Key": "a.txt", "s3Bucket": world.documents.name});
    for (force, text) in [("false", "unchanged"), ("true", "embedded: 1 chunks")] {
        let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [task],
            "job": {"id": "j", "userArguments": {"force": force}}});
        let reply = world.invoke(&event).unwrap();
        assert!(reply["results"][0]["resultString"].as_str().unwrap().starts_with(text), "{reply}");
    }
    assert_eq!(world.vectors.keys(), [result]);
}

#[test]
fn our_own_output_and_other_places_are_passed_over() {
    needs!(s3);
    let documents = Bucket::new("own-docs");
    let name = documents.name.clone();
    let vectors = Bucket { server: documents.server, name: name.clone() };
    let input = format!("s3://{name}/in");
    let world = World::between(documents, vectors, None, &fixture(), &[("EMBED_INPUT", &input)]);
    for key in ["in/a.txt", "elsewhere/a.txt", "out/x/a.txt.jsonl"] {
        world.put(key, "one text");
        world.created(key);
    }
    let mut keys = world.vectors.keys();
    keys.retain(|key| key.starts_with("out/") && !key.starts_with("out/x/"));
    assert_eq!(keys, [format!("out/{name}/in/a.txt.jsonl")]);
}

/// The events of S3, SQS and SNS that AWS's own tool makes; what they name is there but for the job's bucket.
#[test]
fn samples_of_aws_have_the_outcomes_that_they_tell_of() {
    needs!(samples, s3);
    let folder = root().join("target/sample-events");
    let sample = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let (documents, vectors) = (Bucket::named("example-bucket"), Bucket::new("aws-vecs"));
    let world = World::between(documents, vectors, None, &fixture(), &[]);
    world.put("test/key", "one text");
    let invoke = |name: &str| world.invoke(&sample(name));
    assert_eq!(invoke("s3.put").unwrap()["embedded"], 1);
    assert_eq!(world.records("test/key").len(), 1);
    assert_eq!(invoke("rekognition.s3-request").unwrap()["unchanged"], 1);
    assert_eq!(invoke("s3.delete").unwrap()["ignored"], 1);
    let job = invoke("s3.batch-invocation").unwrap();
    assert_eq!(
        (&job["results"][0]["resultCode"], &job["results"][0]["resultString"]),
        (&json!("Succeeded"), &json!("gone"))
    );
    let message = sample("sqs.receive-message")["Records"][0]["messageId"].clone();
    assert_eq!(invoke("sqs.receive-message").unwrap(), json!({"batchItemFailures": [{"itemIdentifier": message}]}));
    for other in ["sns.notification", "cloudwatch.scheduled-event"] {
        assert_eq!(invoke(other).unwrap_err().kind().row().lambda_type, "Event.Unknown", "{other}");
    }
}

#[test]
fn an_event_of_a_foreign_bucket_causes_no_request() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("foreign-docs"), Bucket::new("foreign-vecs"));
    let foreign = Bucket::new("foreign-other");
    let proxy = Proxy::before(documents.server, |_| Fault::None);
    let input = format!("s3://{}", documents.name);
    let world = World::between(documents, vectors, Some(&proxy.address), &fixture(), &[("EMBED_INPUT", &input)]);
    world.put("a.txt", "one text");
    foreign.put("a.txt", &[], b"one text");
    let bridge = json!({"source": "aws.s3", "detail-type": "Object Created",
        "detail": {"bucket": {"name": foreign.name}, "object": {"key": "a.txt"}}});
    for event in [notification(&[created(&foreign.name, "a.txt")]), notification(&[created(ACCESS_POINT, "a")]), bridge]
    {
        assert_eq!(world.invoke(&event).unwrap()["ignored"], 1, "{event}");
        assert_eq!(world.invoke(&queue(&[event])).unwrap(), json!({"batchItemFailures": []}));
    }
    let reply = world.invoke(&job_of(&foreign.name)).unwrap();
    assert_eq!(reply["results"][0]["resultString"], "ignored: it lies outside EMBED_INPUT");
    assert_eq!(proxy.requests(), 0);
    assert_eq!(world.created("a.txt")["embedded"], 1);
    assert!(proxy.requests() > 0);
}

#[test]
fn what_is_no_buckets_name_causes_no_request() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("names-docs"), Bucket::new("names-vecs"));
    let proxy = Proxy::before(documents.server, |_| Fault::None);
    let world = World::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    for name in [ACCESS_POINT, "theirs-abcdefghijklmnopqrstuvwxyz1234-s3alias", "../elsewhere", "a b", ""] {
        assert_eq!(world.invoke(&notification(&[created(name, "a.txt")])).unwrap()["failed"], 1, "{name}");
        let reply = world.invoke(&job_of(name)).unwrap();
        assert_eq!(reply["results"][0]["resultCode"], "PermanentFailure", "{reply}");
        assert!(reply["results"][0]["resultString"].as_str().unwrap().contains("no plain name"), "{reply}");
    }
    let mut by_arn = job_of("unused");
    by_arn["tasks"][0] = json!({"taskId": "1", "s3Key": "a.txt", "s3BucketArn": ACCESS_POINT});
    assert_eq!(world.invoke(&by_arn).unwrap()["results"][0]["resultCode"], "PermanentFailure");
    assert_eq!(proxy.requests(), 0);
    assert!(world.vectors.keys().is_empty());
}

/// Of another account.
const ACCESS_POINT: &str = "arn:aws:s3:us-east-1:111122223333:accesspoint/theirs";

/// An event of a job whose one object lies in `bucket`.
fn job_of(bucket: &str) -> Value {
    json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j", "userArguments": {}},
        "tasks": [{"taskId": "1", "s3Key": "a.txt", "s3Bucket": bucket}]})
}

#[test]
fn without_an_output_the_event_is_refused_with_the_variable() {
    let handler = crate::harness::fixture_handler();
    let event = notification(&[created("bucket", "a.txt")]).to_string();
    let call = lambda_embed::observability::call::Call::default();
    let error = crate::harness::block_on(handler.handle(event.as_bytes(), &call)).unwrap_err();
    assert!(error.public_message().contains("set EMBED_OUTPUT"), "{error}");
}
