//! The SDK configuration that every client starts from.
//!
//! On Lambda credentials come from the environment, so a start asks neither profiles nor instance metadata; an
//! endpoint without TLS loads no root certificates.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::http_client::http_client;
use crate::config::Aws;

/// Credentials, region and HTTP client for a service at `endpoint`, or at AWS's own.
pub async fn sdk_config(aws: &Aws, endpoint: Option<&str>) -> SdkConfig {
    match (&aws.keys, &aws.region) {
        (Some(keys), Some(region)) => {
            let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
            let credentials = Credentials::new(&keys.id, keys.secret.expose(), token, None, "environment");
            let builder = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
            let builder = builder.credentials_provider(SharedCredentialsProvider::new(credentials));
            builder.region(Region::new(region.clone())).http_client(http_client(endpoint)).build()
        }
        // Run by hand, for example: profiles, container roles, instance metadata.
        _ => {
            let found = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client(None)).load().await;
            found.into_builder().http_client(http_client(endpoint)).build()
        }
    }
}
