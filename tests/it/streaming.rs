//! `EMBED_RESPONSE_STREAM=on`: what the Runtime API is sent, byte by byte.

use serde_json::{Value, json};

use crate::support::function::Function;
use crate::support::harness::{Answer, FolderCopy, event, fixture_handler, invoke, root};
use crate::support::runtime_api::{Delivery, Report};
use crate::support::sample_events::sample;

const ON: (&str, &str) = ("EMBED_RESPONSE_STREAM", "on");

/// A Function URL's event.
fn url_event(method: &str, path: &str, body: &Value) -> Value {
    let mut event = sample("function-url-embed");
    (event["rawPath"], event["body"]) = (path.into(), body.to_string().into());
    event["requestContext"]["http"]["method"] = method.into();
    event["isBase64Encoded"] = false.into();
    event
}

/// A streamed response: what stands before the eight zeros, as JSON, and what stands behind them.
fn taken_apart(report: &Report) -> (Value, &[u8]) {
    assert_eq!(report.kind, "response", "{}", report.body);
    let head = report.head.to_lowercase();
    for line in [
        "content-type: application/vnd.awslambda.http-integration-response",
        "lambda-runtime-function-response-mode: streaming",
        "transfer-encoding: chunked",
    ] {
        assert!(head.contains(line), "{line} is not in:\n{head}");
    }
    let zeros = report.bytes.windows(8).position(|window| window == [0; 8]).expect("eight zeros");
    (serde_json::from_slice(&report.bytes[..zeros]).unwrap(), &report.bytes[zeros + 8..])
}

#[test]
fn an_answer_is_streamed_with_the_bytes_of_the_whole() {
    let function = Function::start(&[ON]);
    // More than one piece, and the last one not full.
    let texts: Vec<_> = (0..150).map(|number| format!("text {number}")).collect();
    for (path, body) in [
        ("/v1/embeddings", json!({"input": texts})),
        ("/v1/embeddings", json!({"input": texts, "encoding_format": "base64", "dimensions": 32})),
        ("/embed", json!({"inputs": texts, "truncate": "mean", "normalize": false})),
        ("/api/embed", json!({"model": "fixture:latest", "input": texts})),
        ("/embed", json!({"inputs": "one"})),
    ] {
        let report = function.answer(&url_event("POST", path, &body));
        let (prelude, bytes) = taken_apart(&report);
        let whole = Answer::of(&invoke(&fixture_handler(), &event("POST", path, &[], &body.to_string())));
        assert!(bytes == whole.text.as_bytes(), "{path}: {} bytes, {} of the whole", bytes.len(), whole.text.len());
        assert_eq!((prelude["statusCode"].as_u64(), prelude["cookies"].clone()), (Some(200), json!([])));
        for name in ["content-type", "x-model-id", "x-compute-tokens", "x-compute-characters"] {
            assert_eq!(prelude["headers"][name], whole.headers[name], "{name}");
        }
    }
    let mut rest = sample("rest-embed");
    rest["body"] = json!({"input": ["hello ".repeat(99), "a".to_owned()]}).to_string().into();
    let report = function.answer(&rest);
    let (prelude, bytes) = taken_apart(&report);
    assert_eq!(prelude["headers"]["x-truncated"], "0");
    assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap()["data"].as_array().unwrap().len(), 2);
    // A call's line is written when its answer has ended.
    let line = function.lines("invocation").remove(0);
    assert_eq!(
        (line["texts"].as_u64(), line["status"].as_u64(), line["outcome"].as_str()),
        (Some(150), Some(200), Some("ok"))
    );
}

#[test]
fn every_answer_of_such_a_door_is_streamed_and_no_answer_of_another() {
    let function = Function::start(&[ON, ("EMBED_CORS_ORIGINS", "*")]);
    for (method, path, body, status) in [
        ("GET", "/health", Value::Null, 200),
        ("POST", "/v1/embeddings", json!({"input": 5}), 400),
        ("POST", "/embed", json!({"inputs": []}), 400),
        ("POST", "/similarity", json!({"inputs": {"source_sentence": "a", "sentences": ["b"]}}), 200),
        ("GET", "/nowhere", Value::Null, 404),
    ] {
        let mut event = url_event(method, path, &body);
        event["headers"]["origin"] = "https://a.example".into();
        let report = function.answer(&event);
        let (prelude, bytes) = taken_apart(&report);
        assert_eq!(prelude["statusCode"], status, "{path}");
        assert_eq!(prelude["headers"]["access-control-allow-origin"], "*", "{path}");
        assert!(serde_json::from_slice::<Value>(bytes).is_ok(), "{path}");
    }
    let mut options = url_event("OPTIONS", "/embed", &Value::Null);
    options["headers"]["origin"] = "https://a.example".into();
    let report = function.answer(&options);
    let (prelude, bytes) = taken_apart(&report);
    assert_eq!((prelude["statusCode"].as_u64(), bytes), (Some(204), &b""[..]));
    // What cannot stream gets its envelope.
    for name in ["http-embed", "alb-embed", "lattice-embed"] {
        assert_eq!(function.response(&sample(name))["statusCode"], 200, "{name}");
    }
    assert_eq!(function.response(&json!({"inputs": "a"}))["model"], "fixture");
    assert_eq!(function.answer(&json!({"what": "else"})).body["errorType"], "Event.Unknown");
    // Without the variable nothing is streamed.
    let function = Function::start(&[]);
    assert_eq!(function.response(&sample("function-url-embed"))["statusCode"], 200);
}

#[test]
fn an_answer_beyond_six_megabytes_is_streamed_and_memory_stays_flat() {
    let limits = [ON, ("EMBED_MAX_TEXTS", "100000"), ("EMBED_MAX_TOKENS", "1000000")];
    let function = Function::start(&limits);
    let ask = |texts: usize| function.answer(&url_event("POST", "/embed", &json!({"inputs": vec!["a"; texts]})));
    let small = ask(2_000);
    assert_eq!(taken_apart(&small).0["statusCode"], 200);
    let before = function.memory("VmHWM");
    let large = ask(30_000);
    let (prelude, bytes) = taken_apart(&large);
    assert_eq!(prelude["statusCode"], 200);
    assert!(bytes.len() > 7_000_000, "{} bytes", bytes.len());
    assert_eq!(serde_json::from_slice::<Vec<Vec<f32>>>(bytes).unwrap().len(), 30_000);
    let grown = function.memory("VmHWM") - before;
    println!("{} bytes streamed; the peak of memory grew by {grown:.1} MB", bytes.len());
    // The texts, their ids and the event itself; the answer would be as much again twice.
    assert!(grown < 12.0, "{grown} MB");
}

#[test]
fn a_stream_has_a_limit_of_its_own() {
    let function = Function::start(&[ON, ("EMBED_MAX_STREAM_BYTES", "10000"), ("EMBED_MAX_RESPONSE_BYTES", "1000")]);
    // 480 bytes for 32 numbers.
    for (texts, status) in [(20, 200), (21, 413)] {
        let report = function.answer(&url_event("POST", "/embed", &json!({"inputs": vec!["a"; texts]})));
        let (prelude, bytes) = taken_apart(&report);
        assert_eq!(prelude["statusCode"], status, "{texts}");
        assert_eq!(bytes.windows(6).any(|window| window == b"20 fit"), status == 413);
    }
}

#[test]
fn what_fails_before_the_first_byte_is_an_error_and_after_it_the_stream_ends() {
    // A stock export whose `Gather` fails on the id that `hello` has here.
    let folder = FolderCopy::of(&root().join("models/fixture-stock"), "failing-stream");
    folder.change("tokenizer.json", |bytes| {
        let mut tokenizer: Value = serde_json::from_slice(bytes).unwrap();
        tokenizer["model"]["vocab"]["hello"] = 30_000_000.into();
        *bytes = serde_json::to_vec(&tokenizer).unwrap();
    });
    folder.seal();
    let function = Function::start(&[ON, ("EMBED_MODEL_DIR", folder.0.to_str().unwrap())]);
    let texts = |fails_at: usize| -> Vec<&str> {
        (0..200).map(|place| if place == fails_at { "hello" } else { "world" }).collect()
    };
    let report = function.answer(&url_event("POST", "/v1/embeddings", &json!({"input": texts(10)})));
    let (prelude, bytes) = taken_apart(&report);
    assert_eq!(prelude["statusCode"], 500);
    assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap()["error"]["type"], "server_error");

    let report = function.answer(&url_event("POST", "/v1/embeddings", &json!({"input": texts(100)})));
    let (prelude, bytes) = taken_apart(&report);
    let text = std::str::from_utf8(bytes).unwrap();
    assert_eq!(prelude["statusCode"], 200);
    assert!(text.starts_with(r#"{"object":"list","data":[{"object":"embedding","index":0"#), "{text}");
    let error = serde_json::from_str::<Value>(text).unwrap_err();
    assert!(error.is_eof(), "a client notices that it is cut: {error}");
    assert_eq!(text.matches("\"index\":").count(), 64, "the pieces that were done");
    // Both are told of, as faults.
    let lines = function.lines("invocation");
    assert!(lines.iter().all(|line| line["outcome"] == "Runtime.Internal" && line["level"] == "ERROR"), "{lines:?}");
    assert_eq!(lines.len(), 2);
    // The status of the second one was sent before it failed, so no service of AWS counts it.
    assert_eq!((lines[0].get("broken_stream"), &lines[1]["broken_stream"]), (None, &Value::Bool(true)));
    let metrics = function.lines("_aws");
    assert_eq!((metrics[0].get("StreamsBroken"), metrics[1]["StreamsBroken"].as_u64()), (None, Some(1)));
    // The next call is answered.
    let report = function.answer(&url_event("POST", "/embed", &json!({"inputs": "world"})));
    assert_eq!(taken_apart(&report).0["statusCode"], 200);
}

#[test]
fn a_call_without_time_is_refused_before_its_stream_begins() {
    let function = Function::start(&[ON]);
    let event = url_event("POST", "/v1/embeddings", &json!({"input": vec!["a"; 100]}));
    let report = function.answer_to(Delivery::of(event.to_string()).with_time(None));
    let (prelude, _) = taken_apart(&report);
    assert_eq!((prelude["statusCode"].as_u64(), prelude["headers"]["retry-after"].as_str()), (Some(503), Some("1")));
}
