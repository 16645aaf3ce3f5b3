//! HTML: the text that a visitor of the page reads, a section for the text under each heading.
//!
//! ```text
//! bytes -> filter -> html5ever's tokenizer -> tokens -> html5ever's tree builder -> sink -> page -> sections
//! ```
//!
//! The standard's tree builder decides where an element ends and what is text; no tree is built. Memory is that of the
//! open elements and of the longest tag.

mod element;
mod filter;
mod page;
mod sink;
#[cfg(test)]
mod tests;
mod tokens;

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;

use html5ever::TokenizerResult;
use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tokenizer, TokenizerOpts};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};

pub use self::element::{Gap, around};
pub use self::filter::EmbeddedFiles;
use self::filter::{Attributes, MAX_ATTRIBUTES};
pub use self::page::{LONGEST_HEADING, Page};
use self::sink::Sink;
use self::tokens::Tokens;
use super::charset::Utf8;
use super::decompress::{Limited, Verdict};
use super::sections::{Out, Stop};
use super::xml::{Prolog, without_declarations};
use super::{ExtractOptions, Skip, Unreadable};

/// Bytes that are read at once.
const PIECE: usize = 4096;

/// Bytes before a page's first element at most, if its document type declares something itself.
const MAX_PROLOG: usize = 256 * 1024;

pub fn read(utf8: Utf8<impl Read>, options: &ExtractOptions, verdict: &Verdict, out: &mut Out<'_>) -> Result<(), Stop> {
    let what = "what stands between two tags";
    let (mut limited, allowance) = Limited::new(EmbeddedFiles::new(utf8), options.max_record_bytes, what, verdict);
    let page = Rc::<RefCell<Page>>::default();
    let mut parser = None;
    // What the decoder gives may end within a character.
    let (mut piece, mut waiting) = (vec![0; PIECE], Vec::new());
    loop {
        let read = limited.read(&mut piece)?;
        waiting.extend(&piece[..read]);
        let whole = waiting.len() - incomplete(&waiting);
        let mut text = String::from_utf8_lossy(&waiting[..whole]).into_owned();
        let parser = match &mut parser {
            Some(parser) => parser,
            None if read > 0 && is_too_short(&text) => continue,
            none => {
                text = without_declarations(&text).into_owned();
                none.insert(Parser::new(&page, is_xml(&text), options.html_boilerplate, 0))
            }
        };
        waiting.drain(..whole);
        let steps = parser.tokenizer.sink.steps();
        parser.feed(&text)?;
        if read == 0 {
            break;
        }
        if parser.tokenizer.sink.steps() > steps {
            allowance.renew();
        }
        page.borrow_mut().emit(out)?;
    }
    if let Some(parser) = parser {
        parser.tokenizer.end();
    }
    page.borrow_mut().finish(out)
}

/// Reads a document within a page into the same page. `nesting` documents are around it.
pub fn read_within(document: &str, page: &Rc<RefCell<Page>>, boilerplate: bool, nesting: usize) {
    let mut parser = Parser::new(page, is_xml(document), boilerplate, nesting);
    let document = without_declarations(document);
    let mut rest = &*document;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        // What is too much for the tokenizer ends this document alone.
        if parser.feed(piece).is_err() {
            return;
        }
        rest = after;
    }
    parser.tokenizer.end();
}

struct Parser {
    tokenizer: Tokenizer<Tokens>,
    input: BufferQueue,
    attributes: Attributes,
}

impl Parser {
    fn new(page: &Rc<RefCell<Page>>, xhtml: bool, boilerplate: bool, nesting: usize) -> Self {
        let sink = Sink::new(Rc::clone(page), boilerplate, nesting);
        let options = TreeBuilderOpts { scripting_enabled: true, drop_doctype: true, ..TreeBuilderOpts::default() };
        let tokens = Tokens::new(TreeBuilder::new(sink, options), xhtml);
        let tokenizer = Tokenizer::new(tokens, TokenizerOpts::default());
        Self { tokenizer, input: BufferQueue::default(), attributes: Attributes::default() }
    }

    fn feed(&mut self, text: &str) -> Result<(), Stop> {
        let count = self.tokenizer.sink.count();
        self.attributes.read(text.as_bytes());
        self.input.push_back(StrTendril::from(text));
        // Scripts are not run: the tokenizer goes on after each.
        while !matches!(self.tokenizer.feed(&self.input), TokenizerResult::Done) {}
        if self.tokenizer.sink.count() > count {
            self.attributes.count = 0;
        }
        if self.attributes.count > MAX_ATTRIBUTES {
            let reason = format!("a tag has more than {MAX_ATTRIBUTES} attributes");
            return Err(Unreadable::skipped(Skip::TooLarge, reason).into());
        }
        Ok(())
    }
}

/// Whether a page's start does not tell yet that it is XHTML, or what its document type declares.
fn is_too_short(start: &str) -> bool {
    start.len() < PIECE / 4 || (start.len() < MAX_PROLOG && Prolog::of(start).is_open())
}

/// Whether a page says that it is XML, in which `<title/>` is an element that has ended.
fn is_xml(start: &str) -> bool {
    start.trim_start_matches('\u{feff}').trim_start().starts_with("<?xml")
}

/// Bytes at the end of `bytes` that begin a character of UTF-8 and do not end it.
fn incomplete(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    }
}
