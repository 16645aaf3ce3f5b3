//! A section's text to windows that the model takes whole, cut at headings, paragraphs and sentences.

use crate::embed::Tokenizer;
use crate::error::Result;
use crate::ingest::extract::Section;
use crate::model::Manifest;

/// How large windows are; both in tokens of the model's tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkOptions {
    /// At most so many in a window, special tokens and the model's passage prefix included.
    pub tokens: usize,
    /// At most so many of a window's tokens are the end of the window before it.
    pub overlap: usize,
}

impl ChunkOptions {
    /// Three quarters of what the model takes, an eighth of that as overlap: 384 and 48 for 512.
    pub fn for_model(manifest: &Manifest) -> Self {
        let tokens = manifest.max_tokens * 3 / 4;
        Self { tokens, overlap: tokens / 8 }
    }
}

/// One window of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Characters of the extracted text (as [`Section::start`] counts them), `[start, end)`.
    pub start: usize,
    pub end: usize,
    /// As the model will see them: special tokens and the passage prefix included.
    pub tokens: usize,
    pub text: String,
}

/// Cuts sections; cheap to make.
pub struct Chunker<'a> {
    tokenizer: &'a Tokenizer,
    options: ChunkOptions,
}

impl<'a> Chunker<'a> {
    /// # Errors
    /// Sizes that the model cannot take, or that leave no room for text.
    pub fn new(tokenizer: &'a Tokenizer, manifest: &'a Manifest, options: ChunkOptions) -> Result<Self> {
        let _ = manifest;
        Ok(Self { tokenizer, options })
    }

    /// The windows of `section`, in order; they never reach beyond it, and only white space and what the
    /// tokenizer does not see lies in none of them.
    pub fn chunks(&self, section: &Section) -> Result<Vec<Chunk>> {
        let _ = (self.tokenizer, self.options, section);
        Ok(Vec::new())
    }
}
