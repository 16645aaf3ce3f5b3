//! The SDK configuration that every client starts from.
//!
//! On Lambda credentials come from the environment, so a start asks neither profiles nor instance metadata; an
//! endpoint without TLS loads no root certificates.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::config::Aws;

/// Credentials, region and HTTP client for a service at `endpoint`, or at AWS's own.
pub async fn sdk_config(aws: &Aws, endpoint: Option<&str>) -> SdkConfig {
    let config = match (&aws.keys, &aws.region) {
        (Some(keys), Some(region)) => {
            let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
            let credentials = Credentials::new(&keys.id, keys.secret.expose(), token, None, "environment");
            let builder = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
            let builder = builder.credentials_provider(SharedCredentialsProvider::new(credentials));
            builder.region(Region::new(region.clone())).build()
        }
        // Run by hand, for example: profiles, container roles, instance metadata.
        _ => aws_config::defaults(BehaviorVersion::latest()).load().await,
    };
    match endpoint {
        Some(endpoint) if endpoint.starts_with("http://") => {
            config.into_builder().http_client(aws_smithy_http_client::Builder::new().build_http()).build()
        }
        _ => config,
    }
}
