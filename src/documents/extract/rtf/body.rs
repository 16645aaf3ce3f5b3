//! The body of Rich Text on its way to blocks: paragraphs, tables, notes, headers and footers. What is open at once is
//! bounded.

use std::collections::BTreeSet;

use crate::documents::extract::blocks::{Blocks, Paragraph};
use crate::documents::extract::sections::{PART_SEPARATOR, Stop};
use crate::documents::extract::{Skip, Unreadable};
use crate::record::Place;

pub struct Body<'b, 'o> {
    blocks: Blocks<'b, 'o>,
    /// Bytes that a paragraph or a row may have, with its notes; and all headers and footers.
    limit: usize,
    /// Bytes of the open paragraph, row and notes.
    held: usize,
    /// The open paragraph of the body, and of each open aside.
    paragraphs: Vec<String>,
    /// Asides of the open paragraph.
    notes: Vec<String>,
    /// Level of the open paragraph, where it is a heading.
    pub heading: Option<u8>,
    pub is_item: bool,
    pub in_table: bool,
    cell: String,
    row: Vec<String>,
    /// Headers and footers, each once: most pages repeat them.
    furniture: BTreeSet<String>,
    furniture_bytes: usize,
}

impl<'b, 'o> Body<'b, 'o> {
    pub fn new(blocks: Blocks<'b, 'o>, limit: usize) -> Self {
        Self {
            blocks,
            limit,
            held: 0,
            paragraphs: vec![String::new()],
            notes: Vec::new(),
            heading: None,
            is_item: false,
            in_table: false,
            cell: String::new(),
            row: Vec::new(),
            furniture: BTreeSet::new(),
            furniture_bytes: 0,
        }
    }

    /// What the document says of itself is known: sections have `place` from here on.
    pub fn begin(&mut self, place: Place) -> Result<(), Stop> {
        self.blocks.begin(place)
    }

    /// Adds to the open paragraph.
    pub fn push(&mut self, text: &str) -> Result<(), Stop> {
        let Some(paragraph) = self.paragraphs.last_mut() else { return Ok(()) };
        paragraph.push_str(text);
        self.hold(text.len())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Stop> {
        self.held += bytes;
        check(self.held, self.limit)
    }

    /// Begins a note, a text box, a header or a footer.
    pub fn open_aside(&mut self) {
        self.paragraphs.push(String::new());
    }

    pub fn close_aside(&mut self, is_furniture: bool) -> Result<(), Stop> {
        if self.paragraphs.len() == 1 {
            return Ok(());
        }
        let aside = self.paragraphs.pop().unwrap_or_default();
        let text = aside.trim();
        if text.is_empty() {
            return Ok(());
        }
        if !is_furniture {
            self.notes.push(text.to_owned());
            return self.hold(size_of::<String>());
        }
        self.held = self.held.saturating_sub(aside.len());
        if self.furniture.insert(text.to_owned()) {
            self.furniture_bytes += text.len() + size_of::<String>();
        }
        check(self.furniture_bytes, self.limit)
    }

    /// The next paragraph has none of the properties of those before it.
    pub fn reset_paragraph(&mut self) {
        (self.heading, self.is_item, self.in_table) = (None, false, false);
    }

    pub fn end_paragraph(&mut self) -> Result<(), Stop> {
        if self.paragraphs.len() > 1 {
            if let Some(aside) = self.paragraphs.last_mut().filter(|aside| !aside.is_empty()) {
                aside.push_str(PART_SEPARATOR);
            }
            return self.hold(PART_SEPARATOR.len());
        }
        let text = std::mem::take(&mut self.paragraphs[0]);
        if self.in_table {
            if !self.cell.is_empty() {
                self.cell.push(' ');
            }
            self.cell.push_str(text.trim());
            return self.hold(1);
        }
        let text = text.trim_end();
        if !text.is_empty() {
            let kind = match self.heading {
                Some(level) => Paragraph::Heading(level),
                None if self.is_item => Paragraph::ListItem,
                None => Paragraph::Plain,
            };
            self.blocks.add(if kind == Paragraph::Plain { text } else { text.trim_start() }, kind)?;
        }
        self.add_notes()
    }

    fn add_notes(&mut self) -> Result<(), Stop> {
        self.held = 0;
        std::mem::take(&mut self.notes).iter().try_for_each(|note| self.blocks.add(note, Paragraph::Plain))
    }

    pub fn end_cell(&mut self) -> Result<(), Stop> {
        let text = std::mem::take(&mut self.paragraphs[0]);
        let cell = [std::mem::take(&mut self.cell).trim(), text.trim()].join(" ");
        self.row.push(cell.split_whitespace().collect::<Vec<_>>().join(" "));
        self.hold(size_of::<String>())
    }

    pub fn end_row(&mut self) -> Result<(), Stop> {
        self.blocks.open_row();
        std::mem::take(&mut self.row).iter().try_for_each(|cell| self.blocks.add_cell(cell))?;
        self.blocks.close_row(true, 1)?;
        self.add_notes()
    }

    pub fn finish(mut self) -> Result<(), Stop> {
        self.in_table = false;
        self.end_paragraph()?;
        if !self.row.is_empty() || !self.cell.is_empty() {
            self.end_cell()?;
            self.end_row()?;
        }
        self.furniture.iter().try_for_each(|text| self.blocks.add(text, Paragraph::Plain))?;
        self.blocks.finish()
    }
}

pub fn check(bytes: usize, limit: usize) -> Result<(), Stop> {
    if bytes <= limit {
        return Ok(());
    }
    let reason =
        format!("a paragraph or table row with its notes, or its headers, are larger than {limit} bytes, the limit");
    Err(Unreadable::skipped(Skip::TooLarge, reason).into())
}
