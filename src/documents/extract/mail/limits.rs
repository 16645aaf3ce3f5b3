//! What the parser of mail may be given: it keeps some hundred bytes for each header field, address and part, without a
//! limit of its own; and where messages lie in one another it loses headers, or gives up (mail-parser 0.11).

use std::collections::HashSet;
use std::ops::Range;

use memchr::memmem;

use crate::documents::extract::{Skip, Unreadable};

/// The types of messages within a message as [`parseable`] writes them, which the parser does not know.
pub const MESSAGES: [&str; 2] = ["message/xfc822", "message/xlobal"];

/// Messages within a message, as digests of mailing lists have them.
const MAX_MESSAGES: usize = 500;

/// Bytes of a part's header before and after its type; real ones have some hundred.
const MAX_HEADER: usize = 16 * 1024;

/// Bytes of all headers; a mail to a thousand people has some fifty thousand.
const MAX_HEADERS: usize = 1 << 20;

/// Parts of all messages.
const MAX_PARTS: usize = 10_000;

/// The mail as it may be parsed: messages in it are attachments of the types [`MESSAGES`], each to be read as the mail
/// that it is. Those of a `multipart/digest` alone, which has no type for each, are left to the parser.
///
/// # Errors
/// It has more headers, parts or messages than any mail.
pub fn parseable(mut bytes: Vec<u8>) -> Result<Vec<u8>, Unreadable> {
    let too_many = |what: String| Unreadable::skipped(Skip::TooLarge, format!("it has more than {what}, the limit"));
    let within = messages_within(&bytes);
    if within.len() > MAX_MESSAGES {
        return Err(too_many(format!("{MAX_MESSAGES} messages in it")));
    }
    let Counts { headers, parts, types } = counts(&bytes);
    if headers > MAX_HEADERS {
        return Err(too_many(format!("{MAX_HEADERS} bytes of headers")));
    }
    if parts > MAX_PARTS {
        return Err(too_many(format!("{MAX_PARTS} parts")));
    }
    for at in within {
        let is_digest = bytes[at].eq_ignore_ascii_case(&b'd');
        // Of what is encoded the parser would make a copy in each message around it.
        if (!is_digest && types.iter().any(|field| field.contains(&at))) || is_encoded(&bytes, at) {
            bytes[at] = b'x';
        }
    }
    Ok(bytes)
}

/// What a mail has at most, whatever its parser makes of it.
#[derive(Default)]
struct Counts {
    /// Bytes of lines that may be header fields.
    headers: usize,
    /// Lines that may begin a part.
    parts: usize,
    /// Where lines are that state a type; only of what is a header for certain, because they are rewritten.
    types: Vec<Range<usize>>,
}

/// The header field that states a part's type.
const TYPE: &[u8] = b"content-type";

fn counts(bytes: &[u8]) -> Counts {
    let boundaries = boundaries(bytes);
    let mut counts = Counts::default();
    let (mut in_field, mut in_type) = (false, false);
    // By what any field says, and by what types say alone.
    let (mut likely, mut certain) = (Header::default(), Header::default());
    let mut next = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let at = next;
        next += line.len() + 1;
        if counts.headers > MAX_HEADERS {
            break;
        }
        if let Some(boundary) = line.strip_prefix(b"--") {
            let may_begin = boundaries.as_ref().is_none_or(|known| known.contains(name(boundary)));
            counts.parts += usize::from(may_begin);
            in_field = false;
            if may_begin {
                [&mut likely, &mut certain].into_iter().for_each(Header::part_begins);
            }
        } else if !likely.open {
            continue;
        } else if line.trim_ascii().is_empty() {
            in_field = false;
            [&mut likely, &mut certain].into_iter().for_each(Header::ends);
        } else if (in_field && line[0].is_ascii_whitespace()) || is_field(line) {
            in_type &= in_field && line[0].is_ascii_whitespace();
            in_type |= line.get(..TYPE.len()).is_some_and(|name| name.eq_ignore_ascii_case(TYPE));
            in_field = true;
            counts.headers += line.len() + 1;
            if in_type && certain.open {
                counts.types.push(at..next);
            }
            let lower = line.to_ascii_lowercase();
            let states = |kind: &[u8]| memmem::find(&lower, kind).is_some();
            let is_digest = states(b"digest");
            let is_message = is_digest || states(b"rfc822") || states(b"global");
            likely.states(is_digest, is_message);
            if in_type {
                certain.states(is_digest, is_message);
            }
        } else {
            in_field = false;
        }
    }
    counts
}

/// Whether lines are a header's: from the start, and from a boundary, up to an empty line; and of a message in a message,
/// and of any part if there is a digest, from that one on.
struct Header {
    open: bool,
    /// The part is a message, so another header follows this one.
    of_message: bool,
    /// Parts may be messages without saying so.
    digest: bool,
}

impl Default for Header {
    fn default() -> Self {
        Self { open: true, of_message: false, digest: false }
    }
}

impl Header {
    fn part_begins(&mut self) {
        self.open = true;
        self.of_message |= self.digest;
    }

    fn states(&mut self, is_digest: bool, is_message: bool) {
        self.digest |= is_digest;
        self.of_message |= is_message;
    }

    fn ends(&mut self) {
        self.open = std::mem::take(&mut self.of_message);
    }
}

fn is_field(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| !byte.is_ascii_whitespace() && **byte != b':').count();
    line[name..].trim_ascii_start().first() == Some(&b':')
}

/// The boundaries that types state; `None` where one is written so that it is not known here.
fn boundaries(bytes: &[u8]) -> Option<HashSet<&[u8]>> {
    let lower = |at: usize| bytes[at..].get(..8).is_some_and(|word| word.eq_ignore_ascii_case(b"boundary"));
    let mut found = HashSet::new();
    for at in memchr::memchr2_iter(b'b', b'B', bytes).filter(|at| lower(*at)) {
        let value = bytes[at + 8..].trim_ascii_start();
        match value.first() {
            Some(b'=') => {
                let value = value[1..].trim_ascii_start();
                let end = value.iter().position(|byte| *byte == b'\n').unwrap_or(value.len());
                let (value, quoted) =
                    value[..end].strip_prefix(b"\"").map_or((&value[..end], false), |rest| (rest, true));
                let end = value.iter().position(|byte| *byte == b'"' || (!quoted && matches!(byte, b';' | b' ')));
                let value = &value[..end.unwrap_or(value.len())];
                if value.contains(&b'\\') {
                    return None;
                }
                found.insert(name(value));
            }
            Some(b'*') => return None,
            _ => {}
        }
    }
    Some(found)
}

/// A boundary without what may follow it.
fn name(boundary: &[u8]) -> &[u8] {
    let boundary = boundary.trim_ascii_end();
    boundary.strip_suffix(b"--").unwrap_or(boundary)
}

/// Where types stand of parts that are messages, or may hold them without saying so; at least as many as there are.
fn messages_within(bytes: &[u8]) -> Vec<usize> {
    let kinds = [&b"rfc822"[..], b"global", b"digest"];
    let is_kind = |at: &usize| {
        let kind = kinds
            .iter()
            .find(|kind| bytes[*at..].get(..kind.len()).is_some_and(|word| word.eq_ignore_ascii_case(kind)));
        let before = bytes[..*at].iter().rev().find(|byte| !byte.is_ascii_whitespace());
        kind.is_some() && matches!(before, Some(b'/' | b')'))
    };
    let candidates = memchr::memchr3_iter(b'r', b'g', b'd', bytes).chain(memchr::memchr3_iter(b'R', b'G', b'D', bytes));
    candidates.filter(is_kind).take(MAX_MESSAGES + 1).collect()
}

/// Whether the header around `at` says that the part is encoded, as no part may that is a message; or is too long to
/// tell.
fn is_encoded(bytes: &[u8], at: usize) -> bool {
    let around = &bytes[at.saturating_sub(MAX_HEADER)..bytes.len().min(at + MAX_HEADER)];
    let middle = at.min(MAX_HEADER);
    let lower = around.to_ascii_lowercase();
    let find = |text: &[u8], word: &[u8]| memchr::memmem::find(text, word);
    let starts = [&b"\n\n"[..], b"\n\r\n"].map(|blank| memchr::memmem::rfind(&lower[..middle], blank));
    let ends = [&b"\n\n"[..], b"\n\r\n"].map(|blank| find(&lower[middle..], blank));
    let start = starts.into_iter().flatten().max();
    let end = ends.into_iter().flatten().min();
    let header = &lower[start.unwrap_or_default()..end.map_or(lower.len(), |end| middle + end)];
    let cut = (start.is_none() && at > MAX_HEADER) || (end.is_none() && at + MAX_HEADER < bytes.len());
    cut || find(header, b"base64").is_some() || find(header, b"quoted-printable").is_some()
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn fields_and_parts_are_counted_and_text_is_not() {
        let mail = "From: a\nTo: b,\n c\nContent-Type: multipart/mixed;\n boundary=\"x y\"\n\n--x y\nA: b\n\n\
                    -- \nC: d\nE: f\n--x y--\n";
        let counts = counts(mail.as_bytes());
        let header = mail.find("\n\n").unwrap() + 1 + "A: b\n".len();
        assert_eq!((counts.headers, counts.parts), (header, 2));
    }
}
