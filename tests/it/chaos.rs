//! A Runtime API that misbehaves, broken events, and a model that fails: every answer is right, and the process goes on
//! or ends as Lambda expects. `make chaos` runs it at length.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::function::{Function, LONG, peak};
use crate::support::harness::{Answer, FolderCopy, embed, event, fixture_handler, handler, invoke, root, vectors};
use crate::support::runtime_api::{Delivery, Manner};

/// Faults between Lambda and the function, which take turns.
const MANNERS: [Manner; 10] = [
    Manner::Plain,
    Manner::Slow(Duration::from_millis(20)),
    Manner::Drop,
    Manner::Plain,
    Manner::Cut,
    Manner::LoseReceipt,
    Manner::RefuseReport,
    Manner::Plain,
    Manner::Refuse,
    Manner::Without("lambda-runtime-trace-id"),
];

/// The trace header of every call; one of the manners leaves it out.
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

/// Sends `count` calls, `beside` at once, each in the next manner; each is answered once, with its own vector.
fn storm(count: usize, beside: usize, variables: &[(&str, &str)]) {
    let mut function = Function::start(variables);
    let words = |number: usize| format!("call number {number} of many");
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    let (mut sent, mut ends) = (0, 0);
    // A call takes milliseconds, and a restart less than a second: a call that is lost fails the test.
    let end = Instant::now() + LONG + Duration::from_secs(1) * count as u32;
    while sent < count || !open.is_empty() {
        while sent < count && open.len() < beside {
            let event = json!({"inputs": words(sent)}).to_string();
            let delivery = Delivery { trace: Some(TRACE), ..Delivery::of(event) };
            let id = function.api.deliver(delivery.in_manner(MANNERS[sent % MANNERS.len()]));
            open.insert(id, sent);
            sent += 1;
        }
        match function.api.report(Duration::from_millis(500)) {
            Some(report) => {
                let number = open.remove(&report.id).unwrap_or_else(|| panic!("answered twice: {report:?}"));
                assert_eq!(report.kind, "response", "{report:?}");
                let expected = embed(&fixture_handler(), &[&words(number)]);
                assert_eq!(vectors(&report.body["embeddings"]), expected, "call {number}");
            }
            // A 500 in place of an event ends the process, as Lambda's documentation asks.
            None => ends += usize::from(function.revive(variables)),
        }
        assert!(ends <= count / MANNERS.len() + 1, "{ends} ends: {}", function.written());
        assert!(Instant::now() < end, "never answered: {open:?}: {}", function.written());
    }
    let traced = function.lines("invocation").iter().filter(|line| line["xrayTraceId"] == TRACE).count();
    let without = function.lines("invocation").iter().filter(|line| line.get("xrayTraceId").is_none()).count();
    assert!(traced > 0 && without >= count / MANNERS.len(), "{traced} calls with a trace, {without} without");
    println!("{count} calls in {} manners, {beside} at once: each answered once; {ends} restarts", MANNERS.len());
}

#[test]
fn whatever_the_runtime_api_does_every_call_is_answered_once() {
    storm(40, 1, &[]);
}

#[test]
#[ignore = "`make chaos` runs it"]
fn whatever_the_runtime_api_does_every_call_is_answered_once_at_length() {
    storm(2_000, 1, &[]);
}

#[test]
fn a_lost_connection_is_asked_for_again_and_a_500_ends_the_process() {
    let mut function = Function::start(&[]);
    for manner in [Manner::Drop, Manner::Cut, Manner::Drop, Manner::LoseReceipt] {
        let id = function.api.deliver(Delivery::of(r#"{"inputs": "hello"}"#).in_manner(manner));
        assert_eq!(function.api.report(LONG).unwrap().id, id, "{manner:?}");
    }
    assert!(function.end(Duration::from_millis(300)).is_none(), "{}", function.written());
    function.api.deliver(Delivery::of(r#"{"inputs": "hello"}"#).in_manner(Manner::Refuse));
    assert!(!function.end(LONG).unwrap().success());
    let last = function.written().lines().last().unwrap_or_default().to_owned();
    assert!(last.contains("Runtime API"), "{}", function.written());
}

/// More than fifty broken events: each is refused with the right error type, none ends the process, and the next call
/// is answered.
#[test]
fn every_kind_of_broken_event_is_refused_by_name_and_the_next_is_answered() {
    let function = Function::start(&[]);
    let broken = broken_events();
    assert!(broken.len() >= 50, "{}", broken.len());
    for (expected, text) in &broken {
        let report = function.answer_to(Delivery::of(text.as_str()));
        match report.kind {
            "response" => assert_eq!(report.body["statusCode"].to_string(), *expected, "{text}: {report:?}"),
            _ => {
                assert_eq!(report.body["errorType"], *expected, "{text}: {report:?}");
                assert!(report.body["errorMessage"].as_str().is_some_and(|m| m.len() > 10), "{text}: {report:?}");
            }
        }
        assert_eq!(function.answer(&json!({"inputs": "hello"})).kind, "response", "after {text}");
    }
}

/// Broken events, each with its error's type, or with the status of the response if the event source expects one.
fn broken_events() -> Vec<(&'static str, String)> {
    let good = event("POST", "/embed", &[("content-type", "application/json")], r#"{"inputs": "a"}"#);
    let mut broken = vec![
        ("Request.Malformed", "[".repeat(100_000)),
        ("Request.Malformed", format!("{{\"inputs\": {}", "[".repeat(100_000))),
        ("Request.Malformed", good.to_string()[..good.to_string().len() / 2].to_owned()),
    ];
    let mut plain = |expected, events: &[&str]| broken.extend(events.iter().map(|event| (expected, event.to_string())));
    plain(
        "Request.Malformed",
        &[
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "{\"a\": }",
            "{'inputs': 'a'}",
            "{\"inputs\": \"\\ud800\"}",
            "{\"inputs\": 1e999}",
        ],
    );
    plain(
        "Event.Unknown",
        &[
            "\u{feff}{}",
            "null",
            "true",
            "5",
            "\"text\"",
            "[]",
            "[1, 2]",
            "{}",
            "{\"inputs\": null}",
            "{\"inputs\": \"a\", \"inputs\": \"b\"}",
            "{\"Records\": []}",
            "{\"Records\": 5}",
            "{\"Records\": [{}]}",
            "{\"requestContext\": null}",
            "{\"requestContext\": {\"http\": 5}}",
            "{\"requestContext\": {\"elb\": []}}",
            "{\"requestContext\": [], \"httpMethod\": \"GET\"}",
            "{\"httpMethod\": \"GET\", \"path\": \"/health\"}",
            "{\"tasks\": []}",
            "{\"invocationSchemaVersion\": \"9.0\"}",
            "{\"detail-type\": \"?\", \"detail\": 5}",
        ],
    );
    plain("Request.Invalid", &["{\"inputs\": {}}", "{\"inputs\": [[]]}", "{\"input\": [-1]}"]);
    plain("Request.Empty", &["{\"inputs\": []}"]);
    let mut with = |expected, change: &dyn Fn(&mut Value)| {
        let mut event = good.clone();
        change(&mut event);
        broken.push((expected, event.to_string()));
    };
    with("400", &|event| event["isBase64Encoded"] = true.into());
    with("400", &|event| {
        event["isBase64Encoded"] = true.into();
        event["headers"]["content-encoding"] = "gzip".into();
        event["body"] = "bm8gZ3ppcA==".into();
    });
    with("Event.Unknown", &|event| event["requestContext"]["http"]["method"] = "G E T".into());
    with("415", &|event| event["headers"]["content-encoding"] = "br".into());
    with("415", &|event| event["headers"]["content-type"] = "text/html".into());
    with("400", &|event| event["body"] = Value::Null);
    with("404", &|event| event["rawPath"] = "/../../etc/passwd".into());
    let bodies = [
        ("400", ""),
        ("400", "null"),
        ("400", "[]"),
        ("422", "{\"inputs\": 5}"),
        ("422", "{\"inputs\": \"a\", \"truncate\": 5}"),
        ("400", "\u{0}"),
    ];
    for (expected, body) in bodies {
        with(expected, &|event| event["body"] = body.into());
    }
    broken
}

#[test]
fn an_event_of_six_megabytes_is_answered_and_a_larger_body_refused() {
    let function = Function::start(&[]);
    let answer = |word: &str, bytes: usize| {
        let body = json!({"inputs": word.repeat(bytes / word.len())}).to_string();
        Answer::of(&function.answer(&event("POST", "/embed", &[], &body)).body)
    };
    // Six million tokens read at once would take gigabytes.
    for word in ["x ", "!", "中"] {
        let large = answer(word, 6 * 1024 * 1024 - 2_000);
        assert_eq!((large.status, large.header("x-truncated")), (200, "0"));
    }
    let peak = peak(&function.process);
    assert!(peak < 192, "{peak} MB");
    assert_eq!(answer("x ", 6 * 1024 * 1024).status, 413);
    let texts: Vec<_> = (0..2_048).map(|number| format!("{number} {}", "word ".repeat(570))).collect();
    let body = json!({"input": texts, "encoding_format": "base64"}).to_string();
    assert!(body.len() > 5 << 20);
    assert_eq!(Answer::of(&function.answer(&event("POST", "/v1/embeddings", &[], &body)).body).status, 200);
    assert_eq!(function.answer(&json!({"inputs": "hello"})).kind, "response");
}

/// A tokenizer with an id that the graph's table does not have: ONNX Runtime itself fails on that text.
#[test]
fn a_run_that_fails_costs_its_call_and_no_other_call() {
    // A stock export, because its `Gather` fails on such an id; our graph takes a row of zeros.
    let stock = root().join("models/fixture-stock");
    let folder = FolderCopy::of(&stock, "failing-run");
    folder.change("tokenizer.json", |bytes| {
        let mut tokenizer: Value = serde_json::from_slice(bytes).unwrap();
        tokenizer["model"]["vocab"]["hello"] = 30_000_000.into();
        *bytes = serde_json::to_vec(&tokenizer).unwrap();
    });
    folder.seal();
    let failing = handler(&folder.0, &[("EMBED_THREADS", "2")]);
    let reference = embed(&handler(&stock, &[]), &["world peace"]);
    for _ in 0..3 {
        let answer = invoke(&failing, &event("POST", "/embed", &[], r#"{"inputs": ["world peace", "hello"]}"#));
        assert_eq!(answer["statusCode"], 500, "{answer}");
        assert!(!answer["body"].as_str().unwrap().contains("30000000"), "{answer}");
        assert_eq!(embed(&failing, &["world peace"]), reference);
    }
    let text = failing.prometheus();
    assert!(text.contains("embed_errors_total{error_type=\"Runtime.Internal\"} 3"), "{text}");
    // The log has it at level ERROR, with the cause that the caller does not see.
    let function = Function::start(&[("EMBED_MODEL_DIR", folder.0.to_str().unwrap())]);
    assert_eq!(function.answer(&json!({"inputs": "hello"})).kind, "error");
    let logged = function.lines("invocation").remove(0);
    assert_eq!((logged["level"].as_str(), logged["outcome"].as_str()), (Some("ERROR"), Some("Runtime.Internal")));
    // A token id would show a word of the caller's text.
    let cause = logged["cause"].as_str().unwrap();
    assert!(cause.contains("Gather") && cause.contains("idx=#") && !cause.contains("30000000"), "{logged}");
}
