//! Text to token ids, exactly as the model's own `tokenizer.json` says.
//!
//! The file's padding and truncation settings are ignored: a text is never padded, and the request decides where a
//! text is cut. A trial run finds the special tokens, so any encoder with special tokens before and after the text
//! works (`[CLS] … [SEP]`, `<s> … </s>`).

use serde::Deserialize;
use serde_json::value::RawValue;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{AddedToken, PostProcessorWrapper};

use super::split_points::{Part, SplitPoints};
use crate::error::{Error, Result};

/// A loaded tokenizer; shared between threads.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    split_points: Option<SplitPoints>,
}

/// One token as `/tokenize` reports it: its characters of the text, and the bytes of the text where they begin and end.
/// A special token has its name and no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: u32,
    pub text: String,
    pub special: bool,
    pub span: Option<(usize, usize)>,
}

impl Tokenizer {
    /// Reads the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// A sentence on what is wrong with the file.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let (mut inner, split_points) = read(json).map_err(|e| format!("the tokenizer is not understood: {e}"))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| e.to_string())?;
        let encoding = inner.encode("a", true).map_err(|e| format!("the tokenizer does not run: {e}"))?;
        let special = |mask: &&u32| **mask == 1;
        let masks = encoding.get_special_tokens_mask();
        let prefix = masks.iter().take_while(special).count();
        let suffix = masks[prefix..].iter().rev().take_while(special).count();
        let ids = encoding.get_ids();
        let (prefix, suffix) = (ids[..prefix].to_vec(), ids[ids.len() - suffix..].to_vec());
        Ok(Self { inner, prefix, suffix, split_points })
    }

    /// The number of special tokens in every run.
    pub fn special_token_count(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }

    /// The ids of `text` alone, without special tokens and without a limit.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_while(text, |_| Ok(true))
    }

    /// The ids of `text` from its beginning, until `more` says that there are enough. A long text is tokenised part by
    /// part; after each part `more` gets the number of ids so far and returns whether to go on.
    ///
    /// # Errors
    /// The tokenizer's, and those of `more`.
    pub fn encode_while(&self, text: &str, mut more: impl FnMut(usize) -> Result<bool>) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for part in self.parts(text) {
            let encoding = self.inner.encode_fast(&*part.text, false).map_err(tokenizer_failed)?;
            ids.extend_from_slice(encoding.get_ids());
            if !more(ids.len())? {
                break;
            }
        }
        Ok(ids)
    }

    fn parts<'a>(&'a self, text: &'a str) -> Box<dyn Iterator<Item = Part<'a>> + 'a> {
        match &self.split_points {
            Some(split_points) => Box::new(split_points.parts(text)),
            None => Box::new(std::iter::once(Part::from(text))),
        }
    }

    /// The byte offset in `text` at which each token begins, ascending, without special tokens.
    pub fn starts(&self, text: &str) -> Result<Vec<usize>> {
        let (mut starts, mut before) = (Vec::new(), 0);
        for part in self.parts(text) {
            let encoding = self.inner.encode(&*part.text, false).map_err(tokenizer_failed)?;
            starts.extend(encoding.get_offsets().iter().map(|&span| before + part.span(span).0));
            before += part.len;
        }
        Ok(starts)
    }

    /// `ids` with the special tokens around them: one run's input.
    pub fn add_special_tokens(&self, ids: &[u32]) -> Vec<u32> {
        [&self.prefix, ids, &self.suffix].concat()
    }

    /// The tokens of `text`, each with its place in the text. `more` works as in
    /// [`encode_while`](Self::encode_while).
    ///
    /// # Errors
    /// The tokenizer's, and those of `more`.
    pub fn tokens(
        &self,
        text: &str,
        add_special_tokens: bool,
        mut more: impl FnMut(usize) -> Result<bool>,
    ) -> Result<Vec<Token>> {
        let around = |ids: &[u32]| if add_special_tokens { self.special_tokens_of(ids) } else { Vec::new() };
        let mut tokens = around(&self.prefix);
        let mut before = 0;
        for part in self.parts(text) {
            let encoding = self.inner.encode(&*part.text, false).map_err(tokenizer_failed)?;
            let placed = encoding.get_ids().iter().zip(encoding.get_offsets());
            tokens.extend(placed.map(|(&id, &span)| {
                let (start, stop) = part.span(span);
                let (start, stop) = (before + start, before + stop);
                // A tokenizer of bytes may cut a character in two.
                let text = String::from_utf8_lossy(text.as_bytes().get(start..stop).unwrap_or_default()).into_owned();
                Token { id, text, special: false, span: Some((start, stop)) }
            }));
            if !more(tokens.len())? {
                break;
            }
            before += part.len;
        }
        tokens.extend(around(&self.suffix));
        Ok(tokens)
    }

    fn special_tokens_of(&self, ids: &[u32]) -> Vec<Token> {
        let text = |id| self.inner.id_to_token(id).unwrap_or_default();
        ids.iter().map(|&id| Token { id, text: text(id), special: true, span: None }).collect()
    }
}

#[cfg(test)]
impl Tokenizer {
    pub fn split_points(&self) -> Option<&SplitPoints> {
        self.split_points.as_ref()
    }

    pub fn in_parts_of(self, bytes: usize) -> Self {
        Self { split_points: self.split_points.map(|split_points| split_points.of_parts(bytes)), ..self }
    }
}

/// The sections of a `tokenizer.json`, each as unparsed JSON.
#[derive(Deserialize)]
struct TokenizerFile<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
    #[serde(borrow)]
    normalizer: Option<&'a RawValue>,
    #[serde(borrow)]
    pre_tokenizer: Option<&'a RawValue>,
    #[serde(borrow)]
    post_processor: Option<&'a RawValue>,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct ModelKind<'a> {
    #[serde(rename = "type")]
    kind: Option<&'a str>,
}

/// Reads a WordPiece tokenizer section by section, and any other with the library's own reader. The library's reader
/// does not know the model's type in advance: it buffers the vocabulary and tries one type after the other, which takes
/// 12 ms instead of 4 for 30,000 words.
fn read(json: &[u8]) -> tokenizers::Result<(tokenizers::Tokenizer, Option<SplitPoints>)> {
    let file: TokenizerFile<'_> = serde_json::from_slice(json)?;
    let kind: ModelKind<'_> = serde_json::from_str(file.model.get())?;
    if kind.kind != Some("WordPiece") {
        return Ok((tokenizers::Tokenizer::from_bytes(json)?, None));
    }
    let model: WordPiece = serde_json::from_str(file.model.get())?;
    let (normalizer, pre_tokenizer) = (section(file.normalizer)?, section(file.pre_tokenizer)?);
    let split_points = SplitPoints::of(normalizer.as_ref(), pre_tokenizer.as_ref(), &model, &file.added_tokens);
    let mut inner = tokenizers::Tokenizer::new(model);
    inner.with_normalizer(normalizer)?;
    inner.with_pre_tokenizer(pre_tokenizer);
    inner.with_post_processor(section::<PostProcessorWrapper>(file.post_processor)?);
    inner.add_tokens(file.added_tokens)?;
    Ok((inner, split_points))
}

fn section<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> serde_json::Result<Option<T>> {
    raw.map(|raw| serde_json::from_str(raw.get())).transpose()
}

fn tokenizer_failed(cause: tokenizers::Error) -> Error {
    Error::internal("the tokenizer failed on a text", cause)
}
