//! CSV and TSV: a record a row. Its text is the row, `name: value` a line, or the configured column; its fields are the
//! other columns. A row that cannot be read is counted, and costs the others nothing.

mod dialect;
mod row;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use serde_json::{Map, Value};

pub use row::Dialect;

use super::json::{MAX_FIELDS, MAX_REPEATED};
use super::position::Position;
use super::sections::{Out, Stop};
use super::window::Window;
use super::{ExtractOptions, Format, Skip, Unreadable};
use row::{MAX_CELLS, RowEnd, first_line};

/// Bytes of all names, which every row repeats.
const MAX_NAMES: usize = 1 << 20;

/// Lines that are looked at to tell rows from the lines of a cell.
const LINES: usize = 16;

pub fn read(
    input: impl BufRead,
    options: &ExtractOptions,
    resumed: bool,
    position: &mut Position,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    let limit = usize::try_from(options.max_record_bytes).unwrap_or(usize::MAX);
    let mut rows = Rows { window: Window::new(input, position), out, limit, cells: Vec::new(), refused: None };
    if !resumed {
        rows.begin()?;
    }
    let names = rows.window.position.columns.clone();
    let columns = Columns::new(&names, options.text_column.as_deref());
    if let Some(name) = options.text_column.as_deref().filter(|_| columns.text.is_none() && !names.is_empty()) {
        let reason = format!(
            "it has no column {name:?}; its columns are {}: set EMBED_CSV_COLUMN to one of them, or to * for whole rows",
            names.join(", ")
        );
        return Err(Unreadable::skipped(Skip::Unreadable, reason).into());
    }
    while rows.next()? {
        match columns.record(&rows.cells) {
            Ok((text, mut fields)) => {
                if fields.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>() > MAX_FIELDS {
                    rows.out.leave_out_fields(&format!("its other columns, more than {MAX_FIELDS} bytes"));
                    fields.clear();
                }
                let position = &*rows.window.position;
                rows.out.record(&text, &fields, |out| position.cursor(out))?;
            }
            Err(reason) => rows.out.skip_record("no_text", &reason),
        }
    }
    match rows.refused {
        Some(why) if rows.out.sections == 0 => Err(why.into()),
        _ => Ok(()),
    }
}

fn size(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}

/// The rows of a table, one after another.
struct Rows<'r, 'o, R> {
    window: Window<'r, R>,
    out: &'r mut Out<'o>,
    /// A row's bytes at most.
    limit: usize,
    /// The current row.
    cells: Vec<String>,
    /// Set if a row was too large.
    refused: Option<Unreadable>,
}

impl<R: BufRead> Rows<'_, '_, R> {
    /// Finds out the dialect and reads the names.
    fn begin(&mut self) -> Result<(), Stop> {
        while self.window.bytes().len() < dialect::SAMPLE && self.window.more()? {}
        let usual = if self.out.format == Format::Tsv { b'\t' } else { b',' };
        let declared = dialect::declared(self.window.bytes());
        if let Some((_, line)) = declared {
            self.window.pass(line);
        }
        let found = Dialect::of(self.window.bytes(), self.window.ended(), usual);
        let delimiter = declared.map_or(found.delimiter, |(delimiter, _)| delimiter);
        self.window.position.dialect = Dialect { delimiter, ..found };
        if self.next()? {
            let names = self.cells.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned());
            self.window.position.columns = names.collect();
        }
        if self.window.position.columns.iter().map(String::len).sum::<usize>() > MAX_NAMES {
            let reason = format!("the names in its first line are larger than {MAX_NAMES} bytes, the limit");
            return Err(Unreadable::skipped(Skip::TooLarge, reason).into());
        }
        // A first line that cannot be read is no record.
        self.out.records = 0;
        Ok(())
    }

    /// Reads the next row that can be read into `cells`; false at the end. Rows that cannot be are counted, rows of
    /// nothing but empty cells are not.
    fn next(&mut self) -> Result<bool, Stop> {
        loop {
            if self.window.bytes().is_empty() && !self.window.more()? {
                return Ok(false);
            }
            self.out.line = Some(self.window.position.lines + 1);
            let (bytes, ended) = (self.window.bytes(), self.window.ended());
            let mut dialect = self.window.position.dialect;
            let (all, end) = (bytes.len(), dialect.read(bytes, ended, &mut self.cells));
            self.window.position.dialect = dialect;
            match end {
                RowEnd::At(end) if end > self.limit || self.cells.len() > MAX_CELLS => {
                    self.refuse_too_large();
                    self.window.pass(end);
                }
                RowEnd::At(end) if self.cells.len() != self.names() && self.rows_follow(end) => self.skip_unclosed(),
                RowEnd::At(end) => {
                    self.window.pass(end);
                    if self.cells.iter().any(|cell| !cell.trim().is_empty()) {
                        return Ok(true);
                    }
                }
                RowEnd::Unclosed => self.skip_unclosed(),
                RowEnd::Open if self.rows_follow(all) => self.skip_unclosed(),
                RowEnd::Open => {
                    self.out.skip_record("unclosed_quote", "a quote in it is not closed before the document ends");
                    self.window.pass(all);
                }
                RowEnd::Beyond if all <= self.limit => {
                    self.window.more()?;
                }
                // Either a cell without end, or a quote without its other one.
                RowEnd::Beyond if self.rows_follow(all) => self.skip_unclosed(),
                RowEnd::Beyond => {
                    self.refuse_too_large();
                    self.pass_row()?;
                }
            }
        }
    }

    /// The number of columns.
    fn names(&self) -> usize {
        self.window.position.columns.len()
    }

    /// Whether most lines after the first one, up to byte `end`, are rows with as many cells as there are names: then
    /// they are no lines of a cell of the first one.
    fn rows_follow(&self, end: usize) -> bool {
        let bytes = &self.window.bytes()[..end];
        let mut rest = &bytes[first_line(bytes)..];
        let (mut lines, mut rows, mut cells) = (0, 0, Vec::new());
        while !rest.is_empty() && lines < LINES {
            let (line, after) = rest.split_at(first_line(rest));
            rest = after;
            let whole = self.window.position.dialect.clone().read(line, true, &mut cells) == RowEnd::At(line.len());
            lines += 1;
            rows += usize::from(whole && cells.len() == self.names());
        }
        lines > 0 && rows * 2 >= lines
    }

    /// Counts a row with a quote that is not closed, and passes its line.
    fn skip_unclosed(&mut self) {
        self.out.skip_record("unclosed_quote", "a quote in it is not closed");
        self.window.pass(first_line(self.window.bytes()));
    }

    fn refuse_too_large(&mut self) {
        let reason = match self.cells.len() > MAX_CELLS {
            true => format!("a row has more than {MAX_CELLS} cells, the limit"),
            false => format!("a row is larger than {} bytes, the limit", self.limit),
        };
        self.out.skip_record("too_large", &reason);
        self.refused.get_or_insert(Unreadable::skipped(Skip::TooLarge, reason));
    }

    /// Passes a row that is too large to be held: to the next line end outside of quotes.
    fn pass_row(&mut self) -> Result<(), Stop> {
        let mut in_quotes = false;
        self.window.pass_to(|bytes| {
            bytes.iter().position(|byte| {
                in_quotes ^= *byte == b'"';
                matches!(byte, b'\n' | b'\r') && !in_quotes
            })
        })?;
        Ok(())
    }
}

/// What the first line says about a row's cells.
struct Columns<'c> {
    names: &'c [String],
    /// The names for fields, which have to differ: a second `a` is `a.1`, as pandas has it.
    fields: Vec<String>,
    /// The column that holds the text.
    text: Option<usize>,
}

impl<'c> Columns<'c> {
    fn new(names: &'c [String], text: Option<&str>) -> Self {
        let mut fields: Vec<String> = Vec::with_capacity(names.len());
        let (mut taken, mut next) = (HashSet::new(), HashMap::new());
        for (index, name) in names.iter().enumerate() {
            let name = if name.is_empty() { unnamed(index) } else { name.clone() };
            let mut unique = name.clone();
            while !taken.insert(unique.clone()) {
                let number = next.entry(name.clone()).or_insert(0_usize);
                *number += 1;
                unique = format!("{name}.{number}");
            }
            fields.push(unique);
        }
        // Upper and lower case count if one matches exactly.
        let named =
            |same: fn(&str, &str) -> bool| names.iter().position(|name| text.is_some_and(|text| same(name, text)));
        let text = named(|a, b| a == b).or_else(|| named(|a, b| a.eq_ignore_ascii_case(b)));
        Self { names, fields, text }
    }

    /// The text of a row and its fields.
    ///
    /// # Errors
    /// Why it has no text.
    fn record(&self, cells: &[String]) -> Result<(String, Map<String, Value>), String> {
        let field = |(index, cell): (usize, &String)| {
            (self.fields.get(index).cloned().unwrap_or_else(|| unnamed(index)), Value::from(cell.as_str()))
        };
        let beside = cells.iter().enumerate();
        match self.text {
            Some(column) => {
                let text = cells.get(column).ok_or_else(|| format!("it has {} columns only", cells.len()))?;
                Ok((text.clone(), beside.filter(|(index, _)| *index != column).map(field).collect()))
            }
            None => Ok((self.lines(cells), beside.filter(|(_, cell)| cell.len() <= MAX_REPEATED).map(field).collect())),
        }
    }

    /// The row as `name: value` lines. A cell of a column without a name is a line of its own.
    fn lines(&self, cells: &[String]) -> String {
        let line = |(index, cell): (usize, &String)| {
            let cell = cell.trim();
            match self.names.get(index).filter(|name| !name.is_empty()) {
                Some(name) => Some(format!("{name}: {cell}")),
                None => (!cell.is_empty()).then(|| cell.to_owned()),
            }
        };
        cells.iter().enumerate().filter_map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The name of a column that has none, counted from 1.
fn unnamed(index: usize) -> String {
    format!("column {}", index + 1)
}
