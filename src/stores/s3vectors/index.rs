//! One index of S3 Vectors: created or checked once, then three requests, with errors that say what to do.

use aws_sdk_s3vectors::Client;
use aws_sdk_s3vectors::config::Region;
use aws_sdk_s3vectors::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3vectors::types::{DataType, DistanceMetric, GetOutputVector, MetadataConfiguration, PutInputVector};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::metadata::NOT_FILTERABLE;
use crate::error::{StoreError, StoreErrorKind};

/// Vectors of one request at most ("Limitations and restrictions" in S3's user guide).
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
    /// The keys that must not be filterable, because their values may be longer than 2 KB.
    long_keys: Vec<&'static str>,
    /// Whether the index was found to be usable.
    ready: Mutex<bool>,
}

/// What [`Index::get`] returns beside the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bring {
    Metadata,
    Everything,
}

impl Index {
    /// Sends nothing yet. `text`: whether vectors carry the chunk's text.
    pub fn new(client: Client, bucket: &str, name: &str, dimensions: usize, text: bool) -> Self {
        let (bucket, name) = (bucket.to_owned(), name.to_owned());
        let long_keys = NOT_FILTERABLE.into_iter().filter(|key| text || *key != "text").collect();
        Self { client, bucket, name, dimensions, long_keys, ready: Mutex::new(false) }
    }

    /// Creates the index, or checks the existing one; once a process.
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

    /// Asks whether the index can be used, without making it; the answer is for people.
    pub async fn describe(&self) -> Result<String, StoreError> {
        let (name, bucket) = (&self.name, &self.bucket);
        match self.check().await {
            Ok(()) => Ok(format!("the index {name} of the vector bucket {bucket} takes the model's vectors")),
            Err(StoreError { kind: StoreErrorKind::NotFound, .. }) => Ok(format!(
                "there is no index {name} yet: it is made with the first document, if the vector bucket {bucket} is there"
            )),
            Err(error) => Err(error),
        }
    }

    /// The vectors among `ids` that exist, in no order.
    pub async fn get(&self, ids: &[Uuid], bring: Bring) -> Result<Vec<GetOutputVector>, StoreError> {
        let mut vectors = Vec::with_capacity(ids.len());
        for ids in ids.chunks(GET_AT_ONCE) {
            let request = self.client.get_vectors().vector_bucket_name(&self.bucket).index_name(&self.name);
            let request = request.set_keys(Some(ids.iter().map(Uuid::to_string).collect()));
            let request = request.return_metadata(true).return_data(bring == Bring::Everything);
            let answer = self.checked(request.send().await, "s3vectors:GetVectors")?;
            vectors.extend(answer.vectors);
        }
        Ok(vectors)
    }

    /// Puts at most [`PUT_AT_ONCE`] vectors; existing ones are overwritten.
    pub async fn put(&self, vectors: Vec<PutInputVector>) -> Result<(), StoreError> {
        let request = self.client.put_vectors().vector_bucket_name(&self.bucket).index_name(&self.name);
        self.checked(request.set_vectors(Some(vectors)).send().await, "s3vectors:PutVectors").map(drop)
    }

    /// Deletes vectors; a missing one is no error.
    pub async fn delete(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        for ids in ids.chunks(DELETE_AT_ONCE) {
            let request = self.client.delete_vectors().vector_bucket_name(&self.bucket).index_name(&self.name);
            let request = request.set_keys(Some(ids.iter().map(Uuid::to_string).collect()));
            self.checked(request.send().await, "s3vectors:DeleteVectors")?;
        }
        Ok(())
    }

    async fn check(&self) -> Result<(), StoreError> {
        let request = self.client.get_index().vector_bucket_name(&self.bucket).index_name(&self.name);
        let answer = self.checked(request.send().await, "s3vectors:GetIndex")?;
        let Some(index) = answer.index() else {
            return Err(StoreError::retryable("S3 Vectors returned no description of the index"));
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
        let declared = index.metadata_configuration().map_or(&[][..], |keys| keys.non_filterable_metadata_keys());
        let missing: Vec<_> =
            self.long_keys.iter().filter(|key| !declared.iter().any(|declared| declared == *key)).copied().collect();
        if !missing.is_empty() {
            return Err(StoreError::permanent(format!(
                "the index {} does not declare these metadata keys as not filterable: {}; S3 Vectors would refuse every \
                 vector whose text is longer than 2 KB, and an index cannot be changed: name another one in \
                 EMBED_S3VECTORS_INDEX, which is made if it is not there",
                self.name,
                missing.join(", ")
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
        match self.checked(request.send().await, "s3vectors:CreateIndex") {
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

    /// `answer`, or its error in this store's terms; `right` is what the request needs.
    fn checked<T, E>(&self, answer: Result<T, SdkError<E>>, right: &str) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        answer.map_err(|error| {
            let rights = format!("{right} on {}/{}", self.bucket, self.name);
            let region = self.client.config().region().map_or("", Region::as_ref);
            let error = StoreError::from_sdk(error, "S3 Vectors", &rights, region);
            // The index was removed; the next attempt creates it again.
            if error.kind == StoreErrorKind::NotFound
                && let Ok(mut ready) = self.ready.try_lock()
            {
                *ready = false;
            }
            error
        })
    }
}
