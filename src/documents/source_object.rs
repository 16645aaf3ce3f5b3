//! An object's bytes from S3 to a blocking reader, through a channel that bounds what is held.
//!
//! A transfer that breaks off is taken up where it stopped, of the same content (`If-Match`): a long document
//! is read at the speed of its embedding, and S3 ends connections that stand still.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::aws::{Body, Bucket, Found};
use crate::error::Trouble;
use crate::observability::call;

/// Chunks of the body that wait for the reader; hyper's are 16 KB or so.
const WAITING: usize = 32;

/// Transfers that break off one after another without a byte between them.
const ATTEMPTS: u32 = 5;

/// One version of one object.
#[derive(Debug, Clone)]
pub struct Origin {
    pub bucket: Bucket,
    pub key: String,
    pub version: Option<String>,
    pub found: Found,
}

/// Bytes for a thread that may block.
pub struct Feed {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
    ended: bool,
}

/// The task that fills a feed; it ends when dropped.
pub struct Pump {
    task: JoinHandle<Result<(), Trouble>>,
}

/// Time spent waiting for S3, added up by whoever waits.
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

/// Streams `origin` from byte `from` on; `body`, if there is one already, begins there.
pub fn stream(origin: Origin, body: Option<Body>, from: u64, clock: Arc<Clock>) -> (Feed, Pump) {
    let (sender, chunks) = mpsc::channel(WAITING);
    let task = tokio::spawn(call::traced(pump(origin, body, from, sender, clock)));
    (Feed { chunks, current: Bytes::new(), ended: false }, Pump { task })
}

async fn pump(
    origin: Origin,
    mut body: Option<Body>,
    from: u64,
    sender: mpsc::Sender<Bytes>,
    clock: Arc<Clock>,
) -> Result<(), Trouble> {
    let (mut at, mut attempt) = (from, 0);
    while at < origin.found.size {
        let asked = Instant::now();
        let read = next(&origin, &mut body, at).await;
        clock.add(asked.elapsed());
        let trouble = match read {
            Ok(chunk) => {
                (at, attempt) = (at + chunk.len() as u64, 0);
                if !chunk.is_empty() && sender.send(chunk).await.is_err() {
                    // The reader has seen enough.
                    return Ok(());
                }
                continue;
            }
            Err(trouble) => trouble,
        };
        attempt += 1;
        if !trouble.passing || attempt == ATTEMPTS {
            return Err(trouble);
        }
        tracing::debug!(requestId = call::request_id(), attempt, key = origin.key, at, "asking S3 again");
        body = None;
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
    }
    // An empty chunk is the end; a channel that closes without it is a broken one.
    let _ = sender.send(Bytes::new()).await;
    Ok(())
}

/// The next bytes of `body`, which is opened at byte `at` first if need be.
async fn next(origin: &Origin, body: &mut Option<Body>, at: u64) -> Result<Bytes, Trouble> {
    let open = match body {
        Some(open) => open,
        None => {
            let Origin { bucket, key, version, found } = origin;
            body.insert(bucket.get(key, version.as_deref(), Some(&found.etag), at).await?.1)
        }
    };
    open.next().await.unwrap_or_else(|| Err(Trouble::passing(format!("the transfer ended at byte {at}"))))
}

impl Pump {
    /// Why the bytes did not come; `None` where they did.
    pub async fn trouble(mut self) -> Option<Trouble> {
        match (&mut self.task).await {
            Ok(outcome) => outcome.err(),
            Err(ended) => Some(Trouble::passing("reading the object ended early").because(ended)),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.ended && !buffer.is_empty() {
            self.current = self.chunks.blocking_recv().ok_or(io::ErrorKind::BrokenPipe)?;
            self.ended = self.current.is_empty();
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}
