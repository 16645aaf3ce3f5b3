//! Documents that are made to do harm: each is read, skipped or broken, in bounded time, and the process that reads it
//! takes no more memory than docs/documents.md says.

use serde_json::json;

use crate::support::function::Function;
use crate::support::hostile::{Cost, SPINE, book, cost, everywhere, presentation, relations, word, workbook, zipped};
use crate::support::pipeline::{created, document_function, notification};
use crate::support::s3_server::Bucket;
use crate::support::zip::Zip;

/// Megabytes that reading may take beside a document that is held whole, and those of a workbook's shared texts.
const MEMORY: u64 = 128;
const SHARED: u64 = 128;

#[test]
#[ignore = "the other tests run it in a process of its own"]
fn reads_one() {
    crate::support::hostile::reads_one();
}

/// What reading costs, which is within the bounds.
fn bounded(key: &str, bytes: &[u8]) -> Cost {
    let cost = cost(key, bytes);
    let whole = bytes.len() as u64 >> 20;
    let most = MEMORY + whole.min(33) + if key.ends_with("xlsx") { SHARED } else { 0 };
    assert!(cost.megabytes <= most, "{key} of {whole} MB: {} MB, {}", cost.megabytes, cost.outcome);
    cost
}

/// `megabytes` of letters that pack to an eighth, so that they are no bomb.
fn letters(megabytes: usize) -> String {
    let mut random = fastrand::Rng::with_seed(19);
    (0..megabytes << 20).map(|_| if random.bool() { 'a' } else { 'b' }).collect()
}

/// A comment that does not pack, so that what is beside it may.
fn padding() -> String {
    let mut random = fastrand::Rng::with_seed(20);
    format!("<!--{}-->", (0..1 << 20).map(|_| random.alphanumeric()).collect::<String>())
}

#[test]
fn a_zip_bomb_of_each_kind_is_refused() {
    for (key, bytes) in everywhere("", &"<x/>".repeat(64 << 20 >> 2)) {
        // XML that is stored as it is, is no bomb.
        let expected = if key == "a.xml" { "empty" } else { "packed_too_far" };
        assert_eq!(bounded(key, &bytes).outcome, expected, "{key}");
    }
}

#[test]
fn zip_bombs_within_other_documents_are_refused() {
    let bomb = zipped(&word("", &"<w:p/>".repeat(64 << 20 >> 3), &[]));
    let chunks: Vec<String> = (0..30).map(|number| format!("bomb{number}.docx")).collect();
    let links: Vec<_> = chunks.iter().map(|chunk| ("aFChunk", chunk.as_str())).collect();
    let body: String = (1..=links.len()).map(|number| format!("<w:altChunk r:id='r{number}'/>")).collect();
    let parts = word("", &format!("<w:p><w:r><w:t>outer</w:t></w:r></w:p>{body}"), &links);
    let mut zip = Zip::default();
    parts.iter().for_each(|(name, content)| zip.add(name, content.as_bytes()));
    chunks.iter().for_each(|chunk| zip.add(&format!("word/{chunk}"), &bomb));
    let cost = bounded("a.docx", &zip.finish());
    assert_eq!((cost.outcome.as_str(), cost.text.as_str()), ("packed_too_far", "outer"));
    let attachment = |number: usize| {
        let head =
            format!("Content-Type: application/octet-stream; name=\"{number}.docx\"\nContent-Disposition: attachment");
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bomb);
        format!("--b\n{head}\nContent-Transfer-Encoding: base64\n\n{body}\n")
    };
    let head = "From: a@b.test\nSubject: Bombs\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n";
    let mail = format!("{head}{}--b--\n", (0..30).map(attachment).collect::<String>());
    assert_eq!(bounded("a.eml", mail.as_bytes()).outcome, "read");
}

#[test]
fn sizes_that_a_zip_states_are_not_believed() {
    let text =
        format!("<w:document><w:body>{}</w:body></w:document>", "<w:p><w:r><w:t>word</w:t></w:r></w:p>".repeat(1000));
    for stated in [0, 1, 1000, u32::MAX - 1] {
        let mut zip = Zip::default();
        zip.add("_rels/.rels", relations(&[("officeDocument", "word/document.xml")]).as_bytes());
        zip.add_stating("word/document.xml", text.as_bytes(), stated);
        let cost = bounded("a.docx", &zip.finish());
        assert!(
            cost.outcome == "broken" || (cost.outcome == "read" && cost.text.ends_with("word")),
            "{stated}: {cost:?}"
        );
    }
}

#[test]
fn directories_that_lie_or_have_no_end_are_refused() {
    let small = || {
        let mut zip = Zip::default();
        word("", "<w:p><w:r><w:t>word</w:t></w:r></w:p>", &[])
            .iter()
            .for_each(|(name, part)| zip.add(name, part.as_bytes()));
        zip
    };
    assert_eq!(bounded("a.docx", &small().finish_zip64(None, None)).text, "word");
    for (entries, offset) in [(Some(u64::MAX), None), (Some(1 << 40), None), (None, Some(u64::MAX)), (None, Some(0))] {
        assert_eq!(
            bounded("a.docx", &small().finish_zip64(entries, offset)).outcome,
            "broken",
            "{entries:?} {offset:?}"
        );
    }
    let mut many = small();
    (0..70_000).for_each(|number| many.list_empty(&number.to_string()));
    assert_eq!(bounded("a.docx", &many.finish_zip64(None, None)).outcome, "too_large");
    // An empty name is the least that an entry can have.
    let mut many = small();
    (0..500_000).for_each(|_| many.list_empty(""));
    assert_eq!(bounded("a.docx", &many.finish()).outcome, "too_large");
}

#[test]
fn ten_thousand_nested_elements_of_each_kind_are_read() {
    for (key, bytes) in everywhere("", &format!("{}deep{}", "<x>".repeat(10_000), "</x>".repeat(10_000))) {
        let cost = bounded(key, &bytes);
        assert_eq!((cost.outcome.as_str(), cost.text.as_str()), ("read", "deep"), "{key}");
    }
    let tables = format!("{}deep{}", "<w:tbl><w:tr><w:tc>".repeat(10_000), "</w:tc></w:tr></w:tbl>".repeat(10_000));
    let boxes =
        format!("{}deep{}", "<w:p><w:r><w:txbxContent>".repeat(10_000), "</w:txbxContent></w:r></w:p>".repeat(10_000));
    for body in [tables, boxes] {
        bounded("a.docx", &zipped(&word("", &body, &[])));
    }
    let groups = format!("{{\\rtf1 {}deep{}}}", "{\\footnote ".repeat(10_000), "}".repeat(10_000));
    assert_eq!(bounded("a.rtf", groups.as_bytes()).text, "deep");
}

#[test]
fn cycles_end() {
    let itself =
        word("", "<w:p><w:r><w:t>word</w:t></w:r></w:p><w:altChunk r:id='r1'/>", &[("aFChunk", "document.xml")]);
    assert_eq!(bounded("a.docx", &zipped(&itself)).outcome, "read");
    let styles = "<w:style w:styleId='a'><w:basedOn w:val='b'/></w:style><w:style w:styleId='b'><w:basedOn w:val='a'/></w:style>";
    let mut circle = word(
        "",
        "<w:p><w:pPr><w:pStyle w:val='a'/></w:pPr><w:r><w:t>word</w:t></w:r></w:p>",
        &[("styles", "styles.xml")],
    );
    circle.push(("word/styles.xml", format!("<w:styles>{styles}</w:styles>")));
    assert_eq!(bounded("a.docx", &zipped(&circle)).text, "word");
    let slide = "<p:sp><a:p><a:r><a:t>word</a:t></a:r></a:p></p:sp>";
    let notes = presentation("", slide, &[("notesSlide", "slide1.xml"), ("diagramData", "slide1.xml")]);
    assert_eq!(bounded("a.pptx", &zipped(&notes)).outcome, "read");
    let again = book(&format!("{SPINE}{}", "<itemref idref='a'/>".repeat(5000)), "<p>word</p>");
    assert_eq!(bounded("a.epub", &zipped(&again)).text, "word");
}

#[test]
fn a_text_of_100_megabytes_is_too_large_in_each_kind() {
    let text = letters(100);
    for (key, bytes) in everywhere("", &text) {
        assert_eq!(bounded(key, &bytes).outcome, "too_large", "{key}");
    }
    // In pieces, each of which is small.
    let pieces =
        text.as_bytes().chunks(1000).map(|piece| format!("{}<y/>", str::from_utf8(piece).unwrap())).collect::<String>();
    for (key, bytes) in everywhere("", &pieces) {
        let expected = if key == "a.xml" { "read" } else { "too_large" };
        assert_eq!(bounded(key, &bytes).outcome, expected, "{key}");
    }
    for (key, start, end) in [
        ("a.csv", "text\n\"", "\"\n"),
        ("a.csv", "text\n", "\n"),
        ("a.tsv", "text\n", "\n"),
        ("a.rtf", "{\\rtf1 ", "}"),
        ("a.json", "{\"text\":\"", "\"}"),
    ] {
        assert_eq!(bounded(key, [start, &text, end].concat().as_bytes()).outcome, "too_large", "{key}");
    }
}

#[test]
fn a_billion_laughs_are_not_laughed() {
    let entity = |n: u32| format!("<!ENTITY l{} '{}'>", n + 1, format!("&l{n};").repeat(10));
    let prolog = format!(
        "<!DOCTYPE x [<!ENTITY l0 'ha'>{}<!ENTITY f SYSTEM 'file:///etc/passwd'>]>",
        (0..9).map(entity).collect::<String>()
    );
    for (key, bytes) in everywhere(&prolog, "A &l9;&f;word") {
        let cost = bounded(key, &bytes);
        assert!(cost.outcome == "read" && cost.text.contains("A ") && cost.text.ends_with("word"), "{key}: {cost:?}");
        assert!(cost.text.len() < 40 && !cost.text.contains("root"), "{key}: {cost:?}");
    }
}

#[test]
fn lists_without_end_take_no_memory_without_end() {
    let (padding, many) = (padding(), 1 << 20);
    let with = |mut parts: Vec<(&'static str, String)>, more: &[(&'static str, String)]| {
        parts.extend_from_slice(more);
        zipped(&parts)
    };
    let plain = "<w:p><w:r><w:t>word</w:t></w:r></w:p>";
    let list = |name: &str, item: &str, times: usize| format!("{padding}<{name}>{}</{name}>", item.repeat(times));
    let numbered = |name: &str, item: fn(usize) -> String| {
        format!("{padding}<{name}>{}</{name}>", (0..600_000).map(item).collect::<String>())
    };
    let footnotes = [("footnotes", "footnotes.xml"), ("styles", "styles.xml")];
    let documents = [
        (
            "a.docx",
            with(
                word(
                    "",
                    &format!(
                        "{padding}{plain}{}",
                        "<w:headerReference r:id='r1'/><w:altChunk r:id='r1'/>".repeat(many)
                    ),
                    &[("header", "h.xml")],
                ),
                &[],
            ),
        ),
        (
            "a.docx",
            with(
                word("", plain, &footnotes),
                &[(
                    "word/footnotes.xml",
                    numbered("f", |n| format!("<footnote id='{n}'><p><r><t>a") + "</t></r></p></footnote>"),
                )],
            ),
        ),
        (
            "a.docx",
            with(
                word("", plain, &footnotes),
                &[("word/styles.xml", numbered("s", |n| format!("<style styleId='{n}'/>")))],
            ),
        ),
        ("a.docx", with(word("", plain, &[]), &[("docProps/core.xml", list("c", "<a/>", 7 * many))])),
        (
            "a.docx",
            with(
                word("", plain, &[]),
                &[("[Content_Types].xml", numbered("t", |n| format!("<O PartName='/{n}' ContentType='a'/>")))],
            ),
        ),
        (
            "a.docx",
            with(
                vec![word("", plain, &[])[0].clone(), word("", plain, &[])[1].clone()],
                &[(
                    "word/_rels/document.xml.rels",
                    numbered("r", |n| format!("<Relationship Id='{n}' Type='a' Target='b'/>")),
                )],
            ),
        ),
        (
            "a.xlsx",
            with(
                workbook(
                    "",
                    "<row><c t='s'><v>0</v></c></row>",
                    &format!("{padding}<si><t>a</t></si>{}", "<si/>".repeat(20 * many)),
                ),
                &[],
            ),
        ),
        ("a.xlsx", with(workbook("", &format!("{padding}<row>{}</row>", "<c><v>1</v></c>".repeat(2 * many)), ""), &[])),
        (
            "a.pptx",
            with(
                presentation("", &format!("{padding}{}", "<p:sp><a:p><a:t>a</a:t></a:p></p:sp>".repeat(2 * many)), &[]),
                &[],
            ),
        ),
        ("a.epub", zipped(&book(&numbered("m", |n| format!("<item id='{n}' href='{n}'/><itemref idref='{n}'/>")), ""))),
        ("a.eml", format!("From: a@b.test\nSubject: c\n{}\nbody", "a:\n".repeat(8 * many)).into_bytes()),
        (
            "a.eml",
            format!(
                "From: a@b.test\nSubject: c\nContent-Type: multipart/mixed; boundary=b\n\n{}",
                "--b\n\na\n".repeat(3 * many)
            )
            .into_bytes(),
        ),
        ("a.eml", format!("From: a@b.test\nSubject: c\nTo: {}\n\nbody", "a@b.c,".repeat(4 * many)).into_bytes()),
        ("a.rtf", format!("{{\\rtf1 \\intbl {}}}", "a\\cell ".repeat(20 * many)).into_bytes()),
        ("a.rtf", format!("{{\\rtf1 {}}}", "\\footnote ".repeat(8 * many)).into_bytes()),
        (
            "a.rtf",
            format!("{{\\rtf1 {}}}", (0..2 * many).map(|n| format!("{{\\header {n}}}")).collect::<String>())
                .into_bytes(),
        ),
        ("a.rtf", format!("{{\\rtf1 {}}}", "{\\footnote a}".repeat(4 * many)).into_bytes()),
        ("a.csv", format!("a,b\n{}\n1,2\n", ",".repeat(7 * many)).into_bytes()),
        ("a.csv", format!("{}\n1,2\n", "a,".repeat(3 * many)).into_bytes()),
        ("a.csv", format!("{}\n{}\n", "a,".repeat(100_000), "1,".repeat(100_000)).into_bytes()),
        ("a.json", format!("{{\"text\":\"a\",\"b\":[{}{{}}]}}", "{\"\":0},".repeat(many)).into_bytes()),
        ("a.xml", format!("<a>{}</a>", "<b>c</b>".repeat(8 * many)).into_bytes()),
        ("a.html", "<p>a<b>".repeat(2 * many).into_bytes()),
    ];
    for (number, (key, bytes)) in documents.iter().enumerate() {
        eprint!("{number}: ");
        bounded(key, bytes);
    }
}

#[test]
fn the_process_that_answers_others_lives_on() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("hostile-docs"), Bucket::new("hostile-vecs"));
    let function: Function = document_function(&vectors, documents.server, &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]);
    let laughs = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]>";
    let mut hostile = everywhere("", &"<x/>".repeat(24 << 20 >> 2));
    hostile.extend(everywhere("", &"<x>".repeat(40_000)));
    hostile.extend(everywhere(laughs, "A &b;word"));
    let mut keys = Vec::new();
    for (number, (key, bytes)) in hostile.iter().enumerate() {
        keys.push(format!("{number}/{key}"));
        documents.put(keys.last().unwrap(), &[], bytes);
    }
    documents.put("good.txt", &[], b"A good text.");
    let id = |key: &str| notification(&[created(&documents.name, key)]);
    keys.iter().for_each(|key| drop(function.api.send(&id(key))));
    function.api.send(&json!({"inputs": "hello"}));
    function.api.send(&id("good.txt"));
    for _ in 0..keys.len() + 2 {
        let report = function.api.report(crate::support::function::LONG).unwrap();
        assert_eq!(report.kind, "response", "{}", report.body);
    }
    let written = vectors.get(&format!("out/{}/good.txt.jsonl", documents.name));
    assert!(written.is_some_and(|lines| lines.starts_with(b"{")));
    let megabytes = function.memory("VmHWM:");
    eprintln!("{} hostile documents, four at once: {megabytes:.0} MB", keys.len());
    assert!(megabytes < 700.0, "{megabytes}");
}
