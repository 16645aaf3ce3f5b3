//! Amazon S3 as an [`ObjectStore`], and the three requests a model takes: GET, HEAD and PUT.
//!
//! Nothing is checksummed twice, because every byte is hashed against the manifest anyway.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::ChecksumAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

use super::object_store::{Body, Chunks, NextChunk, Object, ObjectStore, Want};
use crate::aws::{self, Attempts, S3};
use crate::config::Aws;
use crate::error::{StoreError, StoreErrorKind};

/// The object metadata (`x-amz-meta-sha256`) in which an uploader says what the whole object's hash is.
const SHA256: &str = "sha256";

/// One bucket.
#[derive(Clone)]
pub struct S3ObjectStore {
    client: Client,
    bucket: String,
    region: String,
}

/// What is known of a stored object without fetching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub size: u64,
    pub sha256: Option<String>,
}

impl S3ObjectStore {
    /// A client for `bucket`; nothing is sent yet.
    pub async fn connect(aws: &Aws, bucket: &str, attempts: Attempts) -> Self {
        let S3 { client, region } = aws::connect(aws, attempts).await;
        Self { client, bucket: bucket.to_owned(), region }
    }

    /// Size and hash of the object at `key`; `None` where there is none, or none that may be seen.
    pub async fn stored(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(Some(Stored {
                size: head.content_length().unwrap_or_default() as u64,
                sha256: head.metadata().and_then(|metadata| metadata.get(SHA256)).cloned(),
            })),
            // Without s3:ListBucket a missing object looks like a forbidden one.
            Err(error) if matches!(status(&error), Some(403 | 404)) => Ok(None),
            Err(error) => Err(self.store_error(error)),
        }
    }

    /// Uploads `bytes`, whose sha256 is `sha256`; S3 compares it to what arrives. `sent` is told of every
    /// chunk's size, and of a new attempt by `None`.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        sha256: [u8; 32],
        sent: impl Fn(Option<usize>) + Clone + Unpin + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        let body = SdkBody::retryable({
            let bytes = bytes.clone();
            move || {
                sent(None);
                SdkBody::from_body_1_x(Counted { rest: bytes.clone(), sent: sent.clone() })
            }
        });
        let request = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::new(body));
        let request = request.content_length(bytes.len() as i64).metadata(SHA256, super::manifest::hex(&sha256));
        let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(BASE64.encode(sha256));
        request.send().await.map(drop).map_err(|error| self.store_error(error))
    }

    fn store_error<E>(&self, error: SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let rights = format!(
            "s3:GetObject (with versionId also s3:GetObjectVersion) on arn:aws:s3:::{}/*, and s3:ListBucket to tell \
             a missing object from a forbidden one",
            self.bucket
        );
        let error = StoreError::from_sdk(error, &rights, &self.region);
        match error.kind {
            StoreErrorKind::NotFound => {
                StoreError { message: format!("{}; `make push-model` uploads a model", error.message), ..error }
            }
            _ => error,
        }
    }
}

impl ObjectStore for S3ObjectStore {
    async fn get(&self, key: &str, want: &Want) -> Result<Object, StoreError> {
        let range = want.range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let request = self.client.get_object().bucket(&self.bucket).key(key).set_range(range);
        let answer = request.set_version_id(want.version.clone()).send().await.map_err(|e| self.store_error(e))?;
        let length = answer.content_length().unwrap_or_default() as u64;
        let size = match &want.range {
            None => length,
            Some(range) => whole_size(answer.content_range().unwrap_or_default(), range.start)
                .ok_or_else(|| StoreError::permanent("the server does not answer ranges"))?,
        };
        let sha256 = answer.metadata().and_then(|metadata| metadata.get(SHA256)).cloned();
        Ok(Object { size, sha256, body: Body::new(Streamed(answer.body)) })
    }
}

/// The size in `bytes 5-9/10`, if it starts at `start`.
fn whole_size(content_range: &str, start: u64) -> Option<u64> {
    let (range, size) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    (first.parse() == Ok(start)).then(|| size.parse().ok())?
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

struct Streamed(ByteStream);

impl Chunks for Streamed {
    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(async {
            let chunk = self.0.next().await?;
            Some(chunk.map_err(|error| StoreError::retryable("the transfer broke off").with_source(error)))
        })
    }
}

/// A body in pieces, so that whoever waits sees how far it got.
struct Counted<F> {
    rest: Bytes,
    sent: F,
}

const PIECE_BYTES: usize = 64 * 1024;

impl<F: Fn(Option<usize>) + Unpin> HttpBody for Counted<F> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(piece);
        (self.sent)(Some(piece.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::whole_size;

    #[test]
    fn a_range_tells_the_size_of_the_whole() {
        assert_eq!(whole_size("bytes 5-9/10", 5), Some(10));
        assert_eq!(whole_size("bytes 0-9/10", 5), None);
        assert_eq!(whole_size("bytes 5-9/*", 5), None);
        assert_eq!(whole_size("", 0), None);
    }
}
