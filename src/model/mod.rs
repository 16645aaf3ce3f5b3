//! A model: a folder with a manifest that names every file, its size and its sha256.
//!
//! ```text
//! folder/manifest.json  ->  Manifest       id, limits, pooling, prefixes
//! folder/<file>         ->  FileEntry      checked by size and hash before its first use
//! s3://bucket/prefix    ->  fetch          a folder, written and checked at start
//! ```
//!
//! Nothing outside the manifest is read, and a file name in it cannot leave the folder.

mod download;
#[cfg(test)]
mod download_tests;
mod file_hash;
mod folder;
mod manifest;
#[cfg(test)]
mod test_server;
pub mod upload;

pub use folder::ModelFolder;
pub use manifest::{FileEntry, Manifest, Pooling};

use crate::aws::{self, Attempts};
use crate::config::{Config, S3Location, Verify};
use crate::error::{Error, Result};

/// The object metadata (`x-amz-meta-sha256`) in which an upload states the hash of the whole object.
const SHA256: &str = "sha256";

/// Opens the configured model: the folder in the package, or the one in S3. Blocks; a download runs on a thread of its
/// own, so it may be called from within an I/O runtime as well.
///
/// # Errors
/// The first thing that is missing or wrong, with the remedy.
pub fn open(config: &Config, verify: Verify) -> Result<ModelFolder> {
    match &config.model_s3 {
        None => ModelFolder::open(&config.model_dir, verify)?.with_kernels(config.kernels),
        Some(location) => std::thread::scope(|scope| {
            let fetching = scope.spawn(|| fetch_blocking(config, location));
            fetching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }),
    }
}

fn fetch_blocking(config: &Config, location: &S3Location) -> Result<ModelFolder> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("the runtime of the fetch does not start", e))?;
    runtime.block_on(async {
        let bucket = aws::connect(&config.aws, Attempts::Once).await.bucket(&location.bucket);
        download::fetch(bucket, location, config.kernels, &config.cache_dir, download::INIT_RETRY_POLICY).await
    })
}
