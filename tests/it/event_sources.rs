//! AWS's event sources: every event under `events/` is answered, in the envelope of its source.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_embed::observability::call::Call;
use serde_json::json;

use crate::support::harness::{self, Answer, block_on, event, fixture_handler, handler, invoke, root};
use crate::support::sample_events::{is_of_documents, sample};

#[test]
fn every_sample_event_is_answered() {
    let mut count = 0;
    for file in std::fs::read_dir(root().join("events")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if is_of_documents(name) {
            continue;
        }
        let reply = invoke(&fixture_handler(), &sample(name));
        match reply.get("statusCode") {
            Some(status) => assert_eq!(status, 200, "{name}: {reply}"),
            None => assert_eq!(reply["model"], "fixture", "{name}: {reply}"),
        }
        count += 1;
    }
    assert!(count >= 10, "{count} events");
}

#[test]
fn every_event_source_gets_the_same_body_in_its_own_envelope() {
    let expected = Answer::of(&invoke(&fixture_handler(), &sample("http-embed"))).json();
    for name in ["http-embed-gzip", "rest-embed", "alb-embed", "alb-multi-value-embed"] {
        let reply = invoke(&fixture_handler(), &sample(name));
        assert_eq!(Answer::of(&reply).json(), expected, "{name}");
        assert_eq!(reply["isBase64Encoded"], false, "{name}");
    }
    let rest = invoke(&fixture_handler(), &sample("rest-embed"));
    assert_eq!(rest["multiValueHeaders"]["x-model-id"], json!(["fixture"]));
    let plain = invoke(&fixture_handler(), &sample("alb-embed"));
    assert_eq!(plain["headers"]["content-type"], "application/json");
    assert_eq!(plain["statusDescription"], "200 OK");
    let multi = invoke(&fixture_handler(), &sample("alb-multi-value-embed"));
    assert_eq!(multi["multiValueHeaders"]["content-type"], json!(["application/json"]));
}

#[test]
fn a_stage_is_taken_off_the_path_on_the_apis_own_host_only() {
    let mut staged = sample("http-embed-stage");
    assert_eq!(staged["rawPath"], "/prod/embed");
    assert_eq!(invoke(&fixture_handler(), &staged)["statusCode"], 200);
    staged["requestContext"]["domainName"] = "vectors.example.com".into();
    assert_eq!(invoke(&fixture_handler(), &staged)["statusCode"], 404);
}

#[test]
fn a_base_path_is_taken_off_by_configuration() {
    let handler = handler(&harness::fixture(), &[("EMBED_BASE_PATH", "/vectors/")]);
    for path in ["/vectors/embed", "/embed", "/vectors/embed/"] {
        let reply = invoke(&handler, &event("POST", path, &[], r#"{"inputs": "a"}"#));
        assert_eq!(reply["statusCode"], 200, "{path}");
    }
    let reply = invoke(&handler, &event("POST", "/vectorsembed", &[], r#"{"inputs": "a"}"#));
    assert_eq!(reply["statusCode"], 404);
}

#[test]
fn an_event_of_no_known_kind_lists_those_that_are() {
    let long = "x".repeat(1000);
    let events = [
        "{}",
        "[]",
        "3",
        "null",
        "\"text\"",
        r#"{"requestContext": {}}"#,
        r#"{"requestContext": 5}"#,
        r#"{"input": null}"#,
        r#"{"Records": []}"#,
        &format!("{{\"a\": \"{long}\"}}"),
    ];
    for event in events {
        let error = block_on(fixture_handler().handle(event.as_bytes(), &Call::default())).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("Application Load Balancer") && message.contains("inputs"), "{event}: {message}");
        assert!(message.len() < 600, "{message}");
    }
}

#[test]
fn text_that_is_not_json_is_malformed_and_half_an_event_names_its_source() {
    for event in [&b"{\"input\": "[..], b"", b"\xff\xfe", b"{'input': 1}"] {
        let error = block_on(fixture_handler().handle(event, &Call::default())).unwrap_err();
        assert!(error.to_string().contains("not JSON"), "{error}");
    }
    let error =
        block_on(fixture_handler().handle(br#"{"requestContext": {"http": 5}, "version": "2.0"}"#, &Call::default()))
            .unwrap_err();
    assert!(error.to_string().contains("HTTP API (payload 2.0)"), "{error}");
}

#[test]
fn bodies_in_base64_and_gzip_are_decoded_and_bad_ones_refused() {
    let ask = |body: String, base64: bool, encoding: &str| {
        let mut event = event("POST", "/embed", &[("Content-Encoding", encoding)], &body);
        event["isBase64Encoded"] = base64.into();
        Answer::of(&invoke(&fixture_handler(), &event))
    };
    let json = r#"{"inputs": "hello"}"#;
    assert_eq!(ask(BASE64.encode(json), true, "").status, 200);
    assert_eq!(ask(BASE64.encode(json), true, "identity").status, 200);
    let bad = ask("%%%".into(), true, "");
    assert_eq!(bad.status, 400);
    assert!(bad.text.contains("base64"), "{}", bad.text);
    let bad = ask(BASE64.encode(json), true, "gzip");
    assert_eq!(bad.status, 400);
    assert!(bad.text.contains("gzip"), "{}", bad.text);
    assert_eq!(ask(json.into(), false, "br").status, 415);
    let bad = ask(BASE64.encode(b"{\"inputs\": \"\xff\"}"), true, "");
    assert_eq!(bad.status, 400);
    assert!(bad.text.contains("UTF-8"), "{}", bad.text);
}

#[test]
fn a_gzip_bomb_stops_at_the_body_limit() {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let packed = BASE64.encode(packer.finish().unwrap());
    let mut event = event("POST", "/embed", &[("content-encoding", "gzip")], &packed);
    event["isBase64Encoded"] = true.into();
    let answer = Answer::of(&invoke(&fixture_handler(), &event));
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("6291456"), "{}", answer.text);
}

#[test]
fn a_large_answer_is_compressed_for_a_client_that_accepts_gzip() {
    use std::io::Read;
    let texts = vec!["hello world"; 100];
    let body = json!({"inputs": texts}).to_string();
    let plain = invoke(&fixture_handler(), &event("POST", "/embed", &[], &body));
    let packed = invoke(&fixture_handler(), &event("POST", "/embed", &[("accept-encoding", "br, gzip;q=0.5")], &body));
    assert_eq!((plain["isBase64Encoded"].as_bool(), packed["isBase64Encoded"].as_bool()), (Some(false), Some(true)));
    assert_eq!(packed["headers"]["content-encoding"], "gzip");
    let bytes = BASE64.decode(packed["body"].as_str().unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain["body"].as_str().unwrap());
    let refused = invoke(&fixture_handler(), &event("POST", "/embed", &[("accept-encoding", "gzip;q=0")], &body));
    assert_eq!(refused["isBase64Encoded"], false);
}

#[test]
fn a_rest_api_gets_no_compressed_answer_because_it_would_pass_on_base64() {
    let mut event = sample("rest-embed");
    event["body"] = json!({"input": vec!["hello world"; 100]}).to_string().into();
    event["multiValueHeaders"]["Accept-Encoding"] = json!(["gzip"]);
    let reply = invoke(&fixture_handler(), &event);
    assert_eq!((reply["statusCode"].as_u64(), reply["isBase64Encoded"].as_bool()), (Some(200), Some(false)));
    assert_eq!(reply["multiValueHeaders"].get("content-encoding"), None);
}

#[test]
fn a_compressed_answer_for_a_named_origin_varies_by_both() {
    let handler = handler(&harness::fixture(), &[("EMBED_CORS_ORIGINS", "https://a.example")]);
    let headers = [("accept-encoding", "gzip"), ("origin", "https://a.example")];
    let body = json!({"inputs": vec!["hello world"; 100]}).to_string();
    let answer = Answer::of(&invoke(&handler, &event("POST", "/embed", &headers, &body)));
    assert_eq!(answer.header("vary"), "origin, accept-encoding");
}
