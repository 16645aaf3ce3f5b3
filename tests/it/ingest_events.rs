//! Every way in that S3's events have: the samples under `events/`, each to its vectors.

use std::time::Duration;

use serde_json::{Value, json};

use crate::documents::{World, created, notification, queue};
use crate::harness::{fixture, root};
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
fn world(variables: &[(&str, &str)]) -> Option<World> {
    let (documents, vectors) = (Bucket::named("my-documents")?, Bucket::new("samples-vecs")?);
    Some(World::between(documents, vectors, None, &fixture(), variables))
}

#[test]
fn every_sample_leads_to_its_documents_vectors() {
    let Some(world) = world(&[]) else { return };
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
    let Some(world) = World::new("partial", &[]) else { return };
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
    let Some(world) = World::new("late", &[]) else { return };
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
    let Some(world) = World::new("job", &[]) else { return };
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
    let Some(world) = World::new("force", &[]) else { return };
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
    let Some(documents) = Bucket::new("own-docs") else { return };
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

#[test]
fn without_an_output_the_event_is_refused_with_the_variable() {
    let handler = crate::harness::fixture_handler();
    let event = notification(&[created("bucket", "a.txt")]).to_string();
    let call = lambda_embed::call::Call::default();
    let error = crate::harness::block_on(handler.handle(event.as_bytes(), &call)).unwrap_err();
    assert!(error.to_string().contains("EMBED_OUTPUT"), "{error}");
}
