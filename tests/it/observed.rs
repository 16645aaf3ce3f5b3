//! What an operator can see of a call, and what nobody may.

use serde_json::{Value, json};

use crate::function::Function;
use crate::harness::{Answer, event, root};
use crate::runtime_api::Delivery;
use crate::serve::{Server, http};

fn embed_event(body: &Value) -> Value {
    event("POST", "/v1/embeddings", &[("content-type", "application/json")], &body.to_string())
}

#[test]
fn the_metrics_page_is_the_programs_own() {
    let page = lambda_embed::metrics::page();
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
    let of = |field: &str| logged.iter().map(|line| line[field].to_string()).collect::<Vec<_>>();
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
    assert!(metrics[0]["InitTime"].as_f64() >= metrics[0]["InitSessionTime"].as_f64());
    assert_eq!((metrics[0]["Texts"].as_u64(), metrics[0]["Tokens"].as_u64()), (Some(2), first["tokens"].as_u64()));
    assert_eq!((metrics[2]["Errors"].as_u64(), metrics[2]["error_type"].as_str()), (Some(1), Some("Request.Invalid")));
    // Everything that was written is JSON: a line that is not would be charged and never found.
    for line in function.written().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
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

/// Every place that takes words gets ones that are easy to find again.
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
    let written = function.written();
    // A slice of a vector as any printer would show it.
    let digits = format!("{}", vector[0][0]);
    for secret in ["zanzibarquux", "Sup3rSecret", digits.as_str()] {
        let found: Vec<_> = written.lines().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{secret} in {found:?}");
    }
    assert!(function.lines("invocation").len() > 20);
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
fn a_start_that_fails_is_told_once_in_one_line() {
    let mut function = Function::starting(&[("EMBED_MODEL_DIR", "/nowhere")]);
    let report = function.api.report(crate::function::LONG).unwrap();
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("init/error", Some("Init.Setup")));
    let message = report.body["errorMessage"].as_str().unwrap();
    assert!(message.contains("/nowhere") && !message.contains('\n'), "{message}");
    assert!(!function.end(crate::function::LONG).unwrap().success());
    assert!(function.api.report(std::time::Duration::from_millis(200)).is_none());
    assert_eq!(
        function.written().lines().filter(|line| line.contains("/nowhere")).count(),
        1,
        "{}",
        function.written()
    );
}

/// Its builds keep a device id and a database of events below the home directory when they report.
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
        lambda_embed::metrics::METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(named, own);
}
