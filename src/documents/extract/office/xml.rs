//! XML parts as a walk over elements, in bounded memory.
//!
//! No entity is expanded but XML's own five and character references, and no document type is read, so neither a
//! billion laughs nor an external entity can happen. What stands between two tags, and how deep elements nest, are
//! limited.

use std::io::{self, Cursor, Read};

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::documents::extract::charset::{self, Utf8};
use crate::documents::extract::decompress::{Limited, Verdict};
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

/// What a walk tells of an XML part. Names are local: prefixes are the writer's choice.
pub trait Visitor {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop>;

    fn text(&mut self, _text: &str) -> Result<(), Stop> {
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

/// Walks `part` from its first element to its last.
pub fn walk(
    part: impl Read,
    options: &ExtractOptions,
    verdict: &Verdict,
    visitor: &mut impl Visitor,
) -> Result<(), Stop> {
    let (mut limited, allowance) =
        Limited::new(part, options.max_record_bytes, "what stands between two tags", verdict);
    let mut head = Vec::new();
    limited.by_ref().take(HEAD).read_to_end(&mut head)?;
    let declared = declared(&head);
    let at_once = charset::at_once(&head, declared);
    let mut bytes = Cursor::new(head).chain(limited);
    io::copy(&mut bytes.by_ref().take(at_once.map_or(0, |(_, mark)| mark as u64)), &mut io::sink())?;
    let mut reader = quick_xml::Reader::from_reader(Utf8::new(bytes, at_once.map(|(encoding, _)| encoding), declared));
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.allow_dangling_amp = true;
    let mut buffer = Vec::new();
    let (mut depth, mut past) = (0_usize, 0_usize);
    loop {
        allowance.renew();
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|e| match e {
            quick_xml::Error::Io(e) => Stop::Read(io::Error::new(e.kind(), e.to_string())),
            other => Unreadable::Broken(format!("it is not well-formed XML: {other}")).into(),
        })?;
        match event {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let reason = format!("its XML is nested more than {MAX_DEPTH} elements deep");
                    return Err(Unreadable::skipped(Skip::TooDeep, reason).into());
                }
                if past > 0 || visitor.start(&Element(&start))? == Visit::Past {
                    past += 1;
                }
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                match past {
                    0 => visitor.end(end.local_name().as_ref())?,
                    _ => past -= 1,
                }
            }
            Event::Text(text) if past == 0 => visitor.text(&text)?,
            Event::CData(text) if past == 0 => visitor.text(&text)?,
            Event::GeneralRef(reference) if past == 0 => {
                if let Some(text) = resolved(&reference) {
                    visitor.text(&text)?;
                }
            }
            Event::Eof if depth > 0 => return Err(Unreadable::Broken("its XML ends in the middle".to_owned()).into()),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// What a reference stands for; `None` for an entity that the document defines itself.
fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Some(character.to_string()),
        Ok(None) => resolve_xml_entity(reference).map(str::to_owned),
        Err(_) => None,
    }
}

fn unescaped(value: &str) -> String {
    quick_xml::escape::unescape(value).map_or_else(|_| value.to_owned(), |value| value.into_owned())
}

/// The encoding that the XML declaration states.
fn declared(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let start = String::from_utf8_lossy(&head[..head.len().min(200)]);
    let declaration = start.strip_prefix("<?xml")?.split("?>").next()?;
    let label = declaration.split_once("encoding")?.1.trim_start_matches([' ', '=']);
    let label = label.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?;
    // The declaration was read as ASCII, so the encoding contains ASCII, whatever it says.
    charset::labelled(label).filter(|found| found.is_ascii_compatible())
}
