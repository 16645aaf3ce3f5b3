//! The tree builder's other side: instead of a tree, its steps become the page's text at once.
//!
//! Elements refer to their parents alone, so what was left is forgotten, and memory is that of the open elements. Where
//! the builder puts text says where it is; an element has ended once something is put outside of it.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use html5ever::tendril::StrTendril;
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, ExpandedName, QualName};

use super::element::{Element, is_void};
use super::page::Page;
use super::read_within;

/// Documents within documents (`srcdoc` of an `iframe`) that are read.
const MAX_NESTING: usize = 3;

pub struct Sink {
    page: Rc<RefCell<Page>>,
    document: Rc<Element>,
    /// Stands for every comment.
    comment: Rc<Element>,
    /// Where text or an element was put last.
    current: RefCell<Rc<Element>>,
    boilerplate: bool,
    /// Documents around this one.
    nesting: usize,
    /// Texts and elements that were put.
    puts: Cell<u64>,
}

impl Sink {
    pub fn new(page: Rc<RefCell<Page>>, boilerplate: bool, nesting: usize) -> Self {
        let document = Element::container();
        let (current, comment) = (RefCell::new(Rc::clone(&document)), Element::container());
        Self { page, document, comment, current, boilerplate, nesting, puts: Cell::new(0) }
    }

    /// Texts and elements that were put so far.
    pub fn puts(&self) -> u64 {
        self.puts.get()
    }

    /// How deep the place lies where something was put last.
    pub fn depth(&self) -> usize {
        self.current.borrow().depth()
    }

    /// The page, for elements that the builder is not told of.
    pub fn page(&self) -> std::cell::RefMut<'_, Page> {
        self.page.borrow_mut()
    }

    /// Whether what is put where something was put last can be seen.
    pub fn is_visible(&self) -> bool {
        self.current.borrow().is_visible()
    }

    /// Ends the elements that `target` is not in.
    fn move_to(&self, target: &Rc<Element>) {
        let mut current = self.current.replace(Rc::clone(target));
        let mut common = Rc::clone(target);
        while !Rc::ptr_eq(&current, &common) {
            if current.depth() >= common.depth() {
                if current.is_visible() && current.started.get() {
                    self.page().end(&current);
                }
                let Some(parent) = current.parent() else { return };
                current = parent;
            } else {
                let Some(parent) = common.parent() else { return };
                common = parent;
            }
        }
    }

    fn start(&self, element: &Element) {
        self.page().hidden |= needs_programs(element.name());
        if !element.is_visible() {
            return;
        }
        self.page().start(element);
        match (element.name(), element.attribute.take()) {
            ("iframe", Some(document)) if self.nesting < MAX_NESTING => {
                read_within(&document, &self.page, self.boilerplate, self.nesting + 1);
            }
            ("iframe", Some(_)) => self.page().hidden = true,
            (_, Some(alternative)) if !alternative.trim().is_empty() => self.page().alternative(&alternative),
            ("img" | "input", Some(_)) | ("img", None) => self.page().images = true,
            _ => {}
        }
    }

    fn put(&self, parent: &Rc<Element>, child: NodeOrText<Rc<Element>>) {
        self.move_to(parent);
        match child {
            NodeOrText::AppendText(text) => {
                self.puts.set(self.puts.get() + 1);
                match (parent.is_visible(), parent.name()) {
                    // Of browsers that have no frames.
                    (_, "style" | "iframe") => {}
                    (true, _) => self.page().text(&text, parent),
                    (false, _) => self.page().hidden |= !text.trim().is_empty(),
                }
            }
            NodeOrText::AppendNode(node) if Rc::ptr_eq(&node, &self.comment) => {}
            NodeOrText::AppendNode(element) => {
                self.puts.set(self.puts.get() + 1);
                element.set_parent(parent, self.boilerplate);
                if !element.started.replace(true) {
                    self.start(&element);
                }
                if !is_void(element.name()) {
                    self.current.replace(element);
                }
            }
        }
    }
}

/// Elements whose content a program has to make first.
fn needs_programs(name: &str) -> bool {
    matches!(name, "audio" | "canvas" | "embed" | "frame" | "object" | "script" | "svg" | "video")
}

impl TreeSink for Sink {
    type Handle = Rc<Element>;
    type Output = ();
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) {}

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Rc<Element> {
        Rc::clone(&self.document)
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<Element>) -> ExpandedName<'a> {
        target.name.expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Rc<Element> {
        Element::new(name, &attributes, &flags)
    }

    fn create_comment(&self, _: StrTendril) -> Rc<Element> {
        Rc::clone(&self.comment)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Rc<Element> {
        Rc::clone(&self.comment)
    }

    fn append(&self, parent: &Rc<Element>, child: NodeOrText<Rc<Element>>) {
        self.put(parent, child);
    }

    /// What may not stand in a table comes before it.
    fn append_based_on_parent_node(
        &self,
        element: &Rc<Element>,
        previous: &Rc<Element>,
        child: NodeOrText<Rc<Element>>,
    ) {
        self.put(&element.parent().unwrap_or_else(|| Rc::clone(previous)), child);
    }

    fn append_before_sibling(&self, sibling: &Rc<Element>, child: NodeOrText<Rc<Element>>) {
        self.put(&sibling.parent().unwrap_or_else(|| Rc::clone(&self.document)), child);
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Rc<Element>) -> Rc<Element> {
        let mut contents = target.contents.borrow_mut();
        Rc::clone(contents.get_or_insert_with(|| {
            let contents = Element::container();
            contents.set_parent(target, self.boilerplate);
            contents
        }))
    }

    fn same_node(&self, x: &Rc<Element>, y: &Rc<Element>) -> bool {
        Rc::ptr_eq(x, y)
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn add_attrs_if_missing(&self, _: &Rc<Element>, _: Vec<Attribute>) {}

    /// The builder takes out only what it puts elsewhere in the next step.
    fn remove_from_parent(&self, _: &Rc<Element>) {}

    fn reparent_children(&self, _: &Rc<Element>, _: &Rc<Element>) {}

    fn is_mathml_annotation_xml_integration_point(&self, target: &Rc<Element>) -> bool {
        target.integration_point
    }
}
