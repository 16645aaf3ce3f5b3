//! AWS's own sample events (`sam local generate-event`, every service): served, or refused with a clear error.

use lambda_embed::observability::call::Call;
use serde_json::Value;

use crate::support::harness::{Answer, block_on, fixture_handler, root};

/// Samples whose source is served; each gets an answer in the shape of its source.
const SERVED: [&str; 3] = ["alb.request", "apigateway.aws-proxy", "apigateway.http-api-proxy"];

/// Samples that keep an instance warm.
const WARM: [&str; 1] = ["cloudwatch.scheduled-event"];

/// Samples of documents, for which a function has to have an output; `ingest_events` has them with one.
const DOCUMENTS: [&str; 5] =
    ["rekognition.s3-request", "s3.batch-invocation", "s3.delete", "s3.put", "sqs.receive-message"];

#[test]
fn every_sample_is_served_or_refused_clearly() {
    needs!(samples);
    let files = std::fs::read_dir(root().join("target/sample-events")).unwrap();
    let handler = fixture_handler();
    let (mut served, mut documents, mut warm, mut refused) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let event = std::fs::read(&path).unwrap();
        match block_on(handler.handle(&event, &Call::default())) {
            Ok(reply) => {
                let reply: Value = serde_json::from_str(reply.get()).unwrap();
                if reply["status"] == "warm" {
                    warm.push(name);
                    continue;
                }
                let answer = Answer::of(&reply);
                // Their paths are not our routes, and the answer says so.
                assert_eq!(answer.status, 404, "{name}: {reply}");
                assert!(answer.json()["error"].as_str().is_some_and(|message| message.len() > 20), "{name}: {reply}");
                served.push(name);
            }
            Err(error) => {
                let row = error.kind().row();
                assert!(row.status < 500 && !row.retryable, "{name}: {}", error.chain());
                // The message that the function's caller reads.
                let message = error.public_message();
                if message.contains("set EMBED_OUTPUT to") {
                    documents.push(name);
                    continue;
                }
                let said = ["direct invocation", "looks like", "no event of S3"];
                assert!(said.iter().any(|words| message.contains(words)), "{name}: {message}");
                refused += 1;
            }
        }
    }
    served.sort();
    documents.sort();
    assert_eq!(warm, WARM);
    assert_eq!(
        (served.as_slice(), documents.as_slice(), refused),
        (&SERVED.map(str::to_owned)[..], &DOCUMENTS.map(str::to_owned)[..], 59)
    );
}
