//! Servers of the tests that are written in Python, each in an environment of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::support::harness::root;
use crate::support::parts;

/// A running server. It ends with this process, because its standard input does.
pub struct PythonServer {
    pub address: String,
    _process: Child,
    _until_closed: ChildStdin,
}

impl PythonServer {
    /// Starts `script` of the part `part` in the environment that `make <part>-server` made.
    pub fn start(part: &str, script: &str, arguments: &[&str]) -> Self {
        parts::assert_present(part);
        let mut process = Command::new(root().join(format!("target/{part}-server/bin/python")))
            .arg(root().join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(':'), "{script} did not start: {line:?}");
        let until_closed = process.stdin.take().unwrap();
        Self { address: line.trim().to_owned(), _process: process, _until_closed: until_closed }
    }
}
