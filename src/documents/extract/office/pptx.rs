//! PowerPoint: a section a slide, in the presentation's order: its title, its shapes, its diagrams, its speaker notes.

use std::collections::BTreeSet;

use super::Alternates;
use super::package::{Package, check_listed, missing};
use super::relations::Relations;
use crate::documents::extract::blocks::{Blocks, Paragraph};
use crate::documents::extract::sections::{Out, Stop};
use crate::documents::extract::xml::{Element, Visit, Visitor};
use crate::documents::extract::{Skip, Unreadable};
use crate::record::Place;

/// Bytes of a slide's shapes, which are held to find its title.
const MAX_SHAPES: usize = 1 << 20;

pub fn read(package: &mut Package<'_>, main: &str, place: &Place, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut order = SlideOrder(Vec::new());
    if !package.walk_small(main, &mut order)? {
        return Err(missing(main));
    }
    let slides = Relations::of(package, main)?;
    let mut seen = BTreeSet::new();
    for (number, id) in (1..).zip(order.0) {
        let slide = slides.with_id(&id).filter(|slide| package.has(&slide.target) && seen.insert(&slide.target));
        let Some(slide) = slide else {
            out.skipped_records.add(format_args!("slide {number}"), "unreadable", "its part is missing");
            continue;
        };
        let parts = Relations::of(package, &slide.target)?;
        let mut shapes = shapes(package, &slide.target, out)?;
        // Most have their title first, but a shape behind it may be drawn before it.
        shapes.sort_by_key(|shape| shape.role != Role::Title);
        let mut drawn = BTreeSet::new();
        for diagram in parts.of_kind("diagramData").filter(|diagram| drawn.insert(&diagram.target)) {
            shapes.extend(self::shapes(package, &diagram.target, out)?);
            check(shapes.iter().map(|shape| shape.text.len()).sum())?;
        }
        if let Some(notes) = parts.target("notesSlide") {
            let notes = self::shapes(package, notes, out)?;
            // Others on a page of notes are the slide's picture and number.
            shapes.extend(notes.into_iter().filter(|shape| shape.role == Role::Body));
        }
        let place = Place { page: Some(number), ..place.clone() };
        let mut blocks = Blocks::new(out, place, package.options().max_record_bytes);
        for Shape { role, text } in shapes {
            let kind = if role == Role::Title { Paragraph::Heading(1) } else { Paragraph::Plain };
            blocks.add(&text, kind)?;
        }
        blocks.finish()?;
    }
    Ok(())
}

/// The relations of the slides, in their order.
struct SlideOrder(Vec<String>);

impl Visitor for SlideOrder {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        if element.name() == "sldId" {
            self.0.extend(element.relation());
            check_listed(self.0.len(), "slides")?;
        }
        Ok(Visit::Into)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Title,
    /// The text of a page of notes, among others.
    Body,
    /// The slide's number and date, which every slide repeats.
    Furniture,
    Other,
}

struct Shape {
    role: Role,
    text: String,
}

fn check(bytes: usize) -> Result<(), Stop> {
    if bytes <= MAX_SHAPES {
        return Ok(());
    }
    Err(Unreadable::skipped(Skip::TooLarge, format!("a slide's text is larger than {MAX_SHAPES} bytes, the limit"))
        .into())
}

/// The shapes of a slide, a page of notes or a diagram that have text, as they are drawn.
fn shapes(package: &mut Package<'_>, part: &str, out: &mut Out<'_>) -> Result<Vec<Shape>, Stop> {
    let blocks = Blocks::new(out, Place::default(), package.options().max_record_bytes);
    let mut reader = Reader {
        blocks,
        alternates: Alternates::default(),
        role: Role::Other,
        in_text: false,
        shapes: Vec::new(),
        bytes: 0,
    };
    package.walk(part, &mut reader)?;
    Ok(reader.shapes)
}

struct Reader<'b, 'o> {
    blocks: Blocks<'b, 'o>,
    alternates: Alternates,
    role: Role,
    in_text: bool,
    shapes: Vec<Shape>,
    /// Of all shapes' texts.
    bytes: usize,
}

/// Elements that are a shape each. A group holds shapes; a point of a diagram is one.
fn is_shape(name: &str) -> bool {
    matches!(name, "sp" | "graphicFrame" | "cxnSp" | "pt")
}

impl Visitor for Reader<'_, '_> {
    fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
        let name = element.name();
        if let Some(visit) = self.alternates.start(name) {
            return Ok(visit);
        }
        match name {
            _ if is_shape(name) => {
                self.role = Role::Other;
                self.blocks.open_aside();
            }
            "ph" => {
                self.role = match element.attribute("type").as_deref() {
                    Some("title" | "ctrTitle") => Role::Title,
                    Some("sldNum" | "dt") => Role::Furniture,
                    Some("body") => Role::Body,
                    _ => Role::Other,
                }
            }
            "p" => self.blocks.open_paragraph(),
            "t" => self.in_text = true,
            "br" => self.blocks.push("\n")?,
            "tr" => self.blocks.open_row(),
            "tc" => self.blocks.open_cell(),
            _ => {}
        }
        Ok(Visit::Into)
    }

    fn text(&mut self, text: &str) -> Result<(), Stop> {
        if self.in_text { self.blocks.push(text) } else { Ok(()) }
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        self.alternates.end(name);
        match name {
            _ if is_shape(name) => {
                let text = self.blocks.take_aside();
                self.bytes += text.len();
                check(self.bytes)?;
                if !text.is_empty() && self.role != Role::Furniture {
                    self.shapes.push(Shape { role: self.role, text });
                }
            }
            "p" => self.blocks.close_paragraph(Paragraph::Plain)?,
            "t" => self.in_text = false,
            "tc" => drop(self.blocks.close_cell()),
            "tr" => self.blocks.close_row(true, 1)?,
            _ => {}
        }
        Ok(())
    }
}
