//! text-embeddings-inference's contract: `/embed`, `/similarity`, `/tokenize`, `/info`, `/health`.
//!
//! Source of the shapes: that server's OpenAPI document. `input_type` and the value `"mean"` of
//! `truncate` are ours.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::body::Object;
use super::dimensions::Dimensions;
use super::input::Texts;
use super::openai::EncodingFormat;
use super::vector_list::{Item, Job, Reply, VectorList};
use super::{Api, Room, Terms, body, response};
use crate::concurrency::offload;
use crate::embedding::{self, InputType, Options, Token, Truncation, TruncationDirection};
use crate::error::{Error, Kind, Result};
use crate::event::HttpResponse;
use crate::model::Manifest;

/// `/embed`'s fields.
#[derive(Deserialize)]
pub(super) struct EmbedFields {
    inputs: Option<Texts>,
    normalize: Option<bool>,
    dimensions: Option<u64>,
    truncate: Option<Truncation>,
    truncation_direction: Option<TruncationDirection>,
    prompt_name: Option<InputType>,
    input_type: Option<InputType>,
}

/// `/similarity`'s fields.
#[derive(Deserialize)]
pub(super) struct SimilarityFields {
    inputs: Option<Object<Comparison>>,
    parameters: Option<Object<SimilarityParameters>>,
}

/// `/similarity`'s `inputs`.
#[derive(Deserialize)]
struct Comparison {
    source_sentence: String,
    sentences: Vec<String>,
}

/// `/similarity`'s `parameters`.
#[derive(Deserialize, Default)]
pub(super) struct SimilarityParameters {
    truncate: Option<Truncation>,
    truncation_direction: Option<TruncationDirection>,
    prompt_name: Option<InputType>,
    input_type: Option<InputType>,
}

/// `/tokenize`'s fields.
#[derive(Deserialize)]
pub(super) struct TokenizeFields {
    inputs: Option<Texts>,
    add_special_tokens: Option<bool>,
    prompt_name: Option<InputType>,
    input_type: Option<InputType>,
}

impl<'de> Deserialize<'de> for TruncationDirection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The direction names the side that is cut off.
        let sides = [("right", Self::Right), ("Right", Self::Right), ("left", Self::Left), ("Left", Self::Left)];
        body::one_of(deserializer, &sides)
    }
}

/// A request in this contract's shape, read and checked.
pub struct Request(pub(super) Job);

impl Request {
    /// Parses and checks a request body for the model of `manifest`.
    ///
    /// # Errors
    /// The error for the caller, which names the field and the value it expects.
    pub fn parse(body: &[u8], manifest: &Manifest) -> Result<Self> {
        let fields: EmbedFields = body::read(body)?;
        let inputs = fields.inputs.ok_or_else(|| body::missing("inputs"))?;
        let options = Options {
            // This contract's field comes before ours.
            input_type: fields.prompt_name.or(fields.input_type).unwrap_or_default(),
            truncation: fields.truncate.unwrap_or_default(),
            truncation_direction: fields.truncation_direction.unwrap_or_default(),
            normalize: fields.normalize.unwrap_or(true),
        };
        let dimensions = Dimensions::parse(fields.dimensions, manifest)?;
        Ok(Self(Job {
            texts: inputs.into_strings(),
            param: "inputs",
            options,
            dimensions,
            format: EncodingFormat::Float,
        }))
    }
}

pub(super) async fn embed(api: &Api, body: &[u8], terms: Terms<'_>) -> Result<Reply> {
    let Request(job) = Request::parse(body, api.manifest())?;
    job.answer(api, terms, |_| VectorList {
        before: "[".to_owned(),
        item: Item::Vector,
        format: EncodingFormat::Float,
        after: "]".to_owned(),
    })
    .await
}

/// The field by which a body is a comparison or a list of texts.
#[derive(Deserialize)]
struct InputsShape<'a> {
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
}

/// TEI's root, and the hub's paths: a body whose `inputs` are an object is a comparison, as TEI and the hub tell them
/// apart.
pub(super) async fn embed_or_compare(api: &Api, body: &[u8], terms: Terms<'_>) -> Result<Reply> {
    let shape = serde_json::from_slice(body::without_mark(body)).ok().and_then(|shape: InputsShape<'_>| shape.inputs);
    match shape.is_some_and(|inputs| inputs.get().starts_with('{')) {
        true => similarity(api, body, terms).await.map(Reply::Whole),
        false => embed(api, body, terms).await,
    }
}

/// The cosine of one sentence to each of several, in their order.
pub(super) async fn similarity(api: &Api, body: &[u8], terms: Terms<'_>) -> Result<HttpResponse> {
    let fields: SimilarityFields = body::read(body)?;
    let Object(Comparison { source_sentence, sentences }) = fields.inputs.ok_or_else(|| body::missing("inputs"))?;
    if sentences.is_empty() {
        return Err(Error::request(Kind::Empty, "inputs", "inputs.sentences is empty; send at least one sentence"));
    }
    let Object(parameters) = fields.parameters.unwrap_or_default();
    let options = Options {
        input_type: parameters.prompt_name.or(parameters.input_type).unwrap_or_default(),
        truncation: parameters.truncate.unwrap_or_default(),
        truncation_direction: parameters.truncation_direction.unwrap_or_default(),
        normalize: true,
    };
    let mut texts = vec![source_sentence];
    texts.extend(sentences);
    let characters = texts.iter().map(|text| text.chars().count()).sum();
    // 16: the response has one number a sentence, not a vector.
    api.admit(texts.len(), "inputs", 16, EncodingFormat::Float, terms)?;
    let prepared = api.prepare(texts, options, "inputs", terms).await?;
    let done = api.run(prepared, terms.call).await?;
    let (source, others) = done.vectors.split_first().expect("there is one vector a text, and at least two texts");
    let cosine = |other: &Vec<f32>| source.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    let mut response = response::json(&others.iter().map(cosine).collect::<Vec<_>>());
    response::describe(&mut response, &done, characters);
    Ok(response)
}

#[derive(Serialize)]
struct TokenItem {
    id: u32,
    text: String,
    special: bool,
    start: Option<usize>,
    stop: Option<usize>,
}

/// A request to `/tokenize`, read and checked.
struct Tokenization {
    texts: Vec<String>,
    special: bool,
    input_type: Option<InputType>,
}

impl Tokenization {
    fn parse(body: &[u8]) -> Result<Self> {
        let fields: TokenizeFields = body::read(body)?;
        let inputs = fields.inputs.ok_or_else(|| body::missing("inputs"))?;
        Ok(Self {
            texts: inputs.into_strings(),
            special: fields.add_special_tokens.unwrap_or(true),
            // Without a prompt this route shows a text's own tokens, not a default prompt's.
            input_type: fields.prompt_name.or(fields.input_type),
        })
    }

    fn prefix<'a>(&self, api: &'a Api) -> &'a str {
        self.input_type.map_or("", |input_type| input_type.prefix(api.manifest()))
    }

    /// The answer, unless it passes a limit.
    fn answer(self, api: &Api, room: Room, waiting: &offload::Waiting) -> Result<HttpResponse> {
        let limits = &api.config.limits;
        let prefix = self.prefix(api);
        let item = |Token { id, text, special, span }: Token| {
            let (start, stop) = span.unzip();
            TokenItem { id, text, special, start, stop }
        };
        let (mut lists, mut tokens) = (Vec::with_capacity(self.texts.len()), 0);
        for text in self.texts {
            waiting.check()?;
            let more = |read| waiting.check().map(|()| tokens + read <= limits.tokens);
            let list = api.embedder.tokens(&[prefix, text.as_str()].concat(), self.special, more)?;
            tokens += list.len();
            if tokens > limits.tokens {
                return too_much(format!("more than {} tokens in one request, its limit", limits.tokens));
            }
            lists.push(list.into_iter().map(item).collect::<Vec<_>>());
        }
        let response = response::json(&lists);
        match room.takes(&response.body) {
            true => Ok(response),
            false => too_much(format!("the answer would pass the {} bytes that one response may have", room.bytes())),
        }
    }
}

/// Texts of up to this many bytes together ([`embedding::bytes_to_tokenise`]) are tokenised on the I/O thread, in about
/// a millisecond; more on a thread of their own.
const TOKENIZE_INLINE_BYTES: usize = 4 * 1024;

/// Bytes of the response that one byte of text needs at least, so that a text far too long is rejected before it is
/// tokenised. A token's item has 55 bytes or more, and stands for about five bytes of English.
const ANSWER_BYTES_A_BYTE: usize = 4;

/// Bytes of the shortest list of tokens with its comma: `[],`.
const SHORTEST_LIST: usize = 3;

pub(super) async fn tokenize(api: &Api, body: &[u8], terms: Terms<'_>) -> Result<HttpResponse> {
    let request = Tokenization::parse(body)?;
    let room = terms.room;
    api.admit(request.texts.len(), "inputs", SHORTEST_LIST, EncodingFormat::Base64, terms)?;
    let bytes = request.texts.iter().map(String::len).sum::<usize>();
    let limit = room.bytes() / ANSWER_BYTES_A_BYTE;
    if bytes > limit {
        return too_much(format!("texts of {bytes} bytes to tokenize in one request; the limit is {limit}"));
    }
    let long = embedding::bytes_to_tokenise(&request.texts, request.prefix(api)) > TOKENIZE_INLINE_BYTES;
    let owned = api.clone();
    let answer =
        offload::spawn_blocking_if(long, "tokenizing panicked", move |waiting| request.answer(&owned, room, waiting));
    embedding::tokenised_within(Api::time_left(terms.call), answer).await
}

fn too_much<T>(what: String) -> Result<T> {
    Err(Error::request(Kind::TooLarge, "inputs", format!("{what}; send fewer or shorter texts")))
}

pub(super) fn info(api: &Api) -> HttpResponse {
    let (manifest, config) = (api.manifest(), &api.config);
    response::json(&json!({
        "model_id": manifest.name,
        "model_sha": manifest.revision,
        "model_dtype": manifest.quantization,
        "served_model_name": manifest.id,
        "model_type": {"embedding": {"pooling": manifest.pooling}},
        "max_concurrent_requests": config.threads,
        "max_input_length": manifest.max_tokens,
        "max_batch_tokens": config.limits.tokens,
        "max_batch_requests": null,
        "max_client_batch_size": config.limits.texts,
        "auto_truncate": true,
        "tokenization_workers": config.threads,
        "version": env!("CARGO_PKG_VERSION"),
        "sha": null,
        "docker_label": null,
        "note": manifest.note,
    }))
}

pub(super) fn health(api: &Api) -> HttpResponse {
    response::json(&json!({"status": "ok", "model": api.manifest().id}))
}
