//! The parts that tests need beside this repository: tests/parts.json lists them, tests/parts.py has the rule.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::support::harness::root;

#[derive(Deserialize)]
struct Part {
    what: String,
    bring: String,
    /// If the part is there, all of these exist.
    #[serde(default)]
    files: Vec<String>,
}

static PARTS: LazyLock<BTreeMap<String, Part>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../parts.json")).unwrap());

/// The first line of a test that needs parts: `needs!(s3, model);`. Fails the test if one of them is missing; ends it,
/// counted as left out, if TESTS_WITHOUT names one.
macro_rules! needs {
    ($($part:ident),+) => {
        if $crate::support::parts::left_out(&[$(stringify!($part)),+]) {
            return;
        }
    };
}

/// Whether the calling test is left out for one of `parts`; counted if so. Panics if a part is missing.
pub fn left_out(parts: &[&str]) -> bool {
    let lacking: Vec<_> = parts.iter().copied().filter(|part| without(part)).collect();
    if lacking.is_empty() {
        parts.iter().for_each(|part| assert_present(part));
        return false;
    }
    let label = lacking.join("+");
    eprintln!("left out: TESTS_WITHOUT names {label}");
    if let Some(file) = std::env::var_os("TESTS_LEFT_OUT") {
        // One write, so that tests that run side by side do not mix their lines.
        let mut file = std::fs::File::options().append(true).create(true).open(file).unwrap();
        file.write_all(format!("{label}\n").as_bytes()).unwrap();
    }
    true
}

/// Called by every helper that uses a part. Panics if it is missing, or if the test does not name it with `needs!`.
pub fn assert_present(part: &str) {
    let files = &PARTS.get(part).unwrap_or_else(|| panic!("tests/parts.json has no {part}")).files;
    assert!(!without(part), "this test needs {part}: its first line must be needs!({part})");
    if !files.iter().all(|file| root().join(file).is_file()) {
        missing(part);
    }
}

/// Ends the test because it lacks a part.
pub fn missing(part: &str) -> ! {
    let Part { what, bring, .. } = &PARTS[part];
    panic!("{what} is missing: {bring}; TESTS_WITHOUT={part} leaves out the tests that need it")
}

/// Whether TESTS_WITHOUT names the part. Panics if it names an unknown one.
fn without(part: &str) -> bool {
    let names = std::env::var("TESTS_WITHOUT").unwrap_or_default();
    let names: Vec<_> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    for name in &names {
        let known: Vec<_> = PARTS.keys().map(String::as_str).collect();
        assert!(PARTS.contains_key(*name), "TESTS_WITHOUT: {name} is no part; the parts are {}", known.join(", "));
    }
    names.contains(&part)
}
