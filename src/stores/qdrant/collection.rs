//! One collection of Qdrant: created or checked once, then five requests, with errors that say what to do.

use http::{Method, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::payload::{GENERATION, SOURCE};
use super::point_vectors::Vectors;
use crate::error::{StoreError, StoreErrorKind};
use crate::stores::qdrant::rest_client::{RestClient, RestResponse};

/// The first version that knows `update_filter` (1.16) and `update_mode`; older ones ignore them, so that a race
/// would go unnoticed.
const OLDEST: (u32, u32) = (1, 17);

/// The answer comes after the write is applied, and every replica applies writes in the same order.
const WRITE: &str = "wait=true&ordering=strong";

/// What an upsert does with a point that does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Insert,
    Leave,
}

/// A collection.
pub struct Collection {
    http: RestClient,
    collection: String,
    pub vectors: Vectors,
    /// Whether the collection was found to be usable.
    ready: Mutex<bool>,
}

impl Collection {
    /// Sends nothing yet. The collection's name needs no encoding in a URL.
    pub fn new(http: RestClient, collection: &str, vectors: Vectors) -> Self {
        Self { http, collection: collection.to_owned(), vectors, ready: Mutex::new(false) }
    }

    /// Creates the collection with its indexes, or checks the existing one; once a process.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let mut ready = self.ready.lock().await;
        if !*ready {
            self.check_version().await?;
            let info = match self.info().await? {
                Some(info) => info,
                None => {
                    // If another function was faster, the creation fails and the collection exists.
                    let created = self.create().await;
                    let info = self.info().await?;
                    created.err().filter(|_| info.is_none()).map_or(Ok(()), Err)?;
                    info.ok_or_else(|| StoreError::retryable("Qdrant made a collection that is not there"))?
                }
            };
            self.check_vectors(&info["config"]["params"])?;
            self.index(&info["payload_schema"]).await?;
            *ready = true;
        }
        Ok(())
    }

    /// Asks whether the collection can be used, without making it; the answer is for people.
    pub async fn check(&self) -> Result<String, StoreError> {
        let version = self.check_version().await?;
        let collection = &self.collection;
        Ok(match self.info().await? {
            Some(info) => {
                self.check_vectors(&info["config"]["params"])?;
                format!("Qdrant {version}; the collection {collection} has the right vectors")
            }
            None => format!("Qdrant {version}; the collection {collection} is made with the first document"),
        })
    }

    /// The payload's field `embed` of a point; `None` where there is no such point.
    pub async fn embed(&self, id: Uuid) -> Result<Option<Value>, StoreError> {
        let body = json!({"ids": [id], "with_payload": ["embed"], "with_vector": false});
        let mut found = self.points(&Method::POST, "?consistency=majority", body.to_string()).await?;
        Ok(found.get_mut(0).map(|point| point["payload"]["embed"].take()))
    }

    /// Puts `points`, JSON each; an existing point is overwritten only if it meets `filter`.
    pub async fn upsert(&self, points: &[String], filter: &Value, missing: Missing) -> Result<(), StoreError> {
        let mode = match missing {
            Missing::Insert => "upsert",
            Missing::Leave => "update_only",
        };
        let body = format!(r#"{{"points":[{}],"update_filter":{filter},"update_mode":"{mode}"}}"#, points.join(","));
        let done = self.points(&Method::PUT, &format!("?{WRITE}"), body).await?;
        completed(&done)
    }

    /// Applies `operations` one after another; together they are not atomic.
    pub async fn batch(&self, operations: Value) -> Result<(), StoreError> {
        let body = json!({"operations": operations}).to_string();
        let done = self.points(&Method::POST, &format!("/batch?{WRITE}"), body).await?;
        done.as_array().into_iter().flatten().try_for_each(completed)
    }

    /// How many points meet `filter`.
    pub async fn count(&self, filter: &Value) -> Result<u64, StoreError> {
        let body = json!({"filter": filter, "exact": true}).to_string();
        let counted = self.points(&Method::POST, "/count?consistency=majority", body).await?;
        counted["count"].as_u64().ok_or_else(|| StoreError::retryable("Qdrant counted without a number"))
    }

    async fn points(&self, method: &Method, rest: &str, body: String) -> Result<Value, StoreError> {
        let answered = self.ask(method, &format!("{}/points{rest}", self.path()), body).await;
        if matches!(&answered, Err(error) if error.kind == StoreErrorKind::NotFound) {
            // The collection was removed; the next attempt creates it again.
            *self.ready.lock().await = false;
        }
        answered
    }

    /// The server's version; empty where it does not say it.
    async fn check_version(&self) -> Result<String, StoreError> {
        let about = self.ask(&Method::GET, "/", String::new()).await?;
        let version = about["version"].as_str().unwrap_or_default();
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        match parts.next().zip(parts.next()) {
            Some(found) if found < OLDEST => Err(StoreError::permanent(format!(
                "Qdrant {version} does not know conditional updates; it has to be {}.{} or later",
                OLDEST.0, OLDEST.1
            ))),
            Some(_) => Ok(version.to_owned()),
            None => {
                tracing::warn!(
                    "EMBED_QDRANT_URL does not say which version of Qdrant it is; conditional updates are \
                                taken for granted"
                );
                Ok(String::new())
            }
        }
    }

    async fn info(&self) -> Result<Option<Value>, StoreError> {
        match self.ask(&Method::GET, &self.path(), String::new()).await {
            Ok(info) => Ok(Some(info)),
            Err(StoreError { kind: StoreErrorKind::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self) -> Result<(), StoreError> {
        self.ask(&Method::PUT, &self.path(), self.vectors.create().to_string()).await?;
        tracing::info!(collection = self.collection, "made the collection");
        Ok(())
    }

    fn check_vectors(&self, params: &Value) -> Result<(), StoreError> {
        self.vectors.check(params).map_err(|found| {
            StoreError::permanent(format!(
                "the collection {} {found}: name another collection in EMBED_QDRANT_COLLECTION, which is made if it is \
                 not there",
                self.collection
            ))
        })
    }

    /// Makes an index for every field that a filter names: without one Qdrant reads every point, and its strict mode
    /// rejects the request.
    async fn index(&self, there: &Value) -> Result<(), StoreError> {
        for (field, schema) in [(SOURCE, "keyword"), (GENERATION, "integer")] {
            if there[field].is_null() {
                let body = json!({"field_name": field, "field_schema": schema}).to_string();
                self.ask(&Method::PUT, &format!("{}/index?{WRITE}", self.path()), body).await?;
            }
        }
        Ok(())
    }

    fn path(&self) -> String {
        format!("/collections/{}", self.collection)
    }

    /// Sends a request; the answer's `result`, or the whole answer where it has none.
    async fn ask(&self, method: &Method, path: &str, body: String) -> Result<Value, StoreError> {
        let answer = self.http.ask(method, path, &Bytes::from(body)).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer, &self.collection));
        }
        let mut answer: Value = serde_json::from_slice(&answer.body).map_err(|e| {
            StoreError::permanent("EMBED_QDRANT_URL does not lead to Qdrant: its answer is no JSON").with_source(e)
        })?;
        Ok(match answer.get_mut("result") {
            Some(result) => result.take(),
            None => answer,
        })
    }
}

fn completed(done: &Value) -> Result<(), StoreError> {
    match done["status"].as_str() {
        Some("completed") => Ok(()),
        other => {
            Err(StoreError::retryable(format!("Qdrant took a write without finishing it ({})", other.unwrap_or("?"))))
        }
    }
}

fn refused(answer: &RestResponse, collection: &str) -> StoreError {
    let (kind, remedy) = match answer.status.as_u16() {
        401 | 403 => (
            StoreErrorKind::AccessDenied,
            format!("access denied; EMBED_QDRANT_API_KEY has to write to {collection}; "),
        ),
        404 => (StoreErrorKind::NotFound, String::new()),
        413 => (StoreErrorKind::Other, "a chunk is larger than Qdrant's service.max_request_size_mb; ".to_owned()),
        _ => (StoreErrorKind::Other, String::new()),
    };
    StoreError { kind, ..StoreError::permanent(format!("{remedy}{}", answer.describe("Qdrant"))) }
}
