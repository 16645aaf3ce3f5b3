//! From texts to units: prefix, token ids, and what a limit does to a long text.

use std::time::{Duration, Instant};

use super::pooling::{mean, normalize};
use super::tokenizer::Tokenizer;
use super::{Embeddings, Keep, Options, Timings, Truncate};
use crate::concurrency::offload::Waiting;
use crate::error::{Error, Kind, Result};
use crate::model::Manifest;

/// Texts as units, ready to run.
pub struct Prepared {
    units: Vec<Vec<u32>>,
    outline: Outline,
}

/// How units become texts again.
pub struct Outline {
    /// Units of each text, in order.
    windows: Vec<usize>,
    tokens: Vec<usize>,
    truncated: Vec<usize>,
    normalize: bool,
    tokenize: Duration,
}

impl Prepared {
    pub(super) fn new(
        tokenizer: &Tokenizer,
        manifest: &Manifest,
        texts: &[String],
        options: Options,
        waiting: &Waiting,
    ) -> Result<Self> {
        let started = Instant::now();
        let prefix = options.input_type.prefix(manifest);
        let room = manifest.max_tokens - tokenizer.specials();
        let mut units = Vec::with_capacity(texts.len());
        let mut outline = Outline {
            windows: Vec::with_capacity(texts.len()),
            tokens: Vec::with_capacity(texts.len()),
            truncated: Vec::new(),
            normalize: options.normalize,
            tokenize: Duration::ZERO,
        };
        for (index, text) in texts.iter().enumerate() {
            waiting.check()?;
            // What is cut off behind need not be known.
            let beginning = options.truncate == Truncate::Cut && options.keep == Keep::Start;
            let more = |ids| waiting.check().map(|()| !(beginning && ids > room));
            let ids = if prefix.is_empty() {
                tokenizer.encode_while(text, more)?
            } else {
                tokenizer.encode_while(&[prefix, text.as_str()].concat(), more)?
            };
            let first_unit = units.len();
            if ids.len() <= room {
                units.push(tokenizer.wrap(&ids));
            } else {
                match options.truncate {
                    Truncate::Refuse => return Err(too_long(index, ids.len() + tokenizer.specials(), manifest)),
                    Truncate::Mean => units.extend(ids.chunks(room).map(|window| tokenizer.wrap(window))),
                    Truncate::Cut => {
                        outline.truncated.push(index);
                        units.push(tokenizer.wrap(match options.keep {
                            Keep::Start => &ids[..room],
                            Keep::End => &ids[ids.len() - room..],
                        }));
                    }
                }
            }
            outline.windows.push(units.len() - first_unit);
            outline.tokens.push(units[first_unit..].iter().map(Vec::len).sum());
        }
        outline.tokenize = started.elapsed();
        Ok(Self { units, outline })
    }

    /// Tokens that will go through the model, special tokens included.
    pub fn total_tokens(&self) -> usize {
        self.outline.tokens.iter().sum()
    }

    /// How long it took.
    pub fn tokenize(&self) -> Duration {
        self.outline.tokenize
    }

    /// Runs of the model that this takes.
    pub fn runs(&self) -> usize {
        self.units.len()
    }

    pub(super) fn into_units(self) -> (Vec<Vec<u32>>, Outline) {
        (self.units, self.outline)
    }
}

impl Outline {
    /// One vector a text from the units' vectors.
    pub(super) fn assemble(self, vectors: Vec<Vec<f32>>, inference: Duration) -> Embeddings {
        let mut unit_vectors = vectors.into_iter();
        let mut text_vector = |windows: usize| {
            let mut of_text: Vec<_> = unit_vectors.by_ref().take(windows).collect();
            // Each window counts the same, whatever its length, as in a mean of vectors of length 1.
            if windows > 1 {
                of_text.iter_mut().for_each(|vector| normalize(vector));
                of_text = vec![mean(of_text.iter().map(Vec::as_slice))];
            }
            let mut vector = of_text.pop().unwrap_or_default();
            if self.normalize {
                normalize(&mut vector);
            }
            vector
        };
        Embeddings {
            vectors: self.windows.iter().map(|&windows| text_vector(windows)).collect(),
            tokens: self.tokens,
            truncated: self.truncated,
            timings: Timings { tokenize: self.tokenize, inference },
        }
    }
}

fn too_long(index: usize, tokens: usize, manifest: &Manifest) -> Error {
    let limit = manifest.max_tokens;
    Error::request(
        Kind::TooLarge,
        "truncate",
        format!(
            "text {index} has {tokens} tokens, {} takes {limit}; shorten it, or send \"truncate\": true to cut it \
             or \"mean\" to embed it in windows",
            manifest.id
        ),
    )
}
