//! Which of a Word document's styles are headings, and which are lists.

use std::collections::HashMap;

use super::package::Package;
use crate::documents::extract::sections::Stop;
use crate::documents::extract::xml::{Element, Visit, Visitor};

/// Styles that a style is based on, one on another; Word allows eleven.
const MAX_BASES: usize = 16;

/// Styles that are kept; Word itself takes 4,079.
const MAX_STYLES: usize = 1 << 16;

/// Paragraph styles by their ids.
pub type Styles = HashMap<String, Style>;

/// What a paragraph style means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// The level of the heading that it is; 0 is the document's title.
    pub heading: Option<u8>,
    pub list: bool,
}

/// A style as it is written: what it leaves open, its base says.
#[derive(Default)]
struct Written {
    name: String,
    base: Option<String>,
    /// From 0; 9 is text.
    outline: Option<u8>,
    list: Option<bool>,
}

pub fn styles(package: &mut Package<'_>, part: &str) -> Result<Styles, Stop> {
    let mut reader = Reader { written: HashMap::new(), open: None };
    package.walk_small(part, &mut reader)?;
    let written = reader.written;
    Ok(written.keys().map(|id| (id.clone(), style(&written, id))).collect())
}

fn style(written: &HashMap<String, Written>, id: &str) -> Style {
    let mut bases = Vec::new();
    let mut next = Some(id);
    while let Some(found) = next.and_then(|id| written.get(id)).filter(|_| bases.len() < MAX_BASES) {
        bases.push(found);
        next = found.base.as_deref();
    }
    // A style of the user's own that is based on a heading is one.
    let heading = bases.iter().find_map(|style| match style.outline {
        Some(level) => Some((level < 9).then_some(level + 1)),
        None => level_by_name(&style.name).map(Some),
    });
    let list = bases.iter().find_map(|style| style.list).unwrap_or_default();
    Style { heading: heading.flatten(), list }
}

/// The level that Word's own names of styles have in every language's version.
fn level_by_name(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(0);
    }
    name.strip_prefix("heading ")?.parse().ok().filter(|level| (1..=9).contains(level))
}

struct Reader {
    written: HashMap<String, Written>,
    open: Option<(String, Written)>,
}

impl Visitor for Reader {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        if element.name() == "style" {
            let of_text = element.attribute("type").is_some_and(|kind| kind != "paragraph");
            if of_text || self.written.len() == MAX_STYLES {
                return Ok(Visit::Past);
            }
            self.open = element.attribute("styleId").map(|id| (id, Written::default()));
            return Ok(Visit::Into);
        }
        let Some((_, style)) = &mut self.open else { return Ok(Visit::Into) };
        match element.name() {
            "name" => style.name = element.attribute("val").unwrap_or_default(),
            "basedOn" => style.base = element.attribute("val"),
            "outlineLvl" => style.outline = element.number("val"),
            "numId" => style.list = Some(element.attribute("val").is_some_and(|id| id != "0")),
            _ => {}
        }
        Ok(Visit::Into)
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        if name == "style"
            && let Some((id, style)) = self.open.take()
        {
            self.written.insert(id, style);
        }
        Ok(())
    }
}
