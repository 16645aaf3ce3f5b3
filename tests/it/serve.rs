//! `bootstrap serve`: the same path over a real socket.

use serde_json::{Value, json};

use crate::support::harness::{embed, fixture_handler, vectors};
use crate::support::server::{Server, http};

#[test]
fn requests_are_answered_side_by_side() {
    let server = Server::start();
    let expected = embed(&fixture_handler(), &["hello world"]).remove(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let (status, head, body) = server.post("/v1/embeddings", &json!({"input": "hello world"}));
                    assert_eq!(status, 200);
                    assert!(head.contains("x-model-id: fixture"), "{head}");
                    assert_eq!(vectors(&json!([body["data"][0]["embedding"]]))[0], expected);
                }
            });
        }
    });
}

#[test]
fn mistakes_keep_their_status_over_the_socket() {
    let server = Server::start();
    assert_eq!(server.post("/v1/embeddings", &json!({"input": 5})).0, 400);
    assert_eq!(server.post("/nowhere", &json!({})).0, 404);
    assert_eq!(http(&server.address, "POST", "/embed", &[], b"{\"inputs\": \"\xff\"}").0, 400);
    assert_eq!(http(&server.address, "POST", "/embed", &[], &vec![b' '; 11 << 20]).0, 413);
    let (status, _, health) = http(&server.address, "GET", "/health", &[], b"");
    assert_eq!((status, serde_json::from_slice::<Value>(&health).unwrap()["status"].as_str()), (200, Some("ok")));
}

#[test]
fn a_compressed_answer_arrives_compressed() {
    use std::io::Read;
    let server = Server::start();
    let body = json!({"inputs": vec!["hello"; 100]}).to_string();
    let headers = [("content-type", "application/json"), ("accept-encoding", "gzip")];
    let (status, head, compressed) = http(&server.address, "POST", "/embed", &headers, body.as_bytes());
    assert_eq!(status, 200);
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(compressed.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(vectors(&serde_json::from_str(&text).unwrap()).len(), 100);
}

#[test]
fn sigterm_ends_it_after_the_call_under_way() {
    let mut server = Server::start();
    let texts = vec!["hello world ".repeat(30); 1500];
    let address = server.address.clone();
    let call = std::thread::spawn(move || {
        let body = json!({"input": texts, "encoding_format": "base64"}).to_string();
        http(&address, "POST", "/v1/embeddings", &[("content-type", "application/json")], body.as_bytes()).0
    });
    server.wait_for_a_call();
    std::process::Command::new("kill").arg(server.process.id().to_string()).status().unwrap();
    assert_eq!(call.join().unwrap(), 200);
    assert!(server.process.wait().unwrap().success());
}
