//! Markdown: the decoded file, unchanged, a section for the text under each heading.
//!
//! The marks stay in the text: the model has seen them in its training, and offsets are those of the file.
//! A long file is parsed in windows that end before a heading. Front matter is at the file's start only: further down
//! `---` is a rule, or underlines a heading.

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
    let mut ended = fill(input, &mut waiting, WINDOW)?;
    let mut front = front_matter(&waiting);
    while !waiting.is_empty() {
        let end = if ended { waiting.len() } else { window_end(&waiting).max(front) };
        sections(&waiting[..end], front, &mut above, out)?;
        front = 0;
        waiting.drain(..end);
        ended = fill(input, &mut waiting, WINDOW)?;
    }
    Ok(())
}

/// The bytes of front matter at the start of `text`: YAML between `---` and `---` or `...`, TOML between `+++` and
/// `+++`. 0 if there is none: nothing closes it, or its first line is no entry, as after a rule.
fn front_matter(text: &str) -> usize {
    let mut lines = lines(text.trim_start_matches('\u{feff}'));
    let (ends, assigns): (&[&str], char) = match lines.next().map(str::trim_end) {
        Some("---") => (&["---", "..."], ':'),
        Some("+++") => (&["+++"], '='),
        _ => return 0,
    };
    let mut entry_seen = false;
    for line in lines {
        let entry = line.trim();
        if ends.contains(&line.trim_end()) {
            return line.as_ptr().addr() + line.len() - text.as_ptr().addr();
        }
        if !entry_seen && !entry.is_empty() && !entry.starts_with('#') {
            let is_entry = entry.contains(assigns) || entry.starts_with(['[', '{', '-']);
            if !is_entry {
                return 0;
            }
            entry_seen = true;
        }
    }
    0
}

/// The lines of `text` with their ends: LF, CRLF or CR.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end =
            rest.find(['\n', '\r']).map_or(rest.len(), |at| at + if rest[at..].starts_with("\r\n") { 2 } else { 1 });
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
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

/// The end of the next window: before the last line that looks like a heading and is outside a code fence, else after the
/// last blank line there, else before the last line, else at the limit.
fn window_end(text: &str) -> usize {
    let most = text.floor_char_boundary(WINDOW);
    let mut at = 0;
    let (mut fence, mut heading, mut blank, mut line_start) = (None, 0, 0, 0);
    for line in lines(&text[..most]) {
        let trimmed = line.trim_start_matches(' ');
        let marks = trimmed.len() - trimmed.trim_start_matches(['`', '~']).len();
        let mark = &trimmed[..marks];
        let is_fence = marks >= 3 && mark.chars().all(|other| mark.starts_with(other));
        match fence {
            None if is_fence => fence = Some(mark),
            None if trimmed.starts_with('#') && trimmed.trim_start_matches('#').starts_with(' ') => heading = at,
            None if trimmed.trim().is_empty() => blank = at + line.len(),
            // A fence is closed by as many of its marks at least, and nothing else.
            Some(open) if is_fence && mark.starts_with(open) && trimmed[marks..].trim().is_empty() => fence = None,
            _ => {}
        }
        line_start = at;
        at += line.len();
    }
    [heading, blank, line_start, most].into_iter().find(|end| *end > 0).unwrap_or(most)
}

/// Emits the sections of `text`, whose first `front` bytes are front matter: they belong to what is above the first
/// heading.
fn sections(text: &str, front: usize, above: &mut Headings, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut start = 0;
    // Whether there is more than headings since `start`: a heading alone joins the text after it.
    let mut body = front > 0;
    let mut depth = 0;
    let mut heading: Option<(HeadingLevel, Range<usize>, String)> = None;
    for (event, range) in Parser::new_ext(&text[front..], Options::ENABLE_TABLES).into_offset_iter() {
        let range = front + range.start..front + range.end;
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

#[cfg(test)]
mod tests {
    use super::WINDOW;
    use crate::documents::extract::tests::read;

    /// Each section's first line and the headings above its text. Together the sections are the file.
    fn outline(text: &str) -> Vec<(String, Vec<String>)> {
        let (sections, outcome) = read(text, "a.md");
        outcome.unwrap();
        let all: String = sections.iter().map(|section| section.text.as_str()).collect();
        assert_eq!(all, text.trim_start_matches('\u{feff}'));
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        sections.into_iter().map(|section| (first(&section.text), section.place.headings)).collect()
    }

    fn of(rows: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        rows.iter().map(|(first, headings)| ((*first).to_owned(), owned(headings))).collect()
    }

    #[test]
    fn front_matter_is_yaml_or_toml_at_the_start() {
        for (open, entry, close) in [
            ("---", "title: Lights", "---"),
            ("---", "# a comment\n\ntitle: Lights\nlist:\n  - a", "..."),
            ("--- ", "- a", "---  "),
            ("+++", "title = \"Lights\"\n\n[extra]\na = 1", "+++"),
        ] {
            for end in ["\n", "\r\n", "\r"] {
                for mark in ["", "\u{feff}"] {
                    let text = format!("{mark}{open}\n{entry}\n{close}\n# One\n\ntext\n").replace('\n', end);
                    // `lines` does not know a lone CR.
                    let found = outline(&text);
                    assert_eq!(found.len(), 2, "{text:?}");
                    assert!(found[0].0.starts_with(open.trim()) && found[0].1.is_empty(), "{text:?}: {found:?}");
                    assert_eq!(found[1].1, ["One"], "{text:?}");
                }
            }
        }
    }

    #[test]
    fn a_rule_at_the_start_is_no_front_matter() {
        let prose = "---\n\nSome words.\n\n# One\n\ntext\n\n---\n\n# Two\n\nmore\n";
        assert_eq!(outline(prose), of(&[("---", &[]), ("# One", &["One"]), ("# Two", &["Two"])]));
        let open = "---\ntitle: never closed\n\n# One\n\ntext\n";
        assert_eq!(outline(open), of(&[("---", &[]), ("# One", &["One"])]));
    }

    #[test]
    fn a_rule_further_down_hides_no_heading() {
        let text = "# One\n\ntext\n\n---\nkey: value\n\n## Two\n\nmore\n\n---\n\n## Three\n\nlast\n\n+++\na = 1\n+++\n## Four\n\nend\n";
        assert_eq!(
            outline(text),
            of(&[
                ("# One", &["One"]),
                ("## Two", &["One", "Two"]),
                ("## Three", &["One", "Three"]),
                ("## Four", &["One", "Four"]),
            ])
        );
        // Under a paragraph it underlines a heading.
        assert_eq!(outline("text\n\nTides\n---\n\nmore\n"), of(&[("text", &[]), ("Tides", &["Tides"])]));
    }

    #[test]
    fn a_window_begins_with_no_front_matter() {
        let filler = "many words in a line\n".repeat(WINDOW / 21 + 1000);
        for rule in ["---\nkey: value\n\n# Late\n\ntext\n\n---\n", "````\n```\n# no heading\n````\n\n# Late\n\ntext\n"]
        {
            let found = outline(&format!("{filler}\n{rule}\nend\n"));
            assert!(found.iter().any(|(_, headings)| headings == &["Late"]), "{rule}");
            assert!(!found.iter().any(|(_, headings)| headings.contains(&"no heading".to_owned())), "{rule}");
        }
    }
}
