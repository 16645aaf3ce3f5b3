//! Documents within documents: attachments of mail, chapters of books. Each is read as its own kind.

use std::io::Cursor;
use std::ops::ControlFlow;

use super::decompress::Totals;
use super::sections::{Out, Stop};
use super::{ExtractOptions, Format, Hints, Skip, Unreadable, extract_within};
use crate::record::Place;

/// Documents within one another: a mail with a mail attached, in which a book is, is three.
pub const MAX_DEPTH: usize = 4;

/// Where a document lies in others.
#[derive(Clone, Default)]
pub struct Nesting {
    /// Documents around it.
    pub depth: usize,
    pub totals: Totals,
}

/// A document within another one.
pub struct Nested<'n> {
    pub bytes: &'n [u8],
    /// Its name, whose extension may tell its format.
    pub key: &'n str,
    pub content_type: Option<&'n str>,
    /// What its sections have where it does not say it itself.
    pub place: &'n Place,
}

/// Emits the sections of `nested` into `out`, below `headings`.
///
/// # Errors
/// What ends the reading of all: a caller that wants no more, input that fails, too much text. A nested document that
/// cannot be read is counted and described, and costs itself alone.
pub fn read(nested: &Nested<'_>, headings: &[String], options: &ExtractOptions, out: &mut Out<'_>) -> Result<(), Stop> {
    let number = out.next_nested();
    if out.nesting.depth == MAX_DEPTH {
        let reason = format!("it lies more than {MAX_DEPTH} documents deep");
        out.skipped_records.add(format_args!("part {number}"), "nested_too_deep", &reason);
        return Ok(());
    }
    let hints = Hints { key: nested.key, content_type: nested.content_type, content_encoding: None };
    let mut stopped = None;
    let inner = Nesting { depth: out.nesting.depth + 1, totals: out.nesting.totals.clone() };
    let read = extract_within(Cursor::new(nested.bytes), &hints, options, None, inner, &mut |section| {
        let place = Place {
            headings: [headings, section.place.headings.as_slice()].concat(),
            title: section.place.title.clone().or_else(|| nested.place.title.clone()),
            properties: section.place.properties.clone().or_else(|| nested.place.properties.clone()),
            ..section.place.clone()
        };
        match out.nested(&section, &place, options.max_decompressed_bytes) {
            Ok(()) => ControlFlow::Continue(()),
            Err(stop) => {
                stopped = Some(stop);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(stop) = stopped {
        return Err(stop);
    }
    let (kind, reason) = match read {
        Ok(extracted) => {
            out.skipped_records.join(format_args!("part {number}"), &extracted.skipped_records);
            return Ok(());
        }
        // A page without words, as a picture or a cover is.
        Err(Unreadable::Skipped { why: Skip::Empty, .. }) => return Ok(()),
        // A cover is an image. A book of nothing else has no text that can be read.
        Err(Unreadable::Skipped { why: Skip::Unreadable | Skip::ImageOnly, .. }) if out.format == Format::Epub => {
            out.lost = Some((Skip::ImageOnly, "its chapters hold images and no text".to_owned()));
            return Ok(());
        }
        Err(Unreadable::Skipped { why, reason }) => (why.word(), reason),
        Err(other) => ("broken", other.to_string()),
    };
    out.skipped_records.add(format_args!("part {number}"), kind, &format!("{}: {reason}", nested.key));
    Ok(())
}
