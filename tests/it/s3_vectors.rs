//! Documents into S3 Vectors, against moto with the service's limits: what arrives, repeats, versions, removals, faults.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::harness::fixture;
use crate::support::pipeline::{Pipeline, created, gzip, notification, paragraphs, unreadable_at_its_end};
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;
use crate::support::server::http;

/// Few tokens a chunk, so that a page is a document of several vectors.
const SMALL: [(&str, &str); 2] = [("EMBED_CHUNK_TOKENS", "24"), ("EMBED_CHUNK_OVERLAP", "0")];

/// The server wants to know which service is meant, and in whose name.
const OWNER: &str =
    "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3vectors/aws4_request, SignedHeaders=host, Signature=0";

/// Two buckets and a vector bucket of a test's own.
struct Setup {
    documents: Bucket,
    results: Bucket,
    /// The vector bucket's name; its index is `documents`.
    vectors: String,
}

impl Setup {
    fn new(test: &str) -> Self {
        let (documents, results) = (Bucket::new(&format!("v-{test}-docs")), Bucket::new(&format!("v-{test}-res")));
        let setup = Self { documents, results, vectors: format!("v-{test}-{}", std::process::id()) };
        setup.request("CreateVectorBucket", json!({}));
        setup
    }

    /// A function with S3 Vectors at `address`, else at the server itself.
    fn pipeline(&self, address: Option<&str>, more: &[(&str, &str)]) -> Pipeline {
        let endpoint = format!("http://{}", address.unwrap_or(self.documents.server));
        let own = [
            ("EMBED_SINK", "s3vectors"),
            ("EMBED_S3VECTORS_BUCKET", &self.vectors),
            ("EMBED_S3VECTORS_INDEX", "documents"),
            ("AWS_ENDPOINT_URL_S3VECTORS", &endpoint),
            ("EMBED_ON_DELETE", "remove"),
        ];
        Pipeline::between(self.documents.clone(), self.results.clone(), None, &fixture(), &[&own[..], more].concat())
    }

    fn request(&self, operation: &str, mut body: Value) -> Value {
        body["vectorBucketName"] = self.vectors.clone().into();
        let headers = [("authorization", OWNER), ("content-type", "application/json")];
        let path = format!("/{operation}");
        let (status, head, answer) = http(self.documents.server, "POST", &path, &headers, body.to_string().as_bytes());
        assert_eq!(status, 200, "{operation}: {head} {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    /// Every vector with its data and metadata, by document and chunk.
    fn vectors(&self) -> Vec<Value> {
        let mut all =
            self.request("ListVectors", json!({"indexName": "documents", "returnData": true, "returnMetadata": true}));
        let mut vectors = all["vectors"].take().as_array().cloned().unwrap();
        let order = |vector: &Value| {
            let entries = &vector["metadata"];
            (entries["source"].as_str().map(str::to_owned), entries["chunk"].as_u64())
        };
        vectors.sort_by_key(order);
        vectors
    }

    /// The texts of one document's vectors, which are whole and stamped, each of the version with this ETag.
    fn whole(&self, key: &str, etag: &str) -> Vec<String> {
        let source = format!("s3://{}/{key}", self.documents.name);
        let vectors: Vec<_> =
            self.vectors().into_iter().filter(|vector| vector["metadata"]["source"] == source).collect();
        let first = &vectors.first().unwrap_or_else(|| panic!("{key} has no vectors"))["metadata"];
        let head: Value = serde_json::from_str(first["embed"].as_str().unwrap()).unwrap();
        assert_eq!(head["stamp"]["embed-etag"], etag, "{head}");
        assert_eq!((&head["chunks"], &first["chunks"]), (&json!(vectors.len()), &json!(vectors.len())), "{vectors:?}");
        let text = |(number, vector): (usize, &Value)| {
            let entries = &vector["metadata"];
            assert_eq!((&entries["chunk"], &entries["etag"]), (&json!(number), &json!(etag)), "{entries}");
            entries["text"].as_str().unwrap().to_owned()
        };
        vectors.iter().enumerate().map(text).collect()
    }

    fn event(&self, key: &str) -> Value {
        notification(&[created(&self.documents.name, key)])
    }

    fn removal(&self, key: &str) -> Value {
        let mut record = created(&self.documents.name, key);
        record["eventName"] = "ObjectRemoved:Delete".into();
        notification(&[record])
    }
}

#[test]
fn a_document_becomes_vectors() {
    needs!(s3);
    let setup = Setup::new("arrive");
    let pipeline = setup.pipeline(None, &[]);
    pipeline.documents.put("notes/a b.txt", &[("x-amz-meta-author", "me")], b"The river is high today.");
    assert_eq!(pipeline.created("notes/a b.txt")["embedded"], 1);
    let index = setup.request("GetIndex", json!({"indexName": "documents"}));
    assert_eq!((&index["index"]["dimension"], &index["index"]["distanceMetric"]), (&json!(32), &json!("cosine")));
    let [vector] = &setup.vectors()[..] else { panic!("one chunk, one vector") };
    let source = format!("s3://{}/notes/a b.txt", setup.documents.name);
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("{source}#0").as_bytes());
    assert_eq!((&vector["key"], &vector["metadata"]["source"]), (&json!(id.to_string()), &json!(source)));
    assert_eq!(vector["metadata"]["metadata"], r#"{"author":"me"}"#);
    let numbers: Vec<f64> = serde_json::from_value(vector["data"]["float32"].clone()).unwrap();
    assert!((numbers.iter().map(|number| number * number).sum::<f64>() - 1.0).abs() < 1e-4 && numbers.len() == 32);
}

#[test]
fn what_is_too_long_is_left_out_and_the_rest_arrives() {
    needs!(s3);
    let setup = Setup::new("long");
    let pipeline = setup.pipeline(None, &[]);
    let name = "é".repeat(500);
    // As much as a record's fields may take, and more than a vector's metadata may.
    let record = json!({"text": "A short text.", "blob": "x".repeat(60_000)});
    let key = format!("{name}.json");
    pipeline.put(&key, record.to_string());
    assert_eq!(pipeline.created(&key)["embedded"], 1);
    let entries = &setup.vectors()[0]["metadata"];
    assert_eq!(
        (&entries["left_out"], entries["text"].as_str()),
        (&json!(["fields"]), Some("A short text.")),
        "{}",
        entries["left_out"]
    );
}

#[test]
fn repeats_versions_and_removals() {
    needs!(s3);
    let setup = Setup::new("versions");
    let pipeline = setup.pipeline(None, &SMALL);
    pipeline.put("other.txt", "Another document.");
    pipeline.created("other.txt");
    let long = pipeline.put("a.txt", paragraphs(12));
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    assert!(setup.whole("a.txt", &long).len() > 8);
    let first = setup.vectors();
    assert_eq!(pipeline.created("a.txt")["unchanged"], 1);
    assert_eq!(setup.vectors(), first);
    let short = pipeline.put("a.txt", paragraphs(2).replace("river", "lake"));
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    let texts = setup.whole("a.txt", &short);
    assert!(texts.len() < 8 && texts.concat().contains("lake"), "{texts:?}");
    assert_eq!(setup.vectors().len(), texts.len() + 1);
    pipeline.documents.delete("a.txt");
    for _ in 0..2 {
        assert_eq!(pipeline.invoke(&setup.removal("a.txt")).unwrap()["removed"], 1);
        assert_eq!(setup.vectors().len(), 1);
    }
}

#[test]
fn more_vectors_than_one_request_takes() {
    needs!(s3);
    let setup = Setup::new("many");
    let pipeline = setup.pipeline(None, &SMALL);
    let etag = pipeline.put("long.txt", paragraphs(1_700));
    assert_eq!(pipeline.created("long.txt")["embedded"], 1);
    assert!(setup.whole("long.txt", &etag).len() > 1_600);
    let etag = pipeline.put("long.txt", "Nothing much.");
    assert_eq!(pipeline.created("long.txt")["embedded"], 1);
    assert_eq!(setup.whole("long.txt", &etag).len(), 1);
    assert_eq!(setup.vectors().len(), 1);
}

#[test]
fn an_index_that_does_not_fit_and_a_bucket_that_is_missing_are_named() {
    needs!(s3);
    let mut setup = Setup::new("unfit");
    setup.request(
        "CreateIndex",
        json!({"indexName": "documents", "dataType": "float32", "dimension": 5, "distanceMetric": "cosine"}),
    );
    setup.pipeline(None, &[]).put("a.txt", "A text.");
    let refused = |index: &str, more: &[(&str, &str)]| {
        let variables = [&[("EMBED_S3VECTORS_INDEX", index)], more].concat();
        setup.pipeline(None, &variables).invoke(&setup.event("a.txt")).unwrap_err().to_string()
    };
    let error = refused("documents", &[]);
    assert!(error.contains("5 dimensions") && error.contains("EMBED_S3VECTORS_INDEX"), "{error}");
    // An index as the console makes it, and one that was made for vectors without text.
    let made = |name: &str, keys: &[&str]| {
        let keys = json!({"nonFilterableMetadataKeys": keys});
        let index = json!({"indexName": name, "dataType": "float32", "dimension": 32, "distanceMetric": "cosine"});
        let mut index = index.as_object().unwrap().clone();
        index.extend([("metadataConfiguration".to_owned(), keys)]);
        setup.request("CreateIndex", index.into());
    };
    made("console", &["text"]);
    let error = refused("console", &[]);
    assert!(error.contains("embed, etag, version, content_type, title, headings, metadata, fields"), "{error}");
    made("textless", &["embed", "etag", "version", "content_type", "title", "headings", "metadata", "fields"]);
    let error = refused("textless", &[]);
    assert!(error.contains("as not filterable: text;"), "{error}");
    let event = setup.event("a.txt");
    let textless = [("EMBED_S3VECTORS_INDEX", "textless"), ("EMBED_OUTPUT_TEXT", "off")];
    assert_eq!(setup.pipeline(None, &textless).invoke(&event).unwrap()["embedded"], 1);
    setup.vectors = "not-there".to_owned();
    let error = setup.pipeline(None, &[]).invoke(&setup.event("a.txt")).unwrap_err().to_string();
    assert!(error.contains("create-vector-bucket --vector-bucket-name not-there"), "{error}");
}

#[test]
fn an_attempt_that_ends_anywhere_is_made_up_for_by_the_next() {
    needs!(s3);
    let setup = Setup::new("ends");
    let counting = Proxy::before(setup.documents.server, |_| Fault::None);
    let pipeline = setup.pipeline(Some(&counting.address), &SMALL);
    pipeline.put("count.txt", paragraphs(5));
    assert_eq!(pipeline.created("count.txt")["embedded"], 1);
    for last in 0..counting.requests() {
        let key = format!("{last}.txt");
        let old = setup.pipeline(None, &SMALL);
        old.put(&key, paragraphs(9));
        old.created(&key);
        let etag = old.put(&key, paragraphs(5).replace("river", "lake"));
        let proxy = Proxy::before(setup.documents.server, move |request| match request.number {
            number if number < last => Fault::None,
            _ => Fault::Refuse(403, "AccessDenied", None),
        });
        let error = setup.pipeline(Some(&proxy.address), &SMALL).invoke(&setup.event(&key)).unwrap_err().to_string();
        assert!(error.contains("the role needs s3vectors:"), "{error}");
        let again = old.created(&key);
        assert_eq!(again["failed"], 0, "{key}: {again}");
        assert!(setup.whole(&key, &etag).concat().contains("lake"), "{key}");
    }
}

#[test]
fn trouble_passes() {
    needs!(s3);
    let setup = Setup::new("weather");
    let proxy = Proxy::before(setup.documents.server, |request| match request.number % 4 {
        0 => Fault::Refuse(503, "ServiceUnavailableException", None),
        2 => Fault::Reset(0),
        _ => Fault::None,
    });
    let pipeline = setup.pipeline(Some(&proxy.address), &SMALL);
    let etag = pipeline.put("a.txt", paragraphs(5));
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    setup.whole("a.txt", &etag);
}

#[test]
fn a_rival_that_is_seen_in_time_wins() {
    needs!(s3);
    let setup = Setup::new("rival");
    let rival = Arc::new(Mutex::new(setup.pipeline(None, &SMALL)));
    let (shared, done) = (Arc::clone(&rival), AtomicBool::new(false));
    let newest = Arc::new(Mutex::new(String::new()));
    let its_etag = Arc::clone(&newest);
    // After the look and before the head is read again, someone writes a newer, shorter document.
    let proxy = Proxy::before(setup.documents.server, move |request| {
        if request.path == "/GetVectors" && request.number > 2 && !done.swap(true, Ordering::SeqCst) {
            let rival = shared.lock().unwrap();
            *its_etag.lock().unwrap() = rival.put("a.txt", paragraphs(3).replace("river", "lake"));
            assert_eq!(rival.created("a.txt")["embedded"], 1);
        }
        Fault::None
    });
    let pipeline = setup.pipeline(Some(&proxy.address), &SMALL);
    pipeline.put("a.txt", paragraphs(8));
    assert_eq!(pipeline.created("a.txt")["failed"], 0);
    let etag = newest.lock().unwrap().clone();
    assert!(setup.whole("a.txt", &etag).concat().contains("lake"));
}

#[test]
fn a_document_that_cannot_be_read_to_its_end_leaves_no_vectors() {
    needs!(s3);
    let setup = Setup::new("unreadable");
    let pipeline = setup.pipeline(None, &[]);
    pipeline.put("other.txt", "Another document.");
    pipeline.created("other.txt");
    for good in [10, 1_200] {
        pipeline.put("a.html", "<p>An older version.</p>");
        assert_eq!(pipeline.created("a.html")["embedded"], 1);
        assert_eq!(setup.vectors().len(), 2);
        pipeline.put("a.html", unreadable_at_its_end(good));
        let summary = pipeline.created("a.html");
        assert_eq!((&summary["skipped"], setup.vectors().len()), (&json!(1), 1), "{summary}");
    }
}

#[test]
fn a_long_document_that_breaks_off_in_its_middle_leaves_its_older_version() {
    needs!(s3);
    let setup = Setup::new("breaks-off");
    let pipeline = setup.pipeline(None, &[]);
    let etag = pipeline.put("a.txt.gz", gzip(&paragraphs(400)));
    assert_eq!(pipeline.created("a.txt.gz")["embedded"], 1);
    let before = setup.whole("a.txt.gz", &etag);
    assert!(before.len() > 100);
    let newer = gzip(&paragraphs(1_500));
    pipeline.put("a.txt.gz", &newer[..newer.len() / 2]);
    assert_eq!(pipeline.created("a.txt.gz")["failed"], 1);
    assert_eq!(setup.whole("a.txt.gz", &etag), before);
}
