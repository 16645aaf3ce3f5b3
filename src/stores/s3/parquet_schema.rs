//! The columns of a Parquet file: their types as Parquet writes them, and as Arrow does.
//!
//! Parquet has no lists of a fixed length. pandas, pyarrow and Polars know that a vector is one from Arrow's schema, which
//! a file carries in its footer as `ARROW:schema`: a message of Arrow's IPC format (Message.fbs and Schema.fbs of the
//! Arrow specification), in base64. Readers that do not know the entry see plain lists.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};

use crate::record::{FIELDS, Field, FieldType, Presence};

/// The footer's entry for [`arrow_schema`].
pub const ARROW_SCHEMA: &str = "ARROW:schema";

/// The fields that have a column. `dimensions` has none: the type of `vector` states it. `text` says whether records
/// carry their text.
pub fn columns(text: bool) -> impl Iterator<Item = &'static Field> {
    let columns = FIELDS.iter().filter(|field| field.name != "dimensions");
    columns.filter(move |field| text || field.presence != Presence::IfGiven)
}

/// The columns in Parquet's language of schemas.
pub fn parquet_schema(text: bool) -> String {
    let column = |field: &Field| {
        let (name, presence) = (field.name, if is_nullable(field) { "optional" } else { "required" });
        match field.field_type {
            FieldType::Text | FieldType::Json => format!("{presence} binary {name} (STRING);"),
            FieldType::Int32 => format!("{presence} int32 {name};"),
            FieldType::Int64 => format!("{presence} int64 {name};"),
            FieldType::Time => format!("{presence} int64 {name} (TIMESTAMP(MILLIS,true));"),
            FieldType::TextList => list(presence, name, "optional binary item (STRING);"),
            FieldType::Vector => list(presence, name, "required float item;"),
        }
    };
    let columns: String = columns(text).map(column).collect();
    format!("message arrow_schema {{ {columns} }}")
}

fn list(presence: &str, name: &str, item: &str) -> String {
    format!("{presence} group {name} (LIST) {{ repeated group list {{ {item} }} }}")
}

/// The columns as Arrow's schema, with vectors of `dimensions` floats.
pub fn arrow_schema(dimensions: usize, text: bool) -> String {
    let mut buffer = FlatBufferBuilder::new();
    let fields: Vec<_> = columns(text)
        .map(|field| {
            let arrow_type = match field.field_type {
                FieldType::Text | FieldType::Json => ArrowType::Utf8,
                FieldType::Int32 => ArrowType::Int(32),
                FieldType::Int64 => ArrowType::Int(64),
                FieldType::Time => ArrowType::Milliseconds,
                FieldType::TextList => ArrowType::TextList,
                FieldType::Vector => ArrowType::Vector(dimensions as i32),
            };
            write_field(&mut buffer, field.name, is_nullable(field), arrow_type)
        })
        .collect();
    let fields = buffer.create_vector(&fields);
    let schema = buffer.start_table();
    buffer.push_slot_always(slot(1), fields);
    let schema = buffer.end_table(schema);
    let message = buffer.start_table();
    buffer.push_slot_always(slot(0), METADATA_V5);
    buffer.push_slot_always(slot(1), SCHEMA);
    buffer.push_slot_always(slot(2), schema);
    let message = buffer.end_table(message);
    buffer.finish_minimal(message);
    let message = buffer.finished_data();
    let length = (message.len() as u32).to_le_bytes();
    BASE64.encode([&CONTINUATION[..], &length, message].concat())
}

fn is_nullable(field: &Field) -> bool {
    field.presence != Presence::Required
}

/// The types of Arrow that occur.
#[derive(Clone, Copy)]
enum ArrowType {
    Utf8,
    /// Signed, of so many bits.
    Int(i32),
    Float32,
    /// Since 1970, in UTC.
    Milliseconds,
    TextList,
    /// A list of so many float32.
    Vector(i32),
}

/// What stands before the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

// Of Message.fbs and Schema.fbs: enums' values, unions' numbers.
const METADATA_V5: i16 = 4;
const SCHEMA: u8 = 1;
const SINGLE_PRECISION: i16 = 1;
const MILLISECOND: i16 = 1;

/// Where a table's offsets say the field `number` lies.
const fn slot(number: u16) -> u16 {
    4 + 2 * number
}

type Written = WIPOffset<TableFinishedWIPOffset>;

/// Writes a `Field`: its name, whether it may be null, its type, and the field of a list's items.
fn write_field(buffer: &mut FlatBufferBuilder<'_>, name: &str, nullable: bool, arrow_type: ArrowType) -> Written {
    let children: Vec<Written> = match arrow_type {
        ArrowType::TextList => vec![write_field(buffer, "item", true, ArrowType::Utf8)],
        ArrowType::Vector(_) => vec![write_field(buffer, "item", false, ArrowType::Float32)],
        _ => Vec::new(),
    };
    let (name, children) = (buffer.create_string(name), buffer.create_vector(&children));
    let (number, arrow_type) = write_type(buffer, arrow_type);
    let field = buffer.start_table();
    buffer.push_slot_always(slot(0), name);
    buffer.push_slot_always(slot(1), nullable);
    buffer.push_slot_always(slot(2), number);
    buffer.push_slot_always(slot(3), arrow_type);
    buffer.push_slot_always(slot(5), children);
    buffer.end_table(field)
}

/// Writes a type; with its number in the union `Type`.
fn write_type(buffer: &mut FlatBufferBuilder<'_>, arrow_type: ArrowType) -> (u8, Written) {
    let zone = matches!(arrow_type, ArrowType::Milliseconds).then(|| buffer.create_string("UTC"));
    let table = buffer.start_table();
    let number = match arrow_type {
        ArrowType::Int(bits) => {
            buffer.push_slot_always(slot(0), bits);
            buffer.push_slot_always(slot(1), true);
            2
        }
        ArrowType::Float32 => {
            buffer.push_slot_always(slot(0), SINGLE_PRECISION);
            3
        }
        ArrowType::Utf8 => 5,
        ArrowType::Milliseconds => {
            buffer.push_slot_always(slot(0), MILLISECOND);
            if let Some(zone) = zone {
                buffer.push_slot_always(slot(1), zone);
            }
            10
        }
        ArrowType::TextList => 12,
        ArrowType::Vector(length) => {
            buffer.push_slot_always(slot(0), length);
            16
        }
    };
    (number, buffer.end_table(table))
}
