//! Faults on the way from S3, by a proxy that breaks the transfer: the right answer, or a clear error within the init's
//! limit, never a wrong model.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::harness::{fixture, model};
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;
use crate::support::s3_start::{Cache, start};

/// A word that only a request for a graph, of either format, has in its path.
const GRAPH: &str = "/model.";

/// Bytes of a model's graph.
fn graph_bytes(model: &std::path::Path) -> u64 {
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(model.join("manifest.json")).unwrap()).unwrap();
    manifest["files"]["model"]["size"].as_u64().unwrap()
}

#[test]
fn a_reset_at_every_tenth_of_a_large_transfer_is_survived() {
    needs!(model, s3);
    let large = model();
    let bucket = Bucket::with_model("tenths", &large);
    let size = graph_bytes(&large);
    // A connection reset before its first byte at 0, then at every tenth of the file.
    let left: Mutex<Vec<u64>> = Mutex::new((0..10).map(|tenth| tenth * size / 10).collect());
    let resets = std::sync::Arc::new(AtomicU64::new(0));
    let counted = resets.clone();
    let proxy = Proxy::before(bucket.server, move |seen| {
        let mut left = left.lock().unwrap();
        let here = left.iter().position(|at| seen.path.contains(GRAPH) && seen.range.contains(at));
        here.map_or(Fault::None, |place| {
            counted.fetch_add(1, Ordering::SeqCst);
            Fault::Reset(left.remove(place) - seen.range.start)
        })
    });
    start(&bucket, &proxy.address, &Cache::new()).answers_as(&large);
    assert_eq!(resets.load(Ordering::SeqCst), 10);
    // Bytes that had arrived were not fetched again: a reset loses only the bytes on their way.
    assert!(proxy.transferred() < size * 3 / 2, "{} for {size}", proxy.transferred());
}

#[test]
fn one_reset_at_any_tenth_of_each_file_is_survived() {
    needs!(s3);
    let bucket = Bucket::with_model("tenth", &fixture());
    for file in ["manifest.json", "tokenizer.json", "model.ort"] {
        let size = std::fs::metadata(fixture().join(file)).unwrap().len();
        for tenth in [0, 3, 6, 9] {
            let first = AtomicBool::new(true);
            let proxy = Proxy::before(bucket.server, move |seen| {
                let now = seen.path.contains(file) && first.swap(false, Ordering::SeqCst);
                if now { Fault::Reset(tenth * size / 10) } else { Fault::None }
            });
            start(&bucket, &proxy.address, &Cache::new()).answers_as(&fixture());
        }
    }
}

#[test]
fn a_storm_of_503_that_passes_only_costs_time() {
    needs!(s3);
    let bucket = Bucket::with_model("storm", &fixture());
    for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")] {
        let proxy = Proxy::before(bucket.server, move |seen| {
            if seen.number < 4 || seen.number % 3 == 0 { Fault::Refuse(status, code, None) } else { Fault::None }
        });
        start(&bucket, &proxy.address, &Cache::new()).answers_as(&fixture());
    }
}

#[test]
fn a_storm_of_503_that_stays_is_told_in_time() {
    needs!(s3);
    let bucket = Bucket::with_model("stays", &fixture());
    for end in ["manifest.json", "model.ort"] {
        let proxy = Proxy::before(bucket.server, move |seen| {
            if seen.path.contains(end) { Fault::Refuse(503, "SlowDown", None) } else { Fault::None }
        });
        start(&bucket, &proxy.address, &Cache::new()).fails_with(&[
            &bucket.name,
            end,
            "503 SlowDown",
            "given up after",
        ]);
        assert!((6..20).contains(&proxy.requests()), "{} requests", proxy.requests());
    }
}

#[test]
fn a_slow_start_is_waited_for() {
    needs!(s3);
    let bucket = Bucket::with_model("slow", &fixture());
    let proxy = Proxy::before(bucket.server, |seen| match seen.number {
        0 => Fault::Late(Duration::from_millis(1_500)),
        // Longer than an answer may take, so the request is repeated.
        1 => Fault::Late(Duration::from_secs(20)),
        _ => Fault::None,
    });
    start(&bucket, &proxy.address, &Cache::new()).answers_as(&fixture());
}

#[test]
fn silence_is_told_in_time() {
    needs!(s3);
    let bucket = Bucket::with_model("silence", &fixture());
    let proxy = Proxy::before(bucket.server, |_| Fault::Late(Duration::from_secs(20)));
    let silent = start(&bucket, &proxy.address, &Cache::new());
    silent.fails_with(&[&bucket.name, "manifest.json", "did not answer", "VPC"]);
    let nobody = start(&bucket, "127.0.0.1:9", &Cache::new());
    nobody.fails_with(&[&bucket.name, "manifest.json", "could not be asked", "refused"]);
}

#[test]
fn a_body_cut_off_is_taken_up_where_it_ended() {
    needs!(model, s3);
    let large = model();
    let bucket = Bucket::with_model("cut", &large);
    // A head that is right and a connection that ends early; a head that agrees with the short body.
    for fault in [Fault::Cut(1_500_000), Fault::Shortened(1_500_000)] {
        let proxy = Proxy::before(bucket.server, move |seen| match seen.path.contains(GRAPH) {
            true => fault.clone(),
            false => Fault::None,
        });
        start(&bucket, &proxy.address, &Cache::new()).answers_as(&large);
        let size = graph_bytes(&large);
        assert!(proxy.transferred() < size + 1_000_000, "{} for {size}", proxy.transferred());
    }
}

#[test]
fn one_flipped_bit_never_becomes_a_model() {
    needs!(s3);
    let bucket = Bucket::with_model("flipped", &fixture());
    for (file, at) in [("manifest.json", 40), ("tokenizer.json", 700), ("model.ort", 0), ("model.ort", 50_000)] {
        let proxy = Proxy::before(
            bucket.server,
            move |seen| {
                if seen.path.contains(file) { Fault::Flip(at) } else { Fault::None }
            },
        );
        let cache = Cache::new();
        start(&bucket, &proxy.address, &cache).fails_with(&[&bucket.name, file, "corrupted", "sha256"]);
        assert!(cache.files(file).is_empty(), "{file} stayed in the cache");
    }
}
