//! A model from S3: what is uploaded is what answers, and what is missing or refused is named on one line.

use crate::support::harness::{FolderCopy, fixture, model, output, root};
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::{self, Bucket};
use crate::support::s3_start::{Cache, run, start};

#[test]
fn what_was_pushed_answers_as_the_folder_does() {
    needs!(s3);
    let bucket = Bucket::new("pushed");
    assert!(bucket.push(&fixture()).contains("4 objects sent, 0 there already"));
    assert!(bucket.push(&fixture()).contains("0 objects sent, 4 there already"));
    start(&bucket, bucket.server, &Cache::new()).answers_as(&fixture());
}

#[test]
fn a_large_model_arrives_whole() {
    needs!(model, s3);
    let large = model();
    let bucket = Bucket::with_model("large", &large);
    start(&bucket, bucket.server, &Cache::new()).answers_as(&large);
}

#[test]
fn of_two_graphs_only_the_one_that_runs_is_fetched() {
    needs!(s3);
    let (bucket, cache) = (Bucket::with_model("graphs", &fixture()), Cache::new());
    let fetched = || [cache.files("/model.ort").len(), cache.files("/standard.ort").len()];
    start(&bucket, bucket.server, &cache).answers_as(&fixture());
    assert_eq!(fetched(), [1, 0]);
    let mut command = bucket.command(bucket.server);
    let standard = run(command.env("EMBED_KERNELS", "onnxruntime").env("EMBED_LOG", "error"), &cache);
    assert!(standard.outcome.is_ok(), "{:?}", standard.outcome);
    assert_eq!(fetched(), [1, 1]);
}

#[test]
fn a_push_replaces_an_object_with_other_bytes() {
    needs!(s3);
    let bucket = Bucket::with_model("replaced", &fixture());
    let key = bucket.key("tokenizer.json");
    assert_eq!(bucket.request("PUT", &key, b"something else").0, 200);
    assert!(bucket.push(&fixture()).contains("1 objects sent, 3 there already"));
    start(&bucket, bucket.server, &Cache::new()).answers_as(&fixture());
}

#[test]
fn a_damaged_folder_is_not_pushed() {
    needs!(s3);
    let bucket = Bucket::new("damaged");
    let folder = FolderCopy::of_fixture("push-damaged");
    folder.change("model.ort", |bytes| bytes[100] ^= 1);
    let mut command = bucket.command(bucket.server);
    command.env_remove("EMBED_MODEL_S3").arg("push-model").arg(&folder.0).arg("--to").arg(bucket.url());
    let (succeeded, _, error) = output(&mut command);
    assert!(!succeeded && error.contains("model.ort is corrupted"), "{error}");
    let (_, _, listing) = bucket.request("GET", "?list-type=2", b"");
    assert!(!String::from_utf8_lossy(&listing).contains("<Key>"));
}

#[test]
fn a_push_over_an_older_model_mixes_with_nothing() {
    needs!(s3);
    let bucket = Bucket::with_model("over", &fixture());
    let pushed_over = bucket.clone();
    let newer = root().join("models/fixture-stock");
    // Right after the manifest came, the bucket gets another model.
    let proxy = Proxy::before(bucket.server, move |seen| {
        if seen.number == 1 {
            pushed_over.push(&newer);
        }
        Fault::None
    });
    start(&bucket, &proxy.address, &Cache::new()).answers_as(&fixture());
    start(&bucket, bucket.server, &Cache::new()).answers_as(&root().join("models/fixture-stock"));
}

#[test]
fn a_version_of_the_manifest_pins_the_model() {
    needs!(s3);
    let bucket = Bucket::new("versions");
    let enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(bucket.request("PUT", "?versioning", enabled).0, 200);
    bucket.push(&fixture());
    let (_, head, _) = bucket.request("HEAD", "model/manifest.json", b"");
    let version = head.lines().find_map(|line| line.strip_prefix("x-amz-version-id: ")).expect("a version").to_owned();
    let newer = root().join("models/fixture-stock");
    bucket.push(&newer);
    start(&bucket, bucket.server, &Cache::new()).answers_as(&newer);
    let pinned = |version: &str| {
        let mut command = bucket.command(bucket.server);
        run(command.env("EMBED_MODEL_S3", format!("{}?versionId={version}", bucket.url())), &Cache::new())
    };
    let answer = pinned(&version).outcome.unwrap();
    assert_eq!(answer["model"].as_str(), Some("fixture"));
    pinned("no-such-version").fails_with(&[&bucket.name, "model/manifest.json", "no such version"]);
}

#[test]
fn a_missing_object_is_named() {
    needs!(s3);
    for end in ["manifest.json", "tokenizer.json", "model.ort"] {
        let name = format!("missing-{}", &end[..5]);
        let bucket = Bucket::with_model(&name, &fixture());
        let key = bucket.key(end);
        bucket.request("DELETE", &key, b"");
        start(&bucket, bucket.server, &Cache::new()).fails_with(&[&bucket.name, &key, "no such object", "push-model"]);
    }
}

#[test]
fn a_missing_bucket_is_named() {
    needs!(s3);
    let server = s3_server::address();
    let bucket = Bucket { server, name: "nowhere-to-be-found".into() };
    start(&bucket, server, &Cache::new())
        .fails_with(&["s3://nowhere-to-be-found/model/manifest.json", "no such bucket"]);
}

#[test]
fn what_is_refused_is_asked_for_once_and_told() {
    needs!(s3);
    let bucket = Bucket::with_model("refused", &fixture());
    let cases = [
        (403, "AccessDenied", None, "access denied; the role needs s3:GetObject"),
        (403, "InvalidAccessKeyId", None, "403 InvalidAccessKeyId (as planned)"),
        (301, "PermanentRedirect", Some("eu-west-1"), "another region (eu-west-1) than the one asked, us-east-1"),
        (400, "AuthorizationHeaderMalformed", Some("eu-west-1"), "another region (eu-west-1)"),
    ];
    for (status, code, region, words) in cases {
        for end in ["manifest.json", "model.ort"] {
            let proxy = Proxy::before(bucket.server, move |seen| {
                if seen.path.contains(end) { Fault::Refuse(status, code, region) } else { Fault::None }
            });
            start(&bucket, &proxy.address, &Cache::new()).fails_with(&[&bucket.name, end, words]);
            let limit = if end == "manifest.json" { 1 } else { 3 };
            assert!(proxy.requests() <= limit, "{code} was tried again");
        }
    }
}

#[test]
fn credentials_that_are_nowhere_are_asked_for() {
    needs!(s3);
    let bucket = Bucket::with_model("nobody", &fixture());
    let mut command = bucket.command(bucket.server);
    command.env_remove("AWS_ACCESS_KEY_ID").env("AWS_EC2_METADATA_DISABLED", "true").env("EMBED_LOG", "error");
    command.env("AWS_CONFIG_FILE", "/nowhere").env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    run(&mut command, &Cache::new()).fails_with(&[&bucket.name, "manifest.json", "credentials", "AWS_ACCESS_KEY_ID"]);
}
