//! An element of a page: whether a visitor sees what is in it, and the white space around it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::ElementFlags;
use html5ever::{Attribute, QualName, local_name, ns};

/// White space before the next word, the widest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Gap {
    #[default]
    None,
    Space,
    Tab,
    Line,
    Paragraph,
}

/// An element, as long as the tree builder or a descendant refers to it. No element knows its children.
pub struct Element {
    pub name: QualName,
    own: Own,
    state: Cell<State>,
    parent: RefCell<Option<Rc<Element>>>,
    /// The attribute that shows something: a picture's alternative text, a frame's document. Taken when it is shown.
    pub attribute: Cell<Option<StrTendril>>,
    /// Of a template.
    pub contents: RefCell<Option<Rc<Element>>>,
    /// Whether HTML may stand in this element of MathML.
    pub integration_point: bool,
    /// Whether the page was told of it.
    pub started: Cell<bool>,
}

/// What an element's name and attributes say, whatever is around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own {
    /// Neither it nor anything in it is displayed.
    pub gone: bool,
    /// CSS's `visibility`, which a descendant may set anew: whether it hides.
    pub hides: Option<bool>,
    /// A part of the page around its content, wherever it stands.
    aside: bool,
    /// The same unless it belongs to a part of the content.
    header: bool,
}

/// What an element and those around it say.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    depth: usize,
    gone: bool,
    hidden: bool,
    title: bool,
    preformatted: bool,
    /// Within a part of the content that may have headers and footers of its own.
    sectioned: bool,
}

impl Own {
    pub fn of(name: &QualName, attributes: &[Attribute]) -> Self {
        let attribute = |wanted: &str| attributes.iter().find(|a| &*a.name.local == wanted).map(|a| &*a.value);
        let (mut display, mut hides) = (None, None);
        for (property, value) in declarations(attribute("style").unwrap_or_default()) {
            match property.as_str() {
                "display" => display = Some(value == "none"),
                "visibility" => hides = Some(matches!(value.as_str(), "hidden" | "collapse")),
                _ => {}
            }
        }
        let html = name.ns == ns!(html);
        let local = &*name.local;
        let undisplayed = match local {
            "script" | "style" | "noscript" | "noembed" | "noframes" | "object" | "audio" | "video" | "canvas"
            | "datalist" => html,
            // A shadow root is displayed.
            "template" => html && attribute("shadowrootmode").is_none(),
            "dialog" => html && attribute("open").is_none(),
            "svg" => name.ns == ns!(svg),
            "annotation" | "annotation-xml" => name.ns == ns!(mathml),
            _ => false,
        };
        let is_true = |name: &str| attribute(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        // Style of one's own goes before the browser's for `hidden` and `popover`.
        let hidden = (attribute("hidden").is_some() || (html && attribute("popover").is_some())) && display.is_none();
        let role = attribute("role").unwrap_or_default().trim().to_ascii_lowercase();
        Self {
            gone: undisplayed || hidden || display == Some(true) || is_true("aria-hidden"),
            hides,
            aside: matches!(role.as_str(), "navigation" | "banner" | "contentinfo" | "complementary")
                || (html && matches!(local, "nav" | "aside")),
            header: html && matches!(local, "header" | "footer") && role.is_empty(),
        }
    }
}

/// The declarations of a `style` attribute: names and values in small letters, comments and `!important` taken away.
fn declarations(style: &str) -> Vec<(String, String)> {
    let mut plain = String::new();
    let mut rest = style;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let declaration = |text: &str| {
        let (name, value) = text.split_once(':')?;
        let value = value.split('!').next().unwrap_or_default();
        Some((name.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase()))
    };
    plain.split(';').filter_map(declaration).collect()
}

impl Element {
    pub fn new(name: QualName, attributes: &[Attribute], flags: &ElementFlags) -> Rc<Self> {
        let own = Own::of(&name, attributes);
        let value = |wanted: &str| attributes.iter().find(|a| &*a.name.local == wanted).map(|a| a.value.clone());
        let attribute = match &*name.local {
            "img" | "area" => value("alt"),
            "input" if value("type").is_some_and(|kind| kind.eq_ignore_ascii_case("image")) => {
                Some(value("alt").unwrap_or_default())
            }
            "iframe" => value("srcdoc"),
            _ => None,
        };
        Rc::new(Self {
            own,
            attribute: Cell::new(attribute),
            state: Cell::default(),
            parent: RefCell::default(),
            contents: RefCell::default(),
            integration_point: flags.mathml_annotation_xml_integration_point,
            started: Cell::new(false),
            name,
        })
    }

    /// What is no element and holds elements or text: the document, a template's contents.
    pub fn container() -> Rc<Self> {
        Self::new(QualName::new(None, ns!(), local_name!("")), &[], &ElementFlags::default())
    }

    /// Puts it into `parent`. `boilerplate`: whether parts around the content are read.
    pub fn set_parent(&self, parent: &Rc<Element>, boilerplate: bool) {
        let (own, around) = (self.own, parent.state.get());
        let html = self.name.ns == ns!(html);
        let left_out = !boilerplate && (own.aside || (own.header && !around.sectioned));
        self.state.set(State {
            depth: around.depth + 1,
            gone: around.gone || own.gone || left_out,
            hidden: own.hides.unwrap_or(around.hidden),
            title: around.title || (html && self.name() == "title"),
            preformatted: around.preformatted || (html && matches!(self.name(), "pre" | "textarea" | "listing")),
            sectioned: around.sectioned
                || (html && matches!(self.name(), "article" | "main" | "section" | "aside" | "nav")),
        });
        *self.parent.borrow_mut() = Some(Rc::clone(parent));
    }

    pub fn parent(&self) -> Option<Rc<Element>> {
        self.parent.borrow().clone()
    }

    pub fn name(&self) -> &str {
        &self.name.local
    }

    pub fn depth(&self) -> usize {
        self.state.get().depth
    }

    pub fn is_visible(&self) -> bool {
        let State { gone, hidden, .. } = self.state.get();
        !gone && !hidden
    }

    pub fn in_title(&self) -> bool {
        self.state.get().title
    }

    pub fn is_preformatted(&self) -> bool {
        self.state.get().preformatted
    }
}

/// A heading's level.
pub fn level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}

/// Elements that have neither content nor an end.
pub fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "basefont"
            | "bgsound"
            | "br"
            | "col"
            | "embed"
            | "frame"
            | "hr"
            | "image"
            | "img"
            | "input"
            | "keygen"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

/// The white space around an element.
pub fn around(name: &str) -> Gap {
    match name {
        "address" | "article" | "aside" | "blockquote" | "body" | "details" | "dialog" | "div" | "dl" | "fieldset"
        | "figcaption" | "figure" | "footer" | "form" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "header"
        | "hgroup" | "hr" | "iframe" | "listing" | "main" | "nav" | "ol" | "p" | "pre" | "search" | "section"
        | "summary" | "table" | "ul" => Gap::Paragraph,
        "br" | "caption" | "dd" | "dt" | "legend" | "li" | "optgroup" | "option" | "select" | "textarea" | "tr" => {
            Gap::Line
        }
        "td" | "th" => Gap::Tab,
        "button" | "input" => Gap::Space,
        _ => Gap::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_read_as_browsers_read_them() {
        let read = |style| declarations(style).into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        assert_eq!(read("DISPLAY : None !important; color:red"), ["display=none", "color=red"]);
        assert_eq!(read("/* display: none */ margin: 0"), ["margin=0"]);
        assert_eq!(read("display"), Vec::<String>::new());
    }
}
