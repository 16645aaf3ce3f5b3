//! cl100k_base, the encoding of OpenAI's embedding models, in one direction: token ids to text.
//!
//! Clients that count tokens before they send a text, LangChain's `OpenAIEmbeddings` above all, send the tokens' ids.
//! The table is OpenAI's (its library tiktoken, MIT licence); `build.rs` takes it out of the crate `tiktoken-rs`. It is
//! 0.74 MB of the binary and 0.43 MB of the package, and no start touches it.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};

/// The number of bytes of each token, by its id; 0 where an id stands for no token.
static LENGTHS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cl100k_base.lengths"));

/// The bytes of all tokens, one after the other.
static TOKENS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cl100k_base.tokens"));

/// Where each token begins in [`TOKENS`]; 0.4 MB, made by the first request that holds token ids.
static STARTS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let starts = LENGTHS.iter().scan(0, |next, &length| {
        let start = *next;
        *next += u32::from(length);
        Some(start)
    });
    starts.collect()
});

/// An id that stands for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenId(u32);

impl TokenId {
    /// `None` where `id` stands for no token: beyond the last, or in a hole between special tokens.
    pub fn new(id: u64) -> Option<Self> {
        let length = LENGTHS.get(usize::try_from(id).ok()?)?;
        (*length > 0).then_some(Self(id as u32))
    }

    /// The number of bytes that it stands for, 1 to 128.
    fn len(self) -> usize {
        usize::from(LENGTHS[self.0 as usize])
    }

    fn bytes(self) -> &'static [u8] {
        let start = STARTS[self.0 as usize] as usize;
        &TOKENS[start..start + self.len()]
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TokenIdVisitor;
        impl Visitor<'_> for TokenIdVisitor {
            type Value = TokenId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a token id of cl100k_base")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<TokenId, E> {
                TokenId::new(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<TokenId, E> {
                Err(E::invalid_value(Unexpected::Signed(number), &self))
            }

            /// To JSON `69.0` is the whole number 69.
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<TokenId, E> {
                let whole = (number as u64 as f64 == number).then_some(number as u64);
                whole.and_then(TokenId::new).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<TokenId, E> {
                Err(E::custom("a string in a list of its own, or among token ids; send strings in one list"))
            }
        }
        deserializer.deserialize_any(TokenIdVisitor)
    }
}

/// The number of bytes that `ids` stand for together.
pub fn text_bytes(ids: &[TokenId]) -> usize {
    ids.iter().map(|id| id.len()).sum()
}

/// The text that `ids` stand for. Bytes that are no UTF-8 become U+FFFD, as tiktoken's own `decode` has it: clients cut
/// a long text between two ids, which can be within a character.
pub fn text(ids: &[TokenId]) -> String {
    let mut bytes = Vec::with_capacity(text_bytes(ids));
    ids.iter().for_each(|id| bytes.extend_from_slice(id.bytes()));
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use sha2::{Digest, Sha256};

    fn ids(numbers: &[u64]) -> Vec<TokenId> {
        numbers.iter().map(|&number| TokenId::new(number).unwrap()).collect()
    }

    #[test]
    fn the_table_is_openais_own_to_the_byte() {
        // The file as OpenAI publishes it has a line a token: its bytes in base64, and its id.
        let lines = (0..100_256).map(|id| format!("{} {id}\n", BASE64.encode(ids(&[id])[0].bytes())));
        let hash = Sha256::digest(lines.collect::<String>());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        // `expected_hash` of cl100k_base in tiktoken's tiktoken_ext/openai_public.py.
        assert_eq!(hash, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7");
    }

    #[test]
    fn special_tokens_are_their_names_and_the_holes_between_them_no_tokens() {
        assert_eq!(text(&ids(&[100_257])), "<|endoftext|>");
        assert_eq!(text(&ids(&[100_258, 100_259, 100_260])), "<|fim_prefix|><|fim_middle|><|fim_suffix|>");
        assert_eq!(text(&ids(&[100_276])), "<|endofprompt|>");
        for hole in [100_256, 100_261, 100_275, 100_277, 1 << 32, u64::MAX] {
            assert_eq!(TokenId::new(hole), None, "{hole}");
        }
    }

    #[test]
    fn a_character_that_was_cut_is_a_replacement_character_on_both_sides() {
        // Its bytes are F0 9F, A6 and 80. Expected is what tiktoken's own `decode` makes of the parts.
        let crab = ids(&[9_468, 99, 222]);
        assert_eq!(text(&crab), "🦀");
        assert_eq!((text(&crab[..1]).as_str(), text(&crab[1..]).as_str()), ("\u{fffd}", "\u{fffd}\u{fffd}"));
        assert_eq!((text(&crab[..2]).as_str(), text(&crab[2..]).as_str()), ("\u{fffd}", "\u{fffd}"));
        assert_eq!(text(&[]), "");
    }
}
