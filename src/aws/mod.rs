//! AWS's clients: one SDK configuration, one bucket's requests, the words for their refusals, secrets.

mod bucket;
mod retry;
mod s3_client;
mod s3_error;
pub mod secrets;

pub use bucket::{Body, Bucket, Headers, ObjectMetadata, Part, Precondition, is_bucket_name};
pub use retry::RetryPolicy;
pub use s3_client::{Attempts, S3, TraceHeader, connect};
