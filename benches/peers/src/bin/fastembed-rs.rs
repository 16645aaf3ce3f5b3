//! fastembed-rs: `fastembed-rs FOLDER BATCH`, the folder with a hub's files, `model.onnx` among them.

use std::path::Path;

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
    let mut model =
        TextEmbedding::try_new_from_user_defined(model, InitOptionsUserDefined::default()).expect("a model");
    peers::serve(|texts| model.embed(texts, Some(batch)).expect("vectors"));
}
