//! `GET /openapi.json` and `GET /docs`: the API's description for machines and for people.
//!
//! `openapi.json`, beside this file, has marks such as `"{{dimensions}}"` where the model and the limits belong. It is
//! written by hand, because its schemas, examples and errors follow four contracts of others, which our types do not
//! state. A generator would know the fields alone, and would want every description and example in attributes beside
//! them. Tests compare the document with the routes, the parsers' fields and real responses.
//!
//! `docs.html` renders it in the browser and loads nothing from elsewhere. Neither needs a token: they hold no data, and
//! a browser that opens a page cannot send one.

use http::{HeaderName, HeaderValue, header};
use serde::Serialize;

use super::{Api, dimensions, model_names, response};
use crate::event::HttpResponse;

const DOCUMENT: &str = include_str!("openapi.json");
const PAGE: &str = include_str!("docs.html");

/// Allows the page's own script and style and requests to its own origin, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn document(api: &Api) -> HttpResponse {
    response::with_type("application/json", filled(api).into_bytes())
}

pub(super) fn page() -> HttpResponse {
    let mut response = response::with_type("text/html; charset=utf-8", PAGE.as_bytes().to_vec());
    let headers = &mut response.headers;
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

fn filled(api: &Api) -> String {
    let (manifest, limits) = (api.manifest(), &api.config.limits);
    let dimensions: Vec<_> = dimensions::offered(manifest).collect();
    let least = dimensions.iter().min().copied().unwrap_or(manifest.dimensions);
    let marks = [
        ("version", json(env!("CARGO_PKG_VERSION"))),
        ("model", json(&manifest.id)),
        ("name", json(&manifest.name)),
        ("model_names", json(&model_names::taken(manifest, &api.config.model_aliases))),
        ("dimensions", json(&manifest.dimensions)),
        ("least_dimensions", json(&least)),
        ("offered_dimensions", json(&dimensions)),
        ("max_tokens", json(&manifest.max_tokens)),
        ("max_texts", json(&limits.texts)),
        // `/similarity` embeds the source sentence as well.
        ("max_sentences", json(&limits.texts.saturating_sub(1))),
    ];
    let mut text = DOCUMENT.to_owned();
    for (mark, value) in marks {
        text = text.replace(&format!("\"{{{{{mark}}}}}\""), &value);
    }
    text
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("strings and numbers always serialise")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;
    use serde::de::value::Error as ValueError;
    use serde::de::{Deserializer, Error as _, Visitor};
    use serde_json::Value;

    use super::super::routes::{Contract, POST, ROUTES};
    use super::super::{ollama, openai, qdrant_inference, tei};
    use super::*;

    fn checked_in() -> Value {
        serde_json::from_str(DOCUMENT).expect("openapi.json is JSON")
    }

    fn keys(value: &Value) -> BTreeSet<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    }

    /// The name that a reference ends in.
    fn last(reference: &Value) -> &str {
        reference.as_str().and_then(|text| text.rsplit('/').next()).expect("a reference")
    }

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let document = checked_in();
        let mut stated = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            stated.extend(keys(item).into_iter().map(|method| (path.clone(), method)));
        }
        let method = |allow: &str| if allow == POST { "post" } else { "get" };
        let routes: BTreeSet<_> =
            ROUTES.iter().map(|(path, _, allow, _)| (path.to_string(), method(allow).to_owned())).collect();
        assert_eq!(stated, routes);
        for (path, contract, allow, _) in ROUTES {
            let tag = match contract {
                Contract::OpenAi => "OpenAI",
                Contract::Tei => "text-embeddings-inference",
                Contract::Qdrant => "Qdrant",
                Contract::Ollama => "Ollama",
            };
            let tagged = document["paths"][path][method(allow)]["tags"][0].as_str().unwrap();
            assert!(tagged == tag || tagged == "Documentation", "{path}: {tagged}");
        }
    }

    #[test]
    fn a_schema_has_the_fields_that_its_parser_knows() {
        let parsers: [(&str, &[&str]); 8] = [
            ("EmbeddingsRequest", fields_of::<openai::Fields>()),
            ("EmbedRequest", fields_of::<tei::EmbedFields>()),
            ("SimilarityRequest", fields_of::<tei::SimilarityFields>()),
            ("SimilarityParameters", fields_of::<tei::SimilarityParameters>()),
            ("InferenceRequest", fields_of::<qdrant_inference::InferenceFields>()),
            ("InferenceInput", fields_of::<qdrant_inference::InputFields>()),
            ("TokenizeRequest", fields_of::<tei::TokenizeFields>()),
            ("OllamaEmbedRequest", fields_of::<ollama::Fields>()),
        ];
        let document = checked_in();
        for (schema, fields) in parsers {
            let stated = keys(&document["components"]["schemas"][schema]["properties"]);
            assert_eq!(stated, fields.iter().map(|field| field.to_string()).collect(), "{schema}");
        }
    }

    #[test]
    fn every_body_is_read_by_a_parser_whose_fields_are_checked() {
        let checked = [
            "EmbeddingsRequest",
            "EmbedRequest",
            "SimilarityRequest",
            "TokenizeRequest",
            "InferenceRequest",
            "OllamaEmbedRequest",
        ];
        let document = checked_in();
        // One of two bodies, each of which is checked.
        let root = &document["components"]["schemas"]["RootRequest"]["anyOf"];
        assert!(root.as_array().unwrap().iter().all(|choice| checked.contains(&last(&choice["$ref"]))));
        for (path, item) in document["paths"].as_object().unwrap() {
            let Some(post) = item.get("post") else { continue };
            let name = last(&post["requestBody"]["$ref"]);
            let body = &document["components"]["requestBodies"][name]["content"]["application/json"];
            let schema = last(&body["schema"]["$ref"]);
            assert!(checked.contains(&schema) || schema == "RootRequest", "{path}: {schema}");
            assert!(!body["examples"].as_object().unwrap().is_empty(), "{path} has examples");
        }
    }

    #[test]
    fn the_page_asks_nothing_of_others() {
        for word in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!PAGE.contains(word), "docs.html holds {word:?}");
        }
    }

    /// The fields that `T`'s derived parser asks for.
    fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
        let mut found: &'static [&'static str] = &[];
        let asked = T::deserialize(Fields(&mut found));
        assert!(asked.is_err_and(|error| error.to_string() == "seen"));
        found
    }

    /// A deserializer that only notes which fields a struct asks for.
    struct Fields<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Fields<'_> {
        type Error = ValueError;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, ValueError> {
            *self.0 = fields;
            Err(ValueError::custom("seen"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
            Err(ValueError::custom("no struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
}
