//! A model folder on disk: opens it, and checks its files before their first use.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{FileEntry, Manifest};
use crate::config::{Kernels, Verify};
use crate::error::{Error, Result};

/// A folder whose manifest was read; the other files are opened later.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    pub manifest: Manifest,
    verify: Verify,
}

impl ModelFolder {
    /// Reads `path`'s manifest.
    ///
    /// # Errors
    /// [`Error::Model`] if there is none or it is not understood; the message names the remedy.
    pub fn open(path: &Path, verify: Verify) -> Result<Self> {
        let json = std::fs::read(path.join("manifest.json")).map_err(|source| Error::Model {
            folder: path.to_owned(),
            message: "manifest.json cannot be read; `make model` builds a model folder, EMBED_MODEL_DIR names it"
                .into(),
            source: Some(source.into()),
        })?;
        match Manifest::parse(&json) {
            Ok(manifest) => Ok(Self { path: path.to_owned(), manifest, verify }),
            Err(message) => Err(Error::Model { folder: path.to_owned(), message, source: None }),
        }
    }

    /// The folder with the graph that runs with `kernels`; see [`Manifest::with_kernels`].
    ///
    /// # Errors
    /// [`Error::Model`] if there is no such graph, or if this program does not have its operators.
    pub fn with_kernels(self, kernels: Kernels) -> Result<Self> {
        match self.manifest.with_kernels(kernels) {
            Ok(manifest) => Ok(Self { manifest, ..self }),
            Err(message) => Err(Error::Model { folder: self.path, message, source: None }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens one of the manifest's files.
    pub fn open_file(&self, entry: &FileEntry) -> Result<File> {
        File::open(self.path.join(&entry.path)).map_err(|source| Error::Model {
            folder: self.path.clone(),
            message: format!("{} cannot be opened; `make model` builds the folder anew", entry.path),
            source: Some(source.into()),
        })
    }

    /// Checks `bytes`, the content of `entry`'s file, as `EMBED_VERIFY` demands.
    ///
    /// # Errors
    /// [`Error::Model`] that names the file and both sizes or both hashes.
    pub fn check(&self, entry: &FileEntry, bytes: &[u8]) -> Result<()> {
        let checked = entry.check_size(bytes).and_then(|()| match self.verify {
            Verify::Always => entry.check_hash(bytes),
            Verify::Sizes => Ok(()),
        });
        checked.map_err(|message| self.unusable(format!("{message}; `make model` builds the folder anew")))
    }

    /// An error about this folder.
    pub fn unusable(&self, message: impl Into<String>) -> Error {
        Error::Model { folder: self.path.clone(), message: message.into(), source: None }
    }
}
