//! The fields of a record: the one list that every file format and every store walks.
//!
//! docs/documents.md describes them for users. JSON Lines holds all of them in this order. Parquet has a column each,
//! Qdrant's payload and S3 Vectors' metadata hold those that they can filter by or show.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Document, ModelRef, Properties, Record};

/// A record together with all that its fields are taken from.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub document: &'a Document,
    pub model: &'a ModelRef,
    pub record: &'a Record,
    pub kind: RecordKind,
    /// Chunks of the whole document, where that is known before the first record.
    pub chunks: Option<usize>,
    /// Whether the record carries its text.
    pub text: bool,
}

/// What a record's vector is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    Chunk,
    /// The whole document. Such a record has no `chunk` of its own, and its `chunks` is its [`Record::chunk`].
    Document,
}

/// One field.
pub struct Field {
    pub name: &'static str,
    pub field_type: FieldType,
    pub presence: Presence,
    read: for<'a> fn(&Row<'a>) -> FieldValue<'a>,
}

/// The type of a field, for formats that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    Text,
    Int32,
    Int64,
    /// Seconds since 1970.
    Time,
    TextList,
    /// An object of any shape.
    Json,
    /// float32, as many as the model has dimensions.
    Vector,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Every record has a value.
    Required,
    /// Null where there is no value.
    Nullable,
    /// JSON has no such entry where there is no value; Parquet has no such column where texts are not written.
    IfGiven,
}

/// The object's `x-amz-meta-` entries and, where it has none of that name, what the document says of itself: `author`,
/// `modified` and `title`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metadata<'a> {
    object: &'a BTreeMap<String, String>,
    document: Option<&'a Properties>,
}

impl<'a> Metadata<'a> {
    fn of(row: &Row<'a>) -> Self {
        Self { object: &row.document.metadata, document: row.record.place.properties.as_deref() }
    }

    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    fn entries(&self) -> BTreeMap<&'a str, &'a str> {
        let mut entries: BTreeMap<&'a str, &'a str> =
            self.document.map(Properties::entries).into_iter().flatten().collect();
        entries.extend(self.object.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        entries
    }
}

impl Serialize for Metadata<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries().serialize(serializer)
    }
}

/// A field's value in one record. Serialized as JSON, times are seconds since 1970 and vectors are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FieldValue<'a> {
    Null,
    Text(&'a str),
    Id(Uuid),
    Integer(u64),
    /// Seconds since 1970.
    Time(i64),
    TextList(&'a [String]),
    Fields(&'a Map<String, Value>),
    Metadata(Metadata<'a>),
    Vector(&'a [f32]),
}

use FieldType::{Int32, Int64, Json, Text, TextList, Time, Vector};
use Presence::{IfGiven, Nullable, Required};

/// Every field, in the order of the files.
pub static FIELDS: [Field; 25] = [
    field("id", Text, Required, |row| FieldValue::Id(row.record.id)),
    field("kind", Text, Required, |row| FieldValue::Text(if row.is_chunk() { "chunk" } else { "document" })),
    field("bucket", Text, Required, |row| FieldValue::Text(&row.document.bucket)),
    field("key", Text, Required, |row| FieldValue::Text(&row.document.key)),
    field("version", Text, Nullable, |row| row.document.version.as_deref().into()),
    field("etag", Text, Required, |row| FieldValue::Text(&row.document.etag)),
    field("last_modified", Time, Required, |row| FieldValue::Time(row.document.last_modified)),
    field("content_type", Text, Nullable, |row| row.document.content_type.as_deref().into()),
    field("chunk", Int64, Nullable, |row| row.is_chunk().then_some(row.record.chunk).into()),
    field("chunks", Int64, Nullable, |row| if row.is_chunk() { row.chunks } else { Some(row.record.chunk) }.into()),
    field("start", Int64, Required, |row| Some(row.record.start).into()),
    field("end", Int64, Required, |row| Some(row.record.end).into()),
    field("tokens", Int64, Required, |row| Some(row.record.tokens).into()),
    field("text", Text, IfGiven, |row| (row.text && row.is_chunk()).then_some(row.record.text.as_str()).into()),
    field("page", Int32, Nullable, |row| row.record.place.page.map(|page| page as usize).into()),
    field("title", Text, Nullable, |row| row.record.place.title.as_deref().into()),
    field("headings", TextList, Required, |row| FieldValue::TextList(&row.record.place.headings)),
    field("record", Int64, Nullable, |row| row.record.place.record.map_or(FieldValue::Null, FieldValue::Integer)),
    field("fields", Json, Required, |row| FieldValue::Fields(&row.record.fields)),
    field("metadata", Json, Required, |row| FieldValue::Metadata(Metadata::of(row))),
    field("model", Text, Required, |row| FieldValue::Text(&row.model.id)),
    field("model_revision", Text, Required, |row| FieldValue::Text(&row.model.revision)),
    field("model_sha256", Text, Required, |row| FieldValue::Text(&row.model.hash)),
    field("dimensions", Int64, Required, |row| Some(row.model.dimensions).into()),
    field("vector", Vector, Required, |row| FieldValue::Vector(&row.record.vector)),
];

const fn field(
    name: &'static str,
    field_type: FieldType,
    presence: Presence,
    read: for<'a> fn(&Row<'a>) -> FieldValue<'a>,
) -> Field {
    Field { name, field_type, presence, read }
}

impl Row<'_> {
    fn is_chunk(&self) -> bool {
        self.kind == RecordKind::Chunk
    }
}

impl Field {
    pub fn value<'a>(&self, row: &Row<'a>) -> FieldValue<'a> {
        (self.read)(row)
    }

    /// The field called `name`, for stores that take some in an order of their own.
    pub fn named(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.name == name)
    }
}

impl<'a> FieldValue<'a> {
    /// The text of a value that is one, or JSON of one that is an object.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.into()),
            Self::Id(id) => Some(id.to_string().into()),
            Self::Fields(_) | Self::Metadata(_) => serde_json::to_string(&self).ok().map(Cow::from),
            _ => None,
        }
    }

    pub fn integer(self) -> Option<u64> {
        match self {
            Self::Integer(number) => Some(number),
            _ => None,
        }
    }
}

impl<'a> From<Option<&'a str>> for FieldValue<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<Option<usize>> for FieldValue<'_> {
    fn from(number: Option<usize>) -> Self {
        number.map_or(Self::Null, |number| Self::Integer(number as u64))
    }
}
