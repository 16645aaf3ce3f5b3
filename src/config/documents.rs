//! The variables for documents: where they come from, where vectors go, how they are read and written.

use super::{Given, Qdrant, S3Location, S3Vectors, split_list, stand_in};
use crate::error::Result;

/// The settings for documents; they exist only where `EMBED_OUTPUT` is set.
#[derive(Debug, Clone)]
pub struct Documents {
    /// Results, outcome records and checkpoints are written below it.
    pub output: S3Location,
    /// Where documents come from; `None`: wherever the events say.
    pub input: Option<S3Location>,
    pub stores: Vec<StoreName>,
    /// Set if `stores` lists it.
    pub qdrant: Option<Qdrant>,
    /// Set if `stores` lists it.
    pub s3vectors: Option<S3Vectors>,
    pub encode: EncodeOptions,
    /// Whether records carry the object's `x-amz-meta-` entries.
    pub metadata: bool,
    /// Whether the vectors are removed when the object is.
    pub remove: bool,
    /// Tokens of a chunk, special tokens included; `None`: by the model.
    pub chunk_tokens: Option<usize>,
    pub chunk_overlap: Option<usize>,
    /// The JSON pointer (RFC 6901) from a record to its text; empty: the record itself; `*`: all its values.
    pub json_pointer: Option<String>,
    /// The column that holds the text; `*`: all of them.
    pub csv_column: Option<String>,
    /// Whether navigation, headers, footers and asides of web pages are read.
    pub html_boilerplate: bool,
    pub limits: DocumentLimits,
}

/// Bytes beyond which a document, or a part of one, is skipped; `None`: the reader's own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Of an object as it is stored.
    pub object: u64,
    /// Of a compressed object, decompressed.
    pub decompressed: Option<u64>,
    /// Of a document whose format has to be read into memory as a whole.
    pub whole: Option<u64>,
    /// Of one record.
    pub record: Option<u64>,
    /// Of the memory of the process that reads a PDF.
    pub pdf_memory: Option<u64>,
}

/// The stores that vectors can go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreName {
    S3,
    Qdrant,
    S3Vectors,
}

impl StoreName {
    /// Its name in `EMBED_SINK`.
    pub fn word(self) -> &'static str {
        STORES.iter().find(|(_, store)| *store == self).map_or("", |(word, _)| word)
    }
}

/// What is written of each record, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeOptions {
    pub format: OutputFormat,
    pub vector: VectorEncoding,
    /// Whether a record carries its text.
    pub text: bool,
    /// Whether a last record follows with the document's own vector: the mean of the chunks', of length 1.
    pub document_vector: bool,
}

/// The format of output files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    JsonLines,
    Parquet,
}

/// How JSON Lines hold a vector; Parquet always holds it as floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorEncoding {
    Numbers,
    /// Base64 of little-endian float32, as OpenAI's API has it.
    Base64,
}

pub(super) const ON_OFF: &[(&str, bool)] = &[("on", true), ("off", false)];
const FORMATS: &[(&str, OutputFormat)] = &[("jsonl", OutputFormat::JsonLines), ("parquet", OutputFormat::Parquet)];
const VECTORS: &[(&str, VectorEncoding)] = &[("numbers", VectorEncoding::Numbers), ("base64", VectorEncoding::Base64)];
const STORES: &[(&str, StoreName)] =
    &[("s3", StoreName::S3), ("qdrant", StoreName::Qdrant), ("s3vectors", StoreName::S3Vectors)];

impl Given {
    pub(super) fn documents(&self) -> Result<Option<Documents>> {
        let stores = self.stores()?;
        let Some(output) = self.place("EMBED_OUTPUT")? else {
            return match self.text("EMBED_SINK") {
                None => Ok(None),
                Some(_) => {
                    let expected = "s3://bucket/prefix, where checkpoints and outcomes lie whatever EMBED_SINK lists";
                    Err(self.misunderstood("EMBED_OUTPUT", expected.to_owned()))
                }
            };
        };
        let input = self.place("EMBED_INPUT")?;
        if let Some(input) = input.as_ref().filter(|input| within(&output, input) || within(input, &output)) {
            let expected = format!(
                "a place outside of EMBED_INPUT (s3://{}/{}), and not above it: results would be taken for documents",
                input.bucket, input.prefix
            );
            return Err(self.misunderstood("EMBED_OUTPUT", expected));
        }
        let on = |name, default| Ok(self.choice(name, ON_OFF)?.unwrap_or(default));
        let bytes = |name| Ok(self.number(name, 1..=1 << 46)?.map(|bytes| bytes as u64));
        Ok(Some(Documents {
            output,
            input,
            qdrant: self.qdrant(&stores)?,
            s3vectors: self.s3vectors(&stores)?,
            stores,
            encode: EncodeOptions {
                format: self.choice("EMBED_OUTPUT_FORMAT", FORMATS)?.unwrap_or(OutputFormat::JsonLines),
                vector: self.choice("EMBED_OUTPUT_VECTORS", VECTORS)?.unwrap_or(VectorEncoding::Numbers),
                text: on("EMBED_OUTPUT_TEXT", true)?,
                document_vector: on("EMBED_DOCUMENT_VECTOR", false)?,
            },
            metadata: on("EMBED_METADATA", true)?,
            remove: self.choice("EMBED_ON_DELETE", &[("keep", false), ("remove", true)])?.unwrap_or(false),
            chunk_tokens: self.number("EMBED_CHUNK_TOKENS", 8..=8192)?,
            chunk_overlap: self.number("EMBED_CHUNK_OVERLAP", 0..=4096)?,
            json_pointer: self.json_pointer()?,
            csv_column: self.text("EMBED_CSV_COLUMN").map(str::to_owned),
            html_boilerplate: on("EMBED_HTML_BOILERPLATE", true)?,
            limits: DocumentLimits {
                object: bytes("EMBED_MAX_OBJECT_BYTES")?.unwrap_or(10 << 30),
                decompressed: bytes("EMBED_MAX_UNPACKED_BYTES")?,
                whole: bytes("EMBED_MAX_WHOLE_BYTES")?,
                record: bytes("EMBED_MAX_RECORD_BYTES")?,
                pdf_memory: bytes("EMBED_MAX_PDF_MEMORY_BYTES")?,
            },
        }))
    }

    fn place(&self, name: &str) -> Result<Option<S3Location>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let wrong = |expected| self.misunderstood(name, expected);
        match S3Location::parse(value) {
            Err(expected) => Err(wrong(expected)),
            Ok(location) if location.version.is_some() => Err(wrong("s3://bucket/prefix without a version".to_owned())),
            Ok(location) => match stand_in(&location.bucket) {
                Some(what) => Err(wrong(format!("s3://bucket/prefix; {} is {what}", location.bucket))),
                None => Ok(Some(location)),
            },
        }
    }

    fn stores(&self) -> Result<Vec<StoreName>> {
        let Some(value) = self.text("EMBED_SINK") else { return Ok(vec![StoreName::S3]) };
        let mut stores = Vec::new();
        for word in split_list(value) {
            match STORES.iter().find(|(name, _)| *name == word) {
                Some((_, store)) if !stores.contains(store) => stores.push(*store),
                _ => {
                    let names = super::list(STORES.iter().map(|(name, _)| *name));
                    return Err(self.misunderstood("EMBED_SINK", format!("some of {names}, each once, between commas")));
                }
            }
        }
        Ok(stores)
    }

    /// An empty value counts as not set, so the whole record has the name that RFC 6901 gives it in URLs.
    fn json_pointer(&self) -> Result<Option<String>> {
        match self.text("EMBED_JSON_POINTER") {
            None => Ok(None),
            Some("#") => Ok(Some(String::new())),
            Some(pointer) if pointer.starts_with('/') || pointer == "*" => Ok(Some(pointer.to_owned())),
            Some(_) => {
                let expected = "a path like /body/text, # for the record itself, or * for all its values";
                Err(self.misunderstood("EMBED_JSON_POINTER", expected.to_owned()))
            }
        }
    }
}

/// Whether `inner` lies in `outer`, or is it.
fn within(inner: &S3Location, outer: &S3Location) -> bool {
    inner.bucket == outer.bucket && outer.covers(&format!("{}/", inner.prefix))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn documents(variables: &[(&str, &str)]) -> Result<Option<Documents>> {
        let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Ok(Config::resolve(owned, Path::new("/var/task"))?.documents)
    }

    fn refused(variables: &[(&str, &str)]) -> String {
        documents(variables).expect_err("must be refused").to_string()
    }

    #[test]
    fn without_an_output_there_are_no_documents() {
        assert!(documents(&[]).unwrap().is_none());
        let defaults = documents(&[("EMBED_OUTPUT", "s3://vectors/all/")]).unwrap().unwrap();
        assert_eq!((defaults.output.prefix.as_str(), defaults.stores.as_slice()), ("all", &[StoreName::S3][..]));
        assert!(defaults.encode.text && defaults.metadata && !defaults.remove);
        assert_eq!(defaults.encode.vector, VectorEncoding::Numbers);
        assert_eq!((defaults.encode.format, defaults.json_pointer), (OutputFormat::JsonLines, None));
    }

    #[test]
    fn a_loop_is_refused() {
        for (output, input) in [
            ("s3://bbb/docs/vectors", "s3://bbb/docs"),
            ("s3://bbb/docs", "s3://bbb/docs/"),
            ("s3://bbb/vectors", "s3://bbb"),
            ("s3://bbb", "s3://bbb/docs"),
        ] {
            let message = refused(&[("EMBED_OUTPUT", output), ("EMBED_INPUT", input)]);
            assert!(message.contains("EMBED_OUTPUT") && message.contains("taken for documents"), "{message}");
        }
        for (output, input) in [
            ("s3://bbb/vectors", "s3://bbb/docs"),
            ("s3://bbb/docs-vectors", "s3://bbb/docs"),
            ("s3://ccc", "s3://bbb"),
        ] {
            assert!(documents(&[("EMBED_OUTPUT", output), ("EMBED_INPUT", input)]).unwrap().is_some());
        }
    }

    #[test]
    fn an_access_point_or_a_directory_bucket_is_refused_by_its_kind() {
        for (place, what) in [
            (
                "s3://arn:aws:s3:us-east-1:111122223333:accesspoint/ours/docs",
                "the ARN of an access point: name the bucket",
            ),
            ("arn:aws:s3:us-east-1:111122223333:accesspoint/ours", "the ARN of an access point: name the bucket"),
            ("s3://arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap", "the ARN of a Multi-Region Access Point"),
            ("s3://ours-abcdefghijklmnopqrstuvwxyz1234-s3alias/docs", "the alias of an access point: name the bucket"),
            ("s3://mfzwi23gnjvgw.mrap/docs", "the alias of a Multi-Region Access Point"),
            ("s3://ours--use1-az4--x-s3/docs", "a directory bucket (S3 Express One Zone)"),
            ("s3://ours--use1-az4--xa-s3/docs", "an access point of a directory bucket"),
        ] {
            for variable in ["EMBED_OUTPUT", "EMBED_INPUT"] {
                let message = refused(&[("EMBED_OUTPUT", "s3://vectors"), (variable, place)]);
                assert!(message.contains(variable) && message.contains(what), "{message}");
            }
        }
    }

    #[test]
    fn sinks_are_listed_once_each() {
        let output = ("EMBED_OUTPUT", "s3://vectors");
        for value in ["s3,s3", "qdrantt", "s3 qdrant"] {
            assert!(refused(&[output, ("EMBED_SINK", value)]).contains("some of s3"));
        }
    }

    #[test]
    fn a_pointer_is_a_path_or_the_record_itself() {
        let output = ("EMBED_OUTPUT", "s3://vectors");
        let pointer = |value| documents(&[output, ("EMBED_JSON_POINTER", value)]).unwrap().unwrap().json_pointer;
        assert_eq!(pointer("/a/b").as_deref(), Some("/a/b"));
        assert_eq!(pointer("#").as_deref(), Some(""));
        assert_eq!(pointer("*").as_deref(), Some("*"));
        assert!(refused(&[output, ("EMBED_JSON_POINTER", "text")]).contains("/body/text"));
    }
}
