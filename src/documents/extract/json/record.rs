//! Where a record of JSON has its text, and what stands beside it.

use serde_json::{Map, Value};

use super::lines::{MAX_LINES, name_value_lines};
use crate::documents::extract::RecordText;

/// Bytes of JSON that the fields beside a text may have; every chunk of the text repeats them.
pub const MAX_FIELDS: usize = 64 * 1024;

/// Bytes of a value that the text has too and that is a field all the same: a name, a number, a category, to filter by.
pub const MAX_REPEATED: usize = 256;

/// Where a text is if nobody says where.
const USUAL: [&str; 3] = ["text", "content", "body"];

/// A record's text and its fields.
pub struct Found {
    pub text: String,
    pub fields: Map<String, Value>,
}

impl Found {
    pub fn too_many_fields(&self) -> bool {
        size(&self.fields) > MAX_FIELDS
    }
}

/// The text and the fields of `record`, whose JSON is `json`.
///
/// # Errors
/// Why it has no text: a word for the log, and a sentence that may quote it.
pub fn find(mut record: Value, json: &[u8], at: &RecordText) -> Result<Found, (&'static str, String)> {
    let pointer = match at {
        RecordText::At(pointer) => Some(pointer.clone()),
        RecordText::Usual if record.is_string() => Some(String::new()),
        RecordText::Usual => USUAL.iter().find(|name| has_text(&record, name)).map(|name| format!("/{name}")),
        RecordText::Values => None,
    };
    let Some(pointer) = pointer else {
        let lines = name_value_lines(json);
        let lines =
            lines.map_err(|_| ("too_large", format!("its lines are larger than {MAX_LINES} bytes, the limit")))?;
        let text = lines.ok_or_else(|| ("no_text", format!("no text in it: it is {}", named(&record))))?;
        return Ok(Found { text, fields: short_fields(record) });
    };
    let text = match record.pointer_mut(&pointer).map(Value::take) {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) if parts.iter().all(Value::is_string) => {
            parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n\n")
        }
        Some(other) => return Err(("not_text", format!("{pointer:?} is {}, not text", kind(&other)))),
        None => return Err(("no_text", format!("nothing at {pointer:?}: it is {}", named(&record)))),
    };
    let mut fields = match record {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    remove(&mut fields, &pointer);
    Ok(Found { text, fields })
}

/// Whether the member `name` is a string, or a list of strings, with text.
fn has_text(record: &Value, name: &str) -> bool {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    match record.get(name) {
        Some(Value::Array(parts)) => parts.iter().all(Value::is_string) && parts.iter().any(is_text),
        Some(value) => is_text(value),
        None => false,
    }
}

/// The members of a record whose text they are part of, without the long ones.
fn short_fields(record: Value) -> Map<String, Value> {
    let Value::Object(mut fields) = record else { return Map::new() };
    fields.retain(|_, value| size(value) <= MAX_REPEATED);
    fields
}

fn size(json: &impl serde::Serialize) -> usize {
    serde_json::to_string(json).map_or(0, |json| json.len())
}

/// Removes the `null` at `pointer`, which took the place of the text.
fn remove(fields: &mut Map<String, Value>, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    if parent.is_empty() {
        fields.remove(&last);
        return;
    }
    let mut steps = parent[1..].split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let Some(mut at) = steps.next().and_then(|first| fields.get_mut(&first)) else { return };
    for step in steps {
        let next = match at {
            Value::Object(map) => map.get_mut(&step),
            Value::Array(list) => step.parse::<usize>().ok().and_then(|index| list.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    if let Value::Object(map) = at {
        map.remove(&last);
    }
}

/// What a value is, an object with its first names.
fn named(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let names: Vec<_> = members.keys().take(10).map(|name| format!("{name:?}")).collect();
            format!("an object with {}", names.join(", "))
        }
        other => kind(other).to_owned(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
