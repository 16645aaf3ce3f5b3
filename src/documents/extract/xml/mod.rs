//! XML and SVG: the text of elements, without tags, comments, processing instructions and attributes.
//!
//! ```text
//! bytes -> decoded -> walk -> layout: which white space is around an element? -> the page of the HTML reader -> sections
//! ```
//!
//! Feeds hold web pages, escaped: those are read as HTML. Of a drawing the texts that it shows are read, its title and its
//! description.

mod layout;
mod prolog;
mod walk;

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;

use self::layout::{Layout, Rank, inner, is_feed, is_kept, rank};
pub use self::prolog::{Prolog, without_declarations};
pub use self::walk::{Element, Visit, Visitor, declared, walk};
use super::charset::Utf8;
use super::decompress::Verdict;
use super::html::{self, EmbeddedFiles, Gap, Page};
use super::sections::{Out, Stop};
use super::{ExtractOptions, Skip, Unreadable};

/// Elements around a document's title at most: `rss`, `channel`.
const TITLE_WITHIN: usize = 2;

/// Characters of an entity's name that a reason quotes.
const MAX_QUOTED: usize = 60;

pub fn read(utf8: Utf8<impl Read>, options: &ExtractOptions, verdict: &Verdict, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut reader = Reader {
        page: Rc::default(),
        out,
        options,
        open: Vec::new(),
        soft: None,
        spaced: false,
        feed: false,
        markup: None,
        title: None,
        images: false,
        attributes: false,
    };
    walk::walk_text(EmbeddedFiles::new(utf8), options, verdict, &mut reader)?;
    reader.finish()
}

/// An open element.
struct Open {
    layout: Layout,
    /// Whether white space in it stays as it is.
    kept: bool,
    /// Whether it has text of its own, so that its children are parts of a sentence.
    mixed: bool,
    /// Its children that are no parts of a sentence, up to two.
    children: u8,
    /// Whether one of them has several of its own.
    blocks: bool,
    /// Whether one of its children is shown at most.
    switch: bool,
}

struct Reader<'r, 'o> {
    page: Rc<RefCell<Page>>,
    out: &'r mut Out<'o>,
    options: &'r ExtractOptions,
    open: Vec<Open>,
    /// White space after an element, which is none if the text of the element around it, so deep, goes on.
    soft: Option<(usize, Gap)>,
    /// Whether blank text came after that element.
    spaced: bool,
    feed: bool,
    /// The depth of the element whose text is HTML, and that text.
    markup: Option<(usize, String)>,
    /// The depth of the element that is the document's title, and its text.
    title: Option<(usize, String)>,
    /// Whether there is something that no words came from.
    images: bool,
    attributes: bool,
}

impl Reader<'_, '_> {
    fn gap(&mut self, gap: Gap) {
        self.page.borrow_mut().gap(gap);
    }

    /// What comes next is no text of the element that `soft` waits for.
    fn harden(&mut self) {
        if let Some((_, gap)) = self.soft.take() {
            self.gap(gap);
        }
    }

    /// The white space before an element within `Plain` ones.
    fn before(&mut self, rank: Rank) {
        let Some(parent) = self.open.last_mut() else { return };
        let mixed = parent.mixed;
        if rank.is_block() && !(mixed && rank == Rank::Unknown) {
            parent.children = (parent.children + 1).min(2);
        }
        match rank {
            Rank::Glued => return,
            Rank::Inline | Rank::Unknown if mixed => {}
            Rank::Inline => self.gap(Gap::Space),
            Rank::Cell => self.gap(Gap::Tab),
            Rank::Unknown | Rank::Block => self.gap(Gap::Line),
        }
        self.harden();
    }

    /// The white space after one.
    fn after(&mut self, rank: Rank, ended: &Open) {
        let depth = self.open.len();
        let Some(parent) = self.open.last_mut() else { return };
        let mixed = parent.mixed;
        match rank {
            Rank::Glued => {}
            Rank::Cell => self.gap(Gap::Tab),
            _ if ended.blocks || ended.children > 1 => {
                parent.blocks = true;
                self.soft = None;
                self.gap(Gap::Paragraph);
            }
            Rank::Block => self.gap(Gap::Line),
            Rank::Inline | Rank::Unknown if mixed && ended.children == 0 => {}
            Rank::Inline => (self.soft, self.spaced) = (Some((depth, Gap::Space)), false),
            Rank::Unknown => (self.soft, self.spaced) = (Some((depth, Gap::Line)), false),
        }
    }

    /// Text of the innermost element.
    fn words(&mut self, text: &str) {
        let depth = self.open.len();
        if text.trim().is_empty() {
            self.spaced = true;
            if self.soft.is_none_or(|(waits, _)| waits != depth) {
                self.page.borrow_mut().plain(text, false);
            }
            return;
        }
        match self.soft.take() {
            Some((waits, _)) if waits == depth && self.spaced => self.gap(Gap::Space),
            Some((waits, _)) if waits == depth => {}
            Some((_, gap)) => self.gap(gap),
            None => {}
        }
        let kept = self.open.last_mut().is_some_and(|open| {
            open.mixed = true;
            open.kept
        });
        let mut page = self.page.borrow_mut();
        if kept {
            return page.plain(text, true);
        }
        for (number, paragraph) in paragraphs(text).enumerate() {
            if number > 0 {
                page.gap(Gap::Paragraph);
            }
            page.plain(paragraph, false);
        }
    }

    /// Text that may be a web page's.
    fn html(&mut self, text: &str) {
        if !is_markup(text) {
            return self.words(text);
        }
        self.harden();
        html::read_within(text, &self.page, self.options.html_boilerplate, 0);
        self.page.borrow_mut().forget_headings();
    }

    fn emit(&mut self) -> Result<(), Stop> {
        self.page.borrow_mut().emit(self.out)
    }

    fn finish(self) -> Result<(), Stop> {
        let mut page = self.page.borrow_mut();
        page.finish(self.out)?;
        let no_text = "its elements have no text; what stands in attributes or is drawn is not read";
        self.out.lost = match (self.images || page.images, self.attributes) {
            (true, _) => Some((Skip::ImageOnly, "it shows images and no text".to_owned())),
            (false, true) => Some((Skip::Unreadable, no_text.to_owned())),
            (false, false) => None,
        };
        Ok(())
    }
}

impl Visitor for Reader<'_, '_> {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        let name = element.name();
        if let Some((_, text)) = self.markup.take() {
            // Its text is none of HTML if it has elements.
            self.words(&text);
        }
        let parent = self.open.last();
        let around = parent.map_or(Layout::Plain, |parent| parent.layout);
        let shown = parent.is_none_or(|parent| !parent.switch || parent.children == 0);
        let Some(layout) = inner(element, around).filter(|_| shown) else { return Ok(Visit::Past) };
        self.images |= layout == Layout::Drawing && name == "image";
        self.attributes |= element.has_attributes();
        match (around, layout) {
            (Layout::Plain, _) => self.before(rank(element, self.open.last().is_some_and(|open| open.mixed))),
            (Layout::Html, _) => self.gap(html::around(name)),
            (Layout::DrawnText, _) if element.attribute("x").is_none() => {}
            _ => self.gap(Gap::Line),
        }
        if around == Layout::Drawing
            && let Some(parent) = self.open.last_mut()
        {
            parent.children = 1;
        }
        if self.open.is_empty() {
            self.feed = is_feed(name);
        }
        let kept = is_kept(element, layout).unwrap_or_else(|| self.open.last().is_some_and(|open| open.kept));
        let switch = layout == Layout::Drawing && name == "switch";
        self.open.push(Open { layout, kept, mixed: false, children: 0, blocks: false, switch });
        let depth = self.open.len();
        if layout == Layout::Plain && layout::holds_html(element, self.feed) {
            self.markup = Some((depth, String::new()));
        } else if name == "title" && depth <= TITLE_WITHIN + 1 && self.title.is_none() {
            self.title = Some((depth, String::new()));
        }
        self.emit()?;
        Ok(Visit::Into)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if let Some((_, markup)) = &mut self.markup {
            markup.push_str(text);
            if markup.len() as u64 <= self.options.max_record_bytes {
                return Ok(());
            }
            let limit = self.options.max_record_bytes;
            let reason = format!("a page within it is larger than {limit} bytes, the limit");
            return Err(Unreadable::skipped(Skip::TooLarge, reason).into());
        }
        if self.open.last().is_some_and(|open| open.layout == Layout::Drawing) {
            return Ok(());
        }
        if let Some((_, title)) = self.title.as_mut().filter(|(depth, _)| *depth <= self.open.len()) {
            title.push_str(&text[..text.floor_char_boundary(html::LONGEST_HEADING.saturating_sub(title.len()))]);
        }
        self.words(text);
        self.emit()
    }

    fn character_data(&mut self, text: &str) -> Result<(), Stop> {
        let plain = self.open.last().is_some_and(|open| open.layout == Layout::Plain && !open.kept);
        if self.markup.is_some() || !plain || !is_page(text) {
            return self.text(text);
        }
        self.html(text);
        self.emit()
    }

    fn entity(&mut self, name: &str) -> Result<(), Stop> {
        let quoted: String = name.chars().take(MAX_QUOTED).collect();
        let reason = format!("&{quoted}; stands for what the document itself defines, and is not expanded");
        self.out.skipped_records.add(format_args!("an entity"), "entity", &reason);
        self.text(&format!("&{name};"))
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        let depth = self.open.len();
        if let Some((_, text)) = self.markup.take() {
            self.html(&text);
        }
        if let Some((_, title)) = self.title.take_if(|(title, _)| *title == depth) {
            self.page.borrow_mut().entitle(&title);
        }
        let Some(ended) = self.open.pop() else { return Ok(()) };
        match self.open.last().map_or(Layout::Plain, |parent| parent.layout) {
            Layout::Plain => self.after(layout::rank_of(name), &ended),
            Layout::Html => self.gap(html::around(name)),
            Layout::Drawing => self.gap(Gap::Line),
            Layout::DrawnText => {}
        }
        self.emit()
    }
}

/// The paragraphs of a text that has blank lines.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        let mut from = 0;
        while let Some(end) = all[from..].find('\n').map(|offset| from + offset) {
            let line = &all[end + 1..];
            let blank = line.len() - line.trim_start().len();
            if line[..blank].contains('\n') {
                rest = Some(&line[blank..]);
                return Some(&all[..end]);
            }
            from = end + 1;
        }
        rest = None;
        Some(all)
    })
}

/// Whether a text has tags or references to characters, as HTML has.
fn is_markup(text: &str) -> bool {
    let follows = |mark: char, is: fn(u8) -> bool| {
        text.match_indices(mark).any(|(at, _)| text.as_bytes().get(at + 1).is_some_and(|next| is(*next)))
    };
    follows('<', |next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!'))
        || follows('&', |next| next.is_ascii_alphabetic() || next == b'#')
}

/// Whether a text is HTML from its first tag to its last.
fn is_page(text: &str) -> bool {
    let text = text.trim();
    let tag = text.strip_prefix('<').and_then(|rest| rest.bytes().next());
    tag.is_some_and(|next| next.is_ascii_alphabetic() || next == b'!') && text.ends_with('>')
}

#[cfg(test)]
mod tests;
