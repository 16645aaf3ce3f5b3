//! The events that `aws_lambda_events` ships for its own tests: each gets the answer of its kind.

use std::path::PathBuf;
use std::process::Command;

use lambda_embed::observability::call::Call;
use serde_json::Value;

use crate::support::harness::{block_on, fixture_handler, root};

/// HTTP requests of front doors that are served.
const REQUESTS: [&str; 20] = [
    "alb-lambda-target-request-headers-only",
    "alb-lambda-target-request-multivalue-headers",
    "apigw-console-request",
    "apigw-console-test-request",
    "apigw-request",
    "apigw-request-catch-all",
    "apigw-request-multi-value-parameters",
    "apigw-restapi-openapi-request",
    "apigw-sam-http-request",
    "apigw-sam-rest-request",
    "apigw-v2-request-iam",
    "apigw-v2-request-jwt-authorizer",
    "apigw-v2-request-lambda-authorizer",
    "apigw-v2-request-multi-value-parameters",
    "apigw-v2-request-no-authorizer",
    "apigw-websocket-request",
    "vpc-lattice-v1-request",
    "vpc-lattice-v2-request",
    "vpc-lattice-v2-request-base64",
    "vpc-lattice-v2-request-roles-anywhere",
];

/// Changes of S3 and messages that may hold them, for which a function has to have an output.
const DOCUMENTS: [&str; 4] = ["s3-event", "s3-event-with-decoded", "sqs-event", "sqs-event-obj"];

/// The folder in the crate's source, where cargo keeps it.
fn fixtures() -> PathBuf {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or("cargo".to_owned()));
    // Of other platforms' crates a new machine has none.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform]);
    let metadata = cargo.current_dir(root()).output().unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "aws_lambda_events").unwrap();
    PathBuf::from(package["manifest_path"].as_str().unwrap()).parent().unwrap().join("src/fixtures")
}

#[test]
fn each_of_awss_events_has_a_defined_answer() {
    let handler = fixture_handler();
    let (mut requests, mut documents, mut warm, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for path in std::fs::read_dir(fixtures()).unwrap().map(|file| file.unwrap().path()) {
        let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_prefix("example-") else { continue };
        let name = name.trim_end_matches(".json").to_owned();
        count += 1;
        match block_on(handler.handle(&std::fs::read(&path).unwrap(), &Call::default())) {
            Ok(reply) => {
                let reply: Value = serde_json::from_str(reply.get()).unwrap();
                if reply["status"] == "warm" {
                    warm.push(name);
                    continue;
                }
                let status = reply["statusCode"].as_u64().unwrap_or_else(|| panic!("{name}: {reply}"));
                assert!(status < 500, "{name}: {reply}");
                requests.push(name);
            }
            Err(error) if error.to_string().contains("EMBED_OUTPUT") => documents.push(name),
            Err(error) => {
                let kind = error.kind().row().lambda_type;
                assert!(["Event.Unknown", "Request.Malformed"].contains(&kind), "{name}: {}", error.chain());
            }
        }
    }
    [&mut requests, &mut documents, &mut warm].into_iter().for_each(|names| names.sort());
    assert!(count >= 145, "{count} events");
    assert_eq!(requests, REQUESTS);
    assert_eq!(documents, DOCUMENTS);
    assert_eq!(warm, ["eventbridge-schedule"]);
}
