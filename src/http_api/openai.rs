//! OpenAI's contract: `POST /v1/embeddings`, `GET /v1/models`.
//!
//! Source of the shapes: OpenAI's API reference, "Create embeddings" and "List models". `input_type` and
//! `truncate` are ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::dimensions::Dimensions;
use super::openai_input::Input;
use super::{Api, body, json_vector_bytes, model_names, response};
use crate::config::Config;
use crate::embedding::{Embeddings, InputType, Options, Truncation};
use crate::error::Result;
use crate::event::HttpResponse;
use crate::model::Manifest;
use crate::observability::call::Call;

/// The request's fields.
#[derive(Deserialize)]
pub(super) struct Fields {
    input: Option<Input>,
    model: Option<String>,
    encoding_format: Option<Format>,
    dimensions: Option<u64>,
    /// Known, so that a value of another type is refused; not used.
    #[serde(rename = "user")]
    _user: Option<String>,
    input_type: Option<InputType>,
    truncate: Option<Truncation>,
}

/// How the response writes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    #[default]
    Float,
    /// Little-endian float32, base64.
    Base64,
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        body::one_of(deserializer, &[("float", Self::Float), ("base64", Self::Base64)])
    }
}

/// A request in OpenAI's shape, read and checked.
pub struct Request {
    texts: Vec<String>,
    format: Format,
    options: Options,
    dimensions: Dimensions,
}

impl Request {
    /// Parses and checks a request body for the model of `manifest`, as `config` allows.
    ///
    /// # Errors
    /// The error for the caller, which names the field and the value it expects.
    pub fn parse(body: &[u8], manifest: &Manifest, config: &Config) -> Result<Self> {
        let fields: Fields = body::read(body)?;
        let texts = fields.input.ok_or_else(|| body::missing("input"))?.into_texts(config)?;
        if let Some(model) = fields.model {
            model_names::check(&model, manifest, &config.model_aliases)?;
        }
        let dimensions = Dimensions::parse(fields.dimensions, manifest)?;
        let options = Options {
            input_type: fields.input_type.unwrap_or_default(),
            truncation: fields.truncate.unwrap_or_default(),
            ..Options::default()
        };
        Ok(Self { texts, format: fields.encoding_format.unwrap_or_default(), options, dimensions })
    }

    pub(super) async fn embed(self, api: &Api, call: &Call) -> Result<(Embeddings, Format)> {
        let dimensions = self.dimensions.get();
        let vector_bytes = match self.format {
            Format::Float => json_vector_bytes(dimensions),
            Format::Base64 => (4 * dimensions).div_ceil(3) * 4 + 64,
        };
        let mut done = api.embed(self.texts, self.options, "input", vector_bytes, call).await?;
        self.dimensions.cut(&mut done.vectors, true);
        Ok((done, self.format))
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Item<'a>>,
    model: &'a str,
    usage: Usage,
    /// Indices of the texts that were cut; an extension, because no client shows its user `x-truncated`.
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    truncated: &'a [usize],
}

#[derive(Serialize)]
struct Item<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Float(&'a [f32]),
    Base64(String),
}

/// Tokens that went through the model; embeddings have no completion, so both counts are the same.
#[derive(Serialize)]
pub(super) struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

impl Usage {
    pub(super) fn of(done: &Embeddings) -> Self {
        let tokens = done.tokens.iter().sum();
        Self { prompt_tokens: tokens, total_tokens: tokens }
    }
}

fn vector(values: &[f32], format: Format) -> Vector<'_> {
    match format {
        Format::Float => Vector::Float(values),
        Format::Base64 => {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Vector::Base64(BASE64.encode(bytes))
        }
    }
}

pub(super) async fn embeddings(api: &Api, body: &[u8], call: &Call) -> Result<HttpResponse> {
    let request = Request::parse(body, api.manifest(), &api.config)?;
    let characters = request.texts.iter().map(|text| text.chars().count()).sum();
    let (done, format) = request.embed(api, call).await?;
    let model = api.model().to_owned();
    response::of(done, characters, move |done| {
        let items = done.vectors.iter().enumerate();
        let list = List {
            object: "list",
            data: items
                .map(|(index, values)| Item { object: "embedding", index, embedding: vector(values, format) })
                .collect(),
            model: &model,
            usage: Usage::of(done),
            truncated: &done.truncated,
        };
        response::json(&list)
    })
    .await
}

pub(super) fn models(api: &Api) -> HttpResponse {
    let manifest = api.manifest();
    let owner = manifest.name.split('/').next().unwrap_or_default();
    // The manifest has no date; OpenAI's clients need a number.
    let model = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": owner});
    let models: Vec<_> = model_names::listed(manifest, &api.config.model_aliases).map(model).collect();
    response::json(&json!({"object": "list", "data": models}))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_vector_arrives_to_the_bit_as_base64_and_as_numbers(
            values in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::ZERO, 0..400),
        ) {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            let Vector::Base64(text) = vector(&values, Format::Base64) else { unreachable!() };
            let bytes = BASE64.decode(text).unwrap();
            let received: Vec<f32> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
            assert_eq!(bits(&received), bits(&values));
            let numbers = serde_json::to_string(&vector(&values, Format::Float)).unwrap();
            let received: Vec<f32> = serde_json::from_str(&numbers).unwrap();
            assert_eq!(bits(&received), bits(&values));
        }
    }
}
