//! Documents longer than one call, longer than one request to S3, longer than memory.

use std::io::Read as _;
use std::time::Duration;

use serde_json::json;

use crate::support::function::{LONG, peak};
use crate::support::harness::fixture;
use crate::support::pipeline::{Pipeline, created, document_function, notification, paragraphs, queue, result_key};
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;

/// Long enough for several checkpoints and, in JSON Lines, for more than one part of 8 MB.
const PARAGRAPHS: usize = 60_000;

#[test]
fn a_document_longer_than_a_call_is_continued_without_a_trace() {
    needs!(s3);
    let pipeline = Pipeline::new("continued", &[]);
    pipeline.put("long.txt", paragraphs(PARAGRAPHS));
    let event = queue(&[notification(&[created(&pipeline.documents.name, "long.txt")])]);
    let mut checkpoints = Vec::new();
    // A call that ends right after the last byte leaves the whole document and an event that comes back.
    let mut seen = None;
    let calls = pipeline.in_short_calls(&event, || {
        seen = seen.take().or(pipeline.result("long.txt"));
        checkpoints.extend(pipeline.checkpoint());
        checkpoints.dedup();
    });
    assert!(calls > 3 && checkpoints.len() > 2, "{calls} calls, {} checkpoints", checkpoints.len());
    let key = result_key(&pipeline.documents.name, "long.txt");
    assert_eq!(pipeline.vectors.keys(), std::slice::from_ref(&key));
    let interrupted = pipeline.result("long.txt").unwrap();
    assert!(interrupted.len() > 9 << 20, "{} bytes", interrupted.len());
    assert!(seen.is_none_or(|seen| seen == interrupted), "half a document was to be seen");
    let records = pipeline.records("long.txt");
    assert!(records.iter().enumerate().all(|(number, record)| record["chunk"] == number));
    assert!(records.iter().all(|record| record["chunks"].is_null()));

    // A call that was cut off after the last byte would have left this.
    let (progress, bytes) = checkpoints.pop().unwrap();
    pipeline.vectors.put(&progress, &[], &bytes);
    assert_eq!(pipeline.created("long.txt")["unchanged"], 1);
    assert_eq!(pipeline.vectors.keys(), std::slice::from_ref(&key));

    pipeline.vectors.delete(&key);
    let summary = pipeline.created("long.txt");
    assert_eq!((&summary["embedded"], &summary["chunks"]), (&json!(1), &json!(records.len())));
    assert!(pipeline.result("long.txt").unwrap() == interrupted, "an uninterrupted run writes other bytes");
}

#[test]
fn a_parquet_file_that_was_interrupted_has_the_same_bytes() {
    needs!(s3);
    let pipeline = Pipeline::new("parquet", &[("EMBED_OUTPUT_FORMAT", "parquet"), ("EMBED_DOCUMENT_VECTOR", "on")]);
    pipeline.put("long.txt", paragraphs(PARAGRAPHS / 4));
    let event = queue(&[notification(&[created(&pipeline.documents.name, "long.txt")])]);
    let key = format!("out/{}/long.txt.parquet", pipeline.documents.name);
    let mut seen = None;
    let calls = pipeline.in_short_calls(&event, || seen = seen.take().or(pipeline.vectors.get(&key)));
    assert!(calls > 2, "{calls} calls");
    let interrupted = pipeline.vectors.get(&key).unwrap();
    assert!(interrupted.starts_with(b"PAR1") && interrupted.ends_with(b"PAR1"));
    assert!(seen.is_none_or(|seen| seen == interrupted), "half a document was to be seen");
    pipeline.vectors.delete(&key);
    assert_eq!(pipeline.created("long.txt")["embedded"], 1);
    assert!(pipeline.vectors.get(&key).unwrap() == interrupted, "an uninterrupted run writes other bytes");
}

#[test]
fn a_document_that_breaks_off_in_its_middle_leaves_nothing_of_its_start() {
    needs!(s3);
    let pipeline = Pipeline::new("breaks", &[]);
    let mut whole = Vec::new();
    flate2::read::GzEncoder::new(paragraphs(PARAGRAPHS).as_bytes(), flate2::Compression::fast())
        .read_to_end(&mut whole)
        .unwrap();
    pipeline.put("long.txt.gz", &whole[..whole.len() - 100]);
    let key = result_key(&pipeline.documents.name, "long.txt.gz");
    let outcome = key.replace(".jsonl", ".outcome.json");
    assert_eq!(pipeline.created("long.txt.gz")["failed"], 1);
    assert_eq!(pipeline.outcome("long.txt.gz").unwrap()["retryable"], false);
    assert_eq!(pipeline.vectors.keys(), std::slice::from_ref(&outcome));
    let (_, _, uploads) = pipeline.vectors.request("GET", "?uploads", b"");
    assert!(!String::from_utf8(uploads).unwrap().contains("<UploadId>"), "an upload was left");

    // If the new version cannot be read, the older version's output stays.
    let etag = pipeline.put("long.txt.gz", paragraphs(2));
    pipeline.created("long.txt.gz");
    let older = pipeline.result("long.txt.gz").unwrap();
    assert!(String::from_utf8_lossy(&older).contains(&etag));
    pipeline.put("long.txt.gz", &whole[..whole.len() / 2]);
    assert_eq!(pipeline.created("long.txt.gz")["failed"], 1);
    assert!(pipeline.result("long.txt.gz").unwrap() == older);
}

#[test]
fn a_checkpoint_of_another_version_is_not_used() {
    needs!(s3);
    let pipeline = Pipeline::new("stale", &[]);
    pipeline.put("long.txt", paragraphs(PARAGRAPHS / 4));
    let event = queue(&[notification(&[created(&pipeline.documents.name, "long.txt")])]);
    let mut left = Duration::from_millis(20);
    while pipeline.checkpoint().is_none() {
        pipeline.invoke_within(&event, Some(left)).unwrap();
        assert!(pipeline.result("long.txt").is_none(), "it was done before there was a checkpoint");
        left = left.mul_f64(1.5);
    }
    let new = paragraphs(PARAGRAPHS / 4).replace("river", "lake");
    let etag = pipeline.put("long.txt", &new);
    assert_eq!(pipeline.created("long.txt")["embedded"], 1);
    let records = pipeline.records("long.txt");
    assert!(records.iter().all(|record| record["etag"] == etag.as_str()));
    assert!(records.iter().all(|record| !record["text"].as_str().unwrap().contains("river")));
    assert_eq!(pipeline.vectors.keys().len(), 1);
}

#[test]
fn a_transfer_that_breaks_off_is_taken_up_where_it_stopped() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("broken-docs"), Bucket::new("broken-vecs"));
    // Every third GET of the document is reset somewhere in the middle.
    let proxy = Proxy::before(documents.server, |request| match request.method {
        "GET" if request.path.contains("long.txt") && !request.path.contains("progress") && request.number % 3 != 0 => {
            Fault::Reset(100_000 + request.number * 1_000)
        }
        _ => Fault::None,
    });
    let pipeline = Pipeline::between(documents, vectors, Some(&proxy.address), &fixture(), &[]);
    pipeline.put("long.txt", paragraphs(PARAGRAPHS / 10));
    let summary = pipeline.created("long.txt");
    assert_eq!(summary["embedded"], 1, "{summary}");
    let through_trouble = pipeline.result("long.txt").unwrap();
    pipeline.vectors.delete(&result_key(&pipeline.documents.name, "long.txt"));
    let plain = Pipeline::between(pipeline.documents.clone(), pipeline.vectors.clone(), None, &fixture(), &[]);
    plain.created("long.txt");
    assert!(plain.result("long.txt").unwrap() == through_trouble);
}

/// Megabytes that the fixture's process needs for a document of any size, with a margin for a busy machine.
const CEILING: u64 = 128;

#[test]
fn memory_does_not_grow_with_the_document() {
    needs!(s3);
    const MEGABYTES: usize = 96;
    let pipeline = Pipeline::new("memory", &[]);
    let function = document_function(&pipeline.vectors, pipeline.vectors.server, &[]);
    // Words far apart: as many bytes to read as in any document, and few chunks to embed.
    let block = format!("A paragraph of the long document.\n\n{}\n\n", " ".repeat(64 * 1024));
    pipeline.put("large.txt", block.repeat(MEGABYTES * 1024 / 64));
    let summary = function.response(&notification(&[created(&pipeline.documents.name, "large.txt")]));
    assert_eq!(summary["embedded"], 1, "{summary}");
    assert!(pipeline.records("large.txt").len() >= 64);
    let peak = peak(&function.process);
    eprintln!("peak memory for a document of {MEGABYTES} MB: {peak} MB");
    assert!(peak < CEILING, "{peak} MB");
}

#[test]
#[ignore = "`make soak` runs it"]
fn a_gigabyte_of_text_goes_through_in_bounded_memory() {
    needs!(s3);
    let pipeline = Pipeline::new("gigabyte", &[]);
    let small = [("EMBED_OUTPUT_TEXT", "off"), ("EMBED_OUTPUT_VECTORS", "base64")];
    let function = document_function(&pipeline.vectors, pipeline.vectors.server, &small);
    // More than a hundred thousand chunks, enough for every part of the work; dense text would be five million.
    let block = [paragraphs(8), " ".repeat(32 * 1024)].join("\n\n") + "\n\n";
    let blocks = (1 << 30) / block.len() + 1;
    pipeline.put("large.txt", block.repeat(blocks));
    let event = queue(&[notification(&[created(&pipeline.documents.name, "large.txt")])]);
    let (began, mut calls) = (std::time::Instant::now(), 1);
    let response = || {
        function.api.send(&event);
        function.api.report(LONG * 3).expect("an answer").body
    };
    while response()["batchItemFailures"] != json!([]) {
        calls += 1;
        eprintln!("call {calls} after {:.0} s, peak {} MB", began.elapsed().as_secs_f32(), peak(&function.process));
        assert!(calls < 50, "no end in sight");
    }
    let (records, peak) = (pipeline.records("large.txt"), peak(&function.process));
    eprintln!("{} chunks, {calls} calls, {:.0} s, peak {peak} MB", records.len(), began.elapsed().as_secs_f32());
    assert!(records.iter().enumerate().all(|(number, record)| record["chunk"] == number));
    assert!(records.iter().all(|record| record["chunks"].is_null()));
    // A function of 512 MB with a model of 100 MB has twice as much memory left.
    assert!(peak < CEILING * 3 / 2, "{peak} MB");
}
