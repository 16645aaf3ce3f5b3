//! The checks of the fuzz targets on any bytes, through the library's public functions. `tests/it/mutations.rs` runs
//! them on a fixed number of mutations.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use lambda_embed::Result;
use lambda_embed::config::Config;
use lambda_embed::documents::extract::pdf::layout::{self, Field, Glyph};
use lambda_embed::documents::extract::{ExtractOptions, Extracted, Hints, Unreadable, extract};
use lambda_embed::event::{self, HttpResponse, Invocation};
use lambda_embed::http_api::{openai, qdrant_inference, tei};
use lambda_embed::model::Manifest;

/// The model whose requests the parsers expect.
static MODEL: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_bytes!("../../models/fixture/manifest.json")).expect("the fixture's manifest is valid")
});

/// What they allow unless a variable says otherwise.
static CONFIG: LazyLock<Config> =
    LazyLock::new(|| Config::resolve([], Path::new("/")).expect("the defaults are understood"));

/// Decodes `bytes` as a Lambda event, decompresses its body and puts an answer into its source's envelope.
pub fn event(bytes: &[u8]) {
    /// Small, so that bodies below and above it are tried.
    const BODY_LIMIT: usize = 4096;
    if let Ok(Invocation::Http(source, request)) = event::decode(bytes) {
        let body = request.bytes(BODY_LIMIT).unwrap_or_default().into_owned();
        assert!(body.len() <= BODY_LIMIT, "a body beyond its limit came through");
        let response = HttpResponse { status: Default::default(), headers: request.headers, body };
        let _ = source.encode(response);
    }
}

/// Reads `bytes` as a web page. What is emitted lies in the text where it says.
pub fn html(bytes: &[u8]) {
    let hints = Hints { key: "page.html", content_type: Some("text/html"), content_encoding: None };
    let mut end = 0;
    let outcome = extract(bytes, &hints, &ExtractOptions::default(), None, &mut |section| {
        assert!(section.start >= end, "a section overlaps the one before it");
        end = section.start + section.text.chars().count();
        ControlFlow::Continue(())
    });
    assert_no_panic(&outcome);
    assert!(outcome.is_err() || outcome.is_ok_and(|read| read.characters >= end));
}

/// Reads `bytes` as a document, once under each extension that leads to a reader of its own.
pub fn document(bytes: &[u8]) {
    ["a", "a.docx", "a.eml", "a.rtf", "a.epub", "a.xml", "a.csv", "a.json"].iter().for_each(|key| read(key, bytes));
}

/// Reads `bytes` as XML.
pub fn xml(bytes: &[u8]) {
    read("a.xml", bytes);
}

/// Reads `bytes` as Rich Text.
pub fn rtf(bytes: &[u8]) {
    read("a.rtf", &[b"{\\rtf1 ", bytes].concat());
}

/// Reads `bytes` as a mail.
pub fn mail(bytes: &[u8]) {
    read("a.eml", bytes);
}

/// Reads `bytes` as a table and as records of JSON, from their start and from each place where reading can go on.
pub fn records(bytes: &[u8]) {
    ["a.csv", "a.tsv", "a.jsonl", "a.json"].iter().for_each(|key| read(key, bytes));
}

/// Reads `bytes` as the main part of each kind of office document, packed.
pub fn office(bytes: &[u8]) {
    for (key, before, part) in OFFICE {
        let parts = before.iter().map(|(name, content)| (*name, content.as_bytes())).chain([(*part, bytes)]);
        read(key, &stored(parts));
    }
}

/// Puts `bytes`, as glyphs of a page, into lines, paragraphs and columns, as a PDF's are.
pub fn pdf_layout(bytes: &[u8]) {
    let (glyphs, rest) = bytes.as_chunks::<9>();
    // A place on the page, a size and a character from each; what is left is typed into fields.
    let glyph = |bytes: &[u8; 9]| {
        let [left, bottom, width, height] =
            [0, 2, 4, 6].map(|at| f32::from(i16::from_le_bytes([bytes[at], bytes[at + 1]])) / 8.0);
        let code = u32::from(bytes[8]) * if bytes[4] < 128 { 1 } else { 0x101 };
        Glyph { code, left, bottom, right: left + width, top: bottom + height }
    };
    let field = |byte: &u8| Field {
        text: byte.to_string(),
        place: byte.is_multiple_of(2).then_some((f32::from(*byte), 0.0, 9.0)),
    };
    let glyphs: Vec<_> = glyphs.iter().map(glyph).collect();
    let text = layout::text(&glyphs, rest.iter().map(field).collect());
    assert!(rest.iter().all(|byte| text.contains(&byte.to_string())), "a field is lost");
}

/// Nothing may panic, what is emitted is in order, and from a cursor on reading gives the same rest.
fn read(key: &str, bytes: &[u8]) {
    let hints = Hints { key, ..Hints::default() };
    let (mut end, mut sections) = (0, Vec::new());
    let outcome = extract(bytes, &hints, &ExtractOptions::default(), None, &mut |section| {
        assert!(section.start >= end || section.place.record.is_some(), "sections overlap");
        end = section.start + section.text.chars().count();
        sections.push(section);
        ControlFlow::Continue(())
    });
    assert_no_panic(&outcome);
    let Some((number, cursor)) =
        sections.iter().enumerate().find_map(|(number, section)| Some((number, section.resume.as_ref()?)))
    else {
        return;
    };
    let mut rest = sections[number + 1..].iter();
    let again =
        extract(&bytes[cursor.byte as usize..], &hints, &ExtractOptions::default(), Some(cursor), &mut |section| {
            assert_eq!(Some(&section), rest.next(), "reading goes on with another section");
            ControlFlow::Continue(())
        });
    assert_eq!((rest.next(), again.is_ok()), (None, outcome.is_ok()), "reading goes on to another end");
}

/// Fails if the reader of the document panicked, or of one within it: `extract` catches that.
pub fn assert_no_panic(outcome: &Result<Extracted, Unreadable>) {
    let said = match outcome {
        Ok(read) => read.skipped_records.reasons.join("\n"),
        Err(error) => error.to_string(),
    };
    // Where debug assertions are on, as in fuzz targets, mail-parser's own may fail (panics.rs).
    assert!(cfg!(debug_assertions) || !said.contains("its reader gave up"), "{said}");
}

type Parts = &'static [(&'static str, &'static str)];

/// For each kind: a name, the parts around the main one, and the main one's name.
const OFFICE: &[(&str, Parts, &str)] = &[
    (
        "a.docx",
        &[("_rels/.rels", "<a><Relationship Id='r' Type='/officeDocument' Target='word/d.xml'/></a>")],
        "word/d.xml",
    ),
    (
        "a.xlsx",
        &[
            ("_rels/.rels", "<a><Relationship Id='r' Type='/officeDocument' Target='xl/w.xml'/></a>"),
            ("xl/w.xml", "<a><sheet name='s' r:id='r'/></a>"),
            ("xl/_rels/w.xml.rels", "<a><Relationship Id='r' Type='/worksheet' Target='s.xml'/></a>"),
        ],
        "xl/s.xml",
    ),
    (
        "a.pptx",
        &[
            ("_rels/.rels", "<a><Relationship Id='r' Type='/officeDocument' Target='ppt/p.xml'/></a>"),
            ("ppt/p.xml", "<a><sldId r:id='r'/></a>"),
            ("ppt/_rels/p.xml.rels", "<a><Relationship Id='r' Type='/slide' Target='s.xml'/></a>"),
        ],
        "ppt/s.xml",
    ),
    ("a.odt", &[("mimetype", "application/vnd.oasis.opendocument.text")], "content.xml"),
    ("a.ods", &[("mimetype", "application/vnd.oasis.opendocument.spreadsheet")], "content.xml"),
    (
        "a.epub",
        &[
            ("mimetype", "application/epub+zip"),
            ("META-INF/container.xml", "<a><rootfile full-path='b.opf'/></a>"),
            ("b.opf", "<a><item id='c' href='c.xhtml'/><itemref idref='c'/></a>"),
        ],
        "c.xhtml",
    ),
];

/// A zip file of these parts, as they are.
fn stored<'p>(parts: impl Iterator<Item = (&'p str, &'p [u8])>) -> Vec<u8> {
    let (mut bytes, mut directory, mut entries) = (Vec::new(), Vec::new(), 0_u16);
    for (name, content) in parts {
        let numbers = [crc32(content), content.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &numbers, &(name.len() as u16).to_le_bytes()].concat();
        let offset = (bytes.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 12], &offset, name.as_bytes()].concat());
        bytes.extend([b"PK\x03\x04", &common[..], &[0, 0], name.as_bytes(), content].concat());
        entries += 1;
    }
    let sizes = [directory.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
    let count = entries.to_le_bytes();
    [&bytes[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &sizes, &[0, 0]].concat()
}

/// The check sum of zip files (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step =
        |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)));
    !bytes.iter().fold(u32::MAX, step)
}

/// Parses `bytes` as a request body under OpenAI's contract.
pub fn openai_body(bytes: &[u8]) -> Result<()> {
    openai::Request::parse(bytes, &MODEL, &CONFIG).map(drop)
}

/// Parses `bytes` as a request body under text-embeddings-inference's contract.
pub fn tei_body(bytes: &[u8]) -> Result<()> {
    tei::Request::parse(bytes, &MODEL).map(drop)
}

/// Parses `bytes` as a request body under Qdrant's inference contract.
pub fn qdrant_body(bytes: &[u8]) -> Result<()> {
    qdrant_inference::Request::parse(bytes, &MODEL, &CONFIG).map(drop)
}
