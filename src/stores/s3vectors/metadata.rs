//! What a vector of S3 Vectors carries: a record's fields within the service's limits.
//!
//! "Limitations and restrictions" in S3's user guide: 40 KB a vector, 2 KB of it filterable, 50 keys, 10 keys of an
//! index not filterable, and values that are strings, numbers, booleans or lists of them. So short fields are
//! filterable and long ones are not; a field that does not fit is omitted, and `left_out` names it.

use aws_smithy_types::Document as Metadata;
use serde_json::{Map, Value, json};

use crate::record::{Field, FieldValue, Row};
use crate::stores::generation::DocumentHead;

/// Of these, `source` takes 1,093 bytes at most, the others a few hundred.
const FILTERABLE: [&str; 10] =
    ["chunk", "chunks", "start", "end", "tokens", "page", "record", "last_modified", "model", "model_sha256"];

/// Keys that an index declares as not filterable when it is made; later it cannot. Short ones come first, because what
/// comes last is the first to be left out.
pub const NOT_FILTERABLE: [&str; 9] =
    [HEAD, "etag", "version", "content_type", "title", "headings", "text", "metadata", "fields"];

/// A [`DocumentHead`] as JSON, on a document's first vector; of the others, the number of their generation.
pub const HEAD: &str = "embed";

/// Bytes of a vector's metadata as JSON: 40 KB, less a tenth for whatever the service counts otherwise.
const BYTES: usize = 36 << 10;

/// The metadata of `row`'s record.
pub fn metadata(row: &Row<'_>, head: String) -> Map<String, Value> {
    let field = |name| Some((name, value(Field::named(name)?.value(row))?));
    let entries = [Some(("source", json!(row.document.uri())))];
    let entries = entries.into_iter().chain(FILTERABLE.map(field)).chain([Some((HEAD, json!(head)))]);
    let (mut metadata, mut bytes, mut left_out) = (Map::new(), 0, Vec::new());
    for (name, value) in entries.chain(NOT_FILTERABLE.map(field)).flatten() {
        let size = name.len() + value.to_string().len() + 4;
        if bytes + size > BYTES {
            left_out.push(name);
            continue;
        }
        bytes += size;
        metadata.insert(name.to_owned(), value);
    }
    if !left_out.is_empty() {
        metadata.insert("left_out".to_owned(), json!(left_out));
    }
    metadata
}

/// A field's value as the service takes it, which takes no objects; `None` for one that is empty.
fn value(value: FieldValue<'_>) -> Option<Value> {
    match value {
        FieldValue::Null | FieldValue::TextList([]) => None,
        FieldValue::Fields(fields) => (!fields.is_empty()).then(|| json!(value.text())),
        FieldValue::Metadata(metadata) => (!metadata.is_empty()).then(|| json!(value.text())),
        value => Some(json!(value)),
    }
}

/// The head in a first vector's metadata; `None` where another program wrote it.
pub fn head(metadata: &Metadata) -> Option<DocumentHead> {
    serde_json::from_str(metadata.as_object()?.get(HEAD)?.as_string()?).ok()
}

/// The number of the generation in any vector's metadata.
pub fn generation(metadata: &Metadata) -> Option<u64> {
    let text = metadata.as_object()?.get(HEAD)?.as_string()?;
    text.parse().ok().or_else(|| serde_json::from_str::<DocumentHead>(text).ok().map(|head| head.generation))
}

/// JSON as the SDK takes it.
pub fn document(value: Value) -> Metadata {
    match value {
        Value::Null => Metadata::Null,
        Value::Bool(flag) => Metadata::Bool(flag),
        Value::String(text) => Metadata::String(text),
        Value::Number(number) => match number.as_u64() {
            Some(number) => Metadata::from(number),
            None => number.as_i64().map_or_else(|| Metadata::from(number.as_f64().unwrap_or_default()), Metadata::from),
        },
        Value::Array(items) => Metadata::Array(items.into_iter().map(document).collect()),
        Value::Object(entries) => {
            Metadata::Object(entries.into_iter().map(|(name, value)| (name, document(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::{Document, ModelRef, Place, Record, RecordKind};

    fn entries(text: &str, fields: Value) -> Map<String, Value> {
        let key = "\u{1F980}".repeat(256);
        let document = Document {
            bucket: "b".repeat(63),
            key,
            version: Some("v".repeat(1024)),
            etag: "e".repeat(32),
            sequencer: None,
            last_modified: 1_790_000_000,
            content_type: Some("text/plain".to_owned()),
            size: 1,
            metadata: BTreeMap::from([("author".to_owned(), "m".repeat(2000))]),
        };
        let record = Record {
            id: Record::id_of("b", "k", 0),
            chunk: 123_456,
            start: 1_234_567_890,
            end: 1_234_567_990,
            tokens: 8192,
            text: text.to_owned(),
            place: Place {
                page: Some(9999),
                title: None,
                headings: vec!["One".to_owned()],
                record: Some(123_456),
                properties: None,
            },
            fields: fields.as_object().cloned().unwrap_or_default(),
            vector: vec![1.0],
        };
        let model = ModelRef { id: "m".repeat(64), revision: String::new(), hash: "h".repeat(64), dimensions: 1 };
        let (document, model, record, kind) = (&document, &model, &record, RecordKind::Chunk);
        metadata(&Row { document, model, record, kind, chunks: Some(123_457), text: true }, "7".to_owned())
    }

    #[test]
    fn the_largest_entries_stay_within_the_limits() {
        let entries = entries(&"long \u{1F980}\n".repeat(3_000), json!({"a": "x".repeat(100_000)}));
        assert!(json!(entries).to_string().len() <= 40 << 10);
        let filterable: Map<_, _> =
            entries.clone().into_iter().filter(|(name, _)| !NOT_FILTERABLE.contains(&name.as_str())).collect();
        assert!(json!(filterable).to_string().len() <= 2 << 10, "{filterable:?}");
        assert!(entries["left_out"].as_array().unwrap().contains(&json!("fields")), "{}", entries["left_out"]);
        assert!(entries.len() <= 50 && NOT_FILTERABLE.len() <= 10);
        assert!(FILTERABLE.iter().all(|name| entries.contains_key(*name)));
    }

    #[test]
    fn a_text_that_is_too_long_is_left_out_and_said_to_be() {
        let entries = entries(&"x".repeat(40_000), json!({"a": 1}));
        assert_eq!((entries.get("text"), &entries["left_out"]), (None, &json!(["text"])));
        assert_eq!(entries["fields"], json!(r#"{"a":1}"#));
    }

    #[test]
    fn a_generation_is_read_from_every_vector() {
        let of = |text: &str| generation(&document(json!({HEAD: text})));
        assert_eq!((of("7"), of("no number"), generation(&document(json!({})))), (Some(7), None, None));
        let head = DocumentHead { generation: 8, version_id: "m".to_owned(), chunks: 1, source_version: None };
        assert_eq!(of(&serde_json::to_string(&head).unwrap()), Some(8));
    }
}
