//! README, docs/configuration.md and SECURITY.md agree with the program.

use std::path::Path;
use std::process::Command;

use lambda_embed::config::{GROUPS, Variable};
use serde_json::Value;

use crate::support::harness::{FolderCopy, bootstrap, model, output, root};
use crate::support::server::Server;

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap()
}

/// A variable's row in a table of the docs.
fn row(variable: &Variable) -> String {
    format!("| `{}` | {} | {} |", variable.name, variable.default, variable.about)
}

/// Each row of a page that is a variable's, with the heading above it.
fn rows(page: &str) -> Vec<(&str, String)> {
    let mut heading = "";
    let mut found = Vec::new();
    for line in page.lines() {
        if let Some(words) = line.strip_prefix("## ") {
            heading = words;
        } else if line.starts_with("| `EMBED_") {
            found.push((heading, line.to_owned()));
        }
    }
    found
}

#[test]
fn the_configuration_page_has_every_variable_once_under_its_purpose() {
    let own: Vec<_> =
        GROUPS.iter().flat_map(|group| group.variables.iter().map(|variable| (group.purpose, row(variable)))).collect();
    let page = read("docs/configuration.md");
    let written = rows(&page);
    for (written, own) in written.iter().zip(&own) {
        assert_eq!(written, own);
    }
    assert_eq!(written.len(), own.len());
}

#[test]
fn the_readme_has_ten_variables_as_the_configuration_page_has_them() {
    let readme = read("README.md");
    let ten: Vec<_> = rows(&readme).into_iter().map(|(_, row)| row).collect();
    let own: Vec<_> = Variable::all().map(row).filter(|row| ten.contains(row)).collect();
    assert_eq!((ten.len(), ten), (10, own));
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
    let text = read("SECURITY.md");
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

/// The README's indented commands that start with `program`, lines that end in a backslash joined, each with the answer
/// that is under it.
fn commands(program: &str) -> Vec<(String, Option<Value>)> {
    let readme = read("README.md").replace("\\\n", " ");
    let mut lines = readme.lines().map(|line| line.strip_prefix("    ")).peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(command) = line.filter(|line| line.starts_with(program)) {
            let answer = lines.peek().copied().flatten().and_then(|line| serde_json::from_str(line).ok());
            found.push((command.to_owned(), answer));
        }
    }
    found
}

/// What a server answers to a request of the README.
fn answer(server: &Server, command: &str) -> Value {
    let here = format!("{} --silent --fail", command.replace("127.0.0.1:3000", &server.address));
    let (succeeded, printed, error) = output(Command::new("sh").arg("-c").arg(&here));
    assert!(succeeded, "{here}: {printed}{error}");
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn the_readmes_requests_are_answered() {
    let server = Server::start();
    let commands = commands("curl ");
    assert!(commands.len() >= 3);
    for (command, _) in commands {
        let answer = answer(&server, &command);
        let vectors = answer.get("data").unwrap_or(&answer).as_array().unwrap();
        assert!(!vectors.is_empty(), "{command}: {answer}");
    }
}

/// Within a hundredth: int8 products may fall into another step on another processor.
#[test]
fn the_answer_under_the_readmes_first_request_is_the_models() {
    needs!(model);
    let (command, stated) = commands("curl ").swap_remove(0);
    let stated = stated.expect("an answer under the first request");
    let given = answer(&Server::over(&model(), &[]), &command);
    let numbers = |value: &Value| value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    let (stated, given) = (numbers(&stated), numbers(&given));
    assert_eq!(stated.len(), given.len());
    assert!(stated.iter().zip(&given).all(|(stated, given)| (stated - given).abs() < 0.01), "{given:?}");
}

#[test]
fn the_readmes_way_to_bring_a_model_makes_one() {
    let (command, _) = commands("python3 ").pop().expect("a command that writes a manifest");
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
