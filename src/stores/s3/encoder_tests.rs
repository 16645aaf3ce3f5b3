//! Files as they are, and as they are when they were interrupted.

use std::collections::BTreeMap;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};
use serde_json::{Value, json};

use crate::config::{EncodeOptions, OutputFormat, VectorEncoding};
use crate::record::{Document, ModelRef, Place, Record};

const DIMENSIONS: usize = 8;

fn document() -> Document {
    Document {
        bucket: "docs".to_owned(),
        key: "a/ü b.md".to_owned(),
        version: Some("v1".to_owned()),
        etag: "9a0364b9e99bb480dd25e1f0284c8555".to_owned(),
        sequencer: None,
        last_modified: 1_700_000_000,
        content_type: Some("text/markdown".to_owned()),
        size: 10,
        metadata: BTreeMap::from([("owner".to_owned(), "me \"quoted\"".to_owned())]),
    }
}

fn model() -> ModelRef {
    ModelRef { id: "tiny".to_owned(), revision: "1".to_owned(), hash: "0".repeat(64), dimensions: DIMENSIONS }
}

fn options(format: OutputFormat) -> EncodeOptions {
    EncodeOptions { format, vector: VectorEncoding::Numbers, text: true, document_vector: false }
}

fn record(chunk: usize) -> Record {
    let raw: Vec<f32> = (0..DIMENSIONS).map(|at| ((chunk * 31 + at * 17) % 23) as f32 - 11.0).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    Record {
        id: Record::id_of(&document().bucket, &document().key, chunk),
        chunk,
        start: chunk * 10,
        end: chunk * 10 + 15,
        tokens: 7,
        text: format!("chunk {chunk} \u{2028} \"ü\"\n"),
        place: Place {
            page: Some(3),
            title: None,
            headings: vec!["A".to_owned(), "B".to_owned()],
            record: None,
            properties: None,
        },
        fields: json!({"n": chunk}).as_object().unwrap().clone(),
        vector: raw.iter().map(|value| value / length).collect(),
    }
}

fn records(count: usize) -> Vec<Record> {
    (0..count).map(record).collect()
}

/// A whole file, pushed in batches; with `interrupted`, each batch by an encoder of its own.
fn file(options: &EncodeOptions, count: usize, batch: usize, interrupted: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = super::encoder(&document(), &model(), options, Some(9), None).unwrap();
    for batch in records(count).chunks(batch) {
        encoder.push(batch).unwrap();
        if interrupted {
            let state = encoder.state().unwrap();
            bytes.extend(encoder.take());
            encoder = super::encoder(&document(), &model(), options, Some(9), Some(&state)).unwrap();
        } else {
            bytes.extend(encoder.take());
        }
    }
    bytes.extend(encoder.finish().unwrap());
    bytes
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn reader(bytes: Vec<u8>) -> SerializedFileReader<bytes::Bytes> {
    SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap()
}

fn rows(bytes: Vec<u8>) -> Vec<Row> {
    reader(bytes).get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

fn column<'a>(row: &'a Row, name: &str) -> Option<&'a Field> {
    row.get_column_iter().find_map(|(column, value)| (column == name).then_some(value))
}

fn vectors(rows: &[Row]) -> Vec<Vec<f32>> {
    let of = |row| {
        let Some(Field::ListInternal(vector)) = column(row, "vector") else { panic!("{row}") };
        let float = |value: &Field| match value {
            Field::Float(value) => *value,
            other => panic!("{other}"),
        };
        vector.elements().iter().map(float).collect()
    };
    rows.iter().map(of).collect()
}

#[test]
fn a_line_holds_what_the_record_and_its_document_hold() {
    let lines = lines(&file(&options(OutputFormat::JsonLines), 3, 2, false));
    assert_eq!(lines.len(), 3);
    let mut line = lines[2].clone();
    let vector: Vec<f32> = serde_json::from_value(line["vector"].take()).unwrap();
    assert_eq!(vector, record(2).vector);
    let expected = json!({
        "id": record(2).id, "kind": "chunk", "bucket": "docs", "key": "a/ü b.md", "version": "v1",
        "etag": "9a0364b9e99bb480dd25e1f0284c8555", "last_modified": "2023-11-14T22:13:20Z",
        "content_type": "text/markdown", "chunk": 2, "chunks": 9, "start": 20, "end": 35, "tokens": 7,
        "text": "chunk 2 \u{2028} \"ü\"\n", "page": 3, "title": null, "headings": ["A", "B"], "record": null,
        "fields": {"n": 2}, "metadata": {"owner": "me \"quoted\""}, "model": "tiny", "model_revision": "1",
        "model_sha256": "0".repeat(64), "dimensions": 8, "vector": null,
    });
    assert_eq!(line, expected);
}

#[test]
fn text_can_be_left_out_and_vectors_be_base64() {
    let options = EncodeOptions { text: false, vector: VectorEncoding::Base64, ..options(OutputFormat::JsonLines) };
    let line = &lines(&file(&options, 1, 1, false))[0];
    assert_eq!(line.get("text"), None);
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(line["vector"].as_str().unwrap()).unwrap();
    let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(floats, record(0).vector);
    let parquet = EncodeOptions { format: OutputFormat::Parquet, ..options };
    assert!(column(&rows(file(&parquet, 1, 1, false))[0], "text").is_none());
}

#[test]
fn interrupted_json_lines_are_the_same_bytes() {
    let options = EncodeOptions { document_vector: true, ..options(OutputFormat::JsonLines) };
    assert_eq!(file(&options, 50, 7, true), file(&options, 50, 50, false));
}

#[test]
fn an_interrupted_parquet_file_holds_the_same_rows() {
    let options = EncodeOptions { document_vector: true, ..options(OutputFormat::Parquet) };
    let whole = rows(file(&options, 50, 50, false));
    let interrupted = rows(file(&options, 50, 7, true));
    assert_eq!(vectors(&whole).len(), 51);
    assert!(interrupted == whole, "{interrupted:?}");
}

#[test]
fn checkpoints_at_the_same_places_make_the_same_bytes() {
    let options = EncodeOptions { document_vector: true, ..options(OutputFormat::Parquet) };
    let mut bytes = Vec::new();
    let mut encoder = super::encoder(&document(), &model(), &options, Some(9), None).unwrap();
    for batch in records(50).chunks(7) {
        encoder.push(batch).unwrap();
        encoder.state().unwrap();
        bytes.extend(encoder.take());
    }
    bytes.extend(encoder.finish().unwrap());
    assert!(bytes == file(&options, 50, 7, true), "they differ");
}

#[test]
fn a_parquet_row_holds_what_the_record_holds() {
    let options = options(OutputFormat::Parquet);
    let bytes = file(&options, 5000, 640, false);
    let footer = reader(bytes.clone()).metadata().file_metadata().clone();
    let entries = footer.key_value_metadata().unwrap();
    assert!(entries.iter().any(|entry| entry.key == "ARROW:schema" && entry.value.is_some()), "{entries:?}");
    let rows = rows(bytes);
    assert_eq!(vectors(&rows), records(5000).into_iter().map(|record| record.vector).collect::<Vec<_>>());
    let text = |text: &str| Field::Str(text.to_owned());
    let Some(Field::ListInternal(headings)) = column(&rows[2], "headings") else { panic!("{}", rows[2]) };
    assert_eq!(headings.elements(), [text("A"), text("B")]);
    for (name, value) in [
        ("id", text(&record(2).id.to_string())),
        ("last_modified", Field::TimestampMillis(1_700_000_000_000)),
        ("version", text("v1")),
        ("chunk", Field::Long(2)),
        ("chunks", Field::Long(9)),
        ("tokens", Field::Long(7)),
        ("text", text(&record(2).text)),
        ("page", Field::Int(3)),
        ("title", Field::Null),
        ("record", Field::Null),
        ("fields", text("{\"n\":2}")),
        ("metadata", text("{\"owner\":\"me \\\"quoted\\\"\"}")),
    ] {
        assert_eq!(column(&rows[2], name), Some(&value), "{name}");
    }
    assert_eq!(column(&rows[2], "dimensions"), None);
}

#[test]
fn lists_may_be_empty() {
    let mut records = records(3);
    records[1].place.headings.clear();
    let mut encoder = super::encoder(&document(), &model(), &options(OutputFormat::Parquet), None, None).unwrap();
    encoder.push(&records).unwrap();
    let lengths = rows(encoder.finish().unwrap()).into_iter().map(|row| match column(&row, "headings") {
        Some(Field::ListInternal(headings)) => headings.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [2, 0, 2]);
}

#[test]
fn a_document_vector_is_the_mean_of_its_chunks_of_length_1() {
    for format in [OutputFormat::JsonLines, OutputFormat::Parquet] {
        let options = EncodeOptions { document_vector: true, ..options(format) };
        let bytes = file(&options, 5, 2, true);
        let last: Vec<f32> = match format {
            OutputFormat::JsonLines => {
                let line = lines(&bytes).pop().unwrap();
                assert_eq!(
                    (&line["kind"], &line["chunk"], &line["chunks"]),
                    (&json!("document"), &json!(null), &json!(5))
                );
                assert_eq!((&line["tokens"], &line["end"]), (&json!(35), &json!(55)));
                serde_json::from_value(line["vector"].clone()).unwrap()
            }
            OutputFormat::Parquet => vectors(&rows(bytes)).pop().unwrap(),
        };
        let mut mean = [0.0; DIMENSIONS];
        records(5).iter().for_each(|r| mean.iter_mut().zip(&r.vector).for_each(|(sum, value)| *sum += value));
        let length = mean.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!(mean.iter().zip(&last).all(|(mean, value)| (mean / length - value).abs() < 1e-6), "{last:?}");
    }
}

#[test]
fn a_document_without_chunks_is_an_empty_file() {
    let options = EncodeOptions { document_vector: true, ..options(OutputFormat::JsonLines) };
    assert_eq!(file(&options, 0, 1, false), b"");
    let options = EncodeOptions { format: OutputFormat::Parquet, ..options };
    assert_eq!(rows(file(&options, 0, 1, false)), []);
}

#[test]
fn a_state_of_another_shape_is_refused() {
    let options = EncodeOptions { document_vector: true, ..options(OutputFormat::Parquet) };
    let mut encoder = super::encoder(&document(), &model(), &options, Some(9), None).unwrap();
    encoder.push(&records(3)).unwrap();
    let state = encoder.state().unwrap();
    let resume = |model: &ModelRef, options: &EncodeOptions, state: &[u8]| {
        super::encoder(&document(), model, options, Some(9), Some(state)).map(|_| ())
    };
    assert!(resume(&model(), &options, &state).is_ok());
    assert!(resume(&ModelRef { dimensions: 9, ..model() }, &options, &state).is_err());
    assert!(resume(&model(), &EncodeOptions { text: false, ..options.clone() }, &state).is_err());
    assert!(resume(&model(), &options, &state[..state.len() / 2]).is_err());
    assert!(resume(&model(), &options, b"").is_err());
    assert!(resume(&model(), &EncodeOptions { format: OutputFormat::JsonLines, ..options }, &state).is_err());
}
