//! What a visitor of a page reads: words, the white space between them, and a section for the text under each heading.

use super::element::{Element, Gap, around, level};
use crate::documents::extract::Skip;
use crate::documents::extract::markdown::Headings;
use crate::documents::extract::sections::{Out, SECTION, Stop, cut};
use crate::record::Place;

/// Bytes of a title and of a heading that are kept.
pub const LONGEST_HEADING: usize = 1024;

/// A section that is read and not yet emitted.
struct Ready {
    text: String,
    place: Place,
    continues: bool,
}

/// The text of a page, as far as it is read and not yet emitted.
#[derive(Default)]
pub struct Page {
    text: String,
    gap: Gap,
    /// Whether `text` holds more than headings.
    body: bool,
    title: Option<String>,
    /// A title that is still open.
    opened_title: String,
    above: Headings,
    heading: Option<(u8, String)>,
    /// Whether `text` goes on where the last section was cut.
    continues: bool,
    sections: Vec<Ready>,
    /// Whether there is something that no words came from.
    pub images: bool,
    pub hidden: bool,
}

impl Page {
    /// An element begins that a visitor sees.
    pub fn start(&mut self, element: &Element) {
        let name = element.name();
        let gap = around(name);
        if let Some(level) = level(name) {
            if self.body || self.text.len() >= SECTION {
                self.flush();
            }
            self.end_heading();
            self.heading = Some((level, String::new()));
        } else if gap == Gap::Paragraph && self.text.len() >= SECTION {
            self.flush();
        }
        self.widen(gap);
        if name == "li" {
            self.word("-");
            self.gap = Gap::Space;
        }
    }

    /// An element of this name begins or ends that is too deep to be told apart.
    pub fn space(&mut self, name: &str) {
        self.widen(around(name));
    }

    /// The element ends.
    pub fn end(&mut self, element: &Element) {
        let name = element.name();
        if level(name).is_some() {
            self.end_heading();
        }
        if name == "title" {
            let title = std::mem::take(&mut self.opened_title);
            self.entitle(&title);
        }
        self.widen(around(name));
    }

    /// The page's title is known; the first one counts.
    pub fn entitle(&mut self, title: &str) {
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.title.is_none() && !title.is_empty() {
            self.title = Some(title);
        }
    }

    /// White space comes next that is at least so wide. At a line's end a full section ends.
    pub fn gap(&mut self, gap: Gap) {
        if gap >= Gap::Line && self.text.len() >= SECTION {
            self.flush();
        }
        self.widen(gap);
    }

    /// No heading so far is above what comes next.
    pub fn forget_headings(&mut self) {
        self.end_heading();
        if !self.above.names().is_empty() {
            self.flush();
            self.above = Headings::default();
        }
    }

    /// Text within `element`, which a visitor sees.
    pub fn text(&mut self, text: &str, element: &Element) {
        if element.in_title() {
            let most = LONGEST_HEADING.saturating_sub(self.opened_title.len());
            self.opened_title.push_str(&text[..text.floor_char_boundary(most)]);
        } else {
            self.plain(text, element.is_preformatted() && self.heading.is_none());
        }
    }

    /// Text as words alone, or `kept` as it is.
    pub fn plain(&mut self, text: &str, kept: bool) {
        match kept {
            true => self.preformatted(text),
            false => self.words(text),
        }
        // One paragraph may be as long as a page.
        while self.text.len() >= 2 * SECTION {
            let (rest, body) = (self.text.split_off(cut(&self.text)), self.body);
            self.flush();
            (self.text, self.body, self.continues) = (rest, body, true);
        }
    }

    /// What stands for a picture.
    pub fn alternative(&mut self, text: &str) {
        self.widen(Gap::Space);
        self.words(text);
        self.widen(Gap::Space);
    }

    fn words(&mut self, text: &str) {
        if text.starts_with(char::is_whitespace) {
            self.widen(Gap::Space);
        }
        for (index, word) in text.split_whitespace().enumerate() {
            if index > 0 {
                self.widen(Gap::Space);
            }
            self.word(word);
        }
        if text.ends_with(char::is_whitespace) {
            self.widen(Gap::Space);
        }
    }

    fn preformatted(&mut self, text: &str) {
        let trimmed = text.trim_end();
        if trimmed.is_empty() {
            self.widen(if text.contains('\n') { Gap::Line } else { Gap::Space });
            return;
        }
        self.word(trimmed);
        match &text[trimmed.len()..] {
            "" => {}
            rest if rest.contains('\n') => self.widen(Gap::Line),
            _ => self.widen(Gap::Space),
        }
    }

    fn word(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push_str(match self.gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Tab => "\t",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        if let Some((_, heading)) = &mut self.heading
            && heading.len() + word.len() < LONGEST_HEADING
        {
            heading.push_str(if self.gap == Gap::None { "" } else { " " });
            heading.push_str(word);
        }
        self.body |= self.heading.is_none();
        self.gap = Gap::None;
        self.text.push_str(word);
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn end_heading(&mut self) {
        if let Some((level, heading)) = self.heading.take() {
            self.above.enter(level, heading.trim());
        }
    }

    fn flush(&mut self) {
        let place = Place { title: self.title.clone(), headings: self.above.names(), ..Place::default() };
        let text = std::mem::take(&mut self.text);
        let continues = std::mem::take(&mut self.continues);
        self.body = false;
        if !text.is_empty() {
            self.sections.push(Ready { text, place, continues });
        }
    }

    /// Emits the sections that are ready.
    pub fn emit(&mut self, out: &mut Out<'_>) -> Result<(), Stop> {
        for Ready { text, place, continues } in self.sections.drain(..) {
            match continues {
                true => out.stretch(&text, &place, |_| None)?,
                false => out.part(&text, &place)?,
            }
        }
        Ok(())
    }

    /// Emits the rest.
    pub fn finish(&mut self, out: &mut Out<'_>) -> Result<(), Stop> {
        self.end_heading();
        self.flush();
        self.emit(out)?;
        out.lost = match (self.images, self.hidden || self.title.is_some()) {
            (true, false) => {
                Some((Skip::ImageOnly, "it shows images without alternative texts, and no text".to_owned()))
            }
            (_, true) => {
                let reason = "no text of it is shown before scripts run: store the page as a browser has rendered it";
                Some((Skip::Unreadable, reason.to_owned()))
            }
            (false, false) => None,
        };
        Ok(())
    }
}
