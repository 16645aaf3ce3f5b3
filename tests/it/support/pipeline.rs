//! Shared by tests of documents: a bucket of documents, one of vectors, a function between them.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lambda_embed::handler::Handler;
use lambda_embed::observability::call::Call;
use serde_json::{Value, json};

use crate::support::function::Function;
use crate::support::harness::{fixture, handler};
use crate::support::s3_server::Bucket;

/// Documents and vectors in two buckets of the test's own, and a function in this process.
pub struct Pipeline {
    pub documents: Bucket,
    pub vectors: Bucket,
    handler: Handler,
    /// One for the pipeline's whole life: the client's connections belong to it.
    runtime: tokio::runtime::Runtime,
}

impl Pipeline {
    pub fn new(test: &str, variables: &[(&str, &str)]) -> Self {
        let (documents, vectors) = (Bucket::new(&format!("{test}-docs")), Bucket::new(&format!("{test}-vecs")));
        Self::between(documents, vectors, None, &fixture(), variables)
    }

    /// A function between these buckets, with S3 at `endpoint`, else at the server itself.
    pub fn between(
        documents: Bucket,
        vectors: Bucket,
        endpoint: Option<&str>,
        model: &Path,
        variables: &[(&str, &str)],
    ) -> Self {
        let endpoint = format!("http://{}", endpoint.unwrap_or(documents.server));
        let output = output(&vectors);
        let mut all = vec![("EMBED_OUTPUT", output.as_str()), ("AWS_ENDPOINT_URL_S3", &endpoint)];
        all.extend(CREDENTIALS);
        all.extend_from_slice(variables);
        let handler = handler(model, &all);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { documents, vectors, handler, runtime }
    }

    /// Puts a document; its ETag.
    pub fn put(&self, key: &str, body: impl AsRef<[u8]>) -> String {
        self.documents.put(key, &[], body.as_ref())
    }

    pub fn invoke(&self, event: &Value) -> Result<Value, lambda_embed::Error> {
        self.invoke_within(event, None)
    }

    /// The answer to an event, with this much time left before the call's deadline.
    pub fn invoke_within(&self, event: &Value, left: Option<Duration>) -> Result<Value, lambda_embed::Error> {
        let call = Call { deadline: left.map(|left| SystemTime::now() + left), ..Call::default() };
        let reply = self.runtime.block_on(self.handler.handle(event.to_string().as_bytes(), &call))?;
        Ok(serde_json::from_str(reply.get()).unwrap())
    }

    /// Sends `event`, a queue's, until nothing of it comes back; returns the number of calls. Each call has a little
    /// more time than the one before it, and much more after a call without progress, so that a machine of any speed
    /// needs several. `after` looks at what each call but the last one leaves.
    pub fn in_short_calls(&self, event: &Value, mut after: impl FnMut()) -> usize {
        let (mut left, mut before) = (Duration::from_millis(20), None);
        for calls in 1..400 {
            if self.invoke_within(event, Some(left)).unwrap()["batchItemFailures"] == json!([]) {
                return calls;
            }
            after();
            let checkpoint = self.checkpoint();
            left = left.mul_f64(if checkpoint == before { 1.5 } else { 1.1 });
            before = checkpoint;
        }
        panic!("no end in sight");
    }

    /// Where a long document is to go on: the key of its checkpoint, and the bytes.
    pub fn checkpoint(&self) -> Option<(String, Vec<u8>)> {
        let key = self.vectors.keys().into_iter().find(|key| key.ends_with(".progress.json"))?;
        self.vectors.get(&key).map(|bytes| (key, bytes))
    }

    /// Sends the function the event of a new document; returns what the function did.
    pub fn created(&self, key: &str) -> Value {
        self.invoke(&notification(&[created(&self.documents.name, key)])).unwrap()
    }

    /// The records of a document, in their order.
    pub fn records(&self, key: &str) -> Vec<Value> {
        let bytes = self.result(key).unwrap_or_else(|| panic!("{key} has no vectors"));
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect()
    }

    /// The bytes of a document's vectors.
    pub fn result(&self, key: &str) -> Option<Vec<u8>> {
        self.vectors.get(&result_key(&self.documents.name, key))
    }

    /// The number of chunks in the metadata of a document's vectors, which is written when the document is done.
    pub fn committed_chunks(&self, key: &str) -> Option<usize> {
        let head = self.vectors.head(&result_key(&self.documents.name, key))?;
        head.split("x-amz-meta-embed-chunks: ").nth(1)?.lines().next()?.trim().parse().ok()
    }

    /// The outcome record of a document without vectors.
    pub fn outcome(&self, key: &str) -> Option<Value> {
        let bytes = self.vectors.get(&format!("out/{}/{key}.outcome.json", self.documents.name))?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }
}

/// The real binary as a function that writes the vectors of documents to `vectors`, with S3 at `endpoint`.
pub fn document_function(vectors: &Bucket, endpoint: &str, variables: &[(&str, &str)]) -> Function {
    let (endpoint, output) = (format!("http://{endpoint}"), output(vectors));
    let own = [("EMBED_OUTPUT", output.as_str()), ("AWS_ENDPOINT_URL_S3", endpoint.as_str())];
    Function::start(&[&own[..], &CREDENTIALS, variables].concat())
}

/// The credentials of the tests' functions; the server accepts any.
pub const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

pub fn output(vectors: &Bucket) -> String {
    format!("s3://{}/out", vectors.name)
}

pub fn result_key(bucket: &str, key: &str) -> String {
    format!("out/{bucket}/{key}.jsonl")
}

/// A record of S3's notification of a new object; further fields of the object may be set.
/// A web page of so many good sections and a tag that is too long, at which reading ends.
pub fn unreadable_at_its_end(good: usize) -> String {
    let good = "<h2>River</h2><p>The river is high today.</p>".repeat(good);
    format!("{good}<p title='{}'>", "x".repeat(9 << 20))
}

/// The value of `chunks` in every record of a document: null in a long one, which is written while it is read.
pub fn stated_chunks(records: usize) -> Value {
    if records > 64 { Value::Null } else { records.into() }
}

/// `text`, compressed.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

pub fn created(bucket: &str, key: &str) -> Value {
    let encoded: String = key
        .bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() || b"-_./".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": encoded}}})
}

pub fn notification(records: &[Value]) -> Value {
    json!({"Records": records})
}

/// A queue's event with one message for each body; their ids are their numbers.
pub fn queue(bodies: &[Value]) -> Value {
    let record = |(id, body): (usize, &Value)| json!({"messageId": id.to_string(), "body": body.to_string(), "eventSource": "aws:sqs"});
    notification(&bodies.iter().enumerate().map(record).collect::<Vec<_>>())
}

/// `count` paragraphs that differ, of about 20 tokens of the fixture each.
pub fn paragraphs(count: usize) -> String {
    (0..count)
        .map(|n| format!("Paragraph {n} tells of the river, the old bridge and house number {}.\n\n", n * 7))
        .collect()
}
