//! JSON: one record, an array of records that are read one by one, or several records one after another. The text and
//! the fields of a record are found here for JSON Lines too.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead, BufReader, Read};

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::charset::Utf8;
use super::decompress::{Allowance, Limited, Verdict};
use super::sections::{Out, Stop};
use super::{Cursor, ExtractOptions, Skip, Unreadable};

/// Bytes of JSON that the fields beside a text may have; every chunk of the text repeats them.
pub const MAX_FIELDS: usize = 64 * 1024;

/// Levels of nesting that serde_json refuses.
const MAX_DEPTH: usize = 128;

pub fn read(
    mut utf8: Utf8<impl Read>,
    options: &ExtractOptions,
    verdict: &Verdict,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    let array = first_byte(&mut utf8)? == Some(b'[');
    let (limited, allowance) = Limited::new(utf8, options.max_record_bytes, "a record", verdict);
    let nesting = RefCell::new(Nesting::default());
    let watched = NestingReader { inner: limited, nesting: &nesting };
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(watched));
    let not_json = |e| not_json(e, nesting.borrow().deepest);
    let mut records = Records { options, out, allowance, stop: RefCell::default() };
    if array {
        let outcome = deserializer.deserialize_seq(&mut records).and_then(|()| deserializer.end());
        if let Some(stop) = records.stop.take() {
            return Err(stop);
        }
        return outcome.map_err(not_json);
    }
    for value in deserializer.into_iter::<Value>() {
        records.allowance.renew();
        record(value.map_err(not_json)?, options, records.out, |_| None)?;
    }
    Ok(())
}

/// The first byte that is no white space; it stays where it is.
fn first_byte(input: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(None);
        }
        let blank = available.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if let Some(&byte) = available.get(blank) {
            return Ok(Some(byte));
        }
        input.consume(blank);
    }
}

/// Why JSON that is `deepest` levels deep could not be parsed.
pub fn not_json(e: serde_json::Error, deepest: usize) -> Stop {
    if e.is_io() {
        return Stop::Read(e.into());
    }
    if e.is_syntax() && deepest >= MAX_DEPTH {
        return Unreadable::skipped(Skip::TooDeep, "its JSON is nested more than 128 levels deep").into();
    }
    Unreadable::Broken(format!("it is not JSON: {e}")).into()
}

/// How deep JSON is nested, counted while its bytes pass by: serde_json does not tell the error of its own limit from
/// other errors.
#[derive(Default)]
pub struct Nesting {
    depth: usize,
    pub deepest: usize,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    pub fn pass(&mut self, json: &[u8]) {
        for byte in json {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                b'[' | b'{' if !self.in_string => {
                    self.depth += 1;
                    self.deepest = self.deepest.max(self.depth);
                }
                b']' | b'}' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

struct NestingReader<'n, R> {
    inner: R,
    nesting: &'n RefCell<Nesting>,
}

impl<R: Read> Read for NestingReader<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.nesting.borrow_mut().pass(&into[..read]);
        Ok(read)
    }
}

/// The elements of an array, each emitted before the next is read.
struct Records<'r, 'o> {
    options: &'r ExtractOptions,
    out: &'r mut Out<'o>,
    allowance: Allowance,
    /// Why reading stopped; serde's error cannot carry it.
    stop: RefCell<Option<Stop>>,
}

impl<'de> Visitor<'de> for &mut Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Records<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let value: Value = serde::Deserialize::deserialize(deserializer)?;
        self.allowance.renew();
        record(value, self.options, self.out, |_| None).map_err(|stop| {
            *self.stop.borrow_mut() = Some(stop);
            serde::de::Error::custom("stopped")
        })
    }
}

/// Emits a record's text and fields, or counts a record without text.
pub fn record(
    mut value: Value,
    options: &ExtractOptions,
    out: &mut Out<'_>,
    resume: impl Fn(&Out<'_>) -> Option<Cursor>,
) -> Result<(), Stop> {
    let found = value.pointer_mut(&options.json_pointer).map(Value::take);
    let text = match found {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) if parts.iter().all(Value::is_string) => {
            parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n\n")
        }
        Some(other) => {
            out.skip_record("not_text", &format!("{:?} is {}, not text", options.json_pointer, kind(&other)));
            return Ok(());
        }
        None => {
            let content = match &value {
                Value::Object(fields) => {
                    let names: Vec<_> = fields.keys().take(10).map(|key| format!("{key:?}")).collect();
                    format!("an object with {}", names.join(", "))
                }
                other => kind(other).to_owned(),
            };
            out.skip_record("no_text", &format!("nothing at {:?}: it is {content}", options.json_pointer));
            return Ok(());
        }
    };
    let mut fields = match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    remove(&mut fields, &options.json_pointer);
    if serde_json::to_string(&fields).map_or(0, |json| json.len()) > MAX_FIELDS {
        let record = out.records;
        let reason = format!("its other fields, more than {MAX_FIELDS} bytes of JSON");
        out.skipped_records.add(format_args!("record {record}"), "fields_too_large", &reason);
        fields.clear();
    }
    out.record(&text, &fields, resume)
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
