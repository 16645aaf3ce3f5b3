//! `bootstrap serve`: the same path over a real socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::function::LONG;
use crate::harness::{bootstrap, embed, fixture, fixture_handler, vectors};

/// One HTTP/1.1 exchange: status, head, body.
pub fn http(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = &answer[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_vec() };
    (status, head, body)
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap().trim(), 16).unwrap();
        body.extend(&rest[end + 2..end + 2 + size]);
        rest = &rest[(end + 4 + size).min(rest.len())..];
    }
    body
}

/// A server on a free port; ended when dropped.
pub struct Server {
    process: Child,
    pub address: String,
}

impl Server {
    /// Over the fixture model.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Over the fixture model, with `variables`.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        Self::over(&fixture(), variables)
    }

    /// Over the model in `folder`.
    pub fn over(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = bootstrap();
        command.args(["serve", "--port", "0"]).env("EMBED_MODEL_DIR", folder).envs(variables.iter().copied());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
        Self { address: address.to_owned(), process }
    }

    /// What `GET /metrics` says.
    pub fn metrics(&self) -> String {
        String::from_utf8(http(&self.address, "GET", "/metrics", &[], b"").2).unwrap()
    }

    /// Returns once a call is under way.
    pub fn wait_for_a_call(&self) {
        let end = Instant::now() + LONG;
        while !self.metrics().contains("embed_calls 1") {
            assert!(Instant::now() < end);
        }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String, Value) {
        let headers = [("content-type", "application/json")];
        let (status, head, body) = http(&self.address, "POST", path, &headers, body.to_string().as_bytes());
        (status, head, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

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
fn a_packed_answer_arrives_packed() {
    use std::io::Read;
    let server = Server::start();
    let body = json!({"inputs": vec!["hello"; 100]}).to_string();
    let headers = [("content-type", "application/json"), ("accept-encoding", "gzip")];
    let (status, head, packed) = http(&server.address, "POST", "/embed", &headers, body.as_bytes());
    assert_eq!(status, 200);
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
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
