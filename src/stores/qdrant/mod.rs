//! Qdrant as a sink: one point a chunk, the document's stamp in the payload of its first point.
//!
//! ```text
//! look     the first point's `embed`     Head: which writing, of which version, whole or not
//! claim    the first point, new          counts if the point is as it was looked at; read again to know
//! flush    other points                  count over older writings' points alone
//! finish   delete what older writings left, stamp the first point if it is still ours; read again to know
//! ```
//!
//! Qdrant has no transactions. What stands in for them is the number of the *writing*, which every point carries
//! and which only grows: whoever writes a document takes a number above the one that was there, and no point is
//! overwritten or deleted but by a higher number (`update_filter` and `update_mode` of Qdrant 1.17, filters on
//! deletion). So:
//! - the stamp is there once every point of its version is, and a lost race is noticed before the stamp;
//! - two attempts at the same version under the same configuration share a number: what they write is the same;
//! - an attempt that dies leaves points without a stamp, which the next one overwrites or deletes.
//!
//! What is not atomic: while a document is being rewritten a search sees points of both versions; and an attempt
//! that is overtaken deletes its own points that the newer version does not have, so if it is killed within
//! those milliseconds they stay until the document is written, or removed, the next time.
//!
//! REST instead of the official crate: the HTTP client is linked already, the crate would add tonic, prost and a
//! second stack of TLS for the same five requests, and a start would set up a gRPC channel.

mod collection;
mod payload;
mod rest_client;

use serde_json::{Value, json};

use self::collection::{Missing, Store};
use self::payload::{WRITING, of_document, point};
use self::rest_client::{Http, OF_A_CALL};
use super::generation::{Head, Opening, state};
use crate::config::{Qdrant, Secret};
use crate::error::Trouble;
use crate::record::{Document, End, Held, Job, ModelRef, Record, Refused, Sink, Stamp, Work, Writing};

/// Points of one request; Qdrant advises a few hundred at most.
const BATCH_POINTS: usize = 128;

/// Bytes of one request's points; Qdrant takes 32 MB unless configured otherwise.
const BATCH_BYTES: usize = 4 << 20;

/// Points in a collection.
pub struct QdrantSink {
    store: Store,
    model: ModelRef,
    /// Whether points carry their text.
    text: bool,
}

impl QdrantSink {
    pub fn new(place: &Qdrant, key: Option<Secret>, model: ModelRef, text: bool) -> Self {
        let http = Http::new("Qdrant", &place.url, key.map(|key| ("api-key", key)), OF_A_CALL);
        Self { store: Store::new(http, &place.collection, model.dimensions), model, text }
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<Option<Head>, Trouble> {
        let embed = self.store.embed(Record::id_of(bucket, key, 0)).await?;
        // A point that is not ours is overwritten like one that is not there.
        Ok(embed.and_then(|embed| serde_json::from_value(embed).ok()))
    }
}

impl Sink for QdrantSink {
    fn name(&self) -> &'static str {
        "qdrant"
    }

    fn look<'a>(&'a self, bucket: &'a str, key: &'a str) -> Work<'a, Held> {
        Box::pin(async move {
            self.store.ready().await?;
            Ok(self.head(bucket, key).await?.map_or_else(Held::default, |head| head.held()))
        })
    }

    fn open<'a>(&'a self, job: Job<'a>, held: &'a Held, state: Option<&'a Value>) -> Work<'a, Box<dyn Writing + 'a>> {
        Box::pin(async move {
            let Opening { over, mark, writing, claimed } = Opening::of(held, job.stamp, state)?;
            let over = over.map(|head| head.writing);
            let writing = QdrantWriting { sink: self, job, mark, over, writing, claimed, points: Vec::new(), bytes: 0 };
            Ok(Box::new(writing) as Box<dyn Writing>)
        })
    }

    fn remove<'a>(&'a self, bucket: &'a str, key: &'a str, held: &'a Held) -> Work<'a, ()> {
        Box::pin(async move {
            let Some(Head { writing, .. }) = Head::of(held) else { return Ok(()) };
            let first = json!({"has_id": [Record::id_of(bucket, key, 0)]});
            let others = json!({"must": [of_document(bucket, key), up_to(writing)], "must_not": [first]});
            let first = json!({"must": [first, exactly(writing)]});
            self.store.batch(json!([{"delete": {"filter": others}}, {"delete": {"filter": first}}])).await?;
            match self.head(bucket, key).await? {
                None => Ok(()),
                Some(_) => Err(Refused::Superseded),
            }
        })
    }

    fn forget<'a>(&'a self, _bucket: &'a str, _key: &'a str, _state: &'a Value) -> Work<'a, ()> {
        // The next writing overwrites or deletes what there is.
        Box::pin(async { Ok(()) })
    }
}

/// A document on its way into the collection.
struct QdrantWriting<'a> {
    sink: &'a QdrantSink,
    job: Job<'a>,
    mark: String,
    /// The writing that was looked at; `None`: no point, or not ours.
    over: Option<u64>,
    /// Of this writing.
    writing: u64,
    /// Whether the first point carries this writing's number.
    claimed: bool,
    /// As JSON, not put yet.
    points: Vec<String>,
    bytes: usize,
}

impl Writing for QdrantWriting<'_> {
    fn put<'a>(&'a mut self, records: &'a [Record]) -> Work<'a, ()> {
        Box::pin(async move {
            for record in records {
                // The claim was the first point itself.
                if record.chunk == 0 && self.claimed {
                    continue;
                }
                let embed = match record.chunk {
                    0 => json!(self.head(None)),
                    _ => json!({"writing": self.writing}),
                };
                let point = point(&self.job, record, &self.sink.model, self.sink.text, embed);
                let point = point.map_err(|e| Trouble::passing("a record cannot be put").because(e))?;
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
        })
    }

    fn suspend(&mut self) -> Work<'_, Value> {
        Box::pin(async move {
            self.flush().await?;
            Ok(state(self.writing))
        })
    }

    fn finish<'a>(mut self: Box<Self>, _end: &'a End) -> Work<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move {
            self.flush().await?;
            let Document { bucket, key, .. } = self.job.document;
            let ours = json!({"must": [of_document(bucket, key), exactly(self.writing)]});
            let there = self.sink.store.count(&ours).await?;
            if there != self.job.chunks as u64 {
                let message = format!("{there} of {} points are there", self.job.chunks);
                return Err(self.overtaken().await?.unwrap_or(Refused::StateLost(Trouble::lasting(message))));
            }
            let older = json!({"must": [of_document(bucket, key), before(self.writing)]});
            let first = json!({"must": [{"has_id": [Record::id_of(bucket, key, 0)]}, exactly(self.writing)]});
            let stamped = json!({"embed": self.head(Some(self.job.stamp))});
            let stamp = json!({"payload": stamped, "filter": first});
            self.sink.store.batch(json!([{"delete": {"filter": older}}, {"set_payload": stamp}])).await?;
            self.overtaken().await?.map_or(Ok(()), Err)
        })
    }
}

impl QdrantWriting<'_> {
    /// Puts what was gathered.
    async fn flush(&mut self) -> Result<(), Refused> {
        let mut points = std::mem::take(&mut self.points);
        self.bytes = 0;
        let store = &self.sink.store;
        if !self.claimed && !points.is_empty() {
            let first = [points.remove(0)];
            match self.over {
                None => store.upsert(&first, &json!({"must": [unmarked()]}), Missing::Insert).await?,
                // A point that was there and is gone was removed with its object.
                Some(over) => store.upsert(&first, &json!({"must": [exactly(over)]}), Missing::Leave).await?,
            }
            // Whoever lost has put nothing else yet, and leaves everything as it is.
            match self.found().await? {
                Some(head) if head.writing == self.writing => self.claimed = true,
                _ => return Err(Refused::Superseded),
            }
        }
        if !points.is_empty() {
            let older = json!({"should": [up_to(self.writing), unmarked()]});
            store.upsert(&points, &older, Missing::Insert).await?;
            return self.overtaken().await?.map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// Whether a later writing has begun, or the document was removed; what was put since then is taken back.
    async fn overtaken(&self) -> Result<Option<Refused>, Trouble> {
        let head = self.found().await?;
        if head.is_some_and(|head| head.writing == self.writing) {
            return Ok(None);
        }
        let Document { bucket, key, .. } = self.job.document;
        let ours = json!({"must": [of_document(bucket, key), exactly(self.writing)]});
        self.sink.store.batch(json!([{"delete": {"filter": ours}}])).await?;
        Ok(Some(Refused::Superseded))
    }

    async fn found(&self) -> Result<Option<Head>, Trouble> {
        self.sink.head(&self.job.document.bucket, &self.job.document.key).await
    }

    fn head(&self, stamp: Option<&Stamp>) -> Head {
        let (mark, stamp) = (self.mark.clone(), stamp.map(Stamp::entries));
        Head { writing: self.writing, mark, chunks: self.job.chunks, stamp }
    }
}

fn exactly(writing: u64) -> Value {
    json!({"key": WRITING, "match": {"value": writing}})
}

fn up_to(writing: u64) -> Value {
    json!({"key": WRITING, "range": {"lte": writing}})
}

fn before(writing: u64) -> Value {
    json!({"key": WRITING, "range": {"lt": writing}})
}

/// Points that do not stem from here.
fn unmarked() -> Value {
    json!({"is_empty": {"key": WRITING}})
}
