//! Events come late, twice and at once; what lies in the output is the newest version's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::harness::fixture;
use crate::support::pipeline::{self, Pipeline, created, notification, queue};
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;

/// An event of `key` with what S3 says of the object beside its name.
fn event(bucket: &Bucket, key: &str, object: Value) -> Value {
    let mut record = created(&bucket.name, key);
    record["s3"]["object"].as_object_mut().unwrap().extend(object.as_object().unwrap().clone());
    record
}

fn removed(bucket: &Bucket, key: &str, object: Value) -> Value {
    let mut record = event(bucket, key, object);
    record["eventName"] = "ObjectRemoved:Delete".into();
    record
}

/// What one event did.
fn deliver(pipeline: &Pipeline, record: &Value) -> Value {
    pipeline.invoke(&notification(std::slice::from_ref(record))).unwrap()
}

/// Every object of the output with its bytes.
fn everything(pipeline: &Pipeline) -> Vec<(String, Vec<u8>)> {
    pipeline.vectors.keys().into_iter().map(|key| (key.clone(), pipeline.vectors.request("GET", &key, b"").2)).collect()
}

#[test]
fn three_deliveries_out_of_order_leave_the_same_bytes() {
    needs!(s3);
    let pipeline = Pipeline::new("thrice", &[]);
    let mut events = Vec::new();
    for number in 0..6 {
        let key = format!("note-{number}.txt");
        for version in 0..3 {
            let etag = pipeline.put(&key, format!("Note {number} in its version {version}."));
            let sequencer = format!("0055AED6DCD9028{version}{number}");
            events.push(event(&pipeline.documents, &key, json!({"eTag": etag, "sequencer": sequencer})));
        }
    }
    pipeline.invoke(&notification(&events)).unwrap();
    let first = everything(&pipeline);
    assert_eq!(first.len(), 6);
    for number in 0..6 {
        let text = &pipeline.records(&format!("note-{number}.txt"))[0]["text"];
        assert_eq!(text.as_str().unwrap().trim(), format!("Note {number} in its version 2."));
    }
    let mut delivered = [events.clone(), events.clone(), events].concat();
    fastrand::Rng::with_seed(6).shuffle(&mut delivered);
    for records in delivered.chunks(5) {
        let summary = pipeline.invoke(&notification(records)).unwrap();
        assert_eq!((&summary["embedded"], &summary["failed"]), (&json!(0), &json!(0)), "{summary}");
    }
    assert_eq!(everything(&pipeline), first);
}

#[test]
fn out_of_order_from_the_start_leaves_the_newest() {
    needs!(s3);
    let pipeline = Pipeline::new("shuffled", &[]);
    let old = pipeline.put("a.txt", "The old text.");
    let new = pipeline.put("a.txt", "The new text.");
    let old = event(&pipeline.documents, "a.txt", json!({"eTag": old, "sequencer": "01"}));
    let new = event(&pipeline.documents, "a.txt", json!({"eTag": new, "sequencer": "02"}));
    for record in [&new, &old, &old, &new, &old] {
        deliver(&pipeline, record);
        assert_eq!(pipeline.records("a.txt")[0]["text"].as_str().unwrap().trim(), "The new text.");
    }
}

#[test]
fn a_repeated_delivery_asks_for_the_result_alone() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("again-docs"), Bucket::new("again-vecs"));
    let proxy = Proxy::before(documents.server, |_| Fault::None);
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    let etag = pipeline.put("a.txt", "One text.");
    let record = event(&pipeline.documents, "a.txt", json!({"eTag": etag, "sequencer": "0A"}));
    assert_eq!(deliver(&pipeline, &record)["embedded"], 1);
    let before = proxy.requests();
    assert_eq!(deliver(&pipeline, &record)["unchanged"], 1);
    assert_eq!(proxy.requests() - before, 1);
    // A newer event of the same content, and one without a sequencer, cost the object's head besides.
    let newer = event(&pipeline.documents, "a.txt", json!({"eTag": etag, "sequencer": "0B"}));
    assert_eq!(deliver(&pipeline, &newer)["unchanged"], 1);
    assert_eq!(deliver(&pipeline, &created(&pipeline.documents.name, "a.txt"))["unchanged"], 1);
}

/// The version's id in the head of an answer, in lower case.
fn version_id(head: &str) -> String {
    let id = head.lines().find_map(|line| line.strip_prefix("x-amz-version-id: ")).unwrap();
    id.trim().to_owned()
}

/// Two versions of one object in a bucket that keeps them; their ids, older first.
fn versions(pipeline: &Pipeline, key: &str) -> [String; 2] {
    let on = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(pipeline.documents.request("PUT", "?versioning", on).0, 200);
    ["The first version.", "The second version."].map(|text| {
        pipeline.put(key, text);
        version_id(&pipeline.documents.head(key).unwrap())
    })
}

#[test]
fn a_version_that_an_event_names_is_the_one_embedded() {
    needs!(s3);
    let pipeline = Pipeline::new("versions", &[]);
    let [first, second] = versions(&pipeline, "a.txt");
    let record = |version: &str, sequencer: &str| {
        event(&pipeline.documents, "a.txt", json!({"versionId": version, "sequencer": sequencer}))
    };
    assert_eq!(deliver(&pipeline, &record(&first, "01"))["embedded"], 1);
    assert_eq!(pipeline.records("a.txt")[0]["version"], first.as_str());
    assert_eq!(deliver(&pipeline, &record(&second, "02"))["embedded"], 1);
    let text = pipeline.records("a.txt")[0]["text"].as_str().unwrap().trim().to_owned();
    assert_eq!(text, "The second version.");
    assert_eq!(deliver(&pipeline, &record(&first, "01"))["outdated"], 1);
    assert_eq!(pipeline.records("a.txt")[0]["version"], second.as_str());
}

#[test]
fn changes_of_one_object_within_a_call_go_one_after_another() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("sequence-docs"), Bucket::new("sequence-vecs"));
    let reads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reads);
    let proxy = Proxy::before(documents.server, move |request| {
        if let ("GET", Some((_, version))) = (request.method, request.path.split_once("versionId=")) {
            seen.lock().unwrap().push(version.to_owned());
        }
        Fault::None
    });
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    let [first, second] = versions(&pipeline, "a.txt");
    let record = |version: &str, sequencer: &str| {
        let object = json!({"versionId": version, "sequencer": sequencer});
        notification(&[event(&pipeline.documents, "a.txt", object)])
    };
    // The newer version's message comes first, and the older one's twice.
    let batch = queue(&[record(&second, "02"), record(&first, "01"), record(&first, "01")]);
    assert_eq!(pipeline.invoke(&batch).unwrap(), json!({"batchItemFailures": []}));
    let order: Vec<_> =
        reads.lock().unwrap().iter().map(|version| version.split('&').next().unwrap().to_owned()).collect();
    assert_eq!(order, [first, second.clone()]);
    assert_eq!(pipeline.records("a.txt")[0]["version"], second.as_str());
}

#[test]
fn after_a_failure_the_later_changes_of_that_object_come_back_and_others_go_on() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("blocked-docs"), Bucket::new("blocked-vecs"));
    let failing = Arc::new(Mutex::new(String::new()));
    let version = Arc::clone(&failing);
    let proxy = Proxy::before(documents.server, move |request| {
        let version = version.lock().unwrap();
        match !version.is_empty() && request.path.contains(version.as_str()) {
            true => Fault::Refuse(500, "InternalError", None),
            false => Fault::None,
        }
    });
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    let [first, second] = versions(&pipeline, "a.txt");
    pipeline.put("b.txt", "Another object.");
    let record = |version: &str, sequencer: &str| {
        let object = json!({"versionId": version, "sequencer": sequencer});
        notification(&[event(&pipeline.documents, "a.txt", object)])
    };
    let other = notification(&[created(&pipeline.documents.name, "b.txt")]);
    let batch = queue(&[record(&first, "01"), other, record(&second, "02")]);
    first.clone_into(&mut failing.lock().unwrap());
    let back = json!({"batchItemFailures": [{"itemIdentifier": "0"}, {"itemIdentifier": "2"}]});
    assert_eq!(pipeline.invoke(&batch).unwrap(), back);
    assert!(pipeline.result("a.txt").is_none() && pipeline.records("b.txt").len() == 1);
    failing.lock().unwrap().clear();
    assert_eq!(pipeline.invoke(&batch).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(pipeline.records("a.txt")[0]["version"], second.as_str());
}

#[test]
fn versions_of_one_second_without_sequencers_are_told_apart_by_the_source() {
    needs!(s3);
    let pipeline = Pipeline::new("ties", &[]);
    let [first, second] = versions(&pipeline, "a.txt");
    let record = |version: &str| event(&pipeline.documents, "a.txt", json!({"versionId": version}));
    for version in [&first, &second, &first, &second, &first] {
        deliver(&pipeline, &record(version));
    }
    assert_eq!(pipeline.records("a.txt")[0]["version"], second.as_str());
}

#[test]
fn the_vectors_go_with_the_object_and_do_not_come_back() {
    needs!(s3);
    let pipeline = Pipeline::new("removal", &[("EMBED_ON_DELETE", "remove")]);
    let etag = pipeline.put("a.txt", "One text.");
    let created = event(&pipeline.documents, "a.txt", json!({"eTag": etag, "sequencer": "01"}));
    let removal = removed(&pipeline.documents, "a.txt", json!({"sequencer": "02"}));
    deliver(&pipeline, &created);
    // The removal's event comes although the object is there: it was written again.
    assert_eq!(deliver(&pipeline, &removed(&pipeline.documents, "a.txt", json!({"sequencer": "00"})))["outdated"], 1);
    assert_eq!(deliver(&pipeline, &removal)["outdated"], 1);
    assert!(pipeline.result("a.txt").is_some());
    pipeline.documents.delete("a.txt");
    assert_eq!(deliver(&pipeline, &removal)["removed"], 1);
    assert_eq!(deliver(&pipeline, &created)["gone"], 1);
    assert_eq!(deliver(&pipeline, &removal)["removed"], 1);
    assert!(pipeline.vectors.keys().is_empty());
}

#[test]
fn a_version_behind_a_delete_marker_stays_without_vectors() {
    needs!(s3);
    let pipeline = Pipeline::new("marker", &[("EMBED_ON_DELETE", "remove")]);
    let [_, second] = versions(&pipeline, "a.txt");
    let created = event(&pipeline.documents, "a.txt", json!({"versionId": second, "sequencer": "02"}));
    deliver(&pipeline, &created);
    pipeline.documents.delete("a.txt");
    assert_eq!(deliver(&pipeline, &removed(&pipeline.documents, "a.txt", json!({"sequencer": "03"})))["removed"], 1);
    assert_eq!(deliver(&pipeline, &created)["outdated"], 1);
    assert!(pipeline.vectors.keys().is_empty());
}

#[test]
fn an_older_version_that_shows_again_is_embedded_again() {
    needs!(s3);
    let pipeline = Pipeline::new("rollback", &[("EMBED_ON_DELETE", "remove")]);
    let [first, second] = versions(&pipeline, "a.txt");
    deliver(&pipeline, &event(&pipeline.documents, "a.txt", json!({"versionId": second, "sequencer": "02"})));
    assert_eq!(pipeline.documents.request("DELETE", &format!("a.txt?versionId={second}"), b"").0, 204);
    let removal = removed(&pipeline.documents, "a.txt", json!({"versionId": second, "sequencer": "03"}));
    assert_eq!(deliver(&pipeline, &removal)["embedded"], 1);
    assert_eq!(pipeline.records("a.txt")[0]["version"], first.as_str());
}

#[test]
fn a_version_is_embedded_again_when_its_delete_marker_is_removed() {
    needs!(s3);
    let pipeline = Pipeline::new("uncovered", &[("EMBED_ON_DELETE", "remove")]);
    let [first, second] = versions(&pipeline, "a.txt");
    let created = event(&pipeline.documents, "a.txt", json!({"versionId": second, "sequencer": "02"}));
    deliver(&pipeline, &created);
    let marker = version_id(&pipeline.documents.request("DELETE", "a.txt", b"").1.to_lowercase());
    assert_eq!(deliver(&pipeline, &removed(&pipeline.documents, "a.txt", json!({"sequencer": "03"})))["removed"], 1);
    assert_eq!(pipeline.documents.request("DELETE", &format!("a.txt?versionId={marker}"), b"").0, 204);
    let removal = removed(&pipeline.documents, "a.txt", json!({"versionId": marker, "sequencer": "04"}));
    assert_eq!(deliver(&pipeline, &removal)["embedded"], 1);
    assert_eq!(pipeline.records("a.txt")[0]["version"], second.as_str());
    // An older version that goes changes nothing of it.
    assert_eq!(pipeline.documents.request("DELETE", &format!("a.txt?versionId={first}"), b"").0, 204);
    let removal = removed(&pipeline.documents, "a.txt", json!({"versionId": first, "sequencer": "05"}));
    assert_eq!(deliver(&pipeline, &removal)["outdated"], 1);
    assert_eq!(pipeline.records("a.txt")[0]["version"], second.as_str());
    // Nor does one of a document that never had vectors, which nothing reads again.
    let old = version_id(&pipeline.documents.request("PUT", "b.png", b"\x89PNG\r\n\x1a\n\0").1.to_lowercase());
    pipeline.put("b.png", b"\x89PNG\r\n\x1a\n\0\0");
    assert_eq!(deliver(&pipeline, &pipeline::created(&pipeline.documents.name, "b.png"))["skipped"], 1);
    assert_eq!(pipeline.documents.request("DELETE", &format!("b.png?versionId={old}"), b"").0, 204);
    let removal = removed(&pipeline.documents, "b.png", json!({"versionId": old, "sequencer": "06"}));
    assert_eq!(deliver(&pipeline, &removal)["outdated"], 1);
}

#[test]
fn text_that_becomes_something_else_loses_its_vectors_and_gets_them_back() {
    needs!(s3);
    let pipeline = Pipeline::new("turns", &[]);
    let name = &pipeline.documents.name;
    pipeline.put("a.txt", "One text.");
    deliver(&pipeline, &created(name, "a.txt"));
    pipeline.put("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01");
    assert_eq!(deliver(&pipeline, &created(name, "a.txt"))["skipped"], 1);
    assert!(pipeline.result("a.txt").is_none());
    let outcome = pipeline.outcome("a.txt").unwrap();
    assert_eq!((&outcome["outcome"], &outcome["retryable"]), (&json!("skipped"), &json!(false)), "{outcome}");
    pipeline.put("a.txt", "Another text.");
    deliver(&pipeline, &created(name, "a.txt"));
    assert!(pipeline.result("a.txt").is_some() && pipeline.outcome("a.txt").is_none());
}

#[test]
fn another_configuration_embeds_again() {
    needs!(s3);
    let pipeline = Pipeline::new("anew", &[]);
    pipeline.put("a.txt", "One text.");
    let record = created(&pipeline.documents.name, "a.txt");
    deliver(&pipeline, &record);
    let again = |variables: &[(&str, &str)]| {
        Pipeline::between(pipeline.documents.clone(), pipeline.vectors.clone(), None, &fixture(), variables)
    };
    assert_eq!(deliver(&again(&[]), &record)["unchanged"], 1);
    assert_eq!(deliver(&again(&[("EMBED_CHUNK_TOKENS", "20")]), &record)["embedded"], 1);
}

#[test]
fn a_race_is_won_by_the_newest() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("race-docs"), Bucket::new("race-vecs"));
    let other = Pipeline::between(documents.clone(), vectors.clone(), None, &fixture(), &[]);
    let other = Arc::new(Mutex::new(other));
    let puts = Arc::new(AtomicUsize::new(0));
    let (rival, seen) = (Arc::clone(&other), Arc::clone(&puts));
    // Before the first result is written someone else writes a newer document and its vectors.
    let proxy = Proxy::before(documents.server, move |request| {
        if request.method == "PUT" && seen.fetch_add(1, Ordering::SeqCst) == 0 {
            let rival = rival.lock().unwrap();
            rival.put("a.txt", "The newer text.");
            assert_eq!(rival.created("a.txt")["embedded"], 1);
        }
        Fault::None
    });
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    pipeline.put("a.txt", "The older text.");
    let summary = pipeline.created("a.txt");
    assert_eq!(summary["unchanged"], 1, "{summary}");
    assert_eq!(puts.load(Ordering::SeqCst), 1);
    assert_eq!(pipeline.records("a.txt")[0]["text"].as_str().unwrap().trim(), "The newer text.");
}

#[test]
fn functions_side_by_side_agree() {
    needs!(s3);
    let pipeline = Pipeline::new("beside", &[]);
    let records: Vec<_> = (0..20)
        .map(|number| {
            let key = format!("{number}.txt");
            pipeline.put(&key, format!("Text number {number}."));
            created(&pipeline.documents.name, &key)
        })
        .collect();
    let others: Vec<_> = (0..3)
        .map(|_| {
            let (documents, vectors, records) = (pipeline.documents.clone(), pipeline.vectors.clone(), records.clone());
            std::thread::spawn(move || {
                let pipeline = Pipeline::between(documents, vectors, None, &fixture(), &[]);
                pipeline.invoke(&notification(&records)).unwrap()
            })
        })
        .collect();
    let summaries: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
    for summary in &summaries {
        assert_eq!(summary["documents"], 20, "{summary}");
        assert_eq!((&summary["failed"], &summary["unfinished"]), (&json!(0), &json!(0)), "{summary}");
    }
    assert_eq!(pipeline.vectors.keys().len(), 20);
    for number in 0..20 {
        let [record] = &pipeline.records(&format!("{number}.txt"))[..] else { panic!("one text, one record") };
        assert_eq!(record["text"].as_str().unwrap().trim(), format!("Text number {number}."));
    }
}
