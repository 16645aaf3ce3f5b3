//! What a document says of itself: its title, who wrote it, and when it was last changed.

use super::package::Package;
use super::xml::{Element, Visit, Visitor, walk};
use crate::documents::extract::ExtractOptions;
use crate::documents::extract::decompress::Verdict;
use crate::documents::extract::sections::Stop;
use crate::record::{Place, Properties};

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
pub fn read(package: &mut Package<'_>, source: &Source<'_>, options: &ExtractOptions) -> Properties {
    // A verdict of its own: what is wrong with this part says nothing of the text.
    let mut leaves = Leaves { open: None, found: Vec::new() };
    if let Ok(Some(part)) = package.small_part(source.part) {
        let _ = walk(part, options, &Verdict::default(), &mut leaves);
    }
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
    open: Option<String>,
    found: Vec<(String, String)>,
}

impl Visitor for Leaves {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        // EPUB 3 has its last change in a `meta` element.
        let name = match element.attribute("property") {
            Some(property) => property.rsplit(':').next().unwrap_or_default().to_owned(),
            None => element.name().to_owned(),
        };
        self.found.push((name.clone(), String::new()));
        self.open = Some(name);
        // Some dozen are of use.
        Ok(if self.found.len() > 1000 { Visit::Past } else { Visit::Into })
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if let (Some(_), Some((_, found))) = (&self.open, self.found.last_mut())
            && found.len() < 4 * MAX_PROPERTY
        {
            found.push_str(text);
        }
        Ok(())
    }

    fn end(&mut self, _: &str) -> Result<(), Stop> {
        self.open = None;
        Ok(())
    }
}
