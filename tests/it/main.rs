//! Everything that needs a model or the real binary. The fixture model serves contracts and faults; what
//! is claimed of vectors is shown on all-MiniLM-L6-v2's real weights.

mod api_docs;
mod api_openai;
mod api_qdrant;
mod api_tei;
mod documents;
mod doors;
mod emulator;
mod faults;
mod harness;
mod ingest_events;
mod ingest_formats;
mod ingest_long;
mod ingest_order;
mod ingest_poison;
mod ingest_queue;
mod mutations;
mod queue;
mod readme;
mod real_weights;
mod runtime_api;
mod s3_disk;
mod s3_loading;
mod s3_model;
mod s3_proxy;
mod s3_server;
mod s3_transfer;
mod serve;
mod tokens;
mod vectors;
