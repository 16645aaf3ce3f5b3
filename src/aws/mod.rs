//! AWS's clients: one HTTP client, one SDK configuration, one bucket's requests, one retry policy, secrets.

mod bucket;
mod http_client;
mod json_service;
mod retry;
mod s3_client;
mod sdk_config;
mod sdk_error;
pub mod secrets;

pub use bucket::{Body, Bucket, Headers, ObjectMetadata, Part, Precondition, why_no_bucket};
pub use http_client::connector;
pub use retry::{Retry, RetryPolicy};
pub use s3_client::{Attempts, RequestHeaders, S3, connect};
pub use sdk_config::sdk_config;
