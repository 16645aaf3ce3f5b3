//! Limits on time and calls: a call that cannot end in time and a call beyond the limit are rejected at once, one
//! caller's work does not delay another's, and SIGTERM ends the process in order.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use lambda_embed::error::Kind;
use lambda_embed::event::{AnswerTerms, BodyEncoding, HttpRequest};
use lambda_embed::handler::Handler;
use lambda_embed::observability::call::Call;
use serde_json::{Value, json};

use crate::support::function::{Function, LONG};
use crate::support::harness::{Answer, block_on, embed, event, fixture, handler, model, vectors};
use crate::support::runtime_api::Delivery;
use crate::support::server::{Server, http};

fn call_with(left: Duration) -> Call {
    Call { deadline: Some(SystemTime::now() + left), ..Call::default() }
}

/// About `tokens` tokens in texts of 60.
fn texts(tokens: usize) -> Vec<String> {
    vec!["word ".repeat(58); tokens / 60]
}

fn embed_event(texts: &[String]) -> Value {
    let body = json!({"input": texts, "encoding_format": "base64"});
    event("POST", "/v1/embeddings", &[("content-type", "application/json")], &body.to_string())
}

#[test]
fn a_deadline_in_the_past_is_answered_at_once_in_the_shape_of_its_source() {
    let function = Function::start(&[]);
    let late = |event: &Value| function.answer_to(Delivery::of(event.to_string()).with_time(None));
    let answer = Answer::of(&late(&embed_event(&texts(60))).body);
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.json()["error"]["code"], "deadline");
    let report = late(&json!({"inputs": "hello"}));
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("error", Some("Call.Deadline")));
    assert!(report.body["errorMessage"].as_str().unwrap().contains("deadline"));
    // A request that takes no time is still answered, and so is the next call.
    assert_eq!(Answer::of(&late(&event("GET", "/health", &[], "")).body).status, 200);
    assert_eq!(function.answer(&json!({"inputs": "hello"})).kind, "response");
    assert_eq!(function.lines("invocation")[0]["level"], "WARN");
}

#[test]
fn a_call_that_would_take_too_long_is_rejected_before_it_starts() {
    needs!(model);
    // A model whose runs take longer than its tokenizer.
    let model = model();
    let handler = handler(&model, &[("EMBED_THREADS", "1"), ("EMBED_MAX_TOKENS", "100000000")]);
    let ask = |texts: &[String], left: Duration| {
        let body = json!({"inputs": texts, "truncate": "mean"}).to_string();
        let started = Instant::now();
        let outcome = block_on(handler.handle(body.as_bytes(), &call_with(left)));
        (outcome.map(drop), started.elapsed())
    };
    // Measures a hundredth of the work, which shows how long the whole would take.
    let (outcome, hundredth) = ask(&texts(6_000), LONG);
    outcome.unwrap();
    let runs = handler.runs();
    // A third of the time that the runs need, and many times the tokenizer's.
    let (outcome, _) = ask(&vec!["word ".repeat(598); 1_000], hundredth * 33);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(error.to_string().contains("would take about"), "{error}");
    assert_eq!(handler.runs(), runs, "refused before it started");
    ask(&texts(1_200), LONG).0.unwrap();
}

#[test]
fn a_call_that_turns_out_too_slow_ends_before_its_deadline_and_frees_the_cores() {
    needs!(model);
    let model = model();
    let body = |texts: usize| json!({"inputs": vec!["word ".repeat(598); texts], "truncate": "mean"}).to_string();
    let variables = [("EMBED_THREADS", "1"), ("EMBED_MAX_TOKENS", "100000000")];
    let began = Instant::now();
    block_on(handler(&model, &variables).handle(body(20).as_bytes(), &Call::default())).unwrap();
    let tenth = began.elapsed();
    // A new handler has measured nothing, so it has no estimate.
    let handler = handler(&model, &variables);
    block_on(async {
        // Half of the time of 200 texts, each of them two runs.
        let call = call_with(tenth * 5);
        let body = body(200);
        let error = handler.handle(body.as_bytes(), &call).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Deadline);
        assert!(error.to_string().contains("tokens did not end before"), "{error}");
        assert!(call.remaining() > Some(Duration::ZERO), "answered after the deadline");
        let runs = handler.runs();
        assert!(0 < runs && runs < 400, "{runs} runs of 400");
        // The call's sequences are dropped: later calls wait only for the run that was under way.
        let query = Call::default();
        for _ in 0..5 {
            handler.handle(br#"{"inputs": "hello"}"#, &query).await.unwrap();
        }
        let more = handler.runs() - runs;
        assert!((5..=6).contains(&more), "{more} runs for five texts");
    });
}

#[test]
fn beside_a_long_list_a_query_waits_for_one_run() {
    needs!(model);
    const QUERIES: usize = 20;
    // A model whose runs take longer than all else of a query.
    let model = model();
    let handler = handler(&model, &[("EMBED_THREADS", "1")]);
    block_on(async {
        let list = json!({"input": vec!["word ".repeat(250); 1_000], "encoding_format": "base64"}).to_string();
        let (call, query) = (Call::default(), Call::default());
        let queries = async {
            while handler.runs() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut runs = Vec::new();
            for _ in 0..QUERIES {
                let before = handler.runs();
                handler.handle(br#"{"inputs": "hello world"}"#, &query).await.unwrap();
                runs.push(handler.runs() - before);
            }
            runs.sort();
            runs
        };
        let runs = tokio::select! {
            list = handler.handle(list.as_bytes(), &call) => panic!("the list ended first: {list:?}"),
            runs = queries => runs,
        };
        // Each query waits for its own run and the one that was under way. On a busy machine more runs may end before
        // this thread sees the answer, but for most queries they do not.
        assert!(runs[0] >= 1 && runs[QUERIES / 2] <= 2, "runs for each query: {runs:?}");
    });
}

/// A call to `/tokenize` that takes hundreds of times as long as a query, on a socket: no front door takes its answer.
fn long_tokenization() -> (Handler, HttpRequest) {
    let body = json!({"inputs": vec!["word ".repeat(500); 1_000]}).to_string();
    let request = HttpRequest {
        method: "POST".parse().unwrap(),
        path: "/tokenize".to_owned(),
        stage: None,
        headers: Default::default(),
        body: body.into_bytes(),
        encoding: BodyEncoding::Binary,
        answer: AnswerTerms::default(),
    };
    (handler(&fixture(), &[("EMBED_MAX_TOKENS", "100000000")]), request)
}

#[test]
fn beside_a_long_tokenization_queries_and_probes_are_answered() {
    let (handler, long) = long_tokenization();
    let health = event("GET", "/health", &[], "").to_string();
    let (call, other) = (Call::default(), Call::default());
    block_on(async {
        let mut work = std::pin::pin!(handler.http(&long, &call));
        tokio::select! {
            // Sent first, so that it is under way when the others come.
            biased;
            _ = &mut work => panic!("the tokenization ended first"),
            () = async {
                for _ in 0..5 {
                    handler.handle(br#"{"inputs": "hello"}"#, &other).await.unwrap();
                    handler.handle(health.as_bytes(), &other).await.unwrap();
                }
            } => {}
        }
        let answer = work.await;
        let lists: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status.as_u16(), lists[999].as_array().unwrap().len()), (200, 502));
    });
}

#[test]
fn a_tokenization_that_takes_too_long_ends_before_the_deadline() {
    let (handler, long) = long_tokenization();
    let began = Instant::now();
    assert_eq!(block_on(handler.http(&long, &Call::default())).status, 200);
    // A third of that time, besides the time that the program reserves for writing the answer.
    let call = call_with(Duration::from_millis(200) + began.elapsed() / 3);
    let answer = block_on(handler.http(&long, &call));
    assert!(call.remaining() > Some(Duration::ZERO), "answered after the deadline");
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (503, &"1".parse().unwrap()), "{text}");
    assert!(text.contains("deadline"), "{text}");
}

#[test]
fn one_call_too_many_gets_429_and_the_others_are_answered() {
    let handler = handler(&fixture(), &[("EMBED_MAX_CALLS", "2"), ("EMBED_THREADS", "1")]);
    let reply = block_on(async {
        let event = embed_event(&texts(60_000)).to_string();
        let small = embed_event(&texts(60)).to_string();
        let direct = br#"{"inputs": "hello"}"#;
        let calls: [Call; 4] = Default::default();
        let first = handler.handle(event.as_bytes(), &calls[0]);
        let second = handler.handle(event.as_bytes(), &calls[1]);
        let late = async {
            while !handler.prometheus().contains("\nembed_calls 2\n") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let error = handler.handle(direct, &calls[3]).await.unwrap_err();
            assert_eq!((error.kind(), error.kind().row().retryable), (Kind::Overloaded, true));
            handler.handle(small.as_bytes(), &calls[2]).await.unwrap()
        };
        let (first, second, late) = tokio::join!(first, second, late);
        assert!(first.is_ok() && second.is_ok());
        late
    });
    let answer = Answer::of(&serde_json::from_str(reply.get()).unwrap());
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    embed(&handler, &["hello"]);
}

#[test]
fn serve_rejects_calls_beyond_its_limits_and_answers_probes() {
    let server = Server::with(&[("EMBED_MAX_CALLS", "1"), ("EMBED_THREADS", "1"), ("EMBED_MAX_TOKENS", "100000000")]);
    let long = json!({"input": texts(240_000)[..2_000], "encoding_format": "base64"}).to_string();
    let json_type = [("content-type", "application/json")];
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| http(&server.address, "POST", "/v1/embeddings", &json_type, long.as_bytes()).0);
        server.wait_for_a_call();
        let (status, head, body) = http(&server.address, "POST", "/embed", &json_type, b"{\"inputs\": \"a\"}");
        assert_eq!(status, 429);
        assert!(head.contains("retry-after: 1"), "{head}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error_type"], "Overloaded");
        assert_eq!(http(&server.address, "GET", "/health", &[], b"").0, 200);
        assert_eq!(busy.join().unwrap(), 200);
        assert!(server.metrics().contains("embed_errors_total{error_type=\"Call.Overloaded\"} 1"));
    });
}

#[test]
fn as_many_calls_as_lambda_allows_run_side_by_side() {
    needs!(model);
    let model = model();
    let expected = embed(&handler(&model, &[]), &["hello world"]);
    let function =
        Function::start(&[("AWS_LAMBDA_MAX_CONCURRENCY", "4"), ("EMBED_MODEL_DIR", model.to_str().unwrap())]);
    assert!(function.api.asked_by(4, LONG));
    let long = function.api.send(&embed_event(&texts(60_000)));
    function.wait_for_runs();
    let short: Vec<_> = (0..20).map(|_| function.api.send(&json!({"inputs": "hello world"}))).collect();
    let reports: Vec<_> = (0..21).map(|_| function.api.report(LONG).unwrap()).collect();
    assert_eq!(reports.last().unwrap().id, long, "the short calls do not wait for the long one");
    for report in reports.iter().filter(|report| report.id != long) {
        assert!(short.contains(&report.id));
        assert_eq!(vectors(&report.body["embeddings"]), expected);
    }
}

fn terminate(function: &Function) {
    assert!(Command::new("kill").arg(function.process.id().to_string()).status().unwrap().success());
}

#[test]
fn sigterm_ends_an_idle_process_at_once() {
    let mut function = Function::start(&[]);
    function.answer(&json!({"inputs": "hello"}));
    terminate(&function);
    assert!(function.end(Duration::from_secs(10)).unwrap().success());
    assert_eq!(function.lines("_aws").len(), 1, "what was measured is written");
}

#[test]
fn sigterm_fails_a_call_that_runs_too_long_so_that_it_is_retried() {
    needs!(model);
    let model = model();
    let mut function = Function::start(&[("EMBED_THREADS", "1"), ("EMBED_MODEL_DIR", model.to_str().unwrap())]);
    // Many seconds of work in a small event.
    function.api.send(&json!({"inputs": texts(60_000)}));
    function.wait_for_runs();
    let asked = Instant::now();
    terminate(&function);
    let report = function.api.report(LONG).unwrap();
    assert_eq!((report.kind, report.body["errorType"].as_str()), ("error", Some("Call.Stopping")));
    assert!(report.body["errorMessage"].as_str().unwrap().contains("try again"));
    assert!(function.end(LONG).unwrap().success());
    assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
}
