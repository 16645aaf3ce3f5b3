//! The fuzz targets' bodies on a stable toolchain: a fixed number of mutations of the checked-in seeds,
//! the same ones every time. `make fuzz` looks further, with coverage as its guide.

use std::path::Path;

use lambda_embed::Result;
use lambda_embed::observability::call::Call;

use crate::support::harness::{block_on, fixture_handler, root};

#[path = "../../fuzz/src/checks.rs"]
pub mod fuzz_checks;

/// Marsaglia's xorshift64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Pieces that break JSON, numbers and text.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\\ud800",
    b"\\u0000",
    b"\xff",
    b"\xf0\x9f",
    b"[[[[[[[[",
    b"{\"a\":",
    b",",
    b":",
    b"\"inputs\"",
    b"\"input\"",
    b"\"truncate\"",
    b"\"mean\"",
    b"0.0",
    b"\"isBase64Encoded\":true",
    b"\"body\":null",
    b"\"httpMethod\"",
    b"\"requestContext\":{\"http\":{}}",
    b"/../",
    b"%",
];

fn mutated(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=random.below(2) {
        let place = random.below(data.len() + 1);
        let end = (place + random.below(24)).min(data.len());
        match random.below(6) {
            0 if place < data.len() => data[place] ^= 1 << random.below(8),
            1 => drop(data.drain(place..end)),
            2 => drop(data.splice(place..end, WORDS[random.below(WORDS.len())].iter().copied())),
            3 => {
                let copy = data[place..end].to_vec();
                drop(data.splice(place..place, copy));
            }
            4 => {
                let from = random.below(other.len() + 1);
                data.truncate(place);
                data.extend(&other[from..]);
            }
            _ => data.insert(place, random.next() as u8),
        }
    }
    data
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "{} seeds in {}", paths.len(), folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn each_mutation(folder: &str, count: usize, mut check: impl FnMut(&[u8])) {
    let seeds = seeds(&root().join(folder));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..count {
        let other = &seeds[random.below(seeds.len())];
        check(&mutated(&seeds[round % seeds.len()], other, &mut random));
    }
}

#[test]
fn mutated_events_are_decoded_or_refused() {
    each_mutation("events", 20_000, fuzz_checks::event);
}

#[test]
fn mutated_documents_are_read_or_refused() {
    each_mutation("fuzz/seeds/document", 4_000, fuzz_checks::document);
    each_mutation("fuzz/seeds/xml", 4_000, fuzz_checks::xml);
    each_mutation("fuzz/seeds/rtf", 4_000, fuzz_checks::rtf);
    each_mutation("fuzz/seeds/mail", 4_000, fuzz_checks::mail);
    each_mutation("fuzz/seeds/records", 4_000, fuzz_checks::records);
    each_mutation("fuzz/seeds/office", 2_000, fuzz_checks::office);
    each_mutation("fuzz/seeds/pdf_layout", 4_000, fuzz_checks::pdf_layout);
}

type Check = fn(&[u8]) -> Result<()>;

#[test]
fn mutated_bodies_are_read_or_refused_with_a_4xx() {
    let parsers: [(&str, Check); 3] = [
        ("fuzz/seeds/openai_body", fuzz_checks::openai_body),
        ("fuzz/seeds/tei_body", fuzz_checks::tei_body),
        ("fuzz/seeds/qdrant_body", fuzz_checks::qdrant_body),
    ];
    for (folder, parse) in parsers {
        let mut read = 0;
        each_mutation(folder, 20_000, |body| match parse(body) {
            Ok(()) => read += 1,
            Err(error) => assert!(error.kind().row().status < 500, "{error}"),
        });
        assert!((300..19_700).contains(&read), "{read} of 20000 mutations were still bodies");
    }
}

#[test]
fn mutated_pages_are_read_or_skipped() {
    each_mutation("fuzz/seeds/html", 20_000, fuzz_checks::html);
}

#[test]
fn mutated_events_never_make_a_server_error() {
    let handler = fixture_handler();
    let mut answered = 0;
    each_mutation("events", 3_000, |event| match block_on(handler.handle(event, &Call::default())) {
        Ok(reply) => {
            let reply: serde_json::Value = serde_json::from_str(reply.get()).unwrap();
            let status = reply["statusCode"].as_u64().unwrap_or(200);
            assert!(status < 500, "{}: {reply}", String::from_utf8_lossy(event));
            answered += 1;
        }
        // An event of S3; this function has no output for it.
        Err(error) if error.to_string().contains("EMBED_OUTPUT") => (),
        Err(error) => assert!(error.kind().row().status < 500, "{}", error.chain()),
    });
    assert!(answered > 100, "{answered} of 3000 mutations were answered");
}
