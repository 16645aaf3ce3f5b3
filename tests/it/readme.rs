//! README and SECURITY.md agree with the program.

use std::path::Path;
use std::process::Command;

use lambda_embed::config::VARIABLES;

use crate::support::harness::{FolderCopy, bootstrap, output, root};
use crate::support::server::Server;

#[test]
fn the_configuration_table_is_the_programs_own() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `EMBED_")).collect();
    let own: Vec<_> = VARIABLES.iter().map(|v| format!("| `{}` | {} | {} |", v.name, v.default, v.about)).collect();
    assert_eq!(rows, own);
}

/// SECURITY.md names tests by module and function; each of them must exist.
#[test]
fn every_test_that_the_threat_model_names_is_there() {
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let (stem, parent) = (path.file_stem().unwrap(), path.parent().unwrap().file_name().unwrap());
                let module = if stem == "mod" { parent } else { stem };
                found.push((module.to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests/it"), &mut files);
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| **")).collect();
    assert!(rows.len() > 10);
    for row in rows {
        let names: Vec<_> = row.split('`').skip(1).step_by(2).filter_map(|word| word.split_once("::")).collect();
        assert!(!names.is_empty(), "a threat without a test: {row}");
        for (module, function) in names {
            let there = files.iter().any(|(file, text)| file == module && text.contains(&format!("fn {function}(")));
            assert!(there, "{module}::{function} is no test");
        }
    }
}

/// The indented commands that start with `program`, lines that end in a backslash joined.
fn commands(program: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap().replace("\\\n", " ");
    let indented = readme.lines().filter_map(|line| line.strip_prefix("    "));
    indented.filter(|line| line.starts_with(program)).map(str::to_owned).collect()
}

#[test]
fn the_readmes_requests_are_answered() {
    let server = Server::start();
    let commands = commands("curl ");
    assert!(commands.len() >= 2);
    for command in commands {
        let here = command.replace("127.0.0.1:3000", &server.address);
        let (succeeded, printed, error) = output(Command::new("sh").arg("-c").arg(format!("{here} --silent --fail")));
        assert!(succeeded, "{here}: {printed}{error}");
        let answer: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let vectors = answer.get("data").unwrap_or(&answer).as_array().unwrap();
        assert!(!vectors.is_empty(), "{here}: {printed}");
    }
}

#[test]
fn the_readmes_way_to_bring_a_model_makes_one() {
    let command = commands("python3 ").pop().expect("a command that writes a manifest");
    let folder = FolderCopy::of_fixture("readme-model");
    let stock = root().join("models/fixture-stock");
    for file in ["model.onnx", "tokenizer.json"] {
        std::fs::copy(stock.join(file), folder.0.join(file)).unwrap();
    }
    let command = command.replace("FOLDER", folder.0.to_str().unwrap());
    // The fixture is smaller than the model in the README's command.
    let command = command.replace("--max-tokens 512 --dimensions 384", "--max-tokens 64 --dimensions 32");
    let (succeeded, _, error) = output(Command::new("sh").arg("-c").arg(&command).current_dir(root()));
    assert!(succeeded, "{command}: {error}");
    let (ready, printed, error) = output(bootstrap().env("EMBED_MODEL_DIR", &folder.0).arg("doctor"));
    assert!(ready && printed.contains("my-model"), "{printed}{error}");
}
