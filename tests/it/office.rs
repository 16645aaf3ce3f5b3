//! Office documents, e-books and mail of `make documents`: cut off anywhere, changed anywhere, and against LibreOffice.

use std::io::{Cursor, Read};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lambda_embed::documents::extract::{Hints, Skip, Unreadable};

use crate::support::document_set::{Expected, index, read};
use crate::support::parts;

/// What one document may take: a hostile one reads as much as its limits let it.
const PATIENCE: Duration = Duration::from_secs(20);

fn office() -> Vec<Expected> {
    let formats = ["docx", "pptx", "xlsx", "odt", "ods", "odp", "epub", "eml", "rtf"];
    let is_office = |expected: &Expected| formats.iter().any(|format| expected.key.ends_with(format));
    index().into_iter().filter(is_office).collect()
}

#[test]
fn a_document_that_is_cut_off_is_broken_and_never_empty() {
    needs!(documents);
    for expected in office().iter().filter(|expected| expected.outcome == "read") {
        let whole = std::fs::read(expected.path()).unwrap();
        let began = Instant::now();
        for end in (0..whole.len()).step_by(1024).skip(1) {
            let (sections, outcome) = read(&whole[..end], &expected.hints(), None);
            match outcome {
                Err(Unreadable::Broken(_)) => {}
                // Mail is valid wherever it ends, as text is, and a short start of it is text.
                Ok(_) if !sections.is_empty() && expected.key.ends_with("eml") => {}
                other => panic!("{} cut at {end}: {other:?}", expected.file),
            }
        }
        assert!(began.elapsed() < PATIENCE * 5, "{} took {:?}", expected.file, began.elapsed());
    }
}

#[test]
fn changed_bytes_cause_no_panic_and_no_hang() {
    needs!(documents);
    let mut random = fastrand::Rng::with_seed(19);
    for expected in office() {
        let whole = std::fs::read(expected.path()).unwrap();
        // The large ones are bombs, which are the same bytes again and again.
        for _ in 0..if whole.len() < 100_000 { 60 } else { 2 } {
            let mut changed = whole.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..changed.len());
                match random.u8(..3) {
                    0 => changed[at] = random.u8(..),
                    1 => drop(changed.remove(at)),
                    _ => changed.insert(at, random.u8(..)),
                }
            }
            let began = Instant::now();
            let _ = read(changed.as_slice(), &expected.hints(), None);
            assert!(began.elapsed() < PATIENCE, "{} took {:?}", expected.file, began.elapsed());
        }
    }
}

#[test]
fn a_cell_of_100_megabytes_is_too_large() {
    let hints = Hints { key: "a.rtf", ..Hints::default() };
    let rich = Cursor::new(&b"{\\rtf1 "[..]).chain(std::io::repeat(b'a').take(100 << 20));
    let (sections, outcome) = read(rich, &hints, None);
    assert!(matches!(outcome, Err(Unreadable::Skipped { why: Skip::TooLarge, .. })), "{outcome:?}");
    assert!(sections.is_empty());
}

/// LibreOffice, which converts what it reads to text; `None` where it is not installed.
fn libreoffice() -> Option<&'static str> {
    ["soffice", "libreoffice"].into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
}

/// The words of `file` as LibreOffice reads it.
fn reference(program: &str, file: &Path, filter: &str) -> Vec<String> {
    // A profile for each file: LibreOffice hands a second start over to one that is ending.
    let name = file.file_name().unwrap().display();
    let folder = std::env::temp_dir().join(format!("lambda-embed-reference-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let profile = format!("-env:UserInstallation=file://{}/profile", folder.display());
    let status = Command::new(program)
        .args([profile.as_str(), "--headless", "--convert-to", filter, "--outdir"])
        .arg(&folder)
        .arg(file)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let extension = filter.split(':').next().unwrap();
    let converted = folder.join(file.file_stem().unwrap()).with_extension(extension);
    let text = std::fs::read_to_string(&converted).unwrap_or_else(|e| panic!("{}: {e}", converted.display()));
    std::fs::remove_dir_all(&folder).unwrap();
    // Of XML the text between tags, from the body on.
    let mut body = text.find("<office:body>").map_or(text.clone(), |at| text[at..].to_owned());
    // Pictures, comments, and the numbers of notes and pages, which are no words of the text.
    for element in ["office:binary-data", "office:annotation", "text:note-citation", "text:page-number"] {
        body = without(&body, element);
    }
    let mut plain = String::new();
    let mut rest = body.as_str();
    while let Some((before, after)) = rest.split_once('<').filter(|_| extension.starts_with("fod")) {
        plain.push_str(before);
        plain.push(' ');
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    words(&plain)
}

/// `xml` without the elements of this name, which hold none of the same name.
fn without(xml: &str, element: &str) -> String {
    let (start, end) = (format!("<{element}"), format!("</{element}>"));
    let mut kept = String::new();
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once(&start) {
        kept.push_str(before);
        rest = after.split_once(&end).map_or("", |(_, after)| after);
    }
    kept + rest
}

fn words(text: &str) -> Vec<String> {
    let separators = |c: char| !c.is_alphanumeric();
    text.split(separators).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The length of the longest sequence that both have in this order.
fn in_order(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (index, other) in b.iter().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if word == other { diagonal + 1 } else { above.max(row[index]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[test]
#[ignore = "`make reference` runs it"]
fn of_the_words_that_libreoffice_finds_98_in_100_are_read_in_their_order() {
    needs!(documents, libreoffice);
    let Some(program) = libreoffice() else { parts::missing("libreoffice") };
    let filters = [
        ("report.docx", "txt:Text (encoded):UTF8"),
        ("german.docx", "txt:Text (encoded):UTF8"),
        ("text.odt", "fodt"),
        ("deck.pptx", "fodp"),
        ("deck.odp", "fodp"),
        ("table.xlsx", "fods"),
        ("formulas.xlsx", "fods"),
        ("table.ods", "fods"),
    ];
    for (key, filter) in filters {
        let index = index();
        let expected = index.iter().find(|expected| expected.key == key).unwrap();
        let theirs = reference(program, &expected.path(), filter);
        let (sections, outcome) = read(std::fs::File::open(expected.path()).unwrap(), &expected.hints(), None);
        outcome.unwrap();
        let ours: Vec<_> = sections.iter().flat_map(|section| words(&section.text)).collect();
        let found = in_order(&theirs, &ours);
        eprintln!("{key}: {found} of LibreOffice's {} words, {} of ours", theirs.len(), ours.len());
        assert!(!theirs.is_empty() && found * 100 >= theirs.len() * 98, "{key}\ntheirs {theirs:?}\nours {ours:?}");
    }
}
