//! CSV and TSV: a record a row. Its text is in the configured column, its fields are the other columns.

use std::io::Read;

use csv::StringRecord;
use serde_json::{Map, Value};

use super::charset::Utf8;
use super::decompress::{Limited, Verdict};
use super::json::MAX_FIELDS;
use super::position::Position;
use super::sections::{Out, Stop};
use super::{Cursor, ExtractOptions, Format, Skip, Unreadable};

/// Delimiters other than the format's own: a first line `a;b;text` names three columns, not one.
const OTHER_DELIMITERS: [u8; 3] = [b';', b'\t', b'|'];

pub fn read(
    mut utf8: Utf8<impl Read>,
    options: &ExtractOptions,
    verdict: &Verdict,
    resumed: Option<&Cursor>,
    position: &mut Position,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    if resumed.is_none() {
        position.delimiter = delimiter(&mut utf8, out.format)?;
    }
    let (limited, allowance) = Limited::new(utf8, options.max_record_bytes, "a row", verdict);
    let mut rows =
        csv::ReaderBuilder::new().delimiter(position.delimiter).flexible(true).has_headers(false).from_reader(limited);
    let mut row = StringRecord::new();
    let mut parsed = 0;
    let mut next = |row: &mut StringRecord, position: &mut Position| -> Result<bool, Stop> {
        allowance.renew();
        let more = rows.read_record(row).map_err(|e| match e.into_kind() {
            csv::ErrorKind::Io(e) => Stop::Read(e),
            other => Unreadable::Broken(format!("it is not CSV: {other:?}")).into(),
        })?;
        let reached = rows.position().byte();
        position.advance((reached - parsed) as usize);
        parsed = reached;
        Ok(more)
    };
    if resumed.is_none() {
        next(&mut row, position)?;
        position.columns = row.iter().map(|name| name.trim().to_owned()).collect();
    }
    let columns = position.columns.clone();
    let Some(text_column) = column(&columns, &options.csv_column) else {
        let reason = format!("it has no column {:?}; its columns are {}", options.csv_column, columns.join(", "));
        return Err(Unreadable::skipped(Skip::Unreadable, reason).into());
    };
    while next(&mut row, position)? {
        let Some(text) = row.get(text_column) else {
            out.skip_record("no_text", &format!("it has {} columns only", row.len()));
            continue;
        };
        let mut fields: Map<String, Value> = columns
            .iter()
            .zip(&row)
            .enumerate()
            .filter(|(index, _)| *index != text_column)
            .map(|(_, (name, value))| (name.clone(), value.into()))
            .collect();
        if row.as_slice().len() - text.len() > MAX_FIELDS {
            let record = out.records;
            let reason = format!("its other columns, more than {MAX_FIELDS} bytes");
            out.skipped_records.add(format_args!("record {record}"), "fields_too_large", &reason);
            fields.clear();
        }
        out.record(text, &fields, |out| position.cursor(out))?;
    }
    Ok(())
}

/// The format's delimiter if the first line has it, else the one that it has.
fn delimiter(utf8: &mut Utf8<impl Read>, format: Format) -> std::io::Result<u8> {
    use std::io::BufRead;
    let usual = if format == Format::Tsv { b'\t' } else { b',' };
    let start = utf8.fill_buf()?;
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.contains(&usual) {
        return Ok(usual);
    }
    Ok(OTHER_DELIMITERS.into_iter().find(|other| line.contains(other)).unwrap_or(usual))
}

/// The index of the column with this name; upper and lower case count if one matches exactly.
fn column(columns: &[String], name: &str) -> Option<usize> {
    let named = |same: fn(&str, &str) -> bool| columns.iter().position(|column| same(column, name));
    named(|a, b| a == b).or_else(|| named(|a, b| a.eq_ignore_ascii_case(b)))
}
