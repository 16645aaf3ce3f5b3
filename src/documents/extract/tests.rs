//! Limits, broken inputs, odd hints: what the test documents of tests/documents cannot show.

use std::io::{self, Cursor as Bytes, Read};
use std::ops::ControlFlow;

use super::sections::SECTION;
use super::*;

/// All sections and how it ended.
fn run(
    input: impl Read,
    key: &str,
    content_type: Option<&str>,
    options: &ExtractOptions,
) -> (Vec<Section>, Result<Extracted, Unreadable>) {
    let mut sections = Vec::new();
    let hints = Hints { key, content_type, content_encoding: None };
    let outcome = extract(input, &hints, options, None, &mut |section| {
        sections.push(section);
        ControlFlow::Continue(())
    });
    (sections, outcome)
}

fn read(input: impl AsRef<[u8]>, key: &str) -> (Vec<Section>, Result<Extracted, Unreadable>) {
    run(Bytes::new(input), key, None, &ExtractOptions::default())
}

fn texts(sections: &[Section]) -> Vec<&str> {
    sections.iter().map(|section| section.text.as_str()).collect()
}

fn skipped(outcome: Result<Extracted, Unreadable>) -> (Skip, String) {
    match outcome {
        Err(Unreadable::Skipped { why, reason }) => (why, reason),
        other => panic!("{other:?}"),
    }
}

/// `bytes`, handed out one at a time, then an error.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.split_first() {
            Some((&first, rest)) => {
                (into[0], self.0) = (first, rest);
                Ok(1)
            }
            None => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

const MEBIBYTE: u64 = 1 << 20;

#[test]
fn a_line_of_200_megabytes_is_read_in_sections() {
    let mut characters = 0;
    let line = b"so many words ".repeat(1000);
    let input = Bytes::new(b"start ").chain(Endless(&line, 0).take(200 * MEBIBYTE));
    let hints = Hints { key: "line.txt", ..Hints::default() };
    let outcome = extract(input, &hints, &ExtractOptions::default(), None, &mut |section| {
        assert_eq!(section.start, characters);
        assert!(section.text.len() <= SECTION);
        characters += section.text.len();
        ControlFlow::Continue(())
    });
    assert_eq!(outcome.unwrap().characters as u64, 200 * MEBIBYTE + 6);
}

/// A pattern without end.
struct Endless<'a>(&'a [u8], usize);

impl Read for Endless<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let part = &self.0[self.1..];
        let read = part.len().min(into.len());
        into[..read].copy_from_slice(&part[..read]);
        self.1 = (self.1 + read) % self.0.len();
        Ok(read)
    }
}

#[test]
fn what_a_format_must_hold_is_limited() {
    let options = ExtractOptions { max_record_bytes: MEBIBYTE, max_whole_bytes: MEBIBYTE, ..ExtractOptions::default() };
    let long = |start: &'static [u8]| Bytes::new(start).chain(Endless(b"a", 0).take(200 * MEBIBYTE));
    for (key, start) in [
        ("a.json", &b"{\"text\": \""[..]),
        ("a.json", b"[{\"text\": \"one\"}, {\"text\": \""),
        ("a.csv", b"text\n\""),
        ("a.html", b"<p>"),
        ("a.html", b"<p>one<!-- "),
        ("a.pdf", b"%PDF-1.4 "),
    ] {
        let (why, reason) = skipped(run(long(start), key, None, &options).1);
        assert!(why == Skip::TooLarge && reason.contains("1048576 bytes"), "{key}: {reason}");
    }
    let line = long(b"{\"text\": \"one\"}\n{\"text\": \"").chain(&b"\"}\n{\"text\": \"two\"}"[..]);
    let (sections, outcome) = run(line, "a.jsonl", None, &options);
    assert_eq!(texts(&sections), ["one", "two"]);
    let skipped_records = outcome.unwrap().skipped_records;
    assert_eq!((skipped_records.count, skipped_records.reasons[0].contains("larger than 1048576 bytes")), (1, true));
}

#[test]
fn input_that_fails_is_told_from_a_document_that_is_broken() {
    let mut compressed = Vec::new();
    flate2::read::GzEncoder::new(&b"words ".repeat(1000)[..], flate2::Compression::fast())
        .read_to_end(&mut compressed)
        .unwrap();
    let half = &compressed[..compressed.len() / 2];
    for (bytes, key) in [
        (half, "a.gz"),
        (&b"words"[..], "a.txt"),
        (b"[{\"text\":", "a.json"),
        (b"text\n1", "a.csv"),
        (b"<p>a", "a.html"),
        (b"%PDF-1", "a.pdf"),
    ] {
        let failed = run(Trickle(bytes), key, None, &ExtractOptions::default()).1;
        assert!(
            matches!(failed, Err(Unreadable::Input(ref e)) if e.kind() == io::ErrorKind::ConnectionReset),
            "{key}: {failed:?}"
        );
    }
    assert!(matches!(read(half, "a.gz").1, Err(Unreadable::Broken(_))));
}

#[test]
fn sections_do_not_depend_on_how_bytes_arrive() {
    let text = "Zwölf Boxkämpfer jagen Viktor. ".repeat(6000);
    struct OneByOne<'a>(&'a [u8]);
    impl Read for OneByOne<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let read = self.0.len().min(1).min(into.len());
            into[..read].copy_from_slice(&self.0[..read]);
            self.0 = &self.0[read..];
            Ok(read)
        }
    }
    for key in ["a.txt", "a.md", "a.html"] {
        let slowly = run(OneByOne(text.as_bytes()), key, None, &ExtractOptions::default()).0;
        assert!(slowly == read(&text, key).0, "{key}");
    }
}

#[test]
fn breaking_off_ends_the_reading() {
    let mut seen = 0;
    let hints = Hints { key: "a.jsonl", ..Hints::default() };
    let input = Endless(b"{\"text\": \"one\"}\n", 0);
    let outcome = extract(input, &hints, &ExtractOptions::default(), None, &mut |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(!outcome.unwrap().complete);
    let array = Bytes::new(b"[").chain(Endless(b"{\"text\": \"one\"},", 0));
    let outcome = extract(array, &Hints { key: "a.json", ..hints }, &ExtractOptions::default(), None, &mut |_| {
        ControlFlow::Break(())
    });
    assert!(!outcome.unwrap().complete);
}

#[test]
fn decompression_is_limited() {
    let pack = |decompressed: &[u8]| {
        let mut compressed = Vec::new();
        flate2::read::GzEncoder::new(decompressed, flate2::Compression::fast()).read_to_end(&mut compressed).unwrap();
        compressed
    };
    let options = ExtractOptions { max_decompressed_bytes: 1000, ..ExtractOptions::default() };
    let words: String = (0..1000).map(|number| format!("{number} ")).collect();
    let (why, reason) = skipped(run(&pack(words.as_bytes())[..], "a.gz", None, &options).1);
    assert!(why == Skip::TooLarge && reason.contains("1000 bytes"), "{reason}");
    // A bomb is known before its first section.
    let (sections, outcome) = read(pack(&b"A lot of words. ".repeat(2 << 20)), "a.gz");
    assert_eq!((sections.len(), skipped(outcome).0), (0, Skip::DecompressionBomb));
    // A run of spaces that is no bomb yet.
    let (sections, _) = read(pack(&[b"word".to_vec(), vec![b' '; 8 << 20], b"end".to_vec()].concat()), "a.gz");
    assert_eq!(sections.iter().map(|section| section.text.trim()).collect::<String>(), "wordend");
}

#[test]
fn hints_decide_in_their_order() {
    let format = |bytes: &str, key: &str, content_type: Option<&str>| {
        run(bytes.as_bytes(), key, content_type, &ExtractOptions::default()).1.unwrap().format
    };
    assert_eq!(format("# a", "a.txt", Some("text/markdown; charset=utf-8")), Format::Markdown);
    assert_eq!(format("# a", "a.MD", Some("application/octet-stream")), Format::Markdown);
    assert_eq!(format("# a", "a.md", Some("text/plain")), Format::Markdown);
    assert_eq!(format("<p>a", "a.txt", Some("TEXT/HTML")), Format::Html);
    assert_eq!(format("{\"text\": \"a\"}", "x", Some("application/problem+json")), Format::Json);
    assert_eq!(format(" <!DOCTYPE HTML>a", "x", None), Format::Html);
    assert_eq!(format("{\"text\": \"a\"}", "x", None), Format::Json);
    assert_eq!(format("{braces} are words", "x", None), Format::Text);
    assert_eq!(format("[1] a footnote", "x", Some("binary/octet-stream")), Format::Text);
    assert_eq!(format("plain", "folder.md/x", None), Format::Text);
    assert_eq!(format("BM is no bitmap, MZ no program", "x", None), Format::Text);
    assert_eq!(format("A text about %PDF-1.4 headers", "x", None), Format::Text);
}

#[test]
fn a_pointer_leads_anywhere_and_the_rest_stays() {
    let at = |pointer: &str, json: &str| {
        let options = ExtractOptions { json_pointer: pointer.to_owned(), ..ExtractOptions::default() };
        let (sections, outcome) = run(json.as_bytes(), "a.json", None, &options);
        (sections.first().map(|section| (section.text.clone(), Value::Object(section.fields.clone()))), outcome)
    };
    let found = at("/a/0/b~1c", r#"{"a": [{"b/c": "text", "d": 1}], "e": 2}"#).0.unwrap();
    assert_eq!(found, ("text".to_owned(), serde_json::json!({"a": [{"d": 1}], "e": 2})));
    assert_eq!(at("", r#"["text"]"#).0.unwrap().0, "text");
    assert_eq!(at("/text", r#"{"text": ["a", "b"]}"#).0.unwrap().0, "a\n\nb");
    let (why, reason) = skipped(at("/text", r#"{"body": "a", "title": 1}"#).1);
    assert_eq!((why, reason.contains(r#"an object with "body", "title""#)), (Skip::NoText, true), "{reason}");
    assert!(skipped(at("/text", r#"{"text": 5}"#).1).1.contains("a number, not text"));
}

#[test]
fn fields_that_would_swell_every_record_are_left_out() {
    let json = format!(r#"{{"text": "a", "other": "{}"}}"#, "b".repeat(100_000));
    let (sections, outcome) = read(json, "a.json");
    assert_eq!((texts(&sections), sections[0].fields.len(), outcome.unwrap().skipped_records.count), (vec!["a"], 0, 1));
}

#[test]
fn offsets_are_those_of_the_extracted_text() {
    let html = "<h1>Ä</h1><p>eins</p><h1>Ö</h1><p>zwei</p>";
    let (sections, outcome) = read(html, "a.html");
    assert_eq!(texts(&sections), ["Ä\n\neins", "Ö\n\nzwei"]);
    assert_eq!((sections[1].start, outcome.unwrap().characters), (9, 16));
    let (sections, _) = read("\u{feff}ä\r\nb", "a.txt");
    assert_eq!((sections[0].text.as_str(), sections[0].start), ("ä\r\nb", 0));
}

#[test]
fn a_page_in_html_reads_as_its_reader_sees_it() {
    let (sections, _) =
        read("a<b>b</b>c <i> d</i>e<br>f<td>g</td><td>h</td><ul><li>i<li>j</ul><pre>k\n  l</pre>", "a.html");
    assert_eq!(texts(&sections), ["abc de\nf\tg\th\n\n- i\n- j\n\nk\n  l"]);
}
