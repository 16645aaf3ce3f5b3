//! JSON Lines: an object a line, complete in itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::{Map, Value};

use super::document_vector::DocumentVector;
use super::encoder::{Constants, Encoder, RecordKind};
use crate::error::{Error, Result};
use crate::record::{Document, EncodeOptions, ModelRef, Record, VectorEncoding};

/// Needs no state but the document vector's.
pub struct JsonLines {
    constants: Constants,
    encoding: VectorEncoding,
    /// RFC 3339, in UTC.
    last_modified: String,
    whole: Option<DocumentVector>,
    bytes: Vec<u8>,
}

/// A line; docs/documents.md is its description.
#[derive(Serialize)]
struct JsonLine<'a> {
    id: uuid::Uuid,
    kind: RecordKind,
    bucket: &'a str,
    key: &'a str,
    version: Option<&'a str>,
    etag: &'a str,
    last_modified: &'a str,
    content_type: Option<&'a str>,
    chunk: Option<usize>,
    chunks: Option<usize>,
    start: usize,
    end: usize,
    tokens: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    page: Option<u32>,
    title: Option<&'a str>,
    headings: &'a [String],
    record: Option<u64>,
    fields: &'a Map<String, Value>,
    metadata: &'a BTreeMap<String, String>,
    model: &'a str,
    model_revision: &'a str,
    model_sha256: &'a str,
    dimensions: usize,
    vector: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(&'a [f32]),
    Base64(String),
}

impl JsonLines {
    pub fn new(document: &Document, model: &ModelRef, options: &EncodeOptions, resumed: Option<&[u8]>) -> Result<Self> {
        let whole = options.document_vector.then(|| match resumed {
            Some(state) => DocumentVector::read(state, model.dimensions),
            None => Ok(DocumentVector::new(model.dimensions)),
        });
        let last_modified = DateTime::from_timestamp(document.last_modified, 0).unwrap_or_default();
        Ok(Self {
            constants: Constants::new(document, model, options),
            encoding: options.vector,
            last_modified: last_modified.to_rfc3339_opts(SecondsFormat::Secs, true),
            whole: whole.transpose()?,
            bytes: Vec::new(),
        })
    }

    fn line(&mut self, record: &Record, kind: RecordKind) -> Result<()> {
        let Constants { document, model, chunks, text } = &self.constants;
        let chunk = kind == RecordKind::Chunk;
        let line = JsonLine {
            id: record.id,
            kind,
            bucket: &document.bucket,
            key: &document.key,
            version: document.version.as_deref(),
            etag: &document.etag,
            last_modified: &self.last_modified,
            content_type: document.content_type.as_deref(),
            chunk: chunk.then_some(record.chunk),
            chunks: if chunk { *chunks } else { Some(record.chunk) },
            start: record.start,
            end: record.end,
            tokens: record.tokens,
            text: (*text && chunk).then_some(record.text.as_str()),
            page: record.place.page,
            title: record.place.title.as_deref(),
            headings: &record.place.headings,
            record: record.place.record,
            fields: &record.fields,
            metadata: &document.metadata,
            model: &model.id,
            model_revision: &model.revision,
            model_sha256: &model.hash,
            dimensions: model.dimensions,
            vector: match self.encoding {
                VectorEncoding::Numbers => Vector::Numbers(&record.vector),
                VectorEncoding::Base64 => {
                    let bytes: Vec<u8> = record.vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                    Vector::Base64(BASE64.encode(bytes))
                }
            },
        };
        serde_json::to_writer(&mut self.bytes, &line).map_err(|e| Error::internal("a record is no JSON", e))?;
        self.bytes.push(b'\n');
        Ok(())
    }
}

impl Encoder for JsonLines {
    fn push(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            self.line(record, RecordKind::Chunk)?;
            if let Some(whole) = &mut self.whole {
                whole.add(record);
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        Ok(self.whole.as_ref().map(DocumentVector::state).unwrap_or_default())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>> {
        let whole = self.whole.take().and_then(|whole| whole.record(&self.constants.document));
        if let Some(record) = whole {
            self.line(&record, RecordKind::Document)?;
        }
        Ok(self.bytes)
    }
}
