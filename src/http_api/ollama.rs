//! Ollama's contract, as far as its clients need it to embed: `POST /api/embed`, `GET /api/tags`.
//!
//! Source of the shapes: Ollama's API documentation, "Generate Embeddings" and "List Local Models". `input_type` is ours.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::dimensions::Dimensions;
use super::input::Texts;
use super::openai::EncodingFormat;
use super::vector_list::{Item, Job, Reply, VectorList};
use super::{Api, Terms, body, model_names, response};
use crate::embedding::{InputType, Options, Truncation};
use crate::error::Result;
use crate::event::HttpResponse;

/// `/api/embed`'s fields.
#[derive(Deserialize)]
pub(super) struct Fields {
    model: Option<String>,
    input: Option<Texts>,
    truncate: Option<Truncation>,
    dimensions: Option<u64>,
    input_type: Option<InputType>,
    /// Settings of Ollama's own engine; known and not used.
    #[serde(rename = "options")]
    _options: Option<IgnoredAny>,
    #[serde(rename = "keep_alive")]
    _keep_alive: Option<IgnoredAny>,
}

/// The tag that Ollama's clients add to a name without one.
const TAG: &str = ":latest";

pub(super) async fn embed(api: &Api, body: &[u8], terms: Terms<'_>) -> Result<Reply> {
    let (manifest, fields) = (api.manifest(), body::read::<Fields>(body)?);
    let texts = fields.input.ok_or_else(|| body::missing("input"))?.into_strings();
    if let Some(model) = &fields.model {
        model_names::check(model.strip_suffix(TAG).unwrap_or(model), manifest, &api.config.model_aliases)?;
    }
    let options = Options {
        input_type: fields.input_type.unwrap_or_default(),
        truncation: fields.truncate.unwrap_or_default(),
        ..Options::default()
    };
    let dimensions = Dimensions::parse(fields.dimensions, manifest)?;
    let job = Job { texts, param: "input", options, dimensions, format: EncodingFormat::Float };
    job.answer(api, terms, |prepared| VectorList {
        before: format!("{{\"model\":{},\"embeddings\":[", json!(manifest.id)),
        item: Item::Vector,
        format: EncodingFormat::Float,
        after: format!("],\"prompt_eval_count\":{}}}", prepared.total_tokens()),
    })
    .await
}

pub(super) fn tags(api: &Api) -> HttpResponse {
    let manifest = api.manifest();
    let bytes: u64 = manifest.files.all().map(|file| file.size).sum();
    let model = |name: &str| {
        let name = format!("{name}{TAG}");
        json!({
            "name": name, "model": name, "modified_at": "1970-01-01T00:00:00Z", "size": bytes,
            "digest": manifest.files.model.sha256,
            "details": {"format": "onnx", "family": "bert", "families": ["bert"], "parameter_size": "",
                "quantization_level": manifest.quantization},
        })
    };
    let models: Vec<_> = model_names::listed(manifest, &api.config.model_aliases).map(model).collect();
    response::json(&json!({"models": models}))
}
