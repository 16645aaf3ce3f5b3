//! What each control word does to the reader.

use encoding_rs::WINDOWS_1252;

use super::tables::{charset, code_page, is_skipped, symbol};
use super::{Destination, MAX_FONTS, Reader};
use crate::documents::extract::sections::Stop;

impl Reader<'_, '_> {
    /// Does what a control word says.
    pub(super) fn word(&mut self, word: &str, number: Option<i32>, ignorable: bool) -> Result<(), Stop> {
        let on = number != Some(0);
        let value = number.unwrap_or_default();
        match word {
            "u" => return self.unicode(value),
            "uc" => self.group.replacement = value.clamp(0, 64) as usize,
            "ansi" => self.code_page = WINDOWS_1252,
            "mac" => self.code_page = code_page(10_000).unwrap_or(WINDOWS_1252),
            "ansicpg" => self.code_page = code_page(value).unwrap_or(self.code_page),
            "f" if self.group.destination == Destination::Fonts => self.font = value,
            "f" => self.group.encoding = self.fonts.get(&value).copied(),
            "fcharset" | "cpg" => {
                let encoding = if word == "cpg" { code_page(value) } else { charset(value) };
                if let Some(encoding) = encoding.filter(|_| self.fonts.len() < MAX_FONTS) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            "plain" => {
                (self.group.hidden, self.group.deleted) = (false, false);
                self.group.encoding = self.fonts.get(&self.default_font).copied();
            }
            "v" => self.group.hidden = on,
            "deleted" => self.group.deleted = on,
            "s" if self.group.destination == Destination::Styles => self.style = value,
            "s" => self.body.heading = self.headings.get(&value).copied(),
            "outlinelevel" => {
                let level = u8::try_from(value).ok().filter(|level| *level < 9).map(|level| level + 1);
                match self.group.destination {
                    Destination::Body => self.body.heading = level,
                    Destination::Styles if self.headings.len() < MAX_FONTS => {
                        self.headings.extend(level.map(|level| (self.style, level)));
                    }
                    _ => {}
                }
            }
            "yr" | "mo" | "dy" | "hr" | "min" if self.group.destination == Destination::Modified => {
                let place = ["yr", "mo", "dy", "hr", "min"].iter().position(|unit| *unit == word).unwrap_or_default();
                self.modified[place] = value.max(0) as u32;
            }
            "info" => self.group.destination = Destination::Info,
            "title" if self.group.destination == Destination::Info => self.group.destination = Destination::Title,
            "author" if self.group.destination == Destination::Info => self.group.destination = Destination::Author,
            "revtim" if self.group.destination == Destination::Info => self.group.destination = Destination::Modified,
            _ if self.group.destination == Destination::Info => self.group.destination = Destination::Nowhere,
            "fonttbl" => self.group.destination = Destination::Fonts,
            "stylesheet" => self.group.destination = Destination::Styles,
            "shpinst" => self.group.destination = Destination::Shape,
            "deff" => self.default_font = value,
            "shptxt" if self.group.destination == Destination::Shape => self.open_aside(false),
            "ud" if ignorable => {
                // Two groups out: the first alternative of the pair is not read, this one is.
                let around = self.groups.len().checked_sub(2).and_then(|index| self.groups.get(index));
                self.group.destination = around.map_or(Destination::Body, |group| group.destination);
            }
            "footnote" if self.group.destination == Destination::Body => self.open_aside(false),
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf"
                if self.group.destination == Destination::Body =>
            {
                self.open_aside(true);
            }
            "listtext" | "pntext" => {
                self.body.is_item = true;
                self.group.destination = Destination::Nowhere;
            }
            _ if self.group.destination != Destination::Body => {
                if is_skipped(word) || ignorable {
                    self.group.destination = Destination::Nowhere;
                }
            }
            "pard" => self.body.reset_paragraph(),
            "intbl" => self.body.in_table = true,
            "par" | "sect" | "page" => self.body.end_paragraph()?,
            "cell" => self.body.end_cell()?,
            "nestcell" | "nestrow" => self.push(" ")?,
            "row" => self.body.end_row()?,
            _ => match symbol(word) {
                Some(text) => self.push(text)?,
                None if is_skipped(word) || ignorable => self.group.destination = Destination::Nowhere,
                None => {}
            },
        }
        Ok(())
    }

    /// A UTF-16 unit, as a number that may be negative.
    fn unicode(&mut self, value: i32) -> Result<(), Stop> {
        self.to_skip = self.group.replacement;
        let unit = value as u16;
        let units = match (self.surrogate.take(), unit) {
            (_, 0xd800..=0xdbff) => {
                self.surrogate = Some(unit);
                return Ok(());
            }
            (Some(high), 0xdc00..=0xdfff) => vec![high, unit],
            _ => vec![unit],
        };
        self.push(&String::from_utf16_lossy(&units))
    }
}
