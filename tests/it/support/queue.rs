//! A queue of the S3 server's own, which its buckets notify, and the part of Lambda that empties it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::function::{Function, LONG};
use crate::support::s3_server::{Bucket, address};
use crate::support::server::http;

/// The account that the server gives everyone.
const ACCOUNT: &str = "123456789012";

pub struct Queue {
    server: &'static str,
    url: String,
    name: String,
}

impl Queue {
    /// A queue whose messages show again after a second.
    pub fn new(test: &str) -> Self {
        let (server, name) = (address(), format!("{test}-{}", std::process::id()));
        let mut queue = Self { server, url: String::new(), name };
        let attributes = json!({"VisibilityTimeout": "1"});
        let made = queue.ask("CreateQueue", json!({"QueueName": queue.name, "Attributes": attributes}));
        queue.url = made["QueueUrl"].as_str().unwrap().to_owned();
        queue
    }

    /// Lets `bucket` tell this queue of every new object.
    pub fn hear_of(&self, bucket: &Bucket) {
        let name = &self.name;
        let configuration = format!(
            "<NotificationConfiguration><QueueConfiguration><Id>documents</Id>\
             <Queue>arn:aws:sqs:us-east-1:{ACCOUNT}:{name}</Queue><Event>s3:ObjectCreated:*</Event>\
             </QueueConfiguration></NotificationConfiguration>"
        );
        assert_eq!(bucket.request("PUT", "?notification", configuration.as_bytes()).0, 200);
    }

    /// Up to ten messages as Lambda hands them to a function; `None`: there are none to be seen now.
    pub fn receive(&self) -> Option<Value> {
        let received = self.ask("ReceiveMessage", json!({"QueueUrl": self.url, "MaxNumberOfMessages": 10}));
        let messages = received["Messages"].as_array().filter(|messages| !messages.is_empty())?;
        let record = |message: &Value| {
            json!({"messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"], "attributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{}", self.name)})
        };
        Some(json!({"Records": messages.iter().map(record).collect::<Vec<_>>()}))
    }

    /// Takes away what `reply` does not name as failed, as Lambda does.
    pub fn settle(&self, event: &Value, reply: &Value) {
        let failures = reply["batchItemFailures"].as_array().unwrap_or_else(|| panic!("{reply}"));
        for record in event["Records"].as_array().unwrap() {
            if !failures.iter().any(|failure| failure["itemIdentifier"] == record["messageId"]) {
                self.ask("DeleteMessage", json!({"QueueUrl": self.url, "ReceiptHandle": record["receiptHandle"]}));
            }
        }
    }

    /// Has a function that `start` makes work the queue off, and kills it in the middle of a call up to `kills` times;
    /// how often it did.
    pub fn work_off_with_kills(&self, kills: usize, random: &mut fastrand::Rng, start: impl Fn() -> Function) -> usize {
        // What an answer took, which says how soon a kill comes in the middle of one, on a machine of any speed.
        let mut answer_time = Duration::from_millis(200);
        let (mut function, mut killed, deadline) = (start(), 0, Instant::now() + Duration::from_secs(240));
        while self.waiting() > 0 {
            assert!(Instant::now() < deadline, "{} messages after {killed} kills", self.waiting());
            let Some(event) = self.receive() else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            function.api.send(&event);
            let patience = if killed < kills { answer_time.mul_f64(random.f64() * 1.5) } else { LONG };
            let asked = Instant::now();
            match function.api.report(patience) {
                Some(report) => {
                    answer_time = asked.elapsed();
                    self.settle(&event, &report.body);
                }
                None => {
                    // What it had was not acknowledged and shows again.
                    killed += 1;
                    function = start();
                }
            }
        }
        killed
    }

    /// Messages that are there, seen or not.
    pub fn waiting(&self) -> u64 {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let answer = self.ask("GetQueueAttributes", json!({"QueueUrl": self.url, "AttributeNames": names}));
        names.iter().map(|name| answer["Attributes"][name].as_str().unwrap().parse::<u64>().unwrap()).sum()
    }

    fn ask(&self, action: &str, body: Value) -> Value {
        let owner =
            "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0";
        let target = format!("AmazonSQS.{action}");
        let headers =
            [("authorization", owner), ("x-amz-target", &target), ("content-type", "application/x-amz-json-1.0")];
        let (status, _, answer) = http(self.server, "POST", "/", &headers, body.to_string().as_bytes());
        assert_eq!(status, 200, "{action}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap_or(Value::Null)
    }
}
