//! What a point of Qdrant carries beside its vector: the record's fields, `source` for filters, `embed` for us.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::point_vectors::PointVectors;
use crate::error::{Error, Result};
use crate::record::{Document, FIELDS, FieldValue, Presence, Row};

/// The payload's field that names a document, `s3://bucket/key`; indexed.
pub const SOURCE: &str = "source";

/// The payload's field that holds the number of the generation; indexed.
pub const GENERATION: &str = "embed.writing";

/// Fields that a point states by itself, and those that are the same for a whole collection of chunks.
const NOT_IN_PAYLOAD: [&str; 4] = ["id", "vector", "kind", "dimensions"];

#[derive(serde::Serialize)]
struct Point<'a> {
    id: uuid::Uuid,
    vector: PointVectors<'a>,
    payload: Payload<'a>,
}

struct Payload<'a> {
    row: &'a Row<'a>,
    embed: Value,
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut payload = serializer.serialize_map(None)?;
        payload.serialize_entry(SOURCE, &self.row.document.uri())?;
        for field in FIELDS.iter().filter(|field| !NOT_IN_PAYLOAD.contains(&field.name)) {
            match field.value(self.row) {
                FieldValue::Null if field.presence == Presence::IfGiven => {}
                value => payload.serialize_entry(field.name, &value)?,
            }
        }
        payload.serialize_entry("embed", &self.embed)?;
        payload.end()
    }
}

/// The point of `row`'s record with `vector` as JSON; `embed` is its [`GENERATION`] and what belongs to it.
///
/// # Errors
/// A record that is no JSON, which a vector with values that are no numbers would be.
pub fn point(row: &Row<'_>, vector: PointVectors<'_>, embed: Value) -> Result<String> {
    let point = Point { id: row.record.id, vector, payload: Payload { row, embed } };
    serde_json::to_string(&point).map_err(|e| Error::internal("a point is no JSON", e))
}

/// A condition: points of this document.
pub fn of_document(bucket: &str, key: &str) -> Value {
    json!({"key": SOURCE, "match": {"value": Document::uri_of(bucket, key)}})
}
