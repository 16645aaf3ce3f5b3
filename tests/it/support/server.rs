//! `bootstrap serve` for the tests, and plain HTTP requests to any server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::function::LONG;
use crate::support::harness::{bootstrap, fixture};

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
    pub process: Child,
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

    /// The answer of `GET /metrics`.
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

    /// Posts a JSON body; status, head, and the body if it is JSON.
    pub fn post(&self, path: &str, body: &Value) -> (u16, String, Value) {
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
