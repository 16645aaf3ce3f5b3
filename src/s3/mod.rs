//! The S3 client, built once for whoever needs it: models at the start, documents in and vectors out.
//!
//! What costs time at a start is left out: on Lambda credentials come from the environment, so neither
//! profiles nor instance metadata are asked; an endpoint without TLS loads no root certificates.

mod bucket;
mod trouble;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, ResponseChecksumValidation, StalledStreamProtectionConfig,
};

pub use aws_sdk_s3::Client;

pub use bucket::{Body, Bucket, Condition, Found, Headers, Part};
pub use trouble::{Cause, Trouble};

use crate::config::Aws;

/// Who asks again when a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// The caller does.
    Once,
    /// The client does, as AWS's SDKs do by default.
    Standard,
}

/// A client and the region it asks; nothing is sent yet.
pub async fn connect(aws: &Aws, attempts: Attempts) -> (Client, String) {
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
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    (Client::from_conf(config), region)
}
