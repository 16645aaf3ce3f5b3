//! Amazon S3 as an [`ObjectStore`], and the three requests a model takes: GET, HEAD and PUT. The one file
//! that names the S3 client.
//!
//! What costs time at a start is left out: on Lambda credentials come from the environment, so neither
//! profiles nor instance metadata are asked; an endpoint without TLS loads no root certificates; nothing is
//! checksummed twice, because every byte is hashed against the manifest anyway.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, ConfigBag, Credentials, Intercept, Region, ResponseChecksumValidation, RuntimeComponents,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{BoxError, ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::ChecksumAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

use super::store::{Body, Chunks, NextChunk, Object, ObjectStore, Trouble, Want};
use crate::call;
use crate::config::Aws;

/// The object metadata (`x-amz-meta-sha256`) in which an uploader says what the whole object's hash is.
const SHA256: &str = "sha256";

/// Who asks again when a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// The caller does.
    Once,
    /// The client does, as AWS's SDKs do by default.
    Standard,
}

/// Sends the call's X-Ray header on. The SDK does so by itself from `_X_AMZN_TRACE_ID`, which holds one call's:
/// where several run at once Lambda's runtime leaves it unset.
#[derive(Debug)]
struct TraceHeader;

impl Intercept for TraceHeader {
    fn name(&self) -> &'static str {
        "TraceHeader"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const NAME: &str = "x-amzn-trace-id";
        if let Some(trace) = call::trace().and_then(|trace| http::HeaderValue::try_from(trace).ok()) {
            context.request_mut().headers_mut().insert(NAME, trace);
        }
        Ok(())
    }
}

/// One bucket.
#[derive(Clone)]
pub struct S3Store {
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

impl S3Store {
    /// A client for `bucket`; nothing is sent yet.
    pub async fn connect(aws: &Aws, bucket: &str, attempts: Attempts) -> Self {
        let (builder, region) = match (&aws.keys, &aws.region) {
            (Some(keys), Some(region)) => {
                let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
                let credentials = Credentials::new(&keys.id, keys.secret.expose(), token, None, "environment");
                let builder = Builder::new().behavior_version(BehaviorVersion::latest());
                let builder = builder.credentials_provider(credentials).region(Region::new(region.clone()));
                (builder, region.clone())
            }
            // By hand, say: profiles, container roles, instance metadata.
            _ => {
                let loaded = aws_config::defaults(BehaviorVersion::latest()).load().await;
                let region = loaded.region().map_or("us-east-1", Region::as_ref).to_owned();
                (Builder::from(&loaded).region(Region::new(region.clone())), region)
            }
        };
        let builder = match &aws.endpoint {
            // Servers other than AWS's rarely have a host name for every bucket.
            Some(endpoint) => builder.endpoint_url(endpoint).force_path_style(true),
            None => builder,
        };
        let builder = match &aws.endpoint {
            Some(endpoint) if endpoint.starts_with("http://") => {
                builder.http_client(aws_smithy_http_client::Builder::new().build_http())
            }
            _ => builder,
        };
        let retries = match attempts {
            Attempts::Once => RetryConfig::disabled(),
            Attempts::Standard => RetryConfig::standard(),
        };
        let config = builder
            .retry_config(retries)
            .interceptor(TraceHeader)
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config), bucket: bucket.to_owned(), region }
    }

    /// Size and hash of the object at `key`; `None` where there is none, or none that may be seen.
    pub async fn stored(&self, key: &str) -> Result<Option<Stored>, Trouble> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(Some(Stored {
                size: head.content_length().unwrap_or_default() as u64,
                sha256: head.metadata().and_then(|metadata| metadata.get(SHA256)).cloned(),
            })),
            // Without s3:ListBucket a missing object looks like a forbidden one.
            Err(error) if matches!(status(&error), Some(403 | 404)) => Ok(None),
            Err(error) => Err(self.trouble(error)),
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
    ) -> Result<(), Trouble> {
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
        request.send().await.map(drop).map_err(|error| self.trouble(error))
    }

    /// What went wrong, in the words of whoever has to mend it.
    fn trouble<E>(&self, error: SdkError<E>) -> Trouble
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(refused) = &error else {
            let nobody = matches!(&error, SdkError::DispatchFailure(failure) if has_no_credentials(failure.as_connector_error()));
            let (message, passing) = match &error {
                SdkError::DispatchFailure(_) if nobody => (
                    "nobody's credentials were found; set AWS_ACCESS_KEY_ID and its companions, or a profile or role",
                    false,
                ),
                SdkError::DispatchFailure(failure) => ("S3 could not be asked", !failure.is_user()),
                SdkError::ConstructionFailure(_) => ("S3 cannot be asked so", false),
                _ => ("S3's answer was not understood", true),
            };
            return Trouble { message: message.to_owned(), passing, source: Some(Box::new(error)) };
        };
        let status = refused.raw().status().as_u16();
        let code = refused.err().meta().code().unwrap_or_default();
        let said = refused.err().meta().message().unwrap_or_default();
        let elsewhere = refused.raw().headers().get("x-amz-bucket-region").filter(|region| *region != self.region);
        let remedy = match (status, code) {
            (301 | 400, _)
                if elsewhere.is_some() || matches!(code, "PermanentRedirect" | "AuthorizationHeaderMalformed") =>
            {
                let region = elsewhere.map_or(String::new(), |region| format!(" ({region})"));
                format!("the bucket lies in another region{region} than the one asked, {}", self.region)
            }
            (_, "NoSuchBucket") => "there is no such bucket".to_owned(),
            (_, "NoSuchVersion") => "the object has no such version".to_owned(),
            (_, "NoSuchKey") | (404, _) => "there is no such object; `make push-model` uploads a model".to_owned(),
            (_, "AccessDenied") | (403, "") => format!(
                "access denied; the role needs s3:GetObject (with versionId also s3:GetObjectVersion) on \
                 arn:aws:s3:::{}/*, and s3:ListBucket to tell a missing object from a forbidden one",
                self.bucket
            ),
            _ => String::new(),
        };
        let passing = status >= 500 || matches!(status, 408 | 429) || matches!(code, "SlowDown" | "RequestTimeout");
        let answer = format!("S3 answered {status} {code}").trim_end().to_owned();
        let answer = if said.is_empty() { answer } else { format!("{answer} ({said})") };
        let message = if remedy.is_empty() { answer } else { format!("{remedy}; {answer}") };
        Trouble { message, passing, source: None }
    }
}

impl ObjectStore for S3Store {
    async fn get(&self, key: &str, want: &Want) -> Result<Object, Trouble> {
        let range = want.range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let request = self.client.get_object().bucket(&self.bucket).key(key).set_range(range);
        let answer = request.set_version_id(want.version.clone()).send().await.map_err(|e| self.trouble(e))?;
        let length = answer.content_length().unwrap_or_default() as u64;
        let size = match &want.range {
            None => length,
            Some(range) => whole_size(answer.content_range().unwrap_or_default(), range.start)
                .ok_or_else(|| Trouble::lasting("the server does not answer ranges"))?,
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

/// Whether a request was never sent because nobody knows who asks.
fn has_no_credentials(error: Option<&ConnectorError>) -> bool {
    let mut cause = error.map(|error| error as &dyn std::error::Error);
    while let Some(error) = cause {
        if error.to_string().contains("credential") {
            return true;
        }
        cause = error.source();
    }
    false
}

struct Streamed(ByteStream);

impl Chunks for Streamed {
    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(async {
            let chunk = self.0.next().await?;
            Some(chunk.map_err(|error| Trouble::passing("the transfer broke off").because(error)))
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
    use super::*;
    use crate::config::AccessKeys;
    use crate::secrets::Secret;
    use std::io::{Read, Write};

    #[test]
    fn a_range_tells_the_size_of_the_whole() {
        assert_eq!(whole_size("bytes 5-9/10", 5), Some(10));
        assert_eq!(whole_size("bytes 0-9/10", 5), None);
        assert_eq!(whole_size("bytes 5-9/*", 5), None);
        assert_eq!(whole_size("", 0), None);
    }

    #[test]
    fn requests_carry_the_trace_header_of_the_call_they_are_made_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let keys = AccessKeys { id: "id".to_owned(), secret: Secret::new("key"), session_token: None };
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let aws = Aws { region: Some("us-east-1".to_owned()), endpoint: Some(endpoint), keys: Some(keys) };
        let heads = std::thread::spawn(move || {
            let head = |client: std::io::Result<std::net::TcpStream>| {
                let (mut client, mut buffer) = (client.unwrap(), [0; 4096]);
                let length = client.read(&mut buffer).unwrap();
                client.write_all(b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
                String::from_utf8_lossy(&buffer[..length]).to_lowercase()
            };
            listener.incoming().take(2).map(head).collect::<Vec<_>>()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let call = call::Call { trace: Some("Root=1-abc;Sampled=1".to_owned()), ..Default::default() };
        runtime.block_on(async {
            let store = S3Store::connect(&aws, "bucket", Attempts::Once).await;
            call.scope(store.stored("a")).await.unwrap();
            store.stored("b").await.unwrap();
        });
        let heads = heads.join().unwrap();
        assert!(heads[0].contains("x-amzn-trace-id: root=1-abc;sampled=1"), "{}", heads[0]);
        assert!(!heads[1].contains("x-amzn-trace-id"), "{}", heads[1]);
    }
}
