//! Word: the text of a document as its last version shows it, a section for the text under each heading.
//!
//! Read are paragraphs, lists, tables, text boxes, footnotes and endnotes where they are referred to, and headers and
//! footers once, at the end. Insertions are in, deletions, comments, hidden text and the codes of fields are not.

use std::collections::{BTreeSet, HashMap};

use super::Alternates;
use super::package::Package;
use super::relations::Relations;
use super::word_styles::{Styles, styles};
use super::xml::{Element, Visit, Visitor, walk};
use crate::documents::extract::blocks::{Blocks, Paragraph};
use crate::documents::extract::decompress::Verdict;
use crate::documents::extract::nested;
use crate::documents::extract::sections::{Out, Stop};
use crate::documents::extract::{ExtractOptions, Unreadable};
use crate::record::Place;

/// The texts of notes by `f` or `e`, for foot and end, and their id.
type Notes = HashMap<(u8, String), String>;

pub fn read(
    package: &mut Package<'_>,
    main: &str,
    place: &Place,
    options: &ExtractOptions,
    verdict: &Verdict,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    let relations = Relations::of(package, main, options, verdict)?;
    let styles = match relations.target("styles") {
        Some(part) => styles(package, part, options, verdict)?,
        None => Styles::default(),
    };
    let mut notes = Notes::new();
    for kind in ["footnotes", "endnotes"] {
        let Some(target) = relations.target(kind) else { continue };
        let mut reader = Reader::new(Blocks::new(out, place.clone(), options.max_record_bytes), &styles, &notes);
        if let Some(part) = package.small_part(target)? {
            walk(part, options, verdict, &mut reader)?;
        }
        let read = reader.read_notes;
        notes.extend(read);
    }
    let Some(part) = package.part(main)? else {
        return Err(Unreadable::Broken(format!("its part {main} is missing")).into());
    };
    let mut reader = Reader::new(Blocks::new(out, place.clone(), options.max_record_bytes), &styles, &notes);
    walk(part, options, verdict, &mut reader)?;
    let Reader { blocks, furniture, chunks, .. } = reader;
    blocks.finish()?;
    let texts = furniture_texts(package, &relations, &furniture, &styles, options, verdict, out)?;
    let mut blocks = Blocks::new(out, place.clone(), options.max_record_bytes);
    texts.iter().try_for_each(|text| blocks.add(text, Paragraph::Plain))?;
    blocks.finish()?;
    for id in chunks {
        let Some(relation) = relations.with_id(&id) else { continue };
        if let Some(bytes) = package.bytes(&relation.target)? {
            let chunk = nested::Nested { bytes: &bytes, key: &relation.target, content_type: None, place };
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
    options: &ExtractOptions,
    verdict: &Verdict,
    out: &mut Out<'_>,
) -> Result<Vec<String>, Stop> {
    let (mut parts, mut seen, mut texts, notes) = (BTreeSet::new(), BTreeSet::new(), Vec::new(), Notes::new());
    for id in furniture {
        let Some(relation) = relations.with_id(id).filter(|found| parts.insert(found.target.clone())) else { continue };
        let Some(part) = package.small_part(&relation.target)? else { continue };
        let mut reader = Reader::new(Blocks::new(out, Place::default(), options.max_record_bytes), styles, &notes);
        reader.blocks.open_aside();
        walk(part, options, verdict, &mut reader)?;
        let text = reader.blocks.take_aside();
        if !text.is_empty() && seen.insert(text.clone()) {
            texts.push(text);
        }
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
    read_notes: Notes,
    /// Relations of headers and footers.
    furniture: Vec<String>,
    /// Relations of documents of other formats within this one.
    chunks: Vec<String>,
}

impl<'r, 'b, 'o> Reader<'r, 'b, 'o> {
    fn new(blocks: Blocks<'b, 'o>, styles: &'r Styles, notes: &'r Notes) -> Self {
        Self {
            blocks,
            styles,
            notes,
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
            read_notes: Notes::new(),
            furniture: Vec::new(),
            chunks: Vec::new(),
        }
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
            "headerReference" | "footerReference" => self.furniture.extend(element.relation()),
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
                if let Some(note) = self.notes.get(&(name.as_bytes()[0], id)) {
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
            "altChunk" => self.chunks.extend(element.relation()),
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
                    self.read_notes.insert(note, text);
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
