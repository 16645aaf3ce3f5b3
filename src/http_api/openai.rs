//! OpenAI's contract: `POST /v1/embeddings`, `GET /v1/models`, `GET /v1/models/{id}`.
//!
//! Source of the shapes: OpenAI's API reference, "Create embeddings", "List models" and "Retrieve model". `input_type` and
//! `truncate` are ours.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::cl100k::TokenId;
use super::dimensions::Dimensions;
use super::input::Input;
use super::vector_list::{Item, Job, Reply, VectorList};
use super::{Api, Terms, body, model_names, response};
use crate::config::Config;
use crate::embedding::{Embeddings, InputType, Options, Truncation};
use crate::error::Result;
use crate::event::HttpResponse;
use crate::model::Manifest;

/// The request's fields.
#[derive(Deserialize)]
pub(super) struct Fields {
    input: Option<Input<TokenId>>,
    model: Option<String>,
    encoding_format: Option<EncodingFormat>,
    dimensions: Option<u64>,
    /// Known, so that a value of another type is refused; not used.
    #[serde(rename = "user")]
    _user: Option<String>,
    input_type: Option<InputType>,
    truncate: Option<Truncation>,
}

/// How the response writes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum EncodingFormat {
    #[default]
    Float,
    /// Little-endian float32, base64.
    Base64,
}

impl<'de> Deserialize<'de> for EncodingFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        body::one_of(deserializer, &[("float", Self::Float), ("base64", Self::Base64)])
    }
}

impl EncodingFormat {
    /// The most bytes of a vector in an answer, what stands around it and an envelope's escapes included. The shortest
    /// form of an f32 below 1 has at most 14 characters and rarely more than 12, so the mean over hundreds of them,
    /// commas included, stays below 13.
    pub(super) fn vector_bytes(self, dimensions: usize) -> usize {
        const AROUND: usize = 64;
        AROUND
            + match self {
                Self::Float => 13 * dimensions,
                Self::Base64 => (4 * dimensions).div_ceil(3) * 4,
            }
    }
}

/// A request in OpenAI's shape, read and checked.
pub struct Request(pub(super) Job);

impl Request {
    /// Parses and checks a request body for the model of `manifest`, as `config` allows.
    ///
    /// # Errors
    /// The error for the caller, which names the field and the value it expects.
    pub fn parse(body: &[u8], manifest: &Manifest, config: &Config) -> Result<Self> {
        let fields: Fields = body::read(body)?;
        let texts = fields.input.ok_or_else(|| body::missing("input"))?.into_strings(config)?;
        if let Some(model) = fields.model {
            model_names::check(&model, manifest, &config.model_aliases)?;
        }
        let dimensions = Dimensions::parse(fields.dimensions, manifest)?;
        let options = Options {
            input_type: fields.input_type.unwrap_or_default(),
            truncation: fields.truncate.unwrap_or_default(),
            ..Options::default()
        };
        let format = fields.encoding_format.unwrap_or_default();
        Ok(Self(Job { texts, param: "input", options, dimensions, format }))
    }
}

/// What stands after the vectors.
#[derive(Serialize)]
struct Tail<'a> {
    model: &'a str,
    usage: Usage,
    /// Indices of the texts that were cut; an extension, because no client shows its user `x-truncated`.
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    truncated: &'a [usize],
}

/// Tokens that went through the model; embeddings have no completion, so both counts are the same.
#[derive(Serialize)]
pub(super) struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

impl Usage {
    pub(super) fn of(done: &Embeddings) -> Self {
        Self::of_tokens(done.tokens.iter().sum())
    }

    fn of_tokens(tokens: usize) -> Self {
        Self { prompt_tokens: tokens, total_tokens: tokens }
    }
}

pub(super) async fn embeddings(api: &Api, body: &[u8], terms: Terms<'_>) -> Result<Reply> {
    let Request(job) = Request::parse(body, api.manifest(), &api.config)?;
    let format = job.format;
    job.answer(api, terms, |prepared| {
        let usage = Usage::of_tokens(prepared.total_tokens());
        let tail = Tail { model: api.model(), usage, truncated: prepared.truncated() };
        let tail = serde_json::to_string(&tail).expect("our own types always serialise");
        VectorList {
            before: r#"{"object":"list","data":["#.to_owned(),
            item: Item::Embedding,
            format,
            after: format!("],{}", &tail[1..]),
        }
    })
    .await
}

pub(super) fn models(api: &Api) -> HttpResponse {
    response::json(&json!({"object": "list", "data": model_objects(api)}))
}

/// The model by the name that the path has.
///
/// # Errors
/// That of [`model_names::check`].
pub(super) fn model(api: &Api, name: &str) -> Result<HttpResponse> {
    model_names::check(name, api.manifest(), &api.config.model_aliases)?;
    let mut models = model_objects(api);
    let listed = models.iter().position(|model| model["id"].as_str().is_some_and(|id| id.eq_ignore_ascii_case(name)));
    Ok(response::json(&models.swap_remove(listed.unwrap_or(0))))
}

/// The model by its own name, then by its aliases.
fn model_objects(api: &Api) -> Vec<Value> {
    let manifest = api.manifest();
    let owner = manifest.name.split('/').next().unwrap_or_default();
    // The manifest has no date; OpenAI's clients need a number.
    let model = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": owner});
    model_names::listed(manifest, &api.config.model_aliases).map(model).collect()
}
