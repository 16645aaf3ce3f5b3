//! Token ids in place of texts, as LangChain's `OpenAIEmbeddings` sends them: read as cl100k_base.

use serde_json::{Value, json};

use crate::support::harness::{fixture, handler, invoke, post, post_to, vectors};

/// "hello world", "the lazy dog" and "🦀" in cl100k_base.
const TEXTS: [&str; 3] = ["hello world", "the lazy dog", "🦀"];

fn ids() -> Value {
    json!([[15339, 1917], [1820, 16053, 5679], [9468, 99, 222]])
}

fn embeddings(body: &Value) -> Vec<Vec<f32>> {
    let answer = post("/v1/embeddings", body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let data = answer.json()["data"].clone();
    vectors(&data.as_array().unwrap().iter().map(|item| item["embedding"].clone()).collect())
}

#[test]
fn token_ids_have_the_vectors_of_the_texts_that_they_stand_for() {
    let expected = vectors(&post("/embed", &json!({"inputs": TEXTS})).json());
    assert_eq!(embeddings(&json!({"input": ids()})), expected);
    // A list of numbers is one text.
    assert_eq!(embeddings(&json!({"input": ids()[0]})), expected[..1]);
    let direct = invoke(&handler(&fixture(), &[]), &json!({"input": ids()}));
    assert_eq!(vectors(&direct["embeddings"]), expected);
}

#[test]
fn the_answer_counts_the_models_own_tokens_and_the_texts_characters() {
    let counted = |input: Value| {
        let answer = post("/v1/embeddings", &json!({"input": input}));
        (answer.json()["usage"].clone(), answer.header("x-compute-characters").to_owned())
    };
    assert_eq!(counted(ids()), counted(json!(TEXTS)));
    assert_eq!(counted(ids()).1, (11 + 12 + 1).to_string());
}

#[test]
fn options_hold_as_for_texts() {
    for options in [json!({"input_type": "query"}), json!({"truncate": "mean"}), json!({"truncate": false})] {
        let with = |input: Value| {
            let mut body = options.clone();
            body["input"] = input;
            body
        };
        assert_eq!(embeddings(&with(ids())), embeddings(&with(json!(TEXTS))), "{options}");
    }
}

#[test]
fn a_list_without_ids_is_an_empty_text() {
    assert_eq!(embeddings(&json!({"input": [[], [15339, 1917]]})), embeddings(&json!({"input": ["", "hello world"]})));
}

#[test]
fn numbers_that_are_no_ids_are_a_400_that_says_which() {
    for (input, place, number) in [
        (json!([[15339], [1917, -1]]), "input[1][1]", "-1"),
        (json!([[15339], [], [100_256]]), "input[2][0]", "100256"),
        (json!([15339, 100_261]), "input[1]", "100261"),
        (json!([15339, 1.5]), "input[1]", "1.5"),
        (json!([[15339, 4_294_967_296_u64]]), "input[0][1]", "4294967296"),
    ] {
        let answer = post("/v1/embeddings", &json!({"input": input}));
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, error["param"].as_str()), (400, Some("input")), "{input}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(place) && message.contains(number), "{message}");
        assert!(message.contains("a token id of cl100k_base"), "{message}");
    }
}

#[test]
fn a_function_that_refuses_token_ids_says_what_to_do() {
    let handler = handler(&fixture(), &[("EMBED_TOKEN_IDS", "refuse")]);
    for input in [ids(), json!([1, 2, 3])] {
        let answer = post_to(&handler, "/v1/embeddings", &json!({"input": input}));
        assert_eq!((answer.status, answer.json()["error"]["param"].as_str()), (400, Some("input")));
        assert!(answer.text.contains("check_embedding_ctx_length=False"), "{}", answer.text);
    }
    assert_eq!(post_to(&handler, "/v1/embeddings", &json!({"input": TEXTS})).status, 200);
}

#[test]
fn limits_hold_as_for_texts() {
    let limits = [("EMBED_MAX_TEXTS", "2"), ("EMBED_MAX_TOKENS", "9"), ("EMBED_MAX_BODY_BYTES", "1000")];
    let handler = handler(&fixture(), &limits);
    let refused = |input: Value, words: &str| {
        let answer = post_to(&handler, "/v1/embeddings", &json!({"input": input}));
        assert_eq!(answer.status, 413, "{}", answer.text);
        assert!(answer.text.contains(words), "{}", answer.text);
    };
    refused(ids(), "3 texts in one request; the limit is 2");
    // 8 words and two special tokens.
    refused(json!([[15339, 1917, 1917, 1917, 1917, 1917, 1917, 1917]]), "10 tokens in one request; the limit is 9");
    // 128 spaces are one token.
    refused(json!(vec![58040; 8]), "1024 bytes of text; the limit of one request is 1000");
    assert_eq!(post_to(&handler, "/v1/embeddings", &json!({"input": [15339, 1917]})).status, 200);
}
