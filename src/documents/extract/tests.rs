//! Limits, broken inputs, odd hints: what the test documents of tests/documents cannot show.

use std::io::{self, Cursor as Bytes, Read};
use std::ops::ControlFlow;

use super::sections::SECTION;
use super::*;

/// All sections and how it ended.
pub fn run(
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

pub fn read(input: impl AsRef<[u8]>, key: &str) -> (Vec<Section>, Result<Extracted, Unreadable>) {
    run(Bytes::new(input), key, None, &ExtractOptions::default())
}

pub fn texts(sections: &[Section]) -> Vec<&str> {
    sections.iter().map(|section| section.text.as_str()).collect()
}

pub fn skipped(outcome: Result<Extracted, Unreadable>) -> (Skip, String) {
    match outcome {
        Err(Unreadable::Skipped { why, reason }) => (why, reason),
        other => panic!("{other:?}"),
    }
}

/// The texts of a document and what was left out of it. From its cursors on, reading gives the same rest.
pub fn read_whole(bytes: &[u8], key: &str, options: &ExtractOptions) -> (Vec<String>, Vec<String>) {
    let (sections, outcome) = run(bytes, key, None, options);
    let extracted = outcome.unwrap_or_else(|e| panic!("{key}: {e:?}"));
    for (number, section) in sections.iter().enumerate().step_by(sections.len() / 8 + 1) {
        let Some(cursor) = &section.resume else { continue };
        let cursor: Cursor = serde_json::from_str(&serde_json::to_string(cursor).unwrap()).unwrap();
        let mut rest = Vec::new();
        let hints = Hints { key, ..Hints::default() };
        let again = extract(&bytes[cursor.byte as usize..], &hints, options, Some(&cursor), &mut |section| {
            rest.push(section);
            ControlFlow::Continue(())
        });
        assert_eq!(rest, sections[number + 1..], "{key}: after section {number}");
        assert_eq!(again.unwrap(), extracted, "{key}: after section {number}");
    }
    (sections.into_iter().map(|section| section.text).collect(), extracted.skipped_records.reasons)
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

pub const MEBIBYTE: u64 = 1 << 20;

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
pub struct Endless<'a>(pub &'a [u8], pub usize);

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
        ("a.csv", b"text\n\""),
        ("a.html", b"<p title=\""),
        ("a.html", b"<p>one<!-- "),
        ("a.pdf", b"%PDF-1.4 "),
    ] {
        let (why, reason) = skipped(run(long(start), key, None, &options).1);
        assert!(why == Skip::TooLarge && reason.contains("1048576 bytes"), "{key}: {reason}");
    }
    for (key, start, end) in [
        ("a.jsonl", &b"{\"text\": \"one\"}\n{\"text\": \""[..], &b"\"}\n{\"text\": \"two\"}"[..]),
        ("a.json", b"[{\"text\": \"one\"}, {\"text\": \"", b"\"}, {\"text\": \"two\"}]"),
        ("a.csv", b"text\none\n\"", b"\"\ntwo"),
        ("a.csv", b"text\none\n", b"\ntwo"),
    ] {
        let large = Bytes::new(start).chain(Endless(b"a", 0).take(20 * MEBIBYTE)).chain(end);
        let (sections, outcome) = run(large, key, None, &options);
        let texts: Vec<_> = sections.iter().map(|section| section.text.trim_start_matches("text: ")).collect();
        assert_eq!(texts, ["one", "two"], "{key}");
        let SkippedRecords { count, reasons, .. } = outcome.unwrap().skipped_records;
        assert_eq!((count, reasons[0].contains("larger than 1048576 bytes")), (1, true), "{key}: {reasons:?}");
    }
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

/// `bytes`, then a panic, as of a library that does not understand them.
struct Panicking<'a>(&'a [u8]);

impl Read for Panicking<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "no such part");
        self.0.read(into)
    }
}

#[test]
fn a_reader_that_panics_makes_its_document_broken_and_a_caller_that_does_is_not_stopped() {
    for key in ["a.txt", "a.md", "a.html", "a.xml", "a.json", "a.jsonl", "a.csv", "a.eml", "a.rtf", "a.gz"] {
        let broken = run(Panicking(b"From: a\n\n"), key, None, &ExtractOptions::default()).1;
        assert!(
            matches!(broken, Err(Unreadable::Broken(ref why)) if why == "its reader gave up: no such part"),
            "{key}"
        );
    }
    let mail =
        "From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/csv\n\na\n1\n--b--\n";
    let hints = Hints { key: "a.eml", ..Hints::default() };
    for last in 1..=2 {
        let mut seen = 0;
        let caller = std::panic::catch_unwind(AssertUnwindSafe(|| {
            extract(mail.as_bytes(), &hints, &ExtractOptions::default(), None, &mut |_| {
                seen += 1;
                assert!(seen < last, "the caller's own");
                ControlFlow::Continue(())
            })
        }));
        assert_eq!(panics::message(&*caller.unwrap_err()), "the caller's own");
    }
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
    let gzip = |decompressed: &[u8]| {
        let mut compressed = Vec::new();
        flate2::read::GzEncoder::new(decompressed, flate2::Compression::fast()).read_to_end(&mut compressed).unwrap();
        compressed
    };
    let options = ExtractOptions { max_decompressed_bytes: 1000, ..ExtractOptions::default() };
    let words: String = (0..1000).map(|number| format!("{number} ")).collect();
    let (why, reason) = skipped(run(&gzip(words.as_bytes())[..], "a.gz", None, &options).1);
    assert!(why == Skip::TooLarge && reason.contains("1000 bytes"), "{reason}");
    // A bomb is known before its first section.
    let (sections, outcome) = read(gzip(&b"A lot of words. ".repeat(2 << 20)), "a.gz");
    assert_eq!((sections.len(), skipped(outcome).0), (0, Skip::DecompressionBomb));
    // A run of spaces that is no bomb yet.
    let (sections, _) = read(gzip(&[b"word".to_vec(), vec![b' '; 8 << 20], b"end".to_vec()].concat()), "a.gz");
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
        let options = ExtractOptions { record_text: RecordText::At(pointer.to_owned()), ..ExtractOptions::default() };
        let (sections, outcome) = run(json.as_bytes(), "a.json", None, &options);
        (sections.first().map(|section| (section.text.clone(), Value::Object(section.fields.clone()))), outcome)
    };
    let found = at("/a/0/b~1c", r#"{"a": [{"b/c": "text", "d": 1}], "e": 2}"#).0.unwrap();
    assert_eq!(found, ("text".to_owned(), serde_json::json!({"a": [{"d": 1}], "e": 2})));
    assert_eq!(at("", r#"["text"]"#).0.unwrap().0, "text");
    assert_eq!(at("/text", r#"{"text": ["a", "b"]}"#).0.unwrap().0, "a\n\nb");
    let (why, reason) = skipped(at("/text", r#"{"body": "a", "title": 1}"#).1);
    assert_eq!((why, reason.contains(r#"an object with "body", "title""#)), (Skip::Unreadable, true), "{reason}");
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
fn read_to_nothing_is_not_empty() {
    let why = |content: &str, key| skipped(read(content, key).1).0;
    for (content, key) in [("", "a.html"), ("<html><body></body></html>", "a.html"), (" \n", "a.txt"), ("[]", "a.json")]
    {
        assert_eq!(why(content, key), Skip::Empty, "{content}");
    }
    for content in ["<div id=app></div><script src=app.js></script>", "<p hidden>a</p>", "<canvas></canvas>"] {
        assert_eq!(why(content, "a.html"), Skip::Unreadable, "{content}");
    }
    assert_eq!(why("<img src=a.png><img src=b.png alt=''>", "a.html"), Skip::ImageOnly);
    assert_eq!(why("[1, 2]", "a.json"), Skip::Unreadable);
    let pdf = run(&b"%PDF-1.4"[..], "a.pdf", None, &ExtractOptions::default()).1;
    assert!(matches!(pdf, Err(Unreadable::NoReader(reason)) if reason.contains("EMBED_PDFIUM_LIB")));
}

#[test]
fn brotli_is_undone_where_a_header_or_a_name_says_so() {
    // Written by Node.js 20's zlib.brotliCompressSync.
    let hex =
        "1b4b006014a1d2413796ea42b2044b79c80741d0c3061cb8b74e3458649787051b6363b9950865b0dbb71923be2f54ead8f0623c02";
    let compressed: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let text = "Words that Brotli packs. Words that it packs again. Words that Brotli packs.";
    let read = |bytes: &[u8], key, content_encoding| {
        let mut found = String::new();
        let hints = Hints { key, content_type: None, content_encoding };
        let outcome = extract(bytes, &hints, &ExtractOptions::default(), None, &mut |section| {
            found += &section.text;
            ControlFlow::Continue(())
        });
        outcome.map(|extracted| (found, extracted.format))
    };
    for (key, content_encoding) in [("a.md", Some("br")), ("a.md", Some("aws-chunked, BR")), ("a.md.br", None)] {
        assert_eq!(read(&compressed, key, content_encoding).unwrap(), (text.to_owned(), Format::Markdown), "{key}");
        // A client on the way has decompressed it.
        assert_eq!(read(text.as_bytes(), key, content_encoding).unwrap().0, text, "{key}");
    }
    let long: Vec<u8> = stored_brotli(&text.repeat(900).into_bytes());
    assert_eq!(read(&long, "a.txt", Some("br")).unwrap().0, text.repeat(900));
    assert!(matches!(read(&long[..long.len() - 9], "a.txt", Some("br")), Err(Unreadable::Broken(_))));
}

/// Brotli (RFC 7932) that holds `bytes` as they are: blocks after a header of 20 bits, and an empty last one.
fn stored_brotli(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    for (number, block) in bytes.chunks(1 << 16).enumerate() {
        // The first bit of all says that the window has 64 KiB.
        let bits = (block.len() as u32 - 1) << 3 | 1 << 19;
        compressed.extend_from_slice(&(if number == 0 { bits << 1 } else { bits }).to_le_bytes()[..3]);
        compressed.extend_from_slice(block);
    }
    compressed.push(3);
    compressed
}

/// A small generator of numbers that look random (Knuth's MMIX), the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// `seed` with a few bytes changed, doubled, removed, or put between.
    fn mutated(&mut self, seed: &[u8], tokens: &[&str]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(4) {
                0 => drop(bytes.drain(at..end)),
                1 => bytes.extend_from_within(at..end),
                2 => bytes[at] = self.below(256) as u8,
                _ => drop(bytes.splice(at..at, tokens[self.below(tokens.len())].bytes())),
            }
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        bytes
    }
}

#[test]
fn mutated_records_are_the_same_wherever_a_buffer_ends() {
    let json = r#"{"text": "on\u00e9 \"two\"", "a": [1, {"b": null}]}
{"title": "x", "c": {"d": [true, 1.5e3]}}
{"text": "three"}
"#;
    let list = format!("[{}]", json.trim_end().replace('\n', ",\n"));
    let table = "1,one,\"a, b\"\n2,\"two\nlines\",\"c \"\"d\"\"\"\n3,three,\n4,four,e\n";
    let tokens = ["\"", "{", "}", "[", "]", ",", ":", "\n", "\r\n", "\"\"", ",\"", "\u{feff}", "\0", "é", "NaN"];
    let mut numbers = Numbers(7);
    for (key, seed, filler) in [
        ("a.jsonl", json, "{\"text\": \"filler\"}\n"),
        ("a.json", json, "{\"text\": \"filler\"}\n"),
        ("a.json", &list, "[\"filler\"]\n"),
        ("a.csv", table, "sep=,\nid,name,note\n0,filler,x\n"),
    ] {
        for number in 0..400 {
            // A letter right before it, so that the same bytes decide about the encoding.
            let mutated = numbers.mutated(seed.as_bytes(), &tokens);
            let after = |blanks: usize| {
                let bytes = [filler.as_bytes(), &vec![b'\n'; blanks], "\"é\"\n".as_bytes(), &mutated].concat();
                read_whole(&bytes, key, &ExtractOptions::default())
            };
            let (texts, reasons) = after(0);
            // The buffer's first 64 KiB end somewhere in the mutated part.
            let lines = numbers.below(mutated.len()) + 30;
            let (far_texts, far_reasons) = after((64 << 10) - lines);
            let shown = String::from_utf8_lossy(&mutated).into_owned();
            assert_eq!(far_texts, texts, "{key}, mutation {number}: {shown:?}");
            assert_eq!(far_reasons.len(), reasons.len(), "{key}, mutation {number}: {shown:?}");
        }
    }
}
