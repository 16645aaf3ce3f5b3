//! How far into the stored object a format's reader is. It is known only while the object is not compressed and the
//! decoded bytes are the stored ones.

use std::rc::Rc;

use encoding_rs::Encoding;

use super::Cursor;
use super::charset::DetectedEncoding;
use super::sections::Out;

/// A reader's place, from which a [`Cursor`] is made.
pub struct Position {
    byte: u64,
    settled: Option<&'static Encoding>,
    declared: Option<&'static Encoding>,
    /// Whether the object is stored uncompressed.
    countable: bool,
    found: Rc<DetectedEncoding>,
    /// The names in a table's first line.
    pub columns: Vec<String>,
    pub delimiter: u8,
}

impl Position {
    pub fn start(settled: Option<&'static Encoding>, declared: Option<&'static Encoding>, countable: bool) -> Self {
        Self { byte: 0, settled, declared, countable, found: Rc::default(), columns: Vec::new(), delimiter: b',' }
    }

    pub fn resume(cursor: &Cursor) -> Self {
        let encoding = |label: &Option<String>| label.as_deref().and_then(super::charset::labelled);
        Self {
            byte: cursor.byte,
            settled: encoding(&cursor.charset),
            declared: encoding(&cursor.declared),
            countable: true,
            found: Rc::default(),
            columns: cursor.columns.clone(),
            delimiter: cursor.delimiter,
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

    /// The reader is done with `bytes` more.
    pub fn advance(&mut self, bytes: usize) {
        self.byte += bytes as u64;
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
            columns: self.columns.clone(),
            delimiter: self.delimiter,
        })
    }
}
