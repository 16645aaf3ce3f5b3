//! What a model is: a folder with a manifest that names every file, its size and its sha256.
//!
//! ```text
//! folder/manifest.json  ->  Manifest       id, limits, pooling, prefixes
//! folder/<file>         ->  FileEntry      checked by size and hash before its first use
//! ```
//!
//! Nothing outside the manifest is read, and a file name in it cannot leave the folder.

mod folder;
mod manifest;

pub use folder::ModelFolder;
pub use manifest::{FileEntry, Manifest, Pooling};
