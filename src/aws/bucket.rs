//! One bucket: every request to S3 that this program makes, with errors that say what to do.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{StoreError, StoreErrorKind};

/// A transfer without a byte for this long counts as broken.
const SILENCE: Duration = Duration::from_secs(20);

/// One bucket; cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    client: Client,
    region: String,
}

/// What S3 says of an object beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMetadata {
    /// Without quotes.
    pub etag: String,
    pub version: Option<String>,
    /// Seconds since 1970.
    pub last_modified: i64,
    /// Bytes of the whole object, whatever part of it was asked for.
    pub size: u64,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    /// The `x-amz-meta-` entries, names in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// The condition of a write; S3 checks it and writes in one step.
#[derive(Debug, Clone, Copy)]
pub enum Precondition<'a> {
    None,
    /// There is no object at this key.
    IfAbsent,
    /// The object at this key has this ETag (without quotes).
    IfMatch(&'a str),
}

impl Precondition<'_> {
    /// `If-Match` and `If-None-Match`.
    fn headers(self) -> (Option<String>, Option<String>) {
        match self {
            Self::None => (None, None),
            Self::IfAbsent => (None, Some("*".to_owned())),
            Self::IfMatch(etag) => (Some(quoted(etag)), None),
        }
    }
}

/// An uploaded part of a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    etag: String,
    /// The client sends one with every part, and the completing request has to repeat it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32: Option<String>,
}

/// What is written of an object beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    pub content_type: &'a str,
    pub metadata: &'a BTreeMap<String, String>,
}

/// An object's bytes, as they arrive.
pub struct Body(ByteStream);

impl Body {
    /// The next bytes; `None` at the end, which may come early.
    pub async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        match tokio::time::timeout(SILENCE, self.0.next()).await {
            Ok(chunk) => Some(chunk?.map_err(|e| StoreError::retryable("the transfer broke off").with_source(e))),
            Err(_) => Some(Err(StoreError::retryable(format!("no byte came within {} s", SILENCE.as_secs())))),
        }
    }
}

/// Whether `name` is one that a general purpose bucket may have ("General purpose bucket naming rules" of S3's user
/// guide, with the capitals, underscores and 255 characters that us-east-1 allowed until March 2018). The
/// client also takes the ARN or alias of an access point for a bucket's name, even of another account; whoever only
/// sends events must not be able to name one.
pub fn is_bucket_name(name: &str) -> bool {
    const ALIASES: [&str; 7] = ["-s3alias", "--ol-s3", "--op-s3", "--xa-s3", ".mrap", "--x-s3", "--table-s3"];
    (3..=255).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !ALIASES.iter().any(|alias| name.ends_with(alias))
}

impl Bucket {
    pub fn new(client: &Client, region: &str, name: &str) -> Self {
        Self { name: name.to_owned(), client: client.clone(), region: region.to_owned() }
    }

    /// The head of an object; `None` where there is none.
    pub async fn head(&self, key: &str, version: Option<&str>) -> Result<Option<ObjectMetadata>, StoreError> {
        let request = self.client.head_object().bucket(&self.name).key(key).set_version_id(version.map(str::to_owned));
        let answer = match request.send().await {
            Ok(answer) => answer,
            // S3 answers 405 to a request for the version that is a delete marker.
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 405) => return Ok(None),
            Err(error) => {
                return match self.store_error(error, "s3:GetObject") {
                    StoreError { kind: StoreErrorKind::NotFound, .. } => Ok(None),
                    error => Err(error),
                };
            }
        };
        Ok(Some(ObjectMetadata {
            etag: unquoted(answer.e_tag()),
            version: version_id(answer.version_id()),
            last_modified: answer.last_modified().map_or(0, |time| time.secs()),
            size: answer.content_length().unwrap_or_default() as u64,
            content_type: answer.content_type().map(str::to_owned),
            content_encoding: answer.content_encoding().map(str::to_owned),
            metadata: answer.metadata().map(sorted).unwrap_or_default(),
        }))
    }

    /// An object's head, and its bytes from `from` on. With `etag`, of that content alone.
    pub async fn get(
        &self,
        key: &str,
        version: Option<&str>,
        etag: Option<&str>,
        from: u64,
    ) -> Result<(ObjectMetadata, Body), StoreError> {
        let range = (from > 0).then(|| (from, format!("bytes={from}-")));
        self.get_bytes(key, version, etag, range).await
    }

    /// An object's head, and its bytes in `range`.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<(ObjectMetadata, Body), StoreError> {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        self.get_bytes(key, None, None, Some((range.start, header))).await
    }

    /// `range` is the first byte and the header.
    async fn get_bytes(
        &self,
        key: &str,
        version: Option<&str>,
        etag: Option<&str>,
        range: Option<(u64, String)>,
    ) -> Result<(ObjectMetadata, Body), StoreError> {
        let (start, range) = range.unzip();
        let request = self.client.get_object().bucket(&self.name).key(key).set_version_id(version.map(str::to_owned));
        let request = request.set_if_match(etag.map(quoted)).set_range(range);
        let rights = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let answer = request.send().await.map_err(|error| self.store_error(error, rights))?;
        let size = match start {
            None => answer.content_length().unwrap_or_default() as u64,
            Some(start) => whole_size(answer.content_range().unwrap_or_default(), start)
                .ok_or_else(|| StoreError::permanent("the server does not answer ranges"))?,
        };
        let metadata = ObjectMetadata {
            etag: unquoted(answer.e_tag()),
            version: version_id(answer.version_id()),
            last_modified: answer.last_modified().map_or(0, |time| time.secs()),
            size,
            content_type: answer.content_type().map(str::to_owned),
            content_encoding: answer.content_encoding().map(str::to_owned),
            metadata: answer.metadata().map(sorted).unwrap_or_default(),
        };
        Ok((metadata, Body(answer.body)))
    }

    /// A small object whole; `None` where there is none.
    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut body = match self.get(key, None, None, 0).await {
            Ok((_, body)) => body,
            Err(StoreError { kind: StoreErrorKind::NotFound, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(Some(bytes))
    }

    /// Writes an object in one request.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        headers: Headers<'_>,
        precondition: Precondition<'_>,
    ) -> Result<(), StoreError> {
        let request = self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from(bytes));
        let request = request.content_type(headers.content_type).set_metadata(Some(unsorted(headers.metadata)));
        let (if_match, if_none_match) = precondition.headers();
        let request = request.set_if_match(if_match).set_if_none_match(if_none_match);
        request.send().await.map(drop).map_err(|error| self.write_error(error, precondition))
    }

    /// Begins a multipart upload; its id.
    pub async fn create_upload(&self, key: &str, headers: Headers<'_>) -> Result<String, StoreError> {
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key);
        let request = request.content_type(headers.content_type).set_metadata(Some(unsorted(headers.metadata)));
        let answer = request.send().await.map_err(|error| self.store_error(error, "s3:PutObject"))?;
        answer.upload_id.ok_or_else(|| StoreError::retryable("S3 began an upload without an id"))
    }

    /// Uploads part `number` (from 1); again overwrites it.
    pub async fn upload_part(&self, key: &str, upload: &str, number: usize, bytes: Bytes) -> Result<Part, StoreError> {
        let request = self.client.upload_part().bucket(&self.name).key(key).upload_id(upload);
        let request = request.part_number(number as i32).body(ByteStream::from(bytes));
        let answer = request.send().await.map_err(|error| self.store_error(error, "s3:PutObject"))?;
        Ok(Part { etag: answer.e_tag.unwrap_or_default(), crc32: answer.checksum_crc32 })
    }

    /// Makes the parts one object.
    pub async fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[Part],
        precondition: Precondition<'_>,
    ) -> Result<(), StoreError> {
        let part = |(index, part): (usize, &Part)| {
            let completed = CompletedPart::builder().part_number(index as i32 + 1).e_tag(&part.etag);
            completed.set_checksum_crc32(part.crc32.clone()).build()
        };
        let parts = parts.iter().enumerate().map(part).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(upload);
        let (if_match, if_none_match) = precondition.headers();
        let request = request.set_if_match(if_match).set_if_none_match(if_none_match);
        let request = request.multipart_upload(parts);
        request.send().await.map(drop).map_err(|error| self.write_error(error, precondition))
    }

    /// Drops an upload's parts; one that is gone is no error.
    pub async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        let request = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(upload);
        match request.send().await.map_err(|error| self.store_error(error, "s3:AbortMultipartUpload")) {
            Ok(_) | Err(StoreError { kind: StoreErrorKind::NoSuchUpload | StoreErrorKind::NotFound, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes an object, with `etag` only that content; one that is gone is no error.
    pub async fn delete(&self, key: &str, etag: Option<&str>) -> Result<(), StoreError> {
        let request = self.client.delete_object().bucket(&self.name).key(key).set_if_match(etag.map(quoted));
        match request.send().await.map_err(|error| self.store_error(error, "s3:DeleteObject")) {
            Ok(_) | Err(StoreError { kind: StoreErrorKind::NotFound, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes many objects, with one request for every thousand of them, S3's limit; those that are gone are no error.
    ///
    /// # Errors
    /// The first one of S3's; others may have been removed nevertheless.
    pub async fn delete_all(&self, keys: &[String]) -> Result<(), StoreError> {
        let invalid = |e| StoreError::permanent("the request to delete objects is invalid").with_source(e);
        for keys in keys.chunks(1000) {
            let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
            let objects = objects.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
            let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(invalid)?;
            let request = self.client.delete_objects().bucket(&self.name).delete(delete);
            let answer = request.send().await.map_err(|error| self.store_error(error, "s3:DeleteObject"))?;
            if let Some(error) = answer.errors().first() {
                let (code, key) = (error.code().unwrap_or_default(), error.key().unwrap_or_default());
                return Err(StoreError::retryable(format!("S3 did not delete {key}: {code}")));
            }
        }
        Ok(())
    }

    fn store_error<E>(&self, error: SdkError<E>, right: &str) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let rights = format!(
            "{right} on arn:aws:s3:::{}/*, s3:ListBucket to tell a missing object from a forbidden one, and for \
             objects encrypted with a key of AWS KMS the rights to use that key",
            self.name
        );
        StoreError::from_sdk(error, "S3", &rights, &self.region)
    }

    /// The error of a write. A write over an object that is gone lost a race as well.
    fn write_error<E>(&self, error: SdkError<E>, precondition: Precondition<'_>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let no_bucket = error.code() == Some("NoSuchBucket");
        let error = self.store_error(error, "s3:PutObject");
        match (error.kind, precondition) {
            (StoreErrorKind::NotFound, Precondition::IfMatch(_)) if !no_bucket => {
                StoreError { kind: StoreErrorKind::PreconditionFailed, ..error }
            }
            _ => error,
        }
    }
}

/// The size of the whole object in `bytes 5-9/10`, if the range begins at `start`.
fn whole_size(content_range: &str, start: u64) -> Option<u64> {
    let (range, size) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    (first.parse() == Ok(start)).then(|| size.parse().ok())?
}

fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

fn quoted(etag: impl AsRef<str>) -> String {
    format!("\"{}\"", etag.as_ref())
}

/// An object of a bucket without versions has the version `null`, or none.
fn version_id(version: Option<&str>) -> Option<String> {
    version.filter(|version| *version != "null").map(str::to_owned)
}

fn sorted(metadata: &std::collections::HashMap<String, String>) -> BTreeMap<String, String> {
    metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn unsorted(metadata: &BTreeMap<String, String>) -> std::collections::HashMap<String, String> {
    metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_the_size_of_the_whole() {
        assert_eq!(whole_size("bytes 5-9/10", 5), Some(10));
        assert_eq!(whole_size("bytes 0-9/10", 5), None);
        assert_eq!(whole_size("bytes 5-9/*", 5), None);
        assert_eq!(whole_size("", 0), None);
    }

    #[test]
    fn a_bucket_has_a_plain_name() {
        for name in ["docs", "my-documents", "a.b-c.1", "123", "Old_Reports", &"x".repeat(63)] {
            assert!(is_bucket_name(name), "{name}");
        }
        for name in [
            "",
            "ab",
            &"x".repeat(256),
            "docs/",
            "-docs",
            "a..b",
            "192.168.5.4",
            "dócs",
            "arn:aws:s3:us-east-1:111122223333:accesspoint/theirs",
            "theirs-abcdefghijklmnopqrstuvwxyz1234-s3alias",
            "theirs--ol-s3",
            "theirs-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
            "theirs--use1-az4--xa-s3",
            "theirs--use1-az4--x-s3",
            "mfzwi23gnjvgw.mrap",
        ] {
            assert!(!is_bucket_name(name), "{name}");
        }
    }
}
