//! Safe split points: where a long text can be cut without changing its tokens.
//!
//! The tokenizer needs about 400 bytes of memory for each token: a request body of six megabytes of `!` would need more
//! memory than the function has. Tokenised in parts, a text needs the memory of one part, and a caller that has enough
//! tokens can stop early.
//!
//! Invariants: a cut changes no token; a tokenizer for which this is not certain has no split points.

use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper};

/// Bytes of a part, unless a single word is longer.
const PART: usize = 16 * 1024;

/// The split points of a BERT tokenizer. Such a tokenizer works word by word (`BertPreTokenizer`: white space separates
/// words, each punctuation mark is a word). Before that it looks for added tokens, such as `[SEP]`, in the raw text.
#[derive(Debug, Clone)]
pub struct SplitPoints {
    ideographs: bool,
    added_tokens: Vec<String>,
    part: usize,
}

impl SplitPoints {
    /// `None` for a tokenizer that may look beyond a word.
    pub fn of(
        normalizer: Option<&NormalizerWrapper>,
        pre_tokenizer: Option<&PreTokenizerWrapper>,
        added: &[AddedToken],
    ) -> Option<Self> {
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = normalizer else { return None };
        let Some(PreTokenizerWrapper::BertPreTokenizer(_)) = pre_tokenizer else { return None };
        let plain = |token: &AddedToken| !(token.normalized || token.single_word || token.lstrip || token.rstrip);
        let added_tokens = added.iter().map(|token| token.content.clone()).collect();
        let ideographs = normalizer.handle_chinese_chars;
        added.iter().all(plain).then_some(Self { ideographs, added_tokens, part: PART })
    }

    /// The parts of `text`, in order and without gaps.
    pub fn parts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            let (part, after) = rest.split_at(self.first_end(rest));
            rest = after;
            (!part.is_empty()).then_some(part)
        })
    }

    /// The byte offset of the first part's end: the last split point within [`PART`] bytes, else the first one after.
    fn first_end(&self, text: &str) -> usize {
        if text.len() <= self.part {
            return text.len();
        }
        let near = text.floor_char_boundary(self.part);
        let before = std::iter::once(near).chain(text[..near].char_indices().rev().map(|(at, _)| at));
        let beyond = text[near..].char_indices().map(|(at, _)| near + at);
        before.chain(beyond).find(|&at| self.is_split_point(text, at)).unwrap_or(text.len())
    }

    fn is_split_point(&self, text: &str, at: usize) -> bool {
        let (Some(left), Some(right)) = (text[..at].chars().next_back(), text[at..].chars().next()) else {
            return false;
        };
        let within = |token: &String| token.chars().zip(token.chars().skip(1)).any(|pair| pair == (left, right));
        (self.separates_words(left) || self.separates_words(right)) && !self.added_tokens.iter().any(within)
    }

    /// Whether `c` never belongs to a word, whatever its neighbours. Unicode's other white space and punctuation are left
    /// out, because normalisation may remove or decompose them.
    fn separates_words(&self, c: char) -> bool {
        matches!(c, ' ' | '\t' | '\n' | '\r')
            || c.is_ascii_punctuation()
            || (self.ideographs && ('\u{4e00}'..='\u{9fff}').contains(&c))
    }
}

#[cfg(test)]
impl SplitPoints {
    pub fn of_parts(self, part: usize) -> Self {
        Self { part, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer::Tokenizer;
    use super::*;
    use proptest::prelude::*;

    fn fixture() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/fixture/tokenizer.json")).unwrap()
    }

    /// Two tokenizers from one file: one takes texts whole, the other in parts of `part` bytes.
    fn tokenizers(json: &[u8], part: usize) -> (Tokenizer, Tokenizer) {
        let read = || Tokenizer::from_json(json).unwrap();
        (read().in_parts_of(usize::MAX), read().in_parts_of(part))
    }

    fn all(tokenizer: &Tokenizer, text: &str) -> (Vec<u32>, Vec<super::super::tokenizer::Token>) {
        (tokenizer.encode(text).unwrap(), tokenizer.tokens(text, true, |_| Ok(true)).unwrap())
    }

    /// Texts of every kind of character that forms or separates words.
    fn texts() -> impl Strategy<Value = String> {
        let pieces = vec![
            "a", "hello", "é", "e\u{301}", "\u{301}", " ", "\t", "\n", "\u{b}", "\u{a0}", "\u{2028}", "\0", "\u{fffd}",
            "!", "[", "]", "[SEP]", "[MASK]", "[S", "EP]", "…", "。", "中", "文", "か", "\u{200d}", "ß", "Σ", "ς", "≠",
            "12", "##a",
        ];
        prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn parts_have_the_tokens_of_the_whole(text in texts(), part in 1..20usize) {
            let (whole, parts) = tokenizers(&fixture(), part);
            prop_assert_eq!(all(&whole, &text), all(&parts, &text));
        }

        #[test]
        fn parts_are_the_text(text in texts(), part in 1..20usize) {
            let split_points = SplitPoints { ideographs: true, added_tokens: vec!["[SEP]".to_owned()], part };
            prop_assert_eq!(split_points.parts(&text).collect::<String>(), text);
        }
    }

    #[test]
    fn a_long_text_is_split_and_a_word_is_not() {
        let split_points = SplitPoints { ideographs: true, added_tokens: vec!["[SEP]".to_owned()], part: 4 };
        let parts = |text| split_points.parts(text).collect::<Vec<_>>();
        assert_eq!(parts("!!!!!!!!!"), ["!!!!", "!!!!", "!"]);
        assert_eq!(parts("ab cd ef"), ["ab ", "cd ", "ef"]);
        assert_eq!(parts("中中中"), ["中", "中", "中"]);
        assert_eq!(parts("abcdefgh"), ["abcdefgh"]);
        assert_eq!(parts("abcdefgh i"), ["abcdefgh", " i"]);
        assert_eq!(parts("[SEP][SEP]"), ["[SEP]", "[SEP]"]);
    }

    #[test]
    fn a_caller_that_has_enough_stops_early() {
        let (_, parts) = tokenizers(&fixture(), 8);
        let (text, mut asked) = ("hello ".repeat(1_000), 0);
        let ids = parts.encode_while(&text, |ids| {
            asked += 1;
            Ok(ids < 3)
        });
        assert!((3..20).contains(&ids.unwrap().len()) && asked < 10);
        let tokens = parts.tokens(&text, true, |tokens| Ok(tokens < 10)).unwrap();
        assert!((10..30).contains(&tokens.len()), "{}", tokens.len());
    }

    #[test]
    fn a_tokenizer_that_looks_beyond_words_has_no_split_points() {
        let file: serde_json::Value = serde_json::from_slice(&fixture()).unwrap();
        let parts = |file: &serde_json::Value| {
            let tokenizer = Tokenizer::from_json(file.to_string().as_bytes()).unwrap();
            let mut parts = 0;
            tokenizer
                .encode_while(&"!".repeat(PART * 2), |_| {
                    parts += 1;
                    Ok(true)
                })
                .unwrap();
            parts
        };
        assert_eq!(parts(&file), 2);
        for (pointer, value) in [
            ("/normalizer", serde_json::json!({"type": "Lowercase"})),
            ("/pre_tokenizer", serde_json::json!({"type": "WhitespaceSplit"})),
            ("/added_tokens/0/normalized", serde_json::json!(true)),
        ] {
            let mut other = file.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_eq!(parts(&other), 1, "{pointer}");
        }
    }
}
