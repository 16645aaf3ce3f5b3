//! S3 as a store: one object a document, there whole or not at all.
//!
//! ```text
//! up to PART_BYTES   one PUT           when the document ends
//! above              multipart upload  parts as they fill; one object when the document ends
//! ```
//!
//! The source version is the object's metadata, so results and source version are there in the same moment. Both ways
//! end in a request that S3 refuses if the object is not the one that was looked at (`If-None-Match`, `If-Match`).

mod document_vector;
mod encoder;
#[cfg(test)]
mod encoder_tests;
mod jsonl;
mod parquet;
mod parquet_schema;

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::encoder::Constants;
pub use self::encoder::Encoder;
use crate::aws::{Bucket, Headers, Part, Precondition};
use crate::config::{EncodeOptions, OutputFormat};
use crate::error::{Error, StoreError, StoreErrorKind};
use crate::record::{
    Document, DocumentWriter, Existing, ModelRef, OutputLayout, Record, SourceVersion, VectorStore, WriteError,
    WriteRequest,
};

/// Bytes of a part. S3 takes 5 MB to 5 GB and 10,000 parts: 80 GB, the vectors of 3 GB of text.
const PART_BYTES: usize = 8 << 20;

/// Bytes of the source object's metadata that are carried along at most; S3 takes 2 KB in all, ours included.
const CARRIED_BYTES: usize = 1500;

/// The metadata entry with the object's number of chunks. A multipart upload's metadata is fixed when it begins, so
/// there is none on an object whose number of chunks was not known by then.
const CHUNKS: &str = "embed-chunks";

/// Results as objects below the output's prefix.
pub struct S3Store {
    bucket: Bucket,
    layout: OutputLayout,
    model: ModelRef,
    options: EncodeOptions,
}

impl S3Store {
    pub fn new(bucket: Bucket, layout: OutputLayout, model: ModelRef, options: EncodeOptions) -> Self {
        Self { bucket, layout, model, options }
    }
}

#[async_trait]
impl VectorStore for S3Store {
    fn name(&self) -> &'static str {
        "s3"
    }

    async fn check(&self) -> Result<String, StoreError> {
        // Whether the object is there does not matter, only that the request is not denied.
        self.bucket.head(&self.layout.result("doctor", "doctor"), None).await?;
        Ok(format!("the bucket {} takes results", self.bucket.name))
    }

    async fn get(&self, bucket: &str, key: &str) -> Result<Existing, WriteError> {
        let Some(object) = self.bucket.head(&self.layout.result(bucket, key), None).await? else {
            return Ok(Existing::default());
        };
        let source_version = SourceVersion::read(|name| object.metadata.get(name).map(String::as_str));
        let chunks = object.metadata.get(CHUNKS).and_then(|chunks| chunks.parse().ok());
        Ok(Existing { source_version, tag: Some(object.etag), chunks })
    }

    async fn begin<'a>(
        &'a self,
        request: WriteRequest<'a>,
        existing: &'a Existing,
        state: Option<&'a Value>,
    ) -> Result<Box<dyn DocumentWriter + 'a>, WriteError> {
        let state: State = match state {
            None => State::default(),
            Some(state) => serde_json::from_value(state.clone()).map_err(|e| unusable("it is not understood", e))?,
        };
        let decode = |text: &str| BASE64.decode(text).map_err(|e| unusable("it is damaged", e));
        let encoded = state.encoder.as_deref().map(decode).transpose()?;
        let encoder = encoder(request.document, &self.model, &self.options, request.chunks, encoded.as_deref());
        let object = ObjectWriter {
            bucket: &self.bucket,
            key: self.layout.result(&request.document.bucket, &request.document.key),
            metadata: metadata(&request),
            content_type: match self.options.format {
                OutputFormat::JsonLines => "application/x-ndjson",
                OutputFormat::Parquet => "application/vnd.apache.parquet",
            },
            existing,
            pending: decode(&state.pending)?,
            upload: state.upload,
        };
        Ok(Box::new(S3Writer { encoder: encoder.map_err(not_encoded)?, object }))
    }

    async fn remove(&self, bucket: &str, key: &str, existing: &Existing) -> Result<(), WriteError> {
        match &existing.tag {
            None => Ok(()),
            Some(tag) => self.bucket.delete(&self.layout.result(bucket, key), Some(tag)).await.map_err(write_error),
        }
    }

    async fn abort(&self, bucket: &str, key: &str, state: &Value) -> Result<(), WriteError> {
        let upload = serde_json::from_value::<State>(state.clone()).ok().and_then(|state| state.upload);
        match upload {
            None => Ok(()),
            Some(upload) => Ok(self.bucket.abort_upload(&self.layout.result(bucket, key), &upload.id).await?),
        }
    }
}

/// An encoder for `document`'s records, of which there will be `chunks` if that is known already; `state` is the
/// [`state`](Encoder::state) of an earlier encoder that this one continues.
///
/// # Errors
/// A state that is not one, or that an encoder of another format or model left.
pub fn encoder(
    document: &Document,
    model: &ModelRef,
    options: &EncodeOptions,
    chunks: Option<usize>,
    state: Option<&[u8]>,
) -> crate::Result<Box<dyn Encoder>> {
    let constants = Constants { document: document.clone(), model: model.clone(), chunks, text: options.text };
    Ok(match options.format {
        OutputFormat::JsonLines => Box::new(jsonl::JsonLines::new(constants, options, state)?),
        OutputFormat::Parquet => Box::new(parquet::Parquet::new(constants, options, state)?),
    })
}

/// The source version, the number of chunks if it is known, and the object's own entries if there is room.
fn metadata(request: &WriteRequest<'_>) -> BTreeMap<String, String> {
    let mut entries = request.source_version.entries();
    entries.extend(request.chunks.map(|chunks| (CHUNKS.to_owned(), chunks.to_string())));
    let own = &request.document.metadata;
    if own.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= CARRIED_BYTES {
        for (name, value) in own.iter().filter(|(name, _)| *name != CHUNKS) {
            entries.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    entries
}

/// The state with which a later invocation continues.
#[derive(Default, Serialize, Deserialize)]
struct State {
    upload: Option<Upload>,
    /// Base64 of the encoder's state.
    encoder: Option<String>,
    /// Base64 of the bytes that are encoded and not uploaded, because they do not fill a part yet.
    #[serde(default)]
    pending: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Upload {
    id: String,
    parts: Vec<Part>,
}

/// A document that is being written.
struct S3Writer<'a> {
    encoder: Box<dyn Encoder>,
    object: ObjectWriter<'a>,
}

#[async_trait]
impl DocumentWriter for S3Writer<'_> {
    async fn write(&mut self, records: &[Record]) -> Result<(), WriteError> {
        self.encoder.push(records).map_err(not_encoded)?;
        self.object.append(self.encoder.take()).await
    }

    async fn checkpoint(&mut self) -> Result<Value, WriteError> {
        let encoder = self.encoder.state().map_err(not_encoded)?;
        self.object.append(self.encoder.take()).await?;
        let state = State {
            upload: self.object.upload.clone(),
            encoder: Some(BASE64.encode(encoder)),
            pending: BASE64.encode(&self.object.pending),
        };
        serde_json::to_value(state).map_err(|e| not_encoded(Error::internal("a checkpoint cannot be written", e)))
    }

    async fn commit(self: Box<Self>, chunks: usize) -> Result<(), WriteError> {
        let Self { encoder, mut object } = *self;
        object.append(encoder.finish().map_err(not_encoded)?).await?;
        object.finish(chunks).await
    }

    async fn abort(self: Box<Self>) -> Result<(), WriteError> {
        let ObjectWriter { bucket, key, upload, .. } = &self.object;
        match upload {
            None => Ok(()),
            Some(upload) => Ok(bucket.abort_upload(key, &upload.id).await?),
        }
    }
}

/// The object that the bytes go to: one request if it is small, else a multipart upload.
struct ObjectWriter<'a> {
    bucket: &'a Bucket,
    key: String,
    metadata: BTreeMap<String, String>,
    content_type: &'static str,
    existing: &'a Existing,
    /// Encoded and not uploaded yet.
    pending: Vec<u8>,
    upload: Option<Upload>,
}

impl ObjectWriter<'_> {
    /// Takes bytes and uploads full parts. A part always ends at the same byte, whichever invocation uploads it.
    async fn append(&mut self, mut bytes: Vec<u8>) -> Result<(), WriteError> {
        self.pending.append(&mut bytes);
        while self.pending.len() > PART_BYTES {
            let rest = self.pending.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.pending, rest);
            self.upload_part(part).await?;
        }
        Ok(())
    }

    async fn upload_part(&mut self, bytes: Vec<u8>) -> Result<(), WriteError> {
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => {
                let id = self.bucket.create_upload(&self.key, self.headers()).await?;
                Upload { id, parts: Vec::new() }
            }
        };
        let number = upload.parts.len() + 1;
        let uploaded = self.bucket.upload_part(&self.key, &upload.id, number, Bytes::from(bytes)).await;
        upload.parts.push(uploaded.map_err(write_error)?);
        self.upload = Some(upload);
        Ok(())
    }

    async fn finish(mut self, chunks: usize) -> Result<(), WriteError> {
        let rest = std::mem::take(&mut self.pending);
        if self.upload.is_none() {
            self.metadata.insert(CHUNKS.to_owned(), chunks.to_string());
            let put = self.bucket.put(&self.key, Bytes::from(rest), self.headers(), self.precondition());
            return put.await.map_err(write_error);
        }
        if !rest.is_empty() {
            self.upload_part(rest).await?;
        }
        let Some(upload) = &self.upload else { return Ok(()) };
        match self.bucket.complete_upload(&self.key, &upload.id, &upload.parts, self.precondition()).await {
            Err(error) if error.kind == StoreErrorKind::PreconditionFailed => {
                // Parts cost storage until a lifecycle rule deletes them.
                let _ = self.bucket.abort_upload(&self.key, &upload.id).await;
                Err(WriteError::Conflict)
            }
            completed => completed.map_err(write_error),
        }
    }

    fn headers(&self) -> Headers<'_> {
        Headers { content_type: self.content_type, metadata: &self.metadata }
    }

    fn precondition(&self) -> Precondition<'_> {
        self.existing.tag.as_deref().map_or(Precondition::IfAbsent, Precondition::IfMatch)
    }
}

fn write_error(error: StoreError) -> WriteError {
    match error.kind {
        StoreErrorKind::PreconditionFailed => WriteError::Conflict,
        StoreErrorKind::NoSuchUpload => WriteError::StaleCheckpoint(error),
        _ => WriteError::Store(error),
    }
}

/// A fault of ours, after which the event comes back.
fn not_encoded(error: Error) -> WriteError {
    WriteError::Store(StoreError::retryable("the records cannot be encoded").with_source(error))
}

fn unusable(why: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WriteError {
    WriteError::StaleCheckpoint(StoreError::permanent(format!("the checkpoint is unusable: {why}")).with_source(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Document;

    #[test]
    fn the_objects_own_metadata_goes_along_where_there_is_room() {
        let mut document = Document {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            version: None,
            etag: "e".to_owned(),
            sequencer: None,
            last_modified: 7,
            content_type: None,
            size: 1,
            metadata: BTreeMap::from([("author".to_owned(), "me".to_owned()), (CHUNKS.to_owned(), "x".to_owned())]),
        };
        let source_version = SourceVersion::of(&document, "f");
        let entries = metadata(&WriteRequest { document: &document, source_version: &source_version, chunks: Some(3) });
        assert_eq!(
            (entries["author"].as_str(), entries[CHUNKS].as_str(), entries["embed-etag"].as_str()),
            ("me", "3", "e")
        );
        document.metadata.insert("long".to_owned(), "x".repeat(CARRIED_BYTES));
        let entries = metadata(&WriteRequest { document: &document, source_version: &source_version, chunks: Some(3) });
        assert!(!entries.contains_key("author") && entries.contains_key("embed-etag"));
    }
}
