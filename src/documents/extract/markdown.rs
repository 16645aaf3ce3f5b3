//! Markdown: the decoded file, unchanged, a section for the text under each heading.
//!
//! The marks stay in the text: the model has seen them in its training, and offsets are those of the file.
//! A long file is parsed in windows that end before a heading.

use std::io::BufRead;
use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::sections::{Out, Stop};
use super::text::fill;
use crate::record::Place;

/// Bytes that are parsed at once; far more than the text under one heading.
const WINDOW: usize = 512 * 1024;

pub fn read(input: &mut impl BufRead, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut waiting = String::new();
    let mut above = Headings::default();
    loop {
        let ended = fill(input, &mut waiting, WINDOW)?;
        if waiting.is_empty() {
            return Ok(());
        }
        let end = if ended { waiting.len() } else { window_end(&waiting) };
        sections(&waiting[..end], &mut above, out)?;
        waiting.drain(..end);
    }
}

/// The headings above the current text, outermost first.
#[derive(Default)]
pub struct Headings(Vec<(u8, String)>);

impl Headings {
    /// A heading of `level` ends all headings of its level and below.
    pub fn enter(&mut self, level: u8, text: &str) {
        self.0.retain(|(above, _)| *above < level);
        self.0.push((level, text.split_whitespace().collect::<Vec<_>>().join(" ")));
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(_, name)| name.clone()).collect()
    }
}

/// The end of the next window: before the last line that looks like a heading and is outside a code fence, else before
/// the last line, else at the limit.
fn window_end(text: &str) -> usize {
    let most = text.floor_char_boundary(WINDOW);
    let mut at = 0;
    let (mut fenced, mut heading, mut line_start) = (false, 0, 0);
    for line in text[..most].split_inclusive('\n') {
        let trimmed = line.trim_start_matches(' ');
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fenced = !fenced;
        } else if !fenced && trimmed.trim_start_matches('#').starts_with(' ') && trimmed.starts_with('#') {
            heading = at;
        }
        line_start = at;
        at += line.len();
    }
    [heading, line_start, most].into_iter().find(|end| *end > 0).unwrap_or(most)
}

fn sections(text: &str, above: &mut Headings, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut start = 0;
    // Whether there is more than headings since `start`: a heading alone joins the text after it.
    let mut body = false;
    let mut depth = 0;
    let mut heading: Option<(HeadingLevel, Range<usize>, String)> = None;
    let options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_TABLES;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) if depth == 0 => {
                if body {
                    emit(&text[start..range.start], above, out)?;
                    start = range.start;
                    body = false;
                }
                heading = Some((level, range, String::new()));
                depth += 1;
            }
            Event::End(TagEnd::Heading(_)) if depth == 1 => {
                depth -= 1;
                if let Some((level, _, name)) = heading.take() {
                    above.enter(level as u8, &name);
                }
            }
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Text(part) | Event::Code(part) => match &mut heading {
                Some((_, _, name)) => name.push_str(&part),
                None => body = true,
            },
            Event::SoftBreak | Event::HardBreak => {
                if let Some((_, _, name)) = &mut heading {
                    name.push(' ');
                }
            }
            _ => body |= heading.is_none(),
        }
    }
    emit(&text[start..], above, out)
}

fn emit(text: &str, above: &Headings, out: &mut Out<'_>) -> Result<(), Stop> {
    let place = Place { headings: above.names(), ..Place::default() };
    out.stretch(text, &place, |_| None)
}
