//! Text embeddings inside AWS Lambda: an event goes in, its vectors come out.
//!
//! # The way data flows
//!
//! ```text
//! Runtime API event (bytes)
//!   -> event::decode      which AWS source is it?      Invocation::{Http, Direct, S3, Queue, Batch}
//!   -> handler            the one match
//!        Http             -> api      request -> embed::Request, Embeddings -> reply
//!        Direct           -> api      the same bodies without HTTP around them
//!        S3, Queue, Batch -> ingest   object -> text -> chunks -> records -> sink
//!   -> embed::Embedder    text -> token ids -> ONNX session -> unit vector
//! ```
//!
//! # The map
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the environment, read once into a [`config::Config`] |
//! | [`admission`] | how many calls are taken at once |
//! | [`call`] | what the Runtime API tells of one call: its id, its deadline |
//! | [`error`] | one [`Error`] and the table of what each kind means to a caller |
//! | [`metrics`] | what is measured of each call, and where it is told |
//! | [`aside`] | work that takes a while leaves the thread that drives the I/O |
//! | [`panics`] | a panic ends one call, and quotes no text |
//! | [`secrets`] | the bearer token, as it is or by reference to Secrets Manager or SSM |
//! | [`model`] | the manifest of a model folder, and where its files come from |
//! | [`embed`] | tokenizer, session, pooling, and the pool that runs texts side by side |
//! | [`api`] | the HTTP contracts: OpenAI's and text-embeddings-inference's |
//! | [`event`] | the shapes of AWS events, and of the answers each expects |
//! | [`handler`] | one invocation, from decoded event to reply |
//! | [`ingest`] | an S3 object from its bytes to records with vectors |
//! | [`sink`] | where those records go, and which version of a document lies there |
//! | [`s3`] | the S3 client, and one bucket's requests with the words for their refusals |
//! | [`loading`] | a start that may outlast Lambda's init: calls that wait for the model |
//! | [`local`] | ways in besides Lambda: `invoke`, `serve`, `doctor` |
//!
//! # The layering rule
//!
//! Imports go down only: `main` -> {`local`, `loading`} -> `handler` -> {`event`, `api`, `ingest`} -> {`embed`, `sink`}
//! -> `model` -> `s3` -> `config` -> `secrets` -> {`admission`, `call`, `metrics`} -> `aside` -> `panics` -> `error`.
//! `ingest`'s record and its encodings are what `sink` speaks of, so those two lie below it. `ort` is named in
//! `embed::session` alone, `tokenizers` in `embed::tokenizer` alone, `std::env` in `config` and `main` alone, the S3
//! client in `s3` and `model::s3` alone, the clients that read secrets in `secrets` alone.

#![deny(unsafe_code)]

pub mod admission;
pub mod api;
pub mod aside;
pub mod call;
pub mod config;
pub mod embed;
pub mod error;
pub mod event;
pub mod handler;
pub mod ingest;
pub mod loading;
pub mod local;
pub mod metrics;
pub mod model;
pub mod panics;
pub mod s3;
pub mod secrets;
pub mod sink;

pub use error::{Error, Result};
