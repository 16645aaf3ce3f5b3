//! `manifest.json`: what a model is, and the size and hash of each of its files.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::Kernels;

/// The one format this program reads.
const FORMAT: u32 = 1;

/// How token vectors become one text vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The first token's vector.
    Cls,
    /// The mean over all tokens.
    Mean,
}

/// A model folder's manifest, checked.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    format: u32,
    /// Short id, as in `models/<id>`.
    pub id: String,
    /// The name its makers gave it, as in `BAAI/bge-small-en-v1.5`.
    pub name: String,
    pub revision: String,
    /// SPDX licence expression.
    pub license: String,
    /// Floats in a vector.
    pub dimensions: usize,
    /// Shorter lengths that the model was trained to be cut to (Matryoshka); empty for most models.
    #[serde(default)]
    pub matryoshka_dimensions: Vec<usize>,
    /// Tokens in one run, special tokens included.
    pub max_tokens: usize,
    pub pooling: Pooling,
    /// Put before a query.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before a passage.
    #[serde(default)]
    pub passage_prefix: String,
    /// The version of this project's own operators that the graph uses; none if it has operators of ONNX Runtime alone.
    #[serde(default)]
    pub operators: Option<u32>,
    /// How the weights were quantized, for readers.
    #[serde(default)]
    pub quantization: String,
    /// A warning to its users, shown wherever the model is named.
    #[serde(default)]
    pub note: Option<String>,
    /// A text and its vector, which a start embeds and compares; without it a start has no self-test.
    #[serde(default, rename = "probe")]
    pub self_test: Option<SelfTest>,
    pub files: Files,
}

/// A text and its vector by the weights before they were quantized.
#[derive(Debug, Clone, Deserialize)]
pub struct SelfTest {
    /// Embedded as it stands, without a prefix.
    pub text: String,
    /// `[dimensions]`, of any length but zero.
    pub vector: Vec<f32>,
}

/// The files a model consists of.
#[derive(Debug, Clone, Deserialize)]
pub struct Files {
    pub model: FileEntry,
    /// The same model in ONNX Runtime's operators alone, if `model` has others.
    #[serde(default)]
    pub standard_model: Option<FileEntry>,
    pub tokenizer: FileEntry,
}

/// One file: its path inside the folder, its size in bytes and its sha256 in lower-case hex.
#[derive(Debug, Clone, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub size: u64,
    pub sha256: String,
}

impl Manifest {
    /// Parses and checks `json`.
    ///
    /// # Errors
    /// A sentence that names the field at fault.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(json).map_err(|e| format!("manifest.json is not understood: {e}"))?;
        manifest.check().map_err(|field| format!("manifest.json: {field}"))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("format {} is not {FORMAT}, the one this version reads", self.format));
        }
        // The shortest run: two special tokens and one of the text.
        if self.dimensions == 0 || self.max_tokens < 3 {
            return Err("dimensions must be at least 1 and max_tokens at least 3".to_owned());
        }
        if !self.matryoshka_dimensions.iter().all(|cut| (1..=self.dimensions).contains(cut)) {
            return Err("matryoshka_dimensions must lie between 1 and dimensions".to_owned());
        }
        if self.self_test.as_ref().is_some_and(|self_test| self_test.vector.len() != self.dimensions) {
            return Err("the probe's vector must have as many values as there are dimensions".to_owned());
        }
        for file in self.files.all() {
            if file.path.is_empty() || file.path.contains(['/', '\\']) || file.path.starts_with('.') {
                return Err(format!("file path {:?} must be a plain name inside the folder", file.path));
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("sha256 of {} must be 64 lower-case hex digits", file.path));
            }
        }
        Ok(())
    }

    /// This manifest with one graph, the one that runs with `kernels`.
    ///
    /// # Errors
    /// A sentence if there is none, or if it needs operators that this program does not have.
    pub fn with_kernels(mut self, kernels: Kernels) -> Result<Self, String> {
        let standard = self.files.standard_model.take();
        match (self.operators, kernels) {
            (None, _) => {}
            (Some(_), Kernels::OnnxRuntime) => {
                self.files.model = standard.ok_or(
                    "the model has no standard graph, which EMBED_KERNELS=onnxruntime asks for: leave EMBED_KERNELS \
                     out, or give STANDARD=yes to every `make` that uses the model, as in `make model STANDARD=yes`",
                )?;
                self.operators = None;
            }
            (Some(operators::VERSION), Kernels::Own) => {}
            (Some(version), Kernels::Own) => {
                return Err(format!(
                    "the model's graph has operators of version {version}, and this program has version {}: use the \
                     program that the model was built for, or build the model again with `make model`",
                    operators::VERSION
                ));
            }
        }
        Ok(self)
    }

    /// Whether `name` is this model's id or its makers' name for it, in any case.
    pub fn answers_to(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.id) || name.eq_ignore_ascii_case(&self.name)
    }
}

impl Files {
    /// Every file, the small ones first.
    pub fn all(&self) -> impl Iterator<Item = &FileEntry> {
        [&self.tokenizer, &self.model].into_iter().chain(&self.standard_model)
    }
}

impl FileEntry {
    /// Compares `bytes` to the entry's size.
    pub fn check_size(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 == self.size {
            return Ok(());
        }
        Err(format!("{} has {} bytes, its manifest says {}", self.path, bytes.len(), self.size))
    }

    /// Compares `bytes` to the entry's sha256.
    pub fn check_hash(&self, bytes: &[u8]) -> Result<(), String> {
        let found = hex(&Sha256::digest(bytes));
        if found == self.sha256 {
            return Ok(());
        }
        Err(format!("{} is corrupted: its sha256 is {found}, its manifest says {}", self.path, self.sha256))
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(change: impl FnOnce(&mut serde_json::Value)) -> Result<Manifest, String> {
        let file = |path| json!({"path": path, "size": 3, "sha256": "0".repeat(64)});
        let mut value = json!({
            "format": 1, "id": "tiny", "name": "us/tiny", "revision": "1", "license": "Apache-2.0",
            "dimensions": 8, "max_tokens": 16, "pooling": "cls",
            "files": {"model": file("model.onnx"), "tokenizer": file("tokenizer.json")}
        });
        change(&mut value);
        Manifest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_whole_manifest_is_read() {
        let manifest = manifest(|_| ()).unwrap();
        assert_eq!((manifest.pooling, manifest.dimensions), (Pooling::Cls, 8));
        assert!(manifest.answers_to("US/Tiny") && manifest.answers_to("TINY") && !manifest.answers_to("other"));
    }

    #[test]
    fn a_path_cannot_leave_the_folder() {
        for path in ["../model.onnx", "/etc/passwd", "a/b", "..", "", "a\\b"] {
            let error = manifest(|m| m["files"]["model"]["path"] = path.into()).unwrap_err();
            assert!(error.contains("plain name"), "{path}: {error}");
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        assert!(manifest(|m| m["format"] = 2.into()).unwrap_err().contains("format 2"));
        assert!(manifest(|m| m["pooling"] = "max".into()).unwrap_err().contains("max"));
        assert!(manifest(|m| m["max_tokens"] = 2.into()).unwrap_err().contains("max_tokens"));
        assert!(manifest(|m| m["files"]["model"]["sha256"] = "AB".into()).unwrap_err().contains("sha256"));
    }

    #[test]
    fn kernels_choose_the_graph() {
        let file = |path| json!({"path": path, "size": 3, "sha256": "1".repeat(64)});
        let own = |version: u32| move |m: &mut serde_json::Value| m["operators"] = version.into();
        let both = |m: &mut serde_json::Value| {
            own(operators::VERSION)(m);
            m["files"]["standard_model"] = file("standard.ort");
        };
        let paths = |manifest: Manifest| manifest.files.all().map(|file| file.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(manifest(both).unwrap()), ["tokenizer.json", "model.onnx", "standard.ort"]);
        for (kernels, graph, version) in
            [(Kernels::Own, "model.onnx", Some(operators::VERSION)), (Kernels::OnnxRuntime, "standard.ort", None)]
        {
            let chosen = manifest(both).unwrap().with_kernels(kernels).unwrap();
            assert_eq!(chosen.operators, version);
            assert_eq!(paths(chosen), ["tokenizer.json", graph]);
            // A model of ONNX Runtime's operators alone runs whatever is asked for.
            assert_eq!(
                paths(manifest(|_| ()).unwrap().with_kernels(kernels).unwrap()),
                ["tokenizer.json", "model.onnx"]
            );
        }
        let missing = manifest(own(operators::VERSION)).unwrap().with_kernels(Kernels::OnnxRuntime).unwrap_err();
        assert!(missing.contains("EMBED_KERNELS") && missing.contains("STANDARD=yes"), "{missing}");
        let unknown = manifest(own(7_000)).unwrap().with_kernels(Kernels::Own).unwrap_err();
        assert!(unknown.contains("version 7000") && unknown.contains("make model"), "{unknown}");
        assert!(manifest(|m| m["files"]["standard_model"] = file("../x")).unwrap_err().contains("plain name"));
    }

    #[test]
    fn one_flipped_byte_is_caught() {
        let good = b"weights".to_vec();
        let entry = FileEntry { path: "w".into(), size: 7, sha256: hex(&Sha256::digest(&good)) };
        assert!(entry.check_size(&good).is_ok() && entry.check_hash(&good).is_ok());
        let mut bad = good;
        bad[3] ^= 1;
        assert!(entry.check_hash(&bad).unwrap_err().contains("corrupted"));
        assert!(entry.check_size(b"short").unwrap_err().contains("5 bytes"));
    }
}
