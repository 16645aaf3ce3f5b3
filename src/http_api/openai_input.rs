//! `input` of OpenAI's contract: a text, a list of texts, a text's token ids, or a list of them.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IntoDeserializer, SeqAccess, Unexpected, Visitor};

use super::cl100k::{self, TokenId};
use crate::config::{Config, TokenIds};
use crate::error::{Error, Kind, Result};

/// Texts as a request states them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    Texts(Vec<String>),
    /// One list a text.
    TokenIds(Vec<Vec<TokenId>>),
}

impl Input {
    /// The texts that are meant.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for token ids where the configuration refuses them. [`Kind::TooLarge`] where they stand for more
    /// bytes than a body may have: a long token takes a few digits.
    pub(super) fn into_texts(self, config: &Config) -> Result<Vec<String>> {
        let lists = match self {
            Self::Texts(texts) => return Ok(texts),
            Self::TokenIds(lists) => lists,
        };
        if config.token_ids == TokenIds::Refuse {
            let message = "input: token ids are refused here (EMBED_TOKEN_IDS=refuse); send strings, with LangChain's \
                           OpenAIEmbeddings by check_embedding_ctx_length=False";
            return Err(Error::request(Kind::Invalid, "input", message));
        }
        let (bytes, limit) = (lists.iter().map(|ids| cl100k::text_bytes(ids)).sum::<usize>(), config.limits.body_bytes);
        if bytes > limit {
            let message = format!("the token ids stand for {bytes} bytes of text; the limit of one request is {limit}");
            return Err(Error::request(Kind::TooLarge, "input", message));
        }
        Ok(lists.iter().map(|ids| cl100k::text(ids)).collect())
    }
}

/// What an element of `input` is tells what the others have to be.
enum Element {
    Text(String),
    TokenId(TokenId),
    TokenIds(Vec<TokenId>),
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputVisitor;
        impl<'de> Visitor<'de> for InputVisitor {
            type Value = Input;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Input, E> {
                Ok(Input::Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Input, A::Error> {
                match items.next_element()? {
                    None => Ok(Input::Texts(Vec::new())),
                    Some(Element::Text(first)) => rest(first, items).map(Input::Texts),
                    Some(Element::TokenId(first)) => rest(first, items).map(|ids| Input::TokenIds(vec![ids])),
                    Some(Element::TokenIds(first)) => rest(first, items).map(Input::TokenIds),
                }
            }
        }
        deserializer.deserialize_any(InputVisitor)
    }
}

/// The whole list whose `first` element is read already.
fn rest<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(first: T, mut items: A) -> Result<Vec<T>, A::Error> {
    let mut all = vec![first];
    while let Some(item) = items.next_element()? {
        all.push(item);
    }
    Ok(all)
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementVisitor;
        impl<'de> Visitor<'de> for ElementVisitor {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string in the list")
            }

            fn visit_str<E>(self, text: &str) -> Result<Element, E> {
                Ok(Element::Text(text.to_owned()))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Element, E> {
                TokenId::deserialize(number.into_deserializer()).map(Element::TokenId)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Element, E> {
                TokenId::deserialize(number.into_deserializer()).map(Element::TokenId)
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Element, E> {
                TokenId::deserialize(number.into_deserializer()).map(Element::TokenId)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Element, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(Element::TokenIds)
            }
        }
        deserializer.deserialize_any(ElementVisitor)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(json: &str) -> Result<Input, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    fn texts(json: &str, variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let config = Config::resolve(variables, Path::new("/")).unwrap();
        parsed(json).unwrap().into_texts(&config).map_err(|e| e.to_string())
    }

    #[test]
    fn a_text_is_a_string_or_a_list_of_token_ids() {
        let cases: &[(&str, &[&str])] = &[
            (r#""a""#, &["a"]),
            (r#"["a", "\u00e9", ""]"#, &["a", "é", ""]),
            ("[]", &[]),
            ("[15339, 1917]", &["hello world"]),
            ("[15339.0, 1917]", &["hello world"]),
            ("[[15339.0, 1.917e3]]", &["hello world"]),
            ("[[15339, 1917], [], [9468, 99, 222], [100257]]", &["hello world", "", "🦀", "<|endoftext|>"]),
        ];
        for (json, expected) in cases {
            assert_eq!(texts(json, &[]).unwrap(), *expected, "{json}");
        }
    }

    #[test]
    fn a_number_that_is_no_token_id_is_named() {
        for (json, number) in [
            ("[-1]", "-1"),
            ("[[0, -1]]", "-1"),
            ("[100256]", "100256"),
            ("[[100257, 100261]]", "100261"),
            ("[100277]", "100277"),
            ("[4294967296]", "4294967296"),
            ("[1.5]", "1.5"),
            ("[[1], [1e99]]", "floating point"),
        ] {
            let message = parsed(json).unwrap_err();
            assert!(message.contains(number) && message.contains("a token id of cl100k_base"), "{json}: {message}");
        }
    }

    #[test]
    fn strings_and_token_ids_do_not_mix() {
        for json in [r#"["a", 1]"#, r#"["a", [1]]"#] {
            assert!(parsed(json).unwrap_err().contains("a string"), "{json}");
        }
        for json in [r#"[1, "a"]"#, r#"[["a"]]"#] {
            assert!(parsed(json).unwrap_err().contains("send strings in one list"), "{json}");
        }
        for json in ["[1, [1]]", "[[1], 1]", "[[[1]]]", "[[null]]", "[1, null]"] {
            assert!(parsed(json).unwrap_err().contains("expected a"), "{json}");
        }
    }

    #[test]
    fn what_is_neither_says_what_belongs_there() {
        for json in ["5", "true", "{}", "null", "[true]", "[null]", "[{}]"] {
            assert!(parsed(json).unwrap_err().contains("a string"), "{json}");
        }
    }

    #[test]
    fn token_ids_can_be_refused_and_strings_never_are() {
        let refuse = [("EMBED_TOKEN_IDS", "refuse")];
        for json in ["[1, 2]", "[[1], [2]]"] {
            let message = texts(json, &refuse).unwrap_err();
            assert!(message.contains("EMBED_TOKEN_IDS=refuse"), "{message}");
            assert!(message.contains("check_embedding_ctx_length=False"), "{message}");
        }
        assert_eq!(texts(r#"["a"]"#, &refuse).unwrap(), ["a"]);
        assert!(texts("[]", &refuse).unwrap().is_empty());
    }

    #[test]
    fn token_ids_may_stand_for_as_many_bytes_as_a_body_has() {
        // " hello" has 6 bytes.
        let limit = [("EMBED_MAX_BODY_BYTES", "12")];
        assert_eq!(texts("[[24748], [24748]]", &limit).unwrap(), [" hello", " hello"]);
        let message = texts("[[24748], [24748], [0]]", &limit).unwrap_err();
        assert!(message.contains("13 bytes of text") && message.contains("limit of one request is 12"), "{message}");
    }
}
