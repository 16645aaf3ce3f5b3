//! Helpers that tests share. No test module imports another one: what two of them need is here.

#[macro_use]
pub mod parts;

pub mod document_set;
pub mod function;
pub mod harness;
pub mod hostile;
pub mod pipeline;
pub mod python_server;
pub mod qdrant_server;
pub mod queue;
pub mod runtime_api;
pub mod s3_proxy;
pub mod s3_server;
pub mod s3_start;
pub mod sample_events;
pub mod server;
pub mod zip;
