//! JSON Lines: a record a line. A line that is no JSON, or too long, is skipped and counted.

use std::io::BufRead;

use serde_json::Value;

use super::json::{Nesting, not_json, record};
use super::position::Position;
use super::sections::{Out, Stop};
use super::{ExtractOptions, Unreadable};

pub fn read(
    input: &mut impl BufRead,
    options: &ExtractOptions,
    position: &mut Position,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    let mut line = Vec::new();
    let mut first_wrong = None;
    let mut right = out.records - out.skipped_records.count.min(out.records);
    loop {
        line.clear();
        let length = next_line(input, &mut line, options.max_record_bytes)?;
        if length == 0 {
            break;
        }
        position.advance(length);
        let text = line.trim_ascii();
        if length > line.len() {
            out.skip_record("too_large", &format!("it is larger than {} bytes, the limit", options.max_record_bytes));
        } else if !text.is_empty() {
            match parse(text) {
                Ok(value) => {
                    right += 1;
                    record(value, options, out, |out| position.cursor(out))?;
                }
                Err(Stop::Unreadable(why)) => {
                    out.skip_record("not_json", &why.to_string());
                    first_wrong.get_or_insert(why);
                }
                Err(other) => return Err(other),
            }
        }
    }
    match first_wrong {
        Some(why @ Unreadable::Broken(_)) if right == 0 => Err(why.into()),
        _ => Ok(()),
    }
}

fn parse(line: &[u8]) -> Result<Value, Stop> {
    serde_json::from_slice(line).map_err(|e| {
        let mut nesting = Nesting::default();
        nesting.pass(line);
        not_json(e, nesting.deepest)
    })
}

/// Reads the next line with its end and returns its length; 0 means the end of the input. A line beyond `limit` is
/// read to its end, but `line` does not get all of it.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>, limit: u64) -> Result<usize, Stop> {
    let mut length = 0;
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(length);
        }
        let end = available.iter().position(|&byte| byte == b'\n');
        let part = &available[..end.map_or(available.len(), |end| end + 1)];
        if (length + part.len()) as u64 <= limit {
            line.extend_from_slice(part);
        }
        let read = part.len();
        length += read;
        input.consume(read);
        if end.is_some() {
            return Ok(length);
        }
    }
}
