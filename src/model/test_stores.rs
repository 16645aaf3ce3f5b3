//! Stores for tests: one in memory, and one that fails as it is told.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Bytes;

use super::manifest::hex;
use super::object_store::{Body, Chunks, NextChunk, Object, ObjectStore, Want};
use crate::error::StoreError;

/// Objects in memory, handed out in chunks.
#[derive(Default)]
pub struct MemoryStore {
    pub objects: HashMap<String, Bytes>,
    pub chunk_bytes: usize,
    /// What was asked for, in order.
    pub asked: Mutex<Vec<(String, Want)>>,
}

impl ObjectStore for MemoryStore {
    async fn get(&self, key: &str, want: &Want) -> Result<Object, StoreError> {
        self.asked.lock().unwrap().push((key.to_owned(), want.clone()));
        let whole = self.objects.get(key).ok_or_else(|| StoreError::permanent("there is no such object"))?;
        let range = want.range.clone().unwrap_or(0..whole.len() as u64);
        let bytes = whole.slice(range.start as usize..range.end as usize);
        let pieces = bytes.chunks(self.chunk_bytes.max(1)).rev().map(|chunk| Ok(bytes.slice_ref(chunk))).collect();
        let sha256 = Some(hex(&<sha2::Sha256 as sha2::Digest>::digest(whole)));
        Ok(Object { size: whole.len() as u64, sha256, body: Body::new(Pieces(pieces)) })
    }
}

/// The pieces of a body, the last one first.
pub struct Pieces(pub Vec<Result<Bytes, StoreError>>);

impl Chunks for Pieces {
    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(std::future::ready(self.0.pop()))
    }
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// WriteError before any byte; asking again may help.
    Retryable,
    /// WriteError for good.
    Permanent,
    /// Breaks off after one chunk, with an error.
    Reset,
    /// Ends after one chunk as if that were all.
    Truncated,
    /// One bit of the first chunk is another.
    Flipped,
    /// No answer.
    Silence,
}

/// A store over another one whose requests fail by `plan`, given the request's number and key.
pub struct FailureStore<P> {
    pub inner: MemoryStore,
    pub plan: P,
    pub requests: AtomicUsize,
}

impl<P: Fn(usize, &str) -> Fault + Send + Sync + 'static> ObjectStore for FailureStore<P> {
    async fn get(&self, key: &str, want: &Want) -> Result<Object, StoreError> {
        let fault = (self.plan)(self.requests.fetch_add(1, Ordering::SeqCst), key);
        match fault {
            Fault::Retryable => return Err(StoreError::retryable("503 SlowDown")),
            Fault::Permanent => return Err(StoreError::permanent("403 AccessDenied")),
            Fault::Silence => std::future::pending().await,
            _ => {}
        }
        let mut object = self.inner.get(key, want).await?;
        if fault == Fault::None {
            return Ok(object);
        }
        let mut first = object.body.next().await.expect("objects of tests are not empty")?;
        let mut pieces = vec![];
        match fault {
            Fault::Reset => pieces.push(Err(StoreError::retryable("connection reset"))),
            Fault::Flipped => {
                while let Some(piece) = object.body.next().await {
                    pieces.insert(0, piece);
                }
                let mut bytes = first.to_vec();
                bytes[0] ^= 1;
                first = bytes.into();
            }
            _ => {}
        }
        pieces.push(Ok(first));
        object.body = Body::new(Pieces(pieces));
        Ok(object)
    }
}
