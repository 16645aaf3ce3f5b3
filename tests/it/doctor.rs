//! `bootstrap doctor`: what it finds in order, and what it says of each thing that is not.

use serde_json::json;

use crate::support::harness::{FolderCopy, bootstrap, fixture, output};
use crate::support::pipeline::CREDENTIALS;
use crate::support::qdrant_server::Collection;
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;
use crate::support::s3_start::Cache;

/// What the doctor prints under these variables, and whether all is in order.
fn doctor(variables: &[(&str, &str)]) -> (bool, String) {
    let (succeeded, printed, error) =
        output(bootstrap().envs(CREDENTIALS).envs(variables.iter().copied()).arg("doctor"));
    (succeeded, printed + &error)
}

fn failures(printed: &str) -> Vec<&str> {
    printed.lines().filter(|line| line.starts_with("FAILED")).collect()
}

#[test]
fn the_doctor_finds_a_good_installation_ready() {
    let (succeeded, printed, error) = output(bootstrap().arg("doctor"));
    assert!(succeeded, "{printed}{error}");
    for word in ["cpu", "configuration", "library", "manifest", "model.ort", "tokenizer.json", "embedding", "\nready"] {
        assert!(printed.contains(word), "{word} is not in: {printed}");
    }
}

#[test]
fn the_doctor_names_each_failure_and_its_remedy() {
    let folder = FolderCopy::of_fixture("doctor");
    folder.change("model.ort", |bytes| bytes[100] ^= 1);
    let mut command = bootstrap();
    command.env("EMBED_MODEL_DIR", &folder.0).env("EMBED_ORT_LIB", "/nowhere.so").arg("doctor");
    let (succeeded, printed, _) = output(&mut command);
    assert!(!succeeded);
    let failed: Vec<_> = printed.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert_eq!(failed.len(), 2, "{printed}");
    assert!(failed[0].contains("/nowhere.so") && failed[0].contains("make runtime"), "{printed}");
    assert!(failed[1].contains("model.ort is corrupted") && failed[1].contains("make model"), "{printed}");
    assert!(!printed.lines().any(|line| line == "ready"), "{printed}");
}

#[test]
fn the_doctor_checks_a_model_in_s3() {
    needs!(s3);
    let bucket = Bucket::with_model("doctor", &fixture());
    let cache = Cache::new();
    let mut command = bucket.command(bucket.server);
    let (succeeded, printed, _) = output(command.env("EMBED_CACHE_DIR", &cache.0).arg("doctor"));
    assert!(succeeded && printed.contains(&bucket.url()), "{printed}");
}

#[test]
fn buckets_and_stores_of_documents_are_asked_and_left_alone() {
    needs!(s3, qdrant);
    let (documents, vectors) = (Bucket::new("doctor-docs"), Bucket::new("doctor-vecs"));
    let collection = Collection::new("doctor");
    let (input, output) = (format!("s3://{}/in", documents.name), format!("s3://{}/out", vectors.name));
    let (s3, url) = (format!("http://{}", documents.server), format!("http://{}", collection.server));
    let places = [("EMBED_INPUT", input.as_str()), ("EMBED_OUTPUT", &output), ("AWS_ENDPOINT_URL_S3", &s3)];
    let variables = [&places[..], &collection.variables(&url, "s3,qdrant")].concat();
    let (ready, printed) = doctor(&variables);
    assert!(ready, "{printed}");
    for found in ["input", "output", "takes results", "the collection doctor is made with the first document"] {
        assert!(printed.contains(found), "{found}: {printed}");
    }
    assert_eq!(printed.matches(&vectors.name).count(), 1, "the output's bucket is asked once: {printed}");
    assert_eq!(collection.request("GET", "", &json!(null)).0, 404, "the doctor made the collection");
    assert!(vectors.keys().is_empty());
    // A collection of another size, and a role without rights on the input.
    let body = json!({"vectors": {"size": 5, "distance": "Cosine"}});
    assert_eq!(collection.request("PUT", "", &body).0, 200);
    let name = documents.name.clone();
    let proxy = Proxy::before(documents.server, move |request| match request.path.contains(&name) {
        true => Fault::Refuse(403, "AccessDenied", None),
        false => Fault::None,
    });
    let forbidden = format!("http://{}", proxy.address);
    let (ready, printed) = doctor(&[&variables[..], &[("AWS_ENDPOINT_URL_S3", &forbidden)]].concat());
    let failed = failures(&printed);
    assert!(!ready && failed.len() == 2, "{printed}");
    assert!(failed[0].contains("input") && failed[0].contains("s3:GetObject"), "{printed}");
    assert!(failed[1].contains("qdrant") && failed[1].contains("EMBED_QDRANT_COLLECTION"), "{printed}");
}

#[test]
fn a_key_that_cannot_be_read_and_a_store_that_does_not_answer_are_named() {
    needs!(s3);
    let vectors = Bucket::new("doctor-keys");
    let (output, s3) = (format!("s3://{}/out", vectors.name), format!("http://{}", vectors.server));
    let (ready, printed) = doctor(&[
        ("EMBED_OUTPUT", &output),
        ("AWS_ENDPOINT_URL", &s3),
        ("EMBED_API_KEY", "ssm:/nowhere"),
        ("EMBED_SINK", "qdrant"),
        ("EMBED_QDRANT_URL", "http://127.0.0.1:9"),
    ]);
    let failed = failures(&printed);
    assert!(!ready && failed.len() == 2, "{printed}");
    assert!(failed[0].contains("EMBED_API_KEY") && failed[0].contains("ssm:GetParameter"), "{printed}");
    assert!(failed[1].contains("qdrant") && failed[1].contains("http://127.0.0.1:9"), "{printed}");
}
