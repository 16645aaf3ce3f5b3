//! The fetch from a small S3 of the test: which requests it makes, what it keeps, and every fault at every request.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::download::fetch;
use super::manifest::hex;
use super::test_server::{Fault, TestServer};
use crate::aws::RetryPolicy;
use crate::config::Kernels;
use crate::config::S3Location;

const MS: Duration = Duration::from_millis(1);
/// Short, yet long beside what a busy machine makes a thread wait.
const POLICY: RetryPolicy = RetryPolicy {
    give_up_after: Duration::from_millis(800),
    response_timeout: Duration::from_millis(300),
    first_delay: MS,
    max_delay: Duration::from_millis(20),
};

/// A model of two files, of 9 MB (three parts) and of 1,000 bytes.
fn model() -> [(&'static str, Vec<u8>); 2] {
    let bytes = |length: u32, step: u32| (0..length).map(|i| (i.wrapping_mul(step) >> 3) as u8).collect();
    [("model.onnx", bytes(9_000_001, 2_654_435_761)), ("tokenizer.json", bytes(1_000, 40_503))]
}

fn objects() -> HashMap<String, Vec<u8>> {
    let files = model();
    let mut objects = HashMap::new();
    let entry = |(name, bytes): &(&str, Vec<u8>)| json!({"path": name, "size": bytes.len(), "sha256": hex(&Sha256::digest(bytes))});
    let manifest = json!({
        "format": 1, "id": "tiny", "name": "us/tiny", "revision": "1", "license": "Apache-2.0",
        "dimensions": 8, "max_tokens": 16, "pooling": "cls",
        "files": {"model": entry(&files[0]), "tokenizer": entry(&files[1])}
    });
    for (name, bytes) in files {
        let key = format!("models/{}/{name}", hex(&Sha256::digest(&bytes)));
        objects.insert(key, bytes);
    }
    objects.insert("models/manifest.json".into(), manifest.to_string().into());
    objects
}

/// A cache folder of a test's own, removed when dropped.
struct Cache(PathBuf);

impl Cache {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("lambda-embed-fetch-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// Fetches into this cache; the files' bytes, or the error's line.
    fn fetch(&self, server: &TestServer) -> Result<Vec<Vec<u8>>, String> {
        let location = S3Location::parse("s3://bucket/models?versionId=7").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fetched =
            runtime.block_on(async { fetch(server.bucket().await, &location, Kernels::Own, &self.0, POLICY).await });
        let folder = fetched.map_err(|e| e.chain().to_string())?;
        Ok(model().map(|(name, _)| std::fs::read(folder.path().join(name)).unwrap()).to_vec())
    }

    /// Every file below, by name.
    fn files(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(&self.0).into_iter().flatten().map(|entry| entry.unwrap().path());
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files().into_iter().find(|path| path.ends_with(name)).expect(name)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn good() -> Vec<Vec<u8>> {
    model().map(|(_, bytes)| bytes).to_vec()
}

fn serve(objects: HashMap<String, Vec<u8>>) -> TestServer {
    TestServer::start(objects, |_, _| Fault::None)
}

fn failing(plan: impl Fn(usize, &str) -> Fault + Send + Sync + 'static) -> TestServer {
    TestServer::start(objects(), plan)
}

#[test]
fn every_byte_arrives_in_ranges_that_meet() {
    let cache = Cache::new();
    let server = serve(objects());
    assert_eq!(cache.fetch(&server).unwrap(), good());
    let requests = server.requests();
    assert_eq!((requests[0].key.as_str(), requests[0].version.as_deref()), ("models/manifest.json", Some("7")));
    let mut ranges: Vec<_> = requests
        .iter()
        .filter(|request| request.key.ends_with("model.onnx"))
        .map(|request| request.range.clone().unwrap())
        .collect();
    ranges.sort_by_key(|range| range.start);
    assert_eq!(ranges, [0..4_194_304, 4_194_304..8_388_608, 8_388_608..9_000_001]);
    assert!(!cache.files().iter().any(|path| path.extension().is_some_and(|extension| extension == "part")));
}

#[test]
fn a_kept_cache_asks_for_the_manifest_alone() {
    let cache = Cache::new();
    cache.fetch(&serve(objects())).unwrap();
    let only_manifest = |_, key: &str| if key.ends_with("manifest.json") { Fault::None } else { Fault::Permanent };
    assert_eq!(cache.fetch(&failing(only_manifest)).unwrap(), good());
}

#[test]
fn a_damaged_cache_is_fetched_again() {
    for damage in [|bytes: &mut Vec<u8>| bytes[5_000_000] ^= 1, |bytes: &mut Vec<u8>| bytes.truncate(5_000_000)] {
        let cache = Cache::new();
        cache.fetch(&serve(objects())).unwrap();
        let path = cache.file("model.onnx");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(cache.fetch(&serve(objects())).unwrap(), good());
    }
}

#[test]
fn a_fault_that_passes_at_any_request_leaves_no_trace() {
    for fault in [Fault::Retryable, Fault::Reset, Fault::Truncated, Fault::Silence] {
        for request in 0..5 {
            let cache = Cache::new();
            let fetched = cache.fetch(&failing(move |n, _| if n == request { fault } else { Fault::None }));
            assert_eq!(fetched.as_ref().map_err(String::as_str), Ok(&good()), "{fault:?} at request {request}");
        }
    }
}

#[test]
fn faults_that_let_some_bytes_through_every_time_only_cost_time() {
    // Each answer breaks off after 300 KB or half of it, 30 times for the large file alone.
    for fault in [Fault::Reset, Fault::Truncated] {
        let plan = move |_, key: &str| if key.ends_with("manifest.json") { Fault::None } else { fault };
        assert_eq!(Cache::new().fetch(&failing(plan)).unwrap(), good());
    }
}

#[test]
fn a_fault_that_stays_is_told_in_time_with_bucket_key_and_cause() {
    let cases = [
        (Fault::Retryable, "503 SlowDown; given up after"),
        (Fault::Permanent, "403 AccessDenied"),
        (Fault::Silence, "did not answer"),
        (Fault::Flipped, "corrupted"),
    ];
    for (fault, cause) in cases {
        for file in ["manifest.json", "tokenizer.json", "model.onnx"] {
            let cache = Cache::new();
            let started = Instant::now();
            let plan = move |_, key: &str| if key.ends_with(file) { fault } else { Fault::None };
            let error = cache.fetch(&failing(plan)).unwrap_err();
            assert!(error.starts_with("s3://bucket/models/") && error.contains(file), "{error}");
            assert!(error.contains(cause), "{fault:?}: {error}");
            assert!(started.elapsed() < POLICY.give_up_after * 8, "{fault:?}: {:?}", started.elapsed());
            assert!(!cache.files().iter().any(|path| path.ends_with(file)), "{fault:?} left {file}");
        }
    }
}

#[test]
fn an_object_of_another_size_is_refused_before_its_bytes() {
    let mut wrong = objects();
    let key = wrong.keys().find(|key| key.ends_with("model.onnx")).unwrap().clone();
    wrong.insert(key, vec![0; 9_000_002]);
    let error = Cache::new().fetch(&serve(wrong)).unwrap_err();
    assert!(error.contains("9000002 bytes, the manifest says 9000001"), "{error}");
}

#[test]
fn more_bytes_than_asked_for_are_refused() {
    let plan = |_, key: &str| if key.ends_with("tokenizer.json") { Fault::Longer } else { Fault::None };
    let error = Cache::new().fetch(&failing(plan)).unwrap_err();
    assert!(error.contains("more bytes came"), "{error}");
}

#[test]
fn a_manifest_that_is_none_is_named() {
    let mut wrong = objects();
    wrong.insert("models/manifest.json".into(), b"{\"format\": 9}".to_vec());
    let error = Cache::new().fetch(&serve(wrong)).unwrap_err();
    assert!(error.starts_with("s3://bucket/models/manifest.json: manifest.json is not understood"), "{error}");
    let mut large = objects();
    large.insert("models/manifest.json".into(), vec![b' '; 2 << 20]);
    assert!(Cache::new().fetch(&serve(large)).unwrap_err().contains("too many for a manifest"));
}

#[test]
fn two_fetches_into_one_cache_do_not_disturb_each_other() {
    let cache = Cache::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(cache.fetch(&serve(objects())).unwrap(), good()));
        }
    });
}

#[test]
fn a_cache_that_cannot_be_made_names_the_variable() {
    let file = std::env::temp_dir().join(format!("lambda-embed-no-folder-{}", std::process::id()));
    std::fs::write(&file, "in the way").unwrap();
    let cache = Cache(file.join("cache"));
    let error = cache.fetch(&serve(objects())).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert!(error.contains("EMBED_CACHE_DIR") && error.contains("cannot be written"), "{error}");
}
