//! A model folder into a bucket: files first, under names that carry their hashes, the manifest last.
//!
//! Until the manifest is there nobody sees the new files, and files of an older model stay beside them, so
//! functions that start meanwhile fetch the older model, whole. What lies there already is not sent again.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use sha2::{Digest, Sha256};

use super::ModelFolder;
use super::manifest::hex;
use super::s3_object_store::{S3ObjectStore, Stored};
use crate::aws::Attempts;
use crate::config::{Aws, S3Location};
use crate::error::{Error, Result, StoreError};

/// What an upload did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub sent: usize,
    pub skipped: usize,
}

/// Uploads `folder`, opened so that its hashes are checked, to `location`; shows progress on standard error.
///
/// # Errors
/// [`Error::Model`] for a folder that does not match its manifest, before anything is sent;
/// [`Error::S3`] for what the bucket refuses.
pub async fn push(folder: &ModelFolder, location: &S3Location, aws: &Aws) -> Result<Pushed> {
    let mut objects = Vec::new();
    for entry in folder.manifest.files.all() {
        let bytes = read(folder, &entry.path)?;
        folder.check(entry, &bytes)?;
        objects.push((location.file_key(&entry.sha256, &entry.path), bytes));
    }
    objects.push((location.manifest_key(), read(folder, "manifest.json")?));

    let store = S3ObjectStore::connect(aws, &location.bucket, Attempts::Standard).await;
    let mut pushed = Pushed::default();
    for (key, bytes) in objects {
        let sent = send_if_new(&store, &key, bytes).await.map_err(|StoreError { message, source, .. }| Error::S3 {
            bucket: location.bucket.clone(),
            key: key.clone(),
            message,
            source,
        })?;
        match sent {
            true => pushed.sent += 1,
            false => pushed.skipped += 1,
        }
    }
    Ok(pushed)
}

fn read(folder: &ModelFolder, name: &str) -> Result<Bytes> {
    let read = std::fs::read(folder.path().join(name));
    read.map(Bytes::from).map_err(|e| folder.unusable(format!("{name} cannot be read: {e}")))
}

/// Whether it had to be sent.
async fn send_if_new(store: &S3ObjectStore, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    let new = Stored { size: bytes.len() as u64, sha256: Some(hex(&sha256)) };
    if store.stored(key).await? == Some(new) {
        eprintln!("{key}: there already");
        return Ok(false);
    }
    let progress = Arc::new(ProgressLine::new(key, bytes.len()));
    let shown = Arc::clone(&progress);
    store.put(key, bytes, sha256, move |chunk| shown.count(chunk)).await?;
    progress.end();
    Ok(true)
}

/// One line that updates itself on a terminal, one every few seconds elsewhere.
struct ProgressLine {
    label: String,
    total: usize,
    started: Instant,
    state: Mutex<(usize, Instant)>,
}

impl ProgressLine {
    fn new(label: &str, total: usize) -> Self {
        let now = Instant::now();
        Self { label: label.to_owned(), total, started: now, state: Mutex::new((0, now)) }
    }

    /// Another chunk, or a new attempt from the start.
    fn count(&self, chunk: Option<usize>) {
        let terminal = std::io::stderr().is_terminal();
        let pause = if terminal { Duration::from_millis(100) } else { Duration::from_secs(5) };
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.0 = chunk.map_or(0, |bytes| state.0 + bytes);
        if state.1.elapsed() >= pause {
            state.1 = Instant::now();
            self.show(state.0, terminal, false);
        }
    }

    fn end(&self) {
        self.show(self.total, std::io::stderr().is_terminal(), true);
    }

    fn show(&self, done: usize, terminal: bool, last: bool) {
        let mb = |bytes: usize| bytes as f64 / 1e6;
        let speed = mb(done) / self.started.elapsed().as_secs_f64().max(1e-6);
        let line = format!("{}: {:.1} of {:.1} MB, {speed:.1} MB/s", self.label, mb(done), mb(self.total));
        let (before, after) = match terminal {
            true => ("\r\x1b[K", if last { "\n" } else { "" }),
            false => ("", "\n"),
        };
        // Standard error that is closed is no reason to fail.
        let _ = write!(std::io::stderr(), "{before}{line}{after}");
    }
}
