//! Mail in mail, whole and damaged: nothing of it is lost without a word.

use super::limits;
use crate::documents::extract::tests::{read, texts};
use crate::documents::extract::{Extracted, Format, Section};

/// A mail called `subject` with `body` behind its header, which begins with `fields`.
fn mail(subject: &str, fields: &str, body: &str) -> String {
    format!("From: a@b.test\nSubject: {subject}\nDate: Mon, 15 Jan 2024 12:30:00 +0100\n{fields}\n{body}")
}

/// A mail with these parts, each with its own header.
fn with_parts(subject: &str, boundary: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    mail(
        subject,
        &format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\n"),
        &format!("{parts}--{boundary}--\n"),
    )
}

/// A part that is a mail.
fn attached(mail: &str) -> String {
    format!("Content-Type: message/rfc822\n\n{mail}")
}

/// A mail that consists of another one.
fn forwarded(subject: &str, inner: &str) -> String {
    mail(subject, "Content-Type: Message/RFC822\n", inner)
}

fn words(sections: &[Section]) -> String {
    texts(sections).join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn in_order(text: &str, words: &[&str]) {
    let mut rest = text;
    for word in words {
        rest = rest.split_once(word).unwrap_or_else(|| panic!("{word} is not next in {text}")).1;
    }
}

/// One mail in another, directly, with a part before and `after` the outermost of them.
fn chain(after: &[&str]) -> String {
    let innermost = mail("first", "Content-Type: text/plain\n", "the innermost words\n");
    let chain = attached(&forwarded("third", &forwarded("second", &innermost)));
    with_parts("outer", "b", &[&["\nthe outer words", &chain], after].concat())
}

const LAST: &str = "\nthe last words";

#[test]
fn each_mail_that_consists_of_another_one_is_read() {
    for after in [&[LAST][..], &[]] {
        let (sections, outcome) = read(chain(after), "a.eml");
        assert_eq!(outcome.unwrap().skipped_records.count, 0);
        // The bodies of a mail come before what is attached to it.
        let after: String = after.iter().map(|part| part.trim()).collect();
        in_order(
            &words(&sections),
            &["outer", "the outer words", &after, "third", "second", "first", "innermost words"],
        );
        let innermost = sections.iter().find(|section| section.text.contains("innermost")).unwrap();
        assert_eq!(innermost.place.headings, ["third", "second", "first"]);
        assert_eq!(innermost.place.title.as_deref(), Some("first"));
    }
}

#[test]
fn a_digest_of_forwarded_mails_is_read() {
    let part = |number: usize| {
        let innermost = mail(&format!("inner {number}"), "", &format!("the words of {number}\n"));
        format!("--d\n\n{}", forwarded(&format!("outer {number}"), &innermost))
    };
    let parts: String = (1..=3).map(part).collect();
    let digest = mail("digest", "Content-Type: multipart/Digest; boundary=d\n", &format!("{parts}--d--\n"));
    let (sections, outcome) = read(digest, "a.eml");
    assert_eq!(outcome.unwrap().skipped_records.count, 0);
    let found = words(&sections);
    for number in 1..=3 {
        let subject = |kind: &str| format!("Subject: {kind} {number}");
        in_order(&found, &["digest", &subject("outer"), &subject("inner"), &format!("the words of {number}")]);
    }
}

#[test]
fn of_a_mail_in_mails_that_lost_fields_and_boundaries_each_word_that_is_left_is_read() {
    let chain = chain(&[LAST]);
    let lines: Vec<&str> = chain.lines().collect();
    // What stands before the first part, no reader of mail shows.
    let first = lines.iter().position(|line| *line == "--b").unwrap() + 1;
    for from in first..lines.len() {
        for to in from + 1..=(from + 3).min(lines.len()) {
            // Without the line between header and body, the body is a header that nobody understands.
            if lines[from..to].contains(&"") {
                continue;
            }
            let kept = [&lines[..from], &lines[to..]].concat();
            let (sections, outcome) = read(format!("From: x@y.test\n{}", kept.join("\n")), "a.eml");
            let extracted = outcome.unwrap_or_else(|e| panic!("{from} to {to}: {e:?}"));
            let found = words(&sections);
            for line in kept.iter().filter(|line| line.ends_with(" words")) {
                let told = extracted.skipped_records.count > 0;
                assert!(found.contains(line) || told, "without {from} to {to}, {line} is lost: {found}");
            }
        }
    }
}

#[test]
fn a_damaged_mail_in_a_mail_costs_itself_alone_and_is_named() {
    let part = "Content-Type: message/rfc822; name=\"Old letter\"\n\n\u{1}\u{2}\u{3}\n";
    let whole = with_parts("outer", "b", &["\nthe outer words", part, "\nthe last words"]);
    let (sections, outcome) = read(whole, "a.eml");
    in_order(&words(&sections), &["Attachments: Old letter", "the outer words", "the last words"]);
    let Extracted { skipped_records, format, .. } = outcome.unwrap();
    assert_eq!((skipped_records.count, format), (1, Format::Eml));
    assert!(skipped_records.reasons[0].starts_with("part 1: Old letter: "), "{skipped_records:?}");
}

#[test]
fn a_text_that_names_the_type_of_mails_is_left_as_it_is() {
    let text = "Its type is message/rfc822, or\nContent-Type: message/rfc822\nin full.";
    let (sections, _) = read(with_parts("s", "b", &[&format!("Content-Type: text/plain\n\n{text}")]), "a.eml");
    assert_eq!(sections.last().unwrap().text, text);
    // Words of the header that name such types elsewhere do not make a header of the body.
    for header in ["To: a@global.test", "Subject: of rfc822", "Subject: Weekly digest"] {
        let body = "Hi,\nContent-Type: message/rfc822\nis the type.";
        let (sections, _) = read(format!("From: a@b.test\n{header}\n\n{body}\n"), "a.eml");
        assert_eq!(sections.last().unwrap().text, body, "{header}");
    }
    let hidden = limits::parseable(attached("From: a\n\nb").into_bytes()).unwrap();
    assert!(hidden.starts_with(b"Content-Type: message/xfc822\n"));
}
