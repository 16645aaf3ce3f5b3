//! The sample events under `events/`.

use serde_json::Value;

use crate::support::harness::root;

/// The samples of new content; all name the same object.
pub const CREATED: [&str; 9] = [
    "s3-put",
    "sqs-s3",
    "sqs-eventbridge",
    "sns-s3",
    "sqs-sns-s3",
    "eventbridge-object-created",
    "eventbridge-cloudtrail-put",
    "s3-batch-1",
    "s3-batch-2",
];

/// The other samples of S3: of an object that is gone, or of none.
const OTHERS: [&str; 4] = ["s3-test", "s3-removed", "eventbridge-cloudtrail-delete", "eventbridge-tags-added"];

/// Whether the event `sample` is for a function that takes documents.
pub fn is_of_documents(sample: &str) -> bool {
    CREATED.iter().chain(&OTHERS).any(|name| *name == sample)
}

/// A sample event by its name without `.json`.
pub fn sample(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join(format!("events/{name}.json"))).unwrap()).unwrap()
}
