//! Paths beside the contracts' main ones, and what a browser needs.

use lambda_embed::handler::Handler;
use serde_json::{Value, json};

use crate::support::harness::{Answer, event, fixture, fixture_handler, handler, invoke, post, vectors};
use crate::support::server::{Server, http};

fn ask(handler: &Handler, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    Answer::of(&invoke(handler, &event(method, path, headers, body)))
}

fn get(path: &str) -> Answer {
    ask(&fixture_handler(), "GET", path, &[], "")
}

#[test]
fn paths_lead_to_their_route_however_clients_join_them() {
    for path in ["//v1/embeddings", "/v1//embeddings", "/v1/v1/embeddings", "/v1%2Fembeddings", "/v1/embeddings//"] {
        let answer = post(path, &json!({"input": "a"}));
        assert_eq!((answer.status, answer.json()["object"].as_str()), (200, Some("list")), "{path}: {}", answer.text);
    }
}

#[test]
fn the_model_is_told_of_by_its_names_and_no_other_is() {
    let list = get("/v1/models").json();
    for path in
        ["/v1/models/fixture", "/models/fixture", "/v1/models/lambda-embed%2FFixture", "/models/lambda-embed/fixture"]
    {
        assert_eq!((get(path).status, get(path).json()), (200, list["data"][0].clone()), "{path}");
    }
    assert_eq!(get("/models").json(), list);
    let other = get("/v1/models/text-embedding-3-small");
    assert_eq!((other.status, other.json()["error"]["param"].as_str()), (404, Some("model")), "{}", other.text);
}

#[test]
fn the_root_and_ping_are_health_checks_that_need_no_token() {
    let locked = handler(&fixture(), &[("EMBED_API_KEY", "sesame")]);
    let health = get("/health").json();
    for path in ["/", "/ping", "/ping/", "/health"] {
        let answer = ask(&locked, "GET", path, &[], "");
        assert_eq!((answer.status, answer.json()), (200, health.clone()), "{path}");
        assert_eq!(ask(&locked, "HEAD", path, &[], "").text, "");
    }
    assert_eq!(ask(&locked, "POST", "/", &[], r#"{"inputs": "a"}"#).status, 401);
    assert_eq!(ask(&locked, "GET", "/v1/models/fixture", &[], "").status, 401);
    assert_eq!(ask(&locked, "POST", "/models/fixture", &[], r#"{"inputs": "a"}"#).status, 401);
    assert_eq!(ask(&locked, "POST", "/api/embed", &[], r#"{"input": "a"}"#).status, 401);
}

#[test]
fn the_root_and_the_hubs_paths_embed_or_compare_as_the_body_says() {
    let texts = json!({"inputs": ["hello world", "a"], "options": {"wait_for_model": true}});
    let compared = json!({"inputs": {"source_sentence": "hello", "sentences": ["a", "hello"]}});
    let (vectors, scores) = (post("/embed", &texts).json(), post("/similarity", &compared).json());
    for path in [
        "/",
        "/models/fixture",
        "/models/lambda-embed/fixture",
        "/models/fixture/pipeline/feature-extraction",
        "/pipeline/feature-extraction/fixture",
    ] {
        assert_eq!(post(path, &texts).json(), vectors, "{path}");
        assert_eq!(post(path, &compared).json(), scores, "{path}");
    }
    for path in ["/models/BAAI/bge-m3", "/pipeline/feature-extraction/bge-m3"] {
        let answer = post(path, &texts);
        assert_eq!((answer.status, answer.json()["error_type"].as_str()), (404, Some("Validation")), "{}", answer.text);
    }
    let half = post("/", &json!({"inputs": {"source_sentence": "hello"}}));
    assert!(half.status == 422 && half.text.contains("missing field `sentences`"), "{}", half.text);
}

#[test]
fn ollamas_clients_find_the_model_and_embed() {
    let tags = get("/api/tags").json();
    let name = tags["models"][0]["name"].as_str().unwrap();
    assert_eq!(name, "fixture:latest");
    assert!(tags["models"][0]["size"].as_u64().unwrap() > 1_000);
    for model in [json!(name), json!("fixture"), Value::Null] {
        let answer =
            post("/api/embed", &json!({"model": model, "input": ["hello", "a"], "keep_alive": "5m", "options": {}}));
        let expected = post("/embed", &json!({"inputs": ["hello", "a"]})).json();
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!((&answer.json()["embeddings"], answer.json()["model"].as_str()), (&expected, Some("fixture")));
        assert_eq!(answer.json()["prompt_eval_count"], 6);
    }
    assert_eq!(vectors(&post("/api/embed", &json!({"input": "a"})).json()["embeddings"]).len(), 1);
    for (body, status) in
        [(json!({"model": "nomic-embed-text", "input": "a"}), 404), (json!({"model": "fixture"}), 400)]
    {
        let answer = post("/api/embed", &body);
        assert_eq!((answer.status, answer.json().as_object().unwrap().len()), (status, 1), "{}", answer.text);
        assert!(answer.json()["error"].is_string());
    }
}

#[test]
fn a_path_that_is_not_here_says_what_this_function_is_and_is_not() {
    for (path, words) in [
        ("/rerank", "does not rerank"),
        ("/predict", "does not classify"),
        ("/embed_sparse", "not sparse"),
        ("/v1/chat/completions", "does not generate text"),
    ] {
        let answer = post(path, &json!({"inputs": "a"}));
        assert_eq!(answer.status, 404);
        assert!(answer.text.contains("embeds texts with fixture") && answer.text.contains(words), "{}", answer.text);
    }
    // openai-go reads this shape alone.
    for path in ["/openai/embeddings", "/openai/deployments/a/embeddings", "/api/v1/embeddings", "/v1/what"] {
        let answer = post(path, &json!({"input": "a"}));
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (404, Some("not_found")),
            "{}",
            answer.text
        );
    }
}

#[test]
fn a_preflight_of_any_route_allows_the_headers_that_it_asks_for() {
    let open = handler(&fixture(), &[("EMBED_CORS_ORIGINS", "https://a.example"), ("EMBED_API_KEY", "sesame")]);
    let asked = "authorization, content-type, x-stainless-lang, x-stainless-retry-count";
    for path in
        ["/", "/v1/embeddings", "/v1/models/fixture", "/embed", "/api/embed", "/health", "/docs", "/nowhere", "/rerank"]
    {
        let headers = [
            ("origin", "https://a.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", asked),
        ];
        let answer = ask(&open, "OPTIONS", path, &headers, "");
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "https://a.example", "{path}");
        assert_eq!(answer.header("access-control-allow-headers"), asked, "{path}");
        assert!(!answer.header("access-control-allow-methods").is_empty(), "{path}");
        assert!(answer.header("vary").contains("access-control-request-headers"), "{path}");
        let foreign = [("origin", "https://b.example"), ("access-control-request-method", "POST")];
        let answer = ask(&open, "OPTIONS", path, &foreign, "");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[test]
fn every_error_can_be_read_by_a_page_and_tells_when_to_come_back() {
    let variables = [("EMBED_CORS_ORIGINS", "*"), ("EMBED_MAX_CALLS", "1"), ("EMBED_MAX_TEXTS", "1")];
    let open = handler(&fixture(), &variables);
    let origin = [("origin", "https://a.example")];
    let readable = |answer: &Answer, status: u64| {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{status}");
        for name in ["retry-after", "x-model-id", "x-truncated", "x-inference-time"] {
            assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
        }
    };
    readable(&ask(&open, "GET", "/nowhere", &origin, ""), 404);
    readable(&ask(&open, "GET", "/v1/embeddings", &origin, ""), 405);
    readable(&ask(&open, "POST", "/v1/embeddings", &origin, "{"), 400);
    readable(&ask(&open, "POST", "/v1/embeddings", &origin, r#"{"input": ["a", "b"]}"#), 413);
    readable(&ask(&open, "POST", "/v1/embeddings", &[("content-type", "a/b"), origin[0]], "a"), 415);
    let _permit = open.enter(1).unwrap();
    let busy = ask(&open, "POST", "/v1/embeddings", &origin, r#"{"input": "a"}"#);
    readable(&busy, 429);
    assert_eq!(busy.header("retry-after"), "1");
    drop(_permit);
    let late = crate::support::harness::block_on(async {
        let call = lambda_embed::observability::call::Call {
            deadline: Some(std::time::SystemTime::now()),
            ..Default::default()
        };
        let event = event("POST", "/v1/embeddings", &origin, r#"{"input": "a"}"#).to_string();
        let reply = open.handle(event.as_bytes(), &call).await.unwrap();
        Answer::of(&serde_json::from_str(reply.get()).unwrap())
    });
    readable(&late, 503);
}

#[test]
fn a_request_that_serve_rejects_early_can_be_read_by_a_page() {
    let server = Server::with(&[("EMBED_CORS_ORIGINS", "*")]);
    let (status, head, body) =
        http(&server.address, "POST", "/v1/embeddings", &[("origin", "https://a.example")], &vec![b' '; 11 << 20]);
    assert_eq!(status, 413);
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"], "too_large");
}

#[test]
fn serve_has_no_limit_of_lambdas() {
    let server = Server::with(&[("EMBED_MAX_TEXTS", "100000"), ("EMBED_MAX_TOKENS", "1000000")]);
    let (status, _, body) = server.post("/embed", &json!({"inputs": vec!["a"; 20_000]}));
    assert_eq!((status, body.as_array().map(Vec::len)), (200, Some(20_000)));
    let limited = Server::with(&[("EMBED_MAX_TEXTS", "100000"), ("EMBED_MAX_RESPONSE_BYTES", "10000")]);
    assert_eq!(limited.post("/embed", &json!({"inputs": vec!["a"; 21]})).0, 413);
}
