//! The bare loop: tokenize, run, take the first token's vector; texts side by side on sessions of one thread each, no
//! padding, no protocol, no checks. The difference to it is all that lambda-embed could still gain.
//!
//! `bare FOLDER THREADS`, a folder with `model.ort`, which has our own operators, or `model.onnx`. The library's path is
//! ORT_DYLIB_PATH.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use operators::InstructionSet;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use tokenizers::Tokenizer;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a model folder");
    let threads: usize = arguments.next().expect("threads").parse().expect("a number");
    let environment = ort::init().build().expect("ONNX Runtime");
    let ours = Path::new(&folder).join("model.ort");
    // A graph in ORT format is final; optimising it again makes it slower.
    let (path, level) = match ours.exists() {
        true => (ours, GraphOptimizationLevel::Disable),
        false => (Path::new(&folder).join("model.onnx"), GraphOptimizationLevel::All),
    };
    let graph = std::fs::read(path).expect("the model");
    let build = |_| {
        let builder = Session::builder(&environment).and_then(|b| Ok(b.with_intra_threads(1)?));
        let builder = builder.and_then(|b| Ok(b.with_optimization_level(level)?));
        let builder = builder.and_then(|b| Ok(b.with_operators(operators::domain(1, InstructionSet::best())?)?));
        builder.and_then(|mut b| b.commit_from_memory(&graph)).expect("a session")
    };
    let mut sessions: Vec<Session> = (0..threads).map(build).collect();
    let mut tokenizer = Tokenizer::from_file(Path::new(&folder).join("tokenizer.json")).expect("a tokenizer");
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).expect("no truncation");
    peers::serve(|texts| embed(&mut sessions, &tokenizer, texts));
}

fn embed(sessions: &mut [Session], tokenizer: &Tokenizer, texts: &[String]) -> Vec<Vec<f32>> {
    let next = AtomicUsize::new(0);
    let vectors = Mutex::new(vec![Vec::new(); texts.len()]);
    std::thread::scope(|scope| {
        for session in sessions {
            let (next, vectors) = (&next, &vectors);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(text) = texts.get(place) else { break };
                    let encoding = tokenizer.encode_fast(text.as_str(), true).expect("ids");
                    let mut ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
                    ids.truncate(512);
                    let vector = run(session, &ids);
                    vectors.lock().expect("no panic")[place] = vector;
                }
            });
        }
    });
    vectors.into_inner().expect("no panic")
}

/// The unit vector of one text.
fn run(session: &mut Session, ids: &[i64]) -> Vec<f32> {
    let names: Vec<String> = session.inputs().iter().map(|input| input.name().to_owned()).collect();
    let (ones, zeros) = (vec![1; ids.len()], vec![0; ids.len()]);
    let inputs: Vec<_> = names
        .iter()
        .map(|name| {
            let data: &[i64] = match name.as_str() {
                "attention_mask" => &ones,
                "token_type_ids" => &zeros,
                _ => ids,
            };
            (name.as_str(), TensorRef::from_array_view(([1, ids.len()], data)).expect("a tensor"))
        })
        .collect();
    let outputs = session.run(inputs).expect("a run");
    let (shape, values) = outputs[0].try_extract_tensor::<f32>().expect("floats");
    let first = &values[..*shape.last().expect("a width") as usize];
    let length = first.iter().map(|value| value * value).sum::<f32>().sqrt();
    first.iter().map(|value| value / length).collect()
}
