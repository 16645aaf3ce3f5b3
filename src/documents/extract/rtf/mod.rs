//! Rich Text Format: the text of a document as it is shown, read as a stream.
//!
//! Text is in groups with destinations: the body, notes, and many that no reader sees (fonts, colours, pictures, the
//! codes of fields), which are left out, as is hidden and deleted text. Bytes are in the code page of their font, and
//! Unicode escapes are followed by a replacement for old readers, which is skipped.

mod body;
mod control;
mod tables;
mod words;

use std::collections::HashMap;
use std::io::{BufReader, Read};

use encoding_rs::{Encoding, WINDOWS_1252};

use super::blocks::Blocks;
use super::office::properties::{self, tidy};
use super::sections::{Out, Stop};
use super::{ExtractOptions, Skip, Unreadable};
use crate::record::{Place, Properties};
use body::Body;
use control::{Token, Tokens};

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
    let limit = options.max_record_bytes as usize;
    let mut reader = Reader {
        body: Body::new(Blocks::new(out, Place::default(), options.max_record_bytes), limit),
        limit,
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
        properties: Properties::default(),
        modified: [0; 5],
    };
    while let Some(token) = tokens.next()? {
        reader.take(token)?;
        if reader.groups.is_empty() {
            // What follows the outermost group is padding.
            return reader.body.finish();
        }
    }
    Err(Unreadable::Broken("its last group does not end: it is cut off".to_owned()).into())
}

struct Reader<'b, 'o> {
    body: Body<'b, 'o>,
    /// Bytes of a name or a property.
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
            Destination::Body if !self.group.hidden && !self.group.deleted => return self.body.push(text),
            Destination::Styles => &mut self.name,
            Destination::Title => self.properties.title.get_or_insert_default(),
            Destination::Author => self.properties.author.get_or_insert_default(),
            _ => return Ok(()),
        };
        into.push_str(text);
        body::check(into.len(), self.limit)
    }

    /// The group is a note or a text box or, with `furniture`, a header or footer.
    fn open_aside(&mut self, furniture: bool) {
        if !self.group.aside {
            self.body.open_aside();
        }
        (self.group.destination, self.group.aside, self.group.furniture) = (Destination::Body, true, furniture);
    }

    fn close(&mut self) -> Result<(), Stop> {
        let ended = self.group;
        self.group = self.groups.pop().unwrap_or(Group::OUTERMOST);
        if ended.aside {
            self.body.close_aside(ended.furniture)?;
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
            self.body.begin(properties::place(found))?;
        }
        Ok(())
    }
}
