//! Where vectors go: each of these is a [`VectorStore`](crate::record::VectorStore).

mod generation;
pub mod qdrant;
pub mod s3;
pub mod s3vectors;
