//! Cuts a section's text into chunks that the model takes whole, at headings, paragraphs and sentences.
//!
//! ```text
//! section -> tokens with their places (once) -> text-splitter, which asks "how many tokens has this piece?"
//!         -> chunks -> each counted again as the model will see it
//! ```
//!
//! The splitter asks some twenty times a chunk. Tokenising every piece would cost a tenth of what embedding costs, so
//! the answer is the number of the section's tokens that begin in the piece. A cut within a word makes that number a
//! guess. Every chunk is therefore tokenised once, and one that is too large is cut again, to a smaller size.

use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use crate::documents::extract::{Format, Section};
use crate::embedding::Tokenizer;
use crate::error::{Error, Result};
use crate::model::Manifest;

/// Tokens of text that a chunk has room for at least; with fewer a chunk would be a few words.
const LEAST_ROOM: usize = 8;

/// Bytes for which at least one token is counted. A "word" of more than 100 letters is one token to BERT, however
/// long it is: without this bound a page of base64 would be a chunk of one token.
const MOST_BYTES_A_TOKEN: usize = 32;

/// Bytes of a token in most texts, at most: a section of more is probably no single chunk.
const USUAL_BYTES_A_TOKEN: usize = 6;

/// How large chunks are; both in tokens of the model's tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkOptions {
    /// A chunk's tokens at most, special tokens and the model's passage prefix included.
    pub tokens: usize,
    /// A chunk's tokens that repeat the end of the chunk before it, at most.
    pub overlap: usize,
}

impl ChunkOptions {
    /// Three quarters of what the model takes, an eighth of that as overlap: 384 and 48 for a model of 512.
    ///
    /// 384 tokens are half a page, two or three paragraphs: what one vector of 384 floats still tells apart, and what
    /// Bedrock's knowledge bases (300) and most guides (256 to 512) settle on. A quarter is left so that a window that
    /// ends at a paragraph need not end early, and a query's prefix never pushes text out.
    pub fn for_model(manifest: &Manifest) -> Self {
        let tokens = manifest.max_tokens * 3 / 4;
        Self { tokens, overlap: tokens / 8 }
    }
}

/// One chunk of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Characters of the extracted text (counted like [`Section::start`]), `[start, end)`.
    pub start: usize,
    pub end: usize,
    /// As the model will see them: special tokens and the passage prefix included.
    pub tokens: usize,
    pub text: String,
}

/// Cuts sections into chunks; cheap to make.
pub struct Chunker<'a> {
    tokenizer: &'a Tokenizer,
    prefix: &'a str,
    /// Tokens of a chunk that are not its text's: special tokens and the prefix.
    around: usize,
    options: ChunkOptions,
}

impl<'a> Chunker<'a> {
    /// # Errors
    /// [`Error::Config`] for sizes that the model cannot take, or that leave no room for text.
    pub fn new(tokenizer: &'a Tokenizer, manifest: &'a Manifest, options: ChunkOptions) -> Result<Self> {
        let prefix = manifest.passage_prefix.as_str();
        let around = tokenizer.special_token_count() + tokenizer.encode(prefix)?.len();
        let wrong = |variable: &str, value: usize, expected: String| {
            Err(Error::Config { variable: variable.to_owned(), value: value.to_string(), expected })
        };
        let ChunkOptions { tokens, overlap } = options;
        let (least, most) = (around + LEAST_ROOM, manifest.max_tokens);
        if tokens < least || tokens > most {
            return wrong("EMBED_CHUNK_TOKENS", tokens, format!("{} takes windows of {least} to {most}", manifest.id));
        }
        if overlap >= tokens - around {
            return wrong(
                "EMBED_CHUNK_OVERLAP",
                overlap,
                format!("expected less than the window's {}", tokens - around),
            );
        }
        Ok(Self { tokenizer, prefix, around, options })
    }

    /// The chunks of `section`, in order. Together they hold all of its text but white space and what the tokenizer
    /// drops.
    pub fn chunks(&self, section: &Section) -> Result<Vec<Chunk>> {
        match self.whole(section)? {
            Some(chunk) => Ok(vec![chunk]),
            None => self.cut(section),
        }
    }

    /// A short section as one chunk, as the splitter would give it: it is tokenised once, not twice.
    fn whole(&self, section: &Section) -> Result<Option<Chunk>> {
        let room = self.options.tokens - self.around;
        let text = section.text.trim();
        let before = &section.text[..section.text.len() - section.text.trim_start().len()];
        // White space before Markdown's first line may be a mark.
        let is_mark = section.format == Format::Markdown && !before.is_empty();
        if is_mark || text.is_empty() || text.len() > room * USUAL_BYTES_A_TOKEN {
            return Ok(None);
        }
        let tokens = self.count(text)?;
        if tokens == self.around || tokens > self.options.tokens {
            return Ok(None);
        }
        let start = section.start + before.chars().count();
        Ok(Some(Chunk { start, end: start + text.chars().count(), tokens, text: text.to_owned() }))
    }

    /// The splitter's chunks of a section.
    fn cut(&self, section: &Section) -> Result<Vec<Chunk>> {
        let text = section.text.as_str();
        let counts = Counts { text, starts: self.tokenizer.starts(text)? };
        let room = self.options.tokens - self.around;
        let mut chunks = Vec::new();
        let mut characters = Characters { text, byte: 0, count: section.start };
        for (byte, window) in windows(section.format, &counts, text, room, self.options.overlap)? {
            self.push(byte, window, room, &mut characters, &mut chunks)?;
        }
        // The last piece of a window that was cut again may begin after the next window, which overlaps it.
        chunks.sort_by_key(|chunk| (chunk.start, chunk.end));
        chunks.dedup();
        Ok(chunks)
    }

    /// Adds `window` as a chunk, or cuts it into several.
    fn push(
        &self,
        byte: usize,
        window: &str,
        room: usize,
        characters: &mut Characters<'_>,
        chunks: &mut Vec<Chunk>,
    ) -> Result<()> {
        let tokens = self.count(window)?;
        if tokens == self.around {
            return Ok(());
        }
        if tokens <= self.options.tokens {
            let start = characters.until(byte);
            let end = start + window.chars().count();
            chunks.push(Chunk { start, end, tokens, text: window.to_owned() });
            return Ok(());
        }
        // Smaller by as much as the window is too large: a cut word has few pieces.
        let smaller = room.saturating_sub(tokens - self.options.tokens).max(room.div_ceil(2));
        let counts = Counts { text: window, starts: self.tokenizer.starts(window)? };
        let pieces: Vec<_> = windows(Format::Text, &counts, window, smaller, 0)?;
        if pieces.len() < 2 {
            return Err(Error::internal("a window could not be cut to the model's size", window.len().to_string()));
        }
        pieces.into_iter().try_for_each(|(at, piece)| self.push(byte + at, piece, smaller, characters, chunks))
    }

    /// Tokens as the model will see them.
    fn count(&self, window: &str) -> Result<usize> {
        let alone = self.tokenizer.special_token_count();
        if self.prefix.is_empty() {
            return Ok(alone + self.tokenizer.encode(window)?.len());
        }
        Ok(alone + self.tokenizer.encode(&[self.prefix, window].concat())?.len())
    }
}

/// The splitter's windows of `text`, each with its first byte.
fn windows<'t>(
    format: Format,
    counts: &Counts<'t>,
    text: &'t str,
    room: usize,
    overlap: usize,
) -> Result<Vec<(usize, &'t str)>> {
    let config = ChunkConfig::new(room).with_sizer(counts);
    let config = config.with_overlap(overlap).map_err(|e| Error::internal("the overlap is too large", e))?;
    Ok(match format {
        Format::Markdown => MarkdownSplitter::new(config).chunk_indices(text).collect(),
        _ => TextSplitter::new(config).chunk_indices(text).collect(),
    })
}

/// Counts the tokens of pieces of one text, for the splitter.
struct Counts<'t> {
    text: &'t str,
    /// The byte at which each token begins, ascending.
    starts: Vec<usize>,
}

impl ChunkSizer for Counts<'_> {
    fn size(&self, piece: &str) -> usize {
        // The splitter asks about slices of the text only, so a piece's address tells its place.
        let start = piece.as_ptr().addr() - self.text.as_ptr().addr();
        let before = |byte| self.starts.partition_point(|&token| token < byte);
        let end = start + piece.len();
        (before(end) - before(start)).max(piece.len() / MOST_BYTES_A_TOKEN)
    }
}

/// Turns byte offsets into character offsets, from each window to the next.
struct Characters<'t> {
    text: &'t str,
    byte: usize,
    count: usize,
}

impl Characters<'_> {
    /// Characters before `byte`.
    fn until(&mut self, byte: usize) -> usize {
        if byte >= self.byte {
            self.count += self.text[self.byte..byte].chars().count();
        } else {
            // The window before this one was cut again, and its last piece begins after this window's first byte.
            self.count -= self.text[byte..self.byte].chars().count();
        }
        self.byte = byte;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Verify;
    use crate::model::ModelFolder;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_short_section_is_the_chunk_that_the_splitter_gives(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "one", "two words", " ", "\n", "\n\n", ". ", "! ", "# ", "- ", "* * *", "```", "\t", "    ", "é", "中文",
                "| a | b |", "> ", "<b>", "\u{a0}", "\u{2028}", "\r\n", "1. ",
            ]), 0..40),
            markdown in any::<bool>(),
        ) {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/fixture");
            let folder = ModelFolder::open(&root, Verify::Sizes).unwrap();
            let tokenizer = Tokenizer::from_json(&std::fs::read(root.join("tokenizer.json")).unwrap()).unwrap();
            let options = ChunkOptions { tokens: 48, overlap: 6 };
            let chunker = Chunker::new(&tokenizer, &folder.manifest, options).unwrap();
            let format = if markdown { Format::Markdown } else { Format::Text };
            let (text, place, fields) = (pieces.concat(), Default::default(), Default::default());
            let section = Section { format, text, start: 7, place, fields, resume: None };
            if let Some(chunk) = chunker.whole(&section).unwrap() {
                prop_assert_eq!(vec![chunk], chunker.cut(&section).unwrap());
            }
        }
    }
}
