//! Office documents, e-books and mail of `make documents`: cut off anywhere, and changed anywhere.

use std::io::{Cursor, Read};
use std::time::{Duration, Instant};

use lambda_embed::documents::extract::{Hints, Skip, Unreadable};

use crate::mutations::fuzz_checks::assert_no_panic;
use crate::support::document_set::{Expected, index, read};

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
            assert_no_panic(&read(changed.as_slice(), &expected.hints(), None).1);
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
