//! A long-running function: every kind of call in turn, every answer equal to the reference to the bit, no call lost or
//! answered twice, memory flat. `make soak` runs it at length.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::function::{Function, LONG};
use crate::support::harness::{event, fixture_handler, invoke, model, root};
use crate::support::runtime_api::{Delivery, Report};

/// One call of each kind: every event source, both contracts, long and short, right and wrong.
fn kinds() -> Vec<Value> {
    let files = std::fs::read_dir(root().join("events")).unwrap().map(|file| file.unwrap().path());
    // S3's events need a store, and have their own tests.
    let of_s3 = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        ["s3", "sqs", "sns", "eventbridge"].iter().any(|source| name.starts_with(source))
    };
    let mut paths: Vec<_> = files.filter(|path| !of_s3(path)).collect();
    paths.sort();
    let mut kinds: Vec<Value> =
        paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect();
    let json_type = [("content-type", "application/json")];
    let post = |path: &str, body: &Value| event("POST", path, &json_type, &body.to_string());
    let many: Vec<_> = (0..40).map(|number| format!("text {number} of {}", "many ".repeat(number))).collect();
    kinds.extend([
        post("/v1/embeddings", &json!({"input": "hello world"})),
        post("/v1/embeddings", &json!({"input": many, "encoding_format": "base64"})),
        post("/embed", &json!({"inputs": "word ".repeat(400), "truncate": "mean"})),
        post("/embed", &json!({"inputs": "word ".repeat(400), "truncate": false})),
        post("/similarity", &json!({"inputs": {"source_sentence": "a", "sentences": many}})),
        post("/tokenize", &json!({"inputs": "hello world"})),
        post("/embed", &json!({"inputs": 5})),
        post("/v1/embeddings", &json!({"input": [1, 2, 3]})),
        event("GET", "/info", &[], ""),
        event("GET", "/nowhere", &[], ""),
        event("DELETE", "/embed", &[], ""),
        json!({"inputs": many, "input_type": "query"}),
        json!({"inputs": [], "truncate": 5}),
        json!({"Records": []}),
    ]);
    kinds
}

/// An answer without the parts that differ between runs.
fn timeless(mut answer: Value) -> Value {
    for headers in ["headers", "multiValueHeaders"] {
        if let Some(headers) = answer.get_mut(headers).and_then(Value::as_object_mut) {
            headers.retain(|name, _| !name.ends_with("-time"));
        }
    }
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("timings");
    }
    if let Some(answers) = answer.as_array_mut() {
        answers.iter_mut().for_each(|answer| *answer = timeless(answer.take()));
    }
    answer
}

/// The expected report: the in-process handler's answer, or an error.
fn references(kinds: &[Value]) -> Vec<Option<Value>> {
    let handler = fixture_handler();
    let answer = |event: &Value| {
        let refused = lambda_embed::event::decode(event.to_string().as_bytes()).is_err()
            || event.get("inputs").is_some_and(|inputs| inputs == &json!([]));
        (!refused).then(|| timeless(invoke(&handler, event)))
    };
    kinds.iter().map(answer).collect()
}

/// Sends `count` calls, `beside` at once. Returns resident MB: after the first 500, at the peak, and at the end.
fn soak(count: usize, beside: usize, variables: &[(&str, &str)]) -> [f64; 3] {
    let kinds = kinds();
    let references = references(&kinds);
    assert!(references.iter().filter(|reference| reference.is_none()).count() == 2);
    let function =
        Function::start(&[variables, &[("EMBED_LOG", "error"), ("EMBED_METRICS_NAMESPACE", "off")]].concat());
    let check = |report: &Report, kind: usize| match &references[kind] {
        Some(reference) => {
            assert_eq!(report.kind, "response", "{}: {report:?}", kinds[kind]);
            assert_eq!(&timeless(report.body.clone()), reference, "{}", kinds[kind]);
        }
        None => assert_eq!(report.kind, "error", "{}: {report:?}", kinds[kind]),
    };
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    let (mut sent, mut answered, mut after_500, mut most) = (0, 0, 0.0, 0.0f64);
    while answered < count {
        while sent < count && open.len() < beside {
            // A step that has no divisor in common with most counts of kinds, so that neighbours vary.
            let kind = sent * 7 % kinds.len();
            open.insert(function.api.deliver(Delivery::of(kinds[kind].to_string())), kind);
            sent += 1;
        }
        let report = function.api.report(LONG).unwrap_or_else(|| panic!("{open:?} lost: {}", function.written()));
        let kind = open.remove(&report.id).unwrap_or_else(|| panic!("answered twice: {report:?}"));
        check(&report, kind);
        answered += 1;
        if answered == 500 {
            after_500 = function.memory("VmRSS");
        }
        if answered % 100 == 0 {
            most = most.max(function.memory("VmRSS"));
        }
    }
    assert!(function.api.report(std::time::Duration::from_millis(100)).is_none(), "an answer to no call");
    let end = function.memory("VmRSS");
    println!(
        "{count} calls of {} kinds, {beside} at once: {after_500:.1} MB after 500, {most:.1} at most, {end:.1} at the end",
        kinds.len()
    );
    [after_500, most, end]
}

#[test]
fn a_thousand_mixed_calls_are_each_answered_once_and_to_the_bit() {
    soak(1_000, 1, &[]);
    soak(1_000, 4, &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]);
}

#[test]
#[ignore = "`make soak` runs it"]
fn a_hundred_thousand_mixed_calls_leave_memory_flat() {
    for (count, beside, variables) in [(80_000, 1, &[][..]), (20_000, 4, &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")][..])] {
        let [after_500, most, end] = soak(count, beside, variables);
        assert!(end <= after_500 * 1.1, "{after_500} MB after 500 calls, {end} MB after {count}");
        assert!(most <= after_500 * 1.2, "{most} MB at most");
    }
}

/// Texts of every length a model takes, on a model of real size: the arena keeps no peak.
#[test]
#[ignore = "`make soak` runs it"]
fn twenty_thousand_lengths_leave_memory_flat() {
    needs!(model);
    let model = model();
    let function = Function::start(&[
        ("EMBED_MODEL_DIR", model.to_str().unwrap()),
        ("EMBED_LOG", "error"),
        ("EMBED_METRICS_NAMESPACE", "off"),
    ]);
    // Marsaglia's xorshift32; mostly short texts, and now and then one of any length.
    let mut state = 2_463_534_242u32;
    let mut random = move |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below
    };
    let (mut peak, mut most) = (0.0f64, 0.0f64);
    for number in 0..20_000 {
        let words = if random(20) == 0 { random(500) } else { random(30) } as usize + 1;
        function.answer(&json!({"inputs": "word ".repeat(words)}));
        if number < 500 {
            peak = peak.max(function.memory("VmRSS"));
        }
        if number % 500 == 499 {
            most = most.max(function.memory("VmRSS"));
        }
    }
    let end = function.memory("VmRSS");
    println!("20000 lengths: peak {peak:.1} MB in the first 500, {most:.1} at most, {end:.1} at the end");
    assert!(end <= peak * 1.1, "{end} MB at the end, the peak of the first 500 was {peak}");
}
