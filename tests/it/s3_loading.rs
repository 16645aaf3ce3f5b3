//! A fetch that outlasts Lambda's init: the real binary against a Runtime API, with a slow S3.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::function::{Function, LONG};
use crate::support::harness::{Answer, embed, event, fixture, fixture_handler, vectors};
use crate::support::pipeline::CREDENTIALS;
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;
use crate::support::s3_start::{Cache, INIT_LIMIT};

/// A function whose model is in `bucket`, with S3 at `endpoint`.
fn start(bucket: &Bucket, endpoint: &str, cache: &Cache) -> Function {
    let (model, endpoint) = (bucket.url(), format!("http://{endpoint}"));
    let own = [
        ("EMBED_MODEL_DIR", ""),
        ("EMBED_MODEL_S3", model.as_str()),
        ("EMBED_CACHE_DIR", cache.0.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
    ];
    Function::starting(&[&own[..], &CREDENTIALS].concat())
}

/// Whether it ends, and as a failure.
fn fails(function: &mut Function) -> bool {
    function.end(LONG).is_some_and(|status| !status.success())
}

/// Passes the graph on in 24 pieces, one every half a second: 12 s.
fn slowly(seen_path: &str) -> Fault {
    let size = std::fs::metadata(fixture().join("model.ort")).unwrap().len();
    match seen_path.contains("model.ort") {
        true => Fault::Slow(size.div_ceil(24) as usize, Duration::from_millis(500)),
        false => Fault::None,
    }
}

#[test]
fn a_slow_fetch_answers_health_at_once_and_ends_on_the_first_call() {
    needs!(s3);
    let bucket = Bucket::with_model("outlasts", &fixture());
    let proxy = Proxy::before(bucket.server, |seen| slowly(seen.path));
    let cache = Cache::new();
    let function = start(&bucket, &proxy.address, &cache);
    assert!(function.api.ready(LONG));
    // Measured from its first request on, because a busy machine may take long to start a process.
    let init = proxy.since_first();
    assert!(init < INIT_LIMIT && init > Duration::from_secs(7), "{init:?}");

    let health = event("GET", "/health", &[], "");
    let asked = Instant::now();
    function.api.send(&health);
    let report = function.api.report(LONG).unwrap();
    let answer = Answer::of(&report.body);
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.json(), json!({"status": "loading"}));
    assert!(asked.elapsed() < Duration::from_secs(1));

    function.api.send(&json!({"inputs": "hello world"}));
    let report = function.api.report(LONG).unwrap();
    assert_eq!(report.kind, "response");
    assert_eq!(vectors(&report.body["embeddings"]), embed(&fixture_handler(), &["hello world"]));
    assert!(proxy.since_first() > Duration::from_secs(11));

    function.api.send(&health);
    assert_eq!(Answer::of(&function.api.report(LONG).unwrap().body).status, 200);
}

#[test]
fn a_fetch_that_fails_after_the_init_fails_its_call_and_ends_the_process() {
    needs!(s3);
    let bucket = Bucket::with_model("fails-late", &fixture());
    // The first answer breaks off in the middle of the transfer; from then on access is denied.
    let proxy = Proxy::before(bucket.server, move |seen| match (seen.path.contains("model.ort"), seen.range.start) {
        (true, 0) => slowly(seen.path),
        (true, _) => Fault::Refuse(403, "AccessDenied", None),
        _ => Fault::None,
    });
    // Cut by a second proxy, so that the slow one needs no second fault.
    let size = std::fs::metadata(fixture().join("model.ort")).unwrap().len();
    let cutting =
        Proxy::before(&proxy.address, move |seen| match seen.path.contains("model.ort") && seen.range.start == 0 {
            true => Fault::Cut(size * 22 / 24),
            false => Fault::None,
        });
    let cache = Cache::new();
    let mut function = start(&bucket, &cutting.address, &cache);
    assert!(function.api.ready(LONG));
    assert!(cutting.since_first() < INIT_LIMIT);
    function.api.send(&json!({"inputs": "hello world"}));
    let report = function.api.report(LONG).unwrap();
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("error", Some("Init.Setup")));
    let message = report.body["errorMessage"].as_str().unwrap();
    for word in [bucket.name.as_str(), "model.ort", "access denied"] {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(fails(&mut function), "the process goes on");
}

#[test]
fn a_fetch_that_fails_in_time_fails_the_init() {
    needs!(s3);
    let bucket = Bucket::with_model("fails-init", &fixture());
    let proxy = Proxy::before(bucket.server, |_| Fault::Refuse(503, "SlowDown", None));
    let cache = Cache::new();
    let mut function = start(&bucket, &proxy.address, &cache);
    let report = function.api.report(LONG).unwrap();
    assert!(proxy.since_first() < INIT_LIMIT);
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("init/error", Some("Init.Setup")));
    let message = report.body["errorMessage"].as_str().unwrap();
    assert!(message.contains("manifest.json") && message.contains("503 SlowDown"), "{message}");
    assert!(fails(&mut function), "the process goes on");
}
