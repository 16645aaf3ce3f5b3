//! AWS's own sample events (`sam local generate-event`, every service): served, or refused with a clear error.

use lambda_embed::call::Call;
use serde_json::Value;

use crate::harness::{Answer, block_on, fixture_handler, root};

/// Samples whose source is served; each gets an answer in its door's shape.
const SERVED: [&str; 3] = ["alb.request", "apigateway.aws-proxy", "apigateway.http-api-proxy"];

#[test]
fn every_sample_is_served_or_refused_clearly() {
    let folder = root().join("target/sample-events");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not here; `make samples` brings it", folder.display());
        return;
    };
    let handler = fixture_handler();
    let mut served = Vec::new();
    let mut refused = 0;
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let event = std::fs::read(&path).unwrap();
        match block_on(handler.handle(&event, &Call::default())) {
            Ok(reply) => {
                let reply: Value = serde_json::from_str(reply.get()).unwrap();
                let answer = Answer::of(&reply);
                // Their paths and bodies are nobody's of ours, and the answer says so.
                assert!((200..500).contains(&answer.status), "{name}: {reply}");
                assert!(answer.json()["error"].as_str().is_some_and(|message| message.len() > 20), "{name}: {reply}");
                served.push(name);
            }
            // An event of S3, which this function has no output for.
            Err(error) if error.to_string().contains("expected s3://bucket/prefix, below which") => refused += 1,
            Err(error) => {
                let row = error.kind().row();
                assert!(row.status < 500 && !row.retryable, "{name}: {}", error.chain());
                let message = error.to_string();
                let said = ["direct invocation", "looks like", "no event of S3"];
                assert!(said.iter().any(|words| message.contains(words)), "{name}: {message}");
                refused += 1;
            }
        }
    }
    served.sort();
    assert_eq!(served, SERVED);
    assert!(refused > 50, "{refused} samples were refused");
}
