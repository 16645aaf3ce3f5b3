//! One row of CSV: its cells, and where it ends.
//!
//! The rules are RFC 4180's, and those of people: a quote within a quoted cell may be doubled or follow a backslash; a
//! quote that nothing closes is told from a line end within a cell; any of CR, LF and CRLF ends a row.

use memchr::{memchr, memchr2, memchr3};
use serde::{Deserialize, Serialize};

/// Cells of a row; spreadsheets have 16,384 at most.
pub const MAX_CELLS: usize = 1 << 17;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    pub delimiter: u8,
    /// Whether `\"` is a quote within a quoted cell, as Spark writes it.
    pub backslash: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', backslash: false }
    }
}

/// How far a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowEnd {
    /// To this byte, its line end included.
    At(usize),
    /// Over all bytes that there are, and perhaps further.
    Beyond,
    /// A quoted cell of it is not closed before the document ends.
    Open,
    /// A quoted cell of it is not closed before another row's first quote.
    Unclosed,
}

/// Where a quoted cell ends.
enum Quoted {
    /// Before the byte that follows its closing quote.
    Closed(usize),
    /// Its first quote is a character like others.
    Plain,
    /// As [`RowEnd`] has it.
    No(RowEnd),
}

impl Dialect {
    /// Reads the row at the start of `bytes` into `cells`; `ended` says that nothing comes after `bytes`. Becomes the
    /// dialect with backslashes where one is followed by a quote that can mean nothing else.
    pub fn read(&mut self, bytes: &[u8], ended: bool, cells: &mut Vec<String>) -> RowEnd {
        cells.clear();
        let mut at = 0;
        loop {
            let mut cell = Vec::new();
            match bytes.get(at) {
                Some(b'"') => match self.quoted(bytes, at, ended, &mut cell) {
                    Quoted::Closed(after) => at = after,
                    Quoted::Plain => at = self.plain(bytes, at, &mut cell),
                    Quoted::No(end) => return end,
                },
                _ => at = self.plain(bytes, at, &mut cell),
            }
            // One more than there may be tells that there are too many.
            if cells.len() <= MAX_CELLS {
                cells.push(String::from_utf8_lossy(&cell).into_owned());
            }
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'\n'), _) => return RowEnd::At(at + 1),
                (Some(b'\r'), Some(b'\n')) => return RowEnd::At(at + 2),
                (Some(b'\r'), None) if !ended => return RowEnd::Beyond,
                (Some(b'\r'), _) => return RowEnd::At(at + 1),
                (Some(_), _) => at += 1,
                (None, _) if ended => return RowEnd::At(at),
                (None, _) => return RowEnd::Beyond,
            }
        }
    }

    /// Takes a cell without quotes; returns where it ends.
    fn plain(self, bytes: &[u8], start: usize, cell: &mut Vec<u8>) -> usize {
        let end = memchr3(self.delimiter, b'\n', b'\r', &bytes[start..]).map_or(bytes.len(), |length| start + length);
        cell.extend_from_slice(&bytes[start..end]);
        end
    }

    /// Takes the cell whose first quote is at `open`.
    fn quoted(&mut self, bytes: &[u8], open: usize, ended: bool, cell: &mut Vec<u8>) -> Quoted {
        let mut at = open + 1;
        loop {
            let Some(quote) = memchr(b'"', &bytes[at..]).map(|offset| at + offset) else {
                return Quoted::No(if ended { RowEnd::Open } else { RowEnd::Beyond });
            };
            cell.extend_from_slice(&bytes[at..quote]);
            at = quote + 1;
            let after = at + bytes[at..].iter().take_while(|byte| **byte == b' ').count();
            if after == bytes.len() && !ended {
                return Quoted::No(RowEnd::Beyond);
            }
            let backslashes = cell.iter().rev().take_while(|byte| **byte == b'\\').count();
            if backslashes > 0 && !self.ends_cell(bytes, after) && bytes.get(at) != Some(&b'"') {
                self.backslash = true;
            }
            if self.backslash && backslashes > 0 {
                // Each pair is a backslash, an odd one makes the quote a character.
                cell.truncate(cell.len() - backslashes.div_ceil(2));
                if backslashes % 2 == 1 {
                    cell.push(b'"');
                    continue;
                }
            }
            if bytes.get(at) == Some(&b'"') {
                cell.push(b'"');
                at += 1;
                continue;
            }
            if self.ends_cell(bytes, after) {
                return Quoted::Closed(after);
            }
            // A quote within a cell, neither doubled nor escaped.
            if memchr2(b'\n', b'\r', &bytes[open..quote]).is_some() {
                if self.opens_cell(bytes, quote) {
                    return Quoted::No(RowEnd::Unclosed);
                }
            } else {
                match memchr2(b'\n', b'\r', &bytes[at..]) {
                    None if !ended => return Quoted::No(RowEnd::Beyond),
                    line_end if !self.closes_within(bytes, at, line_end.map_or(bytes.len(), |length| at + length)) => {
                        cell.clear();
                        return Quoted::Plain;
                    }
                    _ => {}
                }
            }
            cell.push(b'"');
        }
    }

    /// Whether a cell ends before `at`.
    fn ends_cell(self, bytes: &[u8], at: usize) -> bool {
        bytes.get(at).is_none_or(|byte| *byte == self.delimiter || matches!(byte, b'\n' | b'\r'))
    }

    /// Whether a cell begins at `at`.
    fn opens_cell(self, bytes: &[u8], at: usize) -> bool {
        at == 0 || self.ends_cell(bytes, at - 1)
    }

    /// Whether a quote that closes a cell comes from `at` to `end`, before one that opens a cell.
    fn closes_within(self, bytes: &[u8], at: usize, end: usize) -> bool {
        let mut quotes = memchr::memchr_iter(b'"', &bytes[at..end]).map(|offset| at + offset);
        let decisive = quotes.find(|&quote| self.opens_cell(bytes, quote) || self.ends_cell(bytes, quote + 1));
        decisive.is_some_and(|quote| !self.opens_cell(bytes, quote))
    }
}

/// The bytes of the first line of `bytes`, its end included; all of them if there is no line end.
pub fn first_line(bytes: &[u8]) -> usize {
    match memchr2(b'\n', b'\r', bytes) {
        Some(end) if bytes[end..].starts_with(b"\r\n") => end + 2,
        Some(end) => end + 1,
        None => bytes.len(),
    }
}
