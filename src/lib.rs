//! Text embeddings inside AWS Lambda: an event comes in, its text becomes vectors, the vectors go out.
//!
//! # Data flow
//!
//! ```text
//! AWS Lambda
//!   main -> lambda     takes each event from the Runtime API
//!   event::decode      bytes -> Invocation::{Http, Direct, S3, Queue, Batch, List, WarmUp}
//!   handler            one match over the invocation
//!     Http, Direct       -> http_api    request -> texts -> vectors -> response, whole or streamed
//!     List               -> each of its events
//!     S3, Queue, Batch   -> documents   object -> text -> chunks -> vectors -> stores
//!   embedding          text -> token ids -> ONNX session -> unit vector
//!
//! a terminal
//!   main -> cli        serve: a socket's requests go to http_api, without an event around them
//!                      invoke: one event goes to handler
//! ```
//!
//! # Map
//!
//! | module | what it does |
//! |---|---|
//! | [`lambda`] | runs the Runtime API's loop, ends calls on SIGTERM, lets an init end before the model is loaded |
//! | [`cli`] | `serve`, `invoke`, `doctor`, `push-model` |
//! | [`app`] | builds a [`handler::Handler`] from a [`config::Config`]; the only module that knows all parts |
//! | [`handler`] | answers one invocation |
//! | [`http_api`] | the HTTP contracts of OpenAI, text-embeddings-inference, Qdrant's inference and Ollama |
//! | [`documents`] | turns S3 objects into vectors: read, extract, chunk, embed, write, report |
//! | [`event`] | decodes AWS events, encodes the response that each source expects |
//! | [`embedding`] | tokenizer, session, worker pool, scheduler, pooling, self-test |
//! | [`stores`] | writes vectors to S3, Qdrant and S3 Vectors |
//! | [`record`] | what `documents` and `stores` share: changes, documents, records, the trait of a store |
//! | [`model`] | reads a model folder's manifest, checks its files, downloads and uploads models |
//! | [`aws`] | AWS clients, requests to one bucket, secrets |
//! | [`config`] | reads the environment once, into a [`config::Config`] |
//! | [`observability`] | measures each call, writes its log line and its metrics |
//! | [`concurrency`] | limits the calls under way, runs blocking work, catches panics |
//! | [`error`] | one [`Error`], and one table of what each kind means to a caller |
//!
//! `crates/` has what stands on its own: `kernels`, the arithmetic of an encoder's layers, and `operators`, the same for
//! sessions of ONNX Runtime.
//!
//! # Layering rule
//!
//! A module imports only modules on lines below its own:
//!
//! ```text
//! main
//! cli, lambda
//! app
//! handler
//! http_api, documents
//! event, embedding, stores
//! record
//! model
//! aws
//! config
//! observability
//! concurrency
//! error
//! ```
//!
//! So `documents` and `stores` know `record` and not each other. `tests/it/layering.rs` checks this rule, and that these
//! libraries are named only here:
//!
//! | library | modules |
//! |---|---|
//! | `ort` | `embedding::session` |
//! | `operators` | `embedding::session`, `model::manifest` |
//! | `tokenizers` | `embedding::tokenizer`, `embedding::split_points` |
//! | AWS SDK: configuration, S3, signatures | `aws` |
//! | AWS SDK for S3 Vectors | `stores::s3vectors` |
//! | `libloading` | `documents::extract::pdf::pdfium` |
//! | environment variables, `std::env::var` | `config`, `main` |
//! | `lambda_runtime` | `lambda`, `observability::call`, `error` |

#![deny(unsafe_code)]

pub mod app;
pub mod aws;
pub mod cli;
pub mod concurrency;
pub mod config;
pub mod documents;
pub mod embedding;
pub mod error;
pub mod event;
pub mod handler;
pub mod http_api;
pub mod lambda;
pub mod model;
pub mod observability;
pub mod record;
pub mod stores;

pub use error::{Error, Result};
