//! Records of JSON as programs and people write them.

use serde_json::{Value, json};

use crate::documents::extract::tests::{read, read_whole, run, skipped, texts};
use crate::documents::extract::{ExtractOptions, RecordText, Skip};

/// The texts and what was left out, with the options' defaults.
fn whole(key: &str, json: &str) -> (Vec<String>, Vec<String>) {
    read_whole(json.as_bytes(), key, &ExtractOptions::default())
}

/// The texts of the records that are read, of which one between them is broken in each way; the same as JSON Lines and
/// as elements of a list.
fn assert_one_is_left_out(broken: &str) {
    let (good, other) = (r#"{"text": "one"}"#, r#"{"text": "two"}"#);
    for (key, json) in [
        ("a.jsonl", format!("{good}\n{broken}\n{other}\n")),
        ("a.jsonl", format!("{good}\r\n{broken}\r\n{other}")),
        ("a.json", format!("{good}\n{broken}\n{other}\n")),
        ("a.json", format!("[{good},{broken},{other}]")),
        ("a.json", format!("[\n  {good},\n  {broken},\n  {other}\n]\n")),
    ] {
        let (texts, left_out) = whole(key, &json);
        assert_eq!(texts, ["one", "two"], "{key}: {json}");
        assert_eq!(left_out.len(), 1, "{key}: {json}: {left_out:?}");
        assert!(left_out[0].starts_with("record 1, line "), "{key}: {json}: {left_out:?}");
    }
}

#[test]
fn a_broken_record_costs_no_other() {
    for broken in [
        r#"{"text": "a", }"#,
        r#"{"text": "a" "b": 1}"#,
        r#"{"text": tru}"#,
        r#"{"text": 01}"#,
        r#"{'text': 'a'}"#,
        r#"{text: "a"}"#,
        r#"{"text": "bad \x escape"}"#,
        r#"{"text": "a", "list": [1, 2, ], "more": {"b": [{"c": 1}, {"d": 2}]}}"#,
        r#"{"text": "a", "list": [{"b": 1} {"c": 2}], "d": 1}"#,
        r#"{"text": "a" /* why */, "b": 1}"#,
        r#"{"text": "not closed}"#,
        r#"{"text": "not closed, "b": "more"}"#,
        r#"{"text": "a", "b": {"c": 1}"#,
        r#"{"text": "a", "b": [1, 2}"#,
    ] {
        assert_one_is_left_out(broken);
    }
}

#[test]
fn a_bracket_too_many_costs_no_record() {
    assert_eq!(whole("a.json", r#"[{"text": "one"}}, {"text": "two"}]"#).0, ["one", "two"]);
    assert_eq!(whole("a.json", r#"[{"text": "one"},, {"text": "two"},]"#), (vec!["one".into(), "two".into()], vec![]));
}

#[test]
fn two_broken_strings_leave_what_lies_between_them() {
    let (texts, left_out) =
        whole("a.json", r#"[{"text": "bad}, {"text": "one"}, {"text": "two"}, {"text": "bad}, {"text": "three"}]"#);
    assert_eq!((texts, left_out.len()), (vec!["one".to_owned(), "two".to_owned(), "three".to_owned()], 2));
}

#[test]
fn a_list_that_is_cut_off_leaves_what_came_before() {
    let (texts, left_out) = whole("a.json", r#"[{"text": "one"}, {"text": "two", "list": [{"text": "no"}, {"te"#);
    assert_eq!(texts, ["one"]);
    assert_eq!(left_out, ["record 1, line 1: it is not JSON: EOF while parsing a string"]);
}

#[test]
fn records_follow_one_another_in_every_way() {
    for (key, json) in [
        ("a.json", r#"{"text": "one"}{"text": "two"}"#),
        ("a.jsonl", r#"{"text": "one"}{"text": "two"}"#),
        ("a.jsonl", "{\"text\": \"one\"}\r\n\r\n  \n{\"text\": \"two\"}"),
        ("a.jsonl", "[{\"text\": \"one\"},\n {\"text\": \"two\"}]\n"),
        ("a.jsonl", "{\n \"text\": \"one\"\n}\n{\n \"text\": \"two\"\n}\n"),
        ("a.json", "\u{1e}{\"text\": \"one\"}\n\u{1e}{\"text\": \"two\"}\n"),
        ("a.json", "\u{feff}{\"text\": \"one\"}\n\u{feff}{\"text\": \"two\"}"),
        ("a.jsonl", "\u{feff}{\"text\": \"one\"}\r\n\u{feff}{\"text\": \"two\"}"),
        ("a.json", "\u{feff}[{\"text\": \"one\"}]\n\u{feff}[{\"text\": \"two\"}]"),
    ] {
        assert_eq!(whole(key, json), (vec!["one".into(), "two".into()], vec![]), "{key}: {json:?}");
    }
}

#[test]
fn nan_and_infinity_are_null() {
    let (sections, _) = read(r#"{"text": "NaN, Infinity", "a": NaN, "b": [-Infinity, Infinity], "c": -1}"#, "a.json");
    assert_eq!(texts(&sections), ["NaN, Infinity"]);
    assert_eq!(Value::Object(sections[0].fields.clone()), json!({"a": null, "b": [null, null], "c": -1}));
}

#[test]
fn half_a_surrogate_pair_is_replaced() {
    for (json, text) in [
        (r#"{"text": "a\ud83db"}"#, "a\u{fffd}b"),
        (r#"{"text": "a\udc00"}"#, "a\u{fffd}"),
        (r#"{"text": "\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
        (r#"{"text": "\uD83D\u0041 \\ud83d"}"#, "\u{fffd}A \\ud83d"),
        ("{\"text\": \"a\ttab \\ud83d\"}", "a\ttab \u{fffd}"),
    ] {
        assert_eq!(whole("a.json", json).0, [text], "{json}");
        assert_eq!(whole("a.jsonl", json).0, [text], "{json}");
    }
}

#[test]
fn deep_nesting_costs_its_record_alone() {
    for depth in [128, 10_000, 100_000] {
        assert_one_is_left_out(&format!(r#"{{"text": {}"deep"{}}}"#, "[".repeat(depth), "]".repeat(depth)));
        let json = format!("{{\"text\": \"one\"}}\n{}\n{{\"text\": \"two\"}}", r#"{"a": ["#.repeat(depth));
        let (texts, left_out) = whole("a.jsonl", &json);
        assert_eq!((texts, left_out.len()), (vec!["one".to_owned(), "two".to_owned()], 1));
    }
    let (_, left_out) = whole("a.jsonl", &format!("{{\"text\": \"one\"}}\n{}{}", "[".repeat(500), "]".repeat(500)));
    assert_eq!(left_out, ["record 1, line 2: its JSON is nested more than 127 levels deep"]);
    assert_eq!(skipped(read("[".repeat(2_000_000), "a.json").1).0, Skip::TooDeep);
}

#[test]
fn broken_records_take_time_in_proportion() {
    let began = std::time::Instant::now();
    for broken in [r#"{"a": 2, "#, r#"{"a": [{"b": 1, "c": ["#, r#"{"a": 1 "b": {"#, r#"{"a": "b}, "#, "}", "[{"] {
        let (_, outcome) = read(broken.repeat((8 << 20) / broken.len()), "a.json");
        assert!(outcome.is_err(), "{broken}");
        let mixed = [broken, r#"{"text": "good"}, "#].concat();
        read(mixed.repeat((4 << 20) / mixed.len()), "a.json").1.ok();
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn without_a_pointer_the_usual_names_are_tried() {
    for (json, text, fields) in [
        (r#"{"body": "c", "content": "b", "text": "a"}"#, "a", json!({"body": "c", "content": "b"})),
        (r#"{"body": "c", "content": ["b", "d"], "text": 5}"#, "b\n\nd", json!({"body": "c", "text": 5})),
        (r#"{"body": "c", "content": " ", "text": null}"#, "c", json!({"content": " ", "text": null})),
        (r#""only a string""#, "only a string", json!({})),
    ] {
        let (sections, _) = read(json, "a.json");
        assert_eq!((texts(&sections), Value::Object(sections[0].fields.clone())), (vec![text], fields), "{json}");
    }
}

#[test]
fn a_record_without_a_text_is_its_values() {
    let json = r#"{"title": "The lamp ", "id": 7, "price": 1.5, "lit": true, "keeper": {"name": "Müller", "born": 1854},
        "tags": ["sea", "light"], "notes": [{"by": "A"}, {"by": "B"}], "none": null, "empty": ""}"#;
    let (sections, _) = read(json, "a.json");
    let lines = "title: The lamp\nid: 7\nprice: 1.5\nlit: true\nkeeper.name: Müller\nkeeper.born: 1854\ntags: sea\n\
                 tags: light\nnotes.by: A\nnotes.by: B";
    assert_eq!(texts(&sections), [lines]);
    let fields = &sections[0].fields;
    assert_eq!((&fields["id"], &fields["keeper"]), (&json!(7), &json!({"name": "Müller", "born": 1854})));
    // What is long is in the text already.
    let (sections, _) = read(format!(r#"{{"id": 7, "story": "{}"}}"#, "so long ".repeat(99)), "a.json");
    assert_eq!(Value::Object(sections[0].fields.clone()), json!({"id": 7}));
    // The same name twice.
    assert_eq!(whole("a.json", r#"{"a": "one", "a": "two"}"#).0, ["a: one\na: two"]);
    // Numbers alone are no text.
    let (why, reason) = skipped(read("{\"title\": 1}\n{\"title\": 2}", "a.jsonl").1);
    assert_eq!(
        (why, reason.contains(r#"2 parts has text; record 0, line 1: no text in it"#)),
        (Skip::Unreadable, true)
    );
}

#[test]
fn every_value_can_be_asked_for() {
    let options = ExtractOptions { record_text: RecordText::Values, ..ExtractOptions::default() };
    let (sections, _) = run(&br#"{"text": "a", "by": "b"}"#[..], "a.json", None, &options);
    assert_eq!(texts(&sections), ["text: a\nby: b"]);
}

#[test]
fn a_record_of_a_hundred_megabytes_costs_the_others_nothing() {
    let large = format!(r#"{{"text": "{}", "list": [{}1]}}"#, "word ".repeat(10 << 20), "1, ".repeat(16 << 20));
    for (key, json) in [
        ("a.json", format!(r#"[{{"text": "one"}}, {large}, {{"text": "two"}}]"#)),
        ("a.jsonl", format!("{{\"text\": \"one\"}}\n{large}\n{{\"text\": \"two\"}}")),
    ] {
        let (sections, outcome) = read(json, key);
        assert_eq!((texts(&sections), outcome.unwrap().skipped_records.count), (vec!["one", "two"], 1), "{key}");
    }
}
