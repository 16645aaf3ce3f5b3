//! The names that a request may have for the model: its own, placeholders, and those of `EMBED_MODEL_ALIASES`.

use serde_json::{Value, json};

use crate::support::harness::{Answer, event, fixture, fixture_handler, handler, invoke, post_to};

fn body(path: &str, model: &Value) -> Value {
    match path {
        "/qdrant/inference" => json!({"inputs": [{"data": "a", "model": model}]}),
        _ => json!({"input": "a", "model": model}),
    }
}

const PATHS: [&str; 2] = ["/v1/embeddings", "/qdrant/inference"];

#[test]
fn a_client_without_a_model_is_served_and_told_which_one_answered() {
    for model in [Value::Null, json!(""), json!("text-embeddings-inference"), json!("FIXTURE")] {
        let answer = post_to(&fixture_handler(), "/v1/embeddings", &body("/v1/embeddings", &model));
        assert_eq!((answer.status, answer.json()["model"].as_str()), (200, Some("fixture")), "{model}");
    }
    let answer = post_to(&fixture_handler(), "/v1/embeddings", &json!({"input": "a"}));
    assert_eq!((answer.status, answer.header("x-model-id")), (200, "fixture"));
}

#[test]
fn another_models_name_is_refused_with_the_variable_that_would_take_it() {
    for (path, status) in PATHS.into_iter().zip([404, 400]) {
        let answer = post_to(&fixture_handler(), path, &body(path, &json!("text-embedding-3-small")));
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text.contains("EMBED_MODEL_ALIASES") && answer.text.contains("fixture"), "{}", answer.text);
    }
}

#[test]
fn an_alias_is_taken_in_any_case_and_the_answer_names_the_true_model() {
    let handler = handler(&fixture(), &[("EMBED_MODEL_ALIASES", "text-embedding-3-small, makers/Other")]);
    for path in PATHS {
        for model in ["text-embedding-3-small", "Text-Embedding-3-SMALL", "makers/other", "fixture"] {
            let answer = post_to(&handler, path, &body(path, &json!(model)));
            assert_eq!((answer.status, answer.header("x-model-id")), (200, "fixture"), "{path}, {model}");
        }
        assert_ne!(post_to(&handler, path, &body(path, &json!("text-embedding-3-large"))).status, 200, "{path}");
    }
    let answer = post_to(&handler, "/v1/embeddings", &body("/v1/embeddings", &json!("makers/other")));
    assert_eq!(answer.json()["model"], "fixture");
}

#[test]
fn a_star_takes_any_name() {
    let handler = handler(&fixture(), &[("EMBED_MODEL_ALIASES", "*")]);
    for path in PATHS {
        assert_eq!(post_to(&handler, path, &body(path, &json!("anything"))).status, 200, "{path}");
    }
    assert_eq!(listed(&handler), ["fixture"]);
}

#[test]
fn aliases_are_listed_behind_the_models_own_name() {
    let aliases = [("EMBED_MODEL_ALIASES", "text-embedding-3-small,Fixture,*,,text-embedding-ada-002")];
    let expected = ["fixture", "text-embedding-3-small", "text-embedding-ada-002"];
    assert_eq!(listed(&handler(&fixture(), &aliases)), expected);
}

fn listed(handler: &lambda_embed::handler::Handler) -> Vec<String> {
    let models = Answer::of(&invoke(handler, &event("GET", "/v1/models", &[], ""))).json();
    let models = models["data"].as_array().unwrap().clone();
    assert!(models.iter().all(|model| model["object"] == "model" && model["owned_by"] == models[0]["owned_by"]));
    models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}
