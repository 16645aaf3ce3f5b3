//! A Qdrant for the tests: the engine of its server behind REST, started once, a collection for each test.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::python_server::PythonServer;
use crate::support::server::http;

/// A server of a test's own.
pub fn start(arguments: &[&str]) -> PythonServer {
    PythonServer::start("qdrant", "tests/qdrant/serve.py", arguments)
}

/// A collection of a test's own; the function under test makes it.
pub struct Collection {
    pub server: String,
    pub name: String,
}

impl Collection {
    pub fn new(test: &str) -> Self {
        static SERVER: OnceLock<PythonServer> = OnceLock::new();
        let server = SERVER.get_or_init(|| start(&[]));
        Self { server: server.address.clone(), name: test.to_owned() }
    }

    /// The variables by which the function finds it, with Qdrant at `endpoint`.
    pub fn variables<'a>(&'a self, url: &'a str, sinks: &'a str) -> [(&'a str, &'a str); 3] {
        [("EMBED_SINK", sinks), ("EMBED_QDRANT_URL", url), ("EMBED_QDRANT_COLLECTION", &self.name)]
    }

    /// A request below the collection; the status and `result`.
    pub fn request(&self, method: &str, rest: &str, body: &Value) -> (u16, Value) {
        let path = format!("/collections/{}{rest}", self.name);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, _, answer) = http(&self.server, method, &path, &[], body.as_bytes());
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        (status, answer.get("result").cloned().unwrap_or(answer))
    }

    /// Every point with its vector, by document and chunk.
    pub fn points(&self) -> Vec<Value> {
        let all = json!({"limit": 10_000, "with_vector": true});
        let (status, mut answer) = self.request("POST", "/points/scroll", &all);
        assert_eq!(status, 200, "{answer}");
        let mut points = answer["points"].take().as_array().cloned().unwrap();
        points.sort_by_key(|point| {
            (point["payload"]["source"].as_str().map(str::to_owned), point["payload"]["chunk"].as_u64())
        });
        points
    }

    /// The texts of one document's points, which are whole and stamped, each of the version with this ETag.
    pub fn whole(&self, key: &str, etag: &str) -> Vec<String> {
        let points: Vec<_> = self.points().into_iter().filter(|point| point["payload"]["key"] == key).collect();
        let first = &points.first().unwrap_or_else(|| panic!("{key} has no points"))["payload"];
        assert_eq!(first["embed"]["stamp"]["embed-etag"], etag, "{first}");
        assert_eq!(first["chunks"], points.len(), "{points:?}");
        let text = |(number, point): (usize, &Value)| {
            let payload = &point["payload"];
            assert_eq!((&payload["chunk"], &payload["etag"]), (&json!(number), &json!(etag)), "{payload}");
            assert_eq!(payload["embed"]["writing"], first["embed"]["writing"], "{payload}");
            payload["text"].as_str().unwrap().to_owned()
        };
        points.iter().enumerate().map(text).collect()
    }
}
