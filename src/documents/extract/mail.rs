//! Mail (RFC 5322 with MIME): the headers that people read, the body, and each attachment as a document of its kind.
//!
//! Of a body that is there as text and as HTML, the text is read; HTML alone goes through its own reader. Attachments'
//! names are part of the text. Pictures, sounds, films and signatures hold no text and are named alone.

use std::borrow::Cow;

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::nested::{self, MAX_DEPTH, Nested};
use super::office::properties::{self, tidy};
use super::sections::{Out, Stop};
use super::{ExtractOptions, Skip, Unreadable};
use crate::record::{Place, Properties};

/// Attachments that are read; the names of all are.
const MAX_ATTACHMENTS: usize = 100;

/// Messages within a message, as digests of mailing lists have them: the parser recurses into them.
const MAX_MESSAGES: usize = 500;

/// Bytes of a part's header before and after its type; real ones have some hundred.
const MAX_HEADER: usize = 16 * 1024;

/// Names of attachments in the text.
const MAX_NAMES: usize = 100;

pub fn read(bytes: &[u8], options: &ExtractOptions, out: &mut Out<'_>) -> Result<(), Stop> {
    let within = messages_within(bytes);
    if within.len() > MAX_MESSAGES {
        let reason = format!("it has more than {MAX_MESSAGES} messages in it, the limit");
        return Err(Unreadable::skipped(Skip::TooLarge, reason).into());
    }
    let mut bytes = Cow::Borrowed(bytes);
    for at in within {
        // The parser would recurse into what is encoded without a limit. Under a type that it does not know it is an
        // attachment, which is read as the mail that it is, within limits.
        if is_encoded(&bytes, at) {
            bytes.to_mut()[at] = b'x';
        }
    }
    let Some(mail) = MessageParser::default().parse(&*bytes) else {
        return Err(Unreadable::Broken("it has no header as mail has".to_owned()).into());
    };
    message(&mail, &[], 0, options, out)
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

/// Emits one message below `headings`.
fn message(
    mail: &Message<'_>,
    headings: &[String],
    depth: usize,
    options: &ExtractOptions,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    let from = mail.from().and_then(addresses);
    let modified = mail.date().map(|date| date.to_rfc3339());
    let title = mail.subject().and_then(tidy);
    let place = Place {
        headings: headings.to_vec(),
        ..properties::place(Properties { title, author: from.as_deref().and_then(tidy), modified })
    };
    let attachments: Vec<&MessagePart<'_>> = mail.attachments().collect();
    let names: Vec<String> = attachments.iter().take(MAX_NAMES).filter_map(|part| name(part)).collect();
    let lines = [
        ("Subject", mail.subject().and_then(tidy)),
        ("From", from),
        ("To", mail.to().and_then(addresses)),
        ("Cc", mail.cc().and_then(addresses)),
        ("Date", mail.date().map(|date| date.to_rfc822())),
        ("Attachments", (!names.is_empty()).then(|| names.join(", "))),
    ];
    let head: Vec<String> = lines.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value?))).collect();
    out.part(&head.join("\n"), &place)?;
    if is_encrypted(mail) {
        out.skipped_records.add(format_args!("the body"), "encrypted", "it needs a key");
        return Ok(());
    }
    body(mail, &place, options, out)?;
    for (number, part) in (1..).zip(attachments) {
        if number > MAX_ATTACHMENTS {
            let reason = format!("it is beyond the limit of {MAX_ATTACHMENTS}");
            out.skipped_records.add(format_args!("attachment {number}"), "too_many", &reason);
            continue;
        }
        attachment(part, headings, &place, depth, options, out)?;
    }
    Ok(())
}

fn attachment(
    part: &MessagePart<'_>,
    headings: &[String],
    place: &Place,
    depth: usize,
    options: &ExtractOptions,
    out: &mut Out<'_>,
) -> Result<(), Stop> {
    let name = name(part);
    let below = [headings, name.as_slice()].concat();
    if let PartType::Message(inner) = &part.body {
        if out.depth + depth >= MAX_DEPTH {
            let reason = format!("it lies more than {MAX_DEPTH} documents deep");
            let number = out.next_nested();
            out.skipped_records.add(format_args!("part {number}"), "nested_too_deep", &reason);
            return Ok(());
        }
        return message(inner, &below, depth + 1, options, out);
    }
    let content_type = content_type(part);
    if content_type.as_deref().is_some_and(has_no_text) {
        return Ok(());
    }
    let nested = Nested {
        bytes: part.contents(),
        key: name.as_deref().unwrap_or_default(),
        content_type: content_type.as_deref(),
        place,
    };
    nested::read(&nested, &below, options, out)
}

/// Emits the body: the text, or the HTML where the text is missing or empty.
fn body(mail: &Message<'_>, place: &Place, options: &ExtractOptions, out: &mut Out<'_>) -> Result<(), Stop> {
    let parts =
        |ids: &[u32]| -> Vec<&MessagePart<'_>> { ids.iter().filter_map(|id| mail.parts.get(*id as usize)).collect() };
    let has_text = |part: &&MessagePart<'_>| matches!(&part.body, PartType::Text(text) if !text.trim().is_empty());
    let (text, html) = (parts(&mail.text_body), parts(&mail.html_body));
    let chosen = if text.iter().any(has_text) || html.is_empty() { text } else { html };
    for part in chosen {
        match &part.body {
            PartType::Text(text) if is_flowed(part) => out.part(unflowed(text).trim(), place)?,
            PartType::Text(text) => out.part(text.trim(), place)?,
            PartType::Html(html) => {
                // The parser has decoded it, whatever its own declaration says.
                let content_type = Some("text/html; charset=utf-8");
                let nested = Nested { bytes: html.as_bytes(), key: "", content_type, place };
                nested::read(&nested, &place.headings, options, out)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_flowed(part: &MessagePart<'_>) -> bool {
    let format = part.content_type().and_then(|content_type| content_type.attribute("format"));
    format.is_some_and(|format| format.eq_ignore_ascii_case("flowed"))
}

/// Joins the lines of a paragraph, which end with a space (RFC 3676).
fn unflowed(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.lines() {
        // Before a space or a mark that would mean something else, a space is put for the way.
        let line = line.strip_prefix(' ').unwrap_or(line);
        joined.push_str(line);
        // "-- " stands before a signature.
        if !line.ends_with(' ') || line == "-- " {
            joined.push('\n');
        }
    }
    joined
}

/// Whether the body can be read with a key only.
fn is_encrypted(mail: &Message<'_>) -> bool {
    let root = mail.parts.first();
    let content_type = root.and_then(content_type).unwrap_or_default();
    let smime = content_type.ends_with("pkcs7-mime") && {
        let kind = root.and_then(|root| root.content_type()).and_then(|found| found.attribute("smime-type"));
        kind.is_none_or(|kind| kind.starts_with("enveloped") || kind.starts_with("auth"))
    };
    content_type == "multipart/encrypted" || smime
}

fn has_no_text(content_type: &str) -> bool {
    let (kind, subtype) = content_type.split_once('/').unwrap_or((content_type, ""));
    // An SVG is a picture with text in it.
    (matches!(kind, "image" | "audio" | "video" | "font") && subtype != "svg+xml") || subtype.ends_with("-signature")
}

/// Type and subtype in lower case.
fn content_type(part: &MessagePart<'_>) -> Option<String> {
    let found = part.content_type()?;
    Some(format!("{}/{}", found.ctype(), found.subtype().unwrap_or("")).to_ascii_lowercase())
}

/// A part's name, or an attached message's subject.
fn name(part: &MessagePart<'_>) -> Option<String> {
    let subject = || match &part.body {
        PartType::Message(inner) => inner.subject(),
        _ => None,
    };
    part.attachment_name().or_else(subject).and_then(tidy)
}

/// `Name <address>` of each, between commas.
fn addresses(address: &Address<'_>) -> Option<String> {
    let each = address.iter().take(MAX_NAMES).filter_map(|found| match (found.name(), found.address()) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (name, address) => name.or(address).map(str::to_owned),
    });
    let line = each.collect::<Vec<_>>().join(", ");
    (!line.is_empty()).then(|| line.split_whitespace().collect::<Vec<_>>().join(" "))
}
