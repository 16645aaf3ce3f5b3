//! Qdrant as a store: one point a chunk, the document's source version in the payload of its first point.
//!
//! ```text
//! get      the first point's `embed`     DocumentHead: which generation, of which version, whole or not
//! claim    the first point, new          succeeds if the point is as `get` found it; read again to know
//! flush    other points                  overwrite points of older generations only
//! commit   delete what older generations left, write the source version if the first point is still ours; read
//!          again to know
//! ```
//!
//! Qdrant has no transactions. What stands in for them is the number of the *generation*, which every point carries
//! and which only grows: whoever writes a document takes a number above the one that was there, and no point is
//! overwritten or deleted but by a higher number (`update_filter` and `update_mode` of Qdrant 1.17, filters on
//! deletion). So:
//! - the source version is there once every point of its version is, and a lost race is noticed before it is written;
//! - two attempts at the same version under the same configuration share a number: what they write is the same;
//! - an attempt that dies leaves points without a source version, which the next one overwrites or deletes.
//!
//! What is not atomic: while a document is being rewritten a search sees points of both versions; and an attempt
//! that is overtaken deletes its own points that the newer version does not have, so if it is killed within
//! those milliseconds they stay until the document is written, or removed, the next time.
//!
//! REST instead of the official crate: the HTTP client is linked already, the crate would add tonic, prost and a
//! second stack of TLS for the same five requests, and a start would set up a gRPC channel.

mod collection;
mod payload;
mod point_vectors;
mod rest_client;

use async_trait::async_trait;
use serde_json::{Value, json};

use self::collection::{Collection, Missing};
use self::payload::{GENERATION, of_document, point};
use self::point_vectors::Vectors;
use self::rest_client::{CALL_RETRY_POLICY, RestClient};
use super::generation::{DocumentHead, Generation, incomplete};
use crate::config::{Qdrant, Secret};
use crate::error::StoreError;
use crate::record::{Document, DocumentWriter, Existing, ModelRef, Record, VectorStore, WriteError, WriteRequest};

/// Points of one request; Qdrant advises a few hundred at most.
const BATCH_POINTS: usize = 128;

/// Bytes of one request's points; Qdrant takes 32 MB unless configured otherwise.
const BATCH_BYTES: usize = 4 << 20;

/// Points in a collection.
pub struct QdrantStore {
    collection: Collection,
    model: ModelRef,
    /// Whether points carry the chunk's text.
    text: bool,
}

impl QdrantStore {
    pub fn new(place: &Qdrant, key: Option<Secret>, model: ModelRef, text: bool) -> Self {
        let http = RestClient::new("Qdrant", &place.url, key.map(|key| ("api-key", key)), CALL_RETRY_POLICY);
        let vectors = Vectors::new(model.dimensions, place.hybrid.clone());
        Self { collection: Collection::new(http, &place.collection, vectors), model, text }
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<Option<DocumentHead>, StoreError> {
        let embed = self.collection.embed(Record::id_of(bucket, key, 0)).await?;
        // A point of another program is overwritten, as if there were none.
        Ok(embed.and_then(|embed| serde_json::from_value(embed).ok()))
    }

    /// Removes the document's points of `generation` and of those before it, the first point last.
    async fn remove_generations(&self, bucket: &str, key: &str, generation: u64) -> Result<(), WriteError> {
        let first = json!({"has_id": [Record::id_of(bucket, key, 0)]});
        let others = json!({"must": [of_document(bucket, key), up_to(generation)], "must_not": [first]});
        let first = json!({"must": [first, exactly(generation)]});
        self.collection.batch(json!([{"delete": {"filter": others}}, {"delete": {"filter": first}}])).await?;
        match self.head(bucket, key).await? {
            None => Ok(()),
            Some(_) => Err(WriteError::Conflict),
        }
    }
}

#[async_trait]
impl VectorStore for QdrantStore {
    fn name(&self) -> &'static str {
        "qdrant"
    }

    async fn check(&self) -> Result<String, StoreError> {
        self.collection.check().await
    }

    fn replaces_in_place(&self) -> bool {
        true
    }

    async fn get(&self, bucket: &str, key: &str) -> Result<Existing, WriteError> {
        self.collection.ready().await?;
        Ok(DocumentHead::existing(self.head(bucket, key).await?))
    }

    async fn begin<'a>(
        &'a self,
        request: WriteRequest<'a>,
        existing: &'a Existing,
        state: Option<&'a Value>,
    ) -> Result<Box<dyn DocumentWriter + 'a>, WriteError> {
        let generation = Generation::of(&request, existing, state)?;
        Ok(Box::new(QdrantWriter { store: self, request, generation, points: Vec::new(), bytes: 0 }))
    }

    async fn remove(&self, bucket: &str, key: &str, existing: &Existing) -> Result<(), WriteError> {
        let Some(DocumentHead { generation, .. }) = DocumentHead::of(existing) else { return Ok(()) };
        self.remove_generations(bucket, key, generation).await
    }
}

/// A document on its way into the collection.
struct QdrantWriter<'a> {
    store: &'a QdrantStore,
    request: WriteRequest<'a>,
    generation: Generation,
    /// JSON of the points that are not put yet.
    points: Vec<String>,
    bytes: usize,
}

#[async_trait]
impl DocumentWriter for QdrantWriter<'_> {
    async fn write(&mut self, records: &[Record]) -> Result<(), WriteError> {
        for record in records {
            if self.generation.is_put(record) {
                continue;
            }
            let embed = match record.chunk {
                0 => json!(self.generation.head),
                _ => json!({"writing": self.generation.number()}),
            };
            let vectors = self.store.collection.vectors.of_point(&record.vector, &record.text);
            let point = point(&self.request.row(record, &self.store.model, self.store.text), vectors, embed);
            let point = point.map_err(|e| StoreError::retryable("a record cannot be put").with_source(e))?;
            if !self.points.is_empty() && self.bytes + point.len() > BATCH_BYTES {
                self.flush().await?;
            }
            self.bytes += point.len();
            self.points.push(point);
            if self.points.len() == BATCH_POINTS {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<Value, WriteError> {
        self.flush().await?;
        Ok(self.generation.state())
    }

    async fn commit(mut self: Box<Self>, chunks: usize) -> Result<(), WriteError> {
        self.flush().await?;
        let Document { bucket, key, .. } = self.request.document;
        let collection = &self.store.collection;
        let generation = self.generation.number();
        let ours = json!({"must": [of_document(bucket, key), exactly(generation)]});
        let count = collection.count(&ours).await? as usize;
        if count != chunks {
            return Err(self.overtaken().await?.unwrap_or_else(|| incomplete(count, chunks)));
        }
        let older = json!({"must": [of_document(bucket, key), before(generation)]});
        let first = json!({"must": [{"has_id": [Record::id_of(bucket, key, 0)]}, exactly(generation)]});
        let head = self.generation.finished(chunks, self.request.source_version);
        let embed = json!({"embed": head, "chunks": chunks});
        let whole = json!({"payload": embed, "filter": first});
        collection.batch(json!([{"delete": {"filter": older}}, {"set_payload": whole}])).await?;
        self.overtaken().await?.map_or(Ok(()), Err)
    }

    async fn abort(self: Box<Self>) -> Result<(), WriteError> {
        if !self.generation.claimed {
            return Ok(());
        }
        let Document { bucket, key, .. } = self.request.document;
        self.store.remove_generations(bucket, key, self.generation.number()).await
    }
}

impl QdrantWriter<'_> {
    /// Puts the points that were gathered.
    async fn flush(&mut self) -> Result<(), WriteError> {
        let mut points = std::mem::take(&mut self.points);
        self.bytes = 0;
        let collection = &self.store.collection;
        if !self.generation.claimed && !points.is_empty() {
            let first = [points.remove(0)];
            match &self.generation.previous {
                None => collection.upsert(&first, &json!({"must": [unmarked()]}), Missing::Insert).await?,
                // A point that was there and is gone was removed with its object.
                Some(previous) => {
                    let previous = json!({"must": [exactly(previous.generation)]});
                    collection.upsert(&first, &previous, Missing::Leave).await?
                }
            }
            // A writer that lost the race has put nothing else yet, so there is nothing to take back.
            self.generation.claimed = self.generation.is_current(self.current_head().await?);
            if !self.generation.claimed {
                return Err(WriteError::Conflict);
            }
        }
        if !points.is_empty() {
            let older = json!({"should": [up_to(self.generation.number()), unmarked()]});
            collection.upsert(&points, &older, Missing::Insert).await?;
            return self.overtaken().await?.map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// The error if a later generation has begun or the document was removed. Then this generation's points go.
    async fn overtaken(&self) -> Result<Option<WriteError>, StoreError> {
        if self.generation.is_current(self.current_head().await?) {
            return Ok(None);
        }
        let Document { bucket, key, .. } = self.request.document;
        let ours = json!({"must": [of_document(bucket, key), exactly(self.generation.number())]});
        self.store.collection.batch(json!([{"delete": {"filter": ours}}])).await?;
        Ok(Some(WriteError::Conflict))
    }

    async fn current_head(&self) -> Result<Option<DocumentHead>, StoreError> {
        self.store.head(&self.request.document.bucket, &self.request.document.key).await
    }
}

fn exactly(generation: u64) -> Value {
    json!({"key": GENERATION, "match": {"value": generation}})
}

fn up_to(generation: u64) -> Value {
    json!({"key": GENERATION, "range": {"lte": generation}})
}

fn before(generation: u64) -> Value {
    json!({"key": GENERATION, "range": {"lt": generation}})
}

/// A condition: points that another program wrote.
fn unmarked() -> Value {
    json!({"is_empty": {"key": GENERATION}})
}
