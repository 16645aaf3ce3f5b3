//! Tokens on their way from the tokenizer to the tree builder, with what would cost without end taken away.
//!
//! The builder's work on a token grows with the open elements and with the formatting that is to be reopened. So:
//! - elements that only format text (`b`, `a`, …) do not get there, unless they hide, when they become a `span`;
//! - beyond [`MAX_DEPTH`] elements are counted here, as browsers flatten what is deeper (Chrome at 512).
//!
//! In XHTML `<title/>` is a whole element, which the HTML standard does not know.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult};
use html5ever::tree_builder::TreeBuilder;
use html5ever::{LocalName, QualName, local_name, ns};

use super::element::{Element, Own, is_void};
use super::sink::Sink;

/// Open elements that the builder is given.
const MAX_DEPTH: usize = 512;

/// The innermost elements beyond [`MAX_DEPTH`] that an end tag may end.
const SEARCHED: usize = 64;

/// Elements beyond [`MAX_DEPTH`] that are told apart.
const MAX_DEEPER: usize = 100_000;

const XHTML: &str = "http://www.w3.org/1999/xhtml";

pub struct Tokens {
    pub builder: TreeBuilder<Rc<Element>, Sink>,
    xhtml: Cell<bool>,
    /// Whether the tokenizer is in a text that only one end tag ends: a script, a title.
    raw: Cell<bool>,
    /// For each name of formatting, whether its open elements were handed on.
    formatting: RefCell<HashMap<LocalName, Vec<bool>>>,
    deeper: RefCell<Deeper>,
    /// Tokens so far.
    count: Cell<u64>,
    /// Tags, and what was put into the tree, so far.
    steps: Cell<u64>,
}

/// Open elements beyond [`MAX_DEPTH`].
#[derive(Default)]
struct Deeper {
    /// Each with whether it hides what is in it.
    open: Vec<(LocalName, bool)>,
    hiding: usize,
}

impl Tokens {
    pub fn new(builder: TreeBuilder<Rc<Element>, Sink>, xhtml: bool) -> Self {
        Self {
            builder,
            xhtml: Cell::new(xhtml),
            raw: Cell::new(false),
            formatting: RefCell::default(),
            deeper: RefCell::default(),
            count: Cell::new(0),
            steps: Cell::new(0),
        }
    }

    /// Tokens so far.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// What was done with tokens so far; tokens that are only kept do not count.
    pub fn steps(&self) -> u64 {
        self.steps.get() + self.builder.sink.puts()
    }

    fn start_tag(&self, mut tag: Tag, line: u64) -> TokenSinkResult<Rc<Element>> {
        if tag.name == local_name!("html") {
            let is_xhtml = |a: &html5ever::Attribute| &*a.name.local == "xmlns" && &*a.value == XHTML;
            self.xhtml.set(self.xhtml.get() || tag.attrs.iter().any(is_xhtml));
        }
        if is_formatting(&tag.name) {
            let own = Own::of(&QualName::new(None, ns!(html), tag.name.clone()), &tag.attrs);
            let hand_on = own.gone || own.hides.is_some() || self.is_foreign();
            let empty = self.xhtml.get() && tag.self_closing;
            if !empty {
                self.formatting.borrow_mut().entry(tag.name.clone()).or_default().push(hand_on);
            }
            if !hand_on || empty {
                return TokenSinkResult::Continue;
            }
            tag.name = local_name!("span");
        }
        if self.is_too_deep(line) {
            return self.start_deeper(tag, line);
        }
        let is_empty = self.xhtml.get() && tag.self_closing && !is_void(&tag.name) && !self.is_foreign();
        if !is_empty || matches!(&*tag.name, "svg" | "math") {
            return self.hand_on_start(tag, line);
        }
        let end = Tag { kind: TagKind::EndTag, attrs: Vec::new(), self_closing: false, ..tag.clone() };
        tag.self_closing = false;
        let _ = self.builder.process_token(Token::TagToken(tag), line);
        self.builder.process_token(Token::TagToken(end), line)
    }

    fn hand_on_start(&self, tag: Tag, line: u64) -> TokenSinkResult<Rc<Element>> {
        let result = self.builder.process_token(Token::TagToken(tag), line);
        self.raw.set(matches!(result, TokenSinkResult::RawData(_)));
        result
    }

    fn end_tag(&self, mut tag: Tag, line: u64) -> TokenSinkResult<Rc<Element>> {
        if !self.raw.replace(false) {
            if is_formatting(&tag.name) {
                let handed_on = self.formatting.borrow_mut().get_mut(&tag.name).and_then(Vec::pop);
                if handed_on != Some(true) {
                    return TokenSinkResult::Continue;
                }
                tag.name = local_name!("span");
            }
            if self.end_deeper(&tag) {
                return TokenSinkResult::Continue;
            }
        }
        self.builder.process_token(Token::TagToken(tag), line)
    }

    fn is_foreign(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }

    fn is_too_deep(&self, line: u64) -> bool {
        if !self.deeper.borrow().open.is_empty() {
            return true;
        }
        if self.builder.sink.depth() < MAX_DEPTH {
            return false;
        }
        // Elements may have ended since the last one was put: where a comment is put is where the builder is.
        let _ = self.builder.process_token(Token::CommentToken(StrTendril::new()), line);
        self.builder.sink.depth() >= MAX_DEPTH
    }

    fn start_deeper(&self, tag: Tag, line: u64) -> TokenSinkResult<Rc<Element>> {
        let raw = matches!(&*tag.name, "script" | "style" | "xmp" | "iframe" | "noembed" | "noframes" | "noscript");
        let mut deeper = self.deeper.borrow_mut();
        if is_void(&tag.name) || raw {
            return match raw || deeper.hiding == 0 {
                true => self.hand_on_start(tag, line),
                false => TokenSinkResult::Continue,
            };
        }
        let own = Own::of(&QualName::new(None, ns!(html), tag.name.clone()), &tag.attrs);
        let hides = own.gone || own.hides == Some(true) || &*tag.name == "svg";
        if deeper.hiding == 0 && !hides && self.builder.sink.is_visible() {
            self.builder.sink.page().space(&tag.name);
        }
        if !(tag.self_closing && self.xhtml.get()) && deeper.open.len() < MAX_DEEPER {
            deeper.hiding += usize::from(hides);
            deeper.open.push((tag.name, hides));
        }
        TokenSinkResult::Continue
    }

    /// Whether the tag ended an element beyond [`MAX_DEPTH`]; any other end tag ends all of these.
    fn end_deeper(&self, tag: &Tag) -> bool {
        let mut deeper = self.deeper.borrow_mut();
        if deeper.open.is_empty() {
            return false;
        }
        let searched = deeper.open.len().saturating_sub(SEARCHED);
        let found = deeper.open[searched..].iter().rposition(|(name, _)| *name == tag.name).map(|at| searched + at);
        let ended: Vec<_> = deeper.open.drain(found.unwrap_or(0)..).collect();
        deeper.hiding -= ended.iter().filter(|(_, hides)| *hides).count();
        if deeper.hiding == 0 && self.builder.sink.is_visible() {
            self.builder.sink.page().space(&tag.name);
        }
        found.is_some()
    }
}

impl TokenSink for Tokens {
    type Handle = Rc<Element>;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<Rc<Element>> {
        self.count.set(self.count.get() + 1);
        match token {
            Token::TagToken(tag) => {
                self.steps.set(self.steps.get() + 1);
                match tag.kind {
                    TagKind::StartTag => self.start_tag(tag, line),
                    TagKind::EndTag => self.end_tag(tag, line),
                }
            }
            Token::CharacterTokens(_) if !self.raw.get() && self.deeper.borrow().hiding > 0 => {
                TokenSinkResult::Continue
            }
            Token::ParseError(_) => TokenSinkResult::Continue,
            Token::CommentToken(_) => {
                self.steps.set(self.steps.get() + 1);
                TokenSinkResult::Continue
            }
            other => self.builder.process_token(other, line),
        }
    }

    fn end(&self) {
        self.builder.end();
    }

    /// Whether `<![CDATA[` begins text.
    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.xhtml.get() || self.is_foreign()
    }
}

/// The standard's formatting elements, which it reopens in the next block if they were not ended.
fn is_formatting(name: &LocalName) -> bool {
    matches!(
        &**name,
        "a" | "b" | "big" | "code" | "em" | "font" | "i" | "nobr" | "s" | "small" | "strike" | "strong" | "tt" | "u"
    )
}
