//! Documents into a hybrid collection: the model's vector and BM25's, each of which finds what the other one misses.

use serde_json::{Value, json};

use crate::support::harness::model;
use crate::support::pipeline::{Pipeline, created, document_function, notification, paragraphs};
use crate::support::qdrant_server::Collection;
use crate::support::queue::Queue;
use crate::support::s3_server::Bucket;
use crate::support::server::{Server, http};

const HYBRID: (&str, &str) = ("EMBED_QDRANT_HYBRID", "on");

fn pipeline(test: &str, more: &[(&str, &str)]) -> (Pipeline, Collection) {
    let collection = Collection::new(test);
    let url = format!("http://{}", collection.server);
    let variables = [&collection.variables(&url, "qdrant")[..], &[HYBRID], more].concat();
    (Pipeline::new(&format!("q-{test}"), &variables), collection)
}

/// The keys of the documents that a query finds, best first.
fn found(collection: &Collection, mut query: Value) -> Vec<String> {
    query["with_payload"] = json!(["key"]);
    let (status, found) = collection.request("POST", "/points/query", &query);
    assert_eq!(status, 200, "{found}");
    let points = found["points"].as_array().unwrap();
    points.iter().map(|point| point["payload"]["key"].as_str().unwrap().to_owned()).collect()
}

fn bm25(text: &str) -> Value {
    json!({"text": text, "model": "qdrant/bm25"})
}

#[test]
fn a_point_has_the_models_vector_and_bm25s() {
    needs!(s3, qdrant);
    let (pipeline, collection) = pipeline("hybrid-points", &[("EMBED_OUTPUT_TEXT", "off")]);
    pipeline.put("jam.txt", "Error E1234 means that paper is jammed.");
    pipeline.put("river.txt", "The river is high today.");
    for key in ["jam.txt", "river.txt"] {
        assert_eq!(pipeline.created(key)["embedded"], 1);
    }
    let (_, info) = collection.request("GET", "", &Value::Null);
    let params = &info["config"]["params"];
    assert_eq!(
        (&params["vectors"]["dense"]["size"], &params["vectors"]["dense"]["distance"]),
        (&json!(32), &json!("Cosine"))
    );
    assert_eq!(params["sparse_vectors"], json!({"bm25": {"modifier": "idf"}}));
    for point in collection.points() {
        assert_eq!(point["vector"]["dense"].as_array().unwrap().len(), 32, "{point}");
        assert!(point["vector"]["bm25"]["indices"].as_array().unwrap().len() > 1, "{point}");
        assert!(point["payload"].get("text").is_none(), "the text stays out of the payload: {point}");
    }
    let sparse = json!({"query": bm25("what is E1234"), "using": "bm25", "limit": 2});
    assert_eq!(found(&collection, sparse), ["jam.txt"]);
    let dense = json!({"query": collection.points()[1]["vector"]["dense"], "using": "dense", "limit": 1});
    assert_eq!(found(&collection, dense), ["river.txt"]);
}

#[test]
fn collections_of_langchain_and_llama_index_are_filled() {
    needs!(s3, qdrant);
    let dense = json!({"size": 32, "distance": "Cosine"});
    for (test, name, sparse, vectors) in [
        ("langchain", "unnamed", "langchain-sparse", dense.clone()),
        ("llama-index", "text-dense", "text-sparse-new", json!({"text-dense": dense})),
    ] {
        let names = [("EMBED_QDRANT_DENSE_VECTOR", name), ("EMBED_QDRANT_SPARSE_VECTOR", sparse)];
        let (pipeline, collection) = pipeline(test, &names);
        let body = json!({"vectors": vectors, "sparse_vectors": {sparse: {"modifier": "idf"}}});
        assert_eq!(collection.request("PUT", "", &body).0, 200);
        let etag = pipeline.put("a.txt", "Error E1234 means that paper is jammed.");
        assert_eq!(pipeline.created("a.txt")["embedded"], 1);
        assert_eq!(collection.whole("a.txt", &etag).len(), 1);
        let query = json!({"query": bm25("E1234"), "using": sparse, "limit": 1});
        assert_eq!(found(&collection, query), ["a.txt"]);
    }
}

#[test]
fn a_collection_of_another_form_is_refused_before_anything_is_written() {
    needs!(s3, qdrant);
    let dense = json!({"size": 32, "distance": "Cosine"});
    for (test, body, said) in [
        ("hybrid-dense", json!({"vectors": dense}), "no vector named dense"),
        ("hybrid-no-sparse", json!({"vectors": {"dense": dense}}), "no sparse vector named bm25"),
        (
            "hybrid-no-idf",
            json!({"vectors": {"dense": dense}, "sparse_vectors": {"bm25": {}}}),
            "without the modifier idf",
        ),
    ] {
        let (pipeline, collection) = pipeline(test, &[]);
        assert_eq!(collection.request("PUT", "", &body).0, 200);
        pipeline.put("a.txt", "A text.");
        let event = notification(&[created(&pipeline.documents.name, "a.txt")]);
        let error = pipeline.invoke(&event).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("EMBED_QDRANT_COLLECTION"), "{error}");
        assert!(collection.points().is_empty());
    }
}

#[test]
fn an_exact_code_is_found_first_only_with_both() {
    needs!(model, s3, qdrant);
    let collection = Collection::new("hybrid-codes");
    let url = format!("http://{}", collection.server);
    let variables = [&collection.variables(&url, "qdrant")[..], &[HYBRID]].concat();
    let (documents, vectors) = (Bucket::new("q-codes-docs"), Bucket::new("q-codes-vecs"));
    let pipeline = Pipeline::between(documents, vectors, None, &model(), &variables);
    let texts = [
        ("e1234.txt", "E1234: the feed roller slipped. Clean it with a damp cloth and try again."),
        ("codes.txt", "What an error code is: a letter and a number that the printer shows when something is wrong."),
        ("e1243.txt", "E1243: the fuser is too hot. Wait ten minutes with the lid open."),
        ("call.txt", "Which error code do you see? Tell it to our support, who know what it means."),
    ];
    for (key, text) in texts {
        pipeline.put(key, text);
        assert_eq!(pipeline.created(key)["embedded"], 1);
    }
    let question = "what is E1234";
    let server = Server::over(&model(), &[]);
    let body = json!({"inputs": question, "input_type": "query"}).to_string();
    let headers = [("content-type", "application/json")];
    let (_, _, answer) = http(&server.address, "POST", "/embed", &headers, body.as_bytes());
    let vector = serde_json::from_slice::<Value>(&answer).unwrap()[0].clone();
    let sparse = json!({"query": bm25(question), "using": "bm25", "limit": 4});
    assert_eq!(found(&collection, sparse)[0], "e1234.txt");
    let fused = json!({"prefetch": [
            {"query": vector, "using": "dense", "limit": 4},
            {"query": bm25(question), "using": "bm25", "limit": 4},
        ], "query": {"fusion": "rrf"}, "limit": 4});
    assert_eq!(found(&collection, fused)[0], "e1234.txt");
}

#[test]
fn a_function_that_is_killed_leaves_nothing_missing_and_nothing_twice() {
    needs!(s3, qdrant);
    const DOCUMENTS: usize = 200;
    let small = [("EMBED_CHUNK_TOKENS", "64"), ("EMBED_CHUNK_OVERLAP", "0")];
    let (pipeline, collection) = pipeline("hybrid-killed", &small);
    let queue = Queue::new("hybrid-killed");
    queue.hear_of(&pipeline.documents);
    let etags: Vec<_> =
        (0..DOCUMENTS).map(|number| pipeline.put(&format!("{number}.txt"), paragraphs(1 + number % 12))).collect();
    let url = format!("http://{}", collection.server);
    let variables = [&collection.variables(&url, "qdrant")[..], &[HYBRID], &small].concat();
    let start = || document_function(&pipeline.vectors, pipeline.vectors.server, &variables);
    let kills = queue.work_off_with_kills(12, &mut fastrand::Rng::with_seed(7), start);
    assert!(kills >= 3, "{kills} kills");
    let mut chunks = 0;
    for (number, etag) in etags.iter().enumerate() {
        chunks += collection.whole(&format!("{number}.txt"), etag).len();
    }
    let points = collection.points();
    assert_eq!(points.len(), chunks);
    assert!(points.iter().all(|point| point["vector"]["bm25"].is_object() && point["vector"]["dense"].is_array()));
}
