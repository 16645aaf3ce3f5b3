//! The S3 client of models, documents and outputs.

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, ConfigBag, Intercept, Region, ResponseChecksumValidation, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::BoxError;

use aws_sdk_s3::Client;

use super::{Bucket, sdk_config};
use crate::config::Aws;
use crate::observability::call;

/// Who retries a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// The caller does.
    Once,
    /// The client does, with the default retries of AWS's SDKs.
    Standard,
}

/// Adds headers that the SDK does not set by itself: the call's X-Ray header, and who pays.
///
/// The SDK reads `_X_AMZN_TRACE_ID`, which can hold one call's header only: Lambda's runtime leaves it unset where several
/// calls run at once.
#[derive(Debug, Default)]
pub struct RequestHeaders {
    /// Says that this function's account pays for requests and transfers ("Requester Pays buckets" in S3's user guide).
    pub requester_pays: bool,
}

impl Intercept for RequestHeaders {
    fn name(&self) -> &'static str {
        "RequestHeaders"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        if let Some(trace) = call::trace().and_then(|trace| http::HeaderValue::try_from(trace).ok()) {
            headers.insert("x-amzn-trace-id", trace);
        }
        if self.requester_pays {
            headers.insert("x-amz-request-payer", http::HeaderValue::from_static("requester"));
        }
        Ok(())
    }
}

/// A client with its region; cheap to clone.
#[derive(Debug, Clone)]
pub struct S3 {
    pub client: Client,
    pub region: String,
}

impl S3 {
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(&self.client, &self.region, name)
    }
}

/// Makes a client; nothing is sent yet.
pub async fn connect(aws: &Aws, attempts: Attempts) -> S3 {
    let shared = sdk_config(aws, aws.endpoint.as_deref()).await;
    let region = shared.region().map_or("us-east-1", Region::as_ref).to_owned();
    let builder = Builder::from(&shared).region(Region::new(region.clone()));
    let builder = match &aws.endpoint {
        // Servers other than AWS's rarely have a host name for every bucket.
        Some(endpoint) => builder.endpoint_url(endpoint).force_path_style(true),
        None => builder,
    };
    let retries = match attempts {
        Attempts::Once => RetryConfig::disabled(),
        Attempts::Standard => RetryConfig::standard(),
    };
    let config = builder
        .retry_config(retries)
        .interceptor(RequestHeaders { requester_pays: aws.requester_pays })
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    S3 { client: Client::from_conf(config), region }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccessKeys, Secret};
    use std::io::{Read, Write};

    #[test]
    fn requests_carry_the_trace_header_of_their_call_and_who_pays() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let keys = AccessKeys { id: "id".to_owned(), secret: Secret::new("key"), session_token: None };
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let aws = Aws {
            region: Some("us-east-1".to_owned()),
            endpoint: Some(endpoint),
            keys: Some(keys),
            vectors_endpoint: None,
            requester_pays: true,
        };
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
            let S3 { client, .. } = connect(&aws, Attempts::Once).await;
            let head = || client.head_object().bucket("bucket").key("a").send();
            assert!(call.scope(head()).await.is_err());
            assert!(head().await.is_err());
        });
        let heads = heads.join().unwrap();
        assert!(heads[0].contains("x-amzn-trace-id: root=1-abc;sampled=1"), "{}", heads[0]);
        assert!(!heads[1].contains("x-amzn-trace-id"), "{}", heads[1]);
        assert!(heads.iter().all(|head| head.contains("x-amz-request-payer: requester")), "{}", heads[0]);
    }
}
