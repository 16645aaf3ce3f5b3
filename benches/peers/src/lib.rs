//! Shared by the peers in Rust: lists of texts in on standard input, seconds out. `tools/bench/peers.py` has the other
//! end.

use std::io::BufRead;
use std::time::Instant;

use serde_json::json;

/// For each line of standard input, a JSON list of texts, prints the seconds that embedding them took and the first
/// one's vector. `embed` gives a vector for each text, in order.
pub fn serve(mut embed: impl FnMut(&[String]) -> Vec<Vec<f32>>) {
    for line in std::io::stdin().lock().lines() {
        let texts: Vec<String> = serde_json::from_str(&line.expect("a line")).expect("a list of texts");
        let started = Instant::now();
        let vectors = embed(&texts);
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(vectors.len(), texts.len());
        println!("{}", json!({"seconds": seconds, "first": vectors[0]}));
    }
}
