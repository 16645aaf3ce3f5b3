//! fastembed-rs over a local model folder, driven line by line; see `tools/bench/peers.py`.
//!
//! `fastembed-rs FOLDER BATCH`: prints `ready` after the first vector, then for each line of standard
//! input, a JSON list of texts, the seconds that embedding it took.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a model folder");
    let batch: usize = arguments.next().expect("a batch size").parse().expect("a number");
    let read = |name: &str| std::fs::read(Path::new(&folder).join(name)).expect(name);
    let tokenizer = TokenizerFiles {
        tokenizer_file: read("tokenizer.json"),
        config_file: read("config.json"),
        special_tokens_map_file: read("special_tokens_map.json"),
        tokenizer_config_file: read("tokenizer_config.json"),
    };
    let model = UserDefinedEmbeddingModel::new(read("model.onnx"), tokenizer).with_pooling(Pooling::Cls);
    let mut model = TextEmbedding::try_new_from_user_defined(model, InitOptionsUserDefined::default()).expect("a model");
    model.embed(vec!["what does a cold start cost?"], Some(batch)).expect("a vector");
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let texts: Vec<String> = serde_json::from_str(&line.expect("a line")).expect("a list of texts");
        let started = Instant::now();
        let vectors = model.embed(&texts, Some(batch)).expect("vectors");
        assert_eq!(vectors.len(), texts.len());
        println!("{}", started.elapsed().as_secs_f64());
    }
}
