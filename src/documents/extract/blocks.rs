//! Paragraphs, headings and table rows, in reading order, to sections: one for the text under each heading.
//!
//! Elements nest: a paragraph holds a text box, whose paragraphs follow it; a cell holds paragraphs, which join to one
//! text; a table stands in a cell of another one. What is open at once is bounded.

use super::markdown::Headings;
use super::sections::{Out, PART_SEPARATOR, SECTION, Stop};
use super::{Skip, Unreadable};
use crate::record::Place;

/// What a finished paragraph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paragraph {
    Plain,
    /// A heading of this level; 0 is a title, above all others.
    Heading(u8),
    ListItem,
}

/// Where finished paragraphs go.
enum Container {
    Cell(String),
    /// A text box or a note: it follows the paragraph that it is anchored in. `before` is the number of asides that
    /// were finished before it began.
    Aside {
        text: String,
        before: usize,
    },
}

/// Gathers a document's text.
pub struct Blocks<'b, 'o> {
    out: &'b mut Out<'o>,
    place: Place,
    /// Bytes that may be open at once.
    limit: u64,
    /// Bytes of paragraphs, cells, rows and asides that are open.
    held: usize,
    text: String,
    /// Whether `text` holds more than headings.
    body: bool,
    above: Headings,
    /// Whether the last that was added is a row or an item of a list, which the next one joins.
    joining: Option<Joining>,
    paragraphs: Vec<String>,
    containers: Vec<Container>,
    rows: Vec<String>,
    /// Finished asides whose paragraph has not ended.
    asides: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joining {
    Rows,
    Items,
}

impl<'b, 'o> Blocks<'b, 'o> {
    /// All sections have `place`; headings that follow go below its own.
    pub fn new(out: &'b mut Out<'o>, place: Place, limit: u64) -> Self {
        Self {
            out,
            place,
            limit,
            held: 0,
            text: String::new(),
            body: false,
            above: Headings::default(),
            joining: None,
            paragraphs: Vec::new(),
            containers: Vec::new(),
            rows: Vec::new(),
            asides: Vec::new(),
        }
    }

    pub fn open_paragraph(&mut self) {
        self.paragraphs.push(String::new());
    }

    /// Whether text has a paragraph to go to.
    pub fn in_paragraph(&self) -> bool {
        !self.paragraphs.is_empty()
    }

    /// The text of the open paragraph so far.
    pub fn paragraph(&self) -> &str {
        self.paragraphs.last().map_or("", String::as_str)
    }

    /// Adds to the open paragraph; without one the text is lost, as between paragraphs there is none.
    pub fn push(&mut self, text: &str) -> Result<(), Stop> {
        let Some(paragraph) = self.paragraphs.last_mut() else { return Ok(()) };
        paragraph.push_str(text);
        self.hold(text.len())
    }

    pub fn close_paragraph(&mut self, kind: Paragraph) -> Result<(), Stop> {
        let Some(text) = self.paragraphs.pop() else { return Ok(()) };
        let text = text.trim_end();
        let text = if kind == Paragraph::Plain { text } else { text.trim_start() };
        if !text.is_empty() {
            match self.containers.last_mut() {
                None => self.add(text, kind)?,
                Some(Container::Cell(cell)) => {
                    if !cell.is_empty() {
                        cell.push(' ');
                    }
                    cell.push_str(text.trim());
                }
                Some(Container::Aside { text: aside, .. }) => {
                    if !aside.is_empty() {
                        aside.push_str(PART_SEPARATOR);
                    }
                    aside.push_str(text);
                }
            }
        }
        self.add_asides()
    }

    pub fn open_row(&mut self) {
        self.rows.push(String::new());
    }

    pub fn open_cell(&mut self) {
        self.containers.push(Container::Cell(String::new()));
    }

    /// Ends a cell, and gives its text. Between two cells with text there is a tab.
    pub fn close_cell(&mut self) -> String {
        let Some(Container::Cell(cell)) = self.containers.pop() else { return String::new() };
        self.join_row(&cell);
        cell
    }

    /// Adds a cell with this text to the open row.
    pub fn add_cell(&mut self, cell: &str) -> Result<(), Stop> {
        self.join_row(cell);
        self.hold(cell.len())
    }

    fn join_row(&mut self, cell: &str) {
        let Some(row) = self.rows.last_mut().filter(|_| !cell.is_empty()) else { return };
        if !row.is_empty() {
            row.push('\t');
        }
        row.push_str(cell);
    }

    /// Ends a row, `times` times over; `keep` is false for one that was deleted.
    pub fn close_row(&mut self, keep: bool, times: usize) -> Result<(), Stop> {
        let Some(row) = self.rows.pop().filter(|row| keep && !row.is_empty()) else { return self.add_asides() };
        for time in 0..times {
            let (separator, buffer) = match self.containers.last_mut() {
                None => {
                    self.make_room()?;
                    let joins = self.joining == Some(Joining::Rows);
                    self.append(&row, if joins { "\n" } else { PART_SEPARATOR });
                    self.joining = Some(Joining::Rows);
                    continue;
                }
                Some(Container::Cell(cell)) => (' ', cell),
                Some(Container::Aside { text, .. }) => ('\n', text),
            };
            if !buffer.is_empty() {
                buffer.push(separator);
            }
            buffer.push_str(&row);
            self.hold(if time == 0 { 0 } else { row.len() })?;
        }
        self.add_asides()
    }

    /// Bytes of the open row so far.
    pub fn row_length(&self) -> usize {
        self.rows.last().map_or(0, String::len)
    }

    /// The next row begins another table.
    pub fn end_table(&mut self) {
        self.joining = None;
    }

    pub fn open_aside(&mut self) {
        self.containers.push(Container::Aside { text: String::new(), before: self.asides.len() });
        // Its paragraphs are not those around it.
        self.paragraphs.push(String::new());
    }

    /// Ends an aside; it is added after the paragraph or the row that it is anchored in.
    pub fn close_aside(&mut self) -> Result<(), Stop> {
        let aside = self.take_aside();
        self.note(&aside)
    }

    /// Ends an aside and gives its text instead of adding it.
    pub fn take_aside(&mut self) -> String {
        self.paragraphs.pop();
        let Some(Container::Aside { mut text, before }) = self.containers.pop() else { return String::new() };
        for inner in self.asides.drain(before.min(self.asides.len())..) {
            if !text.is_empty() {
                text.push_str(PART_SEPARATOR);
            }
            text.push_str(&inner);
        }
        text
    }

    /// Adds `text` after the open paragraph or row.
    pub fn note(&mut self, text: &str) -> Result<(), Stop> {
        if !text.is_empty() {
            self.asides.push(text.to_owned());
            self.hold(text.len())?;
        }
        if self.paragraphs.is_empty() { self.add_asides() } else { Ok(()) }
    }

    fn add_asides(&mut self) -> Result<(), Stop> {
        if !self.containers.is_empty() || !self.paragraphs.is_empty() || !self.rows.is_empty() {
            return Ok(());
        }
        self.held = 0;
        std::mem::take(&mut self.asides).iter().try_for_each(|aside| self.add(aside, Paragraph::Plain))
    }

    /// Adds a paragraph to the text outside of tables.
    pub fn add(&mut self, text: &str, kind: Paragraph) -> Result<(), Stop> {
        let joining = self.joining.take();
        match kind {
            Paragraph::Heading(level) => {
                if self.body || self.text.len() >= SECTION {
                    self.flush()?;
                }
                self.above.enter(level, text);
                self.append(text, PART_SEPARATOR);
                self.body = false;
            }
            Paragraph::ListItem => {
                self.make_room()?;
                self.append("- ", if joining == Some(Joining::Items) { "\n" } else { PART_SEPARATOR });
                self.text.push_str(text);
                self.joining = Some(Joining::Items);
            }
            Paragraph::Plain => {
                self.make_room()?;
                self.append(text, PART_SEPARATOR);
            }
        }
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), Stop> {
        if self.text.len() >= SECTION { self.flush() } else { Ok(()) }
    }

    fn append(&mut self, text: &str, separator: &str) {
        if !self.text.is_empty() {
            self.text.push_str(separator);
        }
        self.text.push_str(text);
        self.body = true;
    }

    /// Emits the text so far as a section.
    pub fn flush(&mut self) -> Result<(), Stop> {
        let headings = [self.place.headings.clone(), self.above.names()].concat();
        let text = std::mem::take(&mut self.text);
        (self.body, self.joining) = (false, None);
        self.out.part(&text, &Place { headings, ..self.place.clone() })
    }

    /// Begins a part of the document whose sections have `place`; no heading before it is above them.
    pub fn begin(&mut self, place: Place) -> Result<(), Stop> {
        self.flush()?;
        self.place = place;
        self.above = Headings::default();
        Ok(())
    }

    /// Emits what is left, also of elements that did not end.
    pub fn finish(mut self) -> Result<(), Stop> {
        self.containers.clear();
        self.rows.clear();
        self.paragraphs.clear();
        self.add_asides()?;
        self.flush()
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Stop> {
        self.held += bytes;
        if self.held as u64 <= self.limit {
            return Ok(());
        }
        let reason =
            format!("a paragraph or table row, with what is in it, is larger than {} bytes, the limit", self.limit);
        Err(Unreadable::skipped(Skip::TooLarge, reason).into())
    }
}
