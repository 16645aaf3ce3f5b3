//! Word: the text of a document as its last version shows it, a section for the text under each heading.
//!
//! Read are paragraphs, lists, tables, text boxes, footnotes and endnotes where they are referred to, and headers and
//! footers once, at the end. Insertions are in, deletions, comments, hidden text and the codes of fields are not.

use std::collections::{HashMap, HashSet};

use super::Alternates;
use super::package::{Package, missing};
use super::relations::Relations;
use super::word_styles::{Styles, styles};
use crate::documents::extract::blocks::{Blocks, Paragraph};
use crate::documents::extract::nested;
use crate::documents::extract::sections::{Out, Stop};
use crate::documents::extract::xml::{Element, Visit, Visitor};
use crate::documents::extract::{Skip, Unreadable};
use crate::record::Place;

/// Headers and footers that differ; a document has some for each of its sections.
const MAX_FURNITURE: usize = 1000;

/// What a note takes beside its text.
const NOTE: usize = 128;

/// The texts of footnotes and endnotes.
#[derive(Default)]
struct Notes {
    /// By `f` or `e`, for foot and end, and their id.
    texts: HashMap<(u8, String), String>,
    /// Bytes that more of them may take, where notes are read.
    room: Option<usize>,
}

impl Notes {
    fn add(&mut self, note: (u8, String), text: String) -> Result<(), Stop> {
        let left = self.room.and_then(|room| room.checked_sub(note.1.len() + text.len() + NOTE));
        self.room =
            Some(left.ok_or_else(|| Unreadable::skipped(Skip::TooLarge, "its notes are too large to be held"))?);
        self.texts.insert(note, text);
        Ok(())
    }
}

pub fn read(package: &mut Package<'_>, main: &str, place: &Place, out: &mut Out<'_>) -> Result<(), Stop> {
    let options = package.options();
    let relations = Relations::of(package, main)?;
    let styles = match relations.target("styles") {
        Some(part) => styles(package, part)?,
        None => Styles::default(),
    };
    let mut notes = Notes::default();
    for kind in ["footnotes", "endnotes"] {
        let Some(target) = relations.target(kind) else { continue };
        let blocks = Blocks::new(out, place.clone(), options.max_record_bytes);
        let read = Notes { room: Some(options.max_whole_bytes as usize), ..Notes::default() };
        let mut reader = Reader { read, ..Reader::new(blocks, &styles, &notes, &relations) };
        package.walk_small(target, &mut reader)?;
        let read = reader.read;
        notes.texts.extend(read.texts);
    }
    let blocks = Blocks::new(out, place.clone(), options.max_record_bytes);
    let mut reader = Reader::new(blocks, &styles, &notes, &relations);
    if !package.walk(main, &mut reader)? {
        return Err(missing(main));
    }
    let Reader { blocks, furniture, chunks, .. } = reader;
    blocks.finish()?;
    let texts = furniture_texts(package, &relations, &furniture, &styles, out)?;
    let mut blocks = Blocks::new(out, place.clone(), options.max_record_bytes);
    texts.iter().try_for_each(|text| blocks.add(text, Paragraph::Plain))?;
    blocks.finish()?;
    for target in &chunks {
        if let Some(bytes) = package.bytes(target)? {
            let chunk = nested::Nested { bytes: &bytes, key: target, content_type: None, place };
            nested::read(&chunk, &[], options, out)?;
        }
    }
    Ok(())
}

/// The text of each header and footer that a section of the document refers to, each once: most pages repeat them.
fn furniture_texts(
    package: &mut Package<'_>,
    relations: &Relations,
    furniture: &[String],
    styles: &Styles,
    out: &mut Out<'_>,
) -> Result<Vec<String>, Stop> {
    let limit = package.options().max_record_bytes;
    let (mut texts, mut bytes, notes) = (Vec::<String>::new(), 0, Notes::default());
    for target in furniture {
        let mut reader = Reader::new(Blocks::new(out, Place::default(), limit), styles, &notes, relations);
        reader.blocks.open_aside();
        package.walk_small(target, &mut reader)?;
        let text = reader.blocks.take_aside();
        if text.is_empty() || texts.contains(&text) {
            continue;
        }
        bytes += text.len();
        if bytes as u64 > limit || texts.len() == MAX_FURNITURE {
            let reason = format!("its headers and footers are larger than {limit} bytes, or more than {MAX_FURNITURE}");
            return Err(Unreadable::skipped(Skip::TooLarge, reason).into());
        }
        texts.push(text);
    }
    Ok(texts)
}

/// Where reading is within a field: its code is not shown, its result is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldPart {
    Code,
    Result,
}

/// What is known of an open paragraph beside its text.
#[derive(Default)]
struct Properties {
    style: Option<String>,
    outline: Option<u8>,
    list: Option<bool>,
    /// Whether its end was deleted: it goes on in the next one.
    end_deleted: bool,
}

struct Reader<'r, 'b, 'o> {
    blocks: Blocks<'b, 'o>,
    styles: &'r Styles,
    notes: &'r Notes,
    relations: &'r Relations,
    alternates: Alternates,
    paragraphs: Vec<Properties>,
    /// Whether the open paragraph goes on with the one before.
    goes_on: bool,
    fields: Vec<FieldPart>,
    in_text: bool,
    /// Whether the run is hidden text.
    hidden: bool,
    in_properties: usize,
    in_row_properties: bool,
    /// For each open row, whether it was deleted.
    rows: Vec<bool>,
    note: Option<(u8, String)>,
    read: Notes,
    /// Parts that are headers and footers.
    furniture: Vec<String>,
    /// Parts that are documents of other formats within this one.
    chunks: Vec<String>,
    /// All of these.
    seen: HashSet<String>,
}

impl<'r, 'b, 'o> Reader<'r, 'b, 'o> {
    fn new(blocks: Blocks<'b, 'o>, styles: &'r Styles, notes: &'r Notes, relations: &'r Relations) -> Self {
        Self {
            blocks,
            styles,
            notes,
            relations,
            alternates: Alternates::default(),
            paragraphs: Vec::new(),
            goes_on: false,
            fields: Vec::new(),
            in_text: false,
            hidden: false,
            in_properties: 0,
            in_row_properties: false,
            rows: Vec::new(),
            note: None,
            read: Notes::default(),
            furniture: Vec::new(),
            chunks: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// The part that an element refers to, where it is the first one to do so.
    fn new_target(&mut self, element: &Element<'_>) -> Option<String> {
        let target = &self.relations.with_id(&element.relation()?)?.target;
        self.seen.insert(target.clone()).then(|| target.clone())
    }

    fn is_shown(&self) -> bool {
        !self.hidden && self.fields.iter().all(|part| *part == FieldPart::Result)
    }

    fn push(&mut self, text: &str) -> Result<(), Stop> {
        if self.is_shown() && self.in_properties == 0 { self.blocks.push(text) } else { Ok(()) }
    }

    fn field(&mut self, element: &Element<'_>) {
        match element.attribute("fldCharType").as_deref() {
            Some("begin") => self.fields.push(FieldPart::Code),
            Some("separate") => {
                if let Some(part) = self.fields.last_mut() {
                    *part = FieldPart::Result;
                }
            }
            Some("end") => drop(self.fields.pop()),
            _ => {}
        }
    }

    /// Ends a paragraph whose own end was deleted, where no other one follows it.
    fn settle(&mut self) -> Result<(), Stop> {
        if std::mem::take(&mut self.goes_on) { self.blocks.close_paragraph(Paragraph::Plain) } else { Ok(()) }
    }

    /// A property of the open paragraph.
    fn property(&mut self, element: &Element<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match element.name() {
            "pStyle" => paragraph.style = element.attribute("val"),
            "outlineLvl" => paragraph.outline = element.number("val"),
            // Number 0 takes a paragraph out of the list that its style puts it into.
            "numId" => paragraph.list = Some(element.attribute("val").is_some_and(|id| id != "0")),
            "del" => paragraph.end_deleted = true,
            _ => {}
        }
    }

    fn kind(&self, paragraph: &Properties) -> Paragraph {
        let style = paragraph.style.as_deref().and_then(|id| self.styles.get(id));
        // Word counts levels of its outline from 0, and 9 is the text.
        let outlined = paragraph.outline.map(|level| (level < 9).then_some(level + 1));
        let heading = outlined.unwrap_or_else(|| style.and_then(|style| style.heading));
        match heading {
            Some(level) => Paragraph::Heading(level),
            None if paragraph.list.unwrap_or_else(|| style.is_some_and(|style| style.list)) => Paragraph::ListItem,
            None => Paragraph::Plain,
        }
    }
}

impl Visitor for Reader<'_, '_, '_> {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        let name = element.name();
        if let Some(visit) = self.alternates.start(name) {
            return Ok(visit);
        }
        match name {
            "p" => {
                if !std::mem::take(&mut self.goes_on) || !self.blocks.in_paragraph() {
                    self.blocks.open_paragraph();
                }
                self.paragraphs.push(Properties::default());
            }
            "pPr" => self.in_properties += 1,
            _ if self.in_properties > 0 && name.ends_with("Change") => return Ok(Visit::Past),
            "headerReference" | "footerReference" => {
                let target = self.new_target(element);
                self.furniture.extend(target);
            }
            _ if self.in_properties > 0 => self.property(element),
            "del" if self.in_row_properties => self.rows.last_mut().into_iter().for_each(|deleted| *deleted = true),
            "del" | "moveFrom" | "instrText" | "delText" | "delInstrText" | "rt" => return Ok(Visit::Past),
            "r" => self.hidden = false,
            "vanish" => self.hidden = element.is_on(),
            "fldChar" => self.field(element),
            "t" => self.in_text = true,
            "tab" | "ptab" => self.push("\t")?,
            "br" | "cr" => self.push("\n")?,
            "noBreakHyphen" => self.push("-")?,
            "sym" => {
                let code = element.attribute("char").and_then(|code| u32::from_str_radix(&code, 16).ok());
                // Symbol fonts use characters of their own, which are bullets and boxes, and no text.
                if let Some(symbol) = code.and_then(char::from_u32).filter(|c| !matches!(c, '\u{e000}'..='\u{f8ff}')) {
                    self.push(symbol.encode_utf8(&mut [0; 4]))?;
                }
            }
            "footnoteReference" | "endnoteReference" if self.is_shown() => {
                let id = element.attribute("id").unwrap_or_default();
                if let Some(note) = self.notes.texts.get(&(name.as_bytes()[0], id)) {
                    self.blocks.note(note)?;
                }
            }
            "footnote" | "endnote" => {
                // Others are the lines between text and notes.
                if !matches!(element.attribute("type").as_deref(), None | Some("normal")) {
                    return Ok(Visit::Past);
                }
                self.note = Some((name.as_bytes()[0], element.attribute("id").unwrap_or_default()));
                self.blocks.open_aside();
            }
            "txbxContent" => self.blocks.open_aside(),
            "tr" => {
                self.blocks.open_row();
                self.rows.push(false);
            }
            "trPr" => self.in_row_properties = true,
            "tc" => self.blocks.open_cell(),
            "altChunk" => {
                let target = self.new_target(element);
                self.chunks.extend(target);
            }
            _ => {}
        }
        Ok(Visit::Into)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if self.in_text { self.push(text) } else { Ok(()) }
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        self.alternates.end(name);
        if matches!(name, "tc" | "txbxContent" | "footnote" | "endnote" | "hdr" | "ftr" | "body") {
            self.settle()?;
        }
        match name {
            "p" => {
                // A field's code ends with its paragraph; a damaged one would hide all that follows.
                self.fields.iter_mut().for_each(|part| *part = FieldPart::Result);
                let paragraph = self.paragraphs.pop().unwrap_or_default();
                if paragraph.end_deleted && self.paragraphs.is_empty() {
                    self.goes_on = true;
                    return Ok(());
                }
                let kind = self.kind(&paragraph);
                self.blocks.close_paragraph(kind)?;
            }
            "pPr" => self.in_properties = self.in_properties.saturating_sub(1),
            "trPr" => self.in_row_properties = false,
            "t" => self.in_text = false,
            "footnote" | "endnote" => {
                let text = self.blocks.take_aside();
                if let Some(note) = self.note.take() {
                    self.read.add(note, text)?;
                }
            }
            "txbxContent" => self.blocks.close_aside()?,
            "tc" => drop(self.blocks.close_cell()),
            "tr" => {
                let deleted = self.rows.pop().unwrap_or_default();
                self.blocks.close_row(!deleted, 1)?;
            }
            "tbl" => self.blocks.end_table(),
            _ => {}
        }
        Ok(())
    }
}
