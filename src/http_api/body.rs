//! Parses request bodies, so that an error names the field, the text of a list, and the value that belongs there.
//!
//! A request is a plain struct whose fields are all optional: clients send `null` for an option that is not set.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::{Path, Segment};

use crate::embedding::{InputType, Truncation};
use crate::error::{Error, Kind, Result};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Parses a body.
///
/// # Errors
/// [`Kind::Malformed`] for a body that is not UTF-8 or not a JSON object, whatever its fields hold, and for a string
/// that is no text (half of a surrogate pair); [`Kind::Invalid`] for a value that its field does not take. Both name the
/// field, and the element of a list.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    read_with_names(body, Path::to_string)
}

/// [`read`], with `name` for the place of an error.
pub fn read_with_names<T: DeserializeOwned>(body: &[u8], name: impl Fn(&Path) -> String) -> Result<T> {
    let malformed = |message| Error::request(Kind::Malformed, None, message);
    let no_object = |e: serde_json::Error| malformed(format!("the body is not a JSON object with known fields: {e}"));
    let text = std::str::from_utf8(without_mark(body)).map_err(|e| malformed(format!("the body is not UTF-8: {e}")))?;
    if let Ok(Object(parsed)) = serde_json::from_str(text) {
        return Ok(parsed);
    }
    // Parsed again, because keeping the path of each value takes time that a good body need not pay.
    serde_json::from_str::<IgnoredAny>(text).map_err(no_object)?;
    let failed = match serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)) {
        Ok(Object(parsed)) => return Ok(parsed),
        Err(failed) => failed,
    };
    let (path, error) = (failed.path().clone(), failed.into_inner());
    let field = path.iter().find_map(|segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        _ => None,
    });
    let Some(field) = field else { return Err(no_object(error)) };
    let kind = if error.is_data() { Kind::Invalid } else { Kind::Malformed };
    let message = format!("{}: {}", name(&path), without_place(&error));
    Err(Error::Request { kind, param: Some(Cow::Owned(field)), message })
}

/// A body without the mark that some programs put before UTF-8.
pub fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// A parser's message without its line and column, which the field's name replaces.
pub fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

pub fn missing(name: &'static str) -> Error {
    Error::request(Kind::Invalid, name, format!("{name} is missing"))
}

/// A struct that is read from a JSON object alone. Serde reads a struct from a list of its fields' values as well.
#[derive(Debug, Clone, Default)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Object<T>, A::Error> {
                Err(serde::de::Error::custom("not an object"))
            }
        }
        deserializer.deserialize_any(ObjectVisitor(std::marker::PhantomData))
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
    use super::super::input::Texts;
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Request {
        input: Option<Texts>,
        parameters: Option<Object<Parameters>>,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Parameters {
        truncate: Option<Truncation>,
    }

    fn refused(body: impl AsRef<[u8]>) -> (Kind, Option<String>, String) {
        let error = read::<Request>(body.as_ref()).expect_err("must be refused");
        (error.kind(), error.param().map(str::to_owned), error.to_string())
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let request: Request = read(b"\xEF\xBB\xBF{\"input\": \"\xC3\xA9\", \"parameters\": null}").unwrap();
        assert_eq!(request.input.unwrap().into_strings(), ["é"]);
        assert!(request.parameters.is_none_or(|Object(parameters)| parameters.truncate.is_none()));
        // Before JSON alone, and once.
        let twice = refused(b"\xEF\xBB\xBF\xEF\xBB\xBF{}");
        assert_eq!((twice.0, twice.1), (Kind::Malformed, None));
    }

    #[test]
    fn an_error_names_the_field_and_the_text_of_a_list() {
        let many: Vec<_> = (0..2_048).map(|index| if index == 1_500 { "null" } else { "\"a\"" }).collect();
        let body = format!("{{\"input\": [{}]}}", many.join(","));
        let (kind, param, message) = refused(&body);
        assert_eq!((kind, param.as_deref()), (Kind::Invalid, Some("input")));
        assert_eq!(message, "input[1500]: invalid type: null, expected a string in the list");
        for (body, start) in [
            (r#"{"input": ["a", 1]}"#, "input[1]: token ids"),
            (r#"{"input": "a", "parameters": {"truncate": 1}}"#, "parameters.truncate: invalid type"),
            (r#"{"input": "a", "parameters": ["a"]}"#, "parameters: not an object"),
            (r#"{"input": {"text": "a"}}"#, "input: invalid type: map, expected a string or a list of strings"),
        ] {
            let (kind, _, message) = refused(body);
            assert!(kind == Kind::Invalid && message.starts_with(start), "{body}: {message}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_malformed_and_named_where_it_is() {
        for (body, place) in [
            (r#"{"input": ["a", "b\ud800"]}"#, "input[1]"),
            (r#"{"input": "\udc00"}"#, "input"),
            (r#"{"input": ["\ud83d\u0041"]}"#, "input[0]"),
        ] {
            let (kind, param, message) = refused(body);
            assert_eq!((kind, param.as_deref()), (Kind::Malformed, Some("input")), "{body}: {message}");
            assert!(message.starts_with(&format!("{place}: ")), "{body}: {message}");
        }
        // A field that nobody reads may hold one.
        assert!(read::<Request>(br#"{"input": "a", "other": ["\ud800"]}"#).is_ok());
    }

    #[test]
    fn what_is_not_an_object_is_malformed_whatever_its_fields_hold() {
        for body in [r#"{"input": 5, "#, r#"{"input": 5} x"#, r#"["a"]"#, "5", "", r#"{"input": "a", "input": "b"}"#] {
            let (kind, param, message) = refused(body);
            assert_eq!((kind, param), (Kind::Malformed, None), "{body}: {message}");
            assert!(message.contains("not a JSON object"), "{body}: {message}");
        }
        assert!(refused(b"{\"input\": \"\xff\"}").2.contains("not UTF-8"));
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
