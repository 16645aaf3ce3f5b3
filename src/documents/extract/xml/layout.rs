//! How text stands in elements: by what is known of their names, and by where text is.

use super::walk::Element;

const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// What the text of an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// An element's of a vocabulary that need not be known.
    Plain,
    /// An XHTML page's.
    Html,
    /// None: a drawing holds shapes.
    Drawing,
    /// Shown in a drawing, or its title or description.
    DrawnText,
}

/// The layout within `element`, which lies in one of the layout `around`; `None` if nobody sees what is in it.
pub fn inner(element: &Element<'_>, around: Layout) -> Option<Layout> {
    let name = element.name();
    let is_xhtml = || element.attribute("xmlns").as_deref() == Some(XHTML);
    let found = match (around, name) {
        (Layout::Plain, "svg") | (Layout::Html, "svg") => Layout::Drawing,
        (Layout::Plain, "binary" | "binData" | "binary-data") => return None,
        (Layout::Plain, _) if is_xhtml() => Layout::Html,
        (Layout::Plain, _) => return Some(Layout::Plain),
        (_, "script" | "style") | (Layout::Html, "noscript" | "template" | "head") => return None,
        (Layout::Html, _) if element.attribute("hidden").is_some() => return None,
        (Layout::Html, _) => Layout::Html,
        (Layout::Drawing, "metadata" | "defs") => return None,
        (Layout::Drawing, "title" | "desc" | "text" | "flowRoot") => Layout::DrawnText,
        (Layout::Drawing, "foreignObject") => Layout::Html,
        (Layout::Drawing, _) => Layout::Drawing,
        (Layout::DrawnText, _) => Layout::DrawnText,
    };
    let style = element.attribute("style").unwrap_or_default().to_ascii_lowercase().replace(' ', "");
    let hidden = style.contains("display:none") || element.attribute("display").as_deref() == Some("none");
    // Of a drawing in several languages, the one for all others.
    let foreign = around == Layout::Drawing && element.attribute("systemLanguage").is_some();
    (!hidden && !foreign).then_some(found)
}

/// What an element does to the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// It stands on lines of its own, wherever it is.
    Block,
    /// A cell of a table.
    Cell,
    /// It marks words of a sentence.
    Inline,
    /// It marks a part of a word.
    Glued,
    /// A part of a sentence where text is beside it, else on a line of its own.
    Unknown,
}

impl Rank {
    pub fn is_block(self) -> bool {
        matches!(self, Self::Block | Self::Cell | Self::Unknown)
    }
}

/// The rank of an element in one with text of its own, or without.
pub fn rank(element: &Element<'_>, mixed: bool) -> Rank {
    match rank_of(element.name()) {
        // A paragraph's title in its text, as FictionBook has it, is still a title.
        Rank::Unknown if mixed && element.name() == "title" => Rank::Block,
        rank => rank,
    }
}

/// By name: of DocBook, JATS, TEI, DITA, HTML without its namespace, and what is called alike elsewhere.
pub fn rank_of(name: &str) -> Rank {
    match name {
        "p" | "para" | "simpara" | "li" | "listitem" | "list-item" | "tr" | "row" | "div" | "br" | "lb" | "break" => {
            Rank::Block
        }
        "td" | "th" => Rank::Cell,
        "b" | "i" | "u" | "em" | "strong" | "italic" | "bold" | "emphasis" | "hi" | "sc" | "span" | "tspan" => {
            Rank::Inline
        }
        "sup" | "sub" | "superscript" | "subscript" => Rank::Glued,
        _ => Rank::Unknown,
    }
}

/// Whether an element says that white space in it stays as it is, or does not; `None`: as around it.
pub fn is_kept(element: &Element<'_>, layout: Layout) -> Option<bool> {
    if layout == Layout::DrawnText || layout == Layout::Drawing {
        return Some(false);
    }
    match (element.attribute("space").as_deref(), element.name()) {
        (Some("preserve"), _) => Some(true),
        (Some("default"), _) => Some(false),
        (_, "programlisting" | "screen" | "literallayout" | "preformat" | "pre" | "codeblock" | "verbatim") => {
            Some(true)
        }
        _ => None,
    }
}

/// Whether a document whose outermost element has this name is a feed: RSS 2 or 1, or Atom.
pub fn is_feed(name: &str) -> bool {
    matches!(name, "rss" | "RDF" | "feed")
}

/// Whether the text of an element is HTML, escaped: it says so, as in Atom, or a feed's reader takes it for HTML.
pub fn holds_html(element: &Element<'_>, feed: bool) -> bool {
    match element.attribute("type").as_deref() {
        Some("html" | "text/html") => true,
        Some(_) => false,
        None => feed && matches!(element.name(), "description" | "encoded" | "summary"),
    }
}
