//! How far into the stored object a format's reader is. It is known only while the object is not compressed and in
//! UTF-8, of which broken bytes may have been replaced.

use std::rc::Rc;

use encoding_rs::Encoding;

use super::Cursor;
use super::charset::DetectedEncoding;
use super::sections::Out;
use super::table::Dialect;

/// A reader's place, from which a [`Cursor`] is made.
pub struct Position {
    byte: u64,
    settled: Option<&'static Encoding>,
    declared: Option<&'static Encoding>,
    /// Whether the object is stored uncompressed.
    countable: bool,
    found: Rc<DetectedEncoding>,
    /// Bytes that were decoded and are done with, in this reading.
    decoded: u64,
    /// Line ends before it, where the reader counts them.
    pub lines: u64,
    /// Whether it lies in a list of JSON records.
    pub in_list: bool,
    pub columns: Vec<String>,
    pub dialect: Dialect,
}

impl Position {
    pub fn start(settled: Option<&'static Encoding>, declared: Option<&'static Encoding>, countable: bool) -> Self {
        Self {
            byte: 0,
            settled,
            declared,
            countable,
            found: Rc::default(),
            decoded: 0,
            lines: 0,
            in_list: false,
            columns: Vec::new(),
            dialect: Dialect::default(),
        }
    }

    pub fn resume(cursor: &Cursor) -> Self {
        let encoding = |label: &Option<String>| label.as_deref().and_then(super::charset::labelled);
        Self {
            byte: cursor.byte,
            settled: encoding(&cursor.charset),
            declared: encoding(&cursor.declared),
            countable: true,
            found: Rc::default(),
            decoded: 0,
            lines: cursor.lines,
            in_list: cursor.in_list,
            columns: cursor.columns.clone(),
            dialect: cursor.dialect,
        }
    }

    /// The encoding that is certain before anything is decoded.
    pub fn settled(&self) -> Option<&'static Encoding> {
        self.settled
    }

    pub fn declared(&self) -> Option<&'static Encoding> {
        self.declared
    }

    /// Sets what the decoder detects.
    pub fn watch(&mut self, found: Rc<DetectedEncoding>) {
        self.found = found;
    }

    /// Passes the `mark` bytes of a byte-order mark.
    pub fn skip_mark(&mut self, mark: usize) {
        self.byte += mark as u64;
    }

    /// The reader is done with `bytes` more decoded ones.
    pub fn advance(&mut self, bytes: usize) {
        self.decoded += bytes as u64;
        self.byte = self.byte + bytes as u64 - self.found.surplus_until(self.decoded);
    }

    /// The same, and counts their line ends.
    pub fn advance_over(&mut self, bytes: &[u8]) {
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.advance(bytes.len());
    }

    /// The cursor after all that was emitted so far; `None` where reading cannot go on.
    pub fn cursor(&self, out: &Out<'_>) -> Option<Cursor> {
        (self.countable && self.found.exact()).then(|| Cursor {
            byte: self.byte,
            format: out.format,
            charset: self.found.encoding().map(|encoding| encoding.name().to_owned()),
            declared: self.declared.map(|encoding| encoding.name().to_owned()),
            characters: out.characters,
            sections: out.sections,
            records: out.records,
            skipped_records: out.skipped_records.clone(),
            lines: self.lines,
            in_list: self.in_list,
            columns: self.columns.clone(),
            dialect: self.dialect,
        })
    }
}
