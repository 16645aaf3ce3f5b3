//! Parses request bodies field by field, so that an error names the field and the value it expects.
//!
//! Each field is first kept as raw JSON, so that a body that is not JSON is reported as such whatever its fields hold,
//! and Qdrant's token is read from a body whose other fields are wrong.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::embedding::{InputType, Truncation};
use crate::error::{Error, Kind, Result};

/// Parses a body into its fields, each still raw JSON.
///
/// # Errors
/// [`Kind::Malformed`] for a body that is not UTF-8 or not a JSON object.
pub fn fields<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    let malformed = |message| Error::request(Kind::Malformed, None, message);
    let text = std::str::from_utf8(body).map_err(|e| malformed(format!("the body is not UTF-8: {e}")))?;
    match serde_json::from_str(text) {
        // Serde reads a struct from a list of its fields' values as well.
        Ok(_) if !is_object(text) => Err(malformed("the body is not a JSON object".to_owned())),
        parsed => parsed.map_err(|e| malformed(format!("the body is not a JSON object with known fields: {e}"))),
    }
}

fn is_object(json: &str) -> bool {
    json.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{')
}

/// Like [`field`], for an object.
pub fn object<'a, T: Deserialize<'a>>(name: &'static str, value: Option<&'a RawValue>) -> Result<Option<T>> {
    match value {
        Some(raw) if raw.get() != "null" && !is_object(raw.get()) => {
            Err(Error::request(Kind::Invalid, name, format!("{name}: not an object")))
        }
        _ => field(name, value),
    }
}

/// One field's value; `null` counts as absent, because clients send it for an option that is not set.
///
/// # Errors
/// [`Kind::Invalid`], which names the field and the value it expects.
pub fn field<'a, T: Deserialize<'a>>(name: &'static str, value: Option<&'a RawValue>) -> Result<Option<T>> {
    match value {
        None => Ok(None),
        Some(raw) => serde_json::from_str(raw.get()).map_err(|e| {
            // Line and column count inside the field, so they would mislead the caller.
            let message = e.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Error::request(Kind::Invalid, name, format!("{name}: {message}"))
        }),
    }
}

/// Like [`field`], for a field that is required.
pub fn required<'a, T: Deserialize<'a>>(name: &'static str, value: Option<&'a RawValue>) -> Result<T> {
    field(name, value)?.ok_or_else(|| missing(name))
}

pub fn missing(name: &'static str) -> Error {
    Error::request(Kind::Invalid, name, format!("{name} is missing"))
}

/// One text or several.
#[derive(Debug, PartialEq, Eq)]
pub struct Texts {
    pub texts: Vec<String>,
    /// Whether the caller wrote a list.
    pub list: bool,
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts { texts: vec![text.to_owned()], list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(item) = items.next_element::<Item>()? {
                    match item {
                        Item::Text(text) => texts.push(text),
                        Item::TokenIds => return Err(serde::de::Error::custom(TOKEN_IDS)),
                    }
                }
                Ok(Texts { texts, list: true })
            }
        }
        deserializer.deserialize_any(TextsVisitor)
    }
}

/// LangChain's `OpenAIEmbeddings` sends tiktoken's ids by default, so its users meet this message.
const TOKEN_IDS: &str = "token ids mean nothing to this model, which has a vocabulary of its own; send strings \
                         (with LangChain's OpenAIEmbeddings set check_embedding_ctx_length=False)";

/// One element of a list of texts.
enum Item {
    Text(String),
    /// A number, or a list of them.
    TokenIds,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string in the list")
            }

            fn visit_str<E>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Item, E> {
                Ok(Item::Text(text))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
                Ok(Item::TokenIds)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
                Ok(Item::TokenIds)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
                Ok(Item::TokenIds)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Item::TokenIds)
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

impl<'de> Deserialize<'de> for InputType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_of(deserializer, &[("query", Self::Query), ("passage", Self::Passage)])
    }
}

impl<'de> Deserialize<'de> for Truncation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TruncateVisitor;
        impl Visitor<'_> for TruncateVisitor {
            type Value = Truncation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or \"mean\"")
            }

            fn visit_bool<E>(self, cut: bool) -> Result<Truncation, E> {
                Ok(if cut { Truncation::Cut } else { Truncation::Reject })
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Truncation, E> {
                match word {
                    "mean" => Ok(Truncation::Mean),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(TruncateVisitor)
    }
}

/// Parses one of a few words.
pub fn one_of<'de, T: Copy, D: Deserializer<'de>>(deserializer: D, choices: &[(&str, T)]) -> Result<T, D::Error> {
    let word = String::deserialize(deserializer)?;
    choices.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        serde::de::Error::custom(format!("{word:?} is not one of {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(json: &str) -> Result<Texts, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_string_and_a_list_are_texts() {
        assert_eq!(texts("\"a\"").unwrap(), Texts { texts: vec!["a".into()], list: false });
        assert_eq!(texts("[\"a\", \"\\u00e9\"]").unwrap().texts, ["a", "é"]);
        assert!(texts("[]").unwrap().texts.is_empty());
    }

    #[test]
    fn token_ids_are_refused_with_the_remedy() {
        for ids in ["[1, 2]", "[[1, 2], [3]]", "[1.5]", "[-1]", "[\"a\", 2]"] {
            assert!(texts(ids).unwrap_err().contains("check_embedding_ctx_length=False"), "{ids}");
        }
    }

    #[test]
    fn anything_else_says_what_belongs_there() {
        for json in ["5", "true", "{}", "[true]", "[null]", "[{}]"] {
            assert!(texts(json).unwrap_err().contains("a string"), "{json}");
        }
    }

    #[test]
    fn truncate_takes_booleans_and_mean() {
        let parse = |json| serde_json::from_str::<Truncation>(json).map_err(|e| e.to_string());
        assert_eq!(parse("true"), Ok(Truncation::Cut));
        assert_eq!(parse("false"), Ok(Truncation::Reject));
        assert_eq!(parse("\"mean\""), Ok(Truncation::Mean));
        assert!(parse("\"start\"").unwrap_err().contains("true, false or \"mean\""));
    }
}
