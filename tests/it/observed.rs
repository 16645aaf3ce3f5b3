//! What logs and metrics show of a call, and what they must not show.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::function::Function;
use crate::support::harness::{Answer, event, fixture_handler, invoke, root};
use crate::support::pipeline::{CREDENTIALS, created, notification, output, queue};
use crate::support::runtime_api::Delivery;
use crate::support::s3_server::Bucket;
use crate::support::server::{Server, http};

fn embed_event(body: &Value) -> Value {
    event("POST", "/v1/embeddings", &[("content-type", "application/json")], &body.to_string())
}

#[test]
fn the_metrics_page_is_the_programs_own() {
    let page = crate::metrics_page::page();
    let path = root().join("target/metrics.md");
    std::fs::write(&path, &page).unwrap();
    let written = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap_or_default();
    assert!(page == written, "docs/metrics.md is not what the program says; cp target/metrics.md docs/metrics.md");
}

#[test]
fn a_call_leaves_one_log_line_and_one_line_of_metrics() {
    let function = Function::start(&[("EMBED_SERVICE", "search")]);
    let body = json!({"input": ["hello world", "word ".repeat(500)]});
    let delivery = Delivery {
        trace: Some("Root=1-5759e988-bd862e3fe1be46a994272793"),
        ..Delivery::of(embed_event(&body).to_string())
    };
    function.answer_to(delivery);
    function.answer(&json!({"inputs": "hello"}));
    function.answer(&json!({"inputs": 5}));
    function.answer(&event("GET", "/nowhere", &[], ""));

    let logged = function.lines("invocation");
    assert_eq!(logged.len(), 4, "{}", function.written());
    let first = &logged[0];
    assert_eq!((first["level"].as_str(), first["service"].as_str()), (Some("INFO"), Some("search")));
    assert_eq!((first["requestId"].as_str(), first["source"].as_str()), (Some("1"), Some("http")));
    assert_eq!(first["xrayTraceId"], "Root=1-5759e988-bd862e3fe1be46a994272793");
    assert_eq!((first["outcome"].as_str(), first["status"].as_u64()), (Some("ok"), Some(200)));
    assert_eq!((first["texts"].as_u64(), first["truncated"].as_u64()), (Some(2), Some(1)));
    assert!(first["tokens"].as_u64().unwrap() > 60 && first["resident_mb"].as_u64().unwrap() > 5, "{first}");
    for time in ["tokenize_ms", "run_ms", "encode_ms", "duration_ms"] {
        assert!(first[time].as_f64().unwrap() > 0.0, "{time}: {first}");
    }
    let stamp = first["timestamp"].as_str().unwrap();
    assert!(stamp.len() >= 20 && stamp.contains('T') && stamp.ends_with('Z'), "RFC 3339: {stamp}");
    assert!(logged[1].get("truncated").is_none() && logged[1].get("documents").is_none(), "zeros: {}", logged[1]);
    let of = |field: &str| logged.iter().map(|line| line[field].to_string()).collect::<Vec<_>>();
    assert_eq!(of("level"), ["\"INFO\""; 4], "a caller's mistake is no alarm");
    assert_eq!(of("cold_start"), ["true", "false", "false", "false"]);
    assert_eq!(of("source"), ["\"http\"", "\"direct\"", "\"direct\"", "\"http\""]);
    assert_eq!(of("outcome"), ["\"ok\"", "\"ok\"", "\"Request.Invalid\"", "\"Request.NotFound\""]);

    let metrics = function.lines("_aws");
    assert_eq!(metrics.len(), 4);
    for (line, request) in metrics.iter().zip(1..) {
        assert_eq!(line["function_request_id"], request.to_string());
        assert_eq!(line["service"], "search");
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert_eq!(directive["Namespace"], "LambdaEmbed");
            for dimension in directive["Dimensions"][0].as_array().unwrap() {
                assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}: {line}");
            }
            for metric in directive["Metrics"].as_array().unwrap() {
                assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}: {line}");
            }
        }
    }
    assert_eq!((metrics[0]["ColdStart"].as_u64(), metrics[1].get("ColdStart")), (Some(1), None));
    // The line of metrics and the log line are of the same call.
    for (metric, field) in [
        ("Duration", "duration_ms"),
        ("TokenizeTime", "tokenize_ms"),
        ("RunTime", "run_ms"),
        ("EncodeTime", "encode_ms"),
    ] {
        let (measured, written) = (metrics[0][metric].as_f64().unwrap(), first[field].as_f64().unwrap());
        assert!((measured - written).abs() < 0.01, "{metric}: {measured} ms and {written}");
    }
    let megabytes = metrics[0]["ResidentMemory"].as_u64().unwrap() >> 20;
    assert_eq!(first["resident_mb"], megabytes);
    assert!(metrics[0]["InitTime"].as_f64() >= metrics[0]["InitSessionTime"].as_f64());
    assert_eq!((metrics[0]["Texts"].as_u64(), metrics[0]["Tokens"].as_u64()), (Some(2), first["tokens"].as_u64()));
    assert_eq!((metrics[2]["Errors"].as_u64(), metrics[2]["error_type"].as_str()), (Some(1), Some("Request.Invalid")));
    // Every line is JSON: any other line would cost money and never be found.
    for line in function.written().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn a_direct_answer_says_where_its_time_went() {
    let handler = fixture_handler();
    for _ in 0..5 {
        let started = Instant::now();
        let timings = invoke(&handler, &json!({"inputs": "hello ".repeat(50)}))["timings"].clone();
        let took = started.elapsed().as_secs_f64() * 1e3;
        let [tokenize, run] = ["tokenize_ms", "inference_ms"].map(|name| timings[name].as_f64().unwrap());
        assert!(tokenize > 0.0 && run > 0.0 && tokenize + run <= took, "{timings} of {took} ms");
    }
}

#[test]
fn metrics_can_be_turned_off_and_the_level_silences_the_log_line() {
    let function = Function::start(&[("EMBED_METRICS_NAMESPACE", "off"), ("AWS_LAMBDA_LOG_LEVEL", "WARN")]);
    function.answer(&json!({"inputs": "hello"}));
    assert_eq!((function.lines("_aws").len(), function.lines("invocation").len()), (0, 0), "{}", function.written());
    let function = Function::start(&[("EMBED_METRICS_NAMESPACE", "Mine")]);
    function.answer(&json!({"inputs": "hello"}));
    assert_eq!(function.lines("_aws")[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Mine");
}

/// Puts words that are easy to find into every place of a request that takes words.
#[test]
fn nothing_a_caller_wrote_and_no_secret_is_ever_logged() {
    let token = "Sup3rSecretToken";
    let function = Function::start(&[("EMBED_LOG", "trace"), ("EMBED_API_KEY", token), ("EMBED_CORS_ORIGINS", "*")]);
    let sent = |headers: &[(&str, &str)], path: &str, body: &str| {
        let authorization = format!("Bearer {token}");
        let mut all = vec![("content-type", "application/json"), ("authorization", authorization.as_str())];
        all.extend(headers);
        function.answer(&event("POST", path, &all, body))
    };
    let answer = sent(&[], "/embed", &json!({"inputs": "zanzibarquux hello"}).to_string());
    let vector: Vec<Vec<f32>> = serde_json::from_value(Answer::of(&answer.body).json()).unwrap();
    sent(&[("x-note", "zanzibarquux")], "/zanzibarquux", "{}");
    sent(&[("content-type", "zanzibarquux/json")], "/embed", "{}");
    for body in [
        r#"{"inputs": {"zanzibarquux": 1}}"#,
        r#"{"inputs": "a", "truncate": "zanzibarquux"}"#,
        r#"{"inputs": "a", "normalize": "zanzibarquux"}"#,
        r#"{"inputs": "a", "prompt_name": "zanzibarquux"}"#,
        r#"{"inputs": "zanzibarquux "#,
        "zanzibarquux",
    ] {
        sent(&[], "/embed", body);
        let openai = body.replace("inputs", "input");
        sent(&[], "/v1/embeddings", &openai);
    }
    sent(&[], "/v1/embeddings", r#"{"input": "a", "model": "zanzibarquux"}"#);
    sent(&[("authorization", "Bearer zanzibarquux")], "/embed", r#"{"inputs": "a"}"#);
    for direct in [
        json!({"inputs": "zanzibarquux"}),
        json!({"inputs": {"zanzibarquux": "zanzibarquux"}}),
        json!({"input": "a", "model": "zanzibarquux"}),
        json!({"zanzibarquux": "zanzibarquux"}),
        json!({"requestContext": {"http": "zanzibarquux"}}),
        json!({"requestContext": {"elb": {}}, "httpMethod": ["zanzibarquux"]}),
        json!("zanzibarquux"),
    ] {
        function.answer(&direct);
    }
    function.answer_to(Delivery::of("{\"inputs\": \"zanzibarquux\""));
    // A slice of a vector as any printer would show it.
    let digits = format!("{}", vector[0][0]);
    assert_hushed(&function, &["zanzibarquux", "Sup3rSecret", &digits]);
    assert!(function.lines("invocation").len() > 20);
}

/// Documents from every source, of every format whose error quotes the document; a store that quotes a record; starts
/// that fail on a secret.
#[test]
fn nothing_of_a_document_and_no_misspelt_secret_is_ever_logged() {
    needs!(s3);
    let word = "zanzibarquux";
    let (documents, vectors) = (Bucket::new("hush-docs"), Bucket::new("hush-vecs"));
    let (endpoint, output) = (format!("http://{}", documents.server), output(&vectors));
    let mut variables = vec![("EMBED_LOG", "trace"), ("EMBED_OUTPUT", output.as_str())];
    variables.extend([("AWS_ENDPOINT_URL_S3", endpoint.as_str()), ("EMBED_CHUNK_TOKENS", "16")]);
    variables.extend([("EMBED_CSV_COLUMN", "text"), ("EMBED_JSON_POINTER", "/text")]);
    variables.extend(CREDENTIALS);
    let function = Function::start(&variables);
    let line = format!("{{\"{word}\": \"{word}\"}}\n");
    let bodies = [
        ("good.txt", format!("The {word} sleeps. ").repeat(9), None),
        ("headless.csv", format!("The {word} was admitted,{word}\nand left,{word}\n"), Some("unreadable")),
        ("partly.jsonl", format!("{line}{{\"text\": \"{word}\"}}\n{{\"text\": {word}\n"), None),
        ("textless.jsonl", line.repeat(3), Some("unreadable")),
        ("keys.json", line, Some("unreadable")),
        ("broken.json", format!("{{\"text\": {word}"), Some("broken")),
        ("broken.pdf", format!("%PDF-1.7\n{word}\n/{word} ("), Some("broken")),
    ];
    let keys: Vec<_> = bodies
        .iter()
        .map(|(key, body, _)| {
            documents.put(key, &[], body.as_bytes());
            *key
        })
        .collect();
    let message = |key: &&str| notification(&[created(&documents.name, key)]);
    let mut messages: Vec<_> = keys.iter().map(message).collect();
    messages.extend([json!(word), json!({word: word}), json!({"Records": [{"s3": {word: word}}]})]);
    let answered = function.answer(&queue(&messages));
    let back = |id: &str| json!({"itemIdentifier": id});
    assert_eq!(answered.body, json!({"batchItemFailures": [back("7"), back("8"), back("9")]}));
    function.answer(&message(&"headless.csv"));
    let task = json!({"taskId": "1", "s3Key": "textless.jsonl", "s3Bucket": documents.name});
    function.answer(&json!({"invocationSchemaVersion": "2.0", "invocationId": word, "job": {"id": word,
        "userArguments": {word: word}}, "tasks": [task]}));
    function.answer(&json!({"invocationSchemaVersion": "2.0", "invocationId": word, "job": {"id": word},
        "tasks": [task]}));
    let told = function.lines("document");
    assert_eq!(told.len(), keys.len() + 2, "{}", function.written());
    for (key, _, cause) in &bodies {
        let line = told.iter().find(|line| line["key"] == *key).unwrap();
        assert!(cause.is_none_or(|cause| line["cause"] == cause), "{line}");
        assert_eq!((line["requestId"].as_str(), line["bucket"].as_str()), (Some("1"), Some(documents.name.as_str())));
    }
    assert_eq!(
        function.lines("parts were left out")[0]["first"],
        "record 0, line 1: no_text; record 2, line 3: not_json"
    );
    // The owner of the documents finds the reason beside the vectors.
    let noted = vectors.get(&format!("out/{}/headless.csv.outcome.json", documents.name)).unwrap();
    assert!(String::from_utf8(noted).unwrap().contains(word));
    assert_hushed(&function, &[word]);

    // A store that quotes the request in its error.
    let store = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", store.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in store.incoming() {
            let (mut client, body) = (client.unwrap(), format!("{{\"status\": \"{word}\"}}"));
            let _ = client.read(&mut [0; 4096]);
            let (length, head) = (body.len(), "HTTP/1.1 400 Bad Request\r\nconnection: close");
            let _ = write!(client, "{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        }
    });
    variables.extend([("EMBED_SINK", "qdrant"), ("EMBED_QDRANT_URL", url.as_str())]);
    let function = Function::start(&variables);
    assert_eq!(function.answer(&message(&"good.txt")).kind, "error");
    assert_eq!(function.lines("document")[0]["cause"], "sink_refused", "{}", function.written());
    assert_hushed(&function, &[word]);

    let secret = "Sup3rSecretToken";
    let url = format!("https://me:{secret}@qdrant:6333");
    for (variable, value) in [("EMBED_APIKEY", secret), ("EMBED_QDRANT_URL", &url), ("EMBED_QDRANT_APIKEY", secret)] {
        variables.retain(|(name, _)| *name != "EMBED_QDRANT_URL");
        let function = Function::starting(&[&variables[..], &[(variable, value)]].concat());
        let report = function.api.report(crate::support::function::LONG).unwrap();
        let message = report.body["errorMessage"].as_str().unwrap();
        assert!(message.contains(variable) && !message.contains(secret), "{message}");
        assert_hushed(&function, &[secret]);
    }
}

fn assert_hushed(function: &Function, words: &[&str]) {
    let written = function.written();
    assert!(!written.is_empty());
    for word in words {
        let found: Vec<_> = written.lines().filter(|line| line.contains(word)).collect();
        assert!(found.is_empty(), "{word} in {found:?}");
    }
}

#[test]
fn serve_shows_its_totals() {
    let server = Server::start();
    let post = |body: &str| {
        http(&server.address, "POST", "/embed", &[("content-type", "application/json")], body.as_bytes()).0
    };
    assert_eq!((post("{\"inputs\": [\"a\", \"b\"]}"), post("{\"inputs\": 5}")), (200, 422));
    let (status, head, body) = http(&server.address, "GET", "/metrics", &[], b"");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let text = String::from_utf8(body).unwrap();
    for line in [
        "embed_invocations_total{source=\"http\"} 2",
        "embed_errors_total{error_type=\"Request.Invalid\"} 1",
        "embed_texts_total 2",
        "embed_duration_seconds_count 2",
        "embed_calls 0",
        "# TYPE embed_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    // Every line is a comment or a name with a number.
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn a_start_that_fails_is_reported_once_in_one_line() {
    let mut function = Function::starting(&[("EMBED_MODEL_DIR", "/nowhere")]);
    let report = function.api.report(crate::support::function::LONG).unwrap();
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("init/error", Some("Init.Setup")));
    let message = report.body["errorMessage"].as_str().unwrap();
    assert!(message.contains("/nowhere") && !message.contains('\n'), "{message}");
    assert!(!function.end(crate::support::function::LONG).unwrap().success());
    assert!(function.api.report(std::time::Duration::from_millis(200)).is_none());
    assert_eq!(
        function.written().lines().filter(|line| line.contains("/nowhere")).count(),
        1,
        "{}",
        function.written()
    );
}

/// Builds that report write a device id and a database of events below the home directory.
#[test]
fn onnx_runtime_is_told_not_to_report() {
    let home = std::env::temp_dir().join(format!("lambda-embed-home-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let function = Function::start(&[("HOME", home.to_str().unwrap())]);
    assert_eq!(function.answer(&json!({"inputs": "hello"})).kind, "response");
    drop(function);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0, "{}", home.display());
    std::fs::remove_dir(home).unwrap();
}

#[test]
fn the_dashboard_graphs_every_metric_and_no_other() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let body = template.split("DashboardBody: !Sub\n        - |\n").nth(1).expect("a body");
    let body = body.split("\n        - {Documents:").next().unwrap();
    let body: Value = serde_json::from_str(body).expect("the body is JSON");
    let functions = ["${EmbedFunction}", "${Documents}"];
    let widgets = body["widgets"].as_array().unwrap();
    let mut named = std::collections::BTreeSet::new();
    for metric in widgets.iter().flat_map(|widget| widget["properties"]["metrics"].as_array().unwrap()) {
        if let Some(search) = metric[0]["expression"].as_str() {
            assert!(search.contains("{LambdaEmbed,service,"), "{search}");
            assert!(functions.iter().all(|function| search.contains(&format!("service=\"{function}\""))), "{search}");
            named.insert(search.split("MetricName=\"").nth(1).unwrap().split('"').next().unwrap().to_owned());
        } else {
            let words: Vec<_> = (0..4).map(|place| metric[place].as_str().unwrap()).collect();
            assert_eq!((words[0], words[2]), ("LambdaEmbed", "service"));
            assert!(functions.contains(&words[3]), "{}", words[3]);
            named.insert(words[1].to_owned());
        }
    }
    let own: std::collections::BTreeSet<_> =
        lambda_embed::observability::metrics::METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(named, own);
}
