//! bge-small-en-v1.5 end to end: its published vectors.

use serde_json::{Value, json};

use crate::support::harness::{
    bootstrap, cosine, embed, handler, invoke, largest_difference, model, output, root, vectors,
};

/// The start of the float32 vector of "hello world", as FastEmbed's own tests pin it (tolerance 1e-3).
const HELLO_WORLD: [f32; 5] = [0.01522374, -0.02271799, 0.00860278, -0.07424029, 0.00386434];

/// Texts with their float32 vectors, of the graph that `make goldens` exports; the first text is "hello world".
fn golden() -> Vec<(String, Vec<f32>)> {
    let text = std::fs::read_to_string(root().join("target/goldens/bge-small-en-v1.5.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let entry = |entry: &Value| {
        let vector = serde_json::from_value(entry["vector"].clone()).unwrap();
        (entry["text"].as_str().unwrap().to_owned(), vector)
    };
    golden["texts"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn hello_world_has_its_published_vector() {
    needs!(model);
    let (text, exact) = golden().swap_remove(0);
    assert_eq!((text.as_str(), exact.len()), ("hello world", 384));
    let difference = largest_difference(&exact[..5], &HELLO_WORLD);
    assert!(difference < 1e-3, "float32 is {difference} off: {:?}", &exact[..5]);
    let event = std::env::temp_dir().join(format!("lambda-embed-hello-world-{}.json", std::process::id()));
    std::fs::write(&event, r#"{"inputs": "hello world"}"#).unwrap();
    let (succeeded, printed, error) = output(bootstrap().env("EMBED_MODEL_DIR", model()).arg("invoke").arg(&event));
    std::fs::remove_file(event).unwrap();
    assert!(succeeded, "{error}");
    let reply: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(reply["model"], "bge-small-en-v1.5");
    let found = cosine(&vectors(&reply["embeddings"])[0], &exact);
    println!("hello world: cosine to float32 {found:.6}");
    assert!(found >= 0.998, "{found}");
}

/// The bars are `make verify-model`'s.
#[test]
fn int8_stays_close_to_float32() {
    needs!(model);
    let golden = golden();
    assert_eq!(golden.len(), 201);
    let texts: Vec<&str> = golden.iter().map(|(text, _)| text.as_str()).collect();
    let found = embed(&handler(&model(), &[]), &texts);
    let cosines: Vec<f64> = found.iter().zip(&golden).map(|(found, (_, exact))| cosine(found, exact)).collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    let least = cosines.iter().copied().fold(1.0, f64::min);
    println!("{} texts, cosine to float32: mean {mean:.5}, least {least:.5}", cosines.len());
    assert!(mean >= 0.9990 && least >= 0.996, "mean {mean}, least {least}");
}

#[test]
fn a_text_has_the_same_vector_alone_among_31_others_and_on_any_threads() {
    needs!(model);
    let one = handler(&model(), &[("EMBED_THREADS", "1")]);
    let two = handler(&model(), &[("EMBED_THREADS", "2")]);
    let golden = golden();
    let texts: Vec<&str> = golden[..32].iter().map(|(text, _)| text.as_str()).collect();
    let expected: Vec<_> = texts.iter().map(|text| embed(&one, &[text]).remove(0)).collect();
    for handler in [&one, &two] {
        assert_eq!(embed(handler, &texts), expected);
        let backwards: Vec<&str> = texts.iter().rev().copied().collect();
        let found: Vec<_> = embed(handler, &backwards).into_iter().rev().collect();
        assert_eq!(found, expected);
        assert_eq!(embed(handler, &texts[..1])[0], expected[0]);
    }
    // Alone a long text is parted among the threads by rows, a short one by columns.
    for words in [10, 130, 300] {
        let text = "hello ".repeat(words);
        for threads in ["2", "3"] {
            let several = handler(&model(), &[("EMBED_THREADS", threads)]);
            assert_eq!(embed(&several, &[&text]), embed(&one, &[&text]), "{words} words, {threads} threads");
        }
    }
}

#[test]
fn similar_texts_have_near_vectors() {
    needs!(model);
    let texts = ["How do I bake bread at home?", "A recipe for a crusty loaf.", "The stock market fell sharply today."];
    let reply = invoke(&handler(&model(), &[]), &json!({"inputs": texts}));
    let found = vectors(&reply["embeddings"]);
    let (near, far) = (cosine(&found[0], &found[1]), cosine(&found[0], &found[2]));
    println!("near {near:.4}, far {far:.4}");
    assert!(near > far + 0.3, "{near} and {far}");
}
