//! Rich Text Format: the text of a document as it is shown, read as a stream.
//!
//! Text is in groups with destinations: the body, notes, and many that no reader sees (fonts, colours, pictures, the
//! codes of fields), which are left out, as is hidden and deleted text. Bytes are in the code page of their font, and
//! Unicode escapes are followed by a replacement for old readers, which is skipped.

mod control;
mod tables;

use std::collections::{BTreeSet, HashMap};
use std::io::{BufReader, Read};

use encoding_rs::{Encoding, WINDOWS_1252};

use super::blocks::{Blocks, Paragraph};
use super::office::properties::{self, tidy};
use super::sections::{Out, PART_SEPARATOR, Stop};
use super::{ExtractOptions, Skip, Unreadable};
use crate::record::{Place, Properties};
use control::{Token, Tokens};
use tables::{charset, code_page, is_skipped, symbol};

/// Groups within groups.
const MAX_DEPTH: usize = 32 * 1024;

/// Fonts and styles that are kept; a document has some dozens.
const MAX_FONTS: usize = 32 * 1024;

/// Where the text of a group goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    Body,
    /// To no reader.
    Nowhere,
    /// To no reader but for the text boxes in it.
    Shape,
    Fonts,
    Styles,
    /// The properties: title, author, time of the last change.
    Info,
    Title,
    Author,
    Modified,
}

/// What a group inherits from the one around it, and loses at its end.
#[derive(Debug, Clone, Copy)]
struct Group {
    destination: Destination,
    /// Whether it began an aside: a note, a text box, or, with `furniture`, a header or footer.
    aside: bool,
    furniture: bool,
    hidden: bool,
    deleted: bool,
    /// Bytes of replacement after a Unicode escape.
    replacement: usize,
    encoding: Option<&'static Encoding>,
}

impl Group {
    const OUTERMOST: Self = Self {
        destination: Destination::Body,
        aside: false,
        furniture: false,
        hidden: false,
        deleted: false,
        replacement: 1,
        encoding: None,
    };
}

pub fn read(input: impl Read, options: &ExtractOptions, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut tokens = Tokens::new(BufReader::new(input));
    let mut reader = Reader {
        blocks: Blocks::new(out, Place::default(), options.max_record_bytes),
        limit: options.max_record_bytes as usize,
        group: Group::OUTERMOST,
        groups: Vec::new(),
        ignorable: false,
        code_page: WINDOWS_1252,
        fonts: HashMap::new(),
        font: 0,
        default_font: 0,
        headings: HashMap::new(),
        style: 0,
        name: String::new(),
        bytes: Vec::new(),
        to_skip: 0,
        surrogate: None,
        paragraphs: vec![String::new()],
        notes: Vec::new(),
        heading: None,
        is_item: false,
        in_table: false,
        cell: String::new(),
        row: Vec::new(),
        seen: BTreeSet::new(),
        properties: Properties::default(),
        modified: [0; 5],
    };
    while let Some(token) = tokens.next()? {
        reader.take(token)?;
        if reader.groups.is_empty() {
            // What follows the outermost group is padding.
            return reader.finish();
        }
    }
    Err(Unreadable::Broken("its last group does not end: it is cut off".to_owned()).into())
}

struct Reader<'b, 'o> {
    blocks: Blocks<'b, 'o>,
    /// Bytes that a paragraph, a row or a note may have.
    limit: usize,
    group: Group,
    /// The groups around it.
    groups: Vec<Group>,
    /// Whether the next control word names a destination that readers may ignore.
    ignorable: bool,
    code_page: &'static Encoding,
    fonts: HashMap<i32, &'static Encoding>,
    /// The font, and the style, that its table defines.
    font: i32,
    style: i32,
    default_font: i32,
    /// Levels of the styles that are headings.
    headings: HashMap<i32, u8>,
    /// The style's name so far.
    name: String,
    /// Text that is not decoded yet.
    bytes: Vec<u8>,
    /// Bytes of replacement that are still to come.
    to_skip: usize,
    /// The first half of a character beyond the first 65,536.
    surrogate: Option<u16>,
    /// The open paragraph of the body, and of each open aside.
    paragraphs: Vec<String>,
    /// Asides of the open paragraph.
    notes: Vec<String>,
    heading: Option<u8>,
    is_item: bool,
    in_table: bool,
    cell: String,
    row: Vec<String>,
    /// Headers and footers.
    seen: BTreeSet<String>,
    properties: Properties,
    /// Year, month, day, hour, minute.
    modified: [u32; 5],
}

impl Reader<'_, '_> {
    fn take(&mut self, token: Token) -> Result<(), Stop> {
        match token {
            Token::Open => {
                self.decode()?;
                if self.groups.len() == MAX_DEPTH {
                    let reason = format!("its groups are nested more than {MAX_DEPTH} deep");
                    return Err(Unreadable::skipped(Skip::TooDeep, reason).into());
                }
                self.to_skip = 0;
                self.groups.push(self.group);
                (self.group.aside, self.group.furniture) = (false, false);
                if self.group.destination == Destination::Styles {
                    (self.name, self.style) = (String::new(), 0);
                }
            }
            Token::Close => {
                self.decode()?;
                self.to_skip = 0;
                self.ignorable = false;
                self.close()?;
            }
            Token::Ignorable => self.ignorable = true,
            Token::Byte(byte) if self.to_skip > 0 => {
                let _ = byte;
                self.to_skip -= 1;
            }
            Token::Byte(byte) => {
                self.bytes.push(byte);
                if self.bytes.len() >= self.limit {
                    self.decode()?;
                }
            }
            Token::Symbol(text) if self.to_skip == 0 => {
                self.decode()?;
                self.push(text)?;
            }
            Token::Symbol(_) => self.to_skip -= 1,
            Token::Word { word, number } => {
                self.decode()?;
                let ignorable = std::mem::take(&mut self.ignorable);
                if self.to_skip > 0 {
                    self.to_skip -= 1;
                    return Ok(());
                }
                self.word(&word, number, ignorable)?;
            }
        }
        Ok(())
    }

    /// Decodes the bytes that wait.
    fn decode(&mut self) -> Result<(), Stop> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let (text, _) = self.group.encoding.unwrap_or(self.code_page).decode_without_bom_handling(&bytes);
        self.push(&text)
    }

    fn push(&mut self, text: &str) -> Result<(), Stop> {
        let into = match self.group.destination {
            Destination::Body if !self.group.hidden && !self.group.deleted => match self.paragraphs.last_mut() {
                Some(paragraph) => paragraph,
                None => return Ok(()),
            },
            Destination::Styles => &mut self.name,
            Destination::Title => self.properties.title.get_or_insert_default(),
            Destination::Author => self.properties.author.get_or_insert_default(),
            _ => return Ok(()),
        };
        into.push_str(text);
        let length = into.len() + self.cell.len();
        self.check(length)
    }

    fn check(&self, length: usize) -> Result<(), Stop> {
        if length <= self.limit {
            return Ok(());
        }
        let reason = format!("a paragraph, note or table row is larger than {} bytes, the limit", self.limit);
        Err(Unreadable::skipped(Skip::TooLarge, reason).into())
    }

    fn word(&mut self, word: &str, number: Option<i32>, ignorable: bool) -> Result<(), Stop> {
        let on = number != Some(0);
        let value = number.unwrap_or_default();
        match word {
            "u" => return self.unicode(value),
            "uc" => self.group.replacement = value.clamp(0, 64) as usize,
            "ansi" => self.code_page = WINDOWS_1252,
            "mac" => self.code_page = code_page(10_000).unwrap_or(WINDOWS_1252),
            "ansicpg" => self.code_page = code_page(value).unwrap_or(self.code_page),
            "f" if self.group.destination == Destination::Fonts => self.font = value,
            "f" => self.group.encoding = self.fonts.get(&value).copied(),
            "fcharset" | "cpg" => {
                let encoding = if word == "cpg" { code_page(value) } else { charset(value) };
                if let Some(encoding) = encoding.filter(|_| self.fonts.len() < MAX_FONTS) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            "plain" => {
                (self.group.hidden, self.group.deleted) = (false, false);
                self.group.encoding = self.fonts.get(&self.default_font).copied();
            }
            "v" => self.group.hidden = on,
            "deleted" => self.group.deleted = on,
            "s" if self.group.destination == Destination::Styles => self.style = value,
            "s" => self.heading = self.headings.get(&value).copied(),
            "outlinelevel" => {
                let level = u8::try_from(value).ok().filter(|level| *level < 9).map(|level| level + 1);
                match self.group.destination {
                    Destination::Body => self.heading = level,
                    Destination::Styles if self.headings.len() < MAX_FONTS => {
                        self.headings.extend(level.map(|level| (self.style, level)));
                    }
                    _ => {}
                }
            }
            "yr" | "mo" | "dy" | "hr" | "min" if self.group.destination == Destination::Modified => {
                let place = ["yr", "mo", "dy", "hr", "min"].iter().position(|unit| *unit == word).unwrap_or_default();
                self.modified[place] = value.max(0) as u32;
            }
            "info" => self.group.destination = Destination::Info,
            "title" if self.group.destination == Destination::Info => self.group.destination = Destination::Title,
            "author" if self.group.destination == Destination::Info => self.group.destination = Destination::Author,
            "revtim" if self.group.destination == Destination::Info => self.group.destination = Destination::Modified,
            _ if self.group.destination == Destination::Info => self.group.destination = Destination::Nowhere,
            "fonttbl" => self.group.destination = Destination::Fonts,
            "stylesheet" => self.group.destination = Destination::Styles,
            "shpinst" => self.group.destination = Destination::Shape,
            "deff" => self.default_font = value,
            "shptxt" if self.group.destination == Destination::Shape => self.open_aside(false),
            "ud" if ignorable => {
                // Two groups out: the first alternative of the pair is not read, this one is.
                let around = self.groups.len().checked_sub(2).and_then(|index| self.groups.get(index));
                self.group.destination = around.map_or(Destination::Body, |group| group.destination);
            }
            "footnote" if self.group.destination == Destination::Body => self.open_aside(false),
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf"
                if self.group.destination == Destination::Body =>
            {
                self.open_aside(true);
            }
            "listtext" | "pntext" => {
                self.is_item = true;
                self.group.destination = Destination::Nowhere;
            }
            _ if self.group.destination != Destination::Body => {
                if is_skipped(word) || ignorable {
                    self.group.destination = Destination::Nowhere;
                }
            }
            "pard" => (self.heading, self.is_item, self.in_table) = (None, false, false),
            "intbl" => self.in_table = true,
            "par" | "sect" | "page" => self.end_paragraph()?,
            "cell" => self.end_cell(),
            "nestcell" | "nestrow" => self.push(" ")?,
            "row" => self.end_row()?,
            _ => match symbol(word) {
                Some(text) => self.push(text)?,
                None if is_skipped(word) || ignorable => self.group.destination = Destination::Nowhere,
                None => {}
            },
        }
        Ok(())
    }

    /// A UTF-16 unit, as a number that may be negative.
    fn unicode(&mut self, value: i32) -> Result<(), Stop> {
        self.to_skip = self.group.replacement;
        let unit = value as u16;
        let units = match (self.surrogate.take(), unit) {
            (_, 0xd800..=0xdbff) => {
                self.surrogate = Some(unit);
                return Ok(());
            }
            (Some(high), 0xdc00..=0xdfff) => vec![high, unit],
            _ => vec![unit],
        };
        self.push(&String::from_utf16_lossy(&units))
    }

    fn open_aside(&mut self, furniture: bool) {
        (self.group.destination, self.group.aside, self.group.furniture) = (Destination::Body, true, furniture);
        self.paragraphs.push(String::new());
    }

    fn close(&mut self) -> Result<(), Stop> {
        let ended = self.group;
        self.group = self.groups.pop().unwrap_or(Group::OUTERMOST);
        if ended.aside && self.paragraphs.len() > 1 {
            let text = self.paragraphs.pop().unwrap_or_default().trim().to_owned();
            if ended.furniture {
                self.check(self.seen.iter().map(String::len).sum::<usize>() + text.len())?;
                self.seen.insert(text);
            } else if !text.is_empty() {
                self.check(self.notes.iter().map(String::len).sum::<usize>() + text.len())?;
                self.notes.push(text);
            }
        }
        if ended.destination == Destination::Styles && self.headings.len() < MAX_FONTS {
            let name = self.name.trim().trim_end_matches(';').to_ascii_lowercase();
            let level =
                if name == "title" { Some(0) } else { name.strip_prefix("heading ").and_then(|n| n.parse().ok()) };
            self.headings.extend(level.filter(|level| *level <= 9).map(|level| (self.style, level)));
            self.name.clear();
        }
        if ended.destination == Destination::Info && self.group.destination != Destination::Info {
            let Properties { title, author, .. } = std::mem::take(&mut self.properties);
            let [year, month, day, hour, minute] = self.modified;
            let modified = (year > 0).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00"));
            let line = |text: Option<String>| text.as_deref().and_then(tidy);
            let found = Properties { title: line(title), author: line(author), modified };
            self.blocks.begin(properties::place(found))?;
        }
        Ok(())
    }

    fn end_paragraph(&mut self) -> Result<(), Stop> {
        if self.paragraphs.len() > 1 {
            if let Some(aside) = self.paragraphs.last_mut().filter(|aside| !aside.is_empty()) {
                aside.push_str(PART_SEPARATOR);
            }
            return Ok(());
        }
        let text = std::mem::take(&mut self.paragraphs[0]);
        if self.in_table {
            if !self.cell.is_empty() {
                self.cell.push(' ');
            }
            self.cell.push_str(text.trim());
            return Ok(());
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
        std::mem::take(&mut self.notes).iter().try_for_each(|note| self.blocks.add(note, Paragraph::Plain))
    }

    fn end_cell(&mut self) {
        let text = std::mem::take(&mut self.paragraphs[0]);
        let cell = [std::mem::take(&mut self.cell).trim(), text.trim()].join(" ");
        self.row.push(cell.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    fn end_row(&mut self) -> Result<(), Stop> {
        let row = std::mem::take(&mut self.row);
        self.check(row.iter().map(String::len).sum())?;
        self.blocks.open_row();
        row.iter().try_for_each(|cell| self.blocks.add_cell(cell))?;
        self.blocks.close_row(true, 1)?;
        self.add_notes()
    }

    fn finish(mut self) -> Result<(), Stop> {
        self.in_table = false;
        self.end_paragraph()?;
        if !self.row.is_empty() || !self.cell.is_empty() {
            self.end_cell();
            self.end_row()?;
        }
        for text in std::mem::take(&mut self.seen).iter().filter(|text| !text.is_empty()) {
            self.blocks.add(text, Paragraph::Plain)?;
        }
        self.blocks.finish()
    }
}
