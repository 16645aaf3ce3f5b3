//! The bare loop: tokenize, run, take the first token's vector; texts side by side on sessions of one
//! thread each, no padding, no protocol, no checks. What is left to gain is measured against it.
//!
//! `bare FOLDER THREADS`: prints `ready` after the first vector, then for each line of standard input, a
//! JSON list of texts, the seconds that embedding it took. The library's path is ORT_DYLIB_PATH.

use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ort::session::Session;
use ort::value::TensorRef;
use tokenizers::Tokenizer;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a model folder");
    let threads: usize = arguments.next().expect("threads").parse().expect("a number");
    let environment = ort::init().build().expect("ONNX Runtime");
    let graph = ["model.ort", "model.onnx"].map(|name| Path::new(&folder).join(name)).into_iter().find(|path| path.exists());
    let graph = std::fs::read(graph.expect("a model file")).expect("the model");
    let build = |_| {
        let builder = Session::builder(&environment).and_then(|b| Ok(b.with_intra_threads(1)?));
        builder.and_then(|mut b| b.commit_from_memory(&graph)).expect("a session")
    };
    let mut sessions: Vec<Session> = (0..threads).map(build).collect();
    let mut tokenizer = Tokenizer::from_file(Path::new(&folder).join("tokenizer.json")).expect("a tokenizer");
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).expect("no truncation");
    embed(&mut sessions, &tokenizer, &["what does a cold start cost?".to_owned()]);
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let texts: Vec<String> = serde_json::from_str(&line.expect("a line")).expect("a list of texts");
        let started = Instant::now();
        embed(&mut sessions, &tokenizer, &texts);
        println!("{}", started.elapsed().as_secs_f64());
    }
}

fn embed(sessions: &mut [Session], tokenizer: &Tokenizer, texts: &[String]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for session in sessions {
            let next = &next;
            scope.spawn(move || {
                while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let encoding = tokenizer.encode_fast(text.as_str(), true).expect("ids");
                    let mut ids: Vec<i64> = encoding.get_ids().iter().map(|&id| i64::from(id)).collect();
                    ids.truncate(512);
                    let vector = run(session, &ids);
                    assert!(vector.iter().all(|value| value.is_finite()));
                }
            });
        }
    });
}

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
    values[..*shape.last().expect("a width") as usize].to_vec()
}
