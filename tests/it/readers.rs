//! Output files through common readers: pandas, pyarrow, DuckDB, Polars; `make readers` has ClickHouse and Spark, too.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Command;

use lambda_embed::config::{EncodeOptions, OutputFormat, VectorEncoding};
use lambda_embed::record::{Document, ModelRef, Place, Record};
use lambda_embed::stores::s3::encoder;
use serde_json::{Map, Value, json};

use crate::support::harness::{FolderCopy, embed, fixture, fixture_handler, output, root};
use crate::support::pipeline::{Pipeline, created, notification, paragraphs};
use crate::support::s3_server::Bucket;

const PYTHON: &str = "target/documents/venv/bin/python";
const DIMENSIONS: usize = 384;
/// More than one row group, and a rest.
const RECORDS: usize = 2100;

fn document() -> Document {
    Document {
        bucket: "docs".to_owned(),
        key: "a/ü b+c.md".to_owned(),
        version: None,
        etag: "e".to_owned(),
        sequencer: None,
        last_modified: 1_700_000_000,
        content_type: None,
        size: 1,
        metadata: BTreeMap::from([("owner".to_owned(), "sea".to_owned())]),
    }
}

fn record(chunk: usize) -> Record {
    let raw: Vec<f32> = (0..DIMENSIONS).map(|at| ((chunk * 7919 + at * 104_729) % 1009) as f32 - 504.0).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    Record {
        id: Record::id_of(&document().bucket, &document().key, chunk),
        chunk,
        start: chunk * 10,
        end: chunk * 10 + 15,
        tokens: 7,
        text: format!("chunk {chunk}: \"ü\",\t日本\n\u{2028}"),
        place: Place {
            page: chunk.is_multiple_of(2).then_some(3),
            headings: vec!["A".to_owned(), "B".to_owned()],
            ..Place::default()
        },
        fields: Map::from_iter([("n".to_owned(), json!(chunk))]),
        vector: raw.iter().map(|value| value / length).collect(),
    }
}

#[test]
fn every_reader_finds_the_records_that_were_written() {
    needs!(documents);
    let model = ModelRef { id: "m".to_owned(), revision: "1".to_owned(), hash: "0".to_owned(), dimensions: DIMENSIONS };
    let records: Vec<Record> = (0..RECORDS).map(record).collect();
    for (format, suffix) in [(OutputFormat::JsonLines, "jsonl"), (OutputFormat::Parquet, "parquet")] {
        let options = EncodeOptions { format, vector: VectorEncoding::Numbers, text: true, document_vector: true };
        let mut writer = encoder(&document(), &model, &options, Some(RECORDS), None).unwrap();
        let mut bytes = Vec::new();
        for (number, batch) in records.chunks(640).enumerate() {
            writer.push(batch).unwrap();
            if number == 1 {
                let state = writer.state().unwrap();
                bytes.extend(writer.take());
                writer = encoder(&document(), &model, &options, Some(RECORDS), Some(&state)).unwrap();
            }
            bytes.extend(writer.take());
        }
        bytes.extend(writer.finish().unwrap());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("readers.{suffix}"));
        std::fs::write(&path, bytes).unwrap();
        let read = Command::new(PYTHON).args(["-m", "tests.documents.agree"]).arg(&path).output().unwrap();
        assert!(read.status.success(), "{suffix}: {}", String::from_utf8_lossy(&read.stderr));
        let rows: Vec<Value> = serde_json::from_slice(&read.stdout).unwrap();
        assert_eq!(rows.len(), RECORDS + 1, "{suffix}");
        for (row, record) in rows.iter().zip(&records) {
            assert_eq!(row["id"], json!(record.id), "{suffix}");
            assert_eq!(row["text"], json!(record.text), "{suffix}");
            assert_eq!((&row["start"], &row["chunks"]), (&json!(record.start), &json!(RECORDS)), "{suffix}");
            assert_eq!((&row["page"], &row["headings"]), (&json!(record.place.page), &json!(["A", "B"])), "{suffix}");
            let vector: Vec<f32> = serde_json::from_value(row["vector"].clone()).unwrap();
            assert_eq!(vector, record.vector, "{suffix}");
        }
        assert_eq!(rows[RECORDS]["kind"], json!("document"), "{suffix}");
    }
}

/// A value with its numbers as float32, in which readers and JSON Lines have the same ones.
fn vector(row: &Value) -> Vec<f32> {
    serde_json::from_value(row["vector"].clone()).unwrap()
}

#[test]
#[ignore = "1.4 GB of readers: make readers"]
fn clickhouse_and_spark_read_the_records_that_the_function_wrote() {
    needs!(s3, readers);
    let (documents, files) = (Bucket::new("warehouse-docs"), FolderCopy::of_fixture("warehouse"));
    let function = |name: &str, format: &str| {
        let variables = [("EMBED_OUTPUT_FORMAT", format), ("EMBED_DOCUMENT_VECTOR", "on")];
        Pipeline::between(documents.clone(), Bucket::new(name), None, &fixture(), &variables)
    };
    let (lines, parquet) = (function("warehouse-lines", "jsonl"), function("warehouse-vecs", "parquet"));
    documents.put(
        "guide.md",
        &[("x-amz-meta-owner", "sea")],
        "# Ä\n\nOne \"text\".\n\n## 日本\n\nAnother.\n".as_bytes(),
    );
    documents.put("table.csv", &[], b"name,year\nOslo,1048\nBergen,1070\n");
    // Several row groups, of 512 records at most.
    documents.put("long.txt", &[], paragraphs(2_000).as_bytes());
    let mut expected = HashMap::new();
    for key in ["guide.md", "table.csv", "long.txt"] {
        for pipeline in [&lines, &parquet] {
            let done = pipeline.invoke(&notification(&[created(&documents.name, key)])).unwrap();
            assert_eq!(done["embedded"], 1, "{done}");
        }
        let name = format!("{key}.parquet");
        let bytes = parquet.vectors.get(&format!("out/{}/{name}", documents.name)).unwrap();
        std::fs::write(files.0.join(&name), bytes).unwrap();
        expected.insert(name, lines.records(key));
    }
    assert!(expected["long.txt.parquet"].len() > 1_024, "{} records", expected["long.txt.parquet"].len());

    for reader in ["clickhouse", "spark"] {
        let mut command = Command::new(root().join("target/readers/bin/python"));
        let command = command.args(["-m", "tests.readers.read", reader]).arg(&files.0).current_dir(root());
        let (succeeded, printed, error) = output(command);
        assert!(succeeded, "{reader}: {error}");
        let mut found: HashMap<String, Vec<Value>> = HashMap::new();
        for row in printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            found.entry(row["file"].as_str().unwrap().to_owned()).or_default().push(row);
        }
        assert_eq!(found.len(), expected.len(), "{reader}");
        for (file, rows) in &mut found {
            let records = &expected[file];
            assert_eq!(rows.len(), records.len(), "{reader}: {file}");
            // A reader may give the row groups in any order.
            let place = |row: &Value| (row["kind"] == "document", row["record"].as_u64(), row["chunk"].as_u64());
            rows.sort_by_key(place);
            for (row, record) in rows.iter().zip(records) {
                let columns =
                    row.as_object().unwrap().iter().filter(|(name, _)| !["file", "vector"].contains(&name.as_str()));
                for (name, value) in columns {
                    assert_eq!(value, &record.get(name).cloned().unwrap_or_default(), "{reader}: {file}: {name}");
                }
                assert_eq!(vector(row), vector(record), "{reader}: {file}");
            }
            let chunks: Vec<_> = rows.iter().filter(|row| row["kind"] == "chunk").collect();
            let texts: Vec<_> = chunks.iter().map(|row| row["text"].as_str().unwrap()).collect();
            let direct = texts.chunks(1_000).flat_map(|texts| embed(&fixture_handler(), texts));
            for (row, direct) in chunks.iter().zip(direct) {
                assert_eq!(vector(row), direct, "{reader}: {file}");
            }
        }
        println!("{reader}: {} rows as in JSON Lines", found.values().map(Vec::len).sum::<usize>());
    }
}
