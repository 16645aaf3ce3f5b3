//! Documents into Qdrant, against its own engine: what arrives, repeats, versions, removals, refusals.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::pipeline::{Pipeline, created, gzip, notification, paragraphs, queue, unreadable_at_its_end};
use crate::support::qdrant_server::{Collection, start};

/// A function between buckets of the test's own and a collection of its own.
fn pipeline(test: &str, more: &[(&str, &str)]) -> (Pipeline, Collection) {
    let collection = Collection::new(test);
    let url = format!("http://{}", collection.server);
    let variables = [&collection.variables(&url, "qdrant")[..], more].concat();
    (Pipeline::new(&format!("q-{test}"), &variables), collection)
}

#[test]
fn a_document_becomes_points_that_are_found() {
    needs!(s3, qdrant);
    let (pipeline, collection) = pipeline("points", &[]);
    let name = &pipeline.documents.name;
    let text = "The river is high today.";
    pipeline.documents.put("notes/a b.txt", &[("x-amz-meta-author", "me")], text.as_bytes());
    assert_eq!(pipeline.created("notes/a b.txt")["embedded"], 1);
    let (status, info) = collection.request("GET", "", &Value::Null);
    assert_eq!(status, 200);
    assert_eq!(info["config"]["params"]["vectors"]["distance"], "Cosine");
    let schema = &info["payload_schema"];
    assert_eq!(
        (&schema["source"]["data_type"], &schema["embed.writing"]["data_type"]),
        (&json!("keyword"), &json!("integer"))
    );
    let [point] = &collection.points()[..] else { panic!("one chunk, one point") };
    let source = format!("s3://{name}/notes/a b.txt");
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{source}#0").as_bytes());
    assert_eq!(point["id"], id.to_string());
    let payload = &point["payload"];
    assert_eq!((payload["text"].as_str().unwrap().trim(), &payload["source"]), (text, &json!(source)));
    assert_eq!((&payload["chunk"], &payload["chunks"], &payload["start"]), (&json!(0), &json!(1), &json!(0)));
    assert_eq!((&payload["metadata"]["author"], &payload["bucket"]), (&json!("me"), &json!(name)));
    assert!(payload["model"].is_string() && payload["tokens"].as_u64() > Some(2));
    let query = json!({"query": point["vector"], "limit": 1, "with_payload": ["text"],
        "filter": {"must": [{"key": "source", "match": {"value": source}}]}});
    let (status, found) = collection.request("POST", "/points/query", &query);
    assert_eq!(status, 200, "{found}");
    assert!(found["points"][0]["score"].as_f64() > Some(0.999), "{found}");
}

#[test]
fn text_and_metadata_stay_away_where_they_are_turned_off() {
    needs!(s3, qdrant);
    let off = [("EMBED_OUTPUT_TEXT", "off"), ("EMBED_METADATA", "off")];
    let (pipeline, collection) = pipeline("bare", &off);
    pipeline.documents.put("a.txt", &[("x-amz-meta-author", "me")], b"A text.");
    pipeline.created("a.txt");
    let payload = collection.points()[0]["payload"].clone();
    assert!(payload.get("text").is_none() && payload["metadata"] == json!({}), "{payload}");
}

#[test]
fn repeats_change_nothing_and_a_shorter_version_leaves_no_surplus() {
    needs!(s3, qdrant);
    let (pipeline, collection) = pipeline("versions", &[("EMBED_CHUNK_TOKENS", "24"), ("EMBED_CHUNK_OVERLAP", "0")]);
    pipeline.put("other.txt", "Another document.");
    let long = pipeline.put("a.txt", paragraphs(12));
    assert_eq!(
        (&pipeline.created("other.txt")["embedded"], &pipeline.created("a.txt")["embedded"]),
        (&json!(1), &json!(1))
    );
    let first = collection.points();
    assert!(collection.whole("a.txt", &long).len() > 8);
    for _ in 0..3 {
        assert_eq!(pipeline.created("a.txt")["unchanged"], 1);
    }
    assert_eq!(collection.points(), first);

    let short = pipeline.put("a.txt", paragraphs(2).replace("river", "lake"));
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    let texts = collection.whole("a.txt", &short);
    assert!(texts.len() < 8 && texts.iter().any(|text| text.contains("lake")), "{texts:?}");
    assert_eq!(collection.points().len(), texts.len() + 1);
}

#[test]
fn points_go_with_their_object() {
    needs!(s3, qdrant);
    let (pipeline, collection) = pipeline("removal", &[("EMBED_ON_DELETE", "remove")]);
    let bucket = &pipeline.documents.name;
    let removal = |key: &str| {
        let mut record = created(bucket, key);
        record["eventName"] = "ObjectRemoved:Delete".into();
        notification(&[record])
    };
    let kept = pipeline.put("kept.txt", "A document that stays.");
    pipeline.put("a.txt", paragraphs(30));
    pipeline.created("kept.txt");
    pipeline.created("a.txt");
    assert_eq!(pipeline.invoke(&removal("a.txt")).unwrap()["outdated"], 1, "the object is still there");
    pipeline.documents.delete("a.txt");
    for _ in 0..2 {
        assert_eq!(pipeline.invoke(&removal("a.txt")).unwrap()["removed"], 1);
        assert_eq!(collection.points().len(), collection.whole("kept.txt", &kept).len());
    }
    // A document without text any more is no document either.
    pipeline.put("kept.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01");
    assert_eq!(pipeline.created("kept.txt")["skipped"], 1);
    assert!(collection.points().is_empty());
    let again = pipeline.put("a.txt", "Written again.");
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    assert_eq!(collection.whole("a.txt", &again).len(), 1);
}

#[test]
fn a_collection_that_does_not_fit_is_refused_and_left_alone() {
    needs!(s3, qdrant);
    for (test, vectors, said) in [
        ("size", json!({"size": 5, "distance": "Cosine"}), "5 dimensions"),
        ("distance", json!({"size": 32, "distance": "Dot"}), "compared by Dot"),
        ("names", json!({"text": {"size": 32, "distance": "Cosine"}}), "named vectors"),
    ] {
        let (pipeline, collection) = pipeline(test, &[]);
        assert_eq!(collection.request("PUT", "", &json!({"vectors": vectors})).0, 200);
        pipeline.put("a.txt", "A text.");
        let event = notification(&[created(&pipeline.documents.name, "a.txt")]);
        let error = pipeline.invoke(&event).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("EMBED_QDRANT_COLLECTION"), "{error}");
        let outcome = pipeline.outcome("a.txt").unwrap();
        assert_eq!((&outcome["outcome"], &outcome["retryable"]), (&json!("failed"), &json!(true)), "{outcome}");
        assert!(collection.points().is_empty());
        // Mended: the event's next delivery makes up for it, in the same process.
        assert_eq!(collection.request("DELETE", "", &Value::Null).0, 200);
        assert_eq!(pipeline.invoke(&event).unwrap()["embedded"], 1);
        assert!(pipeline.outcome("a.txt").is_none() && collection.points().len() == 1);
    }
}

#[test]
fn a_collection_that_is_dropped_is_made_again() {
    needs!(s3, qdrant);
    let (pipeline, collection) = pipeline("dropped", &[]);
    pipeline.put("a.txt", "A text.");
    pipeline.created("a.txt");
    assert_eq!(collection.request("DELETE", "", &Value::Null).0, 200);
    let event = queue(&[notification(&[created(&pipeline.documents.name, "a.txt")])]);
    assert_ne!(pipeline.invoke(&event).unwrap()["batchItemFailures"], json!([]), "it should come back");
    assert_eq!(pipeline.invoke(&event).unwrap()["batchItemFailures"], json!([]));
    assert_eq!(collection.points().len(), 1);
}

#[test]
fn the_key_is_asked_for_and_never_told() {
    needs!(s3, qdrant);
    let server = start(&["--api-key", "sesame"]);
    let collection = Collection { server: server.address.clone(), name: "locked".to_owned() };
    let url = format!("http://{}", server.address);
    let with = |test: &str, key: &str| {
        let variables = [&collection.variables(&url, "qdrant")[..], &[("EMBED_QDRANT_API_KEY", key)]].concat();
        let pipeline = Pipeline::new(test, &variables);
        pipeline.put("a.txt", "A text.");
        pipeline
    };
    let (wrong, right) = (with("q-wrong-key", "hush"), with("q-right-key", "sesame"));
    let event = |pipeline: &Pipeline| notification(&[created(&pipeline.documents.name, "a.txt")]);
    let error = wrong.invoke(&event(&wrong)).unwrap_err().to_string();
    assert!(error.contains("EMBED_QDRANT_API_KEY") && error.contains("401") && !error.contains("hush"), "{error}");
    assert_eq!(right.invoke(&event(&right)).unwrap()["embedded"], 1);
}

#[test]
fn a_document_longer_than_a_call_goes_on_where_it_was() {
    needs!(s3, qdrant);
    let small = [("EMBED_CHUNK_TOKENS", "24"), ("EMBED_CHUNK_OVERLAP", "0")];
    let (pipeline, collection) = pipeline("continued", &small);
    let etag = pipeline.put("long.txt", paragraphs(1_500));
    let event = queue(&[notification(&[created(&pipeline.documents.name, "long.txt")])]);
    let mut halves = 0;
    let calls = pipeline.in_short_calls(&event, || {
        // The first calls may be too short to make the collection.
        if collection.request("GET", "", &Value::Null).0 == 404 {
            return;
        }
        let points = collection.points();
        halves += usize::from(!points.is_empty());
        // A call may end right after the stamp: the document is whole then, and its event comes back nevertheless.
        if points.iter().any(|point| !point["payload"]["embed"]["stamp"].is_null()) {
            collection.whole("long.txt", &etag);
        }
    });
    assert!(calls > 2 && halves > 0, "{calls} calls, {halves} with points");
    assert!(collection.whole("long.txt", &etag).len() > 1_000);
}

#[test]
fn a_document_that_cannot_be_read_to_its_end_leaves_no_points() {
    needs!(s3, qdrant);
    let (pipeline, collection) = pipeline("unreadable", &[]);
    pipeline.put("other.txt", "Another document.");
    pipeline.created("other.txt");
    for good in [10, 300] {
        pipeline.put("a.html", "<p>An older version.</p>");
        assert_eq!(pipeline.created("a.html")["embedded"], 1);
        assert_eq!(collection.points().len(), 2);
        pipeline.put("a.html", unreadable_at_its_end(good));
        let summary = pipeline.created("a.html");
        assert_eq!((&summary["skipped"], collection.points().len()), (&json!(1), 1), "{summary}");
        assert!(pipeline.outcome("a.html").unwrap()["reason"].as_str().unwrap().contains("limit"));
    }
}

#[test]
fn a_long_document_that_breaks_off_in_its_middle_leaves_its_older_version() {
    needs!(s3, qdrant);
    let (pipeline, collection) = pipeline("breaks-off", &[]);
    let etag = pipeline.put("a.txt.gz", gzip(&paragraphs(400)));
    assert_eq!(pipeline.created("a.txt.gz")["embedded"], 1);
    let before = collection.whole("a.txt.gz", &etag);
    assert!(before.len() > 100);
    let newer = gzip(&paragraphs(1_500));
    pipeline.put("a.txt.gz", &newer[..newer.len() / 2]);
    assert_eq!(pipeline.created("a.txt.gz")["failed"], 1);
    assert_eq!(collection.whole("a.txt.gz", &etag), before);
}
