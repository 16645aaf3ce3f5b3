//! Sections of a document, kept compressed in memory until it is known that the document can be read to its end.
//!
//! Stores that replace an older version chunk by chunk would otherwise lose it to a document that turns out unreadable
//! in its middle.

use std::io::{self, BufRead, BufReader, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::extract::Section;
use crate::error::{Error, Result};

/// Compressed bytes that are kept: some hundred megabytes of text. Of a longer document the beginning replaces the older
/// version's before its end is read.
pub const LARGEST: usize = 32 << 20;

pub struct Spool {
    /// At its fastest level; text compresses to two fifths.
    encoder: DeflateEncoder<Vec<u8>>,
}

impl Spool {
    pub fn new() -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), Compression::fast()) }
    }

    pub fn add(&mut self, section: &Section) -> Result<()> {
        let added = serde_json::to_writer(&mut self.encoder, section).map_err(io::Error::from);
        let added = added.and_then(|()| self.encoder.write_all(b"\n"));
        added.map_err(|e| Error::internal("a section is not kept", e))
    }

    pub fn is_full(&self) -> bool {
        self.encoder.get_ref().len() > LARGEST
    }

    /// The sections, in the order in which they were added.
    pub fn sections(self) -> Result<impl Iterator<Item = Result<Section>>> {
        let wrong = |e| Error::internal("a section that was kept is lost", e);
        let compressed = io::Cursor::new(self.encoder.finish().map_err(wrong)?);
        let lines = BufReader::new(DeflateDecoder::new(compressed)).lines();
        Ok(lines.map(move |line| serde_json::from_str(&line.map_err(wrong)?).map_err(|e| wrong(e.into()))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::documents::extract::Format;
    use crate::record::Place;

    #[test]
    fn sections_come_back_as_they_were() {
        let section = |number: usize| Section {
            format: Format::Html,
            text: format!("Line {number}.\nAnother one, \"quoted\" ü."),
            start: number,
            place: Place { headings: vec!["One".to_owned()], record: Some(3), ..Place::default() },
            fields: Map::from_iter([("a".to_owned(), json!([1, null]))]),
            resume: None,
        };
        let mut spool = Spool::new();
        (0..1000).for_each(|number| spool.add(&section(number)).unwrap());
        assert!(!spool.is_full());
        let back: Vec<_> = spool.sections().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, (0..1000).map(section).collect::<Vec<_>>());
    }
}
