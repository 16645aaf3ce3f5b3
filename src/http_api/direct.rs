//! Direct invocation (Step Functions, EventBridge Pipes, `aws lambda invoke`): either contract's body in,
//! one object out.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::openai::{self, Usage};
use super::{Api, body, response, tei};
use crate::concurrency::offload;
use crate::embedding::Embeddings;
use crate::error::{Error, Result};
use crate::observability::call::Call;

/// Which contract's body it is.
#[derive(Deserialize)]
struct BodyShape {
    input: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct Answer<'a> {
    model: &'a str,
    dimensions: usize,
    embeddings: &'a [Vec<f32>],
    usage: Usage,
    /// Indices of the texts that were cut.
    truncated: &'a [usize],
    timings: Timings,
}

#[derive(Serialize)]
struct Timings {
    tokenize_ms: f64,
    inference_ms: f64,
}

pub(super) async fn answer(api: &Api, event: &[u8], call: &Call) -> Result<Box<RawValue>> {
    let shape: BodyShape = body::read(event)?;
    let done: Embeddings = match shape.input {
        Some(_) => openai::Request::parse(event, api.manifest(), &api.config)?.embed(api, call).await?.0,
        None => tei::Request::parse(event, api.manifest())?.embed(api, call).await?,
    };
    let model = api.model().to_owned();
    offload::spawn_blocking_if(response::is_large(&done), "writing an answer panicked", move |_| written(&model, &done))
        .await
}

fn written(model: &str, done: &Embeddings) -> Result<Box<RawValue>> {
    let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let answer = Answer {
        model,
        dimensions: done.vectors.first().map_or(0, Vec::len),
        embeddings: &done.vectors,
        usage: Usage::of(done),
        truncated: &done.truncated,
        timings: Timings { tokenize_ms: ms(done.timings.tokenize), inference_ms: ms(done.timings.inference) },
    };
    to_raw_value(&answer).map_err(|e| Error::internal("the answer cannot be encoded", e))
}
