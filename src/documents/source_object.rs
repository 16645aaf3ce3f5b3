//! An object's bytes from S3 to a blocking reader, through a channel that bounds what is held.
//!
//! A transfer that breaks off goes on where it stopped, with the same content (`If-Match`): a long document is read
//! at the speed of its embedding, and S3 ends connections that stand still.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::aws::{Body, Bucket, ObjectMetadata, Retry, RetryPolicy};
use crate::error::StoreError;
use crate::observability::call;

/// Pieces of the body that wait for the reader; hyper's have some 16 KB.
const WAITING: usize = 32;

/// S3 answers within 0.2 s as a rule, and its client asks again by itself; what lasts longer than this is left to the
/// event's next delivery.
const READ_RETRY_POLICY: RetryPolicy = RetryPolicy {
    give_up_after: Duration::from_secs(10),
    response_timeout: Duration::from_secs(30),
    first_delay: Duration::from_millis(200),
    max_delay: Duration::from_secs(2),
};

/// One version of one object.
#[derive(Debug, Clone)]
pub struct SourceObject {
    pub bucket: Bucket,
    pub key: String,
    pub version: Option<String>,
    pub metadata: ObjectMetadata,
}

/// The object's bytes for a thread that may block.
pub struct ObjectReader {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
    ended: bool,
}

/// The task that fetches ahead of a reader; it ends when this is dropped.
pub struct Prefetcher {
    task: JoinHandle<Result<(), StoreError>>,
}

/// The time that a document's tasks spent waiting for S3.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    pub fn total(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Streams `source_object` from byte `from` on. A `body` that is open already begins at that byte.
pub fn stream(
    source_object: SourceObject,
    body: Option<Body>,
    from: u64,
    clock: Arc<Clock>,
) -> (ObjectReader, Prefetcher) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let task = tokio::spawn(call::traced(prefetch(source_object, body, from, sender, clock)));
    (ObjectReader { pieces, current: Bytes::new(), ended: false }, Prefetcher { task })
}

async fn prefetch(
    source_object: SourceObject,
    mut body: Option<Body>,
    from: u64,
    sender: mpsc::Sender<Bytes>,
    clock: Arc<Clock>,
) -> Result<(), StoreError> {
    let retry = Retry::new(READ_RETRY_POLICY);
    let (mut at, mut attempt) = (from, 0);
    while at < source_object.metadata.size {
        let asked = Instant::now();
        let read = retry.in_time("S3 did not answer", next(&source_object, &mut body, at)).await;
        clock.add(asked.elapsed());
        match read {
            Ok(piece) if piece.is_empty() => {}
            Ok(piece) => {
                (at, attempt) = (at + piece.len() as u64, 0);
                retry.made_progress();
                if sender.send(piece).await.is_err() {
                    // Nobody reads any more.
                    return Ok(());
                }
            }
            Err(error) => {
                body = None;
                retry.again(&mut attempt, error).await?;
            }
        }
    }
    // An empty piece marks the end: a channel that closes without it means a failed transfer.
    let _ = sender.send(Bytes::new()).await;
    Ok(())
}

/// The next bytes of `body`; opens it at byte `at` if it is not open.
async fn next(source_object: &SourceObject, body: &mut Option<Body>, at: u64) -> Result<Bytes, StoreError> {
    let open = match body {
        Some(open) => open,
        None => {
            let SourceObject { bucket, key, version, metadata } = source_object;
            body.insert(bucket.get(key, version.as_deref(), Some(&metadata.etag), at).await?.1)
        }
    };
    open.next().await.unwrap_or_else(|| Err(StoreError::retryable(format!("the transfer ended at byte {at}"))))
}

impl Prefetcher {
    /// Why the bytes did not come; `None` if all of them came. Waits for the task's end, so it is called once.
    pub async fn error(&mut self) -> Option<StoreError> {
        match (&mut self.task).await {
            Ok(outcome) => outcome.err(),
            Err(ended) => Some(StoreError::retryable("reading the object ended early").with_source(ended)),
        }
    }
}

impl Drop for Prefetcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.ended && !buffer.is_empty() {
            self.current = self.pieces.blocking_recv().ok_or(io::ErrorKind::BrokenPipe)?;
            self.ended = self.current.is_empty();
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}
