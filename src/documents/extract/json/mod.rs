//! JSON and JSON Lines: records one after another, in lists or not. A record that cannot be read is counted, and costs
//! the others nothing.
//!
//! ```text
//! bytes -> frame: where does the record end? -> serde_json, after repair if it must be -> record: its text and fields
//!            └ it does not: where does the next record begin?
//! ```

mod frame;
mod lines;
mod record;
mod repair;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::{self, BufRead};

use serde_json::Value;

pub use record::{MAX_FIELDS, MAX_REPEATED};

use super::position::Position;
use super::sections::{Out, Stop};
use super::window::Window;
use super::{ExtractOptions, Format, Skip, Unreadable};
use frame::{Frame, MAX_OBJECTS, MAX_TOKENS, Progress};

/// Levels of nesting that serde_json reads.
const MAX_DEPTH: usize = 127;

/// Bytes that may be looked at in search of records for each byte of the document: the time stays in proportion.
const SEARCH: usize = 8;

const MARK: &[u8] = "\u{feff}".as_bytes();

pub fn read(
    input: impl BufRead,
    options: &ExtractOptions,
    position: &mut Position,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    let limit = usize::try_from(options.max_record_bytes).unwrap_or(usize::MAX);
    let by_line = out.format == Format::JsonLines;
    let window = Window::new(input, position);
    let budget = limit.saturating_mul(SEARCH);
    let mut reader = Reader { window, options, out, by_line, limit, budget, parsed: false, refused: None };
    reader.records()?;
    match reader.refused {
        Some(why) if !reader.parsed && reader.out.sections == 0 => Err(why.into()),
        _ => Ok(()),
    }
}

struct Reader<'r, 'o, R> {
    window: Window<'r, R>,
    options: &'r ExtractOptions,
    out: &'r mut Out<'o>,
    /// Whether a line end follows each record, so that a broken one ends there.
    by_line: bool,
    /// A record's bytes at most.
    limit: usize,
    /// Bytes that may still be looked at in search of records after broken ones.
    budget: usize,
    /// Whether any record was JSON.
    parsed: bool,
    /// Why the first broken record cannot be read.
    refused: Option<Unreadable>,
}

impl<R: BufRead> Reader<'_, '_, R> {
    fn records(&mut self) -> Result<(), Stop> {
        while let Some(byte) = self.next_byte()? {
            match byte {
                b'[' if !self.window.position.in_list && self.opens_list()? => {
                    self.pass(1);
                    self.window.position.in_list = true;
                }
                b']' if self.window.position.in_list => {
                    self.pass(1);
                    self.window.position.in_list = false;
                }
                b',' => self.pass(1),
                _ => {
                    self.out.line = Some(self.window.position.lines + 1);
                    self.record()?;
                }
            }
        }
        Ok(())
    }

    /// Passes what separates records, byte-order marks of concatenated files and the separators of RFC 7464 included.
    /// The byte after it stays where it is.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            let bytes = self.window.bytes();
            let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x1e).count();
            self.pass(blank);
            let bytes = self.window.bytes();
            if bytes.starts_with(MARK) {
                self.pass(MARK.len());
            } else if !MARK.starts_with(bytes) || !self.window.more()? {
                return Ok(self.window.bytes().first().copied());
            }
        }
    }

    /// Whether the bracket that comes next opens a list of records. On a line of JSON Lines it may be the record.
    fn opens_list(&mut self) -> io::Result<bool> {
        loop {
            let first = self.window.bytes()[1..].iter().copied().find(|byte| !byte.is_ascii_whitespace());
            if first.is_some() || !self.window.more()? {
                return Ok(!self.by_line || first == Some(b'{'));
            }
        }
    }

    /// Reads the record that begins here, and passes it.
    fn record(&mut self) -> Result<(), Stop> {
        let mut frame = Frame::new(0);
        loop {
            let bytes = self.window.bytes();
            // A broken line may be followed over the lines after it, but not every one of them.
            let line = if self.by_line && self.budget == 0 { memchr::memchr(b'\n', bytes) } else { None };
            let progress = frame.follow(&bytes[..line.unwrap_or(bytes.len())], self.window.ended() || line.is_some());
            match progress {
                Progress::Whole(length) if length <= self.limit => return self.whole(length, &frame),
                Progress::Whole(length) => {
                    self.refuse_too_large();
                    self.pass(length);
                    return Ok(());
                }
                Progress::More if frame.at <= self.limit && line.is_none() && self.window.more()? => continue,
                _ => {}
            }
            if self.by_line {
                self.spend(frame.at);
            }
            match progress {
                Progress::Wrong(at) => {
                    self.refuse_broken(at + 1);
                    if !self.by_line {
                        let next = self.after_mistake(&frame, at)?;
                        self.pass(next);
                        return Ok(());
                    }
                }
                Progress::TooDeep => self.refuse_too_deep(),
                _ if frame.at > self.limit => {
                    self.refuse_too_large();
                    if !self.by_line {
                        return Ok(self.pass_large(frame)?);
                    }
                }
                // The document ends in the middle of it.
                _ => self.refuse_broken(line.unwrap_or(self.window.bytes().len())),
            }
            return Ok(self.pass_rest(self.by_line)?);
        }
    }

    /// Emits the record of `length` bytes, or counts it as one that cannot be read.
    fn whole(&mut self, length: usize, frame: &Frame) -> Result<(), Stop> {
        if frame.deepest > MAX_DEPTH || frame.has_too_many_parts() {
            match frame.deepest > MAX_DEPTH {
                true => self.refuse_too_deep(),
                false => self.refuse_too_many(),
            }
            self.pass(length);
            return Ok(());
        }
        let bytes = &self.window.bytes()[..length];
        let found = match parse(bytes) {
            Some((value, json)) => record::find(value, &json, &self.options.record_text),
            None => {
                let is_line = self.by_line && !bytes.contains(&b'\n');
                self.refuse_broken(length);
                match is_line {
                    true => self.pass_rest(true)?,
                    false => self.pass(length),
                }
                return Ok(());
            }
        };
        self.parsed = true;
        self.pass(length);
        match found {
            Ok(mut found) => {
                if found.too_many_fields() {
                    let reason = format!("its other fields, more than {MAX_FIELDS} bytes of JSON");
                    self.out.leave_out_fields(&reason);
                    found.fields.clear();
                }
                let position = &*self.window.position;
                self.out.record(&found.text, &found.fields, |out| position.cursor(out))
            }
            Err((kind, reason)) => {
                self.out.skip_record(kind, &reason);
                Ok(())
            }
        }
    }

    /// The bytes to pass after the mistake at `at`, up to the next record.
    fn after_mistake(&mut self, frame: &Frame, at: usize) -> io::Result<usize> {
        // A string that was not closed goes on to the next quote, over the beginnings of later records; an object that
        // was not closed, to the next record's bracket.
        let from = frame.last_string.map_or(at, |(start, _)| start);
        if (frame.last_string.is_some() || frame.expects_name() || frame.depth() <= 1)
            && let Some(next) = self.next_record(from, at, Some(at))?
        {
            return Ok(next);
        }
        if frame.depth() > 0
            && let Some(end) = self.balanced_end(frame)?
        {
            return Ok(end);
        }
        Ok(self.next_record(at, at, None)?.unwrap_or(self.window.bytes().len()))
    }

    /// The end of a broken record by its brackets.
    fn balanced_end(&mut self, frame: &Frame) -> io::Result<Option<usize>> {
        loop {
            let (bytes, _) = self.ahead(frame.at);
            let progress = frame.balanced_end(bytes);
            let (looked_at, all) = (bytes.len(), bytes.len() == self.window.bytes().len());
            match progress {
                Progress::Whole(end) | Progress::Wrong(end) => {
                    self.spend(end - frame.at);
                    return Ok(matches!(progress, Progress::Whole(_)).then_some(end));
                }
                _ => self.spend(looked_at - frame.at),
            }
            if !all || !self.window.more()? {
                return Ok(None);
            }
        }
    }

    /// Where the next record begins, from byte `from` to `until`: at an object that follows a comma, a bracket or a line
    /// end, or lies at the mistake, and is whole.
    fn next_record(&mut self, from: usize, mistake: usize, until: Option<usize>) -> io::Result<Option<usize>> {
        let mut at = from;
        loop {
            let bytes = self.window.bytes();
            let end = until.map_or(bytes.len(), |until| bytes.len().min(until + 1));
            let begins = |at: usize| at == mistake || follows_record(&bytes[..at]);
            match (at..end).find(|&at| bytes[at] == b'{' && begins(at)) {
                Some(start) if self.is_record(start)? => return Ok(Some(start)),
                Some(start) => at = start + 1,
                None if until.is_some() || end - mistake > self.limit => return Ok(None),
                None => {
                    at = end;
                    if !self.window.more()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Whether an object with a name begins at `start`, and is whole. It may be, where no more may be looked at.
    fn is_record(&mut self, start: usize) -> io::Result<bool> {
        let mut frame = Frame::new(start);
        loop {
            let (bytes, ended) = self.ahead(start);
            let all = bytes.len() == self.window.bytes().len();
            let progress = frame.follow(bytes, ended);
            if let Progress::Whole(end) = progress {
                let held = frame.deepest <= MAX_DEPTH && !frame.has_too_many_parts();
                let parsed = if held { parse(&bytes[start..end]) } else { None };
                let is_object =
                    parsed.is_some_and(|(value, _)| value.as_object().is_some_and(|object| !object.is_empty()));
                self.spend(end - start);
                return Ok(is_object);
            }
            if self.budget == 0 {
                return Ok(true);
            }
            if progress != Progress::More || !all || !self.window.more()? {
                self.spend(frame.at - start);
                return Ok(false);
            }
        }
    }

    /// The bytes that may be looked at in a search from byte `from` on, and whether nothing comes after them.
    fn ahead(&self, from: usize) -> (&[u8], bool) {
        let bytes = self.window.bytes();
        let end = bytes.len().min(from.saturating_add(self.budget.min(self.limit)));
        (&bytes[..end], self.window.ended() && end == bytes.len())
    }

    fn spend(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(bytes);
    }

    /// Passes the rest of a record that is too large to be held.
    fn pass_large(&mut self, mut frame: Frame) -> io::Result<()> {
        loop {
            self.pass(frame.at);
            frame.forget();
            if !self.window.more()? {
                let rest = self.window.bytes().len();
                self.pass(rest);
                return Ok(());
            }
            match frame.follow(self.window.bytes(), self.window.ended()) {
                Progress::More => {}
                Progress::Whole(length) => {
                    self.pass(length);
                    return Ok(());
                }
                Progress::Wrong(at) => {
                    let next = self.next_record(at, at, None)?.unwrap_or(self.window.bytes().len());
                    self.pass(next);
                    return Ok(());
                }
                Progress::TooDeep => return self.pass_rest(false),
            }
        }
    }

    /// Passes the rest of the line, or of the document.
    fn pass_rest(&mut self, line: bool) -> io::Result<()> {
        let line_end = |bytes: &[u8]| if line { memchr::memchr(b'\n', bytes) } else { None };
        let passed = self.window.pass_to(line_end)?;
        self.earn(passed);
        Ok(())
    }

    fn pass(&mut self, count: usize) {
        self.window.pass(count);
        self.earn(count);
    }

    /// Of each byte that is passed, some more may be looked at.
    fn earn(&mut self, bytes: usize) {
        let more = bytes.saturating_mul(SEARCH);
        self.budget = self.budget.saturating_add(more).min(self.limit.saturating_mul(SEARCH));
    }

    /// Counts the record as one that is no JSON, as its first `length` bytes show.
    fn refuse_broken(&mut self, length: usize) {
        let bytes = &self.window.bytes()[..length.min(self.window.bytes().len())];
        let reason = match serde_json::from_slice::<Value>(bytes) {
            Ok(_) => "it is not JSON".to_owned(),
            Err(e) => format!("it is not JSON: {}", without_place(&e.to_string())),
        };
        self.refuse("not_json", Unreadable::Broken(reason));
    }

    fn refuse_too_large(&mut self) {
        let reason = format!("a record is larger than {} bytes, the limit", self.limit);
        self.refuse("too_large", Unreadable::skipped(Skip::TooLarge, reason));
    }

    fn refuse_too_many(&mut self) {
        let reason =
            format!("a record has more than {MAX_OBJECTS} objects or {MAX_TOKENS} names and values, the limit");
        self.refuse("too_large", Unreadable::skipped(Skip::TooLarge, reason));
    }

    fn refuse_too_deep(&mut self) {
        let reason = format!("its JSON is nested more than {MAX_DEPTH} levels deep");
        self.refuse("too_deep", Unreadable::skipped(Skip::TooDeep, reason));
    }

    fn refuse(&mut self, kind: &'static str, why: Unreadable) {
        self.out.skip_record(kind, &why.to_string());
        self.refused.get_or_insert(why);
    }
}

/// The record, and its JSON as it was parsed.
fn parse(bytes: &[u8]) -> Option<(Value, Cow<'_, [u8]>)> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Some((value, Cow::Borrowed(bytes)));
    }
    let repaired = repair::repaired(bytes);
    let value = serde_json::from_slice(&repaired).ok()?;
    Some((value, Cow::Owned(repaired)))
}

/// Whether `before` ends as it does before a record: with a comma, a bracket or a line end.
fn follows_record(before: &[u8]) -> bool {
    let space = before.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
    let (rest, space) = before.split_at(before.len() - space);
    space.contains(&b'\n') || matches!(rest.last(), None | Some(b',' | b'}' | b']' | b'['))
}

/// The parser's message without its line and column, which count from the record's start.
fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}
