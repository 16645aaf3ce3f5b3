//! S3 Vectors as a store: one vector a chunk, the document's source version in the metadata of its first one.
//!
//! ```text
//! get      the first vector's `embed`    DocumentHead: which generation, of which version, whole or not, how many
//! claim    put the first vector, without a source version
//! flush    put others, if the head is still ours
//! commit   read every vector's generation; delete surplus ones; put the first one with its source version
//! ```
//!
//! S3 Vectors has neither conditions nor deletion by a filter. Surplus vectors are found by their ids, because the
//! head tells how many there may be; an attempt that dies leaves vectors without a source version, which the next one
//! overwrites or deletes; two attempts at the same version write the same. That two versions of one key are written at
//! once is noticed by reading the head before every put and every vector before the source version, and the later one
//! goes on.
//!
//! What is not atomic, and cannot be here: between such a read and the write after it lie some ten milliseconds, in
//! which another version's attempt may put its vectors; then a document with a source version may hold chunks of the
//! other version until it is written the next time. A queue that hands out one event of a key at a time rules it out.

mod index;
mod metadata;

use async_trait::async_trait;
pub use aws_sdk_s3vectors::Client;
use aws_sdk_s3vectors::config::Builder;
use aws_sdk_s3vectors::config::retry::RetryConfig;
use aws_sdk_s3vectors::config::timeout::TimeoutConfig;
use aws_sdk_s3vectors::types::{PutInputVector, VectorData};
use aws_smithy_types::Document as Metadata;
use serde_json::{Value, json};
use uuid::Uuid;

use self::index::{Bring, Index, PUT_AT_ONCE};
use self::metadata::{HEAD, document, generation, head, metadata};
use super::generation::{DocumentHead, Generation, incomplete};
use crate::aws::{RequestHeaders, sdk_config};
use crate::config::{Aws, S3Vectors};
use crate::error::StoreError;
use crate::record::{Document, DocumentWriter, Existing, ModelRef, Record, VectorStore, WriteError, WriteRequest};

/// Attempts at one request, with pauses of 1 + 2 + 4 + 8 s at most.
const ATTEMPTS: u32 = 5;

/// Wait for the answer to one attempt.
const RESPONSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Chunks that a head allows for while their number is not known; it doubles as they grow beyond it. Above
/// [`PUT_AT_ONCE`], so that a document of one request needs one head.
const FIRST_BOUND: usize = 1024;

/// Bytes of one request's vectors, roughly; the service takes 20 MB.
const BATCH_BYTES: usize = 8 << 20;

/// A client; nothing is sent yet.
pub async fn connect(aws: &Aws) -> Client {
    let endpoint = aws.vectors_endpoint.as_deref();
    let builder = Builder::from(&sdk_config(aws, endpoint).await).interceptor(RequestHeaders::default());
    let builder = match endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint),
        None => builder,
    };
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(RESPONSE_TIMEOUT).build();
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    Client::from_conf(builder.retry_config(retries).timeout_config(timeouts).build())
}

/// Vectors in an index.
pub struct S3VectorsStore {
    index: Index,
    model: ModelRef,
    /// Whether vectors carry the chunk's text.
    text: bool,
}

impl S3VectorsStore {
    pub fn new(client: Client, place: &S3Vectors, model: ModelRef, text: bool) -> Self {
        Self { index: Index::new(client, &place.bucket, &place.index, model.dimensions, text), model, text }
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<Option<DocumentHead>, StoreError> {
        let found = self.index.get(&[Record::id_of(bucket, key, 0)], Bring::Metadata).await?;
        Ok(found.first().and_then(|vector| vector.metadata.as_ref()).and_then(head))
    }

    /// Deletes the document's vectors, of which there are `chunks` at most, the first one last.
    async fn delete(&self, bucket: &str, key: &str, chunks: usize) -> Result<(), StoreError> {
        self.index.delete(&ids(bucket, key, 1..chunks)).await?;
        self.index.delete(&ids(bucket, key, 0..1)).await
    }
}

#[async_trait]
impl VectorStore for S3VectorsStore {
    fn name(&self) -> &'static str {
        "s3vectors"
    }

    async fn check(&self) -> Result<String, StoreError> {
        self.index.describe().await
    }

    fn replaces_in_place(&self) -> bool {
        true
    }

    async fn get(&self, bucket: &str, key: &str) -> Result<Existing, WriteError> {
        self.index.ready().await?;
        Ok(DocumentHead::existing(self.head(bucket, key).await?))
    }

    async fn begin<'a>(
        &'a self,
        request: WriteRequest<'a>,
        existing: &'a Existing,
        state: Option<&'a Value>,
    ) -> Result<Box<dyn DocumentWriter + 'a>, WriteError> {
        let mut generation = Generation::of(&request, existing, state)?;
        let older = generation.previous.as_ref().map_or(0, |head| head.chunks);
        generation.head.chunks = older.max(request.chunks.unwrap_or(FIRST_BOUND));
        let (vectors, end, bytes) = (Vec::new(), 0, 0);
        Ok(Box::new(S3VectorsWriter { store: self, request, generation, vectors, end, bytes }))
    }

    async fn remove(&self, bucket: &str, key: &str, existing: &Existing) -> Result<(), WriteError> {
        let Some(previous) = DocumentHead::of(existing) else { return Ok(()) };
        match self.head(bucket, key).await? {
            None => Ok(()),
            Some(head) if head == previous => Ok(self.delete(bucket, key, head.chunks).await?),
            Some(_) => Err(WriteError::Conflict),
        }
    }
}

/// A document on its way into the index.
struct S3VectorsWriter<'a> {
    store: &'a S3VectorsStore,
    request: WriteRequest<'a>,
    generation: Generation,
    /// Not put yet.
    vectors: Vec<PutInputVector>,
    /// The chunk after the last of `vectors`.
    end: usize,
    /// Of `vectors`.
    bytes: usize,
}

#[async_trait]
impl DocumentWriter for S3VectorsWriter<'_> {
    async fn write(&mut self, records: &[Record]) -> Result<(), WriteError> {
        for record in records {
            if self.generation.is_put(record) {
                continue;
            }
            let head = match record.chunk {
                0 => json!(self.generation.head).to_string(),
                _ => self.generation.number().to_string(),
            };
            let entries = metadata(&self.request.row(record, &self.store.model, self.store.text), head);
            // A number takes 12 bytes in JSON.
            let bytes = json!(entries).to_string().len() + 12 * record.vector.len();
            if self.bytes + bytes > BATCH_BYTES || self.vectors.len() == PUT_AT_ONCE {
                self.flush().await?;
            }
            self.bytes += bytes;
            self.end = record.chunk + 1;
            self.vectors.push(vector(record.id, record.vector.clone(), document(Value::Object(entries)))?);
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<Value, WriteError> {
        self.flush().await?;
        Ok(self.generation.state())
    }

    async fn commit(mut self: Box<Self>, chunks: usize) -> Result<(), WriteError> {
        self.flush().await?;
        self.is_ours().await?;
        let index = &self.store.index;
        let vectors = index.get(&self.ids(0..chunks), Bring::Metadata).await?;
        let ours =
            |metadata: &&Option<Metadata>| metadata.as_ref().and_then(generation) == Some(self.generation.number());
        let count = vectors.iter().map(|vector| &vector.metadata).filter(ours).count();
        if count != chunks {
            return Err(incomplete(count, chunks));
        }
        index.delete(&self.ids(chunks..self.generation.head.chunks)).await?;
        self.put_head(&self.generation.finished(chunks, self.request.source_version)).await?;
        self.is_ours().await
    }

    async fn abort(self: Box<Self>) -> Result<(), WriteError> {
        if !self.generation.claimed {
            return Ok(());
        }
        self.is_ours().await?;
        let Document { bucket, key, .. } = self.request.document;
        Ok(self.store.delete(bucket, key, self.generation.head.chunks).await?)
    }
}

impl S3VectorsWriter<'_> {
    /// Puts the vectors that were gathered.
    async fn flush(&mut self) -> Result<(), WriteError> {
        let mut vectors = std::mem::take(&mut self.vectors);
        self.bytes = 0;
        if vectors.is_empty() {
            return Ok(());
        }
        if !self.generation.claimed {
            let first = vectors.remove(0);
            if self.current_head().await? != self.generation.previous {
                return Err(WriteError::Conflict);
            }
            self.store.index.put(vec![first]).await?;
            self.generation.claimed = true;
        }
        self.is_ours().await?;
        if self.end > self.generation.head.chunks {
            self.generation.head.chunks = 2 * self.end;
            self.put_head(&self.generation.head).await?;
        }
        if !vectors.is_empty() {
            self.store.index.put(vectors).await?;
        }
        Ok(())
    }

    /// Replaces the head in the first vector, which has to be this generation's.
    async fn put_head(&self, head: &DocumentHead) -> Result<(), WriteError> {
        let index = &self.store.index;
        let first = index.get(&self.ids(0..1), Bring::Everything).await?.pop();
        let Some((Some(metadata), Some(VectorData::Float32(numbers)))) =
            first.map(|first| (first.metadata, first.data))
        else {
            return Err(WriteError::Conflict);
        };
        match (generation(&metadata), metadata) {
            (Some(generation), Metadata::Object(mut entries)) if generation == self.generation.number() => {
                entries.insert(HEAD.to_owned(), Metadata::String(json!(head).to_string()));
                if head.source_version.is_some() {
                    entries.insert("chunks".to_owned(), document(json!(head.chunks)));
                }
                Ok(index.put(vec![vector(self.ids(0..1)[0], numbers, Metadata::Object(entries))?]).await?)
            }
            _ => Err(WriteError::Conflict),
        }
    }

    /// Whether the document's head is this generation's still.
    async fn is_ours(&self) -> Result<(), WriteError> {
        match self.generation.is_current(self.current_head().await?) {
            true => Ok(()),
            false => Err(WriteError::Conflict),
        }
    }

    async fn current_head(&self) -> Result<Option<DocumentHead>, StoreError> {
        self.store.head(&self.request.document.bucket, &self.request.document.key).await
    }

    fn ids(&self, chunks: std::ops::Range<usize>) -> Vec<Uuid> {
        ids(&self.request.document.bucket, &self.request.document.key, chunks)
    }
}

fn ids(bucket: &str, key: &str, chunks: std::ops::Range<usize>) -> Vec<Uuid> {
    chunks.map(|chunk| Record::id_of(bucket, key, chunk)).collect()
}

fn vector(id: Uuid, numbers: Vec<f32>, metadata: Metadata) -> Result<PutInputVector, StoreError> {
    let vector = PutInputVector::builder().key(id.to_string()).data(VectorData::Float32(numbers)).metadata(metadata);
    vector.build().map_err(|e| StoreError::permanent("a vector cannot be put").with_source(e))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::config::{AccessKeys, Secret};
    use crate::observability::call::Call;

    #[test]
    fn requests_carry_the_trace_header_of_the_call_they_are_made_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let aws = Aws {
            region: Some("us-east-1".to_owned()),
            endpoint: None,
            vectors_endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
            keys: Some(AccessKeys { id: "id".to_owned(), secret: Secret::new("key"), session_token: None }),
            requester_pays: false,
        };
        let head = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let length = client.read(&mut buffer).unwrap();
            client.write_all(b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
            String::from_utf8_lossy(&buffer[..length]).to_lowercase()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let call = Call { trace: Some("Root=1-abc;Sampled=1".to_owned()), ..Call::default() };
        runtime.block_on(async {
            let client = connect(&aws).await;
            let asked = client.get_index().vector_bucket_name("vectors").index_name("docs").send();
            assert!(call.scope(asked).await.is_err());
        });
        let head = head.join().unwrap();
        assert!(head.contains("x-amzn-trace-id: root=1-abc;sampled=1"), "{head}");
    }
}
