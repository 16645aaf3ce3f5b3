//! Safe split points: where a long text can be cut without changing its tokens.
//!
//! The tokenizer needs about 400 bytes of memory for each token, and as much for a few characters of one word: a request
//! body of six megabytes of `!`, or of one word, would need more memory than the function has. Tokenised in parts, a text
//! needs the memory of one part, and a caller that has enough tokens can stop early.
//!
//! ```text
//! text -> parts of 16 KiB that end where words do -> of a word that is longer, the characters that count
//! ```
//!
//! Invariants: a cut changes no token and no token's place; a tokenizer for which this is not certain has no split
//! points.

use std::borrow::Cow;
use std::collections::HashMap;

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizer::Range;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, PreTokenizerWrapper,
};

/// Bytes of a part, unless a single word is longer.
const PART: usize = 16 * 1024;

/// The split points of a BERT tokenizer. Such a tokenizer normalises a text character by character and then works word
/// by word (`BertPreTokenizer`: white space separates words, each punctuation mark is a word). Before that it looks for
/// added tokens, such as `[SEP]`, in the raw text.
#[derive(Debug, Clone)]
pub struct SplitPoints {
    normalizer: BertNormalizer,
    pre_tokenizer: BertPreTokenizer,
    added_tokens: Vec<String>,
    /// Characters of a normalised word at most: to WordPiece a longer one is `[UNK]`, whatever it is.
    longest_word: usize,
    part: usize,
}

/// One part of a text, and how much of the text it stands for.
#[derive(Debug)]
pub struct Part<'t> {
    /// What the tokenizer gets: the part itself, or of one very long word the characters that decide its tokens.
    pub text: Cow<'t, str>,
    /// Bytes of the source text that the part stands for.
    pub len: usize,
    /// Of a shortened text, where each of its characters is: the first byte in `text` and in the source.
    places: Vec<(usize, usize)>,
    /// The byte of the source after the last character that belongs to the word.
    end: usize,
}

/// What one character does to the words of a text, whatever its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ends the word before it and begins none that goes on after it.
    Separator,
    /// Gives a word that many characters; with none, normalisation removes it.
    Word(usize),
    /// Neither of them for certain.
    Unknown,
}

/// The kinds of the characters of one text, each found once.
#[derive(Default)]
struct Kinds(HashMap<char, Kind>);

impl<'t> From<&'t str> for Part<'t> {
    fn from(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), len: text.len(), places: Vec::new(), end: text.len() }
    }
}

impl Part<'_> {
    /// The bytes of the source, from the part's beginning, that the bytes `[start, stop)` of `text` stand for.
    pub fn span(&self, (start, stop): (usize, usize)) -> (usize, usize) {
        let Some(last) = self.places.iter().rposition(|&(at, _)| at < stop) else { return (start, stop) };
        let first = self.places.partition_point(|&(at, _)| at < start);
        let source = |place: usize| self.places[place].1;
        let stop = if last + 1 == self.places.len() { self.end } else { source(last) + stop - self.places[last].0 };
        (source(first), stop)
    }
}

impl SplitPoints {
    /// `None` for a tokenizer that may look beyond a word.
    pub fn of(
        normalizer: Option<&NormalizerWrapper>,
        pre_tokenizer: Option<&PreTokenizerWrapper>,
        model: &WordPiece,
        added: &[AddedToken],
    ) -> Option<Self> {
        let Some(NormalizerWrapper::BertNormalizer(normalizer)) = normalizer else { return None };
        let Some(PreTokenizerWrapper::BertPreTokenizer(pre_tokenizer)) = pre_tokenizer else { return None };
        let plain = |token: &AddedToken| !(token.normalized || token.single_word || token.lstrip || token.rstrip);
        let added_tokens: Vec<_> = added.iter().map(|token| token.content.clone()).collect();
        let (normalizer, pre_tokenizer) = (*normalizer, *pre_tokenizer);
        let longest_word = model.max_input_chars_per_word;
        let own = Self { normalizer, pre_tokenizer, added_tokens, longest_word, part: PART };
        added.iter().all(plain).then_some(own)
    }

    /// The parts of `text`, in order and without gaps.
    pub fn parts<'t>(&self, text: &'t str) -> impl Iterator<Item = Part<'t>> {
        let (mut rest, mut kinds) = (text, Kinds::default());
        std::iter::from_fn(move || {
            let part = self.first(rest, &mut kinds);
            rest = &rest[part.len..];
            (part.len > 0).then_some(part)
        })
    }

    /// The first part of `text`: up to the last split point within [`PART`] bytes, else up to the first one after.
    fn first<'t>(&self, text: &'t str, kinds: &mut Kinds) -> Part<'t> {
        if text.len() <= self.part {
            return text.into();
        }
        let near = text.floor_char_boundary(self.part);
        let mut before = std::iter::once(near).chain(text[..near].char_indices().rev().map(|(at, _)| at));
        if let Some(end) = before.find(|&at| self.is_split_point(text, at, kinds)) {
            return text[..end].into();
        }
        let mut beyond = text[near..].char_indices().map(|(at, _)| near + at);
        let end = beyond.find(|&at| self.is_split_point(text, at, kinds)).unwrap_or(text.len());
        let word = if end > 2 * self.part { self.shortened(&text[..end], kinds) } else { None };
        word.unwrap_or_else(|| text[..end].into())
    }

    /// A long word without what normalisation removes, and without the tail of one that is too long for WordPiece.
    /// `None` if `text` may be more than a word.
    fn shortened(&self, text: &str, kinds: &mut Kinds) -> Option<Part<'static>> {
        // An added token that a word may hold, or that may hold a long word, has to be seen whole.
        let mut hidden = |token: &String| {
            let begins = token.chars().next().map(|c| kinds.of(c, self));
            begins == Some(Kind::Separator) && token.chars().count() <= self.longest_word
        };
        if !self.added_tokens.iter().all(&mut hidden) {
            return None;
        }
        let (mut kept, mut places, mut characters, mut end) = (String::new(), Vec::new(), 0, 0);
        for (at, c) in text.char_indices() {
            let Kind::Word(more) = kinds.of(c, self) else { return None };
            if more > 0 {
                end = at + c.len_utf8();
                if characters <= self.longest_word {
                    places.push((kept.len(), at));
                    kept.push(c);
                    characters += more;
                }
            }
        }
        Some(Part { text: Cow::Owned(kept), len: text.len(), places, end })
    }

    fn is_split_point(&self, text: &str, at: usize, kinds: &mut Kinds) -> bool {
        let (Some(left), Some(right)) = (text[..at].chars().next_back(), text[at..].chars().next()) else {
            return false;
        };
        let within = |token: &String| token.chars().zip(token.chars().skip(1)).any(|pair| pair == (left, right));
        let mut separates = |c| kinds.of(c, self) == Kind::Separator;
        (separates(left) || separates(right)) && !self.added_tokens.iter().any(within)
    }

    /// What the tokenizer itself makes of `c` between two letters. The first one has an accent, because normalisation
    /// puts some characters before an accent, which changes what it calls their place.
    fn kind(&self, c: char) -> Kind {
        const BEFORE: &str = "a\u{301}";
        let [before, text] = [BEFORE.to_owned(), format!("{BEFORE}{c}a")].map(|text| {
            let mut text = NormalizedString::from(text);
            self.normalizer.normalize(&mut text).map(|()| text)
        });
        let (Ok(before), Ok(text)) = (before, text) else { return Kind::Unknown };
        let count = |text: &NormalizedString| text.get().chars().count();
        let characters = count(&text).saturating_sub(count(&before) + 1);
        let own = text.convert_offsets(Range::Normalized(before.len()..text.len().saturating_sub(1)));
        let placed = characters == 0 || own == Some(BEFORE.len()..BEFORE.len() + c.len_utf8());
        let mut words = PreTokenizedString::from(text);
        if self.pre_tokenizer.pre_tokenize(&mut words).is_err() {
            return Kind::Unknown;
        }
        let words = words.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        match words.iter().map(|(word, ..)| *word).collect::<Vec<_>>()[..] {
            [_] if placed => Kind::Word(characters),
            [first, .., "a"] if first == before.get() => Kind::Separator,
            _ => Kind::Unknown,
        }
    }
}

impl Kinds {
    fn of(&mut self, c: char, split_points: &SplitPoints) -> Kind {
        *self.0.entry(c).or_insert_with(|| split_points.kind(c))
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

    fn all(tokenizer: &Tokenizer, text: &str) -> (Vec<u32>, Vec<usize>, Vec<super::super::tokenizer::Token>) {
        let tokens = tokenizer.tokens(text, true, |_| Ok(true)).unwrap();
        (tokenizer.encode(text).unwrap(), tokenizer.starts(text).unwrap(), tokens)
    }

    fn split_points(part: usize) -> SplitPoints {
        let tokenizer = Tokenizer::from_json(&fixture()).unwrap();
        tokenizer.split_points().unwrap().clone().of_parts(part)
    }

    fn parts(text: &str, part: usize) -> Vec<String> {
        split_points(part).parts(text).map(|part| part.text.into_owned()).collect()
    }

    /// Texts of every kind of character that forms or separates words.
    fn texts() -> impl Strategy<Value = String> {
        let pieces = vec![
            "a",
            "hello",
            "é",
            "e\u{301}",
            "\u{301}",
            " ",
            "\t",
            "\n",
            "\u{b}",
            "\u{a0}",
            "\u{2028}",
            "\0",
            "\u{fffd}",
            "!",
            "[",
            "]",
            "[SEP]",
            "[MASK]",
            "[S",
            "EP]",
            "…",
            "。",
            "中",
            "文",
            "か",
            "\u{200d}",
            "ß",
            "Σ",
            "ς",
            "≠",
            "12",
            "##a",
            "한",
            "\u{302e}",
            "ท",
            "ั",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ];
        prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn parts_have_the_tokens_of_the_whole(text in texts(), part in 1..20usize, off in 0..5usize) {
            // The fixture's own normaliser, and one that leaves a step out.
            let mut file: serde_json::Value = serde_json::from_slice(&fixture()).unwrap();
            if let Some(step) = ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"].get(off) {
                file["normalizer"][*step] = false.into();
            }
            let (whole, parts) = tokenizers(file.to_string().as_bytes(), part);
            prop_assert_eq!(all(&whole, &text), all(&parts, &text));
        }

        #[test]
        fn parts_have_no_gaps(text in texts(), part in 1..20usize) {
            let mut rest = text.as_str();
            for part in split_points(part).parts(&text) {
                let (own, after) = rest.split_at(part.len);
                prop_assert!(part.text == own || part.text.len() < own.len());
                rest = after;
            }
            prop_assert_eq!(rest, "");
        }
    }

    #[test]
    fn a_long_text_is_split_between_words() {
        assert_eq!(parts("!!!!!!!!!", 4), ["!!!!", "!!!!", "!"]);
        assert_eq!(parts("ab cd ef", 4), ["ab ", "cd ", "ef"]);
        assert_eq!(parts("中中中", 4), ["中", "中", "中"]);
        assert_eq!(parts("かか。かか\u{2028}か", 4), ["かか", "。", "かか", "\u{2028}", "か"]);
        assert_eq!(parts("abcdefgh", 4), ["abcdefgh"]);
        assert_eq!(parts("abcdefgh i", 4), ["abcdefgh", " i"]);
        assert_eq!(parts("[SEP][SEP]", 4), ["[SEP]", "[SEP]"]);
    }

    #[test]
    fn of_a_long_word_only_what_counts_is_tokenised() {
        let long = "x".repeat(6_000_000);
        let found = parts(&format!("{long} and"), PART);
        assert_eq!(found, ["x".repeat(101).as_str(), " and"]);
        // An accent is no character of a word, so a million of them leave it a known word.
        let accents = format!("h\u{301}ello{}", "\u{301}".repeat(1_000_000));
        assert_eq!(parts(&accents, PART), ["hello"]);
        let (whole, _) = tokenizers(&fixture(), PART);
        let in_parts = Tokenizer::from_json(&fixture()).unwrap();
        assert_eq!(in_parts.encode(&accents).unwrap(), whole.encode("hello").unwrap());
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
