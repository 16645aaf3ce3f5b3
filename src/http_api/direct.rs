//! Direct invocation (Step Functions, EventBridge Pipes, `aws lambda invoke`): either contract's body in,
//! one object out.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::openai::{self, EncodingFormat, Usage};
use super::vector_list::{Vector, vector};
use super::{Api, Terms, body, response, tei};
use crate::concurrency::offload;
use crate::embedding::Embeddings;
use crate::error::{Error, Result};

/// The fields that tell a body's contract and the form of its vectors. One of the contracts has no field for the form.
#[derive(Deserialize)]
struct BodyShape {
    input: Option<IgnoredAny>,
    encoding_format: Option<EncodingFormat>,
}

#[derive(Serialize)]
struct Answer<'a> {
    model: &'a str,
    dimensions: usize,
    embeddings: Vec<Vector<'a>>,
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

pub(super) async fn answer(api: &Api, event: &[u8], terms: Terms<'_>) -> Result<Box<RawValue>> {
    let shape: BodyShape = body::read(event)?;
    let mut job = match shape.input {
        Some(_) => openai::Request::parse(event, api.manifest(), &api.config)?.0,
        None => tei::Request::parse(event, api.manifest())?.0,
    };
    job.format = shape.encoding_format.unwrap_or_default();
    let (format, model) = (job.format, api.model().to_owned());
    let done = job.embed(api, terms).await?;
    let large = response::is_large(&done);
    let write = move |_: &_| written(&model, &done, format);
    offload::spawn_blocking_if(large, "writing an answer panicked", write).await
}

fn written(model: &str, done: &Embeddings, format: EncodingFormat) -> Result<Box<RawValue>> {
    let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let answer = Answer {
        model,
        dimensions: done.vectors.first().map_or(0, Vec::len),
        embeddings: done.vectors.iter().map(|values| vector(values, format)).collect(),
        usage: Usage::of(done),
        truncated: &done.truncated,
        timings: Timings { tokenize_ms: ms(done.timings.tokenize), inference_ms: ms(done.timings.inference) },
    };
    to_raw_value(&answer).map_err(|e| Error::internal("the answer cannot be encoded", e))
}
