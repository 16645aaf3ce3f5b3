//! OpenDocument: texts, spreadsheets and presentations of LibreOffice and others.
//!
//! All of the text is in one part. A section is the text under a heading, a sheet, or a slide with its notes. Tracked
//! deletions, comments and the sources of indexes are left out; headers and footers come once, at the end.

use std::collections::BTreeSet;

use super::package::{Package, missing};
use crate::documents::extract::blocks::{Blocks, Paragraph};
use crate::documents::extract::sections::{Out, Stop};
use crate::documents::extract::xml::{Element, Visit, Visitor};
use crate::documents::extract::{ExtractOptions, Format, Skip, Unreadable};
use crate::record::Place;

/// Bytes that cells and rows may add by saying that they repeat. LibreOffice writes equal neighbours so, and an empty
/// sheet as a million repetitions.
const MAX_REPEATED: usize = 8 << 20;

/// Texts of headers and footers that are told apart; a document has some for each of its page styles.
const MAX_FURNITURE: usize = 1000;

/// The format that a package's `mimetype` names; templates have the formats of what is made from them.
pub fn format(mimetype: &str) -> Option<Format> {
    let kind = mimetype.strip_prefix("application/vnd.oasis.opendocument.")?;
    Some(match kind.split('-').next()? {
        "text" => Format::Odt,
        "spreadsheet" => Format::Ods,
        "presentation" => Format::Odp,
        _ => return None,
    })
}

pub fn read(package: &mut Package<'_>, format: Format, place: &Place, out: &mut Out<'_>) -> Result<(), Stop> {
    package.walk_small("META-INF/manifest.xml", &mut Manifest)?;
    let mut reader = Reader::new(format, place.clone(), out, package.options());
    if !package.walk("content.xml", &mut reader)? {
        return Err(missing("content.xml"));
    }
    reader.finish()?;
    if format != Format::Odt {
        return Ok(());
    }
    let mut reader = Reader::new(format, place.clone(), out, package.options());
    reader.furniture = Some(BTreeSet::new());
    package.walk_small("styles.xml", &mut reader)?;
    reader.finish()
}

/// Refuses what is encrypted.
struct Manifest;

impl Visitor for Manifest {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        match element.name() {
            "encryption-data" => Err(Unreadable::skipped(Skip::Encrypted, "it needs a password").into()),
            _ => Ok(Visit::Into),
        }
    }
}

struct Reader<'b, 'o> {
    format: Format,
    place: Place,
    blocks: Blocks<'b, 'o>,
    /// Of each open heading or paragraph, the heading's level.
    levels: Vec<Option<u8>>,
    /// Open lists; a paragraph in one is an item.
    lists: usize,
    /// Of each open frame, whether it is a slide's title.
    titles: Vec<bool>,
    slides: u32,
    cell: Cell,
    row_times: usize,
    /// Bytes that repetitions may still add.
    repeats: usize,
    /// The texts of headers and footers so far, where these are read and nothing else.
    furniture: Option<BTreeSet<String>>,
    in_furniture: bool,
}

/// What is known of an open cell beside its text.
#[derive(Default)]
struct Cell {
    /// How many times over it stands in its row.
    times: usize,
    /// Its value, where a writer leaves out how it is shown.
    value: Option<String>,
}

impl<'b, 'o> Reader<'b, 'o> {
    fn new(format: Format, place: Place, out: &'b mut Out<'o>, options: &ExtractOptions) -> Self {
        Self {
            format,
            blocks: Blocks::new(out, place.clone(), options.max_record_bytes),
            place,
            levels: Vec::new(),
            lists: 0,
            titles: Vec::new(),
            slides: 0,
            cell: Cell::default(),
            row_times: 1,
            repeats: MAX_REPEATED,
            furniture: None,
            in_furniture: false,
        }
    }

    fn finish(self) -> Result<(), Stop> {
        self.blocks.finish()
    }

    /// As often as `text` is to be repeated, within what repetitions may add.
    fn times(&mut self, wanted: usize, length: usize) -> usize {
        let times = wanted.clamp(1, 1 + self.repeats / length.max(1));
        self.repeats = self.repeats.saturating_sub((times - 1) * length);
        times
    }

    fn paragraph(&mut self, level: Option<u8>) {
        self.levels.push(level);
        self.blocks.open_paragraph();
    }
}

/// The number of times that an element says it repeats.
fn repeated(element: &Element<'_>, name: &str) -> usize {
    element.number(name).unwrap_or(1)
}

impl Visitor for Reader<'_, '_> {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        let name = element.name();
        if self.furniture.is_some() && !self.in_furniture {
            if is_furniture(name) {
                self.in_furniture = true;
                self.blocks.open_aside();
            }
            return Ok(Visit::Into);
        }
        match name {
            "tracked-changes" | "annotation" | "note-citation" | "ruby-text" | "forms" | "scripts" | "title"
            | "desc" | "page-number" | "page-count" => return Ok(Visit::Past),
            _ if name.ends_with("-source") || name.ends_with("-decls") => return Ok(Visit::Past),
            "h" => {
                let level = element.number("outline-level").unwrap_or(1);
                self.paragraph(Some(level));
            }
            "p" => self.paragraph(None),
            "list" => self.lists += 1,
            "tab" => self.blocks.push("\t")?,
            "line-break" => self.blocks.push("\n")?,
            "s" => {
                // More in a row are for the eye alone.
                let spaces: usize = element.number("c").unwrap_or(1);
                self.blocks.push(&" ".repeat(spaces.min(8)))?;
            }
            "note" | "text-box" if !self.levels.is_empty() => self.blocks.open_aside(),
            "frame" | "custom-shape" => {
                let class = element.attribute("class").unwrap_or_default();
                if matches!(class.as_str(), "page-number" | "date-time" | "header" | "footer") {
                    return Ok(Visit::Past);
                }
                self.titles.push(class == "title");
                if class == "title" {
                    self.blocks.open_aside();
                }
            }
            "page" if self.format == Format::Odp => {
                self.slides += 1;
                let place = Place { page: Some(self.slides), ..self.place.clone() };
                self.blocks.begin(place)?;
            }
            "table" if self.format == Format::Ods && self.levels.is_empty() => {
                let headings = element.attribute("name").into_iter().collect();
                let place = Place { headings, ..self.place.clone() };
                self.blocks.begin(place)?;
            }
            "table-row" => {
                self.row_times = repeated(element, "number-rows-repeated");
                self.blocks.open_row();
            }
            "table-cell" => {
                let value = ["string-value", "date-value", "time-value", "boolean-value", "value"];
                self.cell = Cell {
                    times: repeated(element, "number-columns-repeated"),
                    value: value.iter().find_map(|name| element.attribute(name)),
                };
                self.blocks.open_cell();
            }
            // What a merged cell covers is not shown.
            "covered-table-cell" => return Ok(Visit::Past),
            _ => {}
        }
        Ok(Visit::Into)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if !self.blocks.in_paragraph() {
            return Ok(());
        }
        // White space is one space, and none at a paragraph's start; other spaces and tabs are elements.
        let mut plain = String::with_capacity(text.len());
        let mut after_space =
            self.blocks.paragraph().is_empty() || self.blocks.paragraph().ends_with([' ', '\n', '\t']);
        for character in text.chars() {
            let space = matches!(character, ' ' | '\t' | '\n' | '\r');
            if !space {
                plain.push(character);
            } else if !after_space {
                plain.push(' ');
            }
            after_space = space;
        }
        self.blocks.push(&plain)
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        if let Some(seen) = &mut self.furniture {
            if !self.in_furniture {
                return Ok(());
            }
            if is_furniture(name) {
                self.in_furniture = false;
                let text = self.blocks.take_aside();
                if !text.is_empty() && !seen.contains(&text) {
                    self.blocks.add(&text, Paragraph::Plain)?;
                    // What is read twice is better than what is held without end.
                    if seen.len() < MAX_FURNITURE {
                        seen.insert(text);
                    }
                }
                return Ok(());
            }
        }
        match name {
            "h" | "p" => {
                let kind = match self.levels.pop().flatten() {
                    Some(level) => Paragraph::Heading(level),
                    // Slides are lists from end to end.
                    None if self.lists > 0 && self.format == Format::Odt => Paragraph::ListItem,
                    None => Paragraph::Plain,
                };
                self.blocks.close_paragraph(kind)?;
            }
            "list" => self.lists = self.lists.saturating_sub(1),
            "note" | "text-box" if !self.levels.is_empty() => self.blocks.close_aside()?,
            "frame" | "custom-shape" => {
                let is_title = self.titles.pop() == Some(true);
                let title = if is_title { self.blocks.take_aside() } else { String::new() };
                if !title.is_empty() {
                    self.blocks.add(&title, Paragraph::Heading(1))?;
                }
            }
            "table-cell" => {
                let Cell { times, value } = std::mem::take(&mut self.cell);
                let mut text = self.blocks.close_cell();
                if let Some(value) = value.filter(|_| text.is_empty()) {
                    self.blocks.add_cell(&value)?;
                    text = value;
                }
                if !text.is_empty() {
                    for _ in 1..self.times(times, text.len()) {
                        self.blocks.add_cell(&text)?;
                    }
                }
            }
            "table-row" => {
                let length = self.blocks.row_length();
                let times = if length == 0 { 1 } else { self.times(self.row_times, length) };
                self.blocks.close_row(true, times)?;
            }
            "table" => self.blocks.end_table(),
            _ => {}
        }
        Ok(())
    }
}

fn is_furniture(name: &str) -> bool {
    matches!(name, "header" | "footer" | "header-left" | "footer-left" | "header-first" | "footer-first")
}
