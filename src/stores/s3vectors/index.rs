//! One index of S3 Vectors: created or checked once, then three requests, each with the words for its refusal.

use aws_sdk_s3vectors::Client;
use aws_sdk_s3vectors::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3vectors::types::{DataType, DistanceMetric, GetOutputVector, MetadataConfiguration, PutInputVector};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::metadata::NOT_FILTERABLE;
use crate::error::{StoreError, StoreErrorKind};

/// Vectors of one request, say the "Limitations" of S3's user guide.
pub const PUT_AT_ONCE: usize = 500;
const DELETE_AT_ONCE: usize = 500;
const GET_AT_ONCE: usize = 100;

/// An index.
pub struct Index {
    client: Client,
    bucket: String,
    name: String,
    /// Of the model's vectors.
    dimensions: usize,
    /// Whether the index is there, as it has to be.
    ready: Mutex<bool>,
}

/// What [`Index::get`] brings beside the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bring {
    Metadata,
    Everything,
}

impl Index {
    /// Asks nothing yet.
    pub fn new(client: Client, bucket: &str, name: &str, dimensions: usize) -> Self {
        let (bucket, name) = (bucket.to_owned(), name.to_owned());
        Self { client, bucket, name, dimensions, ready: Mutex::new(false) }
    }

    /// Creates the index, or checks the one that is there; once a process.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let mut ready = self.ready.lock().await;
        if !*ready {
            if let Err(StoreError { kind: StoreErrorKind::NotFound, .. }) = self.check().await {
                self.create().await?;
            }
            self.check().await?;
            *ready = true;
        }
        Ok(())
    }

    /// The vectors that there are of `ids`, in no order.
    pub async fn get(&self, ids: &[Uuid], bring: Bring) -> Result<Vec<GetOutputVector>, StoreError> {
        let mut vectors = Vec::with_capacity(ids.len());
        for ids in ids.chunks(GET_AT_ONCE) {
            let request = self.client.get_vectors().vector_bucket_name(&self.bucket).index_name(&self.name);
            let request = request.set_keys(Some(ids.iter().map(Uuid::to_string).collect()));
            let request = request.return_metadata(true).return_data(bring == Bring::Everything);
            let answer = self.heard(request.send().await, "s3vectors:GetVectors").await?;
            vectors.extend(answer.vectors);
        }
        Ok(vectors)
    }

    /// Puts at most [`PUT_AT_ONCE`] vectors; those that are there are overwritten.
    pub async fn put(&self, vectors: Vec<PutInputVector>) -> Result<(), StoreError> {
        let request = self.client.put_vectors().vector_bucket_name(&self.bucket).index_name(&self.name);
        self.heard(request.set_vectors(Some(vectors)).send().await, "s3vectors:PutVectors").await.map(drop)
    }

    /// Deletes vectors; those that are not there are no error.
    pub async fn delete(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        for ids in ids.chunks(DELETE_AT_ONCE) {
            let request = self.client.delete_vectors().vector_bucket_name(&self.bucket).index_name(&self.name);
            let request = request.set_keys(Some(ids.iter().map(Uuid::to_string).collect()));
            self.heard(request.send().await, "s3vectors:DeleteVectors").await?;
        }
        Ok(())
    }

    async fn check(&self) -> Result<(), StoreError> {
        let request = self.client.get_index().vector_bucket_name(&self.bucket).index_name(&self.name);
        let answer = self.heard(request.send().await, "s3vectors:GetIndex").await?;
        let Some(index) = answer.index() else {
            return Err(StoreError::retryable("S3 Vectors told nothing of the index"));
        };
        let (dimensions, distance) = (index.dimension(), index.distance_metric());
        if dimensions != self.dimensions as i32 || *distance != DistanceMetric::Cosine {
            return Err(StoreError::permanent(format!(
                "the index {} holds vectors of {dimensions} dimensions, compared by {distance}; the model's have {} \
                 dimensions, compared by cosine: name another index in EMBED_S3VECTORS_INDEX, which is made if it is \
                 not there",
                self.name, self.dimensions
            )));
        }
        Ok(())
    }

    async fn create(&self) -> Result<(), StoreError> {
        let long = MetadataConfiguration::builder();
        let long = long.set_non_filterable_metadata_keys(Some(NOT_FILTERABLE.map(str::to_owned).to_vec())).build();
        let long = long.map_err(|e| StoreError::permanent("the index cannot be asked for").with_source(e))?;
        let request = self.client.create_index().vector_bucket_name(&self.bucket).index_name(&self.name);
        let request = request.data_type(DataType::Float32).dimension(self.dimensions as i32);
        let request = request.distance_metric(DistanceMetric::Cosine).metadata_configuration(long);
        match self.heard(request.send().await, "s3vectors:CreateIndex").await {
            Ok(_) => tracing::info!(bucket = self.bucket, index = self.name, "made the index"),
            // Another function was faster.
            Err(StoreError { kind: StoreErrorKind::PreconditionFailed, .. }) => {}
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                let message = format!(
                    "there is no vector bucket {}; make one: aws s3vectors create-vector-bucket --vector-bucket-name {}",
                    self.bucket, self.bucket
                );
                return Err(StoreError { message, ..error });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn heard<T, E>(&self, answer: Result<T, SdkError<E>>, right: &str) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(status) = error.raw_response().map(|raw| raw.status().as_u16()) else {
            let message = format!("S3 Vectors could not be asked: {}", DisplayErrorContext(&error));
            return Err(StoreError::retryable(message).with_source(error));
        };
        let (code, said) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        let (kind, remedy) = match (status, code) {
            (_, "NotFoundException") | (404, _) => {
                // Someone removed the index; the next attempt makes it anew.
                if let Ok(mut ready) = self.ready.try_lock() {
                    *ready = false;
                }
                (StoreErrorKind::NotFound, String::new())
            }
            (_, "ConflictException") | (409, _) => (StoreErrorKind::PreconditionFailed, String::new()),
            (_, "AccessDeniedException") | (403, _) => (
                StoreErrorKind::AccessDenied,
                format!("access denied; the role needs {right} on {}/{}; ", self.bucket, self.name),
            ),
            _ => (StoreErrorKind::Other, String::new()),
        };
        let retryable = status >= 500 || matches!(status, 408 | 429);
        let message = format!("{remedy}S3 Vectors answered {status} {code} ({said})");
        Err(StoreError { message, retryable, kind, source: None })
    }
}
