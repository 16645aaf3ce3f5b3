//! A model from S3: what is uploaded is what answers, and what is missing or refused is named on one line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Copy, fixture, handler, invoke, model, output, root, vectors};
use crate::s3_proxy::{Fault, Proxy};
use crate::s3_server::Bucket;

/// Lambda ends an init after this; a start's last word has to come before.
pub const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A cache folder of a test's own; removed when dropped.
pub struct Cache(pub PathBuf);

impl Cache {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("lambda-embed-cache-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// Every file below whose name ends so.
    pub fn files(&self, end: &str) -> Vec<PathBuf> {
        let list = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let files = list(&self.0).flat_map(|folder| list(&folder).collect::<Vec<_>>());
        files.filter(|path| path.to_string_lossy().ends_with(end)).collect()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One start of the real binary on one event.
pub struct Run {
    pub outcome: Result<Value, String>,
    pub took: Duration,
}

/// The event that every start here answers.
fn event_file() -> PathBuf {
    root().join("events/direct-tei.json")
}

pub fn run(command: &mut Command, cache: &Cache) -> Run {
    let started = Instant::now();
    let (succeeded, printed, error) = output(command.env("EMBED_CACHE_DIR", &cache.0).arg("invoke").arg(event_file()));
    let outcome = match succeeded {
        true => Ok(serde_json::from_str(&printed).unwrap()),
        false => Err(error),
    };
    Run { outcome, took: started.elapsed() }
}

/// A start whose S3 is `endpoint`.
pub fn start(bucket: &Bucket, endpoint: &str, cache: &Cache) -> Run {
    run(bucket.command(endpoint).env("EMBED_LOG", "error"), cache)
}

impl Run {
    /// The answer must be the one that `model`'s local folder gives, to the last bit.
    pub fn answers_as(self, model: &Path) {
        let event = serde_json::from_slice(&std::fs::read(event_file()).unwrap()).unwrap();
        let expected = vectors(&invoke(&handler(model, &[]), &event)["embeddings"]);
        let reply = self.outcome.expect("the start succeeds");
        assert_eq!(vectors(&reply["embeddings"]), expected);
    }

    /// It must have failed on one line, in time, with these words.
    pub fn fails_with(self, words: &[&str]) {
        let error = self.outcome.expect_err("the start fails");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("error: s3://"), "{error}");
        for word in words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
        assert!(self.took < INIT_LIMIT, "{:?}: {error}", self.took);
    }
}

#[test]
fn what_was_pushed_answers_as_the_folder_does() {
    needs!(s3);
    let bucket = Bucket::new("pushed");
    assert!(bucket.push(&fixture()).contains("3 objects sent, 0 there already"));
    assert!(bucket.push(&fixture()).contains("0 objects sent, 3 there already"));
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
fn a_push_replaces_an_object_with_other_bytes() {
    needs!(s3);
    let bucket = Bucket::with_model("replaced", &fixture());
    let key = bucket.key("tokenizer.json");
    assert_eq!(bucket.request("PUT", &key, b"something else").0, 200);
    assert!(bucket.push(&fixture()).contains("1 objects sent, 2 there already"));
    start(&bucket, bucket.server, &Cache::new()).answers_as(&fixture());
}

#[test]
fn a_damaged_folder_is_not_pushed() {
    needs!(s3);
    let bucket = Bucket::new("damaged");
    let folder = Copy::of_fixture("push-damaged");
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
    let pushed_over = Bucket { server: bucket.server, name: bucket.name.clone() };
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
    let server = crate::s3_server::address();
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

#[test]
fn the_doctor_checks_a_model_in_s3() {
    needs!(s3);
    let bucket = Bucket::with_model("doctor", &fixture());
    let cache = Cache::new();
    let mut command = bucket.command(bucket.server);
    let (succeeded, printed, _) = output(command.env("EMBED_CACHE_DIR", &cache.0).arg("doctor"));
    assert!(succeeded && printed.contains(&bucket.url()), "{printed}");
}
