//! The test documents of `make documents`: each is read as its index says, whole and in parts.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use lambda_embed::documents::extract::{Cursor, Section, Skip, Unreadable};
use serde_json::{Map, Value};

use crate::support::document_set::{Expected, index, read};

/// The index's word for the reason why a document is skipped.
fn name(why: Skip) -> String {
    serde_json::to_value(why).unwrap().as_str().unwrap().to_owned()
}

/// Whether every entry of `expected` is in `found`.
fn within(expected: &Map<String, Value>, found: &Value) -> bool {
    expected.iter().all(|(name, value)| found.get(name) == Some(value))
}

/// Words of a peer's reader that have to be read, in a hundred.
const REFERENCE_PERCENT: usize = 98;

/// Words beyond the last one found among which the next one is looked for.
const AHEAD: usize = 40;

/// How many of `reference` are in `words`, in the same order.
fn in_order(reference: &[String], words: &[&str]) -> usize {
    let (mut at, mut found) = (0, 0);
    for word in reference {
        let ahead = &words[at..words.len().min(at + AHEAD)];
        if let Some(next) = ahead.iter().position(|other| other == word) {
            (at, found) = (at + next + 1, found + 1);
        }
    }
    found
}

fn check(expected: &Expected) -> Result<(), String> {
    let file = File::open(expected.path()).map_err(|e| e.to_string())?;
    let (sections, outcome) = read(file, &expected.hints(), None);
    match (expected.outcome.as_str(), outcome) {
        ("skipped", Err(Unreadable::Skipped { why, .. })) if Some(name(why)) == expected.why => Ok(()),
        ("broken", Err(Unreadable::Broken(_))) => Ok(()),
        ("read", Ok(extracted)) => {
            let text: String = sections.iter().map(|section| section.text.as_str()).collect();
            let mut rest = text.as_str();
            for words in &expected.contains {
                let at = rest.find(words).ok_or_else(|| format!("{words:?} is not in {:.2000}", text))?;
                rest = &rest[at + words.len()..];
            }
            let texts: Vec<_> = sections.iter().map(|section| section.text.as_str()).collect();
            let words: Vec<_> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
            if expected.words.as_ref().is_some_and(|expected| *expected != words.join(" ")) {
                return Err(format!("read as {words:?}"));
            }
            let found = in_order(&expected.reference, &words);
            if found * 100 < expected.reference.len() * REFERENCE_PERCENT {
                return Err(format!("{found} of {} words of the reference: {words:?}", expected.reference.len()));
            }
            if !expected.texts.is_empty() && texts != expected.texts {
                return Err(format!("read as {texts:#?}"));
            }
            if let Some(whole) = &expected.text {
                let sections: Vec<_> = sections.iter().map(|section| section.text.as_str()).collect();
                let text = sections.join("\n\n");
                if text != *whole {
                    return Err(format!("expected {whole:?}\n     found {text:?}"));
                }
            }
            if text.contains("hidden words") {
                return Err(format!("what no reader sees was read: {text}"));
            }
            if Some(extracted.format) != expected.format {
                return Err(format!("read as {:?}", extracted.format));
            }
            if expected.charset.as_ref().is_some_and(|charset| charset != extracted.charset) {
                return Err(format!("decoded from {}", extracted.charset));
            }
            if extracted.skipped_records.count != expected.left_out {
                return Err(format!("left out {:?}", extracted.skipped_records));
            }
            let found = sections.iter().any(|section| {
                within(&expected.place, &serde_json::to_value(&section.place).unwrap())
                    && within(&expected.fields, &Value::Object(section.fields.clone()))
            });
            let place = |section: &Section| format!("{:?} {:?}", section.place, section.fields);
            found
                .then_some(())
                .ok_or_else(|| format!("no section at {:?}", sections.iter().map(place).collect::<Vec<_>>()))
        }
        (_, Ok(extracted)) => Err(format!("read: {extracted:?}")),
        (_, Err(e)) => Err(format!("{e:?}")),
    }
}

#[test]
fn every_document_is_read_or_skipped_or_refused_as_its_index_says() {
    needs!(documents);
    let index = index();
    assert!(index.len() > 70, "the index is whole");
    let wrong: Vec<_> = index
        .iter()
        .filter_map(|expected| check(expected).err().map(|why| format!("{}: {why}", expected.file)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn reading_resumes_at_any_cursor_with_the_same_result() {
    needs!(documents);
    let index = index();
    let mut cursors = 0;
    for expected in index.iter().filter(|expected| expected.outcome == "read") {
        let open = || File::open(expected.path()).unwrap();
        let (whole, outcome) = read(open(), &expected.hints(), None);
        let outcome = outcome.unwrap();
        for (number, section) in whole.iter().enumerate() {
            let Some(cursor) = &section.resume else { continue };
            cursors += 1;
            // Through JSON, as in a checkpoint.
            let cursor: Cursor = serde_json::from_str(&serde_json::to_string(cursor).unwrap()).unwrap();
            let mut file = open();
            file.seek(SeekFrom::Start(cursor.byte)).unwrap();
            let (rest, again) = read(file, &expected.hints(), Some(&cursor));
            assert_eq!(rest, whole[number + 1..], "{} after section {number}", expected.file);
            assert_eq!(again.unwrap(), outcome, "{} after section {number}", expected.file);
        }
    }
    assert!(cursors > 200, "{cursors} cursors");
}
