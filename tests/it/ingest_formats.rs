//! Documents of every format from upload to vectors, read back with common clients.
//!
//! upload -> notification -> queue -> the real binary, once for each format of output -> pandas and DuckDB

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::process::Command;

use lambda_embed::documents::extract::Section;
use serde::Deserialize;
use serde_json::Value;

use crate::support::document_set::{Expected, index, read};
use crate::support::harness::{FolderCopy, cosine, embed, fixture_handler, output, root};
use crate::support::pipeline::{Pipeline, document_function, stated_chunks};
use crate::support::queue::Queue;

/// Texts in one direct request; the limit is 2,048.
const A_REQUEST: usize = 1_000;

fn headers(expected: &Expected) -> Vec<(&str, &str)> {
    let content_type = expected.content_type.as_deref().map(|value| ("content-type", value));
    let encoding = expected.content_encoding.as_deref().map(|value| ("content-encoding", value));
    content_type.into_iter().chain(encoding).collect()
}

/// A document's extracted sections by their records, as the library gives them.
fn sections(expected: &Expected) -> HashMap<Option<u64>, Vec<Section>> {
    let (sections, outcome) = read(File::open(expected.path()).unwrap(), &expected.hints(), None);
    outcome.unwrap();
    let mut by_record: HashMap<_, Vec<Section>> = HashMap::new();
    for section in sections {
        by_record.entry(section.place.record).or_default().push(section);
    }
    by_record
}

/// A record as a client read it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Record {
    file: String,
    client: String,
    id: String,
    key: String,
    chunk: usize,
    chunks: Option<usize>,
    start: usize,
    end: usize,
    tokens: usize,
    text: String,
    record: Option<u64>,
    vector: Vec<f32>,
}

impl Record {
    /// Whether its text is the slice of the extracted text that its offsets name. `sections` are by their records:
    /// a document may have thousands, with offsets of their own.
    fn is_slice_of(&self, sections: &HashMap<Option<u64>, Vec<Section>>) -> bool {
        let of_record = sections.get(&self.record).map(Vec::as_slice).unwrap_or_default();
        of_record.iter().filter(|section| section.start <= self.start).any(|section| {
            let from = self.start - section.start;
            section.text.chars().skip(from).take(self.end - self.start).eq(self.text.chars())
        })
    }
}

/// The clients' records of every file in `folder`, in the clients' order.
fn read_back(folder: &Path) -> Vec<Record> {
    let mut command = Command::new(root().join("target/documents/venv/bin/python"));
    command.args(["-m", "tests.documents.read_back"]).arg(folder).current_dir(root());
    let (succeeded, printed, error) = output(&mut command);
    assert!(succeeded, "{error}");
    printed.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:.300}"))).collect()
}

#[test]
fn every_kind_of_document_comes_back_whole_in_the_clients_that_users_have() {
    needs!(documents, s3);
    let index = index();
    let (pipeline, queue) = (Pipeline::new("kinds", &[]), Queue::new("kinds"));
    queue.hear_of(&pipeline.documents);
    for expected in &index {
        pipeline.documents.put(&expected.key, &headers(expected), &std::fs::read(expected.path()).unwrap());
    }
    let function =
        |format| document_function(&pipeline.vectors, pipeline.vectors.server, &[("EMBED_OUTPUT_FORMAT", format)]);
    let functions = [function("jsonl"), function("parquet")];
    while let Some(event) = queue.receive() {
        let replies = functions.each_ref().map(|function| function.response(&event));
        assert!(replies.iter().all(|reply| *reply == serde_json::json!({"batchItemFailures": []})), "{replies:?}");
        queue.settle(&event, &replies[0]);
    }
    assert_eq!(queue.waiting(), 0);

    let results = FolderCopy::of_fixture("read-back");
    let mut names = HashMap::new();
    for (number, expected) in index.iter().enumerate() {
        let stem = format!("out/{}/{}", pipeline.documents.name, expected.key);
        let outcome = pipeline.outcome(&expected.key).map(|outcome| outcome["outcome"].clone());
        if expected.outcome != "read" {
            let word = match (expected.outcome.as_str(), expected.why.as_deref()) {
                ("broken", _) => "failed",
                (_, Some(word @ ("unreadable" | "image_only"))) => word,
                _ => "skipped",
            };
            assert_eq!(outcome, Some(Value::from(word)), "{}", expected.file);
            assert!(pipeline.vectors.get(&format!("{stem}.jsonl")).is_none(), "{}", expected.file);
            continue;
        }
        let partly = (expected.left_out > 0).then(|| Value::from("embedded"));
        assert_eq!(outcome, partly, "{}", expected.file);
        for format in ["jsonl", "parquet"] {
            let name = format!("{number:03}.{format}");
            let bytes = pipeline.vectors.get(&format!("{stem}.{format}")).unwrap_or_else(|| panic!("{stem}.{format}"));
            std::fs::write(results.0.join(&name), bytes).unwrap();
            names.insert(name, expected);
        }
    }

    let mut by_file: BTreeMap<(String, String), Vec<Record>> = BTreeMap::new();
    for record in read_back(&results.0) {
        by_file.entry((record.file.clone(), record.client.clone())).or_default().push(record);
    }
    assert_eq!(by_file.len(), names.len() / 2 * 3, "pandas reads both formats, DuckDB Parquet");
    let direct = fixture_handler();
    for ((file, client), records) in &by_file {
        let expected = names[file];
        let numbers: Vec<_> = records.iter().map(|record| record.chunk).collect();
        assert_eq!(numbers, (0..records.len()).collect::<Vec<_>>(), "{client}: {}", expected.file);
        let chunks = serde_json::from_value(stated_chunks(records.len())).unwrap();
        assert!(records.iter().all(|record| record.chunks == chunks && record.key == expected.key));
        // Only the first format's first client is compared in detail; the others must give the same.
        if !file.ends_with(".jsonl") {
            let lines = &by_file[&(file.replace(".parquet", ".jsonl"), "pandas".to_owned())];
            for (record, line) in records.iter().zip(lines) {
                let same = Record { file: line.file.clone(), client: line.client.clone(), ..record.clone() };
                assert_eq!(&same, line, "{client}: {}", expected.file);
            }
            continue;
        }
        let sections = sections(expected);
        for record in records {
            assert!(record.is_slice_of(&sections), "{}: {record:?}", expected.file);
        }
        let texts: Vec<_> = records.iter().map(|record| record.text.as_str()).collect();
        let vectors = texts.chunks(A_REQUEST).flat_map(|texts| embed(&direct, texts));
        for (record, vector) in records.iter().zip(vectors) {
            let cosine = cosine(&record.vector, &vector);
            assert!(cosine > 0.999_999, "{}: chunk {} has cosine {cosine}", expected.file, record.chunk);
        }
    }
}
