//! Which dialect a table is written in, by its first rows.

use super::row::{Dialect, RowEnd, first_line};

/// Bytes whose rows are looked at.
pub const SAMPLE: usize = 64 * 1024;

/// Rows that are looked at.
const ROWS: usize = 200;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

impl Dialect {
    /// The dialect in which the rows of `sample`, a table's first bytes, have the same number of cells more often than
    /// in others; if several are as good, the one that splits more rows, then the one with more cells. `usual` is the
    /// format's own delimiter.
    pub fn of(sample: &[u8], ended: bool, usual: u8) -> Self {
        let backslash = has_escaped_quote(sample);
        let mut best = ((0, 0, 0), Self { delimiter: usual, backslash });
        for delimiter in std::iter::once(usual).chain(DELIMITERS) {
            let dialect = Self { delimiter, backslash };
            let counts = dialect.counts(sample, ended);
            // A name has no delimiter, so a table of one column has none in its first line.
            if counts.first().is_none_or(|names| *names < 2) {
                continue;
            }
            let alike = |count: usize| counts.iter().filter(|other| **other == count).count();
            let split = counts.iter().copied().filter(|count| *count > 1);
            let Some(cells) = split.clone().max_by_key(|count| alike(*count)) else { continue };
            // Of a thousand rows: a dialect may find more rows in a sample than another.
            let share = |rows: usize| rows * 1000 / counts.len();
            let score = (share(alike(cells)), share(split.count()), cells);
            if score > best.0 {
                best = (score, dialect);
            }
        }
        best.1
    }

    /// The number of cells of each whole row.
    fn counts(mut self, sample: &[u8], ended: bool) -> Vec<usize> {
        let (mut rest, mut cells, mut counts) = (sample, Vec::new(), Vec::new());
        while !rest.is_empty() && counts.len() < ROWS {
            let end = match self.read(rest, ended, &mut cells) {
                RowEnd::At(end) => end,
                RowEnd::Unclosed | RowEnd::Open => first_line(rest),
                RowEnd::Beyond => break,
            };
            if rest[..end].iter().any(|byte| !byte.is_ascii_whitespace()) {
                counts.push(cells.len());
            }
            rest = &rest[end..];
        }
        counts
    }
}

/// Whether a backslash stands before a quote that a letter, digit or space follows: doubled quotes do not look so.
fn has_escaped_quote(sample: &[u8]) -> bool {
    let escaped = |at: &usize| {
        let backslashes = sample[..*at].iter().rev().take_while(|byte| **byte == b'\\').count();
        backslashes % 2 == 1 && sample.get(at + 1).is_some_and(|next| next.is_ascii_alphanumeric())
    };
    memchr::memchr_iter(b'"', sample).any(|at| escaped(&at))
}

/// The delimiter that a first line `sep=;` names, as Excel writes and reads it, and the bytes of that line.
pub fn declared(bytes: &[u8]) -> Option<(u8, usize)> {
    let line = first_line(bytes);
    let text = std::str::from_utf8(&bytes[..line]).ok()?.trim_end_matches(['\n', '\r']);
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let value = text.get(..4).filter(|name| name.eq_ignore_ascii_case("sep=")).map(|_| &text[4..])?;
    match value.as_bytes() {
        [delimiter] if delimiter.is_ascii() && *delimiter != b'"' => Some((*delimiter, line)),
        _ => None,
    }
}
