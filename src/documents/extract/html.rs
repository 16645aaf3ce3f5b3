//! HTML: the text that a visitor of the page reads, a section for the text under each heading.
//!
//! Only the HTML standard's tokenizer runs. Text needs no tree, and memory is that of the longest text between two
//! tags.

use std::io::Read;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{IoReader, Span, Tokenizer};

use super::ExtractOptions;
use super::charset::Utf8;
use super::decompress::{Limited, Verdict};
use super::markdown::Headings;
use super::sections::{Out, SECTION, Stop};
use crate::record::Place;

/// What the tokenizer gives that matters to text.
enum Token {
    Text(String),
    Start { name: String, empty: bool },
    End(String),
}

pub fn read(utf8: Utf8<impl Read>, options: &ExtractOptions, verdict: &Verdict, out: &mut Out<'_>) -> Result<(), Stop> {
    let (limited, allowance) = Limited::new(utf8, options.max_record_bytes, "what stands between two tags", verdict);
    let mut open = String::new();
    let mut emitter = CallbackEmitter::new(move |event: CallbackEvent<'_>, _: Span<()>| {
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match event {
            CallbackEvent::String { value } => Some(Token::Text(owned(value))),
            CallbackEvent::OpenStartTag { name } => {
                open = owned(name);
                None
            }
            CallbackEvent::CloseStartTag { self_closing } => {
                Some(Token::Start { name: std::mem::take(&mut open), empty: self_closing })
            }
            CallbackEvent::EndTag { name } => Some(Token::End(owned(name))),
            _ => None,
        }
    });
    emitter.naively_switch_states(true);
    let mut page = Page::default();
    for token in Tokenizer::new_with_emitter(IoReader::new(limited), emitter) {
        allowance.renew();
        match token? {
            Token::Text(text) => page.text(&text),
            Token::Start { name, empty } => page.start(&name, empty, out)?,
            Token::End(name) => page.end(&name),
        }
    }
    page.flush(out)
}

/// White space before the next word, the widest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Gap {
    #[default]
    None,
    Space,
    Tab,
    Line,
    Paragraph,
}

#[derive(Default)]
struct Page {
    text: String,
    gap: Gap,
    /// Whether `text` holds more than headings.
    body: bool,
    title: Option<String>,
    above: Headings,
    heading: Option<(u8, String)>,
    in_title: bool,
    /// The open element whose content no visitor sees, and how many of its name are open.
    hidden: Option<(String, usize)>,
    preformatted: usize,
}

impl Page {
    fn start(&mut self, name: &str, empty: bool, out: &mut Out<'_>) -> Result<(), Stop> {
        if let Some((hidden, open)) = &mut self.hidden {
            *open += usize::from(hidden == name && !empty);
            return Ok(());
        }
        match name {
            "script" | "style" | "template" | "noscript" | "iframe" | "object" | "svg" | "math" if !empty => {
                self.hidden = Some((name.to_owned(), 1));
            }
            "title" => self.in_title = true,
            "pre" | "textarea" => self.preformatted += 1,
            _ => {}
        }
        if let Some(level) = level(name) {
            if self.body || self.text.len() >= SECTION {
                self.flush(out)?;
            }
            self.heading = Some((level, String::new()));
        } else if around(name) == Gap::Paragraph && self.text.len() >= SECTION {
            self.flush(out)?;
        }
        self.widen(around(name));
        if name == "li" {
            self.word("-");
            self.gap = Gap::Space;
        }
        Ok(())
    }

    fn end(&mut self, name: &str) {
        if let Some((hidden, open)) = &mut self.hidden {
            *open -= usize::from(hidden == name);
            if *open == 0 {
                self.hidden = None;
            }
            return;
        }
        match name {
            "title" => self.in_title = false,
            "pre" | "textarea" => self.preformatted = self.preformatted.saturating_sub(1),
            _ => {}
        }
        if level(name).is_some()
            && let Some((level, heading)) = self.heading.take()
        {
            self.above.enter(level, &heading);
        }
        self.widen(around(name));
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.in_title {
            let title = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if self.title.is_none() && !title.is_empty() {
                self.title = Some(title);
            }
            return;
        }
        if self.preformatted > 0 && self.heading.is_none() {
            if !text.trim().is_empty() {
                self.word(text.trim_end());
                self.widen(Gap::Space);
            }
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.widen(Gap::Space);
        }
        for (index, word) in text.split_whitespace().enumerate() {
            if index > 0 {
                self.widen(Gap::Space);
            }
            self.word(word);
        }
        if text.ends_with(char::is_whitespace) {
            self.widen(Gap::Space);
        }
    }

    fn word(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push_str(match self.gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Tab => "\t",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        if let Some((_, heading)) = &mut self.heading {
            heading.push_str(if self.gap == Gap::None { "" } else { " " });
            heading.push_str(word);
        } else {
            self.body = true;
        }
        self.gap = Gap::None;
        self.text.push_str(word);
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn flush(&mut self, out: &mut Out<'_>) -> Result<(), Stop> {
        let place = Place { title: self.title.clone(), headings: self.above.names(), ..Place::default() };
        let text = std::mem::take(&mut self.text);
        (self.body, self.gap) = (false, Gap::None);
        out.part(&text, &place)
    }
}

fn level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}

/// The white space around an element.
fn around(name: &str) -> Gap {
    match name {
        "address" | "article" | "aside" | "blockquote" | "body" | "details" | "dialog" | "div" | "dl" | "fieldset"
        | "figcaption" | "figure" | "footer" | "form" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "header"
        | "hgroup" | "hr" | "main" | "nav" | "ol" | "p" | "pre" | "search" | "section" | "summary" | "table" | "ul" => {
            Gap::Paragraph
        }
        "br" | "caption" | "dd" | "dt" | "legend" | "li" | "option" | "tr" => Gap::Line,
        "td" | "th" => Gap::Tab,
        _ => Gap::None,
    }
}
