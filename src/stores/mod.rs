//! The stores that vectors are written to; each implements [`VectorStore`](crate::record::VectorStore).

mod generation;
pub mod qdrant;
pub mod s3;
pub mod s3vectors;
