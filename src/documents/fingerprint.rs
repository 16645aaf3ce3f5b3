//! The fingerprint of model and configuration: what a document's records depend on beside the object itself.
//!
//! Records of another fingerprint are written anew when their object's event comes again. So everything that changes a
//! record has an entry here, under a name and with a word of its own: renaming a field or a type in the code changes no
//! fingerprint. The structs are taken apart field by field, so that a new field does not compile until it is decided
//! here whether it changes records.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::chunk::ChunkOptions;
use super::chunk_reader::ReadOptions;
use super::extract::{ExtractOptions, RecordText};
use crate::config::{Documents, EncodeOptions, HybridVectors, OutputFormat, VectorEncoding};
use crate::model::{Manifest, Pooling};

/// Has to change whenever the same object under the same configuration gives other records than before.
const SCHEMA: u32 = 3;

/// 64 bits of a hash, which tell the configurations of one function apart; in hex.
pub fn fingerprint(manifest: &Manifest, options: &ReadOptions, settings: &Documents) -> String {
    let all = [model(manifest), reading(options), writing(settings)].concat();
    Sha256::digest(json!(all).to_string())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

type Entry = (&'static str, Value);

/// What a passage's vector depends on.
fn model(manifest: &Manifest) -> Vec<Entry> {
    let pooling = match manifest.pooling {
        Pooling::Cls => "cls",
        Pooling::Mean => "mean",
    };
    vec![
        ("schema", json!(SCHEMA)),
        ("model", json!(manifest.id)),
        ("revision", json!(manifest.revision)),
        ("weights", json!(manifest.files.model.sha256)),
        ("tokenizer", json!(manifest.files.tokenizer.sha256)),
        ("dimensions", json!(manifest.dimensions)),
        ("pooling", json!(pooling)),
        ("passage_prefix", json!(manifest.passage_prefix)),
    ]
}

/// What the chunks of an object depend on.
fn reading(ReadOptions { extract, chunk }: &ReadOptions) -> Vec<Entry> {
    let ExtractOptions {
        record_text,
        text_column,
        html_boilerplate,
        max_decompressed_bytes,
        max_whole_bytes,
        max_record_bytes,
        max_pdf_memory_bytes,
        // The path of the program that reads PDFs does not change what it reads.
        pdf_reader: _,
    } = extract;
    let ChunkOptions { tokens, overlap } = chunk;
    let record_text = match record_text {
        RecordText::Usual => Value::Null,
        RecordText::Values => json!("*"),
        RecordText::At(pointer) => json!(pointer),
    };
    vec![
        ("record_text", record_text),
        ("text_column", json!(text_column)),
        ("html_boilerplate", json!(html_boilerplate)),
        ("max_decompressed_bytes", json!(max_decompressed_bytes)),
        ("max_whole_bytes", json!(max_whole_bytes)),
        ("max_record_bytes", json!(max_record_bytes)),
        ("max_pdf_memory_bytes", json!(max_pdf_memory_bytes)),
        ("chunk_tokens", json!(tokens)),
        ("chunk_overlap", json!(overlap)),
    ]
}

/// What is written of a chunk.
fn writing(settings: &Documents) -> Vec<Entry> {
    let EncodeOptions { format, vector, text, document_vector } = &settings.encode;
    let format = match format {
        OutputFormat::JsonLines => "jsonl",
        OutputFormat::Parquet => "parquet",
    };
    let vector = match vector {
        VectorEncoding::Numbers => "numbers",
        VectorEncoding::Base64 => "base64",
    };
    let hybrid = settings.qdrant.as_ref().and_then(|qdrant| qdrant.hybrid.as_ref());
    let hybrid = hybrid.map(|HybridVectors { dense, sparse }| [dense, sparse]);
    vec![
        ("format", json!(format)),
        ("vector", json!(vector)),
        ("text", json!(text)),
        ("document_vector", json!(document_vector)),
        ("metadata", json!(settings.metadata)),
        ("hybrid_vectors", json!(hybrid)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Kernels, Variable};

    /// Variables that change records, each with a value that differs from its default.
    const CHANGES: [(&str, &str); 18] = [
        ("EMBED_OUTPUT_FORMAT", "parquet"),
        ("EMBED_OUTPUT_TEXT", "off"),
        ("EMBED_OUTPUT_VECTORS", "base64"),
        ("EMBED_DOCUMENT_VECTOR", "on"),
        ("EMBED_METADATA", "off"),
        ("EMBED_CHUNK_TOKENS", "100"),
        ("EMBED_CHUNK_OVERLAP", "7"),
        ("EMBED_JSON_POINTER", "/a"),
        ("EMBED_JSON_POINTER", "#"),
        ("EMBED_JSON_POINTER", "*"),
        ("EMBED_CSV_COLUMN", "a"),
        ("EMBED_HTML_BOILERPLATE", "off"),
        ("EMBED_MAX_UNPACKED_BYTES", "1000"),
        ("EMBED_MAX_WHOLE_BYTES", "1000"),
        ("EMBED_MAX_PDF_MEMORY_BYTES", "1000"),
        ("EMBED_MAX_RECORD_BYTES", "1000"),
        ("EMBED_QDRANT_DENSE_VECTOR", "unnamed"),
        ("EMBED_QDRANT_SPARSE_VECTOR", "words"),
    ];

    /// Variables of documents that change no record: places, rights, and what is skipped or removed as a whole.
    const UNCHANGED: [(&str, &str); 10] = [
        ("EMBED_OUTPUT", "s3://others"),
        ("EMBED_INPUT", "s3://documents"),
        ("EMBED_SINK", "qdrant,s3"),
        ("EMBED_QDRANT_URL", "http://elsewhere"),
        ("EMBED_QDRANT_COLLECTION", "others"),
        ("EMBED_QDRANT_API_KEY", "key"),
        ("EMBED_S3VECTORS_BUCKET", "others"),
        ("EMBED_S3VECTORS_INDEX", "others"),
        ("EMBED_ON_DELETE", "remove"),
        ("EMBED_MAX_OBJECT_BYTES", "1000"),
    ];

    fn manifest(change: impl FnOnce(&mut Value)) -> Manifest {
        let file = |path, digit: &str| json!({"path": path, "size": 3, "sha256": digit.repeat(64)});
        let mut value = json!({
            "format": 1, "id": "tiny", "name": "us/tiny", "revision": "1", "license": "Apache-2.0", "dimensions": 8,
            "max_tokens": 512, "pooling": "cls", "query_prefix": "q: ", "passage_prefix": "p: ",
            "files": {"model": file("model.onnx", "0"), "tokenizer": file("tokenizer.json", "1")}
        });
        change(&mut value);
        Manifest::parse(value.to_string().as_bytes()).unwrap()
    }

    /// The fingerprint of a function with every store and these variables.
    fn of(manifest: &Manifest, variables: &[(&str, &str)]) -> String {
        let all = [
            ("EMBED_OUTPUT", "s3://vectors"),
            ("EMBED_SINK", "s3,qdrant,s3vectors"),
            ("EMBED_QDRANT_URL", "http://qdrant"),
            ("EMBED_QDRANT_HYBRID", "on"),
            ("EMBED_S3VECTORS_BUCKET", "vectors"),
            ("EMBED_S3VECTORS_INDEX", "documents"),
        ];
        // Without S3 Vectors in the list, its variables are refused.
        let s3vectors = !variables.iter().any(|(name, _)| *name == "EMBED_SINK");
        let all = all.into_iter().filter(|(name, _)| s3vectors || !name.starts_with("EMBED_S3VECTORS"));
        let given = all.chain(variables.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Config::resolve(given, Path::new("/")).unwrap().documents.unwrap();
        fingerprint(manifest, &ReadOptions::new(&settings, manifest, None), &settings)
    }

    /// If this fails, every document that is delivered again is embedded anew: `CHANGELOG.md` has to say so.
    #[test]
    fn a_configuration_keeps_its_fingerprint() {
        let manifest = manifest(|_| ());
        assert_eq!(of(&manifest, &[]), "9aa8974b9fee1835");
        assert_eq!(of(&manifest, &[("EMBED_QDRANT_HYBRID", "off")]), "23bb1170adffe4f9");
    }

    #[test]
    fn every_option_that_changes_records_changes_the_fingerprint_and_no_other() {
        let manifest = manifest(|_| ());
        let before = of(&manifest, &[]);
        let hybrid = [("EMBED_QDRANT_HYBRID", "off")];
        let changed: BTreeSet<_> = CHANGES.iter().chain(&hybrid).map(|change| of(&manifest, &[*change])).collect();
        assert!(changed.len() == CHANGES.len() + 1 && !changed.contains(&before), "{changed:?}");
        for variable in UNCHANGED {
            assert_eq!(of(&manifest, &[variable]), before, "{variable:?}");
        }
        // A default that is written out.
        for same in [("EMBED_CSV_COLUMN", "*"), ("EMBED_CHUNK_TOKENS", "384"), ("EMBED_MAX_WHOLE_BYTES", "33554432")] {
            assert_eq!(of(&manifest, &[same]), before, "{same:?}");
        }
        let known = CHANGES.iter().chain(&UNCHANGED).chain(&hybrid).map(|(name, _)| *name).collect::<BTreeSet<_>>();
        let of_documents = Variable::all().map(|variable| variable.name).skip_while(|name| *name != "EMBED_OUTPUT");
        let of_documents =
            of_documents.take_while(|name| *name != "EMBED_LOG").filter(|name| *name != "EMBED_REQUEST_PAYER");
        assert_eq!(of_documents.collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn whatever_of_a_model_changes_a_passages_vector_changes_the_fingerprint() {
        let before = of(&manifest(|_| ()), &[]);
        let changes: [fn(&mut Value); 7] = [
            |manifest| manifest["id"] = "other".into(),
            |manifest| manifest["revision"] = "2".into(),
            |manifest| manifest["dimensions"] = 16.into(),
            |manifest| manifest["pooling"] = "mean".into(),
            |manifest| manifest["passage_prefix"] = "".into(),
            |manifest| manifest["files"]["model"]["sha256"] = "2".repeat(64).into(),
            |manifest| manifest["files"]["tokenizer"]["sha256"] = "2".repeat(64).into(),
        ];
        let changed: BTreeSet<_> = changes.into_iter().map(|change| of(&manifest(change), &[])).collect();
        assert!(changed.len() == 7 && !changed.contains(&before), "{changed:?}");
        // Vectors of the two graphs of one model differ.
        let both = |kernels| {
            let both = manifest(|manifest| {
                manifest["operators"] = operators::VERSION.into();
                manifest["files"]["standard_model"] = json!({"path": "s", "size": 3, "sha256": "3".repeat(64)});
            });
            of(&both.with_kernels(kernels).unwrap(), &[])
        };
        assert_eq!(both(Kernels::Own), before);
        assert_ne!(both(Kernels::OnnxRuntime), before);
        for same in [
            manifest(|manifest| manifest["name"] = "them/tiny".into()),
            manifest(|manifest| manifest["query_prefix"] = "".into()),
            manifest(|manifest| manifest["note"] = "a note".into()),
        ] {
            assert_eq!(of(&same, &[]), before);
        }
    }
}
