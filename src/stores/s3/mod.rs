//! S3 as a sink: one object a document, there whole or not at all.
//!
//! ```text
//! up to PART_BYTES   one PUT           when the document ends
//! above              multipart upload  parts as they fill; one object when the document ends
//! ```
//!
//! The stamp is the object's metadata, so results and stamp are there in the same moment. Both ways end in a
//! request that S3 refuses if the object is not the one that was looked at (`If-None-Match`, `If-Match`).

mod document_vector;
mod encoder;
#[cfg(test)]
mod encoder_tests;
mod jsonl;
mod parquet;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::encoder::Encoder;
use crate::aws::{Bucket, Condition, Headers, Part};
use crate::error::{Cause, Error, Trouble};
use crate::record::{
    Document, EncodeOptions, End, Held, Job, Layout, ModelRef, OutputFormat, Record, Refused, Sink, Stamp, Work,
    Writing,
};

/// Bytes of a part. S3 takes 5 MB to 5 GB and 10,000 parts: 80 GB, the vectors of 3 GB of text.
const PART_BYTES: usize = 8 << 20;

/// Bytes of the object's own metadata that are carried along at most; S3 takes 2 KB with ours.
const CARRIED_BYTES: usize = 1500;

/// How many chunks the object holds, beside the stamp.
const CHUNKS: &str = "embed-chunks";

/// Results as objects below the output's prefix.
pub struct S3Sink {
    bucket: Bucket,
    layout: Layout,
    model: ModelRef,
    options: EncodeOptions,
}

impl S3Sink {
    pub fn new(bucket: Bucket, layout: Layout, model: ModelRef, options: EncodeOptions) -> Self {
        Self { bucket, layout, model, options }
    }
}

impl Sink for S3Sink {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn look<'a>(&'a self, bucket: &'a str, key: &'a str) -> Work<'a, Held> {
        Box::pin(async move {
            let Some(found) = self.bucket.head(&self.layout.result(bucket, key), None).await? else {
                return Ok(Held::default());
            };
            let stamp = Stamp::read(|name| found.metadata.get(name).map(String::as_str));
            let chunks = found.metadata.get(CHUNKS).and_then(|chunks| chunks.parse().ok()).unwrap_or_default();
            Ok(Held { stamp, tag: Some(found.etag), chunks })
        })
    }

    fn open<'a>(&'a self, job: Job<'a>, held: &'a Held, state: Option<&'a Value>) -> Work<'a, Box<dyn Writing + 'a>> {
        Box::pin(async move {
            let state: State = match state {
                None => State::default(),
                Some(state) => serde_json::from_value(state.clone()).map_err(|e| lost("it is not understood", e))?,
            };
            let decode = |text: &str| BASE64.decode(text).map_err(|e| lost("it is damaged", e));
            let encoded = state.encoder.as_deref().map(decode).transpose()?;
            let options = EncodeOptions { chunks: Some(job.chunks), ..self.options.clone() };
            let encoder = encoder(job.document, &self.model, &options, encoded.as_deref()).map_err(faulty)?;
            let object = Growing {
                bucket: &self.bucket,
                key: self.layout.result(&job.document.bucket, &job.document.key),
                metadata: metadata(&job),
                content_type: match self.options.format {
                    OutputFormat::JsonLines => "application/x-ndjson",
                    OutputFormat::Parquet => "application/vnd.apache.parquet",
                },
                held,
                pending: decode(&state.pending)?,
                upload: state.upload,
            };
            let writing = S3Writing { encoder, object };
            Ok(Box::new(writing) as Box<dyn Writing>)
        })
    }

    fn remove<'a>(&'a self, bucket: &'a str, key: &'a str, held: &'a Held) -> Work<'a, ()> {
        Box::pin(async move {
            match &held.tag {
                None => Ok(()),
                Some(tag) => self.bucket.delete(&self.layout.result(bucket, key), Some(tag)).await.map_err(refused),
            }
        })
    }

    fn forget<'a>(&'a self, bucket: &'a str, key: &'a str, state: &'a Value) -> Work<'a, ()> {
        Box::pin(async move {
            let upload = serde_json::from_value::<State>(state.clone()).ok().and_then(|state| state.upload);
            match upload {
                None => Ok(()),
                Some(upload) => Ok(self.bucket.abort_upload(&self.layout.result(bucket, key), &upload.id).await?),
            }
        })
    }
}

/// An encoder for `document`'s records; `resumed` is the [`state`](Encoder::state) of the one that began.
///
/// # Errors
/// A state that is not one, or that another format or model left.
pub fn encoder(
    document: &Document,
    model: &ModelRef,
    options: &EncodeOptions,
    resumed: Option<&[u8]>,
) -> crate::Result<Box<dyn Encoder>> {
    Ok(match options.format {
        OutputFormat::JsonLines => Box::new(jsonl::JsonLines::new(document, model, options, resumed)?),
        OutputFormat::Parquet => Box::new(parquet::Parquet::new(document, model, options, resumed)?),
    })
}

/// The stamp, the number of chunks, and the object's own entries as far as there is room.
fn metadata(job: &Job<'_>) -> BTreeMap<String, String> {
    let mut entries = job.stamp.entries();
    entries.insert(CHUNKS.to_owned(), job.chunks.to_string());
    let own = &job.document.metadata;
    if own.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= CARRIED_BYTES {
        for (name, value) in own {
            entries.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    entries
}

/// What a later invocation goes on with.
#[derive(Default, Serialize, Deserialize)]
struct State {
    upload: Option<Upload>,
    /// Base64 of the encoder's own.
    encoder: Option<String>,
    /// Base64 of the bytes that do not fill a part yet.
    #[serde(default)]
    pending: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Upload {
    id: String,
    parts: Vec<Part>,
}

/// A document in the making.
struct S3Writing<'a> {
    encoder: Box<dyn Encoder>,
    object: Growing<'a>,
}

impl Writing for S3Writing<'_> {
    fn put<'a>(&'a mut self, records: &'a [Record]) -> Work<'a, ()> {
        Box::pin(async move {
            self.encoder.push(records).map_err(faulty)?;
            self.object.append(self.encoder.take()).await
        })
    }

    fn suspend(&mut self) -> Work<'_, Value> {
        Box::pin(async move {
            let encoder = self.encoder.state().map_err(faulty)?;
            self.object.append(self.encoder.take()).await?;
            let state = State {
                upload: self.object.upload.clone(),
                encoder: Some(BASE64.encode(encoder)),
                pending: BASE64.encode(&self.object.pending),
            };
            serde_json::to_value(state).map_err(|e| faulty(Error::internal("a checkpoint cannot be written", e)))
        })
    }

    fn finish<'a>(self: Box<Self>, _end: &'a End) -> Work<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let Self { encoder, mut object } = *self;
            object.append(encoder.finish().map_err(faulty)?).await?;
            object.finish().await
        })
    }
}

/// The object that the bytes go to.
struct Growing<'a> {
    bucket: &'a Bucket,
    key: String,
    metadata: BTreeMap<String, String>,
    content_type: &'static str,
    held: &'a Held,
    /// Encoded and not uploaded yet.
    pending: Vec<u8>,
    upload: Option<Upload>,
}

impl Growing<'_> {
    /// Takes bytes and uploads what fills whole parts, so that parts are cut at the same bytes whoever cuts them.
    async fn append(&mut self, mut bytes: Vec<u8>) -> Result<(), Refused> {
        self.pending.append(&mut bytes);
        while self.pending.len() > PART_BYTES {
            let rest = self.pending.split_off(PART_BYTES);
            let part = std::mem::replace(&mut self.pending, rest);
            self.upload_part(part).await?;
        }
        Ok(())
    }

    async fn upload_part(&mut self, bytes: Vec<u8>) -> Result<(), Refused> {
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => {
                let id = self.bucket.create_upload(&self.key, self.headers()).await?;
                Upload { id, parts: Vec::new() }
            }
        };
        let number = upload.parts.len() + 1;
        let uploaded = self.bucket.upload_part(&self.key, &upload.id, number, Bytes::from(bytes)).await;
        upload.parts.push(uploaded.map_err(refused)?);
        self.upload = Some(upload);
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Refused> {
        let rest = std::mem::take(&mut self.pending);
        if self.upload.is_none() {
            let put = self.bucket.put(&self.key, Bytes::from(rest), self.headers(), self.condition());
            return put.await.map_err(refused);
        }
        if !rest.is_empty() {
            self.upload_part(rest).await?;
        }
        let Some(upload) = &self.upload else { return Ok(()) };
        match self.bucket.complete_upload(&self.key, &upload.id, &upload.parts, self.condition()).await {
            Err(trouble) if trouble.cause == Cause::Condition => {
                // The parts would cost storage until a lifecycle rule finds them.
                let _ = self.bucket.abort_upload(&self.key, &upload.id).await;
                Err(Refused::Superseded)
            }
            completed => completed.map_err(refused),
        }
    }

    fn headers(&self) -> Headers<'_> {
        Headers { content_type: self.content_type, metadata: &self.metadata }
    }

    fn condition(&self) -> Condition<'_> {
        self.held.tag.as_deref().map_or(Condition::Absent, Condition::Match)
    }
}

fn refused(trouble: Trouble) -> Refused {
    match trouble.cause {
        Cause::Condition => Refused::Superseded,
        Cause::Upload => Refused::StateLost(trouble),
        _ => Refused::Trouble(trouble),
    }
}

/// A fault of ours; a retry may meet another day.
fn faulty(error: Error) -> Refused {
    Refused::Trouble(Trouble::passing("the records cannot be encoded").because(error))
}

fn lost(why: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Refused {
    Refused::StateLost(Trouble::lasting(format!("the checkpoint is of no use: {why}")).because(cause))
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
        let stamp = Stamp::of(&document, "f");
        let entries = metadata(&Job { document: &document, stamp: &stamp, chunks: 3 });
        assert_eq!(
            (entries["author"].as_str(), entries[CHUNKS].as_str(), entries["embed-etag"].as_str()),
            ("me", "3", "e")
        );
        document.metadata.insert("long".to_owned(), "x".repeat(CARRIED_BYTES));
        let entries = metadata(&Job { document: &document, stamp: &stamp, chunks: 3 });
        assert!(!entries.contains_key("author") && entries.contains_key("embed-etag"));
    }
}
