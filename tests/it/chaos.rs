//! A Runtime API that misbehaves, events that are none, and a model that fails: what is answered is right, and
//! the process goes on or ends as Lambda expects. `make chaos` runs it at length.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::function::{Function, LONG, peak};
use crate::harness::{Answer, Copy, embed, event, fixture_handler, handler, invoke, root, vectors};
use crate::runtime_api::{Delivery, Manner};

/// What may go wrong between Lambda and the function, in turn.
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

/// Of every call, though one of the manners leaves it out.
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

/// Sends `count` calls in every manner in turn, `beside` at once; each is answered once, with its own vector.
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

/// Fifty ways for an event to be broken: none is answered as if it were whole, none ends the process, none
/// is called a fault of ours.
#[test]
fn fifty_kinds_of_broken_event_are_refused_and_the_next_is_answered() {
    let function = Function::start(&[]);
    let broken = broken_events();
    assert!(broken.len() >= 50, "{}", broken.len());
    for text in &broken {
        let report = function.answer_to(Delivery::of(text.as_str()));
        eprintln!(
            "XX {} {} {:.70?}",
            report.kind,
            match report.kind {
                "response" => report.body["statusCode"].to_string(),
                _ => report.body["errorType"].to_string(),
            },
            text
        );
        match report.kind {
            "response" => {
                let status = report.body["statusCode"].as_u64().unwrap_or_else(|| panic!("{text}: {report:?}"));
                assert!((400..500).contains(&status), "{text}: {}", report.body);
            }
            _ => {
                let kind = report.body["errorType"].as_str().unwrap_or_default();
                assert!(report.body["errorMessage"].as_str().is_some_and(|m| m.len() > 10), "{text}: {report:?}");
                assert!(!kind.contains("Internal") && !kind.contains("panic"), "{text}: {report:?}");
            }
        }
        assert_eq!(function.answer(&json!({"inputs": "hello"})).kind, "response", "after {text}");
    }
}

fn broken_events() -> Vec<String> {
    let good = event("POST", "/embed", &[("content-type", "application/json")], r#"{"inputs": "a"}"#);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut event = good.clone();
        change(&mut event);
        event.to_string()
    };
    let body = |body: &str| with(&|event| event["body"] = body.into());
    let mut broken: Vec<String> = [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "null",
        "true",
        "5",
        "\"text\"",
        "[]",
        "[1, 2]",
        "{}",
        "{\"a\": }",
        "{'inputs': 'a'}",
        "{\"inputs\": \"\\ud800\"}",
        "{\"inputs\": 1e999}",
        "\u{feff}{}",
        "{\"inputs\": null}",
        "{\"inputs\": {}}",
        "{\"inputs\": [[]]}",
        "{\"inputs\": []}",
        "{\"input\": [1, 2]}",
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
    ]
    .map(str::to_owned)
    .into();
    broken.push("[".repeat(100_000));
    broken.push(format!("{{\"inputs\": {}", "[".repeat(100_000)));
    broken.push(good.to_string()[..good.to_string().len() / 2].to_owned());
    broken.push(with(&|event| event["isBase64Encoded"] = true.into()));
    broken.push(with(&|event| event["isBase64Encoded"] = "yes".into()));
    broken.push(with(&|event| event["requestContext"]["http"]["method"] = "G E T".into()));
    broken.push(with(&|event| event["headers"]["content-encoding"] = "gzip".into()));
    broken.push(with(&|event| event["headers"]["content-encoding"] = "br".into()));
    broken.push(with(&|event| event["headers"]["content-type"] = "text/html".into()));
    broken.push(with(&|event| event["headers"]["bad name"] = "a".into()));
    broken.push(with(&|event| event["headers"]["x"] = "line\nbreak".into()));
    broken.push(with(&|event| event["headers"] = json!(["a"])));
    broken.push(with(&|event| event["body"] = json!({"inputs": "a"})));
    broken.push(with(&|event| event["body"] = Value::Null));
    broken.push(with(&|event| event["rawPath"] = "/../../etc/passwd".into()));
    broken.push(with(&|event| event["rawPath"] = 5.into()));
    broken.extend(["", "null", "[]", "{\"inputs\": 5}", "{\"inputs\": \"a\", \"truncate\": 5}", "\u{0}"].map(body));
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
    // A stock export: its `Gather` fails on such an id, where ours takes a row of zeros.
    let stock = root().join("models/fixture-stock");
    let folder = Copy::of(&stock, "failing-run");
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
    // The operator reads of it at the level of faults, with the cause that the caller does not see.
    let function = Function::start(&[("EMBED_MODEL_DIR", folder.0.to_str().unwrap())]);
    assert_eq!(function.answer(&json!({"inputs": "hello"})).kind, "error");
    let logged = function.lines("invocation").remove(0);
    assert_eq!((logged["level"].as_str(), logged["outcome"].as_str()), (Some("ERROR"), Some("Runtime.Internal")));
    // A token id stands for a word of the caller's.
    let cause = logged["cause"].as_str().unwrap();
    assert!(cause.contains("Gather") && cause.contains("idx=#") && !cause.contains("30000000"), "{logged}");
}
