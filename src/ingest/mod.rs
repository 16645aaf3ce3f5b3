//! Documents to vectors: an object in S3 becomes records in every configured sink.
//!
//! ```text
//! Document (bucket, key, version, ETag)
//!   -> extract   bytes, streamed        -> Section: a stretch of text with its place
//!   -> chunk     a section              -> Chunk: a window the model takes whole
//!   -> embed     chunks, side by side   -> vectors
//!   -> record    chunk and vector       -> Record
//!   -> encode    records                -> bytes of JSON Lines or Parquet -> sink
//! ```

pub mod chunk;
#[cfg(test)]
mod chunk_tests;
pub mod encode;
pub mod extract;
pub mod record;
