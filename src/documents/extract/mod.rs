//! A document's bytes to its text, whatever format, compression and encoding they are in.
//!
//! ```text
//! bytes -> decompress (gzip, zstd, Brotli) -> sniff the format -> decode to UTF-8 -> the format's reader -> Section, …
//! ```
//!
//! Invariants: synchronous, and memory stays bounded whatever the input's size; the same bytes, hints and
//! options give the same sections, also when reading goes on at a `Cursor`; no document ends the process, and one that
//! a library panics at is broken, alone.

mod blocks;
mod charset;
mod decompress;
mod html;
mod json;
mod mail;
mod markdown;
mod nested;
mod office;
mod options;
pub mod pdf;
mod position;
mod rtf;
mod sections;
mod sniff;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod window;
mod xml;
mod zstd;

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use encoding_rs::{Encoding, UTF_8};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::concurrency::panics;
use crate::record::Place;
use charset::Utf8;
use decompress::{Limited, Verdict};
use nested::Nesting;
pub use options::{ExtractOptions, RecordText};
use position::Position;
pub use sections::SkippedRecords;
use sections::{Out, Stop};
use sniff::Container;

/// What is known of an object before its first byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// Decoded; its extension names a format.
    pub key: &'a str,
    pub content_type: Option<&'a str>,
    pub content_encoding: Option<&'a str>,
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Text,
    Markdown,
    Html,
    Json,
    JsonLines,
    Csv,
    Tsv,
    Pdf,
    Docx,
    Pptx,
    Xlsx,
    Odt,
    Odp,
    Ods,
    Epub,
    Eml,
    Rtf,
    Xml,
}

/// A stretch of text that no chunk reaches beyond: a page, the text under a heading, a record, some paragraphs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The document's format: Markdown is cut at its marks.
    pub format: Format,
    pub text: String,
    /// Characters (Unicode scalar values) of the extracted text before `text`. In JSON, JSON Lines and CSV
    /// each record is a text of its own, so there it is 0.
    pub start: usize,
    pub place: Place,
    /// Fields beside the text (JSON, JSON Lines, CSV).
    pub fields: Map<String, Value>,
    /// Where the next section begins; `None` if it can only be read from the document's start.
    pub resume: Option<Cursor>,
}

/// A place between two sections from which [`extract`] can go on. Opaque to callers but for `byte`, from which they
/// fetch the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Offset in the object as it is stored.
    pub byte: u64,
    format: Format,
    /// Name of the encoding; `None` while all bytes have been ASCII.
    charset: Option<String>,
    /// The declared encoding, which counts once a byte is not ASCII.
    declared: Option<String>,
    /// Characters of the extracted text so far.
    characters: usize,
    /// Sections, records and skipped parts so far.
    sections: u64,
    records: u64,
    #[serde(rename = "left_out")]
    skipped_records: SkippedRecords,
    /// Line ends before it, where the format has records.
    lines: u64,
    /// Whether it lies in a list of JSON records.
    in_list: bool,
    /// A table's names, and how its rows are written.
    columns: Vec<String>,
    dialect: table::Dialect,
}

/// The result of a reading, after its last section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    pub format: Format,
    /// WHATWG name of the encoding the text was in (`UTF-8`, `windows-1252`, …).
    pub charset: &'static str,
    /// Characters of text in all sections, those before a resumed cursor included.
    pub characters: usize,
    /// Skipped parts: records without text or beyond their limit, pages that cannot be read.
    pub skipped_records: SkippedRecords,
    /// Whether the end was reached; false when `emit` broke off.
    pub complete: bool,
}

/// Why a document yields no text, or no more of it. Sections may have been emitted before.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It has no text that could be read, and no retry will change that.
    #[error("{reason}")]
    Skipped { why: Skip, reason: String },
    /// What reads its format is not in this package; the message says how to bring it.
    #[error("{0}")]
    NoReader(String),
    /// It is damaged: not in the format that it claims, or cut off.
    #[error("{0}")]
    Broken(String),
    /// The input failed: worth a retry.
    #[error("the object's bytes could not be read")]
    Input(#[source] std::io::Error),
}

/// Reasons to skip, for metrics and error records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It has nothing to read: no bytes, white space alone, no records.
    Empty,
    /// It has content of which no word could be read.
    Unreadable,
    /// It has images and no text: scanned pages.
    ImageOnly,
    /// An image, an archive, a program, …
    NotText,
    Encrypted,
    /// Beyond a configured limit.
    TooLarge,
    /// Its decompressed size is so many times its own that it is taken for a decompression bomb.
    #[serde(rename = "packed_too_far")]
    DecompressionBomb,
    /// JSON nested deeper than is read.
    TooDeep,
}

impl Skip {
    /// Whether the document has text that was not read, so that an older version's is worth more than none.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Unreadable | Self::ImageOnly | Self::Encrypted)
    }

    /// The word in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::ImageOnly => "image_only",
            Self::NotText => "not_text",
            Self::Encrypted => "encrypted",
            Self::TooLarge => "too_large",
            Self::DecompressionBomb => "packed_too_far",
            Self::TooDeep => "too_deep",
        }
    }
}

impl Unreadable {
    fn skipped(why: Skip, reason: impl Into<String>) -> Self {
        Self::Skipped { why, reason: reason.into() }
    }
}

/// Reads `input` and hands each section to `emit`, until `emit` breaks off. The first byte of `input` is the object's
/// first one or, with `resumed`, the one at its `byte`.
///
/// # Errors
/// Why the rest cannot be read. Sections that were emitted before are valid.
pub fn extract(
    input: impl Read,
    hints: &Hints<'_>,
    options: &ExtractOptions,
    resumed: Option<&Cursor>,
    emit: &mut dyn FnMut(Section) -> ControlFlow<()>,
) -> Result<Extracted, Unreadable> {
    extract_within(input, hints, options, resumed, Nesting::default(), emit)
}

/// [`extract`] for a document that may lie in others. A reader that panics does not understand this document; those
/// around it go on.
fn extract_within(
    input: impl Read,
    hints: &Hints<'_>,
    options: &ExtractOptions,
    resumed: Option<&Cursor>,
    nesting: Nesting,
    emit: &mut dyn FnMut(Section) -> ControlFlow<()>,
) -> Result<Extracted, Unreadable> {
    let mut emitting = false;
    let mut emit = |section| {
        emitting = true;
        let flow = emit(section);
        emitting = false;
        flow
    };
    // What the reader leaves half done is dropped with it.
    let outcome = catch_unwind(AssertUnwindSafe(|| read(input, hints, options, resumed, nesting, &mut emit)));
    outcome.unwrap_or_else(|panic| match emitting {
        // The caller's own panic.
        true => resume_unwind(panic),
        false => Err(Unreadable::Broken(format!("its reader gave up: {}", panics::message(&*panic)))),
    })
}

fn read(
    input: impl Read,
    hints: &Hints<'_>,
    options: &ExtractOptions,
    resumed: Option<&Cursor>,
    nesting: Nesting,
    emit: &mut dyn FnMut(Section) -> ControlFlow<()>,
) -> Result<Extracted, Unreadable> {
    let verdict = Verdict::default();
    let (mut bytes, format, mut position, mark) = match resumed {
        Some(cursor) => {
            let bytes = decompress::resume(input, &verdict);
            (bytes, cursor.format, Position::resume(cursor), 0)
        }
        None => {
            let brotli = sniff::is_stored_in_brotli(hints);
            let opened = decompress::open(input, brotli, options.max_decompressed_bytes, &nesting.totals, &verdict)?;
            if opened.head.is_empty() {
                return Err(Unreadable::skipped(Skip::Empty, "it has no bytes"));
            }
            if let Some(container) = sniff::container(hints, &opened.head, opened.decompressed) {
                return read_container(container, opened.bytes, options, &verdict, nesting, emit);
            }
            let format = sniff::format(hints, &opened.head, opened.decompressed);
            if let Some(what) = sniff::not_text(hints, &opened.head, opened.decompressed, format) {
                return Err(Unreadable::skipped(Skip::NotText, format!("it is not text but {what}")));
            }
            let declared = sniff::declared_charset(hints, &opened.head, format);
            let at_once = charset::at_once(&opened.head, declared);
            let position = Position::start(at_once.map(|(encoding, _)| encoding), declared, opened.decompressed == 0);
            (opened.bytes, format, position, at_once.map_or(0, |(_, mark)| mark))
        }
    };
    let totals = nesting.totals.clone();
    let mut out = Out::new(emit, format, resumed, nesting);
    let outcome = match format {
        Format::Pdf => Some(pdf::read(bytes.by_ref(), options, &verdict, &mut out)),
        Format::Rtf => Some(rtf::read(bytes.by_ref(), options, &mut out)),
        Format::Eml => Some(whole(bytes.by_ref(), "a mail", options, &verdict).and_then(|mail| {
            totals.within(mail.len() as u64);
            mail::read(mail, options, &mut out)
        })),
        _ => None,
    };
    if let Some(outcome) = outcome {
        return finish(outcome, &verdict, out, None);
    }
    io::copy(&mut bytes.by_ref().take(mark as u64), &mut io::sink()).map_err(|e| verdict.or_broken(e))?;
    position.skip_mark(mark);
    let mut utf8 = Utf8::new(bytes, position.settled(), position.declared());
    let found = utf8.found();
    position.watch(Rc::clone(&found));
    let outcome = match format {
        Format::Text => text::read(&mut utf8, &mut position, &mut out),
        Format::Markdown => markdown::read(&mut utf8, &mut out),
        Format::Html => html::read(utf8, options, &verdict, &mut out),
        Format::Xml => xml::read(utf8, options, &verdict, &mut out),
        Format::Json | Format::JsonLines => json::read(&mut utf8, options, &mut position, &mut out),
        Format::Csv | Format::Tsv => table::read(&mut utf8, options, resumed.is_some(), &mut position, &mut out),
        _ => unreachable!("read above, or a container"),
    };
    finish(outcome, &verdict, out, found.encoding())
}

/// Reads a file of which the first bytes only say that others are in it.
fn read_container(
    container: Container,
    bytes: impl Read,
    options: &ExtractOptions,
    verdict: &Verdict,
    nesting: Nesting,
    emit: &mut dyn FnMut(Section) -> ControlFlow<()>,
) -> Result<Extracted, Unreadable> {
    let ended = |stop| match stop {
        Stop::Unreadable(why) => why,
        Stop::Read(e) => verdict.or_broken(e),
        Stop::BrokeOff => Unreadable::Broken("it was not read".to_owned()),
    };
    let whole = whole(bytes, "an office document", options, verdict).map_err(ended)?;
    nesting.totals.within(whole.len() as u64);
    if container == Container::Ole {
        return Err(office::ole::refused(&whole));
    }
    let document = office::open(&whole, options, &nesting.totals, verdict).map_err(ended)?;
    let mut out = Out::new(emit, document.format, None, nesting.clone());
    let outcome = document.read(&mut out);
    finish(outcome, verdict, out, None)
}

/// All bytes of a document that has to be held. `what` is the subject of the error message.
fn whole(bytes: impl Read, what: &'static str, options: &ExtractOptions, verdict: &Verdict) -> Result<Vec<u8>, Stop> {
    let (mut limited, _) = Limited::new(bytes, options.max_whole_bytes, what, verdict);
    let mut whole = Vec::new();
    limited.read_to_end(&mut whole)?;
    Ok(whole)
}

fn finish(
    outcome: Result<(), Stop>,
    verdict: &Verdict,
    out: Out<'_>,
    encoding: Option<&'static Encoding>,
) -> Result<Extracted, Unreadable> {
    let complete = match outcome {
        Ok(()) => true,
        Err(Stop::BrokeOff) => false,
        Err(Stop::Read(e)) => return Err(verdict.or_broken(e)),
        Err(Stop::Unreadable(why)) => return Err(why),
    };
    if complete && out.sections == 0 {
        let SkippedRecords { count, reasons, .. } = &out.skipped_records;
        return Err(match (out.lost, reasons.first()) {
            (Some((why, reason)), _) => Unreadable::skipped(why, reason),
            (None, Some(first)) => {
                Unreadable::skipped(Skip::Unreadable, format!("none of its {count} parts has text; {first}"))
            }
            (None, None) => Unreadable::skipped(Skip::Empty, "it has no text"),
        });
    }
    Ok(Extracted {
        format: out.format,
        charset: encoding.unwrap_or(UTF_8).name(),
        characters: out.characters,
        skipped_records: out.skipped_records,
        complete,
    })
}
