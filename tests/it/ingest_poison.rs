//! Harmful documents, and buckets that deny access: each has the right outcome, and the rest of the batch is embedded.

use serde_json::{Value, json};

use crate::support::harness::fixture;
use crate::support::pipeline::{Pipeline, created, notification, queue};
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;

/// A key with every kind of character that something on the way may handle wrongly.
const AWKWARD: &str = "a b+c%20d%/'\"&<>?#;=@:!$(),*~^`{}[]|\\é日本\u{1F980}/../x\t\u{7f}.txt";

/// A pipeline whose S3 denies `denied.txt` and redirects requests for `elsewhere.txt` to another region.
fn pipeline(test: &str) -> (Pipeline, Proxy) {
    let (documents, vectors) = (Bucket::new(&format!("{test}-docs")), Bucket::new(&format!("{test}-vecs")));
    let name = documents.name.clone();
    let proxy = Proxy::before(documents.server, move |request| match request.path {
        path if path.starts_with(&format!("/{name}/denied.txt")) => Fault::Refuse(403, "AccessDenied", None),
        path if path.starts_with(&format!("/{name}/elsewhere.txt")) => {
            Fault::Refuse(301, "PermanentRedirect", Some("eu-west-1"))
        }
        _ => Fault::None,
    });
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    (pipeline, proxy)
}

#[test]
fn denied_missing_and_foreign_objects_have_clear_outcomes() {
    needs!(s3);
    let (pipeline, _proxy) = pipeline("refusals");
    pipeline.put("good.txt", "A good text.");
    pipeline.put(AWKWARD, "A text with a name.");
    let name = &pipeline.documents.name;
    let bodies: Vec<_> = ["good.txt", "denied.txt", "elsewhere.txt", "gone.txt", AWKWARD]
        .iter()
        .map(|key| notification(&[created(name, key)]))
        .collect();
    let reply = pipeline.invoke(&queue(&bodies)).unwrap();
    // A denied document comes back, because the right may be granted by then; a bucket never changes its region.
    assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    assert_eq!(pipeline.records("good.txt").len(), 1);
    assert_eq!(pipeline.records(AWKWARD)[0]["key"], AWKWARD);
    let said = |key: &str| -> (Value, Value, String) {
        let outcome = pipeline.outcome(key).unwrap();
        (outcome["outcome"].clone(), outcome["retryable"].clone(), outcome["reason"].as_str().unwrap().to_owned())
    };
    let (outcome, retryable, reason) = said("denied.txt");
    assert_eq!((outcome, retryable), (json!("failed"), json!(true)));
    assert!(reason.contains("access denied") && reason.contains("s3:GetObject"), "{reason}");
    let (outcome, retryable, reason) = said("elsewhere.txt");
    assert_eq!((outcome, retryable), (json!("failed"), json!(false)));
    assert!(reason.contains("another region (eu-west-1)"), "{reason}");
    assert!(pipeline.outcome("gone.txt").is_none());
}

#[test]
fn an_output_that_denies_access_loses_nothing() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("sealed-docs"), Bucket::new("sealed-vecs"));
    let output = format!("/{}/", vectors.name);
    let proxy = Proxy::before(documents.server, move |request| match request.method {
        "PUT" if request.path.starts_with(&output) => Fault::Refuse(403, "AccessDenied", None),
        _ => Fault::None,
    });
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    pipeline.put("good.txt", "A good text.");
    pipeline.put("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01");
    let name = &pipeline.documents.name;
    let bodies = ["good.txt", "picture.png"].map(|key| notification(&[created(name, key)]));
    let reply = pipeline.invoke(&queue(&bodies)).unwrap();
    let back = |id: &str| json!({"itemIdentifier": id});
    assert_eq!(reply, json!({"batchItemFailures": [back("0"), back("1")]}));
    let error = pipeline.invoke(&bodies[0]).unwrap_err().to_string();
    assert!(error.contains("good.txt") && error.contains("s3:PutObject"), "{error}");
}

#[test]
fn a_document_is_embedded_although_s3_refuses_every_third_request() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("weather-docs"), Bucket::new("weather-vecs"));
    let proxy = Proxy::before(documents.server, |request| match request.number % 3 {
        1 => Fault::Refuse(503, "SlowDown", None),
        _ => Fault::None,
    });
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    pipeline.put("good.txt", "A good text.");
    let summary = pipeline.created("good.txt");
    assert_eq!(summary["embedded"], 1, "{summary}");
}

/// gzip of `megabytes` megabytes of the same sentence.
fn bomb(megabytes: usize) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let megabyte = "all work and no play ".repeat(1 << 20).into_bytes();
    for _ in 0..megabytes {
        encoder.write_all(&megabyte[..1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn unreadable_documents_have_outcome_records_and_the_rest_is_embedded() {
    needs!(s3);
    let pipeline = Pipeline::new("poison", &[]);
    let deep = format!("{{\"text\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let line = 200 << 20;
    let long_line = ["{\"text\": \"", &"x".repeat(line), "\"}\n{\"text\": \"A good line.\"}\n"].concat();
    let poison: [(&str, Vec<u8>, &str); 6] = [
        ("empty.txt", Vec::new(), "no bytes"),
        ("blank.txt", b" \n\t\r\n ".repeat(100), "no text"),
        ("picture.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01".to_vec(), "not text"),
        ("program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0".to_vec(), "not text"),
        ("bomb.txt.gz", bomb(300), "decompresses"),
        ("deep.json", deep.into_bytes(), "deep"),
    ];
    let name = &pipeline.documents.name;
    let mut bodies = Vec::new();
    for (key, body, _) in &poison {
        pipeline.put(key, body);
        bodies.push(notification(&[created(name, key)]));
    }
    for (key, body) in [("good.md", "# Good\n\nA good text.\n"), ("long-line.jsonl", long_line.as_str())] {
        pipeline.put(key, body);
        bodies.push(notification(&[created(name, key)]));
    }
    let reply = pipeline.invoke(&queue(&bodies)).unwrap();
    assert_eq!(reply, json!({"batchItemFailures": []}));
    for (key, _, words) in &poison {
        assert!(pipeline.result(key).is_none(), "{key}");
        let outcome = pipeline.outcome(key).unwrap_or_else(|| panic!("{key} has no outcome"));
        assert_eq!((&outcome["outcome"], &outcome["retryable"]), (&json!("skipped"), &json!(false)), "{outcome}");
        assert!(outcome["reason"].as_str().unwrap().contains(words), "{key}: {outcome}");
    }
    assert_eq!(pipeline.records("good.md").len(), 1);
    let records = pipeline.records("long-line.jsonl");
    assert_eq!((records.len(), &records[0]["text"]), (1, &json!("A good line.")));
}

#[test]
fn an_object_beyond_the_limit_is_not_read() {
    needs!(s3);
    let pipeline = Pipeline::new("limit", &[("EMBED_MAX_OBJECT_BYTES", "1000")]);
    pipeline.put("large.txt", "word ".repeat(300));
    assert_eq!(pipeline.created("large.txt")["skipped"], 1);
    let reason = pipeline.outcome("large.txt").unwrap()["reason"].to_string();
    assert!(reason.contains("1500 bytes") && reason.contains("EMBED_MAX_OBJECT_BYTES"), "{reason}");
}
