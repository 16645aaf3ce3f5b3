//! A missing or wrong part ends in one clear line that says what to do, never in a crash.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::harness::{FolderCopy, bootstrap, output, root};

/// The real binary with a model folder.
fn start(folder: &FolderCopy) -> Command {
    let mut command = bootstrap();
    command.env("EMBED_MODEL_DIR", &folder.0);
    command
}

/// Starts the real binary on one event; it must fail with `words` on standard error.
fn fails_with(command: &mut Command, words: &[&str]) {
    let (succeeded, printed, error) = output(command.arg("invoke").arg(root().join("events/direct-tei.json")));
    assert!(!succeeded && printed.is_empty(), "{printed}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{error}");
    for word in words {
        assert!(last.contains(word), "{word:?} is not in: {last}");
    }
}

#[test]
fn a_missing_library_names_the_command_that_brings_it() {
    fails_with(
        bootstrap().env("EMBED_ORT_LIB", "/nowhere/lib.so"),
        &["/nowhere/lib.so", "make runtime", "EMBED_ORT_LIB"],
    );
}

#[test]
fn a_file_that_is_no_library_is_named() {
    fails_with(bootstrap().env("EMBED_ORT_LIB", root().join("Cargo.toml")), &["Cargo.toml", "make runtime"]);
}

#[test]
fn a_library_of_another_version_is_named_with_both_versions() {
    let folder = FolderCopy::of_fixture("old-library");
    let source = folder.0.join("old.c");
    std::fs::write(
        &source,
        r#"static const char *version(void) { return "1.20.0"; }
           static const void *api(unsigned wanted) { return 0; }
           static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
           const void *OrtGetApiBase(void) { return &base; }"#,
    )
    .unwrap();
    let built = folder.0.join("old.so");
    let (compiled, _, error) = output(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&built).arg(&source));
    assert!(compiled, "{error}");
    fails_with(bootstrap().env("EMBED_ORT_LIB", built), &["1.20.0", "1.31", "make runtime"]);
}

#[test]
fn a_missing_model_folder_names_the_command_that_brings_it() {
    fails_with(bootstrap().env("EMBED_MODEL_DIR", "/nowhere"), &["/nowhere", "manifest.json", "make model"]);
}

#[test]
fn a_missing_file_of_a_model_is_named() {
    for file in ["model.ort", "tokenizer.json"] {
        let folder = FolderCopy::of_fixture("missing-file");
        std::fs::remove_file(folder.0.join(file)).unwrap();
        fails_with(&mut start(&folder), &[file, "make model"]);
    }
}

#[test]
fn one_flipped_byte_is_caught_by_its_hash() {
    for file in ["model.ort", "tokenizer.json"] {
        let folder = FolderCopy::of_fixture("flipped");
        folder.change(file, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        fails_with(&mut start(&folder), &[file, "corrupted", "sha256", "make model"]);
    }
}

#[test]
fn a_cut_off_file_is_caught_by_its_size_whatever_is_trusted() {
    for file in ["model.ort", "tokenizer.json"] {
        let folder = FolderCopy::of_fixture("cut-off");
        folder.change(file, |bytes| bytes.truncate(bytes.len() - 1));
        let mut command = bootstrap();
        command.env("EMBED_MODEL_DIR", &folder.0).env("EMBED_VERIFY", "sizes");
        fails_with(&mut command, &[file, "bytes"]);
    }
}

#[test]
fn a_manifest_that_is_not_understood_is_named() {
    let folder = FolderCopy::of_fixture("manifest");
    folder.change("manifest.json", |bytes| *bytes = b"{\"format\": 1}".to_vec());
    fails_with(&mut start(&folder), &["manifest.json is not understood", "missing field"]);
}

#[test]
fn a_processor_that_computes_other_vectors_than_the_models_makers_is_refused() {
    let folder = FolderCopy::of_fixture("probe");
    // The probe's vector of another text stands in for a processor that computes wrongly.
    folder.change_manifest(|manifest| manifest["probe"]["text"] = "hello world".into());
    fails_with(&mut start(&folder), &["the self-test failed: its vector has cosine 0.", "this processor"]);

    folder.change_manifest(|manifest| manifest["probe"]["vector"].as_array_mut().unwrap().truncate(3));
    fails_with(&mut start(&folder), &["the probe's vector must have as many values as there are dimensions"]);

    folder.change_manifest(|manifest| drop(manifest.as_object_mut().unwrap().remove("probe")));
    let (succeeded, _, error) = output(start(&folder).arg("invoke").arg(root().join("events/direct-tei.json")));
    assert!(succeeded, "{error}");
}

#[test]
fn a_model_for_operators_of_another_version_says_what_to_do() {
    let folder = FolderCopy::of_fixture("operators");
    folder.change_manifest(|manifest| manifest["operators"] = 7_000.into());
    fails_with(&mut start(&folder), &["operators of version 7000", "make model"]);
    // The standard graph has none of them.
    let mut standard = start(&folder);
    standard.env("EMBED_KERNELS", "onnxruntime").arg("invoke").arg(root().join("events/direct-tei.json"));
    let (succeeded, _, error) = output(&mut standard);
    assert!(succeeded, "{error}");
}

#[test]
fn kernels_without_their_graph_say_how_to_get_it() {
    let folder = FolderCopy::of_fixture("kernels");
    folder
        .change_manifest(|manifest| drop(manifest["files"].as_object_mut().unwrap().remove("standard_model").unwrap()));
    fails_with(start(&folder).env("EMBED_KERNELS", "onnxruntime"), &["EMBED_KERNELS", "make model STANDARD=yes"]);
}

#[test]
fn a_misspelt_variable_is_an_error() {
    fails_with(bootstrap().env("EMBED_THREAD", "2"), &["EMBED_THREAD", "no such variable", "EMBED_THREADS"]);
}

#[test]
fn an_event_that_cannot_be_read_is_named() {
    let (succeeded, _, error) = output(bootstrap().args(["invoke", "/nowhere/event.json"]));
    assert!(!succeeded && error.contains("/nowhere/event.json"), "{error}");
}

#[test]
fn started_by_hand_without_a_command_it_prints_its_help() {
    let (succeeded, printed, _) = output(&mut bootstrap());
    assert!(succeeded);
    for word in ["invoke", "serve", "doctor", "EMBED_MODEL_DIR", "[default: 2048]"] {
        assert!(printed.contains(word), "{word} is not in: {printed}");
    }
}

#[test]
fn an_event_comes_from_standard_input_as_well() {
    let mut process = bootstrap()
        .args(["invoke", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(br#"{"inputs": "hello"}"#).unwrap();
    let printed = process.wait_with_output().unwrap().stdout;
    let reply: Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!((reply["model"].as_str(), reply["dimensions"].as_u64()), (Some("fixture"), Some(32)));
}
