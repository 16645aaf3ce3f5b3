//! OpenAI's contract: shapes, formats, errors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::support::harness::{Answer, event, fixture, fixture_handler, handler, invoke, post, post_to, vectors};

#[test]
fn a_list_of_texts_gives_a_list_of_embeddings_and_usage() {
    let answer = post("/v1/embeddings", &json!({"model": "fixture", "input": ["hello world", "a"], "user": "me"}));
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!((body["object"].as_str(), body["model"].as_str()), (Some("list"), Some("fixture")));
    assert_eq!(body["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
    for (index, item) in body["data"].as_array().unwrap().iter().enumerate() {
        assert_eq!((item["object"].as_str(), item["index"].as_u64()), (Some("embedding"), Some(index as u64)));
        assert_eq!(item["embedding"].as_array().unwrap().len(), 32);
    }
    assert_eq!(answer.header("x-model-id"), "fixture");
    assert_eq!(answer.header("x-compute-tokens"), "7");
}

#[test]
fn base64_holds_the_same_floats_in_little_endian() {
    let numbers = post("/v1/embeddings", &json!({"input": "hello world"})).json();
    let base64 = post("/embeddings", &json!({"input": "hello world", "encoding_format": "base64"})).json();
    let bytes = BASE64.decode(base64["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let floats: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(floats, vectors(&json!([numbers["data"][0]["embedding"]]))[0]);
}

#[test]
fn null_fields_count_as_absent() {
    let body = json!({"input": "a", "model": null, "dimensions": null, "encoding_format": null, "truncate": null});
    assert_eq!(post("/v1/embeddings", &body).status, 200);
}

#[test]
fn the_models_own_names_are_known_in_any_case_and_others_are_not_here() {
    for name in ["fixture", "FIXTURE", "lambda-embed/Fixture"] {
        assert_eq!(post("/v1/embeddings", &json!({"input": "a", "model": name})).status, 200, "{name}");
    }
    let answer = post("/v1/embeddings", &json!({"input": "a", "model": "text-embedding-3-small"}));
    assert_eq!((answer.status, answer.json()["error"]["param"].as_str()), (404, Some("model")));
    assert!(answer.text.contains("fixture"), "{}", answer.text);
}

#[test]
fn mistakes_are_4xx_in_the_nested_shape_and_name_field_and_remedy() {
    let cases: &[(Value, u64, Value, &str)] = &[
        (json!({}), 400, json!("input"), "input is missing"),
        (json!({"input": []}), 400, json!("input"), "at least one text"),
        (json!({"input": 5}), 400, json!("input"), "a string or a list of strings"),
        (json!({"input": {"text": "a"}}), 400, json!("input"), "a string or a list of strings"),
        (json!({"input": ["a", null]}), 400, json!("input"), "input[1]: invalid type: null, expected a string"),
        (json!({"input": [1, -2]}), 400, json!("input"), "a token id of cl100k_base"),
        (json!({"input": [["a"]]}), 400, json!("input"), "send strings in one list"),
        (json!({"input": "a", "encoding_format": "hex"}), 400, json!("encoding_format"), "\"float\", \"base64\""),
        (json!({"input": "a", "dimensions": 16}), 400, json!("dimensions"), "32 dimensions"),
        (json!({"input": "a", "dimensions": "32"}), 400, json!("dimensions"), "dimensions"),
        (json!({"input": "a", "input_type": "document"}), 400, json!("input_type"), "\"query\", \"passage\""),
        (json!({"input": "a", "truncate": "END"}), 400, json!("truncate"), "\"mean\""),
        (json!({"input": "a", "user": 7}), 400, json!("user"), "user"),
        (json!(["a"]), 400, Value::Null, "JSON object"),
    ];
    for (body, status, param, words) in cases {
        let answer = post("/v1/embeddings", body);
        let error = answer.json()["error"].clone();
        assert_eq!(answer.status, *status, "{body}");
        assert_eq!(error["type"], "invalid_request_error", "{body}");
        assert_eq!(&error["param"], param, "{body}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{body}: {error}");
        assert!(error["code"].is_string(), "{body}: {error}");
        assert_eq!(answer.header("retry-after"), "", "{body}: to send it again would not help");
    }
}

#[test]
fn an_answer_beyond_lambdas_limit_is_refused_before_any_work() {
    let handler = handler(&fixture(), &[("EMBED_MAX_RESPONSE_BYTES", "10000")]);
    let texts = vec!["hello"; 100];
    let answer = post_to(&handler, "/v1/embeddings", &json!({"input": texts}));
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("20 fit") && answer.text.contains("base64"), "{}", answer.text);
    // 480 bytes for 32 numbers, 236 for their base64.
    for (format, fit) in [("float", 20), ("base64", 42)] {
        let ask = |count| {
            let body = json!({"input": vec!["hello"; count], "encoding_format": format});
            post_to(&handler, "/v1/embeddings", &body).status
        };
        assert_eq!((ask(fit), ask(fit + 1)), (200, 413), "{format}");
    }
}

#[test]
fn texts_that_were_cut_are_listed_beside_the_vectors_and_in_a_header() {
    let long = "hello ".repeat(99);
    for format in ["float", "base64"] {
        let ask = |input: Value| post("/v1/embeddings", &json!({"input": input, "encoding_format": format}));
        let answer = ask(json!(["a", long, "b", long]));
        assert_eq!((&answer.json()["truncated"], answer.header("x-truncated")), (&json!([1, 3]), "1,3"), "{format}");
        let answer = ask(json!(["a", "b"]));
        assert!(answer.json().get("truncated").is_none(), "{}", answer.text);
        assert_eq!(answer.header("x-truncated"), "");
    }
    // Nothing is lost of a text that is embedded in windows.
    let whole = post("/v1/embeddings", &json!({"input": long, "truncate": "mean"})).json();
    assert!(whole.get("truncated").is_none(), "{whole}");
}

#[test]
fn limits_on_texts_and_tokens_are_named() {
    let handler = handler(&fixture(), &[("EMBED_MAX_TEXTS", "3"), ("EMBED_MAX_TOKENS", "20")]);
    let answer = post_to(&handler, "/v1/embeddings", &json!({"input": ["a", "b", "c", "d"]}));
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("4 texts in one request; the limit is 3"), "{}", answer.text);
    let answer = post_to(&handler, "/v1/embeddings", &json!({"input": "hello ".repeat(30)}));
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("32 tokens in one request; the limit is 20"), "{}", answer.text);
    for at_the_limit in [json!(["a", "b", "c"]), json!("hello ".repeat(18))] {
        assert_eq!(post_to(&handler, "/v1/embeddings", &json!({"input": at_the_limit})).status, 200);
    }
}

#[test]
fn models_are_listed() {
    let answer = Answer::of(&invoke(&fixture_handler(), &event("GET", "/v1/models", &[], "")));
    let body = answer.json();
    assert_eq!((body["object"].as_str(), body["data"][0]["id"].as_str()), (Some("list"), Some("fixture")));
}

#[test]
fn a_token_is_asked_for_when_one_is_configured() {
    let handler = handler(&fixture(), &[("EMBED_API_KEY", "sesame")]);
    let ask = |path: &str, method: &str, headers: &[(&str, &str)]| {
        Answer::of(&invoke(&handler, &event(method, path, headers, r#"{"input": "a", "inputs": "a"}"#)))
    };
    let wrong = ["", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesame2", "Bearer sesamy", "Basic sesame", "sesame"];
    for value in wrong {
        let answer = ask("/v1/embeddings", "POST", &[("authorization", value)]);
        assert_eq!(answer.status, 401, "{value}");
        assert_eq!(answer.json()["error"]["type"], "authentication_error");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.text.contains("sesame"));
    }
    assert_eq!(ask("/embed", "POST", &[]).status, 401);
    assert_eq!(ask("/v1/models", "GET", &[]).status, 401);
    assert_eq!(ask("/health", "GET", &[]).status, 200);
    for value in ["Bearer sesame", "bearer sesame"] {
        assert_eq!(ask("/v1/embeddings", "POST", &[("Authorization", value)]).status, 200, "{value}");
    }
}

#[test]
fn unknown_paths_methods_and_media_types_are_refused_as_http_says() {
    let ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        Answer::of(&invoke(&fixture_handler(), &event(method, path, headers, r#"{"input": "a"}"#)))
    };
    let answer = ask("POST", "/v1/chat/completions", &[]);
    assert_eq!(answer.status, 404);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("/v1/embeddings"));
    let answer = ask("GET", "/v1/embeddings", &[]);
    assert_eq!((answer.status, answer.header("allow")), (405, "POST, OPTIONS"));
    assert_eq!(ask("DELETE", "/v1/models", &[]).header("allow"), "GET, HEAD, OPTIONS");
    assert_eq!(ask("POST", "/v1/embeddings", &[("content-type", "application/xml")]).status, 415);
    assert_eq!(ask("POST", "/v1/embeddings", &[("CONTENT-TYPE", "application/json; charset=utf-8")]).status, 200);
    let head = ask("HEAD", "/v1/models", &[]);
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let options = ask("OPTIONS", "/v1/embeddings", &[]);
    assert_eq!((options.status, options.header("allow")), (204, "POST, OPTIONS"));
}

#[test]
fn cors_is_off_unless_configured_and_then_names_the_origin() {
    let ask = |handler, method: &str, origin: &str| {
        Answer::of(&invoke(handler, &event(method, "/v1/embeddings", &[("Origin", origin)], r#"{"input": "a"}"#)))
    };
    const ALLOWED: &str = "access-control-allow-origin";
    let off = fixture_handler();
    assert_eq!(ask(&off, "POST", "https://a.example").header(ALLOWED), "");
    let some = handler(&fixture(), &[("EMBED_CORS_ORIGINS", "https://a.example, https://b.example")]);
    assert_eq!(ask(&some, "POST", "https://b.example").header(ALLOWED), "https://b.example");
    assert_eq!(ask(&some, "POST", "https://c.example").header(ALLOWED), "");
    let preflight = ask(&some, "OPTIONS", "https://a.example");
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    let any = handler(&fixture(), &[("EMBED_CORS_ORIGINS", "*")]);
    assert_eq!(ask(&any, "POST", "https://c.example").header(ALLOWED), "*");
}
