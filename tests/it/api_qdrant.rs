//! Qdrant's contract with an inference service: every field and every error of its protocol.

use lambda_embed::handler::Handler;
use serde_json::{Value, json};

use crate::support::harness::{Answer, event, fixture, fixture_handler, handler, invoke, post, vectors};

const ROUTE: &str = "/qdrant/inference";

fn document(text: &str) -> Value {
    json!({"data": text, "data_type": "text", "model": "fixture", "options": null})
}

fn ask(inference: &str, inputs: Value) -> Answer {
    post(ROUTE, &json!({"inputs": inputs, "inference": inference, "token": null}))
}

fn embed(body: Value) -> Vec<Vec<f32>> {
    vectors(&post("/embed", &body).json())
}

#[test]
fn documents_to_store_are_passages_and_documents_to_search_with_are_queries() {
    let inputs = json!([document("hello world"), document("a")]);
    for (inference, input_type) in [("update", "passage"), ("search", "query")] {
        let answer = ask(inference, inputs.clone());
        assert_eq!(answer.status, 200, "{}", answer.text);
        let expected = embed(json!({"inputs": ["hello world", "a"], "input_type": input_type}));
        assert_eq!(vectors(&answer.json()["embeddings"]), expected, "{inference}");
        assert_eq!(answer.header("x-model-id"), "fixture");
    }
    // Qdrant's field is optional; without it the text is to be stored, the more common case.
    let bare = post(ROUTE, &json!({"inputs": [document("a")]})).json();
    assert_eq!(bare["embeddings"], ask("update", json!([document("a")])).json()["embeddings"]);
}

#[test]
fn usage_counts_tokens_under_the_name_that_was_written() {
    let named = |model: &str| json!({"data": "hello world", "data_type": "text", "model": model});
    let makers = fixture_handler().model().to_uppercase();
    let usage = ask("update", json!([named("fixture"), named(&makers), named("Fixture"), document("a")])).json();
    let usage = usage["usage"].clone();
    // "hello world" is [CLS], two words and [SEP], "a" one word less.
    assert_eq!(usage["models"]["fixture"], json!({"tokens": 7}), "{usage}");
    assert_eq!(usage["models"][&makers], json!({"tokens": 4}), "{usage}");
    assert_eq!(usage["models"]["Fixture"], json!({"tokens": 4}), "{usage}");
}

#[test]
fn options_hold_for_their_own_input_and_order_is_kept() {
    let with =
        |text: &str, options: Value| json!({"data": text, "data_type": "text", "model": "fixture", "options": options});
    let long = "hello ".repeat(99);
    let answer = ask(
        "update",
        json!([
            with("a", json!({"input_type": "query"})),
            with(&long, json!({"truncate": "mean"})),
            with("a", Value::Null),
            with(&long, json!({})),
            with("hello", json!({"input_type": "query", "dimensions": 32})),
        ]),
    );
    let got = vectors(&answer.json()["embeddings"]);
    let one = |body: Value| embed(body).remove(0);
    assert_eq!(got[0], one(json!({"inputs": "a", "input_type": "query"})));
    assert_eq!(got[1], one(json!({"inputs": long, "truncate": "mean"})));
    assert_eq!(got[2], one(json!({"inputs": "a"})));
    assert_eq!(got[3], one(json!({"inputs": long})));
    assert_eq!(got[4], one(json!({"inputs": "hello", "input_type": "query"})));
    assert_eq!(answer.header("x-truncated"), "3");
}

#[test]
fn a_mistake_is_a_400_whose_message_names_the_input() {
    let with = |field: &str, value: Value| {
        let mut input = document("a");
        input[field] = value;
        json!([document("b"), input])
    };
    let cases = [
        (with("model", json!("BAAI/bge-large-en-v1.5")), "input 1: model \"BAAI/bge-large-en-v1.5\" is not here"),
        (with("model", Value::Null), "input 1: model is missing"),
        (with("data_type", json!("image")), "input 1: data of type \"image\" is not embedded here"),
        (with("data_type", json!("object")), "embeds text"),
        (with("data", json!({"a": 1})), "input 1: data: invalid type: map"),
        (with("data", Value::Null), "input 1: data is missing"),
        (with("options", json!({"truncate": "maybe"})), "input 1: truncate"),
        (with("options", json!({"input_tpye": "query"})), "\"input_tpye\" is not one of \"input_type\""),
        (with("options", json!({"dimensions": 7})), "32 dimensions"),
        (with("options", json!([])), "input 1: options: not an object"),
        (json!([document("b"), ["a"]]), "input 1: inputs: not an object"),
        (json!([]), "inputs is empty"),
        (json!("text"), "inputs: invalid type"),
        (Value::Null, "inputs is missing"),
    ];
    for (inputs, words) in cases {
        let answer = ask("update", inputs.clone());
        let error = answer.json();
        assert_eq!(answer.status, 400, "{inputs}: {error}");
        assert_eq!(error.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"], "{error}");
        assert!(error["error"].as_str().unwrap().contains(words), "{inputs}: {error}");
    }
    let purpose = ask("delete", json!([document("a")]));
    assert_eq!(purpose.status, 400);
    assert!(purpose.text.contains("\\\"update\\\", \\\"search\\\""), "{}", purpose.text);
}

#[test]
fn what_is_too_large_is_a_400_that_says_what_would_fit() {
    let small = handler(&fixture(), &[("EMBED_MAX_TEXTS", "3"), ("EMBED_MAX_TOKENS", "20")]);
    let ask = |inputs: Vec<Value>| {
        let body = json!({"inputs": inputs, "inference": "update"}).to_string();
        Answer::of(&invoke(&small, &event("POST", ROUTE, &[], &body)))
    };
    let texts = ask(vec![document("a"); 4]);
    assert_eq!((texts.status, texts.json()), (400, json!({"error": "4 texts in one request; the limit is 3"})));
    let tokens = ask(vec![document(&"hello ".repeat(30))]);
    assert_eq!(tokens.status, 400, "{}", tokens.text);
    assert!(tokens.text.contains("the limit is 20"), "{}", tokens.text);
    let long =
        json!({"data": "hello ".repeat(99), "data_type": "text", "model": "fixture", "options": {"truncate": false}});
    let long = ask(vec![long]);
    assert_eq!(long.status, 400, "{}", long.text);
    assert!(long.text.contains("101 tokens"), "{}", long.text);
}

#[test]
fn the_token_is_taken_in_the_body_in_a_handed_on_key_and_as_a_bearer_token() {
    let locked = handler(&fixture(), &[("EMBED_API_KEY", "sesame")]);
    let ask = |handler: &Handler, headers: &[(&str, &str)], token: Value| {
        let body = json!({"inputs": [document("a")], "inference": "update", "token": token}).to_string();
        Answer::of(&invoke(handler, &event("POST", ROUTE, headers, &body)))
    };
    assert_eq!(ask(&locked, &[], json!("sesame")).status, 200);
    assert_eq!(ask(&locked, &[("lambda-embed-api-key", "sesame")], Value::Null).status, 200);
    assert_eq!(ask(&locked, &[("authorization", "Bearer sesame")], Value::Null).status, 200);
    let refused: [(&[(&str, &str)], Value); 5] = [
        (&[], Value::Null),
        (&[], json!("sesam")),
        (&[("lambda-embed-api-key", "sesame!")], Value::Null),
        (&[("x-key", "sesame")], Value::Null),
        (&[("authorization", "Bearer other")], Value::Null),
    ];
    for (headers, token) in refused {
        let answer = ask(&locked, headers, token.clone());
        assert_eq!(answer.status, 401, "{headers:?} {token}: {}", answer.text);
        assert!(answer.json()["error"].as_str().unwrap().contains("a valid token is needed"), "{}", answer.text);
    }
    // Without the token a caller does not learn what is wrong with the body.
    let body = json!({"inputs": []}).to_string();
    assert_eq!(Answer::of(&invoke(&locked, &event("POST", ROUTE, &[], &body))).status, 401);
    // If no token is configured, none is needed, and a sent one is ignored.
    assert_eq!(ask(&fixture_handler(), &[], json!("anything")).status, 200);
}

#[test]
fn other_methods_and_media_keep_their_own_statuses() {
    let get = Answer::of(&invoke(&fixture_handler(), &event("GET", ROUTE, &[], "")));
    assert_eq!((get.status, get.header("allow")), (405, "POST, OPTIONS"));
    let xml = [("content-type", "application/xml")];
    assert_eq!(Answer::of(&invoke(&fixture_handler(), &event("POST", ROUTE, &xml, "<a/>"))).status, 415);
    let broken = Answer::of(&invoke(&fixture_handler(), &event("POST", ROUTE, &[], "{")));
    assert_eq!(broken.status, 400);
    assert!(broken.json()["error"].as_str().unwrap().contains("not a JSON object"));
}
