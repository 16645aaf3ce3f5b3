//! A Qdrant that is down, slow, busy or half-failing, and writers that meet: what is left is the newest version, whole.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::harness::fixture;
use crate::support::pipeline::{Pipeline, created, notification, paragraphs};
use crate::support::qdrant_server::Collection;
use crate::support::s3_proxy::{Fault, Proxy, Seen};
use crate::support::s3_server::Bucket;

/// Few tokens a chunk, so that a page is a document of several points.
const SMALL: [(&str, &str); 2] = [("EMBED_CHUNK_TOKENS", "24"), ("EMBED_CHUNK_OVERLAP", "0")];

/// Two buckets and a collection; functions between them are made as a test needs them.
struct Setup {
    documents: Bucket,
    vectors: Bucket,
    collection: Collection,
    /// `EMBED_QDRANT_HYBRID`.
    hybrid: &'static str,
}

impl Setup {
    fn new(test: &str) -> Self {
        let collection = Collection::new(test);
        let (documents, vectors) = (Bucket::new(&format!("q-{test}-docs")), Bucket::new(&format!("q-{test}-vecs")));
        Self { documents, vectors, collection, hybrid: "off" }
    }

    /// One with a hybrid collection.
    fn hybrid(test: &str) -> Self {
        Self { hybrid: "on", ..Self::new(&format!("{test}-hybrid")) }
    }

    /// A function with Qdrant at `address`, else at the server itself.
    fn pipeline(&self, address: Option<&str>, sinks: &str) -> Pipeline {
        let url = format!("http://{}", address.unwrap_or(&self.collection.server));
        let own = [("EMBED_ON_DELETE", "remove"), ("EMBED_QDRANT_HYBRID", self.hybrid)];
        let variables = [&self.collection.variables(&url, sinks)[..], &SMALL, &own].concat();
        Pipeline::between(self.documents.clone(), self.vectors.clone(), None, &fixture(), &variables)
    }

    fn proxy(&self, plan: impl Fn(&Seen<'_>) -> Fault + Send + Sync + 'static) -> Proxy {
        Proxy::before(&self.collection.server, plan)
    }

    fn event(&self, key: &str) -> Value {
        notification(&[created(&self.documents.name, key)])
    }
}

#[test]
fn trouble_passes_and_what_was_done_twice_is_there_once() {
    needs!(s3, qdrant);
    for setup in [Setup::new("weather"), Setup::hybrid("weather")] {
        // A third of the requests is refused, of another third the answer is lost after the work was done.
        let proxy = setup.proxy(|request| match request.number % 3 {
            0 => Fault::Refuse(503, "Unavailable", None),
            1 => Fault::Reset(0),
            _ => Fault::None,
        });
        let pipeline = setup.pipeline(Some(&proxy.address), "qdrant");
        for (paragraph_count, word) in [(9, "river"), (4, "lake")] {
            let etag = pipeline.put("a.txt", paragraphs(paragraph_count).replace("river", word));
            assert_eq!(pipeline.created("a.txt")["embedded"], 1);
            let texts = setup.collection.whole("a.txt", &etag);
            assert!(texts.len() > 2 && texts.concat().contains(word), "{texts:?}");
        }
    }
}

#[test]
fn a_busy_store_is_given_the_time_it_asks_for() {
    needs!(s3, qdrant);
    let setup = Setup::new("busy");
    let proxy = setup.proxy(|request| match request.number {
        1 => Fault::Busy(429, 1),
        4 => Fault::Busy(503, 1),
        _ => Fault::None,
    });
    let pipeline = setup.pipeline(Some(&proxy.address), "qdrant");
    pipeline.put("a.txt", "A text.");
    let began = Instant::now();
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    // Without heed of Retry-After both would have been asked again within 0.1 s.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_store_that_is_down_leaves_the_event_to_come_back_in_time() {
    needs!(s3, qdrant);
    let setup = Setup::new("down");
    let up = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&up);
    let proxy = setup.proxy(move |_| match shared.load(Ordering::SeqCst) {
        true => Fault::None,
        false => Fault::Refuse(502, "BadGateway", None),
    });
    let pipeline = setup.pipeline(Some(&proxy.address), "qdrant");
    let etag = pipeline.put("a.txt", "A text.");
    let error = pipeline.invoke_within(&setup.event("a.txt"), Some(Duration::from_millis(1_500))).unwrap_err();
    assert!(error.to_string().contains("unfinished"), "{error}");
    assert!(proxy.requests() > 2, "it was asked once");
    up.store(true, Ordering::SeqCst);
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    assert_eq!(setup.collection.whole("a.txt", &etag).len(), 1);
}

#[test]
fn nothing_listens_and_the_address_is_told() {
    needs!(s3, qdrant);
    let setup = Setup::new("nobody");
    let pipeline = setup.pipeline(Some("127.0.0.1:9"), "qdrant");
    pipeline.put("a.txt", "A text.");
    let error = pipeline.invoke(&setup.event("a.txt")).unwrap_err().to_string();
    assert!(error.contains("http://127.0.0.1:9") && error.contains("given up after"), "{error}");
}

/// Requests that one document takes, on a fresh function whose collection is there.
fn requests_of_a_document(setup: &Setup) -> u64 {
    let first = setup.pipeline(None, "qdrant");
    first.put("first.txt", "It makes the collection.");
    assert_eq!(first.created("first.txt")["embedded"], 1);
    let proxy = setup.proxy(|_| Fault::None);
    let counted = setup.pipeline(Some(&proxy.address), "qdrant");
    counted.put("count.txt", paragraphs(5));
    assert_eq!(counted.created("count.txt")["embedded"], 1);
    proxy.requests()
}

#[test]
fn an_attempt_that_ends_anywhere_is_made_up_for_by_the_next() {
    needs!(s3, qdrant);
    for setup in [Setup::new("ends"), Setup::hybrid("ends")] {
        let whole = requests_of_a_document(&setup);
        assert!(whole > 5, "{whole}");
        for done in [false, true] {
            for last in 0..whole {
                let key = format!("{done}-{last}.txt");
                let old = setup.pipeline(None, "qdrant");
                old.put(&key, paragraphs(9));
                old.created(&key);
                let etag = old.put(&key, paragraphs(5).replace("river", "lake"));
                // From one request on everything is refused, with that one's work done or not.
                let proxy = setup.proxy(move |request| match request.number {
                    number if number < last => Fault::None,
                    number if number == last && done => Fault::Shortened(3),
                    _ => Fault::Refuse(400, "Wrong", None),
                });
                let outcome = setup.pipeline(Some(&proxy.address), "qdrant").invoke(&setup.event(&key));
                assert!(outcome.is_err(), "{key}: {outcome:?}");
                let again = setup.pipeline(None, "qdrant").created(&key);
                assert_eq!(again["failed"], 0, "{key}: {again}");
                assert!(setup.collection.whole(&key, &etag).concat().contains("lake"), "{key}");
            }
        }
    }
}

#[test]
fn whoever_comes_in_between_the_newest_version_stays() {
    needs!(s3, qdrant);
    for setup in [Setup::new("between"), Setup::hybrid("between")] {
        let whole = requests_of_a_document(&setup);
        for at in 0..whole {
            let key = format!("{at}.txt");
            let rival = Arc::new(Mutex::new(setup.pipeline(None, "qdrant")));
            let newest = Arc::new(Mutex::new(String::new()));
            let (shared, its_key, its_etag) = (Arc::clone(&rival), key.clone(), Arc::clone(&newest));
            let done = AtomicBool::new(false);
            // Before request number `at` someone else writes a newer, shorter document and its points.
            let proxy = setup.proxy(move |request| {
                if request.number == at && !done.swap(true, Ordering::SeqCst) {
                    let rival = shared.lock().unwrap();
                    *its_etag.lock().unwrap() = rival.put(&its_key, paragraphs(3).replace("river", "lake"));
                    let summary = rival.created(&its_key);
                    assert_eq!(summary["embedded"], 1, "{summary}");
                }
                Fault::None
            });
            let pipeline = setup.pipeline(Some(&proxy.address), "qdrant");
            pipeline.put(&key, paragraphs(8));
            let summary = pipeline.created(&key);
            assert_eq!(summary["failed"], 0, "{at}: {summary}");
            let etag = newest.lock().unwrap().clone();
            assert!(setup.collection.whole(&key, &etag).concat().contains("lake"), "{at}");
        }
    }
}

#[test]
fn an_object_that_goes_in_between_leaves_no_points() {
    needs!(s3, qdrant);
    for setup in [Setup::new("vanishes"), Setup::hybrid("vanishes")] {
        let whole = requests_of_a_document(&setup);
        for at in 0..whole {
            let key = format!("{at}.txt");
            let before = setup.pipeline(None, "qdrant");
            before.put(&key, paragraphs(3));
            before.created(&key);
            let rival = Arc::new(Mutex::new(before));
            let (shared, its_key, bucket) = (Arc::clone(&rival), key.clone(), setup.documents.name.clone());
            let done = AtomicBool::new(false);
            let proxy = setup.proxy(move |request| {
                if request.number == at && !done.swap(true, Ordering::SeqCst) {
                    let rival = shared.lock().unwrap();
                    rival.documents.delete(&its_key);
                    let mut record = created(&bucket, &its_key);
                    record["eventName"] = "ObjectRemoved:Delete".into();
                    assert_eq!(rival.invoke(&notification(&[record])).unwrap()["failed"], 0);
                }
                Fault::None
            });
            let pipeline = setup.pipeline(Some(&proxy.address), "qdrant");
            pipeline.put(&key, paragraphs(8).replace("river", "lake"));
            pipeline.created(&key);
            let left: Vec<_> =
                setup.collection.points().into_iter().filter(|point| point["payload"]["key"] == key.as_str()).collect();
            assert!(left.is_empty(), "{at}: {left:?}");
        }
    }
}

#[test]
fn functions_side_by_side_agree() {
    needs!(s3, qdrant);
    let setup = Setup::new("beside");
    let keys: Vec<_> = (0..12).map(|number| format!("{number}.txt")).collect();
    let first = setup.pipeline(None, "qdrant");
    let etags: Vec<_> = keys.iter().map(|key| first.put(key, paragraphs(4))).collect();
    let records: Vec<_> = keys.iter().map(|key| created(&setup.documents.name, key)).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let summary = setup.pipeline(None, "qdrant").invoke(&notification(&records)).unwrap();
                assert_eq!(summary["failed"], 0, "{summary}");
            });
        }
    });
    for (key, etag) in keys.iter().zip(&etags) {
        setup.collection.whole(key, etag);
    }
}

#[test]
fn of_two_sinks_the_one_that_failed_is_made_up_for() {
    needs!(s3, qdrant);
    let setup = Setup::new("both");
    let failing = Arc::new(AtomicBool::new(true));
    let shared = Arc::clone(&failing);
    let proxy = setup.proxy(move |request| match (request.method, shared.load(Ordering::SeqCst)) {
        ("PUT", true) if request.path.contains("/points") => Fault::Refuse(400, "Wrong", None),
        _ => Fault::None,
    });
    let pipeline = setup.pipeline(Some(&proxy.address), "s3,qdrant");
    let etag = pipeline.put("a.txt", paragraphs(4));
    let error = pipeline.invoke(&setup.event("a.txt")).unwrap_err().to_string();
    assert!(error.contains("Qdrant answered 400"), "{error}");
    failing.store(false, Ordering::SeqCst);
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    let result = pipeline.result("a.txt").unwrap();
    let records: Vec<_> = pipeline.records("a.txt");
    let points = setup.collection.points();
    assert_eq!(setup.collection.whole("a.txt", &etag).len(), records.len());
    for (record, point) in records.iter().zip(&points) {
        assert_eq!((&record["id"], &record["text"]), (&point["id"], &point["payload"]["text"]));
    }
    // The other way round: S3 has lost its result, Qdrant's points are not touched for it.
    pipeline.vectors.delete(&crate::support::pipeline::result_key(&setup.documents.name, "a.txt"));
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    assert!(pipeline.result("a.txt").unwrap() == result && setup.collection.points() == points);
    assert_eq!(pipeline.created("a.txt")["unchanged"], 1);
}

#[test]
fn a_slow_store_only_takes_longer() {
    needs!(s3, qdrant);
    let setup = Setup::new("slow");
    let requests = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&requests);
    let proxy = setup.proxy(move |_| {
        shared.fetch_add(1, Ordering::SeqCst);
        Fault::Late(Duration::from_millis(300))
    });
    let pipeline = setup.pipeline(Some(&proxy.address), "qdrant");
    let etag = pipeline.put("a.txt", paragraphs(4));
    assert_eq!(pipeline.created("a.txt")["embedded"], 1);
    setup.collection.whole("a.txt", &etag);
    let once = requests.load(Ordering::SeqCst);
    assert_eq!(pipeline.created("a.txt")["unchanged"], 1);
    assert_eq!(requests.load(Ordering::SeqCst), once + 1, "a repeated delivery asks for the first point alone");
    assert!(once <= 14, "{once} requests for one document, six of which make the collection");
}
