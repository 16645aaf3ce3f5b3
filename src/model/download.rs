//! Downloads a model from S3 into a local folder, and verifies it on the way.
//!
//! ```text
//! prefix/manifest.json ──> Manifest ──> cache/<sha256 of the manifest>/
//! prefix/<sha256>/<file>   parts of 4 MiB, 4 at a time ──> <file>.part ──> sha256 as it grows ──> <file>
//! ```
//!
//! Invariants:
//! - a file gets its final name once it is complete and has its manifest's hash; a later start hashes it again
//!   before use, whatever `EMBED_VERIFY` says;
//! - bytes are written to the file as they arrive and hashed as read back, so the hash is of what will be mapped, and
//!   memory does not grow with the model: a function of 128 MB suffices;
//! - one process downloads at a time: it holds a file lock, which the kernel frees when the process dies. So a `.part`
//!   file that it finds is of a dead process, and is overwritten;
//! - nothing is synced to disk: a crash that loses written pages loses the sandbox's `/tmp` as well.

use std::fs::{File, TryLockError};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::file_hash::{self, Growth};
use super::manifest::hex;
use super::{FileEntry, Manifest, ModelFolder, SHA256};
use crate::aws::{Body, Bucket, ObjectMetadata, Retry, RetryPolicy};
use crate::config::{Kernels, S3Location, Verify};
use crate::error::{Error, Result, StoreError, StoreErrorKind};

/// Lambda stops an init after 10 s. A transfer without a new byte is given up after at most 5 + 2.5 s, so that the start
/// still has time to fail with its cause instead of being cut off without one. S3 answers within 0.2 s as a rule, and
/// AWS advises to ask again rather than to wait longer.
pub const INIT_RETRY_POLICY: RetryPolicy = RetryPolicy {
    give_up_after: Duration::from_millis(5_000),
    response_timeout: Duration::from_millis(2_500),
    first_delay: Duration::from_millis(50),
    max_delay: Duration::from_millis(1_000),
};

/// Bytes of one ranged request. Large enough that a request's latency (some 30 ms) is small beside its
/// transfer, small enough that a model of 34 MB keeps every connection busy.
const PART_BYTES: u64 = 4 * 1024 * 1024;
/// Requests under way. One connection to S3 carries up to about 90 MB/s; four fill a function's network.
const PARTS_AT_ONCE: usize = 4;
/// A manifest has some thousand bytes; a larger object is something else.
const MANIFEST_BYTES: u64 = 1024 * 1024;

/// Downloads the model at `location` into `cache`, or uses the files that are there already. Of two graphs it takes the one
/// that runs with `kernels`.
///
/// # Errors
/// [`Error::S3`] with bucket, key and cause: the store's error, a hash that is wrong, a disk that is full.
pub async fn fetch(
    bucket: Bucket,
    location: &S3Location,
    kernels: Kernels,
    cache: &Path,
    policy: RetryPolicy,
) -> Result<ModelFolder> {
    let fetch = Fetch {
        bucket,
        location: location.clone(),
        kernels,
        retry: Retry::new(policy),
        connections: Semaphore::new(PARTS_AT_ONCE),
    };
    Arc::new(fetch).into_folder(cache).await
}

struct Fetch {
    /// Its client does not retry: the fetch knows what arrived and asks for the rest.
    bucket: Bucket,
    location: S3Location,
    kernels: Kernels,
    retry: Retry,
    /// A permit for each request under way; first come, first served, so parts arrive about in order.
    connections: Semaphore,
}

/// A file of the model: where it comes from and where it goes.
struct Download {
    key: String,
    entry: FileEntry,
    part: PathBuf,
    whole: PathBuf,
}

impl Fetch {
    async fn into_folder(self: Arc<Self>, cache: &Path) -> Result<ModelFolder> {
        let started = Instant::now();
        let manifest_key = self.location.manifest_key();
        let json = self.small_object(&manifest_key).await.map_err(|error| self.failed(&manifest_key, error))?;
        let manifest = Manifest::parse(&json).and_then(|manifest| manifest.with_kernels(self.kernels));
        let manifest = manifest.map_err(|message| self.failed(&manifest_key, StoreError::permanent(message)))?;
        let manifest_took = started.elapsed();
        let folder = cache.join(hex(&Sha256::digest(&json)));
        let needed = manifest.files.all().map(|file| file.size).sum();
        let unusable = |error: std::io::Error| self.failed(&manifest_key, disk_error(&folder, error, needed));
        std::fs::create_dir_all(&folder).map_err(unusable)?;
        // Held until the end of this function.
        let _alone = lock(&folder.join(".lock")).await.map_err(unusable)?;
        // An early return drops it, which ends the transfers.
        let mut files = JoinSet::new();
        for entry in manifest.files.all() {
            let (fetch, folder, entry) = (Arc::clone(&self), folder.clone(), entry.clone());
            files.spawn(async move { fetch.bring(&folder, &entry, needed).await });
        }
        while let Some(brought) = files.join_next().await {
            brought.map_err(|e| Error::internal("a transfer ended early", e))??;
        }
        let part = folder.join("manifest.json.part");
        std::fs::write(&part, &json).map_err(unusable)?;
        std::fs::rename(&part, folder.join("manifest.json")).map_err(unusable)?;
        let ms = |took: Duration| took.as_millis() as u64;
        tracing::debug!(
            manifest_ms = ms(manifest_took),
            files_ms = ms(started.elapsed() - manifest_took),
            "model fetched"
        );
        // Every file was hashed just now; sizes are compared once more when they are mapped.
        ModelFolder::open(&folder, Verify::Sizes)?.with_kernels(self.kernels)
    }

    /// A small object whole, checked against the hash in its metadata if there is one.
    async fn small_object(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        self.retry.run(|| self.small_object_once(key)).await
    }

    async fn small_object_once(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        let request = self.bucket.get(key, self.location.version.as_deref(), None, 0);
        let (object, mut body) = self.answered(request).await?;
        if object.size > MANIFEST_BYTES {
            return Err(StoreError::permanent(format!("{} bytes are too many for a manifest", object.size)));
        }
        let mut bytes = Vec::with_capacity(object.size as usize);
        while let Some(chunk) = self.next_chunk(&mut body).await? {
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 != object.size {
            return Err(cut_short(bytes.len() as u64, object.size));
        }
        let found = hex(&Sha256::digest(&bytes));
        match object.metadata.get(SHA256) {
            Some(promised) if *promised != found => Err(StoreError::permanent(format!(
                "corrupted: its sha256 is {found}, its uploader said {promised}; upload it anew (make push-model)"
            ))),
            _ => Ok(bytes),
        }
    }

    /// Downloads `entry`'s file into `folder`, unless a good one is there.
    async fn bring(self: &Arc<Self>, folder: &Path, entry: &FileEntry, needed: u64) -> Result<()> {
        let download = Download {
            key: self.location.file_key(&entry.sha256, &entry.path),
            entry: entry.clone(),
            part: folder.join(format!("{}.{}.part", entry.path, entry.sha256)),
            whole: folder.join(&entry.path),
        };
        if kept(&download).await {
            return Ok(());
        }
        let downloaded = self.download(&download, needed).await;
        downloaded.map_err(|error| {
            // Best effort: the next start removes what is still there.
            let _ = std::fs::remove_file(&download.part);
            self.failed(&download.key, error)
        })
    }

    async fn download(self: &Arc<Self>, download: &Download, needed: u64) -> Result<(), StoreError> {
        let on_disk = |error| disk_error(&download.part, error, needed);
        // Truncates what a process that was killed may have left.
        let options = File::options().read(true).write(true).create(true).truncate(true).clone();
        let file = Arc::new(options.open(&download.part).map_err(on_disk)?);
        let size = download.entry.size;
        let (growth, hash) = file_hash::hash(Arc::clone(&file), size, PART_BYTES);
        let mut parts_under_way = JoinSet::new();
        for (place, range) in parts(size).into_iter().enumerate() {
            let (fetch, file, growth) = (Arc::clone(self), Arc::clone(&file), growth.clone());
            let key = download.key.clone();
            parts_under_way.spawn(async move { fetch.part(&key, size, place, range, &file, &growth).await });
        }
        while let Some(done) = parts_under_way.join_next().await {
            match done.map_err(|e| StoreError::permanent("a transfer ended early").with_source(e))? {
                Ok(()) => {}
                Err(PartFailed::Store(error)) => return Err(error),
                Err(PartFailed::Disk(error)) => return Err(on_disk(error)),
            }
        }
        drop(growth);
        let found = hash.await.map_err(on_disk)?;
        if found != download.entry.sha256 {
            return Err(StoreError::permanent(format!(
                "corrupted: the sha256 of what came is {found}, the manifest says {}; upload the model anew \
                 (make push-model)",
                download.entry.sha256
            )));
        }
        std::fs::rename(&download.part, &download.whole).map_err(on_disk)
    }

    /// Downloads one part; after a failure it continues where the transfer broke off.
    async fn part(
        &self,
        key: &str,
        size: u64,
        place: usize,
        range: Range<u64>,
        file: &File,
        growth: &Growth,
    ) -> Result<(), PartFailed> {
        let (mut at, mut attempt) = (range.start, 0);
        while at < range.end {
            let before = at;
            let permit = self.connections.acquire().await;
            let received = self.receive(key, size, &mut at, range.end, file, |at| growth.reached(place, at)).await;
            // While this part waits before its next attempt, others use the connection.
            drop(permit);
            if at > before {
                attempt = 0;
            }
            match received {
                Ok(()) => {}
                Err(PartFailed::Store(error)) => {
                    self.retry.again(&mut attempt, error).await.map_err(PartFailed::Store)?;
                }
                Err(disk) => return Err(disk),
            }
        }
        Ok(())
    }

    /// Writes the bytes from `at` to `end` into `file` as they arrive; `at` is how far it got.
    async fn receive(
        &self,
        key: &str,
        size: u64,
        at: &mut u64,
        end: u64,
        file: &File,
        reached: impl Fn(u64),
    ) -> Result<(), PartFailed> {
        let request = self.bucket.get_range(key, *at..end);
        let (object, mut body) = self.answered(request).await.map_err(PartFailed::Store)?;
        if object.size != size {
            let message =
                format!("{} bytes, the manifest says {size}; upload the model anew (make push-model)", object.size);
            return Err(PartFailed::Store(StoreError::permanent(message)));
        }
        while let Some(chunk) = self.next_chunk(&mut body).await.map_err(PartFailed::Store)? {
            if chunk.len() as u64 > end - *at {
                return Err(PartFailed::Store(StoreError::permanent("more bytes came than were asked for")));
            }
            // A write into the page cache is faster than handing it to another thread.
            file.write_all_at(&chunk, *at).map_err(PartFailed::Disk)?;
            *at += chunk.len() as u64;
            reached(*at);
        }
        match *at == end {
            true => Ok(()),
            false => Err(PartFailed::Store(cut_short(*at, end))),
        }
    }

    async fn answered(
        &self,
        request: impl Future<Output = Result<(ObjectMetadata, Body), StoreError>>,
    ) -> Result<(ObjectMetadata, Body), StoreError> {
        let silence = "S3 did not answer (a function in a VPC needs a gateway endpoint for S3)";
        self.retry.in_time(silence, request).await
    }

    async fn next_chunk(&self, body: &mut Body) -> Result<Option<hyper::body::Bytes>, StoreError> {
        let next = async { body.next().await.transpose() };
        let chunk = self.retry.in_time("the transfer stopped: no byte came", next).await?;
        if chunk.as_ref().is_some_and(|chunk| !chunk.is_empty()) {
            self.retry.made_progress();
        }
        Ok(chunk)
    }

    fn failed(&self, key: &str, error: StoreError) -> Error {
        let StoreError { mut message, source, kind, .. } = error;
        if kind == StoreErrorKind::NotFound {
            message += "; `make push-model` uploads a model";
        }
        Error::S3 { bucket: self.location.bucket.clone(), key: key.to_owned(), message, source }
    }
}

enum PartFailed {
    Store(StoreError),
    Disk(std::io::Error),
}

/// Whether a good file is there already; removes a damaged one.
async fn kept(download: &Download) -> bool {
    let Ok(file) = File::open(&download.whole) else { return false };
    let size = download.entry.size;
    let right_size = file.metadata().is_ok_and(|metadata| metadata.len() == size);
    if right_size {
        let (growth, hash) = file_hash::hash(Arc::new(file), size, size.max(1));
        growth.reached(0, size);
        drop(growth);
        if hash.await.is_ok_and(|found| found == download.entry.sha256) {
            return true;
        }
    }
    tracing::warn!("{} is damaged and is fetched again", download.whole.display());
    let _ = std::fs::remove_file(&download.whole);
    false
}

/// The ranges of a file of `size` bytes; none for an empty one.
fn parts(size: u64) -> Vec<Range<u64>> {
    (0..size.div_ceil(PART_BYTES)).map(|part| part * PART_BYTES..size.min((part + 1) * PART_BYTES)).collect()
}

/// Waits for the lock on `path`. Under Lambda no other process holds it.
async fn lock(path: &Path) -> std::io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn cut_short(came: u64, expected: u64) -> StoreError {
    StoreError::retryable(format!("the transfer broke off at byte {came} of {expected}"))
}

/// An error of the disk, with the remedy: more ephemeral storage, or another folder.
fn disk_error(path: &Path, error: std::io::Error, needed: u64) -> StoreError {
    use std::io::ErrorKind;
    let needed = needed.div_ceil(1_000_000);
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => format!(
            "the model takes {needed} MB: raise the function's ephemeral storage (EphemeralStorage in the template)"
        ),
        _ => "EMBED_CACHE_DIR must name a folder that can be written; under Lambda that is /tmp alone".to_owned(),
    };
    StoreError::permanent(format!("{} cannot be written: {remedy}", path.display())).with_source(error)
}
