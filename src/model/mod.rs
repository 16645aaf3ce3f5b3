//! What a model is: a folder with a manifest that names every file, its size and its sha256.
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
mod object_store;
mod s3_object_store;
#[cfg(test)]
mod test_stores;
mod transfer_retry;
pub mod upload;

pub use folder::ModelFolder;
pub use manifest::{FileEntry, Manifest, Pooling};

use crate::aws::Attempts;
use crate::config::{Config, S3Location, Verify};
use crate::error::{Error, Result};

/// Opens the configured model: the folder in the package, or what S3 has. Blocks; a fetch runs on a thread
/// of its own, so it may be called from within an I/O runtime as well.
///
/// # Errors
/// The first thing that is missing or wrong, with what mends it.
pub fn open(config: &Config, verify: Verify) -> Result<ModelFolder> {
    match &config.model_s3 {
        None => ModelFolder::open(&config.model_dir, verify),
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
        let store = s3_object_store::S3ObjectStore::connect(&config.aws, &location.bucket, Attempts::Once).await;
        download::fetch(store, location, &config.cache_dir, transfer_retry::INIT_RETRY_POLICY).await
    })
}
