//! Parquet, written row group by row group: memory holds one of them, and a later invocation continues the file.
//!
//! ```text
//! records -> row group: Arrow's writer makes a small file of it, in memory
//!         -> its pages are the output's next bytes; its footer entry, with shifted offsets, joins the others
//! finish  -> one footer of all entries
//! ```
//!
//! The state of an unfinished file is that footer so far. Arrow's writer cannot continue a file that another process
//! began, and a document that takes longer than one invocation needs that. Page indexes and bloom filters, whose
//! offsets would have to be shifted as well, are not written: nobody looks a vector up by its value.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, StringBuilder};
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::document_vector::DocumentVector;
use super::encoder::{Constants, Encoder, bad_state};
use crate::config::EncodeOptions;
use crate::error::{Error, Result};
use crate::record::{Document, FIELDS, Field, FieldType, FieldValue, ModelRef, Presence, Record, RecordKind};

/// Records of a row group, which are held in memory: some 6 MB at 384 dimensions and half a page of text each.
const ROW_GROUP: usize = 2048;

/// What a Parquet file begins with, and ends with.
const MAGIC: &[u8] = b"PAR1";

/// The cheapest level: vectors hardly compress at any level, and text compresses well at each.
const ZSTD_LEVEL: i32 = 1;

pub struct Parquet {
    constants: Constants,
    schema: SchemaRef,
    properties: WriterProperties,
    /// Records of the row group that is not full yet.
    pending: Vec<(Record, RecordKind)>,
    groups: Vec<RowGroupMetaData>,
    /// The metadata of a file without rows: all that the footer holds beside its row groups.
    empty: FileMetaData,
    document_vector: Option<DocumentVector>,
    bytes: Vec<u8>,
    /// Bytes of the file so far, those that were taken included.
    written: i64,
}

impl Parquet {
    pub fn new(
        document: &Document,
        model: &ModelRef,
        options: &EncodeOptions,
        chunks: Option<usize>,
        state: Option<&[u8]>,
    ) -> Result<Self> {
        let schema = Arc::new(schema(model.dimensions, options.text));
        let properties = properties()?;
        let empty = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties.clone()))
            .and_then(ArrowWriter::close)
            .map_err(not_written)?;
        let document_vector = options.document_vector.then(|| DocumentVector::open(model.dimensions, None));
        let mut new = Self {
            constants: Constants::new(document, model, options, chunks),
            schema,
            properties,
            pending: Vec::new(),
            groups: Vec::new(),
            empty: empty.file_metadata().clone(),
            document_vector: document_vector.transpose()?,
            bytes: MAGIC.to_vec(),
            written: MAGIC.len() as i64,
        };
        if let Some(state) = state {
            new.resume(state)?;
        }
        Ok(new)
    }

    /// Continues the file whose encoder left `state`.
    fn resume(&mut self, state: &[u8]) -> Result<()> {
        let (written, rest) = state.split_at_checked(8).ok_or_else(|| bad_state("it is cut short"))?;
        let (footer_length, rest) = rest.split_at_checked(8).ok_or_else(|| bad_state("it is cut short"))?;
        let number = |bytes: &[u8]| bytes.try_into().map(i64::from_le_bytes).map_err(bad_state);
        let footer_length = usize::try_from(number(footer_length)?).map_err(bad_state)?;
        let (footer, document_vector) =
            rest.split_at_checked(footer_length).ok_or_else(|| bad_state("it is cut short"))?;
        let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(bad_state)?;
        if metadata.file_metadata().schema() != self.empty.schema() {
            return Err(bad_state("its columns are others"));
        }
        self.groups = metadata.row_groups().to_vec();
        self.written = number(written)?;
        if let Some(sums) = &mut self.document_vector {
            *sums = DocumentVector::open(self.constants.model.dimensions, Some(document_vector))?;
        }
        self.bytes.clear();
        Ok(())
    }

    /// Writes the pending records as a row group.
    fn close_group(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.pending);
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
        let shift = self.written - MAGIC.len() as i64;
        self.groups.push(shifted(group, shift, self.groups.len()).map_err(not_written)?);
        self.written += pages.len() as i64;
        self.bytes.extend_from_slice(pages);
        Ok(())
    }

    /// The columns of `rows`, in the schema's order.
    fn batch(&self, rows: &[(Record, RecordKind)]) -> Result<RecordBatch> {
        let columns = self.schema.fields().iter().filter_map(|column| Field::named(column.name()));
        let columns = columns.map(|field| self.column(field, rows)).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|e| Error::internal("records do not fit their columns", e))
    }

    fn column(&self, field: &Field, rows: &[(Record, RecordKind)]) -> ArrayRef {
        let values = rows.iter().map(|(record, kind)| field.value(&self.constants.row(record, *kind)));
        match field.field_type {
            FieldType::Text | FieldType::Json => Arc::new(values.map(FieldValue::text).collect::<StringArray>()),
            FieldType::Int32 => {
                let values = values.map(|value| value.integer().map(|number| number as i32));
                Arc::new(values.collect::<PrimitiveArray<Int32Type>>())
            }
            FieldType::Int64 => {
                let values = values.map(|value| value.integer().map(|number| number as i64));
                Arc::new(values.collect::<PrimitiveArray<Int64Type>>())
            }
            FieldType::Time => {
                let values = values.map(|value| match value {
                    FieldValue::Time(seconds) => Some(seconds * 1000),
                    _ => None,
                });
                Arc::new(values.collect::<PrimitiveArray<TimestampMillisecondType>>().with_timezone("UTC"))
            }
            FieldType::TextList => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for value in values {
                    let FieldValue::TextList(texts) = value else { continue };
                    lists.append_value(texts.iter().map(Some));
                }
                Arc::new(lists.finish())
            }
            FieldType::Vector => {
                let mut vectors =
                    FixedSizeListBuilder::new(Float32Builder::new(), self.constants.model.dimensions as i32)
                        .with_field(ArrowField::new("item", DataType::Float32, false));
                for value in values {
                    let FieldValue::Vector(vector) = value else { continue };
                    vectors.values().append_slice(vector);
                    vectors.append(true);
                }
                Arc::new(vectors.finish())
            }
        }
    }

    /// All row groups so far as one footer.
    fn metadata(&self) -> ParquetMetaData {
        let rows = self.groups.iter().map(RowGroupMetaData::num_rows).sum();
        let empty = &self.empty;
        let file = FileMetaData::new(
            empty.version(),
            rows,
            empty.created_by().map(str::to_owned),
            empty.key_value_metadata().cloned(),
            empty.schema_descr_ptr(),
            empty.column_orders().cloned(),
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
            if let Some(document_vector) = &mut self.document_vector {
                document_vector.add(record);
            }
            self.pending.push((record.clone(), RecordKind::Chunk));
            if self.pending.len() == ROW_GROUP {
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
        state.extend(self.document_vector.as_ref().map(DocumentVector::state).unwrap_or_default());
        Ok(state)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>> {
        let document_vector = self.document_vector.take();
        if let Some(record) = document_vector.and_then(|vector| vector.record(&self.constants.document)) {
            self.pending.push((record, RecordKind::Document));
        }
        self.close_group()?;
        let footer = self.footer()?;
        self.bytes.extend(footer);
        Ok(self.bytes)
    }
}

/// A column for each field. `dimensions` has none: the type of `vector` states it.
fn schema(dimensions: usize, text: bool) -> Schema {
    let columns = FIELDS.iter().filter(|field| field.name != "dimensions");
    let columns = columns.filter(|field| text || field.presence != Presence::IfGiven).map(|field| {
        let data_type = match field.field_type {
            FieldType::Text | FieldType::Json => DataType::Utf8,
            FieldType::Int32 => DataType::Int32,
            FieldType::Int64 => DataType::Int64,
            FieldType::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            FieldType::TextList => DataType::List(Arc::new(ArrowField::new("item", DataType::Utf8, true))),
            FieldType::Vector => {
                let item = ArrowField::new("item", DataType::Float32, false);
                DataType::FixedSizeList(Arc::new(item), dimensions as i32)
            }
        };
        ArrowField::new(field.name, data_type, field.presence != Presence::Required)
    });
    Schema::new(columns.collect::<Vec<_>>())
}

fn properties() -> Result<WriterProperties> {
    let vector = ColumnPath::from(vec!["vector".to_owned(), "list".to_owned(), "item".to_owned()]);
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(not_written)?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        // The floats of a vector are all different, so neither a dictionary nor compression makes them smaller.
        .set_column_dictionary_enabled(vector.clone(), false)
        .set_column_compression(vector, Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(ROW_GROUP + 1))
        .build())
}

/// `group` as it is described when its pages lie `by` bytes further into the file.
fn shifted(group: &RowGroupMetaData, by: i64, ordinal: usize) -> parquet::errors::Result<RowGroupMetaData> {
    let column = |column: &ColumnChunkMetaData| {
        column
            .clone()
            .into_builder()
            .set_data_page_offset(column.data_page_offset() + by)
            .set_dictionary_page_offset(column.dictionary_page_offset().map(|offset| offset + by))
            // A footer that was read back has lost them. Without them a file has the same bytes, interrupted or not.
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
