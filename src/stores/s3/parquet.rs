//! Parquet, written row group by row group: memory holds one of them, and a later invocation continues the file.
//!
//! ```text
//! records -> row group: the library's writer makes the beginning of a small file of it, in memory
//!         -> its pages are the output's next bytes; its footer entry, with shifted offsets, joins the others
//! finish  -> one footer of all entries
//! ```
//!
//! The state of an unfinished file is that footer so far. The library's writer cannot continue a file that another process
//! began, and a document that takes longer than one invocation needs that. Page indexes and bloom filters, whose
//! offsets would have to be shifted as well, are not written: nobody looks a vector up by its value.

use std::sync::Arc;

use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter,
    RowGroupMetaData,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use super::document_vector::DocumentVector;
use super::encoder::{Constants, Encoder, bad_state};
use super::parquet_schema::{ARROW_SCHEMA, arrow_schema, columns, parquet_schema};
use crate::config::EncodeOptions;
use crate::error::{Error, Result};
use crate::record::{Field, FieldType, FieldValue, Presence, Record, RecordKind};

/// Records of a row group, which are held in memory: some 6 MB at 384 dimensions and half a page of text each.
const ROW_GROUP: usize = 2048;

/// What a Parquet file begins with, and ends with.
const MAGIC: &[u8] = b"PAR1";

/// Its default, which takes 30 ms for what is embedded in 30 seconds.
const GZIP_LEVEL: u32 = 6;

pub struct Parquet {
    constants: Constants,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
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
    pub(super) fn new(constants: Constants, options: &EncodeOptions, state: Option<&[u8]>) -> Result<Self> {
        let dimensions = constants.model.dimensions;
        let schema = Arc::new(parse_message_type(&parquet_schema(constants.text)).map_err(not_written)?);
        let properties = Arc::new(properties(arrow_schema(dimensions, constants.text))?);
        let empty = SerializedFileWriter::new(Vec::new(), Arc::clone(&schema), Arc::clone(&properties))
            .and_then(SerializedFileWriter::close)
            .map_err(not_written)?;
        let document_vector = options.document_vector.then(|| DocumentVector::open(dimensions, None));
        let mut new = Self {
            constants,
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
        let (pages, group) = self.group(&rows).map_err(not_written)?;
        let shift = self.written - MAGIC.len() as i64;
        self.groups.push(shifted(&group, shift, self.groups.len()).map_err(not_written)?);
        self.written += pages.len() as i64;
        self.bytes.extend_from_slice(&pages);
        Ok(())
    }

    /// The pages of `rows`, and how a file's footer describes them when they follow the magic at its beginning.
    fn group(&self, rows: &[(Record, RecordKind)]) -> parquet::errors::Result<(Vec<u8>, Arc<RowGroupMetaData>)> {
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::clone(&self.schema), Arc::clone(&self.properties))?;
        let mut group = writer.next_row_group()?;
        for field in columns(self.constants.text) {
            let missing = || ParquetError::General(format!("there is no column {}", field.name));
            let mut column = group.next_column()?.ok_or_else(missing)?;
            self.write_column(&mut column, field, rows)?;
            column.close()?;
        }
        let group = group.close()?;
        writer.flush()?;
        Ok((writer.inner()[MAGIC.len()..].to_vec(), group))
    }

    fn write_column(
        &self,
        column: &mut SerializedColumnWriter<'_>,
        field: &Field,
        rows: &[(Record, RecordKind)],
    ) -> parquet::errors::Result<usize> {
        let values = rows.iter().map(|(record, kind)| field.value(&self.constants.row(record, *kind)));
        let bytes = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        match field.field_type {
            FieldType::Text | FieldType::Json => {
                write::<ByteArrayType>(column, field, values.map(|value| value.text().map(|text| bytes(&text))))
            }
            FieldType::Int32 => {
                write::<Int32Type>(column, field, values.map(|value| value.integer().map(|number| number as i32)))
            }
            FieldType::Int64 => {
                write::<Int64Type>(column, field, values.map(|value| value.integer().map(|number| number as i64)))
            }
            FieldType::Time => {
                let milliseconds = |value| match value {
                    FieldValue::Time(seconds) => Some(seconds * 1000),
                    _ => None,
                };
                write::<Int64Type>(column, field, values.map(milliseconds))
            }
            FieldType::TextList => {
                let (mut texts, mut present, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
                for value in values {
                    let FieldValue::TextList(list) = value else { continue };
                    texts.extend(list.iter().map(|text| bytes(text)));
                    // An empty list has one entry that says so.
                    present.extend(if list.is_empty() { vec![0] } else { vec![2; list.len()] });
                    repeated.extend((0..list.len().max(1)).map(|item| i16::from(item > 0)));
                }
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&present), Some(&repeated))
            }
            FieldType::Vector => {
                let (mut floats, mut repeated) = (Vec::new(), Vec::new());
                for value in values {
                    let FieldValue::Vector(vector) = value else { continue };
                    floats.extend_from_slice(vector);
                    repeated.extend((0..vector.len()).map(|item| i16::from(item > 0)));
                }
                column.typed::<FloatType>().write_batch(&floats, Some(&vec![1; floats.len()]), Some(&repeated))
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

/// Writes a column of single values, of which some are null if the field may be.
fn write<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    field: &Field,
    values: impl Iterator<Item = Option<T::T>>,
) -> parquet::errors::Result<usize> {
    let values: Vec<_> = values.collect();
    let present: Vec<_> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present = (field.presence != Presence::Required).then_some(present);
    let values: Vec<_> = values.into_iter().flatten().collect();
    column.typed::<T>().write_batch(&values, present.as_deref(), None)
}

fn properties(arrow_schema: String) -> Result<WriterProperties> {
    let vector = ColumnPath::from(vec!["vector".to_owned(), "list".to_owned(), "item".to_owned()]);
    let level = GzipLevel::try_new(GZIP_LEVEL).map_err(not_written)?;
    Ok(WriterProperties::builder()
        // Every reader has it, its code is linked for other things, and it packs text as zstd's first levels do.
        .set_compression(Compression::GZIP(level))
        // The floats of a vector are all different, so neither a dictionary nor compression makes them smaller.
        .set_column_dictionary_enabled(vector.clone(), false)
        .set_column_compression(vector, Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![KeyValue::new(ARROW_SCHEMA.to_owned(), arrow_schema)]))
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

fn not_written(e: ParquetError) -> Error {
    Error::internal("the Parquet file could not be written", e)
}
