//! The example of docs/qdrant.md, run as it stands: qdrant-client, a Qdrant that asks the function, the real binary.

use std::process::Command;

use crate::support::harness::{model, output, root};
use crate::support::qdrant_server::start;
use crate::support::server::Server;

/// What the example prints, a line a hit, against a function with the model in `folder`.
fn search(server: &Server, through: &str, more: &[&str]) -> Vec<String> {
    let inference = format!("http://{}/qdrant/inference", server.address);
    let qdrant = start(&["--inference", &inference]);
    let mut command = Command::new(root().join("target/qdrant-server/bin/python"));
    command.arg(root().join("examples/qdrant/search.py")).args(["--through", through]).args(more);
    command.args(["--qdrant", &format!("http://{}", qdrant.address)]);
    command.args(["--function", &format!("http://{}", server.address)]);
    let (succeeded, printed, error) = output(&mut command);
    assert!(succeeded, "{printed}{error}");
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn both_ways_find_the_same() {
    needs!(qdrant);
    let server = Server::start();
    let fixture = ["--model", "fixture", "--dimensions", "32"];
    let (asked, sent) = (search(&server, "server", &fixture), search(&server, "client", &fixture));
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked, sent);
}

#[test]
fn the_question_is_answered() {
    needs!(model, qdrant);
    let folder = model();
    let server = Server::over(&folder, &[]);
    let hits = search(&server, "server", &["--model", "bge-small-en-v1.5"]);
    assert!(hits[0].contains("integration for agents") && hits[1].contains("LangChain"), "{hits:#?}");
}

#[test]
fn an_exact_code_is_found_first_by_meaning_and_words_together() {
    needs!(model, qdrant);
    let server = Server::over(&model(), &[]);
    let question = ["--model", "bge-small-en-v1.5", "--question", "what is E1234", "--hybrid"];
    for through in ["server", "client"] {
        let hits = search(&server, through, &question);
        assert!(hits[0].contains("feed roller"), "{hits:#?}");
    }
}

#[test]
fn a_model_that_the_function_has_not_is_told_to_the_programs_user() {
    needs!(qdrant);
    let server = Server::start();
    let inference = format!("http://{}/qdrant/inference", server.address);
    let qdrant = start(&["--inference", &inference]);
    let mut command = Command::new(root().join("target/qdrant-server/bin/python"));
    command.arg(root().join("examples/qdrant/search.py")).args(["--through", "server", "--model", "another"]);
    command.args(["--dimensions", "32", "--qdrant", &format!("http://{}", qdrant.address)]);
    let (succeeded, _, error) = output(&mut command);
    assert!(!succeeded && error.contains("another") && error.contains("fixture"), "{error}");
}
