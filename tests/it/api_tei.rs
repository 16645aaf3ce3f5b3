//! text-embeddings-inference's contract: shapes, headers, errors.

use serde_json::{Value, json};

use crate::support::harness::{Answer, event, fixture, fixture_handler, handler, invoke, post, post_to, vectors};

#[test]
fn embed_gives_one_list_a_text_and_tells_what_it_took() {
    for path in ["/embed", "/", "/embed/"] {
        let answer = post(path, &json!({"inputs": ["hello world", "a"], "truncate": true}));
        assert_eq!(answer.status, 200);
        assert_eq!(vectors(&answer.json()).len(), 2);
        for header in ["x-compute-type", "x-total-time", "x-tokenization-time", "x-inference-time"] {
            assert!(!answer.header(header).is_empty(), "{header}");
        }
        assert_eq!((answer.header("x-compute-tokens"), answer.header("x-compute-characters")), ("7", "12"));
    }
    assert_eq!(vectors(&post("/embed", &json!({"inputs": "hello world"})).json()).len(), 1);
}

#[test]
fn prompts_are_the_models_prefixes() {
    let ask = |body: Value| post("/embed", &body).json();
    let query = ask(json!({"inputs": "a", "prompt_name": "query"}));
    assert_eq!(query, ask(json!({"inputs": "a", "input_type": "query"})));
    assert_ne!(query, ask(json!({"inputs": "a", "prompt_name": "passage"})));
}

#[test]
fn a_cut_text_is_reported_in_a_header() {
    let answer = post("/embed", &json!({"inputs": ["a", "hello ".repeat(99), "b", "hello ".repeat(70)]}));
    assert_eq!(answer.header("x-truncated"), "1,3");
    assert_eq!(post("/embed", &json!({"inputs": "a"})).header("x-truncated"), "");
}

#[test]
fn similarity_is_the_cosine_of_the_vectors() {
    let sentences = ["hello world", "a", "hello"];
    let answer = post("/similarity", &json!({"inputs": {"source_sentence": "hello", "sentences": sentences}}));
    assert_eq!(answer.status, 200);
    let scores: Vec<f32> = serde_json::from_value(answer.json()).unwrap();
    let source = vectors(&post("/embed", &json!({"inputs": "hello"})).json()).remove(0);
    for (score, vector) in scores.iter().zip(vectors(&post("/embed", &json!({"inputs": sentences})).json())) {
        let expected: f32 = source.iter().zip(&vector).map(|(a, b)| a * b).sum();
        assert!((score - expected).abs() < 1e-6);
    }
    assert!((scores[2] - 1.0).abs() < 1e-6);
}

#[test]
fn tokenize_gives_ids_places_in_bytes_and_the_texts_own_characters() {
    let tokens = post("/tokenize", &json!({"inputs": "hello world"})).json();
    let words: Vec<_> = tokens[0].as_array().unwrap().iter().map(|token| token["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["[CLS]", "hello", "world", "[SEP]"]);
    assert_eq!(tokens[0][0], json!({"id": 2, "text": "[CLS]", "special": true, "start": null, "stop": null}));
    assert_eq!((tokens[0][2]["start"].as_u64(), tokens[0][2]["stop"].as_u64()), (Some(6), Some(11)));
    let bare = post("/tokenize", &json!({"inputs": ["é world", "a"], "add_special_tokens": false})).json();
    let last = bare[0].as_array().unwrap().last().unwrap();
    assert_eq!((last["start"].as_u64(), last["stop"].as_u64()), (Some(3), Some(8)));
    let text = "É [SEP] ÉÉé 東京!";
    let list = post("/tokenize", &json!({"inputs": text, "add_special_tokens": false})).json();
    for token in list[0].as_array().unwrap() {
        let place = |name: &str| token[name].as_u64().unwrap() as usize;
        // The vocabulary's piece would be lower-case, without accents, or `[UNK]`.
        assert_eq!(token["text"], text[place("start")..place("stop")], "{token}");
        assert_eq!(token["special"], false);
    }
    assert_eq!(bare.as_array().unwrap().len(), 2);
    let prompted = post("/tokenize", &json!({"inputs": "hello", "prompt_name": "query"})).json();
    let whole = post("/tokenize", &json!({"inputs": "query: hello"})).json();
    assert_eq!(prompted, whole);
}

#[test]
fn a_list_of_tokens_beyond_the_limit_of_an_answer_is_refused() {
    let body = json!({"inputs": ["hello world", "hello"]});
    let whole = post("/tokenize", &body).text.len();
    for (limit, status) in [(whole, 200), (whole - 1, 413), (whole / 2, 413)] {
        let handler = handler(&fixture(), &[("EMBED_MAX_RESPONSE_BYTES", &limit.to_string())]);
        assert_eq!(post_to(&handler, "/tokenize", &body).status, status, "{limit} of {whole} bytes");
    }
}

#[test]
fn limits_on_texts_tokens_and_bytes_hold_for_tokenize() {
    let limits = [("EMBED_MAX_TEXTS", "3"), ("EMBED_MAX_TOKENS", "20"), ("EMBED_MAX_RESPONSE_BYTES", "8000")];
    let handler = handler(&fixture(), &limits);
    // An endless word is one unknown token, so its answer would be short.
    for (inputs, refusal) in [
        (json!(["a", "b", "c"]), None),
        (json!(["a", "b", "c", "d"]), Some("4 texts in one request; the limit is 3")),
        (json!("hello ".repeat(18)), None),
        (json!(["hello ".repeat(9), "hello ".repeat(8)]), Some("more than 20 tokens")),
        (json!("a".repeat(2_000)), None),
        (json!(["a".repeat(2_000), "a"]), Some("2001 bytes to tokenize in one request; the limit is 2000")),
    ] {
        let answer = post_to(&handler, "/tokenize", &json!({"inputs": inputs}));
        assert_eq!(answer.status, if refusal.is_some() { 413 } else { 200 }, "{}", answer.text);
        assert!(answer.text.contains(refusal.unwrap_or_default()), "{}", answer.text);
    }
}

#[test]
fn unnormalised_vectors_point_the_same_way() {
    let unit = vectors(&post("/embed", &json!({"inputs": "hello"})).json()).remove(0);
    let raw = vectors(&post("/embed", &json!({"inputs": "hello", "normalize": false})).json()).remove(0);
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() > 1e-3, "the fixture's raw vectors are not of length 1, these have {length}");
    for (unit, raw) in unit.iter().zip(&raw) {
        assert!((unit - raw / length).abs() < 1e-6);
    }
}

#[test]
fn mistakes_have_the_contracts_shape_and_status() {
    let cases = [
        ("/embed", json!({}), 422, "Validation", "inputs is missing"),
        ("/embed", json!({"inputs": []}), 400, "Empty", "at least one text"),
        ("/embed", json!({"inputs": 5}), 422, "Validation", "a string or a list of strings"),
        ("/embed", json!({"inputs": "a", "truncate": 1}), 422, "Validation", "\"mean\""),
        ("/embed", json!({"inputs": "a", "truncation_direction": "up"}), 422, "Validation", "\"left\""),
        ("/embed", json!({"inputs": "a", "prompt_name": "poem"}), 422, "Validation", "\"query\", \"passage\""),
        ("/embed", json!({"inputs": "a", "prompt_name": "query", "input_type": {}}), 422, "Validation", "input_type"),
        ("/embed", json!({"inputs": "a", "normalize": "no"}), 422, "Validation", "normalize"),
        ("/embed", json!({"inputs": "a", "dimensions": 8}), 422, "Validation", "32 dimensions"),
        ("/embed", json!({"inputs": "hello ".repeat(99), "truncate": false}), 413, "Validation", "101 tokens"),
        ("/similarity", json!({"inputs": {"source_sentence": "a", "sentences": []}}), 400, "Empty", "sentences"),
        ("/similarity", json!({"inputs": "a"}), 422, "Validation", "inputs"),
        ("/similarity", json!({}), 422, "Validation", "inputs is missing"),
        ("/similarity", json!({"inputs": ["a", ["b"]]}), 422, "Validation", "inputs: not an object"),
        (
            "/similarity",
            json!({"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": [null, null, null, null]}),
            422,
            "Validation",
            "parameters: not an object",
        ),
        ("/tokenize", json!(["a", null, null, null]), 400, "Validation", "not a JSON object"),
        ("/tokenize", json!({"inputs": []}), 400, "Empty", "at least one text"),
    ];
    for (path, body, status, kind, words) in cases {
        let answer = post(path, &body);
        let error = answer.json();
        assert_eq!((answer.status, error["error_type"].as_str()), (status, Some(kind)), "{path} {body}: {error}");
        assert!(error["error"].as_str().unwrap().contains(words), "{path} {body}: {error}");
    }
}

#[test]
fn info_and_health_name_the_model() {
    let get = |path: &str| Answer::of(&invoke(&fixture_handler(), &event("GET", path, &[], ""))).json();
    let info = get("/info");
    assert_eq!(
        (info["model_id"].as_str(), info["max_input_length"].as_u64()),
        (Some("lambda-embed/fixture"), Some(64))
    );
    assert_eq!(info["model_type"]["embedding"]["pooling"], "cls");
    assert_eq!(get("/health"), json!({"status": "ok", "model": "fixture"}));
}
