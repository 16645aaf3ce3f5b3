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
        let answers = reply.as_array().cloned().unwrap_or_else(|| vec![reply]);
        for answer in answers {
            match answer.get("statusCode") {
                Some(status) => assert_eq!(status, 200, "{name}: {answer}"),
                None if name.contains("warm-up") => assert_eq!(answer, json!({"status": "warm"})),
                None => assert_eq!(answer["model"], "fixture", "{name}: {answer}"),
            }
        }
        count += 1;
    }
    assert!(count >= 14, "{count} events");
}

#[test]
fn every_event_source_gets_the_same_body_in_its_own_envelope() {
    let expected = Answer::of(&invoke(&fixture_handler(), &sample("http-embed"))).json();
    for name in
        ["http-embed-gzip", "rest-embed", "alb-embed", "alb-multi-value-embed", "lattice-embed", "lattice-1-embed"]
    {
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
fn a_stage_is_taken_off_the_path_behind_any_host() {
    let mut staged = sample("http-embed-stage");
    assert_eq!(staged["rawPath"], "/prod/embed");
    for host in [json!("abc.execute-api.eu-north-1.amazonaws.com"), json!("vectors.example.com"), json!(null), json!(5)]
    {
        staged["requestContext"]["domainName"] = host;
        assert_eq!(invoke(&fixture_handler(), &staged)["statusCode"], 200, "{staged}");
    }
    staged["requestContext"]["stage"] = "test".into();
    assert_eq!(invoke(&fixture_handler(), &staged)["statusCode"], 404);
    let mut rest = sample("rest-embed");
    rest["path"] = "/prod//v1/v1/embeddings/".into();
    assert_eq!(invoke(&fixture_handler(), &rest)["statusCode"], 200);
}

#[test]
fn a_byte_that_is_no_utf8_fails_no_request() {
    let alb = sample("alb-embed").to_string();
    let ask = |event: &str, byte: &[u8]| {
        let event: Vec<u8> = event.split("BYTE").map(str::as_bytes).collect::<Vec<_>>().join(byte);
        let reply = block_on(fixture_handler().handle(&event, &Call::default())).unwrap();
        Answer::of(&serde_json::from_str(reply.get()).unwrap())
    };
    for byte in [&b"\xE9"[..], b"\xFF\xFE", b"\xED\xA0\x80", b"\xC3", b"\\ud800"] {
        let answer = ask(&alb.replace("curl/8.5.0", "caf BYTE"), byte);
        assert_eq!(answer.status, 200, "{}", answer.text);
        // Where it stands in a text it is a mistake, and not replaced.
        let answer = ask(&alb.replace("Oslo is", "BYTE"), byte);
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains("error"), "{}", answer.text);
    }
    // In a path it leads nowhere.
    for byte in [&b"\xE9"[..], b"\xFF"] {
        assert_eq!(ask(&alb.replace("/v1/embeddings", "/v1/BYTE"), byte).status, 404);
    }
}

#[test]
fn text_that_calls_itself_gzip_is_taken_as_it_is() {
    let mut rest = sample("rest-embed");
    rest["headers"]["Content-Encoding"] = "gzip".into();
    rest["multiValueHeaders"]["Content-Encoding"] = json!(["gzip"]);
    let http = event("POST", "/v1/embeddings", &[("content-encoding", "gzip")], r#"{"input": "a"}"#);
    for event in [rest, http] {
        assert_eq!(invoke(&fixture_handler(), &event)["statusCode"], 200, "{event}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped_plain_and_compressed() {
    use std::io::Write;
    let body = "\u{FEFF}{\"input\": \"a\"}";
    assert_eq!(Answer::of(&invoke(&fixture_handler(), &event("POST", "/v1/embeddings", &[], body))).status, 200);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.as_bytes()).unwrap();
    let compressed = BASE64.encode(encoder.finish().unwrap());
    let mut event = event("POST", "/v1/embeddings", &[("content-encoding", "gzip")], &compressed);
    event["isBase64Encoded"] = true.into();
    assert_eq!(Answer::of(&invoke(&fixture_handler(), &event)).status, 200);
    for direct in ["\u{FEFF}{\"input\": \"a\"}", "\u{FEFF} {\"inputs\": [\"a\"]}"] {
        assert!(block_on(fixture_handler().handle(direct.as_bytes(), &Call::default())).is_ok());
    }
}

#[test]
fn vpc_lattice_is_a_front_door() {
    for name in ["lattice-embed", "lattice-1-embed"] {
        let reply = invoke(&fixture_handler(), &sample(name));
        assert_eq!((reply["statusCode"].as_u64(), reply["statusDescription"].as_str()), (Some(200), Some("200 OK")));
        assert_eq!(reply["headers"]["content-type"], "application/json");
        let mut wrong = sample(name);
        wrong["body"] = "{}".into();
        assert_eq!(invoke(&fixture_handler(), &wrong)["statusCode"], 400);
        wrong["method"] = "GET".into();
        for field in ["path", "raw_path"].into_iter().filter(|field| sample(name).get(field).is_some()) {
            wrong[field] = "/health?a=b".into();
        }
        assert_eq!(invoke(&fixture_handler(), &wrong)["statusCode"], 200);
    }
}

#[test]
fn a_list_of_payloads_is_answered_with_a_list_one_by_one() {
    let (wrong, http) = (json!({"inputs": 5}), event("POST", "/embed", &[], r#"{"inputs": "a"}"#));
    let sqs = |body: &str| json!({"messageId": "1", "eventSource": "aws:sqs", "body": body});
    let list = json!([
        {"inputs": "hello world"}, wrong, {"input": ["a", "b"], "encoding_format": "base64"}, http,
        sqs(r#"{"inputs": "hello world"}"#), sqs("no JSON"), {"warmer": true}, {"what": "else"}, [{"inputs": "a"}], "text",
    ]);
    let reply = invoke(&fixture_handler(), &list);
    let answers = reply.as_array().unwrap();
    assert_eq!(answers.len(), list.as_array().unwrap().len());
    let expected = invoke(&fixture_handler(), &json!({"inputs": "hello world"}))["embeddings"].clone();
    assert_eq!((&answers[0]["embeddings"], &answers[4]["embeddings"]), (&expected, &expected));
    assert!(answers[2]["embeddings"][1].is_string(), "{}", answers[2]);
    assert_eq!(answers[3]["statusCode"], 200);
    assert_eq!(answers[6], json!({"status": "warm"}));
    for (place, kind) in [
        (1, "Request.Invalid"),
        (5, "Request.Malformed"),
        (7, "Event.Unknown"),
        (8, "Event.Unknown"),
        (9, "Event.Unknown"),
    ] {
        assert_eq!(answers[place]["errorType"], kind, "{}", answers[place]);
        assert!(!answers[place]["errorMessage"].as_str().unwrap().is_empty());
    }
    // One of one is a list as well.
    assert_eq!(invoke(&fixture_handler(), &json!([{"inputs": "hello world"}]))[0]["embeddings"], expected);
}

#[test]
fn the_answers_of_a_list_fit_together() {
    // 480 bytes for 32 numbers, which is how one text's vector is counted.
    let handler = handler(&harness::fixture(), &[("EMBED_MAX_RESPONSE_BYTES", "6000")]);
    let ten = json!({"inputs": vec!["a"; 10]});
    let reply = invoke(&handler, &json!([ten, ten, {"inputs": 5}]));
    assert_eq!(reply[0]["embeddings"].as_array().unwrap().len(), 10);
    assert_eq!(reply[1]["errorType"], "Request.TooLarge", "{reply}");
    assert_eq!(reply[2]["errorType"], "Request.Invalid");
}

#[test]
fn what_a_retry_may_help_fails_the_list() {
    let call = Call { deadline: Some(std::time::SystemTime::now()), ..Call::default() };
    let error = block_on(fixture_handler().handle(br#"[{"inputs": "a"}, {"inputs": 5}]"#, &call)).unwrap_err();
    assert!(error.kind().row().retryable, "{error}");
}

#[test]
fn a_ping_is_answered_without_work() {
    let handler = handler(&harness::fixture(), &[]);
    let runs = handler.runs();
    for ping in [
        json!({"source": "serverless-plugin-warmup"}),
        json!({"warmer": true}),
        json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}),
        sample("schedule-warm-up"),
    ] {
        assert_eq!(invoke(&handler, &ping), json!({"status": "warm"}), "{ping}");
    }
    assert_eq!(handler.runs(), runs);
    assert!(block_on(handler.handle(br#"{"warmer": false}"#, &Call::default())).is_err());
}

/// The answer to `texts` texts through `event`'s front door, which must be within `largest` bytes.
fn ask_for(
    handler: &lambda_embed::handler::Handler,
    event: &serde_json::Value,
    texts: usize,
    largest: usize,
) -> Answer {
    let mut event = event.clone();
    event["body"] = json!({"input": vec!["a"; texts], "encoding_format": "base64"}).to_string().into();
    let reply = block_on(handler.handle(event.to_string().as_bytes(), &Call::default())).unwrap();
    assert!(reply.get().len() <= largest, "{} bytes for {texts} texts", reply.get().len());
    Answer::of(&serde_json::from_str(reply.get()).unwrap())
}

#[test]
fn an_answer_fits_a_load_balancer_and_more_texts_are_refused_with_the_number_that_fits() {
    let handler = handler(&harness::fixture(), &[("EMBED_MAX_TEXTS", "20000")]);
    for name in ["alb-embed", "alb-multi-value-embed"] {
        let refused = ask_for(&handler, &sample(name), 10_000, 1_000_000);
        assert_eq!(refused.status, 413, "{}", refused.text);
        let fit: usize = refused.text.split(" fit").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        // 236 bytes for the base64 of 32 floats with what stands around it.
        assert!((4_000..=1_000_000 / 236).contains(&fit), "{}", refused.text);
        assert_eq!(ask_for(&handler, &sample(name), fit, 1_000_000).status, 200);
        assert_eq!(ask_for(&handler, &sample(name), fit + 1, 1_000_000).status, 413);
        // As many go through an API, and on a socket.
        assert_eq!(ask_for(&handler, &sample("http-embed"), fit + 1, 6_291_556).status, 200);
    }
}

#[test]
fn tokens_that_a_load_balancer_does_not_take_are_refused() {
    let mut event = sample("alb-embed");
    event["path"] = "/tokenize".into();
    let ask = |words: usize| {
        let mut event = event.clone();
        event["body"] = json!({"inputs": "a ".repeat(words)}).to_string().into();
        let reply = block_on(fixture_handler().handle(event.to_string().as_bytes(), &Call::default())).unwrap();
        assert!(reply.get().len() <= 1_000_000, "{} bytes", reply.get().len());
        Answer::of(&serde_json::from_str(reply.get()).unwrap()).status
    };
    // A token has about 57 bytes, and 12 more in an envelope, which escapes its quotation marks.
    assert_eq!((ask(1_000), ask(16_000), ask(100_000)), (200, 413, 413));
}

#[test]
fn a_direct_call_gets_the_format_that_it_asks_for() {
    for field in ["input", "inputs"] {
        let numbers = invoke(&fixture_handler(), &json!({field: ["a", "hello"], "encoding_format": "float"}));
        let base64 = invoke(&fixture_handler(), &json!({field: ["a", "hello"], "encoding_format": "base64"}));
        let vectors = harness::vectors(&numbers["embeddings"]);
        for (text, vector) in base64["embeddings"].as_array().unwrap().iter().zip(vectors) {
            let bytes = BASE64.decode(text.as_str().unwrap()).unwrap();
            let floats: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            assert_eq!(floats, vector, "{field}");
        }
        assert_eq!((base64["dimensions"].as_u64(), base64["model"].as_str()), (Some(32), Some("fixture")));
    }
    let limited = handler(&harness::fixture(), &[("EMBED_MAX_RESPONSE_BYTES", "10000")]);
    let ask = |count: usize, format: &str| {
        let body = json!({"input": vec!["a"; count], "encoding_format": format}).to_string();
        block_on(limited.handle(body.as_bytes(), &Call::default())).map(|reply| reply.get().len())
    };
    for (format, fit) in [("float", 20), ("base64", 42)] {
        assert!(ask(fit, format).unwrap() <= 10_000, "{format}");
        assert_eq!(ask(fit + 1, format).unwrap_err().kind(), lambda_embed::error::Kind::TooLarge, "{format}");
    }
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
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let compressed = BASE64.encode(encoder.finish().unwrap());
    let mut event = event("POST", "/embed", &[("content-encoding", "gzip")], &compressed);
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
    let compressed =
        invoke(&fixture_handler(), &event("POST", "/embed", &[("accept-encoding", "br, gzip;q=0.5")], &body));
    assert_eq!(
        (plain["isBase64Encoded"].as_bool(), compressed["isBase64Encoded"].as_bool()),
        (Some(false), Some(true))
    );
    assert_eq!(compressed["headers"]["content-encoding"], "gzip");
    let bytes = BASE64.decode(compressed["body"].as_str().unwrap()).unwrap();
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
