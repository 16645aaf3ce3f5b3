//! The fixture's vectors: against the golden file, and the same to the bit whatever surrounds a text.

use lambda_embed::observability::call::Call;
use serde_json::{Value, json};

use crate::support::harness::{self, block_on, cosine, embed, fixture, handler, invoke, largest_difference, root};

/// `models/fixture/golden.json`: texts, token ids and the plain fp32 reference's vectors; the file names
/// the command that made it.
fn golden() -> Vec<Value> {
    let text = std::fs::read_to_string(fixture().join("golden.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["texts"].as_array().unwrap().clone()
}

fn reference(entry: &Value, pooling: &str) -> Vec<f32> {
    serde_json::from_value(entry[pooling].clone()).unwrap()
}

#[test]
fn the_int8_fixture_is_close_to_its_fp32_reference() {
    let handler = harness::fixture_handler();
    for entry in golden() {
        let text = entry["text"].as_str().unwrap();
        let vector = embed(&handler, &[text]).remove(0);
        let found = cosine(&vector, &reference(&entry, "cls"));
        assert!(found > 0.99, "{text:?}: cosine {found}");
    }
}

#[test]
fn both_kernels_give_the_same_vectors_but_for_rounding() {
    let (own, standard) = (handler(&fixture(), &[]), handler(&fixture(), &[("EMBED_KERNELS", "onnxruntime")]));
    for entry in golden() {
        let text = entry["text"].as_str().unwrap();
        let [own, standard] = [&own, &standard].map(|handler| embed(handler, &[text]).remove(0));
        let found = cosine(&own, &standard);
        assert!(found > 0.99 && own != standard, "{text:?}: cosine {found}");
    }
}

#[test]
fn a_stock_export_is_pooled_here_as_the_reference_pools() {
    let handler = handler(&root().join("models/fixture-stock"), &[]);
    for entry in golden() {
        let text = entry["text"].as_str().unwrap();
        let vector = embed(&handler, &[text]).remove(0);
        let found = largest_difference(&vector, &reference(&entry, "mean"));
        assert!(found < 1e-5, "{text:?}: largest difference {found}");
    }
}

#[test]
fn a_text_has_the_same_vector_alone_and_among_others() {
    let handler = harness::fixture_handler();
    let lone = embed(&handler, &["hello world"]).remove(0);
    for (place, other) in [(0, "short"), (7, "a rather longer text than the others, with many words in it"), (31, "")] {
        let mut texts = vec![other; 32];
        texts[place] = "hello world";
        let among = embed(&handler, &texts);
        assert_eq!(among.len(), 32);
        assert_eq!(bits(&among[place]), bits(&lone), "at place {place} among {other:?}");
    }
}

#[test]
fn threads_and_runs_do_not_change_a_bit() {
    let texts: Vec<String> = (0..24).map(|n| "hello world, running texts ".repeat(n % 5 + 1)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let expected = embed(&handler(&fixture(), &[("EMBED_THREADS", "1")]), &texts);
    for threads in ["2", "3"] {
        let handler = handler(&fixture(), &[("EMBED_THREADS", threads)]);
        for _ in 0..5 {
            assert_eq!(embed(&handler, &texts), expected, "with {threads} threads");
        }
        // Alone a long text is parted among the threads.
        assert_eq!(embed(&handler, &texts[4..5]), expected[4..5], "with {threads} threads");
    }
}

#[test]
fn concurrent_calls_get_their_own_vectors() {
    let handler = harness::fixture_handler();
    let texts: Vec<String> = (0..16).map(|n| format!("text number {n}")).collect();
    let expected: Vec<_> = texts.iter().map(|text| embed(&handler, &[text.as_str()]).remove(0)).collect();
    let calls: Vec<_> = std::thread::scope(|scope| {
        let call = |text: &String| {
            let (handler, text) = (handler.clone(), text.clone());
            scope.spawn(move || (0..20).map(|_| embed(&handler, &[text.as_str()]).remove(0)).collect::<Vec<_>>())
        };
        let threads: Vec<_> = texts.iter().map(call).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (found, expected) in calls.iter().zip(&expected) {
        assert!(found.iter().all(|vector| vector == expected));
    }
}

#[test]
fn vectors_have_length_one() {
    for vector in embed(&harness::fixture_handler(), &["", "a", "hello world", &"word ".repeat(500)]) {
        let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }
}

#[test]
fn a_query_carries_the_manifests_prefix_and_a_passage_does_not() {
    let handler = harness::fixture_handler();
    let ask = |body: Value| harness::vectors(&invoke(&handler, &body)["embeddings"]).remove(0);
    let query = ask(json!({"inputs": "hello world", "input_type": "query"}));
    assert_eq!(query, ask(json!({"inputs": "query: hello world"})));
    let passage = ask(json!({"inputs": "hello world", "input_type": "passage"}));
    assert_eq!(passage, ask(json!({"inputs": "hello world"})));
    assert_ne!(query, passage);
}

#[test]
fn a_long_text_is_cut_refused_or_averaged_as_asked() {
    let handler = harness::fixture_handler();
    // The fixture takes 64 tokens, two of them special; "hello" is one.
    let long = "hello ".repeat(100);
    let ask = |body: Value| invoke(&handler, &body);
    let cut = ask(json!({"inputs": ["hello", long]}));
    assert_eq!(cut["truncated"], json!([1]));
    assert_eq!(cut["usage"]["total_tokens"], 3 + 64);
    let kept = "hello ".repeat(62);
    assert_eq!(cut["embeddings"][1], ask(json!({"inputs": kept}))["embeddings"][0]);

    let mean = ask(json!({"inputs": long, "truncate": "mean"}));
    assert_eq!(mean["truncated"], json!([]));
    assert_eq!(mean["usage"]["total_tokens"], 64 + 40);
    let windows = embed(&handler, &[&kept, &"hello ".repeat(38)]);
    let sum: Vec<f32> = windows[0].iter().zip(&windows[1]).map(|(a, b)| a + b).collect();
    let found = cosine(&harness::vectors(&mean["embeddings"])[0], &sum);
    assert!(found > 1.0 - 1e-9, "{found}");

    let refused = block_on(
        handler.handle(json!({"inputs": ["a", long], "truncate": false}).to_string().as_bytes(), &Call::default()),
    );
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("text 1 has 102 tokens") && message.contains("takes 64"), "{message}");
}

#[test]
fn the_end_of_a_long_text_is_kept_when_asked() {
    let handler = harness::fixture_handler();
    let text = format!("{}{}", "hello ".repeat(40), "world ".repeat(62));
    let cut = invoke(&handler, &json!({"inputs": text, "truncation_direction": "Left"}));
    let end = invoke(&handler, &json!({"inputs": "world ".repeat(62)}));
    assert_eq!(cut["embeddings"], end["embeddings"]);
}

fn bits(vector: &[f32]) -> Vec<u32> {
    vector.iter().map(|value| value.to_bits()).collect()
}
