//! Excel: a section a sheet, a line a row, a tab between cells. Numbers and dates are as their cells show them,
//! formulas are their last results.

use std::collections::{BTreeSet, HashMap};

use super::number_format::NumberFormat;
use super::package::{Package, check_listed, missing};
use super::relations::Relations;
use crate::documents::extract::blocks::Blocks;
use crate::documents::extract::sections::{Out, Stop};
use crate::documents::extract::xml::{Element, Visit, Visitor};
use crate::documents::extract::{Skip, Unreadable};
use crate::record::Place;

/// Formats of cells that are kept; Excel itself takes 64,000.
const MAX_FORMATS: usize = 1 << 16;

/// What the texts that cells share may have, as a multiple of what a document held whole may: compressed, they have a
/// fourth of it.
const SHARED: u64 = 4;

pub fn read(package: &mut Package<'_>, main: &str, place: &Place, out: &mut Out<'_>) -> Result<(), Stop> {
    let options = package.options();
    let mut workbook = Workbook::default();
    if !package.walk_small(main, &mut workbook)? {
        return Err(missing(main));
    }
    let relations = Relations::of(package, main)?;
    let mut formats = Formats::default();
    if let Some(styles) = relations.target("styles") {
        package.walk_small(styles, &mut formats)?;
    }
    let (limit, longest) = (SHARED * options.max_whole_bytes, options.max_record_bytes);
    let mut shared = SharedTexts { limit, longest, ..SharedTexts::default() };
    if let Some(texts) = relations.target("sharedStrings") {
        package.walk(texts, &mut shared)?;
    }
    let mut seen = BTreeSet::new();
    for (number, (name, id)) in (1..).zip(&workbook.sheets) {
        let sheet = relations.with_id(id).filter(|sheet| package.has(&sheet.target) && seen.insert(&sheet.target));
        let Some(sheet) = sheet else {
            out.skipped_records.add(format_args!("sheet {number}"), "unreadable", "its part is missing");
            continue;
        };
        let place = Place { headings: vec![name.clone()], ..place.clone() };
        let blocks = Blocks::new(out, place, options.max_record_bytes);
        let mut reader = SheetReader {
            blocks,
            limit: options.max_record_bytes,
            formats: &formats,
            shared: &shared,
            from_1904: workbook.from_1904,
            kind: String::new(),
            style: 0,
            in_value: false,
            value: String::new(),
        };
        package.walk(&sheet.target, &mut reader)?;
        reader.blocks.finish()?;
    }
    Ok(())
}

#[derive(Default)]
struct Workbook {
    /// Names of the sheets and their relations, in the order of their tabs.
    sheets: Vec<(String, String)>,
    from_1904: bool,
}

impl Visitor for Workbook {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        match element.name() {
            "sheet" => {
                let name = element.attribute("name").unwrap_or_default();
                self.sheets.extend(element.relation().map(|id| (name, id)));
                check_listed(self.sheets.len(), "sheets")?;
            }
            "workbookPr" => {
                self.from_1904 = matches!(element.attribute("date1904").as_deref(), Some("1" | "true" | "on"));
            }
            _ => {}
        }
        Ok(Visit::Into)
    }
}

/// The number formats of cells, by the index of their style.
#[derive(Default)]
struct Formats {
    own: HashMap<u32, NumberFormat>,
    cells: Vec<NumberFormat>,
    in_cells: bool,
}

impl Visitor for Formats {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        match element.name() {
            "numFmt" => {
                if let (Some(id), Some(code)) = (element.number("numFmtId"), element.attribute("formatCode"))
                    && self.own.len() < MAX_FORMATS
                {
                    self.own.insert(id, NumberFormat::parse(&code));
                }
            }
            // Formats of differences have formats that are no cell's.
            "dxfs" => return Ok(Visit::Past),
            "cellXfs" => self.in_cells = true,
            "xf" if self.in_cells && self.cells.len() < MAX_FORMATS => {
                let id = element.number("numFmtId").unwrap_or_default();
                self.cells.push(self.own.get(&id).copied().unwrap_or_else(|| NumberFormat::built_in(id)));
            }
            _ => {}
        }
        Ok(Visit::Into)
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        self.in_cells &= name != "cellXfs";
        Ok(())
    }
}

/// The texts that cells refer to by number. They lie in blocks that do not grow: one string would be moved as it grows,
/// and take its size twice.
#[derive(Default)]
struct SharedTexts {
    blocks: Vec<String>,
    places: Vec<SharedText>,
    /// The text that has not ended.
    open: String,
    in_text: bool,
    /// Bytes of texts and places so far, and at most.
    held: u64,
    limit: u64,
    /// Bytes of a text at most.
    longest: u64,
}

/// Where a text is.
#[derive(Clone, Copy)]
struct SharedText {
    block: u32,
    start: u32,
    length: u32,
}

/// Bytes of a block of shared texts; one that is larger has a block of its own.
const BLOCK: usize = 1 << 20;

/// Bytes that a shared text takes beside its own; its place is moved as places grow.
const PLACE: usize = 2 * size_of::<SharedText>();

impl SharedTexts {
    fn get(&self, index: usize) -> Option<&str> {
        let SharedText { block, start, length } = *self.places.get(index)?;
        self.blocks.get(block as usize)?.get(start as usize..)?.get(..length as usize)
    }

    /// Counts `bytes` more, before they are held.
    fn hold(&mut self, bytes: usize) -> Result<(), Stop> {
        self.held += bytes as u64;
        if self.held <= self.limit {
            return Ok(());
        }
        let reason = format!("the texts that its cells share are larger than {} bytes, the limit", self.limit);
        Err(Unreadable::skipped(Skip::TooLarge, reason).into())
    }

    fn end_text(&mut self) {
        let full = self.blocks.last().is_none_or(|block| block.len() + self.open.len() > block.capacity());
        if full {
            self.blocks.push(String::with_capacity(self.open.len().max(BLOCK)));
        }
        let block = self.blocks.len() - 1;
        let start = self.blocks[block].len() as u32;
        self.blocks[block].push_str(&self.open);
        self.places.push(SharedText { block: block as u32, start, length: self.open.len() as u32 });
        self.open.clear();
    }
}

impl Visitor for SharedTexts {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        match element.name() {
            // How an East Asian text is spoken.
            "rPh" => return Ok(Visit::Past),
            "t" => self.in_text = true,
            _ => {}
        }
        Ok(Visit::Into)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if self.in_text {
            self.hold(text.len())?;
            if (self.open.len() + text.len()) as u64 > self.longest {
                return Err(too_large_cell(self.longest));
            }
            self.open.push_str(text);
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        match name {
            "t" => self.in_text = false,
            "si" => {
                self.hold(PLACE)?;
                self.end_text();
            }
            _ => {}
        }
        Ok(())
    }
}

struct SheetReader<'r, 'b, 'o> {
    blocks: Blocks<'b, 'o>,
    /// Bytes that a cell may have.
    limit: u64,
    formats: &'r Formats,
    shared: &'r SharedTexts,
    from_1904: bool,
    /// The type of the open cell, and the index of its style.
    kind: String,
    style: usize,
    in_value: bool,
    value: String,
}

impl SheetReader<'_, '_, '_> {
    /// What the open cell shows.
    fn shown(&self) -> String {
        let value = self.value.trim();
        match self.kind.as_str() {
            "s" => value.parse().ok().and_then(|index| self.shared.get(index)).map(tidy).unwrap_or_default(),
            "b" => if value == "1" || value == "true" { "TRUE" } else { "FALSE" }.to_owned(),
            "" | "n" => match value.parse() {
                Ok(number) => {
                    self.formats.cells.get(self.style).copied().unwrap_or_default().show(number, self.from_1904)
                }
                Err(_) => tidy(value),
            },
            // Texts of formulas and of cells themselves, errors such as #N/A, dates in ISO 8601.
            _ => tidy(value),
        }
    }
}

impl Visitor for SheetReader<'_, '_, '_> {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        match element.name() {
            "row" => self.blocks.open_row(),
            "c" => {
                self.kind = element.attribute("t").unwrap_or_default();
                self.style = element.number("s").unwrap_or_default();
                self.value.clear();
            }
            "f" | "rPh" | "headerFooter" | "extLst" => return Ok(Visit::Past),
            "v" | "t" => self.in_value = true,
            _ => {}
        }
        Ok(Visit::Into)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if !self.in_value {
            return Ok(());
        }
        self.value.push_str(text);
        if self.value.len() as u64 <= self.limit {
            return Ok(());
        }
        Err(too_large_cell(self.limit))
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        match name {
            "v" | "t" => self.in_value = false,
            "c" if !self.value.is_empty() => {
                let shown = self.shown();
                self.blocks.add_cell(&shown)?;
                self.value.clear();
            }
            "row" => self.blocks.close_row(true, 1)?,
            _ => {}
        }
        Ok(())
    }
}

fn too_large_cell(limit: u64) -> Stop {
    Unreadable::skipped(Skip::TooLarge, format!("a cell is larger than {limit} bytes, the limit")).into()
}

/// A text as one line of a cell, without the escapes that Excel writes for characters that XML has not (`_x000D_`).
fn tidy(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let character = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        match character {
            Some(character) => {
                plain.push(character);
                rest = &rest[at + 7..];
            }
            None => {
                plain.push_str("_x");
                rest = &rest[at + 2..];
            }
        }
    }
    plain.push_str(rest);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn excels_escapes_are_undone() {
        assert_eq!(tidy("one_x000D_\ntwo"), "one two");
        assert_eq!(tidy("_x0041_ _x005F_x000D_ _xyz _x12"), "A _x000D_ _xyz _x12");
        assert_eq!(tidy("_x日本語_"), "_x日本語_");
    }
}
