//! XML as a walk over elements, in bounded memory.
//!
//! No entity is expanded but XML's own five, HTML's names of characters, and character references; no document type is
//! read. So neither a billion laughs nor an external entity can happen. What stands between two tags, how deep elements
//! nest, and the names of those that are open, are limited.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use html5ever::data::NAMED_ENTITIES;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::documents::extract::charset::{self, Utf8};
use crate::documents::extract::decompress::{Allowance, Limited, Verdict};
use crate::documents::extract::sections::Stop;
use crate::documents::extract::{ExtractOptions, Skip, Unreadable};

/// Elements within elements; documents that people write have some dozen, deep tables in tables a hundred.
const MAX_DEPTH: usize = 32 * 1024;

/// Bytes that show a part's encoding.
const HEAD: u64 = 1024;

/// Whether a walk goes into an element or past it, with all that is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    Into,
    Past,
}

/// What a walk tells of XML. Names are local: prefixes are the writer's choice.
pub trait Visitor {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop>;

    fn text(&mut self, _text: &str) -> Result<(), Stop> {
        Ok(())
    }

    /// Text in which no mark needs an escape.
    fn character_data(&mut self, text: &str) -> Result<(), Stop> {
        self.text(text)
    }

    /// An entity that the document defines itself, which is not expanded.
    fn entity(&mut self, _name: &str) -> Result<(), Stop> {
        Ok(())
    }

    fn end(&mut self, _name: &str) -> Result<(), Stop> {
        Ok(())
    }
}

/// A start tag.
pub struct Element<'a>(&'a BytesStart<'a>);

impl<'a> Element<'a> {
    pub fn name(&self) -> &'a str {
        self.0.local_name().into_inner()
    }

    /// The value of the attribute with this local name.
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.find(|local, _| local == name)
    }

    /// Whether it has an attribute that is no namespace's.
    pub fn has_attributes(&self) -> bool {
        let mut attributes = self.0.attributes();
        let mut keys = attributes.with_checks(false).flatten().map(|attribute| attribute.key);
        keys.any(|key| key.as_namespace_binding().is_none())
    }

    /// The value of `r:id`, which may stand beside an `id` of another meaning.
    pub fn relation(&self) -> Option<String> {
        self.find(|local, prefixed| prefixed && local == "id")
    }

    /// The value of a number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.trim().parse().ok()
    }

    /// Whether the property that this element states is on: it is unless its value says otherwise.
    pub fn is_on(&self) -> bool {
        !matches!(self.attribute("val").as_deref(), Some("0" | "false" | "off" | "none"))
    }

    fn find(&self, wanted: impl Fn(&str, bool) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        let mut found = attributes
            .with_checks(false)
            .flatten()
            .filter(|found| wanted(found.key.local_name().as_ref(), found.key.prefix().is_some()));
        Some(unescaped(&found.next()?.value))
    }
}

/// What is larger than its limit, where an error says so.
const BETWEEN: &str = "what stands between two tags";

/// Walks a document that says itself which encoding it is in, from its first element to its last.
pub fn walk(
    part: impl Read,
    options: &ExtractOptions,
    verdict: &Verdict,
    visitor: &mut impl Visitor,
) -> Result<(), Stop> {
    let (mut limited, allowance) = Limited::new(part, options.max_record_bytes, BETWEEN, verdict);
    let mut head = Vec::new();
    limited.by_ref().take(HEAD).read_to_end(&mut head)?;
    let declared = declared(&head);
    let at_once = charset::at_once(&head, declared);
    let mut bytes = Cursor::new(head).chain(limited);
    io::copy(&mut bytes.by_ref().take(at_once.map_or(0, |(_, mark)| mark as u64)), &mut io::sink())?;
    let utf8 = Utf8::new(bytes, at_once.map(|(encoding, _)| encoding), declared);
    follow(utf8, &allowance, options.max_record_bytes, visitor)
}

/// Walks a document that is decoded.
pub fn walk_text(
    text: impl Read,
    options: &ExtractOptions,
    verdict: &Verdict,
    visitor: &mut impl Visitor,
) -> Result<(), Stop> {
    let (limited, allowance) = Limited::new(text, options.max_record_bytes, BETWEEN, verdict);
    follow(BufReader::new(limited), &allowance, options.max_record_bytes, visitor)
}

fn follow(text: impl BufRead, allowance: &Allowance, limit: u64, visitor: &mut impl Visitor) -> Result<(), Stop> {
    let mut reader = quick_xml::Reader::from_reader(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.allow_dangling_amp = true;
    let mut buffer = Vec::new();
    let (mut depth, mut past) = (0_usize, 0_usize);
    // Bytes of the names of open elements, which the reader keeps to compare them with end tags.
    let mut names = 0;
    let (mut any_element, mut any_content) = (false, false);
    loop {
        allowance.renew();
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        let event = event.map_err(|e| match e {
            quick_xml::Error::Io(e) => Stop::Read(io::Error::new(e.kind(), e.to_string())),
            other => {
                let at = reader.error_position();
                Unreadable::Broken(format!("it is not well-formed XML at byte {at} of its text: {other}")).into()
            }
        })?;
        any_content |= !matches!(&event, Event::Eof) && !event.trim().is_empty();
        match event {
            Event::Start(start) => {
                any_element = true;
                depth += 1;
                names += start.name().as_ref().len() as u64;
                if depth > MAX_DEPTH {
                    let reason = format!("its XML is nested more than {MAX_DEPTH} elements deep");
                    return Err(Unreadable::skipped(Skip::TooDeep, reason).into());
                }
                if names > limit {
                    let reason = format!("the names of its open elements are larger than {limit} bytes, the limit");
                    return Err(Unreadable::skipped(Skip::TooLarge, reason).into());
                }
                if past > 0 || visitor.start(&Element(&start))? == Visit::Past {
                    past += 1;
                }
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                names -= end.name().as_ref().len() as u64;
                match past {
                    0 => visitor.end(end.local_name().as_ref())?,
                    _ => past -= 1,
                }
            }
            Event::Text(text) if past == 0 => visitor.text(&text)?,
            Event::CData(text) if past == 0 => visitor.character_data(&text)?,
            Event::GeneralRef(reference) if past == 0 => match resolved(&reference) {
                Some(text) => visitor.text(&text)?,
                None => visitor.entity(&reference)?,
            },
            Event::Eof if depth > 0 => return Err(Unreadable::Broken("its XML ends in the middle".to_owned()).into()),
            Event::Eof if any_content && !any_element => {
                return Err(Unreadable::Broken("it is not XML: it has no element".to_owned()).into());
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// What a reference stands for; `None` for an entity that the document defines itself.
fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Some(character.to_string()),
        Ok(None) => resolve_xml_entity(reference).map(str::to_owned).or_else(|| named(reference)),
        Err(_) => None,
    }
}

/// The one or two characters that HTML and the documents' types of DocBook and JATS name so.
fn named(name: &str) -> Option<String> {
    let (first, second) = NAMED_ENTITIES.get(&format!("{name};"))?;
    let characters = [*first, *second].into_iter().filter(|code| *code > 0).filter_map(char::from_u32);
    Some(characters.collect()).filter(|text: &String| !text.is_empty())
}

fn unescaped(value: &str) -> String {
    quick_xml::escape::unescape(value).map_or_else(|_| value.to_owned(), |value| value.into_owned())
}

/// The encoding that the XML declaration states.
pub fn declared(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let start = String::from_utf8_lossy(&head[..head.len().min(200)]);
    let declaration = start.strip_prefix("<?xml")?.split("?>").next()?;
    let label = declaration.split_once("encoding")?.1.trim_start_matches([' ', '=']);
    let label = label.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?;
    // The declaration was read as ASCII, so the encoding contains ASCII, whatever it says.
    charset::labelled(label).filter(|found| found.is_ascii_compatible())
}
