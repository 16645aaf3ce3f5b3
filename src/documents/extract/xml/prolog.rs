//! What stands before a document's outermost element: the XML declaration, comments, the document type.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::Event;

/// The beginning of a text that may be XML.
pub struct Prolog<'t> {
    /// Where the document type declares entities and elements itself: from `[` to `]`.
    declarations: Option<Range<usize>>,
    /// What follows.
    rest: &'t str,
}

impl<'t> Prolog<'t> {
    pub fn of(text: &'t str) -> Self {
        // The reader does not count it.
        let mark = text.len() - text.trim_start_matches('\u{feff}').len();
        let mut reader = quick_xml::Reader::from_str(&text[mark..]);
        let position = |reader: &quick_xml::Reader<_>| mark + reader.buffer_position() as usize;
        let (mut declarations, mut end) = (None, mark);
        loop {
            let next = position(&reader);
            match reader.read_event() {
                Ok(Event::DocType(_)) => {
                    let doctype = &text[next..position(&reader)];
                    declarations =
                        opening(doctype).zip(doctype.rfind(']')).map(|(open, close)| next + open..next + close + 1);
                }
                Ok(Event::Text(blank)) if blank.trim().is_empty() => {}
                Ok(Event::Decl(_) | Event::PI(_) | Event::Comment(_)) => {}
                _ => break,
            }
            end = position(&reader);
        }
        Self { declarations, rest: text[end..].trim_start() }
    }

    /// Whether the text ends before the document's first element.
    pub fn is_open(&self) -> bool {
        matches!(self.rest, "" | "<") || self.rest.starts_with("<!") || self.rest.starts_with("<?")
    }

    /// The local name of the document's outermost element, which a document type states as well; `None` for other texts
    /// than XML.
    pub fn root(&self) -> Option<&'t str> {
        let doctype = self.rest.strip_prefix("<!DOCTYPE").map(str::trim_start);
        let tag = doctype.or_else(|| self.rest.strip_prefix('<'))?;
        let name = &tag[..tag.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/' | '['))?];
        Some(name.rsplit(':').next().unwrap_or(name)).filter(|name| !name.is_empty() && !name.starts_with(['!', '?']))
    }
}

/// Where what a document type declares itself begins: at a `[` outside quotes. HTML ends a document type at the first
/// `>`, also within quotes, so behind that the page has begun.
fn opening(doctype: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in doctype.char_indices() {
        match c {
            '>' => return None,
            '[' if quote.is_none() => return Some(at),
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            _ => {}
        }
    }
    None
}

/// `text` without what its document type declares itself, which HTML does not know and would show.
pub fn without_declarations(text: &str) -> Cow<'_, str> {
    match Prolog::of(text).declarations {
        Some(range) => [&text[..range.start], &text[range.end..]].concat().into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_end_where_xml_says() {
        for (declarations, rest) in [
            ("", "<html>"),
            ("[]", "<html>"),
            ("[ <!ENTITY nbsp '&#160;'>\n <!ENTITY copy \"&#169;\"> ]", "<html>"),
            (
                "[<!ENTITY a ']>'><!ENTITY % b \"[\"> %b; <!-- ]> it's --><?c ]> ?><!ELEMENT d (e|f)*><!ATTLIST d g CDATA '>'>]",
                "<x:html a='b'/>",
            ),
        ] {
            for public in ["", " PUBLIC \"-//W3C//DTD XHTML 1.1//EN\" 'http://a.test/[x]'", " SYSTEM 'a>'"] {
                let before = format!("\u{feff}<?xml version='1.0'?>\n<!-- <!DOCTYPE a []> --><!DOCTYPE html{public} ");
                let text = format!("{before}{declarations}>\n{rest}");
                let prolog = Prolog::of(&text);
                assert_eq!((prolog.root(), prolog.is_open()), (Some("html"), false), "{text}");
                if !public.contains('>') {
                    assert_eq!(without_declarations(&text), format!("{before}>\n{rest}"));
                }
                for end in (1..text.len() - rest.len()).filter(|end| text.is_char_boundary(*end)) {
                    assert!(Prolog::of(&text[..end]).is_open(), "{}", &text[..end]);
                }
            }
        }
    }

    #[test]
    fn texts_without_a_prolog_have_none() {
        for text in ["words", "<p>a [b]>", "<!DOCTYPE html><p>[a]", "<!doctype html>\n<svg>", "]>"] {
            assert_eq!(without_declarations(text), text);
            assert!(!Prolog::of(text).is_open(), "{text}");
        }
    }

    #[test]
    fn a_document_type_without_its_last_quote_takes_nothing_of_the_page() {
        for quote in ['"', '\''] {
            let head = format!("<!DOCTYPE html PUBLIC {quote}-//W3C//DTD HTML 4.01//EN>\n<html lang={quote}en{quote}>");
            let body = format!("<p>one [1] two</p><input type={quote}text{quote} name={quote}a[]{quote}><p>three</p>");
            let text = head + &body;
            assert_eq!(without_declarations(&text), text);
        }
    }
}
