//! Token ids against the reference tokenizer's, on texts that are difficult to tokenise.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::harness::{Answer, event, handler, invoke, model, root};

/// The ids that `/tokenize` reports for `text`.
fn ids(handler: &lambda_embed::handler::Handler, text: &str) -> Vec<u32> {
    let body = json!({"inputs": text}).to_string();
    let answer = Answer::of(&invoke(handler, &event("POST", "/tokenize", &[], &body)));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let tokens = answer.json();
    tokens[0].as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap() as u32).collect()
}

#[test]
fn ids_equal_the_reference_tokenizers() {
    needs!(model);
    let handler = handler(&model(), &[("EMBED_MAX_RESPONSE_BYTES", "100000000")]);
    let golden = std::fs::read_to_string(root().join("tests/goldens/tokens.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    for entry in golden["texts"].as_array().unwrap() {
        let (text, times) = (entry["text"].as_str().unwrap(), entry["times"].as_u64().unwrap() as usize);
        let found = ids(&handler, &text.repeat(times));
        assert_eq!(found.len() as u64, entry["count"].as_u64().unwrap(), "{text:?}");
        match entry.get("ids") {
            Some(expected) => assert_eq!(json!(found), *expected, "{text:?}"),
            None => {
                let bytes: Vec<u8> = found.iter().flat_map(|id| id.to_le_bytes()).collect();
                let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hash, entry["sha256"].as_str().unwrap(), "{text:?}");
            }
        }
    }
}

#[test]
fn a_text_of_any_kind_is_embedded() {
    needs!(model);
    let handler = handler(&model(), &[]);
    let golden = std::fs::read_to_string(root().join("tests/goldens/tokens.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let entries = golden["texts"].as_array().unwrap();
    let texts: Vec<String> = entries
        .iter()
        .map(|entry| entry["text"].as_str().unwrap().repeat(entry["times"].as_u64().unwrap() as usize))
        .collect();
    let reply = invoke(&handler, &json!({"inputs": texts}));
    assert_eq!(reply["embeddings"].as_array().unwrap().len(), texts.len());
    // 10,000 words are the only ones beyond 512 tokens: a million letters in a row are one unknown word.
    assert_eq!(reply["truncated"], json!([3]));
}
