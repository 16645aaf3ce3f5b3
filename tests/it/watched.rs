//! Calls that end without a normal answer: each still writes one log line and one line of metrics.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::function::{Function, LONG};
use crate::support::harness::{Answer, event, fixture};
use crate::support::pipeline::{CREDENTIALS, created, document_function, notification};
use crate::support::runtime_api::Delivery;
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;
use crate::support::server::{Server, http};

/// The only log line of call `id`; its line of metrics must say the same.
fn told(function: &Function, id: &str) -> Value {
    let of = |lines: Vec<Value>, field: &str| -> Vec<Value> {
        lines.into_iter().filter(|line| line[field].as_str() == Some(id)).collect()
    };
    let mut logged = of(function.lines("invocation"), "requestId");
    let measured = of(function.lines("_aws"), "function_request_id");
    assert_eq!((logged.len(), measured.len()), (1, 1), "{}", function.written());
    let line = logged.remove(0);
    let outcome = line["outcome"].as_str().unwrap();
    assert_eq!(measured[0]["error_type"].as_str(), (outcome != "ok").then_some(outcome), "{}", measured[0]);
    assert_eq!(measured[0]["source"], line["source"]);
    line
}

#[test]
fn an_event_that_is_not_json_is_logged_as_malformed() {
    let function = Function::start(&[]);
    for (number, text) in ["", "{\"inputs\": ", "{'inputs': 'a'}", "zanzibarquux"].into_iter().enumerate() {
        let report = function.answer_to(Delivery::of(text));
        assert_eq!((report.kind, report.body["errorType"].as_str()), ("error", Some("Request.Malformed")), "{text}");
        assert!(report.body["errorMessage"].as_str().unwrap().contains("not JSON"), "{report:?}");
        let line = told(&function, &(number + 1).to_string());
        assert_eq!((&line["outcome"], &line["source"]), (&json!("Request.Malformed"), &json!("unknown")));
    }
}

#[test]
fn a_call_that_is_handed_back_is_logged_as_such() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("handed-docs"), Bucket::new("handed-vecs"));
    // S3 answers slowly, so the call takes long.
    let proxy = Proxy::before(documents.server, |_| Fault::Late(LONG));
    let mut function = document_function(&vectors, &proxy.address, &[]);
    let id = function.api.send(&notification(&[created(&documents.name, "a.txt")]));
    let asked = Instant::now();
    while proxy.requests() == 0 {
        assert!(asked.elapsed() < LONG, "{}", function.written());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").arg(function.process.id().to_string()).status().unwrap().success());
    let report = function.api.report(LONG).unwrap();
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("error", Some("Call.Stopping")));
    assert!(function.end(LONG).unwrap().success());
    let line = told(&function, &id);
    assert_eq!((&line["outcome"], &line["source"]), (&json!("Call.Stopping"), &json!("s3")), "{line}");
}

#[test]
fn a_documents_log_line_says_where_its_time_went() {
    needs!(s3);
    let (documents, vectors) = (Bucket::new("times-docs"), Bucket::new("times-vecs"));
    let function = document_function(&vectors, documents.server, &[]);
    documents.put("a.txt", &[], "A text of some length. ".repeat(200).as_bytes());
    let report = function.answer(&notification(&[created(&documents.name, "a.txt")]));
    assert_eq!(report.body["embedded"], 1, "{report:?}");
    let line = told(&function, &report.id);
    for time in ["tokenize_ms", "run_ms", "read_ms", "write_ms"] {
        assert!(line[time].as_f64().is_some_and(|ms| ms > 0.0), "{time}: {line}");
    }
    let metrics = function.lines("_aws").remove(0);
    for metric in ["TokenizeTime", "RunTime", "ReadTime", "WriteTime"] {
        assert!(metrics[metric].as_f64().is_some_and(|ms| ms > 0.0), "{metric}: {metrics}");
    }
    let document = function.lines("document").remove(0);
    assert_eq!((&document["requestId"], &document["outcome"]), (&json!(report.id), &json!("embedded")));
    assert_eq!((&document["chunks"], &document["tokens"]), (&line["texts"], &line["tokens"]));
}

#[test]
fn calls_before_the_model_is_loaded_are_logged_too() {
    needs!(s3);
    let bucket = Bucket::with_model("told-early", &fixture());
    // Slow enough that the fetch takes longer than the init waits and than this test runs.
    let proxy = Proxy::before(bucket.server, |seen| match seen.path.contains("model.ort") {
        true => Fault::Slow(100, Duration::from_millis(500)),
        false => Fault::None,
    });
    let (endpoint, model) = (format!("http://{}", proxy.address), bucket.url());
    let cache = std::env::temp_dir().join(format!("lambda-embed-told-early-{}", std::process::id()));
    let own = [
        ("EMBED_MODEL_DIR", ""),
        ("EMBED_MODEL_S3", model.as_str()),
        ("EMBED_CACHE_DIR", cache.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
    ];
    let function = Function::start(&[&own[..], &CREDENTIALS].concat());
    let health = function.answer(&event("GET", "/health", &[], ""));
    assert_eq!(Answer::of(&health.body).status, 503);
    let line = told(&function, &health.id);
    assert_eq!((&line["outcome"], &line["status"], &line["cold_start"]), (&json!("ok"), &json!(503), &json!(true)));
    let late = Delivery::of(r#"{"inputs": "hello"}"#).with_time(None);
    let report = function.answer_to(late);
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("error", Some("Call.Deadline")));
    let line = told(&function, &report.id);
    assert_eq!((&line["source"], &line["cold_start"]), (&json!("direct"), &json!(false)));
    drop(function);
    let _ = std::fs::remove_dir_all(cache);
}

#[test]
fn serve_counts_unreadable_requests_and_clients_that_went_away() {
    let server = Server::start();
    let counted = |line: &str| {
        let (_, _, page) = http(&server.address, "GET", "/metrics", &[], b"");
        String::from_utf8(page).unwrap().lines().any(|found| found == line)
    };
    let within = |line: &str| {
        let asked = Instant::now();
        while !counted(line) {
            assert!(asked.elapsed() < LONG, "{line} is not there");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert_eq!(http(&server.address, "POST", "/embed", &[], &vec![b' '; 11 << 20]).0, 413);
    within("embed_errors_total{error_type=\"Request.TooLarge\"} 1");
    let mut client = TcpStream::connect(&server.address).unwrap();
    write!(client, "POST /embed HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{{\"inputs\"").unwrap();
    within("embed_calls 1");
    drop(client);
    within("embed_calls 0");
    within("embed_invocations_total{source=\"http\"} 2");
    // A request that breaks off in its body cannot be read.
    assert!(counted("embed_errors_total{error_type=\"Request.Malformed\"} 1"));
    assert_eq!(server.metrics().matches("embed_errors_total{").count(), 2, "{}", server.metrics());
}
