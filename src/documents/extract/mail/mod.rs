//! Mail (RFC 5322 with MIME): the headers that people read, the body, and each attachment as a document of its kind.
//!
//! Of a body that is there as text and as HTML, the text is read; HTML alone goes through its own reader. Attachments'
//! names are part of the text. Pictures, sounds, films and signatures hold no text and are named alone. A mail in a mail
//! is a document within a document like any other attachment.

mod limits;
#[cfg(test)]
mod tests;

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::nested::{self, MAX_DEPTH, Nested};
use super::office::properties::{self, tidy};
use super::sections::{Out, Stop};
use super::{ExtractOptions, Unreadable};
use crate::record::{Place, Properties};

/// Attachments that are read; the names of all are.
const MAX_ATTACHMENTS: usize = 100;

/// Names of attachments in the text.
const MAX_NAMES: usize = 100;

pub fn read(bytes: Vec<u8>, options: &ExtractOptions, out: &mut Out<'_>) -> Result<(), Stop> {
    let bytes = limits::parseable(bytes)?;
    let Some(mail) = MessageParser::default().parse(&bytes) else {
        return Err(Unreadable::Broken("it has no header as mail has".to_owned()).into());
    };
    message(&mail, &[], 0, options, out)
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
        if out.nesting.depth + depth >= MAX_DEPTH {
            let reason = format!("it lies more than {MAX_DEPTH} documents deep");
            let number = out.next_nested();
            out.skipped_records.add(format_args!("part {number}"), "nested_too_deep", &reason);
            return Ok(());
        }
        return message(inner, &below, depth + 1, options, out);
    }
    let content_type = if is_message(part) { Some("message/rfc822".to_owned()) } else { content_type(part) };
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

/// Whether the part is a mail in the mail.
fn is_message(part: &MessagePart<'_>) -> bool {
    content_type(part).is_some_and(|found| limits::MESSAGES.contains(&found.as_str()))
}

/// A part's name, or an attached message's subject.
fn name(part: &MessagePart<'_>) -> Option<String> {
    let subject = || match &part.body {
        PartType::Message(inner) => inner.subject().and_then(tidy),
        _ if is_message(part) => MessageParser::default().parse_headers(part.contents())?.subject().and_then(tidy),
        _ => None,
    };
    part.attachment_name().and_then(tidy).or_else(subject)
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
