//! End to end on published weights: the vectors that the models' makers and users know.

use serde_json::{Value, json};

use crate::harness::{cosine, embed, handler, invoke, model, root, vectors};

/// FastEmbed's own tests pin these for "hello world" (tolerance 1e-3, fp32-class files).
const MINILM_HELLO_WORLD: [f32; 5] = [-0.034478, 0.03102, 0.00673, 0.02611, -0.039362];
const BGE_SMALL_HELLO_WORLD: [f32; 5] = [0.01522374, -0.02271799, 0.00860278, -0.07424029, 0.00386434];

/// The float32 graph's vectors, made from the model's weights by `python -m tools.golden <id> --fp32 …`.
fn golden(id: &str) -> Vec<(String, Vec<f32>)> {
    let path = root().join("target/goldens").join(format!("{id}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; `make goldens MODEL={id}` makes it", path.display()));
    let golden: Value = serde_json::from_str(&text).unwrap();
    let entry = |entry: &Value| {
        let vector = serde_json::from_value(entry["vector"].clone()).unwrap();
        (entry["text"].as_str().unwrap().to_owned(), vector)
    };
    golden["texts"].as_array().unwrap().iter().map(entry).collect()
}

/// The published values hold for the float32 vectors, and the int8 model served here is close to those.
fn is_faithful(id: &str, published: &[f32]) {
    let Some(folder) = model(id) else { return };
    let golden = golden(id);
    let (hello, vector) = &golden[0];
    assert_eq!(hello, "hello world");
    for (found, expected) in vector.iter().zip(published) {
        assert!((found - expected).abs() < 1e-3, "{id}: {found} is not {expected}");
    }
    let texts: Vec<&str> = golden.iter().map(|(text, _)| text.as_str()).collect();
    let found = embed(&handler(&folder, &[]), &texts);
    let cosines: Vec<f64> = found.iter().zip(&golden).map(|(found, (_, exact))| cosine(found, exact)).collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    let least = cosines.iter().copied().fold(1.0, f64::min);
    println!("{id}: {} texts, cosine to fp32: mean {mean:.5}, least {least:.5}", cosines.len());
    assert!(mean >= 0.9985 && least >= 0.996, "{id}: mean {mean}, least {least}");
}

#[test]
fn minilm_gives_its_published_vector_and_int8_stays_close() {
    is_faithful("all-MiniLM-L6-v2", &MINILM_HELLO_WORLD);
}

#[test]
fn bge_small_gives_its_published_vector_and_int8_stays_close() {
    is_faithful("bge-small-en-v1.5", &BGE_SMALL_HELLO_WORLD);
}

#[test]
fn a_text_has_the_same_vector_alone_among_31_others_and_on_any_threads() {
    let Some(folder) = model("all-MiniLM-L6-v2") else { return };
    let one = handler(&folder, &[("EMBED_THREADS", "1")]);
    let two = handler(&folder, &[("EMBED_THREADS", "2")]);
    let golden = golden("all-MiniLM-L6-v2");
    let texts: Vec<&str> = golden[..32].iter().map(|(text, _)| text.as_str()).collect();
    let expected: Vec<_> = texts.iter().map(|text| embed(&one, &[text]).remove(0)).collect();
    for handler in [&one, &two] {
        assert_eq!(embed(handler, &texts), expected);
        let backwards: Vec<&str> = texts.iter().rev().copied().collect();
        let found: Vec<_> = embed(handler, &backwards).into_iter().rev().collect();
        assert_eq!(found, expected);
        assert_eq!(embed(handler, &texts[..1])[0], expected[0]);
    }
}

#[test]
fn nearness_makes_sense() {
    let Some(folder) = model("all-MiniLM-L6-v2") else { return };
    let texts = ["How do I bake bread at home?", "A recipe for a crusty loaf.", "The stock market fell sharply today."];
    let reply = invoke(&handler(&folder, &[]), &json!({"inputs": texts}));
    let found = vectors(&reply["embeddings"]);
    let (near, far) = (cosine(&found[0], &found[1]), cosine(&found[0], &found[2]));
    assert!(near > far + 0.3, "{near} and {far}");
}
