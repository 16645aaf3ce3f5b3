//! Qdrant's contract with an inference service: `POST /qdrant/inference`.
//!
//! A Qdrant whose `inference.address` is this route sends the `Document` objects of its clients here and
//! stores the vectors of the response or searches with them.
//!
//! Source of the shapes: Qdrant's `src/common/inference/service.rs`. The options `input_type`, `truncate`
//! and `dimensions` are ours.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, header};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use super::body::Object;
use super::dimensions::Dimensions;
use super::openai::EncodingFormat;
use super::vector_list::Job;
use super::{Api, Terms, body, constant_time_eq, model_names, response, unauthorized};
use crate::config::Config;
use crate::embedding::{Embeddings, InputType, Options, Timings, Truncation};
use crate::error::{Error, Kind, Result};
use crate::event::{HttpRequest, HttpResponse};
use crate::model::Manifest;

/// The request's fields.
#[derive(Deserialize)]
pub(super) struct InferenceFields {
    inputs: Option<Vec<Object<InputFields>>>,
    inference: Option<Inference>,
    token: Option<String>,
}

/// One input's fields.
#[derive(Deserialize)]
pub(super) struct InputFields {
    data: Option<TextData>,
    data_type: Option<String>,
    model: Option<String>,
    options: Option<Object<OptionFields>>,
}

/// A text, or why the value is none. The reason is kept, because data of another type is refused by its type's name first.
struct TextData(Result<String, String>);

impl<'de> Deserialize<'de> for TextData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).map_err(|e| body::without_place(&e))))
    }
}

/// A `Document`'s `options`.
#[derive(Deserialize, Default)]
pub(super) struct OptionFields {
    input_type: Option<InputType>,
    truncate: Option<Truncation>,
    dimensions: Option<u64>,
    /// Qdrant forwards a user's options unchecked, so a misspelt one is rejected here.
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// The one field that is read of a request whose other fields are wrong.
#[derive(Deserialize)]
struct TokenField {
    token: Option<String>,
}

/// Qdrant's purpose for the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Inference(InputType);

impl<'de> Deserialize<'de> for Inference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let purposes = [("update", Self(InputType::Passage)), ("search", Self(InputType::Query))];
        body::one_of(deserializer, &purposes)
    }
}

/// One text and how it is embedded.
struct InferenceInput {
    text: String,
    /// The model's name as the request has it; usage is reported under it.
    model: String,
    options: Options,
    dimensions: Dimensions,
}

/// A request in Qdrant's shape, read and checked.
pub struct Request {
    inputs: Vec<InferenceInput>,
    token: Option<String>,
}

impl Request {
    /// Parses and checks a request body for the model of `manifest`, as `config` allows.
    ///
    /// # Errors
    /// The error for the caller, which names the field and the value it expects.
    pub fn parse(body: &[u8], manifest: &Manifest, config: &Config) -> Result<Self> {
        let fields: InferenceFields = body::read_with_names(body, place)?;
        let Inference(purpose) = fields.inference.unwrap_or_default();
        let inputs = fields.inputs.ok_or_else(|| body::missing("inputs"))?;
        let check = |(index, Object(input))| {
            InferenceInput::check(input, purpose, manifest, config).map_err(|error| at(index, error))
        };
        let inputs = inputs.into_iter().enumerate().map(check).collect::<Result<_>>()?;
        Ok(Self { inputs, token: fields.token })
    }

    /// One vector an input, in their order, and the tokens by model's name.
    async fn embed(self, api: &Api, terms: Terms<'_>) -> Result<(Embeddings, BTreeMap<String, usize>)> {
        let longest = self.inputs.iter().map(|input| input.dimensions.get()).max().unwrap_or(1);
        let longest = EncodingFormat::Float.vector_bytes(longest);
        api.admit(self.inputs.len(), "inputs", longest, EncodingFormat::Base64, terms)?;
        let mut done = Embeddings {
            vectors: vec![Vec::new(); self.inputs.len()],
            tokens: vec![0; self.inputs.len()],
            truncated: Vec::new(),
            timings: Timings::default(),
        };
        let names: Vec<String> = self.inputs.iter().map(|input| input.model.clone()).collect();
        for (options, dimensions, places, texts) in alike(self.inputs) {
            let job = Job { texts, param: "inputs", options, dimensions, format: EncodingFormat::Float };
            let part = job.embed(api, terms).await?;
            done.truncated.extend(part.truncated.iter().map(|&cut| places[cut]));
            done.timings.tokenize += part.timings.tokenize;
            done.timings.inference += part.timings.inference;
            for ((place, vector), tokens) in places.into_iter().zip(part.vectors).zip(part.tokens) {
                done.vectors[place] = vector;
                done.tokens[place] = tokens;
            }
        }
        done.truncated.sort_unstable();
        let mut usage = BTreeMap::new();
        for (name, tokens) in names.into_iter().zip(&done.tokens) {
            *usage.entry(name).or_default() += tokens;
        }
        Ok((done, usage))
    }
}

impl InferenceInput {
    fn check(fields: InputFields, purpose: InputType, manifest: &Manifest, config: &Config) -> Result<Self> {
        let data_type = fields.data_type.unwrap_or_else(|| "text".to_owned());
        if data_type != "text" {
            let message = format!("data of type {data_type:?} is not embedded here; {} embeds text", manifest.id);
            return Err(Error::request(Kind::Invalid, "data_type", message));
        }
        let model = fields.model.ok_or_else(|| body::missing("model"))?;
        model_names::check(&model, manifest, &config.model_aliases)?;
        let Object(wanted) = fields.options.unwrap_or_default();
        if let Some(unknown) = wanted.others.keys().next() {
            let message = format!("options: {unknown:?} is not one of \"input_type\", \"truncate\", \"dimensions\"");
            return Err(Error::request(Kind::Invalid, "options", message));
        }
        let options = Options {
            input_type: wanted.input_type.unwrap_or(purpose),
            truncation: wanted.truncate.unwrap_or_default(),
            ..Options::default()
        };
        let dimensions = Dimensions::parse(wanted.dimensions, manifest)?;
        let TextData(text) = fields.data.ok_or_else(|| body::missing("data"))?;
        let text = text.map_err(|why| Error::request(Kind::Invalid, "data", format!("data: {why}")))?;
        Ok(Self { text, model, options, dimensions })
    }
}

/// `input 1: truncate` for `inputs[1].options.truncate`.
fn place(path: &Path) -> String {
    let (mut index, mut field) = (None, String::new());
    for segment in path.iter() {
        match segment {
            Segment::Seq { index: place } => index = Some(*place),
            Segment::Map { key } => field.clone_from(key),
            _ => (),
        }
    }
    index.map_or_else(|| field.clone(), |index| format!("input {index}: {field}"))
}

/// Adds the input's index to an error, because Qdrant shows its user the message alone.
fn at(index: usize, error: Error) -> Error {
    match error {
        Error::Request { kind, param, message } => {
            Error::Request { kind, param, message: format!("input {index}: {message}") }
        }
        other => other,
    }
}

/// Inputs with the same options: their indices and their texts.
type Alike = (Options, Dimensions, Vec<usize>, Vec<String>);

/// Groups inputs by their options; usually all have the same.
fn alike(inputs: Vec<InferenceInput>) -> Vec<Alike> {
    let mut groups: Vec<Alike> = Vec::new();
    for (place, input) in inputs.into_iter().enumerate() {
        let same =
            |(options, dimensions, ..): &&mut Alike| *options == input.options && *dimensions == input.dimensions;
        match groups.iter_mut().find(same) {
            Some((.., places, texts)) => {
                places.push(place);
                texts.push(input.text);
            }
            None => groups.push((input.options, input.dimensions, vec![place], vec![input.text])),
        }
    }
    groups
}

/// The route. The token may be in the body, so the body is parsed before the token is checked.
pub(super) async fn inference(api: &Api, http: &HttpRequest, body: &[u8], terms: Terms<'_>) -> Result<HttpResponse> {
    let parsed = Request::parse(body, api.manifest(), &api.config);
    let token = match &parsed {
        Ok(request) => request.token.clone(),
        // A caller without the token learns nothing about the body's mistakes.
        Err(_) => body::read(body).map(|TokenField { token }| token).unwrap_or_default(),
    };
    authorize(api, &http.headers, token.as_deref())?;
    let request = parsed?;
    let characters = request.inputs.iter().map(|input| input.text.chars().count()).sum();
    let (done, usage) = request.embed(api, terms).await?;
    response::of(done, characters, move |done| {
        let models: BTreeMap<_, _> = usage.iter().map(|(name, tokens)| (name, json!({"tokens": tokens}))).collect();
        response::json(&json!({"embeddings": &done.vectors, "usage": {"models": models}}))
    })
    .await
}

/// Accepts the token from each place that Qdrant can put it: `token` in the body (from its configuration or its user), a
/// forwarded header of its user whose name ends in `-api-key`, or a bearer token that a proxy added.
fn authorize(api: &Api, headers: &HeaderMap, in_body: Option<&str>) -> Result<()> {
    let Some(expected) = &api.token else { return Ok(()) };
    let is_it = |given: &[u8]| constant_time_eq(given, expected.expose().as_bytes());
    let handed_on = |(name, value): (&http::HeaderName, &HeaderValue)| {
        name.as_str().ends_with("-api-key") && is_it(value.as_bytes())
    };
    if in_body.is_some_and(|token| is_it(token.as_bytes())) || headers.iter().any(handed_on) {
        return Ok(());
    }
    if headers.contains_key(header::AUTHORIZATION) {
        return api.authorize(headers);
    }
    Err(unauthorized("a valid token is needed; set inference.token in Qdrant's configuration to it"))
}
