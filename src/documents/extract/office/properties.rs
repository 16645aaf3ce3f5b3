//! What a document says of itself: its title, who wrote it, and when it was last changed.

use super::package::Package;
use crate::documents::extract::sections::Stop;
use crate::documents::extract::xml::{Element, Visit, Visitor};
use crate::record::{Place, Properties};

/// Elements that are looked at; some dozen are of use.
const MAX_ELEMENTS: usize = 1000;

/// Characters of one property; a title or a list of authors has fewer.
const MAX_PROPERTY: usize = 500;

/// Where a format keeps its properties.
pub struct Source<'n> {
    pub part: &'n str,
    /// Elements with the author, the better one first.
    pub author: &'n [&'n str],
    /// Elements with the time of the last change.
    pub modified: &'n [&'n str],
}

/// A place without page or heading in a document with these properties.
pub fn place(properties: Properties) -> Place {
    let title = properties.title.clone();
    Place { title, properties: (properties != Properties::default()).then(|| Box::new(properties)), ..Place::default() }
}

/// Reads the properties. A part that is damaged has none: it costs no text.
pub fn read(package: &mut Package<'_>, source: &Source<'_>) -> Properties {
    let mut leaves = Leaves { open: false, found: Vec::new() };
    package.try_walk(source.part, &mut leaves);
    let first = |names: &[&str]| {
        names.iter().find_map(|name| leaves.found.iter().find(|(found, text)| found == name && !text.is_empty()))
    };
    let text = |names: &[&str]| first(names).and_then(|(_, text)| tidy(text));
    Properties { title: text(&["title"]), author: text(source.author), modified: text(source.modified) }
}

/// One line of at most [`MAX_PROPERTY`] characters; `None` for one without text.
pub fn tidy(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_PROPERTY).collect();
    (!line.is_empty()).then_some(line)
}

/// Elements that hold text alone.
struct Leaves {
    open: bool,
    found: Vec<(String, String)>,
}

impl Visitor for Leaves {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        if self.found.len() == MAX_ELEMENTS {
            return Ok(Visit::Past);
        }
        // EPUB 3 has its last change in a `meta` element.
        let name = match element.attribute("property") {
            Some(property) => property.rsplit(':').next().unwrap_or_default().to_owned(),
            None => element.name().to_owned(),
        };
        self.found.push((name, String::new()));
        self.open = true;
        Ok(Visit::Into)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if let Some((_, found)) = self.found.last_mut().filter(|_| self.open)
            && found.len() < 4 * MAX_PROPERTY
        {
            found.push_str(text);
        }
        Ok(())
    }

    fn end(&mut self, _: &str) -> Result<(), Stop> {
        self.open = false;
        Ok(())
    }
}
