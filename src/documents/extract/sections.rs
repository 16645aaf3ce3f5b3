//! Emits sections: counts their characters, and cuts long ones where a reader would pause.

use std::io;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::nested::Nesting;
use super::{Cursor, Format, Section, Skip, Unreadable};
use crate::record::Place;

/// Bytes of a section's text at most. Large enough for forty chunks, of which the last one may be short; small enough
/// that its tokens (200 bytes each while they are counted) take a few megabytes.
pub const SECTION: usize = 64 * 1024;

/// Skipped parts that are described.
const REASONS: usize = 5;

/// Why a format's reader stops before the end.
pub enum Stop {
    /// The caller wants no more sections.
    BrokeOff,
    /// The input failed; the [`Verdict`](super::decompress::Verdict) may know why.
    Read(io::Error),
    Unreadable(Unreadable),
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Self::Read(e)
    }
}

impl From<Unreadable> for Stop {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

/// Where sections go, and the count of what was emitted.
pub struct Out<'a> {
    emit: &'a mut dyn FnMut(Section) -> ControlFlow<()>,
    pub format: Format,
    /// Characters of the extracted text so far.
    pub characters: usize,
    /// Sections so far.
    pub sections: u64,
    /// Records so far, skipped ones included.
    pub records: u64,
    /// The line on which the current record begins, from 1, where the format has lines.
    pub line: Option<u64>,
    pub skipped_records: SkippedRecords,
    /// What to say if no section comes of content that should have text.
    pub lost: Option<(Skip, String)>,
    pub nesting: Nesting,
    /// Documents within this one so far.
    nested: u64,
}

impl<'a> Out<'a> {
    pub fn new(
        emit: &'a mut dyn FnMut(Section) -> ControlFlow<()>,
        format: Format,
        resumed: Option<&Cursor>,
        nesting: Nesting,
    ) -> Self {
        let skipped_records = SkippedRecords::default();
        let (characters, sections, records, nested) = (0, 0, 0, 0);
        let (line, lost) = (None, None);
        let mut out =
            Self { emit, format, characters, sections, records, line, skipped_records, lost, nesting, nested };
        if let Some(cursor) = resumed {
            out.characters = cursor.characters;
            out.sections = cursor.sections;
            out.records = cursor.records;
            out.skipped_records = cursor.skipped_records.clone();
        }
        out
    }

    /// Emits the next stretch of a text: the extracted text is all stretches one after another. `resume` gives the
    /// cursor after it.
    pub fn stretch(&mut self, text: &str, place: &Place, resume: impl Fn(&Self) -> Option<Cursor>) -> Result<(), Stop> {
        let start = self.characters;
        self.characters += text.chars().count();
        self.emit(text, start, place, &Map::new(), resume)
    }

    /// Emits a part; in the extracted text [`PART_SEPARATOR`] is between two of them.
    pub fn part(&mut self, text: &str, place: &Place) -> Result<(), Stop> {
        if text.trim().is_empty() {
            return Ok(());
        }
        if self.sections > 0 {
            self.characters += PART_SEPARATOR.len();
        }
        self.stretch(text, place, |_| None)
    }

    /// Emits a section of a document within this one. Beyond `limit` characters in all, the document is too large.
    pub fn nested(&mut self, section: &Section, place: &Place, limit: u64) -> Result<(), Stop> {
        if self.sections > 0 {
            self.characters += PART_SEPARATOR.len();
        }
        let start = self.characters;
        self.characters += section.text.chars().count();
        if self.characters as u64 > limit {
            let reason = format!("the documents in it have more than {limit} characters, the limit");
            return Err(Unreadable::skipped(Skip::TooLarge, reason).into());
        }
        // Markdown within a mail is cut at its marks all the same.
        let format = std::mem::replace(&mut self.format, section.format);
        let emitted = self.emit(&section.text, start, place, &section.fields, |_| None);
        self.format = format;
        emitted
    }

    /// The number of the next document within this one, from 1.
    pub fn next_nested(&mut self) -> u64 {
        self.nested += 1;
        self.nested
    }

    /// Emits a record's text, which is a text of its own. `resume` gives the cursor of the next record.
    pub fn record(
        &mut self,
        text: &str,
        fields: &Map<String, Value>,
        resume: impl Fn(&Self) -> Option<Cursor>,
    ) -> Result<(), Stop> {
        if text.trim().is_empty() {
            self.skip_record("empty", "its text is empty");
            return Ok(());
        }
        let place = Place { record: Some(self.records), ..Place::default() };
        self.records += 1;
        self.characters += text.chars().count();
        self.emit(text, 0, &place, fields, resume)
    }

    /// Counts a record without text. `kind` and `reason` as in [`SkippedRecords::add`].
    pub fn skip_record(&mut self, kind: &'static str, reason: &str) {
        self.left_out(kind, reason);
        self.records += 1;
    }

    /// Counts the fields of the current record, which is emitted without them.
    pub fn leave_out_fields(&mut self, reason: &str) {
        self.left_out("fields_too_large", reason);
    }

    fn left_out(&mut self, kind: &'static str, reason: &str) {
        let record = self.records;
        match self.line {
            Some(line) => self.skipped_records.add(format_args!("record {record}, line {line}"), kind, reason),
            None => self.skipped_records.add(format_args!("record {record}"), kind, reason),
        }
    }

    fn emit(
        &mut self,
        text: &str,
        mut start: usize,
        place: &Place,
        fields: &Map<String, Value>,
        resume: impl Fn(&Self) -> Option<Cursor>,
    ) -> Result<(), Stop> {
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cut(rest));
            rest = after;
            if !piece.trim().is_empty() {
                self.sections += 1;
                // Reading can go on after a whole record or stretch only.
                let resume = if rest.is_empty() { resume(self) } else { None };
                let (format, text) = (self.format, piece.to_owned());
                let (place, fields) = (place.clone(), fields.clone());
                if (self.emit)(Section { format, text, start, place, fields, resume }).is_break() {
                    return Err(Stop::BrokeOff);
                }
            }
            start += piece.chars().count();
        }
        Ok(())
    }
}

/// Between two parts of the extracted text.
pub const PART_SEPARATOR: &str = "\n\n";

/// Parts of a document that yielded no text while others did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRecords {
    pub count: u64,
    /// Place and reason of the first few. A reason may quote the document.
    pub reasons: Vec<String>,
    /// The same in fixed words, for the log.
    #[serde(default)]
    pub kinds: Vec<String>,
}

impl SkippedRecords {
    /// Counts the part at `place`. `kind` is a fixed word for the log; `reason` may quote the document.
    pub(super) fn add(&mut self, place: std::fmt::Arguments<'_>, kind: &'static str, reason: &str) {
        self.count += 1;
        if self.reasons.len() < REASONS {
            self.reasons.push(format!("{place}: {reason}"));
            self.kinds.push(format!("{place}: {kind}"));
        }
    }

    /// Counts what the document at `place` skipped of itself.
    pub(super) fn join(&mut self, place: std::fmt::Arguments<'_>, inner: &Self) {
        self.count += inner.count;
        let room = REASONS.saturating_sub(self.reasons.len());
        self.reasons.extend(inner.reasons.iter().take(room).map(|reason| format!("{place}, {reason}")));
        self.kinds.extend(inner.kinds.iter().take(room).map(|kind| format!("{place}, {kind}")));
    }
}

/// The byte at which `text` is cut so that the first part has at most [`SECTION`] bytes: after the last paragraph in
/// the second half of these, else after the last line, sentence or word, else at the limit.
pub fn cut(text: &str) -> usize {
    if text.len() <= SECTION {
        return text.len();
    }
    let most = text.floor_char_boundary(SECTION);
    let least = text.floor_char_boundary(SECTION / 2);
    let tail = &text[least..most];
    let after = |pattern: &str| tail.rfind(pattern).map(|at| least + at + pattern.len());
    ["\n\n", "\n\r\n", "\n", ". ", "。", " "].iter().find_map(|pattern| after(pattern)).unwrap_or(most)
}
