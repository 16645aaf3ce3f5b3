//! Output files through common readers: pandas, pyarrow, DuckDB, Polars.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use lambda_embed::config::{EncodeOptions, OutputFormat, VectorEncoding};
use lambda_embed::record::{Document, ModelRef, Place, Record};
use lambda_embed::stores::s3::encoder;
use serde_json::{Map, Value, json};

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
