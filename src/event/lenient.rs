//! Reads the fields of an event that are used, whatever its other fields hold.
//!
//! Invariants: a field of another type than expected counts as absent; a byte that is no UTF-8 spoils the string it
//! stands in, and no other part of the event.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Stands for bytes of an event that are no UTF-8. Unicode guarantees that no text has this code point.
const LOST: char = '\u{FDD0}';

/// An event as text. Front doors copy headers as they came, so one may hold bytes that are no UTF-8.
pub fn text(event: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(event) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(event.len());
    for chunk in event.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(LOST);
        }
    }
    Cow::Owned(text)
}

/// Whether every byte of a string from [`text`] was UTF-8.
pub fn is_whole(text: &str) -> bool {
    !text.contains(LOST)
}

/// The bytes of a string from [`text`]; what was no UTF-8 is none again, so that its reader refuses it.
pub fn bytes(text: String) -> Vec<u8> {
    match is_whole(&text) {
        true => text.into_bytes(),
        false => text.split(LOST).map(str::as_bytes).collect::<Vec<_>>().join(&0xFF),
    }
}

/// A value of type `T`; `None` if it is absent or of another type.
#[derive(Debug)]
pub struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// A struct from a JSON object; `None` for anything else. Serde reads a struct from a list of its fields' values as well.
#[derive(Debug)]
pub struct MaybeObject<T>(pub Option<T>);

impl<T> Default for MaybeObject<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for MaybeObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok()).flatten()))
    }
}

impl Maybe<String> {
    pub fn is(&self, word: &str) -> bool {
        self.0.as_deref() == Some(word)
    }
}

/// A string, or the first of a list of strings; `None` for anything else.
#[derive(Debug, Default)]
pub struct Text(pub Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(strings(raw.get()).into_iter().next()))
    }
}

/// A truth value, or the word for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().trim_matches('"').eq_ignore_ascii_case("true")))
    }
}

/// Headers from an object whose values are strings or lists of strings. What is neither, and what no header may have, is
/// left out.
#[derive(Debug, Default)]
pub struct Headers(pub HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;
        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = HeaderMap::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
                    for text in strings(value.get()).into_iter().filter(|text| is_whole(text)) {
                        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                            // Fails beyond 24,576 headers, which no front door takes.
                            let _ = headers.try_append(&name, value);
                        }
                    }
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(HeadersVisitor)
    }
}

/// The strings in a JSON value: itself, or those in its list.
fn strings(json: &str) -> Vec<String> {
    if json.starts_with('[') {
        let elements: Vec<Maybe<String>> = serde_json::from_str(json).unwrap_or_default();
        return elements.into_iter().filter_map(|Maybe(text)| text).collect();
    }
    serde_json::from_str(json).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Event {
        path: Maybe<String>,
        headers: Maybe<Headers>,
        flag: Flag,
    }

    #[test]
    fn a_field_of_another_type_is_absent_and_spoils_no_other() {
        for odd in ["null", "5", "true", "[1]", "{\"a\": []}", "\"\\ud800\"", "-1e999"] {
            let event = format!("{{\"headers\": {odd}, \"path\": {odd}, \"flag\": true, \"other\": {odd}}}");
            let event: Event = serde_json::from_str(&event).unwrap_or_else(|e| panic!("{odd}: {e}"));
            assert_eq!(event.path.0, None, "{odd}");
            assert!(event.headers.0.unwrap_or_default().0.is_empty(), "{odd}");
            assert!(event.flag.0, "{odd}");
        }
    }

    #[test]
    fn a_header_that_is_none_is_left_out_and_the_others_stay() {
        let event = r#"{"headers": {"accept": "a", "count": 5, "null": null, "flag": true, "map": {"a": "b"},
            "": "a", "a b": "c", "line": "a\nb", "half": "\ud800", "many": ["x", 5, null, "y"], "none": [], "é": "e",
            "name": "é"}}"#;
        let headers = serde_json::from_str::<Event>(event).unwrap().headers.0.unwrap().0;
        let found: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 4] = [("accept", b"a"), ("many", b"x"), ("many", b"y"), ("name", "é".as_bytes())];
        assert_eq!(found, expected);
    }

    #[test]
    fn more_headers_than_a_map_holds_are_left_out() {
        let headers: Vec<_> = (0..40_000).map(|number| format!("\"h{number}\": \"a\"")).collect();
        let event = format!("{{\"headers\": {{{}}}}}", headers.join(","));
        assert!(serde_json::from_str::<Event>(&event).unwrap().headers.0.unwrap().0.len() > 10_000);
    }

    #[test]
    fn a_flag_is_true_as_a_word_too() {
        for (json, is) in [("true", true), ("\"true\"", true), ("\"True\"", true), ("false", false), ("null", false)] {
            assert_eq!(serde_json::from_str::<Flag>(json).unwrap().0, is, "{json}");
        }
    }

    #[test]
    fn a_text_may_stand_in_a_list() {
        for (json, text) in [
            ("\"a\"", Some("a")),
            ("[\"a\", \"b\"]", Some("a")),
            ("[]", None),
            ("5", None),
            ("{}", None),
            ("null", None),
        ] {
            assert_eq!(serde_json::from_str::<Text>(json).unwrap().0.as_deref(), text, "{json}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_spoil_their_own_string() {
        let event = text(b"{\"path\": \"/a\", \"headers\": {\"user-agent\": \"caf\xE9\", \"accept\": \"\xC3\xA9\"}}");
        let event: Event = serde_json::from_str(&event).unwrap();
        assert!(event.path.is("/a"));
        let headers = event.headers.0.unwrap().0;
        assert_eq!((headers.len(), headers["accept"].as_bytes()), (1, "é".as_bytes()));
        for (before, after) in [(&b"caf\xE9"[..], &b"caf\xFF"[..]), (b"\xE9\xE9a", b"\xFF\xFFa"), (b"ab", b"ab")] {
            assert_eq!(bytes(text(before).into_owned()), after);
        }
        // What a caller wrote for a character that it could not read is text.
        assert!(is_whole("\u{FFFD}"));
    }
}
