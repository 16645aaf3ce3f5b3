//! The layering rule that src/lib.rs states: which module may import which, and where a library may be named.

use std::path::{Path, PathBuf};

use crate::support::harness::root;

/// Libraries, and the files or folders below src/ that may name them.
const LIBRARIES: [(&str, &[&str]); 10] = [
    ("ort::", &["embedding/session.rs"]),
    ("operators::", &["embedding/session.rs", "model/manifest.rs"]),
    ("tokenizers::", &["embedding/tokenizer.rs", "embedding/split_points.rs"]),
    ("aws_config::", &["aws"]),
    ("aws_sdk_s3::", &["aws"]),
    ("aws_sigv4::", &["aws"]),
    ("aws_sdk_s3vectors::", &["stores/s3vectors"]),
    ("lambda_runtime::", &["lambda", "observability/call.rs", "error"]),
    ("libloading::", &["documents/extract/pdf/pdfium.rs"]),
    ("std::env::var", &["config", "main.rs"]),
];

/// Endings of the names of files that only tests compile.
const TESTS: [&str; 2] = ["tests.rs", "test_server.rs"];

/// Every file of the product with its code: no comments, no tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !TESTS.iter().any(|end| name.ends_with(end)) {
            let text = std::fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let code: Vec<_> = product.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            found.push((path.strip_prefix(root().join("src")).unwrap().to_owned(), code.join("\n")));
        }
    }
    found
}

/// The words that follow `prefix` in `code`, if it begins a path and not a string; those of `prefix{a, b::c}` too.
fn named<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let first_word = |text: &'a str| text.trim_start().split(|c| !is_word(c)).next().unwrap();
    let mut found = Vec::new();
    for (at, _) in
        code.match_indices(prefix).filter(|(at, _)| !code[..*at].ends_with(|c| is_word(c) || c == ':' || c == '"'))
    {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            // A group within the group belongs to the word before it.
            Some(group) => {
                let mut depth = 0;
                let end = group
                    .find(|c| {
                        depth += i32::from(c == '{') - i32::from(c == '}');
                        depth < 0
                    })
                    .unwrap();
                let mut depth = 0;
                let top = group[..end].split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                found.extend(top.map(first_word).filter(|word| !word.is_empty()));
            }
            None => found.push(first_word(rest)),
        }
    }
    found
}

#[test]
fn a_module_imports_only_what_lies_below_it() {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rule = text.split("only modules on lines below its own:\n//!\n//! ```text\n").nth(1).expect("the rule's block");
    let lines = rule.split("```").next().unwrap().lines().map(|line| line.trim_start_matches("//!").trim());
    let floors: Vec<(usize, &str)> =
        lines.enumerate().flat_map(|(floor, line)| line.split(", ").map(move |room| (floor, room))).collect();
    let floor = |room: &str| floors.iter().find(|(_, name)| *name == room).map(|(floor, _)| *floor);
    let (mut imports, mut upward) = (0, Vec::new());
    for (path, code) in sources(&root().join("src")).iter().filter(|(path, _)| path != Path::new("lib.rs")) {
        let room = path.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        let own = floor(room).unwrap_or_else(|| panic!("src/lib.rs does not say where {room} lies"));
        for other in [named(code, "crate::"), named(code, "lambda_embed::")].concat() {
            // A name that is not a module is re-exported from the lowest module, `error`.
            if let Some(other_floor) = floor(other)
                && other != room
            {
                imports += 1;
                if other_floor <= own {
                    upward.push(format!("{} imports {other}", path.display()));
                }
            }
        }
    }
    assert!(imports > 100, "{imports} imports were found");
    assert!(upward.is_empty(), "against the rule of src/lib.rs:\n{}", upward.join("\n"));
}

#[test]
fn a_library_is_named_where_it_belongs() {
    let sources = sources(&root().join("src"));
    for (library, allowed) in LIBRARIES {
        let naming: Vec<_> = sources.iter().filter(|(_, code)| !named(code, library).is_empty()).collect();
        assert!(!naming.is_empty(), "{library} is named nowhere");
        for (path, _) in naming {
            assert!(allowed.iter().any(|place| path.starts_with(place)), "{} names {library}", path.display());
        }
    }
}
