//! S3 Batch Operations: tasks of schemas 1.0 and 2.0, and the response to them.
//!
//! | | 1.0 | 2.0 |
//! |---|---|---|
//! | bucket | `s3BucketArn` | `s3Bucket` |
//! | the job's user arguments | none | `job.userArguments` |
//!
//! The only argument, `force`, is `"true"` or `"false"`: whether to embed objects whose vectors exist already.
//! The key is URL-encoded in both, as in the manifest. Source: "Invoke AWS Lambda function" in S3's user guide.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::Maybe;
use super::s3_notification::{decode_key, malformed};
use crate::error::{Error, Kind, Result};
use crate::record::{Change, ChangeKind};

/// A call of a job.
#[derive(Debug)]
pub struct S3BatchJob {
    schema: String,
    invocation: String,
    pub tasks: Vec<S3BatchTask>,
}

/// One object of a job's manifest.
#[derive(Debug)]
pub struct S3BatchTask {
    pub id: String,
    pub change: Result<Change>,
}

/// A task's result, in S3's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TaskCode {
    Succeeded,
    /// The job retries the task.
    TemporaryFailure,
    PermanentFailure,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    invocation_schema_version: String,
    invocation_id: String,
    #[serde(default)]
    job: JobFields,
    tasks: Vec<TaskFields>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct JobFields {
    user_arguments: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskFields {
    task_id: String,
    #[serde(default)]
    s3_key: Maybe<String>,
    s3_version_id: Option<String>,
    #[serde(default)]
    s3_bucket_arn: Maybe<String>,
    #[serde(default)]
    s3_bucket: Maybe<String>,
}

impl S3BatchJob {
    /// Reads a job's event.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for another schema and for unknown arguments. A task's own error is in the task.
    pub fn read(json: &str) -> Result<Self> {
        let event: Event = serde_json::from_str(json).map_err(|e| malformed("batch job's event", e))?;
        if !matches!(event.invocation_schema_version.as_str(), "1.0" | "2.0") {
            let message = format!(
                "invocationSchemaVersion {:?} is not understood; create the job with 1.0 or 2.0",
                event.invocation_schema_version
            );
            return Err(Error::request(Kind::Malformed, None, message));
        }
        let force = force(&event.job.user_arguments.unwrap_or_default())?;
        Ok(Self {
            schema: event.invocation_schema_version,
            invocation: event.invocation_id,
            tasks: event.tasks.into_iter().map(|task| task.task(force)).collect(),
        })
    }

    /// The response to S3; `results` in the order of the tasks.
    pub fn response<'a>(&'a self, results: impl IntoIterator<Item = (TaskCode, String)>) -> S3BatchResponse<'a> {
        let results = self.tasks.iter().zip(results);
        let result =
            |(task, (code, text)): (&'a S3BatchTask, (TaskCode, String))| TaskResult { id: &task.id, code, text };
        S3BatchResponse {
            schema: &self.schema,
            // A task without a result was not done.
            missing: TaskCode::TemporaryFailure,
            invocation: &self.invocation,
            results: results.map(result).collect(),
        }
    }
}

impl TaskFields {
    fn task(self, force: bool) -> S3BatchTask {
        // An ARN of something else than a bucket stays whole, and is named by its kind later.
        let arn_bucket =
            self.s3_bucket_arn.0.map(|arn| arn.split_once(":::").map_or(arn.clone(), |(_, name)| name.to_owned()));
        let change = match (self.s3_bucket.0.or(arn_bucket), self.s3_key.0) {
            (None, _) => Err(malformed("batch job's task", "it names no bucket")),
            (_, None) => Err(malformed("batch job's task", "it names no key")),
            (Some(bucket), Some(key)) => decode_key(&key).map(|key| Change {
                kind: ChangeKind::Created,
                bucket,
                key,
                version: self.s3_version_id.filter(|version| !version.is_empty() && version != "null"),
                etag: None,
                sequencer: None,
                force,
            }),
        };
        S3BatchTask { id: self.task_id, change }
    }
}

/// Reads a job's arguments.
fn force(arguments: &BTreeMap<String, String>) -> Result<bool> {
    let mut force = false;
    for (name, value) in arguments {
        force = match (name.as_str(), value.as_str()) {
            ("force", "true") => true,
            ("force", "false") => false,
            _ => {
                let message = format!(
                    "the job's user argument {name}={value:?} is not understood; there is force, true or false"
                );
                return Err(Error::request(Kind::Malformed, None, message));
            }
        };
    }
    Ok(force)
}

#[derive(Debug, Serialize)]
pub struct S3BatchResponse<'a> {
    #[serde(rename = "invocationSchemaVersion")]
    schema: &'a str,
    #[serde(rename = "treatMissingKeysAs")]
    missing: TaskCode,
    #[serde(rename = "invocationId")]
    invocation: &'a str,
    results: Vec<TaskResult<'a>>,
}

#[derive(Debug, Serialize)]
struct TaskResult<'a> {
    #[serde(rename = "taskId")]
    id: &'a str,
    #[serde(rename = "resultCode")]
    code: TaskCode,
    /// Stands in the job's report.
    #[serde(rename = "resultString")]
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_schemas_name_their_object() {
        let first = json!({"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"}, "tasks":
            [{"taskId": "t", "s3Key": "a%2Bb+c", "s3VersionId": "1", "s3BucketArn": "arn:aws:s3:::source"}]});
        let second = json!({"invocationSchemaVersion": "2.0", "invocationId": "i",
            "job": {"id": "j", "userArguments": {"force": "true"}}, "tasks":
            [{"taskId": "t", "s3Key": "a%2Bb+c", "s3VersionId": null, "s3Bucket": "source"}]});
        for (event, version, force) in [(first, Some("1"), false), (second, None, true)] {
            let job = S3BatchJob::read(&event.to_string()).unwrap();
            let change = job.tasks[0].change.as_ref().unwrap();
            assert_eq!((change.bucket.as_str(), change.key.as_str()), ("source", "a+b c"));
            assert_eq!((change.version.as_deref(), change.force), (version, force));
        }
    }

    #[test]
    fn a_manifest_without_versions_names_none() {
        for (written, version) in [(json!(""), None), (json!("null"), None), (json!("v1"), Some("v1"))] {
            let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j"}, "tasks":
                [{"taskId": "t", "s3Key": "k", "s3VersionId": written, "s3Bucket": "b"}]});
            let job = S3BatchJob::read(&event.to_string()).unwrap();
            assert_eq!(job.tasks[0].change.as_ref().unwrap().version.as_deref(), version);
        }
    }

    #[test]
    fn the_answer_repeats_what_was_asked() {
        let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j"}, "tasks":
            [{"taskId": "t", "s3Key": "%FF", "s3Bucket": "b"}]});
        let job = S3BatchJob::read(&event.to_string()).unwrap();
        assert!(job.tasks[0].change.is_err());
        let response = job.response([(TaskCode::PermanentFailure, "why".to_owned())]);
        assert_eq!(
            serde_json::to_value(response).unwrap(),
            json!({"invocationSchemaVersion": "2.0", "treatMissingKeysAs": "TemporaryFailure", "invocationId": "i",
                "results": [{"taskId": "t", "resultCode": "PermanentFailure", "resultString": "why"}]})
        );
    }

    #[test]
    fn an_argument_that_there_is_not_is_refused_with_the_one_there_is() {
        for (name, value) in [("forced", "true"), ("force", "yes")] {
            let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [],
                "job": {"id": "j", "userArguments": {name: value}}});
            let message = S3BatchJob::read(&event.to_string()).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("there is force, true or false"), "{message}");
        }
    }

    #[test]
    fn a_task_without_a_key_fails_alone_and_what_is_not_used_may_be_anything() {
        let event = json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": 5}, "odd": [], "tasks":
            [{"taskId": "t", "s3Key": 5, "s3Bucket": "b"}, {"taskId": "u", "s3Key": "k", "s3Bucket": "b", "s3BucketArn": 5}]});
        let job = S3BatchJob::read(&event.to_string()).unwrap();
        assert_eq!(job.tasks.iter().map(|task| task.change.is_ok()).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn another_schema_is_refused_with_those_there_are() {
        let event = json!({"invocationSchemaVersion": "3.0", "invocationId": "i", "job": {}, "tasks": []});
        assert!(S3BatchJob::read(&event.to_string()).unwrap_err().to_string().contains("1.0 or 2.0"));
    }
}
