//! Parquet, written row group by row group, so that memory holds one of them and an interrupted file goes on.
//!
//! ```text
//! records -> row group: a small file of its own, in memory, by Arrow's writer
//!         -> its pages are the output's next bytes; its footer's entry waits, with its offsets moved
//! finish  -> one footer of all entries
//! ```
//!
//! The state of an unfinished file is that footer so far. Page indexes and bloom filters, whose offsets would have to
//! be moved as well, are not written: nobody looks a vector up by its value.

use std::io::Write as _;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, StringBuilder};
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::document_vector::DocumentVector;
use super::encoder::{Constants, Encoder, RecordKind, bad_state};
use crate::error::{Error, Result};
use crate::record::{Document, EncodeOptions, ModelRef, Record};

/// Records of a row group. At 384 dimensions and half a page of text some 6 MB, which is what waits in memory.
const ROW_GROUP: usize = 2048;

/// What a Parquet file begins with, and ends with.
const MAGIC: &[u8] = b"PAR1";

/// The level that costs least; vectors do not pack, text does at any level.
const ZSTD_LEVEL: i32 = 1;

pub struct Parquet {
    constants: Constants,
    schema: SchemaRef,
    properties: WriterProperties,
    waiting: Vec<(Record, RecordKind)>,
    groups: Vec<RowGroupMetaData>,
    /// A file of no rows: what the footer says beside its row groups.
    frame: FileMetaData,
    whole: Option<DocumentVector>,
    bytes: Vec<u8>,
    /// Bytes of the file so far, those that were taken included.
    written: i64,
}

impl Parquet {
    pub fn new(document: &Document, model: &ModelRef, options: &EncodeOptions, resumed: Option<&[u8]>) -> Result<Self> {
        let schema = Arc::new(schema(model.dimensions, options.text));
        let properties = properties()?;
        let empty = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties.clone()))
            .and_then(ArrowWriter::close)
            .map_err(not_written)?;
        let mut made = Self {
            constants: Constants::new(document, model, options),
            schema,
            properties,
            waiting: Vec::new(),
            groups: Vec::new(),
            frame: empty.file_metadata().clone(),
            whole: options.document_vector.then(|| DocumentVector::new(model.dimensions)),
            bytes: MAGIC.to_vec(),
            written: MAGIC.len() as i64,
        };
        if let Some(state) = resumed {
            made.resume(state)?;
        }
        Ok(made)
    }

    /// Takes up what [`state`](Encoder::state) left.
    fn resume(&mut self, state: &[u8]) -> Result<()> {
        let (written, rest) = state.split_at_checked(8).ok_or_else(|| bad_state("it is cut short"))?;
        let (footer_length, rest) = rest.split_at_checked(8).ok_or_else(|| bad_state("it is cut short"))?;
        let number = |bytes: &[u8]| bytes.try_into().map(i64::from_le_bytes).map_err(bad_state);
        let footer_length = usize::try_from(number(footer_length)?).map_err(bad_state)?;
        let (footer, whole) = rest.split_at_checked(footer_length).ok_or_else(|| bad_state("it is cut short"))?;
        let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(bad_state)?;
        if metadata.file_metadata().schema() != self.frame.schema() {
            return Err(bad_state("its columns are others"));
        }
        self.groups = metadata.row_groups().to_vec();
        self.written = number(written)?;
        if self.whole.is_some() {
            self.whole = Some(DocumentVector::read(whole, self.constants.model.dimensions)?);
        }
        self.bytes.clear();
        Ok(())
    }

    /// Writes what waits as a row group.
    fn close_group(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.waiting);
        let batch = self.batch(&rows)?;
        let mut file = Vec::new();
        let written = ArrowWriter::try_new(&mut file, Arc::clone(&self.schema), Some(self.properties.clone()))
            .and_then(|mut writer| {
                writer.write(&batch)?;
                writer.close()
            })
            .map_err(not_written)?;
        let [group] = written.row_groups() else {
            return Err(Error::Internal { context: "a batch became several row groups", source: None });
        };
        // From the first page, after the magic, to the end of the last one.
        let end = group.columns().iter().map(|column| column.byte_range()).map(|(start, length)| start + length).max();
        let pages = &file[MAGIC.len()..end.unwrap_or_default() as usize];
        let moved_by = self.written - MAGIC.len() as i64;
        self.groups.push(moved(group, moved_by, self.groups.len()).map_err(not_written)?);
        self.written += pages.len() as i64;
        self.bytes.extend_from_slice(pages);
        Ok(())
    }

    /// The columns of `rows`, in the schema's order.
    fn batch(&self, rows: &[(Record, RecordKind)]) -> Result<RecordBatch> {
        let Constants { document, model, chunks, text } = &self.constants;
        let constant = |value: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![value; rows.len()])) };
        let strings = |of: &dyn Fn(&Record, RecordKind) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(|(record, kind)| of(record, *kind)).collect::<StringArray>())
        };
        let ints = |of: &dyn Fn(&Record, RecordKind) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(|(record, kind)| of(record, *kind)).collect::<PrimitiveArray<Int64Type>>())
        };
        let metadata =
            serde_json::to_string(&document.metadata).map_err(|e| Error::internal("metadata is no JSON", e))?;
        let chunk = |kind: RecordKind| kind == RecordKind::Chunk;
        let modified = vec![document.last_modified * 1000; rows.len()];
        let pages = rows.iter().map(|(record, _)| record.place.page.map(|page| page as i32));
        let mut headings = ListBuilder::new(StringBuilder::new());
        let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), model.dimensions as i32)
            .with_field(Field::new("item", DataType::Float32, false));
        for (record, _) in rows {
            headings.append_value(record.place.headings.iter().map(Some));
            vectors.values().append_slice(&record.vector);
            vectors.append(true);
        }
        let mut columns = vec![
            strings(&|record, _| Some(record.id.to_string())),
            strings(&|_, kind| Some(kind.name().to_owned())),
            constant(Some(&document.bucket)),
            constant(Some(&document.key)),
            constant(document.version.as_deref()),
            constant(Some(&document.etag)),
            Arc::new(PrimitiveArray::<TimestampMillisecondType>::from(modified).with_timezone("UTC")),
            constant(document.content_type.as_deref()),
            ints(&|record, kind| chunk(kind).then_some(record.chunk as i64)),
            ints(&|record, kind| {
                if chunk(kind) { chunks.map(|chunks| chunks as i64) } else { Some(record.chunk as i64) }
            }),
            ints(&|record, _| Some(record.start as i64)),
            ints(&|record, _| Some(record.end as i64)),
            ints(&|record, _| Some(record.tokens as i64)),
        ];
        if *text {
            columns.push(strings(&|record, kind| chunk(kind).then(|| record.text.clone())));
        }
        columns.extend([
            Arc::new(pages.collect::<PrimitiveArray<Int32Type>>()) as ArrayRef,
            strings(&|record, _| record.place.title.clone()),
            Arc::new(headings.finish()),
            ints(&|record, _| record.place.record.map(|record| record as i64)),
            strings(&|record, _| Some(serde_json::Value::Object(record.fields.clone()).to_string())),
            constant(Some(&metadata)),
            constant(Some(&model.id)),
            constant(Some(&model.revision)),
            constant(Some(&model.hash)),
            Arc::new(vectors.finish()),
        ]);
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|e| Error::internal("records do not fit their columns", e))
    }

    /// All row groups so far as one footer.
    fn metadata(&self) -> ParquetMetaData {
        let rows = self.groups.iter().map(RowGroupMetaData::num_rows).sum();
        let frame = &self.frame;
        let file = FileMetaData::new(
            frame.version(),
            rows,
            frame.created_by().map(str::to_owned),
            frame.key_value_metadata().cloned(),
            frame.schema_descr_ptr(),
            frame.column_orders().cloned(),
        );
        ParquetMetaData::new(file, self.groups.clone())
    }

    /// The footer with its length and magic, as it ends a file.
    fn footer(&self) -> Result<Vec<u8>> {
        let mut footer = Vec::new();
        ParquetMetaDataWriter::new(&mut footer, &self.metadata()).finish().map_err(not_written)?;
        Ok(footer)
    }
}

impl Encoder for Parquet {
    fn push(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            if let Some(whole) = &mut self.whole {
                whole.add(record);
            }
            self.waiting.push((record.clone(), RecordKind::Chunk));
            if self.waiting.len() == ROW_GROUP {
                self.close_group()?;
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn state(&mut self) -> Result<Vec<u8>> {
        self.close_group()?;
        let mut footer = self.footer()?;
        // Without its length and the magic, which are 4 bytes each.
        footer.truncate(footer.len() - 8);
        let mut state = self.written.to_le_bytes().to_vec();
        state.extend((footer.len() as i64).to_le_bytes());
        state.extend(footer);
        state.extend(self.whole.as_ref().map(DocumentVector::state).unwrap_or_default());
        Ok(state)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>> {
        if let Some(record) = self.whole.as_ref().and_then(|whole| whole.record(&self.constants.document)) {
            self.waiting.push((record, RecordKind::Document));
        }
        self.close_group()?;
        let footer = self.footer()?;
        self.bytes.write_all(&footer).map_err(|e| Error::internal("the footer was not kept", e))?;
        Ok(self.bytes)
    }
}

/// docs/documents.md is its description.
fn schema(dimensions: usize, text: bool) -> Schema {
    use DataType::{Int32, Int64, Utf8};
    let needed = |name: &str, of: DataType| Field::new(name, of, false);
    let optional = |name: &str, of: DataType| Field::new(name, of, true);
    let mut fields = vec![
        needed("id", Utf8),
        needed("kind", Utf8),
        needed("bucket", Utf8),
        needed("key", Utf8),
        optional("version", Utf8),
        needed("etag", Utf8),
        needed("last_modified", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        optional("content_type", Utf8),
        optional("chunk", Int64),
        optional("chunks", Int64),
        needed("start", Int64),
        needed("end", Int64),
        needed("tokens", Int64),
    ];
    if text {
        fields.push(optional("text", Utf8));
    }
    let vector = DataType::FixedSizeList(Arc::new(needed("item", DataType::Float32)), dimensions as i32);
    fields.extend([
        optional("page", Int32),
        optional("title", Utf8),
        needed("headings", DataType::List(Arc::new(optional("item", Utf8)))),
        optional("record", Int64),
        needed("fields", Utf8),
        needed("metadata", Utf8),
        needed("model", Utf8),
        needed("model_revision", Utf8),
        needed("model_sha256", Utf8),
        needed("vector", vector),
    ]);
    Schema::new(fields)
}

fn properties() -> Result<WriterProperties> {
    let vector = ColumnPath::from(vec!["vector".to_owned(), "list".to_owned(), "item".to_owned()]);
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(not_written)?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        // Floats of a vector are all different and do not pack.
        .set_column_dictionary_enabled(vector.clone(), false)
        .set_column_compression(vector, Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(ROW_GROUP + 1))
        .build())
}

/// `group` at another place of a file.
fn moved(group: &RowGroupMetaData, by: i64, ordinal: usize) -> parquet::errors::Result<RowGroupMetaData> {
    let column = |column: &ColumnChunkMetaData| {
        column
            .clone()
            .into_builder()
            .set_data_page_offset(column.data_page_offset() + by)
            .set_dictionary_page_offset(column.dictionary_page_offset().map(|offset| offset + by))
            // A footer that was read again has lost them: a file is the same bytes however often it was interrupted.
            .clear_page_encoding_stats()
            .build()
    };
    let columns = group.columns().iter().map(column).collect::<parquet::errors::Result<Vec<_>>>()?;
    let mut builder = group.clone().into_builder().set_column_metadata(columns);
    if let Some(offset) = group.file_offset() {
        builder = builder.set_file_offset(offset + by);
    }
    builder.set_ordinal(i32::try_from(ordinal).unwrap_or(-1)).build()
}

fn not_written(e: parquet::errors::ParquetError) -> Error {
    Error::internal("the Parquet file could not be written", e)
}
