//! The documentation routes: filled in, open without a token, and every example in the document works.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::harness::{Answer, FolderCopy, event, fixture, fixture_handler, handler, invoke, post, root};

fn get(path: &str) -> Answer {
    Answer::of(&invoke(&fixture_handler(), &event("GET", path, &[], "")))
}

#[test]
fn the_document_is_filled_in_for_the_loaded_model_and_limits() {
    let answer = get("/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert!(!answer.text.contains("{{"), "a mark is left in the document");
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Vector"]["maxItems"], 32);
    assert_eq!(schemas["Texts"]["oneOf"][1]["maxItems"], 2048);
    let names = &schemas["EmbeddingsRequest"]["properties"]["model"]["anyOf"][0]["enum"];
    assert_eq!((&names[0], &names[3]), (&json!("fixture"), &json!("text-embeddings-inference")));
}

#[test]
fn the_http_page_groups_the_routes_as_the_document_does() {
    let document = get("/openapi.json").json();
    let mut described = BTreeSet::new();
    let mut groups = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let group = operation["tags"][0].as_str().unwrap().to_owned();
            let contract = operation["x-contract"].as_str().unwrap_or_default().to_owned();
            groups.insert(group.clone());
            described.insert((group, format!("{} {path}", method.to_uppercase()), contract));
        }
    }
    let named: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(groups, named);
    let page = std::fs::read_to_string(root().join("docs/http.md")).unwrap();
    let table = page.split("## Paths\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the paths");
    let mut written = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        for path in cells[2].split('`').skip(1).step_by(2) {
            assert!(written.insert((cells[1].to_owned(), path.to_owned(), cells[3].to_owned())), "{path} twice");
        }
    }
    assert_eq!(written, described);
}

#[test]
fn every_example_in_the_document_is_accepted() {
    let document = get("/openapi.json").json();
    let resolve = |reference: &Value| document.pointer(&reference.as_str().unwrap()[1..]).unwrap().clone();
    let mut examples = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let name = document["components"]["parameters"]["ModelName"]["example"].as_str().unwrap();
        let path = &path.replace("{id}", name);
        if item.get("get").is_some() {
            assert_eq!(get(path).status, 200, "{path}");
        }
        if item.get("post").is_none() {
            continue;
        }
        let body = resolve(&item["post"]["requestBody"]["$ref"]);
        for (name, example) in body["content"]["application/json"]["examples"].as_object().unwrap() {
            let answer = post(path, &example["value"]);
            assert_eq!(answer.status, 200, "{path}, example {name}: {}", answer.text);
            examples += 1;
        }
    }
    assert!(examples >= 10, "{examples} examples");
}

#[test]
fn the_page_is_html_that_may_load_nothing_from_elsewhere() {
    for path in ["/docs", "/docs/"] {
        let answer = get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        assert!(answer.text.starts_with("<!doctype html>"));
    }
}

#[test]
fn documentation_is_open_when_a_token_is_asked_for() {
    let handler = handler(&fixture(), &[("EMBED_API_KEY", "sesame")]);
    let ask = |path: &str| Answer::of(&invoke(&handler, &event("GET", path, &[], ""))).status;
    assert_eq!((ask("/docs"), ask("/openapi.json"), ask("/info")), (200, 200, 401));
}

#[test]
fn a_model_that_may_be_cut_offers_its_lengths_and_gives_unit_vectors_of_them() {
    let folder = FolderCopy::of_fixture("matryoshka");
    folder.change_manifest(|manifest| manifest["matryoshka_dimensions"] = serde_json::json!([32, 16, 8]));
    let handler = handler(&folder.0, &[]);
    let post = |path: &str, body: Value| crate::support::harness::post_to(&handler, path, &body);
    let whole =
        crate::support::harness::vectors(&post("/embed", serde_json::json!({"inputs": "hello"})).json()).remove(0);
    for length in [8, 16, 32] {
        let cut = post("/embed", serde_json::json!({"inputs": "hello", "dimensions": length}));
        let cut = crate::support::harness::vectors(&cut.json()).remove(0);
        let norm = cut.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert_eq!(cut.len(), length);
        assert!((norm - 1.0).abs() < 1e-6, "{norm}");
        assert!(crate::support::harness::cosine(&cut, &whole[..length]) > 1.0 - 1e-9);
        let openai = post("/v1/embeddings", serde_json::json!({"input": "hello", "dimensions": length})).json();
        assert_eq!(crate::support::harness::vectors(&serde_json::json!([openai["data"][0]["embedding"]]))[0], cut);
    }
    let document =
        |length: usize| serde_json::json!({"data": "hello", "model": "fixture", "options": {"dimensions": length}});
    let mixed = post("/qdrant/inference", serde_json::json!({"inputs": [document(8), document(16), document(8)]}));
    let lengths =
        crate::support::harness::vectors(&mixed.json()["embeddings"]).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths, [8, 16, 8], "each input of a request has its own");
    let refused = post("/v1/embeddings", serde_json::json!({"input": "hello", "dimensions": 12}));
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("gives 32 or 16 or 8 dimensions"), "{}", refused.text);
    let document = Answer::of(&invoke(&handler, &event("GET", "/openapi.json", &[], ""))).json();
    assert_eq!(document["components"]["schemas"]["Vector"]["minItems"], 8);
}
