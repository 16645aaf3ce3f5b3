//! JSON Lines: an object a line, complete in itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, SecondsFormat};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::document_vector::DocumentVector;
use super::encoder::{Constants, Encoder};
use crate::config::{EncodeOptions, VectorEncoding};
use crate::error::{Error, Result};
use crate::record::{FIELDS, FieldValue, Presence, Record, RecordKind, Row};

/// Needs no state but the document vector's.
pub struct JsonLines {
    constants: Constants,
    encoding: VectorEncoding,
    /// RFC 3339, in UTC.
    last_modified: String,
    document_vector: Option<DocumentVector>,
    bytes: Vec<u8>,
}

/// A line; docs/documents.md describes its fields.
struct Line<'a> {
    row: Row<'a>,
    encoding: VectorEncoding,
    last_modified: &'a str,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        for field in &FIELDS {
            match field.value(&self.row) {
                FieldValue::Null if field.presence == Presence::IfGiven => {}
                FieldValue::Time(_) => line.serialize_entry(field.name, self.last_modified)?,
                FieldValue::Vector(vector) if self.encoding == VectorEncoding::Base64 => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                    line.serialize_entry(field.name, &BASE64.encode(bytes))?;
                }
                value => line.serialize_entry(field.name, &value)?,
            }
        }
        line.end()
    }
}

impl JsonLines {
    pub(super) fn new(constants: Constants, options: &EncodeOptions, state: Option<&[u8]>) -> Result<Self> {
        let last_modified = DateTime::from_timestamp(constants.document.last_modified, 0).unwrap_or_default();
        let document_vector = options.document_vector.then(|| DocumentVector::open(constants.model.dimensions, state));
        Ok(Self {
            constants,
            encoding: options.vector,
            last_modified: last_modified.to_rfc3339_opts(SecondsFormat::Secs, true),
            document_vector: document_vector.transpose()?,
            bytes: Vec::new(),
        })
    }

    fn line(&mut self, record: &Record, kind: RecordKind) -> Result<()> {
        let Self { constants, encoding, last_modified, bytes, .. } = self;
        let line = Line { row: constants.row(record, kind), encoding: *encoding, last_modified };
        serde_json::to_writer(&mut *bytes, &line).map_err(|e| Error::internal("a record is no JSON", e))?;
        bytes.push(b'\n');
        Ok(())
    }
}

impl Encoder for JsonLines {
    fn push(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            self.line(record, RecordKind::Chunk)?;
            if let Some(document_vector) = &mut self.document_vector {
                document_vector.add(record);
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        Ok(self.document_vector.as_ref().map(DocumentVector::state).unwrap_or_default())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>> {
        let document_vector = self.document_vector.take();
        if let Some(record) = document_vector.and_then(|vector| vector.record(&self.constants.document)) {
            self.line(&record, RecordKind::Document)?;
        }
        Ok(self.bytes)
    }
}
