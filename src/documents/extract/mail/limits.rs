//! What the parser of mail may be given: it recurses into messages, and keeps some hundred bytes for each header field,
//! address and part, without a limit of its own.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;

use crate::documents::extract::{Skip, Unreadable};

/// Messages within a message, as digests of mailing lists have them: the parser recurses into them.
const MAX_MESSAGES: usize = 500;

/// Bytes of a part's header before and after its type; real ones have some hundred.
const MAX_HEADER: usize = 16 * 1024;

/// Bytes of all headers; a mail to a thousand people has some fifty thousand.
const MAX_HEADERS: usize = 1 << 20;

/// Parts of all messages.
const MAX_PARTS: usize = 10_000;

/// The mail as it may be parsed.
///
/// # Errors
/// It has more headers, parts or messages than any mail.
pub fn parseable(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Unreadable> {
    let too_many = |what: String| Unreadable::skipped(Skip::TooLarge, format!("it has more than {what}, the limit"));
    let within = messages_within(bytes);
    if within.len() > MAX_MESSAGES {
        return Err(too_many(format!("{MAX_MESSAGES} messages in it")));
    }
    let Counts { headers, parts } = counts(bytes);
    if headers > MAX_HEADERS {
        return Err(too_many(format!("{MAX_HEADERS} bytes of headers")));
    }
    if parts > MAX_PARTS {
        return Err(too_many(format!("{MAX_PARTS} parts")));
    }
    let mut bytes = Cow::Borrowed(bytes);
    for at in within {
        // The parser would recurse into what is encoded without a limit. Under a type that it does not know it is an
        // attachment, which is read as the mail that it is, within limits.
        if is_encoded(&bytes, at) {
            bytes.to_mut()[at] = b'x';
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
}

fn counts(bytes: &[u8]) -> Counts {
    let boundaries = boundaries(bytes);
    let mut counts = Counts::default();
    // Fields may stand at the start, and after a line that may be a boundary, up to an empty line; of a message in a
    // message, behind that one.
    let (mut in_header, mut in_field, mut of_message) = (true, false, false);
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(boundary) = line.strip_prefix(b"--") {
            let may_begin = boundaries.as_ref().is_none_or(|known| known.contains(name(boundary)));
            counts.parts += usize::from(may_begin);
            (in_header, in_field) = (in_header || may_begin, false);
        } else if !in_header {
            continue;
        } else if line.trim_ascii().is_empty() {
            (in_header, in_field, of_message) = (of_message, false, false);
        } else if (in_field && line[0].is_ascii_whitespace()) || is_field(line) {
            in_field = true;
            counts.headers += line.len() + 1;
            of_message |=
                [&b"rfc822"[..], b"RFC822", b"global", b"digest"].iter().any(|kind| memmem::find(line, kind).is_some());
        } else {
            in_field = false;
        }
    }
    counts
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
