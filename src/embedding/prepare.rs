//! From texts to sequences: prefix, token ids, and the model's limit for a long text.

use std::time::{Duration, Instant};

use super::pooling::{mean, normalize};
use super::tokenizer::Tokenizer;
use super::{Embeddings, Options, Timings, Truncation, TruncationDirection};
use crate::concurrency::offload::Waiting;
use crate::error::{Error, Kind, Result};
use crate::model::Manifest;

/// Tokenised texts, ready to run.
pub struct Prepared {
    sequences: Vec<Vec<u32>>,
    outline: Outline,
}

/// Which sequences belong to which text, and what the answer says about the texts.
pub struct Outline {
    /// The number of sequences of each text, in the texts' order.
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
        let room = manifest.max_tokens - tokenizer.special_token_count();
        let mut sequences = Vec::with_capacity(texts.len());
        let mut outline = Outline {
            windows: Vec::with_capacity(texts.len()),
            tokens: Vec::with_capacity(texts.len()),
            truncated: Vec::new(),
            normalize: options.normalize,
            tokenize: Duration::ZERO,
        };
        for (index, text) in texts.iter().enumerate() {
            waiting.check()?;
            // A text that keeps its beginning need not be tokenised beyond the limit.
            let keeps_beginning =
                options.truncation == Truncation::Cut && options.truncation_direction == TruncationDirection::Right;
            let more = |ids| waiting.check().map(|()| !(keeps_beginning && ids > room));
            let ids = if prefix.is_empty() {
                tokenizer.encode_while(text, more)?
            } else {
                tokenizer.encode_while(&[prefix, text.as_str()].concat(), more)?
            };
            let first_sequence = sequences.len();
            if ids.len() <= room {
                sequences.push(tokenizer.add_special_tokens(&ids));
            } else {
                match options.truncation {
                    Truncation::Reject => {
                        return Err(too_long(index, ids.len() + tokenizer.special_token_count(), manifest));
                    }
                    Truncation::Mean => {
                        sequences.extend(ids.chunks(room).map(|window| tokenizer.add_special_tokens(window)))
                    }
                    Truncation::Cut => {
                        outline.truncated.push(index);
                        sequences.push(tokenizer.add_special_tokens(match options.truncation_direction {
                            TruncationDirection::Right => &ids[..room],
                            TruncationDirection::Left => &ids[ids.len() - room..],
                        }));
                    }
                }
            }
            outline.windows.push(sequences.len() - first_sequence);
            outline.tokens.push(sequences[first_sequence..].iter().map(Vec::len).sum());
        }
        outline.tokenize = started.elapsed();
        Ok(Self { sequences, outline })
    }

    /// Tokens that will go through the model, special tokens included.
    pub fn total_tokens(&self) -> usize {
        self.outline.tokens.iter().sum()
    }

    /// How long tokenising took.
    pub fn tokenize(&self) -> Duration {
        self.outline.tokenize
    }

    /// The number of runs of the model that the texts need.
    pub fn runs(&self) -> usize {
        self.sequences.len()
    }

    /// Indices of the texts that were cut, ascending.
    pub fn truncated(&self) -> &[usize] {
        &self.outline.truncated
    }

    /// Whether no text is left.
    pub fn is_empty(&self) -> bool {
        self.outline.windows.is_empty()
    }

    /// Takes the first `texts` texts out; `None` if none is left. The result does not list those that were cut.
    pub fn take(&mut self, texts: usize) -> Option<Self> {
        if self.is_empty() {
            return None;
        }
        let texts = texts.min(self.outline.windows.len());
        let windows: Vec<usize> = self.outline.windows.drain(..texts).collect();
        let outline = Outline {
            tokens: self.outline.tokens.drain(..texts).collect(),
            truncated: Vec::new(),
            normalize: self.outline.normalize,
            tokenize: Duration::ZERO,
            windows,
        };
        let runs: usize = outline.windows.iter().sum();
        let sequences = self.sequences.drain(..runs).collect();
        Some(Self { sequences, outline })
    }

    pub(super) fn into_sequences(self) -> (Vec<Vec<u32>>, Outline) {
        (self.sequences, self.outline)
    }
}

impl Outline {
    /// Joins the sequences' vectors to one vector a text.
    pub(super) fn assemble(self, vectors: Vec<Vec<f32>>, inference: Duration) -> Embeddings {
        let mut sequence_vectors = vectors.into_iter();
        let mut text_vector = |windows: usize| {
            let mut of_text: Vec<_> = sequence_vectors.by_ref().take(windows).collect();
            // Every window weighs the same, whatever its length: the mean is of vectors of length 1.
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
