//! Documents that nobody should send, and buckets that say no: each its right outcome, the rest of the batch done.

use serde_json::{Value, json};

use crate::documents::{World, created, notification, queue};
use crate::harness::fixture;
use crate::s3_proxy::{Fault, Proxy};
use crate::s3_server::Bucket;

/// Every kind of character that a key may have and that something on the way may trip over.
const AWKWARD: &str = "a b+c%20d%/'\"&<>?#;=@:!$(),*~^`{}[]|\\é日本\u{1F980}/../x\t\u{7f}.txt";

/// A world whose S3 denies `denied.txt` and sends whoever wants `elsewhere.txt` to another region.
fn world(test: &str) -> Option<(World, Proxy)> {
    let (documents, vectors) = (Bucket::new(&format!("{test}-docs"))?, Bucket::new(&format!("{test}-vecs"))?);
    let name = documents.name.clone();
    let proxy = Proxy::before(documents.server, move |request| match request.path {
        path if path.starts_with(&format!("/{name}/denied.txt")) => Fault::Refuse(403, "AccessDenied", None),
        path if path.starts_with(&format!("/{name}/elsewhere.txt")) => {
            Fault::Refuse(301, "PermanentRedirect", Some("eu-west-1"))
        }
        _ => Fault::None,
    });
    let world = World::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    Some((world, proxy))
}

#[test]
fn buckets_that_say_no_have_clear_outcomes() {
    let Some((world, _proxy)) = world("refusals") else { return };
    world.put("good.txt", "A good text.");
    world.put(AWKWARD, "A text with a name.");
    let name = &world.documents.name;
    let bodies: Vec<_> = ["good.txt", "denied.txt", "elsewhere.txt", "gone.txt", AWKWARD]
        .iter()
        .map(|key| notification(&[created(name, key)]))
        .collect();
    let reply = world.invoke(&queue(&bodies)).unwrap();
    // A right may be granted before the message comes back; a bucket does not move.
    assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    assert_eq!(world.records("good.txt").len(), 1);
    assert_eq!(world.records(AWKWARD)[0]["key"], AWKWARD);
    let said = |key: &str| -> (Value, Value, String) {
        let outcome = world.outcome(key).unwrap();
        (outcome["outcome"].clone(), outcome["retryable"].clone(), outcome["reason"].as_str().unwrap().to_owned())
    };
    let (outcome, retryable, reason) = said("denied.txt");
    assert_eq!((outcome, retryable), (json!("failed"), json!(true)));
    assert!(reason.contains("access denied") && reason.contains("s3:GetObject"), "{reason}");
    let (outcome, retryable, reason) = said("elsewhere.txt");
    assert_eq!((outcome, retryable), (json!("failed"), json!(false)));
    assert!(reason.contains("another region (eu-west-1)"), "{reason}");
    assert!(world.outcome("gone.txt").is_none());
}

#[test]
fn an_output_that_says_no_loses_nothing() {
    let (Some(documents), Some(vectors)) = (Bucket::new("sealed-docs"), Bucket::new("sealed-vecs")) else { return };
    let output = format!("/{}/", vectors.name);
    let proxy = Proxy::before(documents.server, move |request| match request.method {
        "PUT" if request.path.starts_with(&output) => Fault::Refuse(403, "AccessDenied", None),
        _ => Fault::None,
    });
    let world = World::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    world.put("good.txt", "A good text.");
    world.put("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01");
    let name = &world.documents.name;
    let bodies = ["good.txt", "picture.png"].map(|key| notification(&[created(name, key)]));
    let reply = world.invoke(&queue(&bodies)).unwrap();
    let back = |id: &str| json!({"itemIdentifier": id});
    assert_eq!(reply, json!({"batchItemFailures": [back("0"), back("1")]}));
    let error = world.invoke(&bodies[0]).unwrap_err().to_string();
    assert!(error.contains("good.txt") && error.contains("s3:PutObject"), "{error}");
}

#[test]
fn a_bad_quarter_of_an_hour_of_s3_passes() {
    let (Some(documents), Some(vectors)) = (Bucket::new("weather-docs"), Bucket::new("weather-vecs")) else { return };
    let proxy = Proxy::before(documents.server, |request| match request.number % 3 {
        1 => Fault::Refuse(503, "SlowDown", None),
        _ => Fault::None,
    });
    let world = World::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    world.put("good.txt", "A good text.");
    let summary = world.created("good.txt");
    assert_eq!(summary["embedded"], 1, "{summary}");
}
