//! Where vectors go: each of these is a [`Sink`](crate::record::Sink).

mod generation;
pub mod qdrant;
pub mod s3;
pub mod s3vectors;
