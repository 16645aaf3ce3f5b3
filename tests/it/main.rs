//! The tests that need a model or the real binary. Contracts and faults are tested with the fixture model, claims about
//! vectors with bge-small-en-v1.5's real weights.

#[macro_use]
mod support;

mod api_docs;
mod api_openai;
mod api_qdrant;
mod api_routes;
mod api_tei;
mod chaos;
mod chunks;
mod doctor;
mod emulator;
mod event_fixtures;
mod event_sources;
mod faults;
mod formats;
mod hostile;
mod ingest_cloudtrail;
mod ingest_events;
mod ingest_formats;
mod ingest_long;
mod ingest_order;
mod ingest_poison;
mod ingest_queue;
mod layering;
mod limits;
mod metrics_page;
mod model_names;
mod mutations;
mod observed;
mod office;
mod pdf;
mod qdrant;
mod qdrant_example;
mod qdrant_faults;
mod qdrant_hybrid;
mod readers;
mod readme;
mod real_weights;
mod reference;
mod s3_disk;
mod s3_loading;
mod s3_model;
mod s3_transfer;
mod s3_vectors;
mod samples;
mod serve;
mod soak;
mod streaming;
mod token_ids;
mod tokens;
mod vectors;
mod watched;
