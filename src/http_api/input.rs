//! The texts of a request: one text or a list of texts, and in OpenAI's contract their token ids.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::cl100k::{self, TokenId};
use crate::config::{Config, TokenIds};
use crate::error::{Error, Kind, Result};

/// Texts as a request states them; `Id` is what its contract makes of token ids.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input<Id> {
    Texts(Vec<String>),
    /// One list a text.
    TokenIds(Vec<Vec<Id>>),
}

/// The texts of a contract without token ids.
pub(super) type Texts = Input<NoTokenId>;

/// A token id where none is taken: no value of it exists.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoTokenId {}

/// What a contract makes of token ids.
pub(super) trait InputId: for<'de> Deserialize<'de> {
    /// Reads the token ids of one text.
    fn list<'de, A: SeqAccess<'de>>(items: A) -> Result<Vec<Self>, A::Error>;
}

impl Texts {
    pub(super) fn into_strings(self) -> Vec<String> {
        match self {
            Self::Texts(texts) => texts,
            Self::TokenIds(lists) => lists.into_iter().flatten().map(|id| match id {}).collect(),
        }
    }
}

impl Input<TokenId> {
    /// The texts that are meant.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for token ids where the configuration refuses them. [`Kind::TooLarge`] where they stand for more
    /// bytes than a body may have: a long token takes a few digits.
    pub(super) fn into_strings(self, config: &Config) -> Result<Vec<String>> {
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

impl<'de, Id: InputId> Deserialize<'de> for Input<Id> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputVisitor<Id>(PhantomData<Id>);
        impl<'de, Id: InputId> Visitor<'de> for InputVisitor<Id> {
            type Value = Input<Id>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Input<Id>, E> {
                Ok(Input::Texts(vec![text.to_owned()]))
            }

            /// The first element tells what the others have to be.
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Input<Id>, A::Error> {
                match items.next_element()? {
                    None => Ok(Input::Texts(Vec::new())),
                    Some(ListElement::Text(first)) => rest(first, items, |Text::<Id>(text, _)| text).map(Input::Texts),
                    Some(ListElement::TokenId(first)) => {
                        rest(first, items, |id| id).map(|ids| Input::TokenIds(vec![ids]))
                    }
                    Some(ListElement::TokenIds(first)) => rest(first, items, |ids| ids).map(Input::TokenIds),
                }
            }
        }
        deserializer.deserialize_any(InputVisitor(PhantomData))
    }
}

/// The whole list whose `first` element is read already; `value` takes an element out of what it is read as.
fn rest<'de, T, R: Deserialize<'de>, A: SeqAccess<'de>>(
    first: T,
    mut items: A,
    value: impl Fn(R) -> T,
) -> Result<Vec<T>, A::Error> {
    let mut all = vec![first];
    while let Some(item) = items.next_element()? {
        all.push(value(item));
    }
    Ok(all)
}

/// An element of a list.
enum ListElement<Id> {
    Text(String),
    TokenId(Id),
    TokenIds(Vec<Id>),
}

impl<'de, Id: InputId> Deserialize<'de> for ListElement<Id> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListElementVisitor<Id>(PhantomData<Id>);
        impl<'de, Id: InputId> Visitor<'de> for ListElementVisitor<Id> {
            type Value = ListElement<Id>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string in the list")
            }

            fn visit_str<E>(self, text: &str) -> Result<ListElement<Id>, E> {
                Ok(ListElement::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<ListElement<Id>, E> {
                Ok(ListElement::Text(text))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ListElement<Id>, E> {
                Id::deserialize(number.into_deserializer()).map(ListElement::TokenId)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ListElement<Id>, E> {
                Id::deserialize(number.into_deserializer()).map(ListElement::TokenId)
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<ListElement<Id>, E> {
                Id::deserialize(number.into_deserializer()).map(ListElement::TokenId)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<ListElement<Id>, A::Error> {
                Id::list(items).map(ListElement::TokenIds)
            }
        }
        deserializer.deserialize_any(ListElementVisitor(PhantomData))
    }
}

/// An element of a list of texts.
struct Text<Id>(String, PhantomData<Id>);

impl<'de, Id: InputId> Deserialize<'de> for Text<Id> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ListElement::<Id>::deserialize(deserializer)? {
            ListElement::Text(text) => Ok(Self(text, PhantomData)),
            _ => Err(serde::de::Error::custom("token ids among strings; expected a string in the list")),
        }
    }
}

impl InputId for TokenId {
    fn list<'de, A: SeqAccess<'de>>(items: A) -> Result<Vec<Self>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items))
    }
}

const NO_TOKEN_IDS: &str = "token ids are read at /v1/embeddings alone; send strings";
const NESTED: &str = "a list within the list; expected a string in the list, so send one list of strings";

impl InputId for NoTokenId {
    fn list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<Vec<Self>, A::Error> {
        let mut numbers = true;
        while let Some(element) = items.next_element::<&RawValue>()? {
            numbers &= element.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        }
        Err(serde::de::Error::custom(if numbers { NO_TOKEN_IDS } else { NESTED }))
    }
}

impl<'de> Deserialize<'de> for NoTokenId {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(NO_TOKEN_IDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(json: &str) -> Result<Input<TokenId>, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    fn texts(json: &str, variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let config = Config::resolve(variables, Path::new("/")).unwrap();
        parsed(json).unwrap().into_strings(&config).map_err(|e| e.to_string())
    }

    /// The texts of a contract without token ids.
    fn strings(json: &str) -> Result<Vec<String>, String> {
        serde_json::from_str(json).map(Texts::into_strings).map_err(|e| e.to_string())
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

    #[test]
    fn nested_strings_are_not_called_token_ids() {
        for json in [r#"[["a", "b"]]"#, r#"["a", ["b"]]"#, r#"[[1, "a"]]"#, "[[[1]]]", "[[null]]", "[[{}]]"] {
            let message = strings(json).unwrap_err();
            assert!(message.contains("a string in the list") && !message.contains("token ids"), "{json}: {message}");
        }
    }

    #[test]
    fn a_string_and_a_list_are_strings() {
        assert_eq!(strings("\"a\"").unwrap(), ["a"]);
        assert_eq!(strings("[\"a\", \"\\u00e9\"]").unwrap(), ["a", "é"]);
        assert!(strings("[]").unwrap().is_empty());
    }

    #[test]
    fn token_ids_are_refused_with_the_remedy() {
        for ids in ["[1, 2]", "[[1, 2], [3]]", "[1.5]", "[-1]", "[\"a\", 2]"] {
            assert!(strings(ids).unwrap_err().contains("send strings"), "{ids}");
        }
    }

    #[test]
    fn anything_else_says_what_belongs_there() {
        for json in ["5", "true", "{}", "[true]", "[null]", "[{}]"] {
            assert!(strings(json).unwrap_err().contains("a string"), "{json}");
        }
    }
}
