//! Text embeddings inside AWS Lambda: an event goes in, its vectors come out.
//!
//! # The way data flows
//!
//! ```text
//! Runtime API event (bytes)
//!   -> event::decode      which AWS source is it?      Invocation::{Http, Direct, S3, Queue, Batch}
//!   -> handler            the one match
//!        Http, Direct     -> http_api   request -> texts, vectors -> response
//!        S3, Queue, Batch -> documents  object -> text -> chunks -> records -> stores
//!   -> embedding          text -> token ids -> ONNX session -> unit vector
//! ```
//!
//! # The map
//!
//! | module | holds |
//! |---|---|
//! | [`app`] | composition: a configuration in, a ready handler out |
//! | [`handler`] | one invocation, from the decoded event to its response |
//! | [`lambda`] | the Runtime API's loop, the drain on SIGTERM, an init that ends before the model is loaded |
//! | [`cli`] | `serve`, `invoke`, `doctor`, `push-model` |
//! | [`event`] | the shapes of AWS events, and of the responses that each expects |
//! | [`http_api`] | the HTTP contracts: OpenAI's, text-embeddings-inference's, Qdrant's inference |
//! | [`documents`] | one S3 object: read, extract, chunk, embed, write, outcome |
//! | [`embedding`] | tokenizer, session, worker pool, scheduler, pooling, self-test |
//! | [`stores`] | S3, Qdrant, S3 Vectors |
//! | [`record`] | what documents and stores speak of: changes, documents, records, the store trait |
//! | [`model`] | the manifest of a model folder, and where its files come from |
//! | [`aws`] | AWS's clients, one bucket's requests, secrets |
//! | [`config`] | the environment, read once into a [`config::Config`] |
//! | [`observability`] | the call, its metrics and log lines |
//! | [`concurrency`] | admission, blocking work, panics |
//! | [`error`] | one [`Error`] and the table of what each kind means to a caller |
//!
//! # The layering rule
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
//! So `documents` and `stores` know of `record` and not of each other, and only `app` knows every part.
//!
//! A library is named in few modules: `ort` in `embedding::session`; `tokenizers` in `embedding::tokenizer` and
//! `embedding::split_points`; the clients of S3, Secrets Manager and SSM in `aws` and `model::s3_object_store`; that of
//! S3 Vectors in `stores::s3vectors`; `std::env` in `config` and `main`; `lambda_runtime` in `lambda`,
//! `observability::call` and `error`.

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
