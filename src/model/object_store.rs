//! Object stores, as far as a model needs one: a range of an object's bytes, arriving in chunks.
//!
//! ```text
//! ObjectStore::get(key, Want) -> Object { size, sha256, body }
//! Body::next                  -> chunk, chunk, … , None     whole only if as many bytes came as were asked for
//! ```
//!
//! The trait is this narrow so that a store of a test's own making can fail in every way S3 can. A store
//! does not retry: who asks knows what arrived and asks for the rest (see `model::fetch`).

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use hyper::body::Bytes;

use crate::error::StoreError;

/// A store of objects under keys; the bucket is the store's own affair.
pub trait ObjectStore: Send + Sync + 'static {
    /// Asks for an object, or a part of it; returns once its head is there.
    fn get(&self, key: &str, want: &Want) -> impl Future<Output = Result<Object, StoreError>> + Send;
}

/// Which bytes of which version.
#[derive(Debug, Clone, Default)]
pub struct Want {
    /// `None`: all of them.
    pub range: Option<Range<u64>>,
    /// `None`: the latest.
    pub version: Option<String>,
}

/// An object whose bytes are on their way.
pub struct Object {
    /// Bytes of the whole object, whatever range was asked for.
    pub size: u64,
    /// What its uploader said of the whole object's sha256, in lower-case hex.
    pub sha256: Option<String>,
    pub body: Body,
}

/// Chunks in order.
pub struct Body(Box<dyn Chunks>);

/// What a body is made of; cancelling `next` loses nothing but the time.
pub trait Chunks: Send {
    fn next(&mut self) -> NextChunk<'_>;
}

/// The next chunk on its way; `None` at the end.
pub type NextChunk<'a> = Pin<Box<dyn Future<Output = Option<Result<Bytes, StoreError>>> + Send + 'a>>;

impl Body {
    pub fn new(chunks: impl Chunks + 'static) -> Self {
        Self(Box::new(chunks))
    }

    /// The next chunk; `None` at the end, which may come early.
    pub async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        self.0.next().await
    }
}
