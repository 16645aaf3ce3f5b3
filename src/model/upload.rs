//! Uploads a model folder: first the files, under names that hold their hashes, then the manifest.
//!
//! Readers follow the manifest, and files of an older model stay beside the new ones. So a function that starts
//! meanwhile downloads the older model completely. Files that are in the bucket already are not sent again.

use std::collections::BTreeMap;
use std::time::Instant;

use hyper::body::Bytes;
use sha2::{Digest, Sha256};

use super::manifest::hex;
use super::{ModelFolder, SHA256};
use crate::aws::{self, Attempts, Bucket, Headers, Precondition};
use crate::config::{Aws, S3Location};
use crate::error::{Error, Result, StoreError, StoreErrorKind};

/// What an upload did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub sent: usize,
    pub skipped: usize,
}

/// Uploads `folder`, opened so that its hashes are checked, to `location`; says on standard error what it sends.
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

    let bucket = aws::connect(aws, Attempts::Standard).await.bucket(&location.bucket);
    let mut pushed = Pushed::default();
    for (key, bytes) in objects {
        let sent = send_if_new(&bucket, &key, bytes).await.map_err(|StoreError { message, source, .. }| Error::S3 {
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
async fn send_if_new(bucket: &Bucket, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
    let (size, sha256) = (bytes.len() as u64, hex(&Sha256::digest(&bytes)));
    let stored = match bucket.head(key, None).await {
        // Without s3:ListBucket a missing object looks like a forbidden one.
        Err(StoreError { kind: StoreErrorKind::AccessDenied, .. }) => None,
        answer => answer?,
    };
    if stored.is_some_and(|stored| stored.size == size && stored.metadata.get(SHA256) == Some(&sha256)) {
        eprintln!("{key}: there already");
        return Ok(false);
    }
    let (megabytes, started) = (size as f64 / 1e6, Instant::now());
    eprintln!("{key}: sending {megabytes:.1} MB");
    let metadata = BTreeMap::from([(SHA256.to_owned(), sha256)]);
    let headers = Headers { content_type: "application/octet-stream", metadata: &metadata };
    bucket.put(key, bytes, headers, Precondition::None).await?;
    eprintln!("{key}: sent in {:.1} s", started.elapsed().as_secs_f64());
    Ok(true)
}
